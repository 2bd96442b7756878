"""Notes: written, found again, kept in a file, and each for whom it was written."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from denizens.agents import Agent, AskRouter, ThoughtGuard, ToolExecutor, run_guarded
from denizens.core import Call, Label, MemoryFault, Persona, Thought, ToolResult, call, drive
from denizens.memory import Memory, Notes, export_lines, import_lines
from denizens.memory.erasure import erase_person
from denizens.models import ImprovisedModel
from denizens.store import Store
from denizens.tools import Policy, Toolbox, ToolContext, note_tools, tool
from hypothesis import given
from hypothesis import strategies as st

NINE = datetime(2023, 2, 13, 9)


def desk(memory: Memory) -> Any:
    """Calls a note tool for a person: (tool, person, arguments)."""
    box = Toolbox(note_tools(Notes(memory)))
    count = iter(range(10_000))

    def use(tool: str, person: str = "", key: str = "", step: int = 1, **given: Any) -> Any:
        number = next(count)
        at = NINE + timedelta(minutes=number)
        context = ToolContext("Bo", at, person=person)
        return box.call(tool, given, context=context, key=key or f"Bo/{step}/{number}.0")

    return use


def test_notes_are_kept_in_the_file(tmp_path: Path) -> None:
    """What is written is read, listed, appended to and removed, also after the file was
    closed, and the file verifies."""
    with Memory(tmp_path / "bo.db", "Bo") as memory:
        use = desk(memory)
        assert use("write_note", name="shopping", text="rye").ok
        assert use("write_note", name="shopping", text="salt", append=True).ok
        assert use("write_note", name=" plans ", text="swim").value == "noted under 'plans'"
    with Memory(tmp_path / "bo.db", "Bo") as memory:
        use = desk(memory)
        assert use("list_notes").value == ["plans", "shopping"]
        assert use("list_notes", word="RYE").value == ["shopping"]
        found = use("read_note", name="shopping").value
        assert found == {"name": "shopping", "text": "rye\nsalt", "written": "2023-02-13 09:01"}
        assert use("remove_note", name="shopping").ok
        gone = use("read_note", name="shopping")
        assert gone.error == "ValueError: there is no note 'shopping'; there are: plans"
        assert memory.store.verify() == ()


def test_notes_of_people_stay_theirs() -> None:
    """What was written in a talk with one person no other is shown, told of or lets change;
    the owner sees all."""
    memory = Memory(":memory:", "Bo")
    use = desk(memory)
    use("write_note", person="Ada", name="secret", text="Ada's surprise")
    use("write_note", person="Cem", name="secret", text="Cem's debt")
    use("write_note", name="own", text="mine")
    assert use("read_note", person="Ada", name="secret").value["text"] == "Ada's surprise"
    assert use("read_note", person="Cem", name="secret").value["text"] == "Cem's debt"
    for name, arguments in (
        ("read_note", {"name": "secret"}),
        ("remove_note", {"name": "secret"}),
        ("read_note", {"name": "own"}),
    ):
        answer = use(name, person="Dee", **arguments)
        assert not answer.ok
        assert "there are: none" in answer.error
    assert use("list_notes", person="Ada").value == ["secret"]
    assert use("list_notes", person="Dee").value == []
    assert use("list_notes").value == ["own", "secret"]
    assert use("read_note", name="secret").value["text"] == "Cem's debt"
    assert use("remove_note", person="Ada", name="secret").ok
    assert use("read_note", person="Cem", name="secret").ok


def test_a_call_done_again_changes_nothing() -> None:
    """The same call made again under its key, as after a kill, does not append twice."""
    memory = Memory(":memory:", "Bo")
    book = Notes(memory)
    for _ in range(2):
        book.write("a", "one", at=NINE, key="Bo/3/1.0")
    book.remove("a", at=NINE, key="Bo/4/1.0")
    book.write("a", "two", at=NINE, key="Bo/5/1.0")
    book.remove("a", at=NINE, key="Bo/4/1.0")
    assert book.read("a") == ("two", NINE)


def test_notes_follow_the_steps() -> None:
    """A view as of a step shows the notes of then, and writes none."""
    memory = Memory(":memory:", "Bo")
    use = desk(memory)
    use("write_note", name="a", text="early", step=3)
    use("write_note", name="a", text="late", step=5)
    for step, text in ((2, None), (3, "early"), (4, "early"), (5, "late")):
        found = Notes(memory.as_of(step)).read("a")
        assert (found[0] if found else None) == text
    with pytest.raises(MemoryFault, match="read-only"):
        Notes(memory.as_of(4)).write("b", "x", at=NINE)


def test_a_forgotten_person_leaves_no_notes(tmp_path: Path) -> None:
    """Forgetting a person empties the notes for them and those that name them; others stay,
    and so does the chain."""
    with Memory(tmp_path / "bo.db", "Bo") as memory:
        memory.remember("Ada came in", at=NINE, who="Ada")
        use = desk(memory)
        use("write_note", person="Ada", name="diet", text="no nuts")
        use("write_note", name="guests", text="Ada and Cem")
        use("write_note", name="own", text="swim")
    erase_person(tmp_path / "bo.db", "Ada", mentions=True, now=NINE)
    with Memory(tmp_path / "bo.db", "Bo") as memory:
        assert Notes(memory).names() == ["own"]
        assert memory.store.verify() == ()
    assert b"no nuts" not in (tmp_path / "bo.db").read_bytes()


def test_notes_travel(tmp_path: Path) -> None:
    """An exported memory has its notes when it is read in again; one exported for a person
    has none."""
    memory = Memory(":memory:", "Bo")
    desk(memory)("write_note", name="own", text="swim")
    memory.remember("Ada came in", at=NINE, who="Ada")
    export_lines(memory, tmp_path / "bo.jsonl")
    other = Memory(Store(":memory:"), "Bo")
    import_lines(other, tmp_path / "bo.jsonl")
    assert Notes(other).read("own") == Notes(memory).read("own") is not None
    export_lines(memory, tmp_path / "ada.jsonl", person="Ada")
    assert "swim" not in (tmp_path / "ada.jsonl").read_text()


def test_limits_are_told() -> None:
    """Notes that are too long, nameless or too many are refused in words."""
    use = desk(Memory(":memory:", "Bo"))
    assert "4000 characters" in use("write_note", name="a", text="x" * 4001).error
    for name in ("", "  ", "x" * 81, "a\0b"):
        assert "printable" in use("write_note", name=name, text="x").error
    for number in range(500):
        assert use("write_note", name=f"n{number}", text="x").ok
    assert "500 notes already" in use("write_note", name="one more", text="x").error
    assert use("write_note", name="n7", text="y").ok


names, people = st.sampled_from(["a", "b"]), st.sampled_from(["", "Ada", "Cem"])


@given(st.lists(st.tuples(st.booleans(), names, people, st.text(max_size=5)), max_size=30))
def test_notes_equal_a_dictionary(steps: list[tuple[bool, str, str, str]]) -> None:
    """After any writing and removing, each person has what a dictionary of theirs would
    hold."""
    book, model = Notes(Memory(":memory:", "Bo")), dict[tuple[str, str], str]()
    for write, name, person, text in steps:
        if write:
            book.write(name, text, at=NINE, person=person)
            model[name, person] = text
        elif person:
            book.remove(name, at=NINE, person=person)
            model.pop((name, person), None)
    for person in ("Ada", "Cem"):
        mine = {name: text for (name, whose), text in model.items() if whose == person}
        assert book.names(person) == sorted(mine)
        assert {name: (book.read(name, person) or [""])[0] for name in mine} == mine


def test_a_note_does_not_launder_a_strangers_words() -> None:
    """What a stranger had written down counts as theirs when it is read later: no tool may act
    on it then, whatever tools a policy trusts, unless it trusts them."""
    rung: list[str] = []

    @tool(effect="acts")
    def ring(why: str) -> str:
        """Ring the bell."""
        rung.append(why)
        return "rung"

    def later() -> Thought[ToolResult]:
        note = yield from call(Call(tool="read_note", arguments={"name": "todo"}))
        assert isinstance(note, ToolResult)
        found = yield from call(Call(tool="ring", arguments={"why": note.value["text"]}))
        assert isinstance(found, ToolResult)
        return found

    memory = Memory(":memory:", "Bo")
    for trusted, reason in (((), "denied"), (("tool:*_note",), "denied"), (("Eve",), "")):
        policy = Policy(own=("*_note",), trusted=trusted)
        box = Toolbox([*note_tools(Notes(memory)), ring], policy=policy)
        bo = Agent(Persona(name="Bo"), model=ImprovisedModel(), memory=memory, tools=box)
        caller = ToolExecutor({"Bo": bo}, NINE, in_chat=True)
        minds = AskRouter({"Bo": bo}, at=NINE, executor=caller)
        told = Call(tool="write_note", arguments={"name": "todo", "text": "Ring for Eve"})
        guard = ThoughtGuard("Bo", bo.tools, labels=[Label(("Eve",))])
        written = drive({"Bo": run_guarded(call(told), guard, [])}, minds)["Bo"]
        assert isinstance(written, ToolResult)
        assert written.ok
        found = drive({"Bo": run_guarded(later(), ThoughtGuard("Bo", bo.tools), [])}, minds)["Bo"]
        assert isinstance(found, ToolResult)
        assert found.reason == reason
    assert rung == ["Ring for Eve"]


def labelled(memory: Memory) -> Any:
    """Calls a note tool with a label: (tool, person, label, arguments)."""
    box = Toolbox(note_tools(Notes(memory)))
    count = iter(range(10_000))

    def use(tool: str, person: str, label: Label, **given: Any) -> ToolResult:
        context = ToolContext("Bo", NINE, person=person, label=label)
        return box.call(tool, given, context=context, key=f"Bo/1/{next(count)}.0")

    return use


def test_notes_carry_the_label_of_who_wrote_them() -> None:
    """A note rests on what its writer's thought did, one that is added to on both; reading it,
    and listing it, says so. With labels kept notes are not from outside."""
    use = labelled(Memory(":memory:", "Bo"))
    assert use("write_note", "*", Label(("Eve",)), name="a", text="x").ok
    assert use("write_note", "*", Label(("Cy",)), name="a", text="y", append=True).ok
    assert use("write_note", "*", Label(("Dee",)), name="b", text="z").ok
    for person in ("*", "Ada", ""):
        found = use("read_note", person, Label(), name="a")
        assert (found.value["text"], found.sources) == ("x\ny", ("Cy", "Eve"))
        assert use("read_note", person, Label(), name="b").sources == ("Dee",)
        listed = use("list_notes", person, Label(), word="x")
        assert (listed.value, listed.sources) == (["a"], ("Cy", "Dee", "Eve"))
        missed = use("read_note", person, Label(), name="c")
        assert (missed.ok, missed.sources) == (False, ("Cy", "Dee", "Eve"))
    specs = {tool.name: tool.spec for tool in note_tools(Notes(Memory(":memory:", "Bo")))}
    assert not specs["read_note"].outside


def test_a_note_for_some_is_for_nobody_else() -> None:
    """What a thought in everybody's hearing wrote of a confidence is for those of the confidence;
    what a mind notes by itself is its own."""
    use = labelled(Memory(":memory:", "Bo"))
    use("write_note", "*", Label((), ("Ada", "Cy")), name="ours", text="cake")
    use("write_note", "", Label(), name="mine", text="swim")
    use("write_note", "*", Label(), name="all", text="rain")
    assert use("list_notes", "*", Label()).value == ["all"]
    assert use("list_notes", "Ada", Label()).value == ["all", "ours"]
    assert use("list_notes", "Eve", Label()).value == ["all"]
    assert use("list_notes", "", Label()).value == ["all", "mine", "ours"]
    found = use("read_note", "Ada", Label(), name="ours")
    assert (found.value["text"], found.audience) == ("cake", ("Ada", "Cy"))
    for person in ("*", "Eve"):
        missed = use("read_note", person, Label(), name="ours")
        assert not missed.ok
        assert "ours" not in missed.error.removeprefix("ValueError: there is no note 'ours'")


class Plain:
    """A notebook of a user's own, which keeps no labels."""

    def __init__(self) -> None:
        self.held: dict[tuple[str, str], str] = {}

    def names(self, person: str) -> list[str]:
        """The names of somebody's notes."""
        return sorted(name for name, whose in self.held if person in ("", whose))

    def read(self, name: str, person: str) -> tuple[str, datetime] | None:
        """A note."""
        text = self.held.get((name, person))
        return None if text is None else (text, NINE)

    def write(self, name: str, text: str, *, at: datetime, person: str, key: str) -> None:
        """Keep a note."""
        self.held[name, person] = text

    def remove(self, name: str, *, at: datetime, person: str, key: str) -> None:
        """Keep it no longer."""
        self.held.pop((name, person))


def test_a_notebook_without_labels_goes_on_working() -> None:
    """Its notes are words from outside, and what is for some of those who hear is kept for the
    owner alone, since it could not keep it for them."""
    book = Plain()
    specs = {tool.name: tool.spec for tool in note_tools(book)}
    assert specs["read_note"].outside
    assert specs["list_notes"].outside
    assert not {tool.name: tool.spec for tool in note_tools(book, outside=False)}[
        "read_note"
    ].outside
    box = Toolbox(note_tools(book))
    for number, (person, audience) in enumerate(
        (("Ada", ()), ("Ada", ("Ada",)), ("*", ()), ("*", ("Ada", "Cy")), ("", ("Ada",)))
    ):
        context = ToolContext("Bo", NINE, person=person, label=Label(("Eve",), audience))
        given = {"name": f"n{number}", "text": "x"}
        assert box.call("write_note", given, context=context, key=f"k{number}").ok
    assert sorted(book.held) == [("n0", "Ada"), ("n1", "Ada"), ("n2", "*"), ("n3", ""), ("n4", "")]
