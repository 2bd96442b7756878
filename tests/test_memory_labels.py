"""Whose words a memory's records rest on: taken over from evidence, quarantined, erased, kept."""

from __future__ import annotations

import json
import tempfile
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from denizens.core import EVERYBODY, UNKNOWN_SOURCE, Cue, Label, MemoryFault, Record, SettingError
from denizens.memory import (
    Compaction,
    CompactionBudget,
    Documents,
    Facts,
    Memory,
    Notes,
    export_lines,
    import_lines,
    memories_input,
    recall_many,
    records_of_input,
    rewind_memories,
)
from denizens.memory.erasure import erase_person
from denizens.memory.storage import repair_file
from denizens.store import Store
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

NOON = datetime(2026, 5, 2, 12)


def record(number: int, text: str = "x", **fields: object) -> Record:
    """A thought of Bo's, unless fields say otherwise."""
    given_fields = {"kind": "thought", "who": "Bo", "created": NOON, **fields}
    return Record(id=number, text=text, **given_fields)  # type: ignore[arg-type]


def texts(memory: Memory, **fields: object) -> set[str]:
    """What a recall of everything finds."""
    cue = Cue(text="x", at=NOON, limit=99, **fields)  # type: ignore[arg-type]
    return {hit.record.text for hit in memory.recall(cue)}


# -- taken over from evidence --------------------------------------------------------------


def test_a_thought_takes_over_the_sources_of_its_evidence() -> None:
    """``remember`` and ``add`` alike, through several steps and within one batch, besides who
    said it; what rests on nobody's words stays without any."""
    memory = Memory(":memory:", "Bo")
    memory.remember("gold", at=NOON, kind="utterance", who="Eve")
    memory.remember("rain", at=NOON)
    assert memory.remember("dream", at=NOON, kind="thought", evidence=[1]).sources == ("Eve",)
    assert memory.remember("wet", at=NOON, kind="thought", evidence=[2]).sources is None
    told = memory.remember("again", at=NOON, kind="utterance", who="Ada", evidence=[3, 2])
    assert told.sources == ("Ada", "Eve")
    memory.add([record(6, evidence=(5,)), record(7, evidence=(6,)), record(8, evidence=(2,))])
    assert [memory.record(n).sources for n in (6, 7, 8)] == [("Ada", "Eve")] * 2 + [None]


def test_a_label_that_is_too_clean_or_too_wide_is_completed() -> None:
    """Who said it is among the sources of an utterance, whatever it comes with, and nobody may
    hear what rests on what they may not; a thing that is seen is nobody."""
    memory = Memory(":memory:", "Bo")
    memory.add(
        [
            record(1, kind="utterance", who="Eve", sources=()),
            record(2, kind="observation", who="the oven", sources=()),
            record(3, kind="document", who="Eve", episode="a.md", sources=("Cy",)),
            record(4, audience=("Ada", "Cy")),
            record(5, evidence=(4,), audience=("Cy", "Eve")),
            record(6, evidence=(4, 1)),
            record(7, evidence=(6,), audience=("Eve",)),
        ]
    )
    sources = [memory.record(n).sources for n in range(1, 8)]
    assert sources[:3] == [("Eve",), (), ("Cy", "Eve", "document:a.md")]
    assert sources[4:] == [None, ("Eve",), ("Eve",)]
    assert [memory.record(n).audience for n in (5, 6, 7)] == [("Cy",), ("Ada", "Cy"), ("Bo",)]


def test_what_lost_its_evidence_is_no_cleaner(tmp_path: Path) -> None:
    """A thought that rests on Eve's words and Cy's still holds Cy when Eve's are erased with it,
    and what rests on an erased record alone keeps its label."""
    path = tmp_path / "bo.db"
    with Memory(path, "Bo") as memory:
        memory.remember("for Ada", at=NOON, kind="utterance", who="Cy", audience=("Ada",))
        memory.remember("about it", at=NOON, kind="thought", evidence=[1], audience=("Ada",))
        kept = memory.remember("Cy came", at=NOON, kind="utterance", who="Cy")
        thought = memory.remember("so he is here", at=NOON, kind="thought", evidence=[kept.id])
    erase_person(path, "Ada", now=NOON)
    with Memory(path, "Bo") as memory:
        assert [one.text for one in memory.records()] == ["Cy came", "so he is here"]
        assert memory.sources(thought.id) == ("Cy",)


