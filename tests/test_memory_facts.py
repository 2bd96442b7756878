"""Claims: what holds when, from whom, for whom."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from denizens.core import Cue, MemoryFault, Record
from denizens.memory import Facts, Memory, rewind_memories
from denizens.memory.facts.fact_graph import neighbours, shortest_path
from denizens.memory.storage import FACT_LOG
from denizens.store import Store
from hypothesis import given, settings
from hypothesis import strategies as st

START = datetime(2023, 1, 1)


def day(number: int) -> datetime:
    """Midnight of a day, counted from the first."""
    return START + timedelta(days=number)


def claims(*texts: str, audience: tuple[str, ...] = ()) -> Facts:
    """Claims of a memory with a record for each text, a day apart."""
    memory = Memory(":memory:", "Bo")
    for n, text in enumerate(texts):
        memory.add(
            [Record(id=n + 1, kind="observation", text=text, created=day(n), audience=audience)]
        )
    return Facts(memory)


def test_the_latest_wins_and_the_older_stays() -> None:
    """A newer claim ends the older one; both stay in the timeline, with their times."""
    held = claims()
    held.assert_fact("Ada", "lives in", "Leeds", at=day(1))
    held.assert_fact("Ada", "lives in", "Porto", at=day(5))
    leeds, porto = held.timeline("Ada", "lives in")
    assert (leeds.object, leeds.since, leeds.until) == ("Leeds", day(1), day(5))
    assert (porto.object, porto.until) == ("Porto", None)
    assert held.lookup("Ada", "lives in", as_of=day(0)) is None
    assert held.lookup("Ada", "lives in", as_of=day(4)) == leeds


def test_learned_late_is_put_in_its_time() -> None:
    """What is learned later of an earlier time ends nothing that came after; what had been
    known before stays answerable."""
    held = claims()
    held.assert_fact("Ada", "lives in", "Porto", at=day(5))
    held.assert_fact("Ada", "lives in", "Leeds", at=day(9), since=day(1))
    assert str(held.lookup("Ada", "lives in")) == "Ada lives in Porto"
    assert str(held.lookup("Ada", "lives in", as_of=day(2))) == "Ada lives in Leeds"
    assert held.lookup("Ada", "lives in", as_of=day(2), known=day(6)) is None


def test_of_equal_times_the_later_learned_counts() -> None:
    """Two values since the same moment: the one learned later holds."""
    held = claims()
    held.assert_fact("Ada", "age", "30", at=day(3), since=day(1))
    held.assert_fact("Ada", "age", "31", at=day(2), since=day(1))
    assert str(held.lookup("Ada", "age")) == "Ada age 30"


def test_restating_adds_sources() -> None:
    """The same fact said again is one claim with both sources and more confidence."""
    held = claims("Ada lives in Porto.", "Ada lives in Porto, still.")
    held.assert_fact("Ada", "lives in", "Porto", at=day(0), sources=[1], confidence=0.5)
    held.assert_fact("ada", "Lives  in", "the Porto", at=day(1), sources=[2], confidence=0.5)
    claim = held.lookup("Ada", "lives in")
    assert claim is not None
    assert (claim.sources, claim.confidence, claim.since) == ((1, 2), 0.75, day(0))
    assert [record.id for record in held.sources(claim)] == [1, 2]


def test_back_to_an_old_value_is_a_claim_of_its_own() -> None:
    """Leeds, Porto, Leeds again: three claims, not one with a hole."""
    held = claims()
    for n, town in enumerate(["Leeds", "Porto", "Leeds"]):
        held.assert_fact("Ada", "lives in", town, at=day(n))
    assert [claim.object for claim in held.timeline("Ada", "lives in")] == [
        "Leeds",
        "Porto",
        "Leeds",
    ]


def test_undo_revives_what_was_ended() -> None:
    """An undone claim is gone from every answer, the one before it holds again; the lines
    stay, and the undoing can be taken back."""
    held = claims()
    held.assert_fact("Ada", "lives in", "Leeds", at=day(1))
    number = held.assert_fact("Ada", "lives in", "Porto", at=day(5))
    claim = held.lookup("Ada", "lives in")
    assert claim is not None
    held.retract(claim, at=day(6), why="it was a joke")
    assert str(held.lookup("Ada", "lives in")) == "Ada lives in Leeds"
    assert FACT_LOG.size(held.memory.store, "Bo") == 3
    with pytest.raises(MemoryFault, match="retracted already"):
        held.retract(number, at=day(7))
    held.restore([number], at=day(7))
    assert str(held.lookup("Ada", "lives in")) == "Ada lives in Porto"


def test_no_longer() -> None:
    """A denial ends what it names and nothing else; one without an object ends whatever holds."""
    held = claims()
    held.assert_fact("Ada", "lives in", "Porto", at=day(1))
    held.deny("Ada", "lives in", "Leeds", at=day(2))
    assert held.lookup("Ada", "lives in") is not None
    held.deny("Ada", "lives in", at=day(3))
    assert held.lookup("Ada", "lives in") is None
    assert held.lookup("Ada", "lives in", as_of=day(2)) is not None


def test_relations_for_several_at_a_time() -> None:
    """One may like many things: a new one ends none; what is no longer liked ends alone."""
    held = claims()
    for thing in ("soup", "chess"):
        held.assert_fact("Ada", "likes", thing, at=day(1))
    held.deny("Ada", "likes", "soup", at=day(2))
    assert [claim.object for claim in held.find("Ada", "likes")] == ["chess"]
    assert len(held.find("Ada", "likes", as_of=day(1))) == 2


def test_an_end_that_was_said() -> None:
    """What is said to last until a day ends then, whether anything follows or not."""
    held = claims()
    held.assert_fact("Ada", "office", "room 4", at=day(1), until=day(3))
    assert held.lookup("Ada", "office") is None
    assert held.lookup("Ada", "office", as_of=day(2)) is not None


def test_names() -> None:
    """Case, articles and a unique given name mean the same; a shared given name nobody's."""
    held = claims()
    held.assert_fact("Ada Pell", "works at", "the Mill", at=day(1))
    assert str(held.lookup("ADA", "works at")) == "Ada Pell works at the Mill"
    held.assert_fact("Ada", "works at", "Mill", at=day(2))
    assert len(held.timeline("Ada Pell", "works at")) == 1
    held.assert_fact("Ada Marsh", "works at", "the Inn", at=day(3))
    assert held.lookup("Ada Marsh", "works at") is not None
    assert str(held.lookup("Ada Pell", "works at")) == "Ada Pell works at the Mill"


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"subject": " "}, "needs a subject"),
        ({"object": ""}, "needs an object"),
        ({"confidence": 0.0}, "confidence"),
        ({"confidence": 1.5}, "confidence"),
        ({"until": START}, "must be later"),
        ({"sources": [9]}, "no record 9"),
    ],
)
def test_bad_statements(wrong: dict[str, object], words: str) -> None:
    """What does not fit is refused with its reason, and nothing is written."""
    held = claims("one")
    parts = {"subject": "Ada", "relation": "age", "object": "3", "at": day(1), **wrong}
    with pytest.raises(MemoryFault, match=words):
        held.assert_fact(**parts)  # type: ignore[arg-type]
    assert held.statements() == ()


