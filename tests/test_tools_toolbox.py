"""The toolbox: what a model and a tool may do wrong, and what comes back."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

import pytest
from denizens.agents import Agent, run_tool
from denizens.core import Json, Label, Persona, ToolError, ToolResult, ToolSpec
from denizens.memory import Memory, ToolCallLog
from denizens.models import ImprovisedModel
from denizens.store import Store
from denizens.tools import AnyTool, Tool, Toolbox, ToolContext, tool, tool_by_name
from hypothesis import given
from hypothesis import strategies as st

BO = ToolContext("Bo", datetime(2023, 2, 13, 9, 30))


@tool
def add(first: int, second: int = 1) -> int:
    """Add two whole numbers."""
    return first + second


@tool(effect="reads")
async def slow(text: str) -> str:
    """Answer a little later."""
    await asyncio.sleep(0)
    return text.upper()


@tool(effect="acts")
def break_down() -> str:
    """Fail."""
    raise KeyError("no oven")


@tool
def whoami(context: ToolContext) -> list[str]:
    """Tell who calls."""
    return [context.who, context.now.isoformat(), context.key]


@tool
def give(kind: str) -> object:
    """Return something awkward."""
    return {"set": {3}, "nan": float("nan"), "object": object(), "long": "x" * 50}[kind]


def box() -> Toolbox:
    return Toolbox([add, slow, break_down, whoami, give], limit=45)


def call(name: str, arguments: Json, key: str = "1/Bo/1.0") -> ToolResult:
    return box().call(name, arguments, context=BO, why="to see", key=key)


def test_a_call_returns_the_value_and_a_receipt() -> None:
    """A good call is ok, has its value, and a receipt made of its key alone."""
    result = call("add", {"first": 2, "second": 3})
    assert (result.ok, result.value, result.error) == (True, 5, "")
    assert result.receipt == call("add", {"first": 7}).receipt == "add-a17d009e220e937f"
    assert result.receipt != call("add", {"first": 2}, key="2/Bo/1.0").receipt


def test_an_async_tool_is_awaited() -> None:
    """An async function gives its value, also when the caller's loop is running."""
    assert call("slow", {"text": "tea"}).value == "TEA"

    async def inside() -> ToolResult:
        return call("slow", {"text": "tea"})

    assert asyncio.run(inside()).value == "TEA"


def test_context_is_injected_and_cannot_be_forged() -> None:
    """A tool learns who calls from the caller; an argument of that name is refused."""
    assert call("whoami", {}).value == ["Bo", "2023-02-13T09:30:00", "1/Bo/1.0"]
    forged = call("whoami", {"context": {"who": "Al", "now": "2023-01-01"}})
    assert not forged.ok
    assert "there is no argument 'context'" in forged.error


@pytest.mark.parametrize(
    ("name", "arguments", "words"),
    [
        ("ad", {}, "there is no tool 'ad' (did you mean 'add'?); tools: add, slow"),
        ("add", {}, "add: argument 'first' is missing"),
        ("add", {"frist": 1}, "no argument 'frist' (did you mean 'first'?); arguments: first, "),
        ("add", {"first": "two"}, "argument 'first': Input should be a valid integer"),
        ("add", [1, 2], "must be an object of named values, not a list"),
        ("add", None, "must be an object of named values, not a NoneType"),
        ("add", {"first": "9" * 5000}, "argument 'first'"),
    ],
)
def test_a_models_mistakes_are_answered(name: str, arguments: Json, words: str) -> None:
    """What a model gets wrong is data: a short message to mend it by, and no receipt."""
    result = call(name, arguments)
    assert not result.ok
    assert words in result.error
    assert len(result.error) < 400
    assert result.receipt == ""


def test_an_exception_is_named_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    """A tool's exception becomes an error with its type, is logged, and keeps the receipt."""
    with caplog.at_level(logging.DEBUG, logger="denizens.tools"):
        result = call("break_down", {})
    assert (result.ok, result.error) == (False, "KeyError: 'no oven'")
    assert result.receipt
    assert "tool break_down, called by Bo: KeyError: 'no oven'" in caplog.text
    assert "Traceback" in caplog.text


@pytest.mark.parametrize(
    ("kind", "words"),
    [("nan", "cannot be written as JSON"), ("object", "cannot be written"), ("long", "52 char")],
)
def test_a_result_must_be_small_json(kind: str, words: str) -> None:
    """A result that no record could keep is an error that says the tool did run."""
    result = call("give", {"kind": kind})
    assert not result.ok
    assert "ran, but its result" in result.error
    assert words in result.error
    assert result.receipt


