"""Hybrid recall: what it finds, how it explains it, what it gives back of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
import pytest
from denizens.core import Cue, Record
from denizens.memory import HYBRID, Memory, rule_set
from denizens.memory.recall import logistic_probability, packaged_weights
from denizens.memory.recall.single_recall import (
    estimate_tokens,
    fit_token_budget,
    maximal_marginal_relevance,
)
from hypothesis import given, settings
from hypothesis import strategies as st

START = datetime(2023, 5, 1, 9)


def said(who: str, text: str, *, day: int = 0, episode: str = "") -> Record:
    """A line, numbered when it is added."""
    return Record(
        id=0,
        kind="utterance",
        text=f"{who}: {text}",
        who=who,
        created=START + timedelta(days=day),
        episode=episode,
    )


def filled(*lines: Record, vectors: dict[int, list[float]] | None = None) -> Memory:
    """A memory of these lines under hybrid rules."""
    from dataclasses import replace

    memory = Memory(":memory:", "Bo", rules="hybrid")
    memory.add([replace(line, id=n) for n, line in enumerate(lines, 1)], vectors)
    return memory


def cue(text: str, **options: object) -> Cue:
    """A question asked a month after the start."""
    return Cue(text=text, at=START + timedelta(days=30), **options)  # type: ignore[arg-type]


def texts(memory: Memory, asked: Cue, vector: list[float] | None = None) -> list[str]:
    """What is recalled, best first."""
    return [hit.record.text for hit in memory.recall(asked, vector)]


def test_rules_by_name() -> None:
    """The rule set is found by its name, estimates, and leaves the others as they were."""
    assert rule_set("hybrid") is HYBRID
    assert HYBRID.estimates_answerability
    assert not rule_set("paper").estimates_answerability
    assert rule_set("paper").matching == rule_set("reverie").matching == "meaning"


def test_words_and_meaning_are_a_union() -> None:
    """What only its words tell and what only its embedding tells are both found before what
    nothing tells."""
    memory = filled(
        said("Ada", "nothing of interest"),
        said("Ada", "the zeppelin landed"),
        said("Ada", "an airship came down"),
        vectors={1: [0.0, 1.0], 2: [0.0, 1.0], 3: [1.0, 0.0]},
    )
    found = texts(memory, cue("zeppelin?", limit=3), [1.0, 0.0])
    assert found[2] == "Ada: nothing of interest"


def test_answer_is_found_by_the_question_before_it() -> None:
    """Of two equal answers the one comes first whose episode asks the question."""
    memory = filled(
        said("Ada", "Where did you learn to swim?", episode="a"),
        said("Bo", "At the lake, years back.", episode="b"),
        said("Bo", "At the lake, years back.", episode="a"),
    )
    found = [hit.record.id for hit in memory.recall(cue("Where was swimming learned?"))]
    assert found.index(3) < found.index(2)


def test_speaker_named() -> None:
    """Of two that said the same, the named one comes first; "will" names nobody."""
    memory = filled(
        said("Will Smith", "I love rye bread"), said("Ada Lovelace", "I love rye bread")
    )
    first = memory.recall(cue("What bread does Ada love?"))[0]
    assert first.record.who == "Ada Lovelace"
    assert "said by Ada Lovelace" in first.why
    assert memory.recall(cue("What bread does Will love?"))[0].record.who == "Will Smith"
    asked = [hit.why for hit in memory.recall(cue("what bread will you love?"))]
    assert not any("said by" in why for why in asked)


def test_time_named() -> None:
    """Of equal records the one of the named time comes first, and says why; the others stay."""
    memory = filled(*[said("Ada", "I baked a loaf", day=day) for day in (0, 9, 20)])
    hits = memory.recall(cue("What was baked on 10 May?"))
    assert hits[0].record.id == 2
    assert "near the time of '10 May'" in hits[0].why
    assert len(hits) == 3


def test_hit_explains_itself() -> None:
    """The words shared are named, their part is in [0, 1], the best has 1."""
    memory = filled(said("Ada", "The ovens burn"), said("Bo", "I slept"))
    best, other = memory.recall(cue("Which oven burns?"))
    assert best.lexical == 1.0
    assert best.why == "words: oven, burns"
    assert other.lexical == 0.0


def test_around() -> None:
    """Neighbours of the episode come with a hit, in order, and no other record."""
    memory = filled(
        said("Ada", "one", episode="a"),
        said("Ada", "two", episode="a"),
        said("Ada", "zebra", episode="a"),
        said("Ada", "elsewhere", episode="b"),
        said("Ada", "four", episode="a"),
        said("Ada", "five", episode="a"),
    )
    (hit,) = memory.recall(cue("zebra", limit=1, around=1))
    assert [record.id for record in hit.around] == [2, 5]
    (plain,) = memory.recall(cue("zebra", limit=1, around=2, rules="paper"))
    assert plain.around != ()
    (none,) = memory.recall(cue("elsewhere", limit=1, around=2))
    assert none.around == ()


def test_budget_of_tokens() -> None:
    """The texts fit the budget together; a long one is passed over for a shorter one."""
    memory = filled(said("Ada", "rye " * 60), said("Ada", "rye bread"), said("Ada", "rye loaf"))
    hits = memory.recall(cue("rye", tokens=16, limit=3))
    assert 0 < sum(estimate_tokens(hit.record.text) for hit in hits) <= 16
    assert len(hits) == 2


@pytest.mark.parametrize("rules", ["paper", "hybrid", "paper-approx"])
def test_equal_memories_do_not_fill_a_recall(rules: str) -> None:
    """Of sixty equal notes one is recalled while others wait, alone or asked for many at once;
    where room is left they follow."""
    texts = ["Ada looks at the rye bread"] * 60 + ["rye is low", "the oven is hot"]
    memory = Memory(":memory:", "Bo", rules=rules)
    for minute, text in enumerate([*texts[60:], *texts[:60]]):
        memory.remember(text, at=datetime(2023, 5, 1) + timedelta(minutes=minute))
    ask = Cue(text="rye", at=datetime(2023, 5, 1) + timedelta(hours=2), limit=3, touch=False)
    assert sorted(hit.record.text for hit in memory.recall(ask)) == sorted(set(texts))
    assert len(memory.recall(replace(ask, limit=5))) == 5
    assert len(memory.recall(replace(ask, limit=5, rules="reverie"))) == 5


def test_variety() -> None:
    """Without variety two texts of the same words come first; with it the second is another."""
    lines = [said("Ada", "rye bread and rye loaf"), said("Ada", "rye loaf and rye bread")]
    memory = filled(*lines, said("Bo", "rye fields in the north, far from town and river"))
    plain = [hit.record.id for hit in memory.recall(cue("rye", limit=2))]
    mixed = [hit.record.id for hit in memory.recall(cue("rye", limit=2, variety=0.7))]
    assert plain == [1, 2]
    assert mixed == [1, 3]


@given(
    words=st.lists(st.sampled_from(["rye", "oven", "loaf", "river rye"]), min_size=1, max_size=9),
    variety=st.floats(0, 1),
    tokens=st.integers(1, 40),
)
@settings(max_examples=40, deadline=None)
def test_picking_invariants(words: list[str], variety: float, tokens: int) -> None:
    """Variety only reorders, beginning with the best; a budget only leaves out, in order."""
    hits = filled(*[said("Ada", word) for word in words]).recall(cue("rye oven", limit=20))
    mixed = maximal_marginal_relevance(hits, variety, len(hits))
    assert sorted(h.record.id for h in mixed) == sorted(h.record.id for h in hits)
    if variety < 1:
        assert mixed[0] == hits[0]
    kept = fit_token_budget(hits, tokens)
    assert [hit for hit in hits if hit in kept] == kept
    assert sum(estimate_tokens(hit.record.text) for hit in kept) <= tokens


@given(
    lines=st.lists(
        st.tuples(
            st.sampled_from(["rye loaf", "an oven", "the river", ""]),
            st.integers(0, 3),
            st.floats(-1, 1),
        ),
        min_size=1,
        max_size=10,
    )
)
@settings(max_examples=40, deadline=None)
def test_recall_is_a_ranking(lines: list[tuple[str, int, float]]) -> None:
    """Scores fall, every record is there once, asking again gives the same, and the parts make
    the score."""
    records = [said("Ada", text, day=day, episode=f"e{day}") for text, day, _ in lines]
    vectors = {n: [x, 1.0] for n, (_, _, x) in enumerate(lines, 1)}
    memory = filled(*records, vectors=vectors)
    asked = cue("Who has rye in an oven on 2 May?", limit=99)
    hits = memory.recall(asked, [1.0, 0.5])
    assert hits == memory.recall(asked, [1.0, 0.5])
    assert sorted(hit.record.id for hit in hits) == list(range(1, len(lines) + 1))
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
    for hit in hits:
        assert hit.score == pytest.approx(
            hit.relevance + 0.05 * hit.recency + 0.05 * hit.importance
        )
        assert np.isfinite(hit.score)


@given(said_text=st.text(max_size=30), asked=st.text(max_size=30))
@settings(max_examples=80, deadline=None)
def test_any_text(said_text: str, asked: str) -> None:
    """No text of a record or of a cue is an error, and the hit is explained."""
    memory = filled(said("Ada", said_text), said(said_text, asked), vectors={1: [1.0, 0.0]})
    hits = memory.recall(cue(f"{asked} {said_text}"), [0.5, 0.5])
    assert len(hits) == 2
    assert all(isinstance(hit.why, str) for hit in hits)
    assert len(memory.episodes(cue(asked), [0.5, 0.5])) == 1


LINES = st.lists(
    st.tuples(
        st.sampled_from(["rye loaf", "an oven", "dragon", "the river rye"]),
        st.sampled_from(["Ada", "Bo", "Cy"]),
        st.integers(0, 2),
        st.booleans(),
    ),
    min_size=1,
    max_size=12,
)


@given(lines=LINES)
@settings(max_examples=60, deadline=None)
def test_what_is_no_candidate_leaves_no_trace(lines: list[tuple[str, str, int, bool]]) -> None:
    """Recall, episodes and held over some of a memory are those of a memory that has nothing
    else: no count of words, name, neighbour or scale tells of the rest."""
    from dataclasses import replace

    records, vectors = [], {}
    for n, (text, who, episode, plain) in enumerate(lines, 1):
        line = said(who, text, day=episode, episode=f"e{episode}" if episode else "")
        records.append(line if plain else replace(line, kind="plan"))
        vectors[n] = [float(len(text)), float(n % 3)]
    some = [n for n, record in enumerate(records) if record.kind == "utterance"]
    whole = filled(*records, vectors=vectors)
    alone = filled(
        *[records[n] for n in some], vectors={at: vectors[n + 1] for at, n in enumerate(some, 1)}
    )
    asked = cue("What did Cy do to the dragon, dragon or rye oven?", kinds=("utterance",), around=1)

    def told(memory: Memory) -> object:
        hits = memory.recall(asked, [1.0, 0.3])
        found = memory.episodes(asked, [1.0, 0.3])
        return (
            [(hit.record.text, hit.score, hit.lexical, hit.why, len(hit.around)) for hit in hits],
            [(one.episode, one.score, one.parts) for one in found],
            memory.answer_probability(asked, [1.0, 0.3]),
        )

    assert told(whole) == told(alone)


# -- episodes ---------------------------------------------------------------------------


def test_episodes_ranked_with_evidence() -> None:
    """The session that the question is about comes first, with its best record as evidence;
    its parts sum to its score."""
    memory = filled(
        said("Ada", "How was work?", episode="s1"),
        said("Bo", "Dull, I filed papers.", episode="s1"),
        said("Ada", "Where did you sail?", day=3, episode="s2"),
        said("Bo", "Around the island.", day=3, episode="s2"),
    )
    first, second = memory.episodes(cue("Where did Bo sail?"))
    assert (first.episode, second.episode) == ("s2", "s1")
    assert {hit.record.episode for hit in first.hits} == {"s2"}
    assert sum(first.parts.values()) == pytest.approx(first.score)
    assert first.score > second.score
    assert len(memory.episodes(cue("sail", limit=1))) == 1


def test_days_stand_in_for_episodes() -> None:
    """Records of no episode are grouped by the day on which they were made."""
    memory = filled(said("Ada", "rye"), said("Ada", "oats", day=1), said("Ada", "rye", day=1))
    assert {one.episode for one in memory.episodes(cue("oats"))} == {"2023-05-01", "2023-05-02"}
    assert memory.episodes(cue("oats"))[0].episode == "2023-05-02"


def test_episodes_by_time_and_kind() -> None:
    """A named time decides between like sessions; a kind that is nowhere has no episodes."""
    memory = filled(*[said("Ada", "We met", day=d, episode=f"s{d}") for d in (0, 10, 20)])
    assert memory.episodes(cue("Who met on 11 May?"))[0].episode == "s10"
    assert memory.episodes(cue("met", kinds=("plan",))) == ()


# -- knowing ----------------------------------------------------------------------------


def test_held_is_higher_for_what_is_there() -> None:
    """A question the memory answers is likelier held than one of something else; without an
    embedding nothing is told; an empty memory holds nothing."""
    memory = filled(
        said("Ada", "I bought a red bicycle in spring"),
        said("Bo", "I cooked soup"),
        vectors={1: [1.0, 0.0], 2: [0.0, 1.0]},
    )
    there = memory.answer_probability(cue("When did Ada buy a bicycle?"), [0.9, 0.1])
    other = memory.answer_probability(cue("When did Ada buy a telescope?"), [-0.5, 0.1])
    swapped = memory.answer_probability(cue("When did Bo buy a bicycle?"), [0.9, 0.1])
    assert there is not None
    assert other is not None
    assert swapped is not None
    assert 0 < other < there < 1
    assert swapped < there
    assert memory.answer_probability(cue("anything?")) is None
    assert filled().answer_probability(cue("anything?"), [1.0, 0.0]) == 0.0


@given(st.dictionaries(st.sampled_from(["fit", "meaning", "margin"]), st.floats(-1e6, 1e6)))
def test_probability_is_one(given: dict[str, float]) -> None:
    """Any signs give a number from 0 to 1, and more of a sign that speaks for it gives more."""
    told = logistic_probability(given, packaged_weights())
    assert 0 <= told <= 1
    if "fit" in given:
        assert logistic_probability(given | {"fit": given["fit"] + 1}, packaged_weights()) >= told


def test_retriever() -> None:
    """A function from a question to texts, best first, at most so many, that touches nothing."""
    memory = filled(said("Ada", "rye bread"), said("Ada", "the river"), said("Bo", "an oven"))
    find = memory.retriever(limit=2)
    assert find("Which bread?")[0] == "Ada: rye bread"
    assert len(find("river")) == 2
    assert filled().retriever()("anything") == []
