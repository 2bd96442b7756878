"""The rule sets against examples worked by hand and against the published algorithm."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
import pytest
from denizens.core import Cue, Hit, Record, RecordKind, SettingError
from denizens.memory import PAPER, REVERIE, Memory, RuleSet, recall_many, rule_set
from hypothesis import given, settings
from hypothesis import strategies as st

TEN = datetime(2023, 2, 13, 10)


def hour(h: float) -> datetime:
    """A moment of the test's day."""
    return datetime(2023, 2, 13) + timedelta(hours=h)


def made(
    number: int,
    created: float,
    importance: float = 1.0,
    text: str = "something",
    kind: RecordKind = "observation",
) -> Record:
    """A record written at an hour of the day."""
    return Record(id=number, kind=kind, text=text, created=hour(created), importance=importance)


def filled(records: list[Record], vectors: list[list[float]], **options: object) -> Memory:
    """A memory of these records, in memory only."""
    memory = Memory(":memory:", "Bo", **options)  # type: ignore[arg-type]
    memory.add(records, {r.id: v for r, v in zip(records, vectors, strict=True)})
    return memory


def ids(hits: tuple[Hit, ...]) -> list[int]:
    """The records' numbers, best first."""
    return [hit.record.id for hit in hits]


def test_paper_worked_by_hand() -> None:
    """Recency .995 ** (2, 1, 0) h, importance (1, 10, 4), cosine (1, 0, .6), each scaled:
    recency (0, .498747, 1), importance (0, 1, 1/3), relevance (1, 0, .6), summed."""
    memory = filled([made(1, 8, 1), made(2, 9, 10), made(3, 10, 4)], [[2, 0], [0, 1], [3, 4]])
    hits = memory.recall(Cue(text="x", at=TEN), [1.0, 0.0])
    assert ids(hits) == [3, 2, 1]
    parts = np.array([[h.score, h.recency, h.importance, h.relevance] for h in hits])
    assert parts == pytest.approx(
        np.array([[1 + 1 / 3 + 0.6, 1, 1 / 3, 0.6], [1.498747, 0.498747, 1, 0], [1, 0, 0, 1]]),
        abs=1e-6,
    )


def test_newer_outranks_equal_older() -> None:
    """Of two memories that differ in age only the newer one comes first (not inverted)."""
    memory = filled([made(1, 8), made(2, 9)], [[1, 0], [1, 0]])
    assert ids(memory.recall(Cue(text="x", at=TEN), [1.0, 0.0])) == [2, 1]


def test_access_renews_a_memory() -> None:
    """Recency counts from the last access, unless the rules say creation."""
    memory = filled([made(1, 8), made(2, 9)], [[1, 0], [1, 0]])
    memory.mark_accessed([1], step=0, at=TEN)
    cue = Cue(text="x", at=TEN)
    assert ids(memory.recall(cue, [1.0, 0.0])) == [1, 2]
    memory.rules = replace(PAPER, since="creation")
    assert ids(memory.recall(cue, [1.0, 0.0])) == [2, 1]


def test_all_equal_scales_to_a_half() -> None:
    """With one candidate, or all alike, every part is .5 in both rule sets."""
    memory = filled([made(1, 8, 7)], [[1, 0]])
    for rules, score in (("paper", 1.5), ("reverie", 0.5 * (0.5 + 3 + 2))):
        (hit,) = memory.recall(Cue(text="x", at=TEN, rules=rules), [1.0, 0.0])
        assert (hit.recency, hit.importance, hit.relevance) == (0.5, 0.5, 0.5)
        assert hit.score == score


def test_ties_come_in_order_of_writing() -> None:
    """Equal scores keep the order in which the records were written, also at the limit."""
    memory = filled([made(n, 9) for n in range(1, 8)], [[1, 0]] * 7)
    assert ids(memory.recall(Cue(text="x", at=TEN, limit=3), [1.0, 0.0])) == [1, 2, 3]