def test_import_makes_an_equal_memory(tmp_path: Path) -> None:
    """Labels and all: digests, sources and what is still unlabelled."""
    memory = Memory(":memory:", "Bo")
    memory.remember("gold", at=NOON, kind="utterance", who="Eve", audience=("Ada", "Cy"))
    memory.remember("dream", at=NOON, kind="thought", evidence=[1])
    Notes(memory).write("list", "rye", at=NOON, sources=["Eve"], audience=["Ada"])
    Facts(memory).assert_fact("Ada", "likes", "rye", at=NOON, sources=[2])
    (tmp_path / "a.md").write_text("The oven is hot.\n")
    Documents(memory).add(tmp_path / "a.md", at=NOON, who="Eve")
    export_lines(memory, tmp_path / "bo.jsonl")
    other = Memory(":memory:", "Bo")
    import_lines(other, tmp_path / "bo.jsonl")
    assert other.digest == memory.digest
    assert other.records() == memory.records()
    assert not any(map(other.is_unlabelled, range(1, len(other) + 1)))
    assert Notes(other).label("list") == Notes(memory).label("list")
    assert Facts(other).statements() == Facts(memory).statements()


# -- files from before there were labels ---------------------------------------------------


def old_file(path: Path) -> None:
    """A file of version 2: Eve's words, a thought that rests on them, and one on nothing known."""
    with Memory(path, "Bo") as memory:
        memory.add(
            [
                record(1, "gold", kind="utterance", who="Eve"),
                record(2, "dream"),
                record(3, "sky", kind="observation", who=""),
            ]
        )
        # As the program of then wrote it: without what it rests on.
        memory.store.put("memory.unlabelled", {"Bo": 9})
        memory.store.cache.clear()
        memory.add([record(4, "so", evidence=(1,))])
        memory.store.execute("DELETE FROM header WHERE key = 'memory.unlabelled'")
        memory.store.execute("UPDATE parts SET version = 2 WHERE part = 'memory'")


def test_a_file_from_before_labels_says_so(tmp_path: Path) -> None:
    """Read only or brought up to date: its records have no labels, but those of who said them
    and of what they rest on; own thoughts are of words of nobody knows whom. What is written
    from then on has labels."""
    path = tmp_path / "bo.db"
    old_file(path)
    with Store(path, write=False) as store:
        old = Memory(store, "Bo")
        assert all(map(old.is_unlabelled, range(1, 5)))
        assert [old.sources(n) for n in range(1, 5)] == [("Eve",), (UNKNOWN_SOURCE,), (), ("Eve",)]
    with Memory(path, "Bo") as memory:
        digest = memory.digest
        assert [memory.is_unlabelled(n) for n in range(1, 5)] == [True] * 4
        assert memory.record(4).sources is None
        new = memory.remember("well", at=NOON, kind="thought", evidence=[2, 4])
        assert new.sources == ("Eve", UNKNOWN_SOURCE)
        assert not memory.is_unlabelled(new.id)
    with Memory(path, "Bo") as memory:
        assert memory.digest != digest
        assert memory.is_unlabelled(4)
        assert not memory.is_unlabelled(5)
        assert memory.store.verify() == ()
        memory.quarantine("eve")
        assert texts(memory) == {"dream", "sky"}