def test_a_result_becomes_plain_json() -> None:
    """Sets, dates and dataclasses arrive as JSON values."""
    assert call("give", {"kind": "set"}).value == [3]


def test_keyboard_interrupt_passes() -> None:
    """Ctrl-C inside a tool stops the run; it is not a tool's error."""

    @tool
    def stop() -> None:
        """Interrupt."""
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Toolbox([stop]).call("stop", {}, context=BO, key="k")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)


@given(st.sampled_from(["add", "slow", "whoami", "", "ADD"]), json_values)
def test_nothing_a_model_sends_raises(name: str, arguments: Json) -> None:
    """Any name with any JSON comes back as a result that is JSON itself."""
    result = call(name, arguments)
    assert result.ok == (result.error == "")
    json.dumps([result.value, result.error], allow_nan=False)


def test_names_are_unique() -> None:
    """Two tools of one name are refused: the second would shadow the first."""
    with pytest.raises(ToolError, match="two tools are called 'add'"):
        Toolbox([add, add])


def test_a_plain_function_is_refused() -> None:
    """A function without @tool is refused with the remedy."""
    with pytest.raises(ToolError, match="decorate the function with @tool"):
        Toolbox([len])  # type: ignore[list-item]


def test_specs_keep_their_order() -> None:
    """What a mind is shown stands in the order given, so prompts do not change by chance."""
    assert list(box().names()) == ["add", "slow", "break_down", "whoami", "give"]
    assert tuple(spec.name for spec in box().specs()) == box().names()
    assert box().spec("slow").effect == "reads"
    assert ("slow" in box(), len(box())) == (True, 5)
    with pytest.raises(ToolError, match="did you mean 'slow'"):
        box().spec("slo")


def test_built_ins_and_ones_own_are_found_alike() -> None:
    """A tool of another module comes by the same path as a built-in one."""
    assert tool_by_name("calculator") is tool_by_name(
        "denizens.tools.builtin.arithmetic:calculator"
    )
    assert isinstance(tool_by_name("clock"), Tool)
    assert [found.name for found in Toolbox(["clock", "calendar"])] == ["clock", "calendar"]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("calculater", "did you mean 'calculator'"),
        ("no_such_module:go", "cannot import no_such_module"),
        ("denizens.tools:calculater", "has no 'calculater' (did you mean 'calculator'?)"),
        ("denizens.core:Seed", "decorate 'Seed' with @tool"),
        (":x", "write it as 'package.module:function'"),
    ],
)
def test_a_wrong_name_is_told(name: str, words: str) -> None:
    """A tool that a setting names wrongly fails with what was not found."""
    with pytest.raises(ToolError) as caught:
        tool_by_name(name)
    assert words in str(caught.value)


class Foreign:
    """A tool that no decorator made: it comes from a server of somebody else."""

    name = "far.away.echo"
    spec = ToolSpec("far.away.echo", "Say it again.", {"type": "object"}, outside=True)
    context = ""

    def arguments(self, given: Mapping[str, Json]) -> dict[str, Json]:
        """Pass on what has a text."""
        if "text" not in given:
            raise ValueError("give it a text")
        return dict(given)

    def function(self, text: str) -> str:
        """Say it again."""
        return text


def test_a_foreign_tool_fits() -> None:
    """Whatever has the parts of a tool is one, under a dotted name; its own complaint about
    arguments comes back like a schema's."""
    assert isinstance(Foreign(), AnyTool)
    far = Toolbox([Foreign(), add])
    called = far.call("far.away.echo", {"text": "hi"}, context=BO, key="k")
    assert (called.value, called.reason) == ("hi", "")
    assert called.receipt.startswith("far.away.echo-")
    refused = far.call("far.away.echo", {}, context=BO, key="k")
    assert (refused.reason, refused.error) == ("arguments", "far.away.echo: give it a text")


@pytest.mark.parametrize("name", ["a..b", ".a", "a.", "1a", "a.1", "a b", "", "a" * 65])
def test_a_name_must_fit_a_prompt(name: str) -> None:
    """Also a foreign tool's name is checked: nothing but letters, digits, _, - and dots."""

    class Named(Foreign):
        """One of another name."""

    Named.name = name
    with pytest.raises(ToolError, match="a name has letters"):
        Toolbox([Named()])