def test_private_sources_make_private_claims() -> None:
    """A claim is for whom its source is; others get the answer they would get without it."""
    held = claims()
    for n, people in enumerate([(), ("Cy",)], 1):
        held.memory.add(
            [Record(id=n, kind="observation", text="x", created=day(n), audience=people)]
        )
    held.assert_fact("Ada", "lives in", "Leeds", at=day(1), sources=[1])
    held.assert_fact("Ada", "lives in", "Porto", at=day(2), sources=[2])
    for person, town in (("Dee", "Leeds"), ("Cy", "Porto"), ("", "Porto")):
        assert str(held.lookup("Ada", "lives in", person=person)) == f"Ada lives in {town}"
    told = held.lookup("Ada", "lives in", person="Dee")
    assert told is not None
    assert told.until is None


def test_for_all_of_several_sources() -> None:
    """What rests on two private sources is for those for whom both are."""
    held = claims()
    for n, people in enumerate([("Cy", "Dee"), ("Dee", "Eve"), ("Cy",)], 1):
        held.memory.add(
            [Record(id=n, kind="observation", text="x", created=day(n), audience=people)]
        )
    held.assert_fact("Ada", "age", "3", at=day(3), sources=[1, 2])
    held.assert_fact("Ada", "office", "room 1", at=day(3), sources=[2, 3])
    assert held.lookup("Ada", "age", person="Dee") is not None
    assert held.lookup("Ada", "age", person="Cy") is None
    assert held.lookup("Ada", "office", person="Cy") is None
    assert held.lookup("Ada", "office") is not None