def test_an_old_file_stays_old_by_export_fork_and_repair(tmp_path: Path) -> None:
    """By none of them does a record without a label come to look like one with a clean one."""
    path = tmp_path / "bo.db"
    old_file(path)
    with Memory(path, "Bo") as memory:
        memory.remember("later", at=NOON)
        export_lines(memory, tmp_path / "bo.jsonl")
        other = Memory(":memory:", "Bo")
        import_lines(other, tmp_path / "bo.jsonl")
        assert other.digest == memory.digest
        assert [other.is_unlabelled(n) for n in range(1, 6)] == [True] * 4 + [False]
        memory.store.execute("UPDATE memory_records SET digest = 'x' WHERE id = 3")
    assert repair_file(path).lost
    with Memory(path, "Bo") as memory:
        assert [memory.is_unlabelled(n) for n in range(1, 6)] == [True] * 4 + [False]
    lines = [json.loads(line) for line in (tmp_path / "bo.jsonl").read_text().splitlines()]
    for line in lines:
        line["record"].pop("sources", None)
    (tmp_path / "old.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    third = Memory(":memory:", "Bo")
    import_lines(third, tmp_path / "old.jsonl")
    assert all(map(third.is_unlabelled, range(1, 6)))


def test_what_cannot_be_told_of_an_old_file_is_said(tmp_path: Path) -> None:
    """Forgetting takes what rests on her words by evidence; own thoughts without any stay, and
    are named."""
    path = tmp_path / "bo.db"
    old_file(path)
    done = erase_person(path, "Eve", now=NOON)
    assert done.records == {"Bo": 2}
    assert done.left == (
        "memory of Bo: 1 own records from before labels existed, whose sources are unknown: "
        "records 2",
    )


def test_a_fork_of_an_old_file_counts_what_is_left(tmp_path: Path) -> None:
    """What is written after a fork has labels, though a record of its number once had none."""
    path = tmp_path / "bo.db"
    old_file(path)
    with Memory(path, "Bo") as memory:
        memory.store.execute("DELETE FROM memory_records WHERE id > 2")
        rewind_memories(memory.store, 0)
        new = memory.remember("so", at=NOON, kind="thought", evidence=[1])
        assert new.id == 3
        assert new.sources == ("Eve",)
        assert [memory.is_unlabelled(n) for n in (1, 2, 3)] == [True, True, False]


def test_what_was_searched_does_not_depend_on_what_is_in_memory(tmp_path: Path) -> None:
    """A record out of recall counts as little before the file is read anew as after, in the past
    none of later."""
    path, file = tmp_path / "bo.db", tmp_path / "a.md"
    cue = Cue(text="x", at=NOON)
    with Memory(path, "Bo") as memory:
        memory.add([record(1)], step=1)
        file.write_text("The oven is hot.\n")
        Documents(memory).add(file, at=NOON, audience="Ada")
        memory.add([record(3, audience=("Cy",))], step=2)
        assert memory.as_of(1).searched_audience(cue) == ("Ada",)
        assert memory.searched_audience(cue) == ("Bo",)
        Documents(memory).remove("a.md")
        assert memory.searched_audience(cue) == ("Cy",)
        assert memory.searched_audience(Cue(text="x", at=NOON, person="Ada")) == ()
    with Memory(path, "Bo") as memory:
        assert memory.searched_audience(cue) == ("Cy",)


# -- quarantine ----------------------------------------------------------------------------


def test_quarantine_takes_what_rests_on_the_words() -> None:
    """Eve's words, a thought of them, one of that, a document she gave and a friend's line that
    repeats her go out of recall, of episodes and of many recalls at once; released, by a name
    of any spelling, they are back."""
    memory = Memory(":memory:", "Bo", embed=lambda rows: np.ones((len(rows), 2), np.float32))
    memory.remember("gold", at=NOON, kind="utterance", who="Eve")
    memory.remember("dream", at=NOON, kind="thought", evidence=[1])
    memory.remember("wish", at=NOON, kind="plan", evidence=[2])
    memory.add(
        [
            record(4, "handbook", kind="document", who="Eve", episode="handbook.md of Eve"),
            record(5, "Eve says gold", kind="utterance", who="Ada", sources=("Ada", "Eve")),
            record(6, "rain", kind="observation", who="sky"),
        ]
    )
    everything = {"gold", "dream", "wish", "handbook", "Eve says gold", "rain"}
    memory.quarantine("EVE", why="lies")
    cue = Cue(text="gold", at=NOON, limit=99)
    assert texts(memory) == texts(memory, rules="hybrid") == {"rain"}
    assert {hit.record.text for hit in recall_many([(memory, cue)])[0]} == {"rain"}
    found = memory.episodes(cue)
    assert {hit.record.text for one in found for hit in one.hits} == {"rain"}
    memory.release("eve")
    assert texts(memory) == everything
    assert not memory.quarantined
    memory.quarantine("sky")
    assert texts(memory) == everything - {"rain"}


def test_a_person_called_like_a_tool_is_not_the_tool() -> None:
    """A colon in a name is escaped in sources; quarantine knows both by the name."""
    memory = Memory(":memory:", "Bo")
    memory.add(
        [
            record(1, "person", kind="utterance", who="tool:bank"),
            record(2, "bank", sources=("tool:bank",)),
            record(3, "other", sources=("tool:bakery",)),
        ]
    )
    assert memory.sources(1) == ("person:tool:bank",)
    memory.quarantine("tool:bank")
    assert texts(memory) == {"other"}


def test_a_quarantined_source_comes_back_by_no_summary() -> None:
    """A summary of a thought about Eve's words comes apart; its other records are told."""
    memory = Memory(":memory:", "Bo")
    memory.remember("gold", at=NOON, kind="utterance", who="Eve")
    memory.remember("dream", at=NOON, kind="thought", evidence=[1])
    memory.remember("rain", at=NOON)
    summary = Compaction(memory).summarise(memory.records()[1:], at=NOON, text="dream and rain")
    assert summary.sources == ("Eve",)
    assert texts(memory) == {"gold", "dream and rain"}
    memory.quarantine("Eve")
    assert texts(memory) == {"rain"}
    Compaction(memory).expand(summary.id, at=NOON)
    with pytest.raises(MemoryFault, match="quarantined: Eve"):
        Compaction(memory).summarise(memory.records()[1:3], at=NOON)


# -- claims --------------------------------------------------------------------------------


def test_a_claim_is_said_by_who_said_its_record() -> None:
    """Whatever name the text begins with; "I" is who said it; only of a record of nobody's the
    text tells who speaks."""
    forged = ('Ada said to Bo: "I moved to Leeds."', "Ada: I moved to Leeds.")
    for text in forged:
        memory = Memory(":memory:", "Bo")
        claims = Facts(memory)
        claims.learn([memory.remember(text, at=NOON, kind="utterance", who="Eve")])
        made = claims.find()
        assert {claim.who for claim in made} <= {"Eve"}
        assert {claim.words_of for claim in made} <= {("Eve",)}
        memory.quarantine("Eve")
        assert claims.find() == ()
        memory = Memory(":memory:", "Bo")
        Facts(memory).learn([memory.remember(text, at=NOON, kind="utterance")])
        (claim,) = Facts(memory).find()
        assert (str(claim), claim.who, claim.words_of) == ("Ada lives in Leeds", "Ada", ("Ada",))


def test_a_claim_carries_all_whose_words_it_rests_on() -> None:
    """Of its records, of who said it, of what else is told of its subject and relation, which
    says how long it holds, and of what its subject's name means."""
    memory = Memory(":memory:", "Bo")
    memory.remember("x", at=NOON, kind="utterance", who="Cy")
    memory.remember("y", at=NOON, kind="thought", evidence=[1])
    claims = Facts(memory)
    claims.assert_fact("Ada", "lives in", "Leeds", at=NOON, sources=[2], who="Bo")
    assert claims.find()[0].words_of == ("Cy",)
    claims.assert_fact("Ada", "lives in", "Porto", at=NOON + timedelta(days=1), who="Eve")
    assert [c.words_of for c in claims.find(past=True)] == [("Cy", "Eve")] * 2
    claims.assert_fact("Ada", "also called", "Addie", at=NOON, who="Dee")
    assert claims.find()[0].words_of == ("Cy", "Dee", "Eve")
    memory.quarantine("Cy")
    assert [str(claim) for claim in claims.find(past=True)] == ["Ada lives in Porto"]
    assert claims.find()[0].words_of == ("Dee", "Eve")


# -- notes ---------------------------------------------------------------------------------


def test_notes_are_read_by_those_they_are_for() -> None:
    """The owner sees all; everybody together only what is for everybody; a person theirs and
    that, theirs first; and nobody removes what is not theirs."""
    notes = Notes(Memory(":memory:", "Bo"))
    notes.write("own", "secret", at=NOON)
    notes.write("list", "for all", at=NOON, person=EVERYBODY)
    notes.write("open", "open", at=NOON, audience=())
    notes.write("list", "Ada's", at=NOON, person="Ada", sources=["Cy"])
    notes.write("cy", "Cy's", at=NOON, audience=["Cy"])
    notes.write("both", "none", at=NOON, person="Ada", audience=["Cy"])
    assert notes.names() == ["both", "cy", "list", "open", "own"]
    assert notes.names(EVERYBODY) == notes.names("Eve") == ["list", "open"]
    assert notes.names("Ada") == ["list", "open"]
    assert notes.names("Cy") == ["cy", "list", "open"]
    read = {person: notes.read("list", person) for person in ("Ada", "Cy", EVERYBODY)}
    assert {p: note and note[0] for p, note in read.items()} == {
        "Ada": "Ada's",
        "Cy": "for all",
        EVERYBODY: "for all",
    }
    assert notes.label("list", "Ada") == Label(("Ada", "Cy"), ("Ada",))
    assert notes.label("both") == Label(("Ada",), ("Bo",))
    assert notes.label(person=EVERYBODY) == Label()
    with pytest.raises(MemoryFault, match="no note of Cy"):
        notes.remove("list", at=NOON, person="Cy")
    notes.remove("list", at=NOON, person="Ada")
    assert notes.read("list", "Ada") == ("for all", NOON)


def test_notes_of_a_quarantined_source_are_not_read() -> None:
    """Nor does the note before it come back instead."""
    memory = Memory(":memory:", "Bo")
    notes = Notes(memory)
    notes.write("list", "rye", at=NOON)
    notes.write("list", "gold", at=NOON, sources=["Eve"])
    memory.quarantine("Eve")
    assert notes.names() == []
    assert notes.read("list") is None


# -- documents -----------------------------------------------------------------------------


def test_a_document_of_somebody_elses_replaces_none(tmp_path: Path) -> None:
    """The owner's, Eve's and Cy's of one name are three, told apart by name, place and source,
    each brought up to date by itself; no name that anybody picks is another's."""
    memory = Memory(":memory:", "Bo")
    documents, file = Documents(memory), tmp_path / "handbook.md"
    givers = ("", "Eve", "Cy")
    for who in givers:
        file.write_text(f"The account of {who or 'the house'}.\n")
        documents.add(file, at=NOON, who=who)
    names = ("handbook.md", "handbook.md of Cy", "handbook.md of Eve")
    assert documents.names() == names
    assert [documents.cite(one) for one in documents.passages("handbook.md of Eve")] == [
        "handbook.md of Eve, line 1"
    ]
    assert memory.sources(2) == ("Eve", "document:handbook.md of Eve")
    file.write_text("Another account.\n")
    done = documents.add(file, at=NOON, who="eve")
    assert (done.document, done.replaced) == ("handbook.md of Eve", (2,))
    assert documents.add(file, at=NOON, name="handbook.md of Eve").document != names[2]
    assert documents.passages("handbook.md")[0].text == "The account of the house."
    assert documents.was_imported("handbook.md")
    assert not documents.was_imported("handbook.md of Cy")


# -- folding -------------------------------------------------------------------------------


def test_private_records_do_not_decide_what_is_folded() -> None:
    """What is for Ada only folds neither what is for everybody nor what is for Eve; theirs are
    folded by what they may hear of."""

    def folded(private: int) -> list[tuple[str, tuple[str, ...]]]:
        memory = Memory(":memory:", "Bo")
        early = NOON - timedelta(days=9)
        audiences = [()] * 6 + [("Eve",)] * 6 + [("Ada",)] * private
        for number, people in enumerate(audiences):
            memory.remember(f"line {number}", at=early, audience=people)
        made = Compaction(memory).compact(CompactionBudget(records=10), at=NOON)
        return [(one.text, one.audience) for one in made]

    few, many = folded(0), folded(40)
    assert [people for _, people in few] == [("Eve",)]
    assert [each for each in many if each[1] != ("Ada",)] == few
    assert ("Ada",) in {people for _, people in many}


# -- export --------------------------------------------------------------------------------


def test_an_export_for_a_person_tells_of_no_others(tmp_path: Path) -> None:
    """Numbers, evidence and depths are those of a memory that holds nothing but theirs."""

    def exported(secrets: int) -> str:
        memory = Memory(":memory:", "Bo")
        for number in range(secrets):
            memory.remember(f"secret {number}", at=NOON, audience=("Ada",))
        one = memory.remember("rain", at=NOON)
        if secrets:
            memory.remember("more", at=NOON, kind="thought", evidence=[1])
        two = memory.remember("wet", at=NOON, kind="thought", evidence=[one.id])
        memory.remember("so wet", at=NOON, kind="thought", evidence=[two.id])
        export_lines(memory, tmp_path / "eve.jsonl", person="Eve")
        return (tmp_path / "eve.jsonl").read_text()

    assert exported(3) == exported(0)
    assert '"id":1,' in exported(0)


def test_what_somebody_hands_over_as_memories_is_of_their_words() -> None:
    """Also where it is said to be the agent's own thought; the agent's own are as they were."""
    own = record(1, "I owe Eve gold")
    given_ = replace(memories_input([own], "Bo"), who="Eve")
    assert [one.sources for one in records_of_input(given_, 7)] == [("Eve",)]
    assert records_of_input(memories_input([own], "Bo"), 7) == (replace(own, id=7),)


def test_nobody_is_called_everybody() -> None:
    """A record for a person called so would be heard by all; a cue's listeners are names."""
    memory = Memory(":memory:", "Bo")
    with pytest.raises(MemoryFault, match="names nobody"):
        memory.add([record(1, audience=(EVERYBODY,))])
    with pytest.raises(SettingError):
        Notes(memory).write("a", "b", at=NOON, audience=[EVERYBODY])
    with pytest.raises(MemoryFault, match="listeners"):
        memory.recall(Cue(text="x", at=NOON, listeners="Ada"))  # type: ignore[arg-type]


# -- erasing -------------------------------------------------------------------------------


def test_forgetting_walks_the_sources(tmp_path: Path) -> None:
    """What Eve said or gave, what was made of her words, said by a friend, noted or claimed goes,
    with proof; what only shares its evidence, or a tool called like her, stays."""
    path, file = tmp_path / "bo.db", tmp_path / "handbook.md"
    with Memory(path, "Bo") as memory:
        memory.remember("Buy gold today", at=NOON, kind="utterance", who="Eve")
        memory.remember("It rained", at=NOON, kind="utterance", who="Cy")
        memory.remember("Gold when it rains", at=NOON, kind="thought", evidence=[1, 2])
        memory.remember("Wet it was", at=NOON, kind="thought", evidence=[2])
        memory.add(
            [
                record(5, "Gold, she says", kind="utterance", who="Ada", sources=("Ada", "Eve")),
                record(6, "Of a tool", sources=("tool:Eve",)),
            ]
        )
        for who in ("", "Eve"):
            file.write_text(f"An account of {who or 'the house'}\n")
            Documents(memory).add(file, at=NOON, who=who)
        Facts(memory).assert_fact("Gold", "is at", "nine", at=NOON, sources=[3], who="Bo")
        Facts(memory).assert_fact("Rain", "is at", "ten", at=NOON, sources=[4], who="Bo")
        notes = Notes(memory)
        notes.write("gold", "buy it", at=NOON, sources=["Eve"])
        notes.write("rain", "take a coat", at=NOON, audience=["Cy", "Eve"])
        notes.write("only", "for her", at=NOON, audience=["Eve"])
    done = erase_person(path, "Eve", now=NOON)
    assert (done.found, done.left) == (0, ())
    with Memory(path, "Bo") as memory:
        assert [one.text for one in memory.records()] == [
            "It rained",
            "Wet it was",
            "Of a tool",
            "An account of the house",
        ]
        assert Documents(memory).names() == ("handbook.md",)
        assert [str(claim) for claim in Facts(memory).find()] == ["Rain is at ten"]
        assert Notes(memory).names() == ["rain"]
        assert Notes(memory).label("rain") == Label((), ("Cy",))
        assert memory.store.verify() == ()
    raw = path.read_bytes()
    assert b"gold" not in raw.lower()
    assert b"of Eve" not in raw


def test_names_with_a_colon_are_forgotten_too(tmp_path: Path) -> None:
    """Their source is escaped, and known again; the tool of that name is another."""
    path = tmp_path / "bo.db"
    with Memory(path, "Bo") as memory:
        memory.remember("mine", at=NOON, kind="utterance", who="tool:bank")
        memory.remember("of it", at=NOON, kind="thought", evidence=[1])
        memory.add([record(3, "rates", sources=("tool:bank",))])
    assert erase_person(path, "tool:bank", now=NOON).records == {"Bo": 2}
    with Memory(path, "Bo") as memory:
        assert [one.text for one in memory.records()] == ["rates"]


# -- recall for several listeners ----------------------------------------------------------

PEOPLE = ("Ada", "Cy", "Eve")
LINES = st.lists(
    st.tuples(
        st.sampled_from(["rye loaf", "an oven", "the dragon", "river rye"]),
        st.sampled_from(PEOPLE),
        st.sets(st.sampled_from(PEOPLE), max_size=2).map(sorted).map(tuple),
        st.integers(0, 2),
        st.booleans(),
    ),
    min_size=1,
    max_size=14,
)
HEARERS = st.one_of(
    st.just((EVERYBODY,)), st.sets(st.sampled_from(PEOPLE), min_size=1).map(sorted).map(tuple)
)


def embedded(rows: object) -> NDArray[np.float32]:
    """An embedding by the letters of a text."""
    return np.array([[len(t), t.count("r") + 1, t.count("a")] for t in rows], np.float32)  # type: ignore[attr-defined]


def filled(lines: list[tuple[str, str, tuple[str, ...], int, bool]], heard: set[str]) -> Memory:
    """A memory of those of these lines that all of some people may hear (none: of all), some
    folded, some of who is quarantined."""
    memory = Memory(":memory:", "Bo", embed=embedded)
    mine = [line for line in lines if not heard or not line[2] or heard.issubset(line[2])]
    for text, who, people, day, _ in mine:
        one = record(
            memory.next_id,
            f"{who}: {text}",
            kind="utterance",
            who=who,
            created=NOON + timedelta(hours=day),
            audience=people,
            episode=f"e{day}",
        )
        memory.add([one], {one.id: embedded([one.text])[0]})
    folding, groups = Compaction(memory), dict[tuple[str, ...], list[Record]]()
    for kept, line in zip(memory.records(), mine, strict=True):
        if line[4]:
            groups.setdefault(kept.audience, []).append(kept)
    for _, group in sorted(groups.items()):
        if len(group) > 1:
            folding.summarise(group, at=NOON)
    return memory


@given(lines=LINES, hearers=HEARERS, untrusted=st.booleans(), rules=st.sampled_from(["", "hybrid"]))
@settings(max_examples=80, deadline=None)
def test_recall_for_listeners_is_that_of_a_memory_with_theirs_alone(
    lines: list[tuple[str, str, tuple[str, ...], int, bool]],
    hearers: tuple[str, ...],
    untrusted: bool,
    rules: str,
) -> None:
    """Texts, scores, reasons, neighbours, episodes, probabilities, one by one or many at once: to
    the bit those of a memory that was told nothing but what all listeners may hear."""
    first, *others = hearers
    cue = Cue(
        text="What did Cy do with the dragon and the rye?",
        at=NOON + timedelta(days=1),
        person=first,
        listeners=tuple(others),
        around=1,
        rules=rules,
    )
    answers = []
    for memory in (filled(lines, set()), filled(lines, set(hearers))):
        if untrusted:
            memory.quarantine("Eve")
        hits = memory.recall(cue)
        assert recall_many([(memory, cue)] * 2) == [hits] * 2
        answers.append(
            (
                [(h.record.text, h.score, h.why, [r.text for r in h.around]) for h in hits],
                [(one.episode, one.score) for one in memory.episodes(cue)],
                memory.answer_probability(cue),
            )
        )
    assert answers[0] == answers[1]


@pytest.mark.parametrize("hearers", [("Ada",), ("Ada", "Eve"), (EVERYBODY,)])
def test_many_recalls_for_listeners_are_those_one_by_one(hearers: tuple[str, ...]) -> None:
    """Enough of them for the pool, in memories large enough for it."""
    with Store(":memory:") as store:
        requests: list[tuple[Memory, Cue]] = []
        audiences = ((), ("Ada",), ("Ada", "Eve"), ("Eve",))
        for owner in range(70):
            memory = Memory(store, f"mind {owner}", embed=embedded)
            rows = [
                record(n, f"line {n} {'ra' * (n * owner % 7)}", audience=audiences[n % 4])
                for n in range(1, 141)
            ]
            memory.add(rows, {one.id: embedded([one.text])[0] for one in rows})
            first, *others = hearers
            cue = Cue(text=f"line {owner}", at=NOON, person=first, listeners=tuple(others))
            requests.append((memory, cue))
        assert recall_many(requests) == [memory.recall(cue) for memory, cue in requests]


@given(
    whole=st.lists(
        st.tuples(
            st.sampled_from(["utterance", "thought", "observation", "document"]),
            st.sampled_from(["Bo", "", *PEOPLE]),
            st.sets(st.sampled_from(PEOPLE), max_size=2),
            st.one_of(st.none(), st.sets(st.sampled_from([*PEOPLE, "tool:t"]), max_size=2)),
            st.sets(st.integers(1, 9), max_size=3),
        ),
        max_size=10,
    )
)
@settings(max_examples=150, deadline=None)
def test_labels_only_grow(
    whole: list[tuple[str, str, set[str], set[str] | None, set[int]]],
) -> None:
    """Of random records, each holds the sources of its evidence and of who said it and is for
    nobody for whom that is not; read again from the file it is the same, and written again the
    same to the byte."""
    rows = [
        record(
            n,
            f"text {n}",
            kind=kind,
            who=who,
            audience=tuple(sorted(people)),
            sources=None if sources is None else tuple(sorted(sources)),
            evidence=tuple(sorted(e for e in evidence if e < n)),
        )
        for n, (kind, who, people, sources, evidence) in enumerate(whole, 1)
    ]
    memory, again = Memory(":memory:", "Bo"), Memory(":memory:", "Bo")
    memory.add(rows)
    kept = memory.records()
    again.add([replace(one) for one in kept])
    assert (again.digest, again.records()) == (memory.digest, kept)
    for one in kept:
        mine = set(memory.sources(one.id))
        if one.kind != "observation" and one.who not in ("", "Bo"):
            assert one.who in mine
        for number in one.evidence:
            basis = memory.record(number)
            assert mine.issuperset(memory.sources(number))
            if basis.audience:
                narrow = set(one.audience)
                assert narrow
                assert narrow == {"Bo"} or narrow.issubset(basis.audience)


# -- what was told in confidence ------------------------------------------------------------

FACTS = ("Dee lives in Leeds.", "Dee lives in Porto.", "Dee likes rye.", "Dee moved to Hull.")
TOLD = st.lists(
    st.tuples(
        st.sampled_from(FACTS),
        st.sampled_from(["Ada", "Eve", "Bo"]),
        st.sampled_from(["", "Ada", "Eve"]),
        st.integers(0, 3),
        st.one_of(st.none(), st.integers(0, 20)),
    ),
    min_size=1,
    max_size=40,
)


def lived(told: list[tuple[str, str, str, int, int | None]], secrets: bool, path: Path) -> object:
    """All that Eve is given by a memory that was told these lines, with or without what is for
    Ada only or rests on that; then a night's folding, learning and forgetting Cy."""
    memory = Memory(path, "Bo", embed=embedded)
    numbers: dict[int, int] = {}
    private: set[int] = set()
    for place, (text, who, whom, day, basis) in enumerate(told):
        evidence = () if basis is None or basis >= place else (basis,)
        if whom == "Ada" or private.intersection(evidence):
            private.add(place)
            if not secrets:
                continue
        made = memory.remember(
            text,
            at=NOON + timedelta(days=day),
            kind="thought" if who == "Bo" else "utterance",
            who=who,
            audience=[whom] if whom else [],
            evidence=[numbers[number] for number in evidence],
        )
        numbers[place] = made.id
    Facts(memory).learn(memory.records())
    night = NOON + timedelta(days=9)
    Compaction(memory).compact(CompactionBudget(records=10, per_day=2), at=night)
    memory.store.close()
    erase_person(path, "Cy", now=night)
    memory = Memory(path, "Bo", embed=embedded)
    found = []
    for rules in ("paper", "hybrid", "reverie"):
        cue = Cue(text="Where does Dee live?", at=night, person="Eve", limit=50, rules=rules)
        found.append([(hit.record.text, hit.score, hit.why) for hit in memory.recall(cue)])
    export_lines(memory, path.with_suffix(".jsonl"), person="Eve")
    claims = [
        (str(one), one.since, one.until, one.confidence, one.words_of)
        for one in Facts(memory).find(person="Eve", past=True)
    ]
    memory.store.close()
    return found, claims, path.with_suffix(".jsonl").read_text()


@given(told=TOLD)
@settings(max_examples=40, deadline=None)
def test_eve_is_given_the_same_whatever_ada_confided(
    told: list[tuple[str, str, str, int, int | None]],
) -> None:
    """Recall and scores by three rule sets, claims with their validity, and the export, after
    folding, learning and forgetting."""
    with tempfile.TemporaryDirectory() as folder:
        with_them, without = Path(folder, "one.db"), Path(folder, "two.db")
        assert lived(told, True, with_them) == lived(told, False, without)