@pytest.mark.parametrize(
    ("name", "arguments", "reason"),
    [
        ("nothing", {}, "unknown"),
        ("add", {}, "arguments"),
        ("add", [], "arguments"),
        ("break_down", {}, "failed"),
        ("give", {"kind": "nan"}, "result"),
        ("give", {"kind": "long"}, "result"),
        ("add", {"first": 1}, ""),
    ],
)
def test_every_fault_has_its_reason(name: str, arguments: Json, reason: str) -> None:
    """What a planner goes on by is a word, not the text of a message."""
    assert call(name, arguments).reason == reason


def test_a_result_can_always_be_written(tmp_path: Path) -> None:
    """What no file can hold, as names of files may have it, is replaced in values and errors: the
    receipt of what was done is kept, and the same call said again is no doubt."""

    @tool(effect="acts")
    def move() -> dict[str, str]:
        """Move a file."""
        return {"name": "to\udcff"}

    @tool(effect="acts")
    def fail() -> None:
        """Fail at a file."""
        raise ValueError("no name\udcff")

    with Store(tmp_path / "bo.db") as store:
        memory = Memory(store, "Bo")
        bo = Agent(Persona(name="Bo"), model=ImprovisedModel(), memory=memory, tools=[move, fail])
        moved = run_tool(bo, "move", {}, at=datetime(2023, 2, 13))
        assert moved.value == {"name": "to?"}
        assert run_tool(bo, "fail", {}, at=datetime(2023, 2, 13)).error == "ValueError: no name?"
        assert [entry.state for _, entry in ToolCallLog(store).entries()] == ["done", "done"]


def test_a_tool_that_exits_ends_nobody() -> None:
    """A tool that calls sys.exit, as command-line libraries do, has failed like any other."""

    @tool
    def leave() -> None:
        """Leave."""
        raise SystemExit(3)

    found = Toolbox([leave]).call("leave", {}, context=BO, key="k")
    assert (found.reason, found.error) == ("failed", "SystemExit: 3")


def test_arguments_that_cannot_be_written_are_refused(tmp_path: Path) -> None:
    """Half of a surrogate pair in an argument is refused in words before anything is written or
    done; it ends no chat by an exception."""
    done: list[str] = []

    @tool(effect="acts")
    def post(text: str) -> None:
        """Post a letter."""
        done.append(text)

    with Store(tmp_path / "bo.db") as store:
        memory = Memory(store, "Bo")
        bo = Agent(Persona(name="Bo"), model=ImprovisedModel(), memory=memory, tools=[post])
        found = run_tool(bo, "post", {"text": "a\udcff"}, at=datetime(2023, 2, 13))
        assert found.reason == "arguments"
        assert "surrogate" in found.error
        assert run_tool(bo, "post", {"text": "a \\udcff 😀"}, at=datetime(2023, 2, 13)).ok
    assert done == ["a \\udcff 😀"]


@pytest.mark.parametrize("seconds", [0.0, 5.0])
@pytest.mark.parametrize("fails", [False, True])
def test_a_tool_says_on_whose_words_its_result_rests(seconds: float, fails: bool) -> None:
    """The labels that a tool tells are joined and come with its result, also where it fails or
    runs in another thread; the model sees nothing of them, and what is no label is an error."""
    seen: list[Label] = []

    @tool(effect="reads", timeout=seconds)
    def read(context: ToolContext) -> str:
        """Read what is written on the wall."""
        seen.append(context.label)
        context.add_label(Label(("Eve",), ("Ada", "Cy")))
        context.add_label(Label(("Ada", "document:a"), ("Ada",)))
        if fails:
            raise ValueError("smudged")
        return "hello"

    label = Label(("Dee",), ("Ada",))
    context = ToolContext("Bo", BO.now, label=label)
    result = Toolbox([read]).call("read", {}, context=context, key="k")
    assert (result.sources, result.audience) == (("Ada", "Eve", "document:a"), ("Ada",))
    assert (result.ok, seen) == (not fails, [label])
    assert read.spec.parameters["properties"] == {}


@pytest.mark.parametrize("wrong", ["Eve", ("Eve",), Label("Eve"), Label((), "Ada")])  # type: ignore[arg-type]
def test_what_is_no_label_is_told(wrong: object) -> None:
    """A name in the place of a label would be read letter by letter."""

    @tool
    def read(context: ToolContext) -> str:
        """Read."""
        context.add_label(wrong)  # type: ignore[arg-type]
        return "hello"

    result = Toolbox([read]).call("read", {}, context=BO, key="k")
    assert "add_label() takes a Label" in result.error