PEOPLE = [f"person{n}" for n in range(50)]


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 49), st.integers(0, 3), st.integers(0, 9)), max_size=40))
def test_no_canary_reaches_another(told: list[tuple[int, int, int]]) -> None:
    """Fifty people's private canaries: in nobody else's claims, names, graph, or sources."""
    held = claims("seed")
    held.assert_fact("Ada", "likes", "tea", at=day(0))
    for n, (owner, relation, when) in enumerate(told, 2):
        record = Record(
            id=n, kind="observation", text="x", created=day(when), audience=(PEOPLE[owner],)
        )
        held.memory.add([record])
        name = ["lives in", "likes", "knows", "age"][relation]
        held.assert_fact("Ada", name, f"Canary {owner}", at=day(when), sources=[n])
    for owner in {owner for owner, _, _ in told} | {0}:
        person = PEOPLE[owner]
        seen = held.find(person=person, past=True)
        others = [c for c in seen if c.object not in ("tea", f"Canary {owner}")]
        assert others == []
        nodes = held.graph(person=person).nodes
        assert {node for node in nodes if node.startswith("canary")} <= {f"canary {owner}"}
        shown = {
            held.memory.record(i).audience for i, _ in held.related_records("Ada", person=person)
        }
        assert shown <= {(), (person,)}


FACTS = st.lists(
    st.tuples(st.integers(0, 8), st.integers(0, 8), st.sampled_from("abc")), max_size=12
)


@settings(deadline=None)
@given(FACTS, st.integers(0, 9))
def test_validity_is_that_of_the_plain_rule(facts: list[tuple[int, int, str]], moment: int) -> None:
    """At any moment the claim is the last statement by (since, learned, written) until then."""
    held = claims()
    for since, learned, value in facts:
        held.assert_fact("Ada", "age", value, at=day(learned), since=day(since))
    past = [
        (since, learned, n, value)
        for n, (since, learned, value) in enumerate(facts)
        if since <= moment
    ]
    claim = held.lookup("Ada", "age", as_of=day(moment))
    assert (claim.object if claim else None) == (max(past)[3] if past else None)


def test_graph_neighbours_and_paths() -> None:
    """Claims in force are edges; neighbours by distance, and the claims that lead from one
    entity to another."""
    held = claims()
    held.assert_fact("Ada", "works at", "the Mill", at=day(1))
    held.assert_fact("Bo Lind", "works at", "Mill", at=day(1))
    held.assert_fact("Bo Lind", "knows", "Cy", at=day(1))
    held.assert_fact("Dee", "likes", "jam", at=day(1))
    graph = held.graph()
    assert neighbours(graph, "ada") == ["the Mill"]
    assert neighbours(graph, "Ada", 2) == ["the Mill", "Bo Lind"]
    assert [claim.relation for claim in shortest_path(graph, "Ada", "Cy")] == [
        "works at",
        "works at",
        "knows",
    ]
    assert shortest_path(graph, "Ada", "jam") == []
    assert neighbours(graph, "Nobody") == []


def test_related_records_are_those_near_in_the_graph() -> None:
    """A cue that names Ada reaches what is said of her first, then of her workplace's
    others, and not of strangers."""
    held = claims("Ada works", "Bo works", "Dee likes")
    held.assert_fact("Ada", "works at", "the Mill", at=day(1), sources=[1])
    held.assert_fact("Bo", "works at", "the Mill", at=day(1), sources=[2])
    held.assert_fact("Dee", "likes", "jam", at=day(1), sources=[3])
    found = held.related_records("What is Ada's work like?")
    assert [number for number, weight in found if weight > 0.01] == [1, 2]
    assert found[0][1] > found[1][1]
    assert held.related_records("Who is Zoe?") == []


def test_recall_is_joined_by_claims() -> None:
    """A record that shares no word with the cue comes in by a claim on whom it names, says
    so, and only for those it is for; the cue's bounds hold for it too."""
    held = claims()
    texts = ["The oven at the Mill is broken", "Sheep graze", "Hens peck", "Geese hiss", "A debt"]
    for n, text in enumerate(texts, 1):
        people = ("Cy",) if n == 5 else ()
        record = Record(id=n, kind="observation", text=text, created=day(0), audience=people)
        held.memory.add([record])
    held.assert_fact("Ada", "works at", "the Mill", at=day(1), sources=[1])
    held.assert_fact("Ada", "owes", "Bo Lind", at=day(4), sources=[5])

    def found(**parts: Any) -> list[int]:
        cue = Cue(text="How is Ada doing?", at=day(9), **{"limit": 2, **parts})
        return [hit.record.id for hit in held.recall(cue)]

    assert set(found()) == {1, 5}
    assert found(person="Dee", limit=9)[0] == 1
    assert 5 not in found(person="Dee", limit=9)
    assert held.recall(Cue(text="Ada?", at=day(9), limit=2))[0].why.startswith("claim: Ada ")
    assert found(kinds=("plan",)) == []
    assert 1 not in found(tokens=9)
    assert found(tokens=9)[0] == 5
    assert found(tokens=1) == []


