"""Hybrid recall for one person: what is another's leaves no trace."""

from __future__ import annotations

from datetime import datetime, timedelta

from denizens.core import Cue, Record
from denizens.memory import Memory
from hypothesis import given, settings
from hypothesis import strategies as st

START = datetime(2023, 5, 1, 9)
LINES = st.lists(
    st.tuples(
        st.sampled_from(["rye loaf", "an oven", "the dragon", "river rye"]),
        st.sampled_from(["Ada", "Bo", "Cy"]),
        st.sampled_from([(), ("Ada",), ("Bo",), ("Ada", "Bo")]),
        st.integers(0, 2),
    ),
    min_size=1,
    max_size=12,
)


def filled(lines: list[tuple[str, str, tuple[str, ...], int]]) -> Memory:
    """A memory of these lines, each for its audience and of its episode."""
    memory = Memory(":memory:", "Eve", rules="hybrid")
    records = [
        Record(
            id=n,
            kind="utterance",
            text=f"{who}: {text}",
            who=who,
            created=START + timedelta(days=episode),
            audience=audience,
            episode=f"e{episode}",
        )
        for n, (text, who, audience, episode) in enumerate(lines, 1)
    ]
    memory.add(records, {record.id: [float(len(record.text)), 1.0] for record in records})
    return memory


@given(lines=LINES)
@settings(max_examples=60, deadline=None)
def test_recall_for_a_person(lines: list[tuple[str, str, tuple[str, ...], int]]) -> None:
    """Recall, episodes and held for Ada are, to the bit, those of a memory that was never told
    what is not for her."""
    hers = [line for line in lines if not line[2] or "Ada" in line[2]]
    cue = Cue(
        text="What did Cy do with the dragon and the rye on 2 May?",
        at=START + timedelta(days=9),
        person="Ada",
        around=1,
        variety=0.3,
    )

    def told(memory: Memory) -> object:
        hits = memory.recall(cue, [1.0, 0.2])
        found = memory.episodes(cue, [1.0, 0.2])
        return (
            [
                (hit.record.text, hit.score, hit.why, [one.text for one in hit.around])
                for hit in hits
            ],
            [(one.episode, one.score) for one in found],
            memory.answer_probability(cue, [1.0, 0.2]),
        )

    assert told(filled(lines)) == told(filled(hers))