def test_record_without_vector_is_not_relevant() -> None:
    """A record that was never embedded has cosine 0: below a fitting one, above an opposite."""
    memory = Memory(":memory:", "Bo")
    memory.add([made(n, 9) for n in (1, 2, 3)], {1: [-1.0, 0.0], 3: [1.0, 0.0]})
    hits = memory.recall(Cue(text="x", at=TEN), [1.0, 0.0])
    assert [(h.record.id, h.relevance) for h in hits] == [(3, 1), (2, 0.5), (1, 0)]


def test_cue_narrows_kinds_before_scaling() -> None:
    """The candidates are those of the asked kinds; the others do not stretch the scale."""
    records = [made(1, 8, 10), made(2, 8, 2, kind="thought"), made(3, 8, 4, kind="thought")]
    memory = filled(records, [[1, 0]] * 3)
    hits = memory.recall(Cue(text="x", at=TEN, kinds=("thought",)), [1.0, 0.0])
    assert [(h.record.id, h.importance) for h in hits] == [(3, 1), (2, 0)]


def test_reverie_worked_by_hand() -> None:
    """Decay .5. The idle one and the conversation are no candidates. Sorted by last access
    1, 4, 5: recency .5, .25, .125 -> 1, 1/3, 0; importance 2, 6, 4 -> 0, 1, .5; relevance
    0, 0, 1. Scores .5 + 0 + 0; 1/6 + 2; 3 + 1."""
    records = [
        made(1, 6, 2),
        made(2, 7, 9, text="bed is idle"),
        made(3, 7, 9, kind="utterance"),
        made(4, 8, 6, kind="plan"),
        made(5, 9, 4, kind="thought"),
    ]
    memory = filled(records, [[0, 1], [1, 0], [1, 0], [0, 1], [1, 0]], rules="reverie", decay=0.5)
    hits = memory.recall(Cue(text="x", at=TEN), [1.0, 0.0])
    assert ids(hits) == [5, 4, 1]
    assert [hit.score for hit in hits] == pytest.approx([4, 2 + 1 / 6, 0.5])
    assert [hit.recency for hit in hits] == pytest.approx([0, 1 / 3, 1])


def test_reverie_prefers_the_oldest_unless_corrected() -> None:
    """The published inversion, and its switch."""
    memory = filled([made(1, 8), made(2, 9)], [[1, 0]] * 2, rules="reverie")
    cue = Cue(text="x", at=TEN)
    assert ids(memory.recall(cue, [1.0, 0.0])) == [1, 2]
    memory.rules = replace(REVERIE, newest_first=True)
    assert ids(memory.recall(cue, [1.0, 0.0])) == [2, 1]


def test_reverie_lists_events_then_thoughts_newest_first() -> None:
    """With one time of access the order is that of the published lists, or as written."""
    kinds: list[RecordKind] = ["thought", "observation", "thought", "observation"]
    records = [made(n, 9, kind=kind) for n, kind in enumerate(kinds, 1)]
    memory = filled(records, [[1, 0]] * 4, rules="reverie")
    cue = Cue(text="x", at=TEN)
    assert ids(memory.recall(cue, [1.0, 0.0])) == [4, 2, 3, 1]
    memory.rules = replace(REVERIE, listing="written")
    assert ids(memory.recall(cue, [1.0, 0.0])) == [1, 2, 3, 4]


def test_next_focal_point_sees_the_touch() -> None:
    """In reverie the second cue of one memory finds what the first chose accessed just now;
    a cue that does not touch has no such effect, and nothing is written."""
    records = [made(1, 7), made(2, 8), made(3, 9)]
    memory = filled(records, [[1, 0]] * 3, rules="reverie")
    rows = np.array([[1, 0], [1, 0]], np.float32)
    first = Cue(text="x", at=TEN, limit=1)
    second = Cue(text="y", at=TEN, limit=3)
    touched = recall_many([(memory, first), (memory, second)], rows)
    assert [ids(hits) for hits in touched] == [[1], [2, 3, 1]]
    still = recall_many([(memory, replace(first, touch=False)), (memory, second)], rows)
    assert [ids(hits) for hits in still] == [[1], [1, 2, 3]]
    assert ids(memory.recall(second, rows[1])) == [1, 2, 3]
    memory.rules = PAPER
    alike = recall_many([(memory, first), (memory, second)], rows)
    assert [ids(hits) for hits in alike] == [[3], [3, 2, 1]]