def test_graphml_reads_back(tmp_path: Path) -> None:
    """The export is GraphML that networkx reads, with times and sources on its edges."""
    import networkx as nx

    held = claims("Ada \x07works")
    held.assert_fact("Ada \x07", "works at", "the Mill", at=day(1), sources=[1])
    target = tmp_path / "claims.graphml"
    assert held.export_graphml(target) == 1
    graph = nx.read_graphml(target, force_multigraph=True)
    ((_, _, edge),) = graph.edges(data=True)
    assert (edge["relation"], edge["sources"]) == ("works at", "1")
    assert edge["since"] == day(1).isoformat()


def test_claims_last_and_are_checked(tmp_path: Path) -> None:
    """Claims are there after reopening, as of each step; a changed line is found and named."""
    file = tmp_path / "bo.db"
    with Store(file) as store:
        held = Facts(Memory(store, "Bo"))
        for step in (1, 2):
            memory = held.memory
            memory.add([Record(id=step, kind="thought", text="x", created=day(step))], step=step)
            held.assert_fact("Ada", "age", str(30 + step), at=day(step), sources=[step])
        assert str(Facts(memory.as_of(1)).lookup("Ada", "age")) == "Ada age 31"
    with Store(file) as store:
        held = Facts(Memory(store, "Bo"))
        assert str(held.lookup("Ada", "age")) == "Ada age 32"
        assert store.verify() == ()
        store.execute("UPDATE claims_lines SET body = replace(body, '31', '99') WHERE n = 1")
    with Store(file) as store:
        held = Facts(Memory(store, "Bo"))
        with pytest.raises(MemoryFault, match="line 1 does not hash"):
            held.lookup("Ada", "age")
        assert [damage.where for damage in store.verify()] == ["claims of Bo"]


def test_a_lost_line_is_missed(tmp_path: Path) -> None:
    """A removed last line is found by the head, one in the middle by its number."""
    for lost in (1, 2):
        with Store(tmp_path / f"{lost}.db") as store:
            held = Facts(Memory(store, "Bo"))
            for n in (1, 2):
                held.assert_fact("Ada", "age", str(n), at=day(n))
            store.execute("DELETE FROM claims_lines WHERE n = ?", (lost,))
            store.cache.clear()
            with pytest.raises(MemoryFault, match=r"missing|are there"):
                held.lookup("Ada", "age")


def test_rolled_back_with_the_callers_transaction() -> None:
    """Claims are of the caller's transaction: undone with it."""
    held = claims()

    class Stop(Exception):
        pass

    def broken() -> None:
        with held.memory.store.transaction():
            held.assert_fact("Ada", "age", "3", at=day(1))
            assert held.lookup("Ada", "age") is not None
            raise Stop

    with pytest.raises(Stop):
        broken()
    assert held.lookup("Ada", "age") is None


def test_a_fork_takes_them_back() -> None:
    """Rewinding to a step takes later claims away, and the chain goes on from there."""
    held = claims()
    memory = held.memory
    for step in (1, 2):
        memory.add([Record(id=step, kind="thought", text="x", created=day(step))], step=step)
        held.assert_fact("Ada", "age", str(step), at=day(step))
    rewind_memories(memory.store, 1)
    assert str(held.lookup("Ada", "age")) == "Ada age 1"
    held.assert_fact("Ada", "age", "7", at=day(8))
    assert memory.store.verify() == ()


def test_erased_for_good(tmp_path: Path) -> None:
    """Erasing a person empties every statement of, by, about or for them, in the file too;
    the chain of digests stays whole."""
    file = tmp_path / "bo.db"
    with Store(file) as store:
        held = Facts(Memory(store, "Bo"))
        held.assert_fact("Ada", "likes", "Zanzibar", at=day(1))
        held.assert_fact("Cy", "knows", "Ada", at=day(1))
        held.assert_fact("Cy", "likes", "Timbuktu", at=day(1), who="Ada")
        held.assert_fact("Cy", "likes", "Ouagadougou", at=day(1))
        assert held.erase(person="Ada") == 3
        assert [claim.object for claim in held.find(past=True)] == ["Ouagadougou"]
        assert store.verify() == ()
        rows = store.rows("SELECT body FROM claims_lines")
        assert not any(body and "Zanzibar" in body for (body,) in rows)