def test_unknown_rules_are_refused_with_a_hint() -> None:
    """A typo names the nearest rule set, in the constructor and in a cue."""
    with pytest.raises(SettingError, match="did you mean 'reverie'"):
        rule_set("revery")
    with pytest.raises(SettingError, match="did you mean 'paper'"):
        Memory(":memory:", "Bo", rules="papper")
    with pytest.raises(SettingError, match="decay"):
        Memory(":memory:", "Bo", decay=1.5)
    memory = filled([made(1, 8)], [[1, 0]])
    with pytest.raises(SettingError, match="known: paper, reverie"):
        memory.recall(Cue(text="x", at=TEN, rules="xyz"), [1.0, 0.0])


def published(
    records: list[Record], access: list[float], cosine: list[float], top: int
) -> list[int]:
    """The published ``new_retrieve``, written down again with lists and dictionaries."""
    events = [r for r in reversed(records) if r.kind == "observation"]
    thoughts = [r for r in reversed(records) if r.kind in ("thought", "plan")]
    nodes = [r for r in events + thoughts if "idle" not in r.text]
    nodes.sort(key=lambda r: access[r.id - 1])

    def scale(values: list[float]) -> list[float]:
        low, high = min(values), max(values)
        return [0.5 if low == high else (v - low) / (high - low) for v in values]

    if not nodes:
        return []
    recency = scale([0.99**i for i in range(1, len(nodes) + 1)])
    importance = scale([r.importance for r in nodes])
    relevance = scale([cosine[r.id - 1] for r in nodes])
    total = {
        r.id: 0.5 * recency[i] + 3 * relevance[i] + 2 * importance[i] for i, r in enumerate(nodes)
    }
    return [n for n, _ in sorted(total.items(), key=lambda item: item[1], reverse=True)][:top]


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_reverie_equals_the_published_algorithm(data: st.DataObject) -> None:
    """On any memory the same records in the same order as the published code gives."""
    size = data.draw(st.integers(1, 40))
    kinds = st.sampled_from(["observation", "utterance", "thought", "plan"])
    records = [
        made(
            n,
            data.draw(st.integers(0, 5)),
            data.draw(st.integers(1, 10)),
            data.draw(st.sampled_from(["bed is idle", "Ada bakes"])),
            data.draw(kinds),  # type: ignore[arg-type]
        )
        for n in range(1, size + 1)
    ]
    # Cosines that float32 holds exactly, so that both sides see the same ties.
    cosine = [float(data.draw(st.sampled_from([-1, 0, 1]))) for _ in records]
    vectors = [[c, 0.0] if c else [0.0, 1.0] for c in cosine]
    memory = filled(records, vectors, rules="reverie", decay=0.99)
    access = [(r.created - hour(0)).total_seconds() / 3600 for r in records]
    for at in range(6, 9):
        chosen = data.draw(st.lists(st.integers(1, size), max_size=4, unique=True))
        memory.mark_accessed(chosen, step=at, at=hour(at))
        for number in chosen:
            access[number - 1] = at
    hits = memory.recall(Cue(text="x", at=TEN, limit=30), [1.0, 0.0])
    assert ids(hits) == published(records, access, cosine, 30)


def test_every_deviation_has_a_switch() -> None:
    """The paper's rules with every field that differs switched are reverie's."""
    switched: dict[str, object] = {
        field: getattr(REVERIE, field)
        for field in RuleSet.__dataclass_fields__
        if getattr(REVERIE, field) != getattr(PAPER, field)
    }
    assert {"recency", "listing", "kinds", "without", "successive"} < set(switched)
    assert replace(PAPER, **switched) == REVERIE  # type: ignore[arg-type]
