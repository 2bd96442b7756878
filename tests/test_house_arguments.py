"""No public name of the root answers a strange argument with a traceback from inside."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import denizens
import networkx
import pytest
from denizens import (
    Action,
    Agent,
    Completion,
    Daily,
    DenizensError,
    Generate,
    Memory,
    Persona,
    Places,
    Record,
    Seed,
    tool,
)
from denizens.core import ToolSpec
from denizens.store import Store
from denizens.testing import ScriptedModel
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

NOW = datetime(2026, 5, 1, 9)
STRANGE: list[Any] = [
    *("", " ", "\ud83d", "小明 हिन्दी مرحبا", "x" * 20_000, "a\0b", "../../up", "cafe\u0301"),
    *(None, True, -1, 0, 10**30, 1e308, float("nan"), float("inf"), b"\xff", object(), type),
    *([], [None], ["\ud83d"], (), {}, {"": None}, {"a": {"b": []}}, set(), lambda: None),
    *(date(2026, 5, 1), datetime(2026, 5, 1, tzinfo=UTC), NOW),
]

SQUARE = networkx.path_graph(["square", "well"])


@tool
def double(n: int) -> int:
    """Twice a number."""
    return 2 * n


def fine(folder: Path) -> dict[str, Any]:
    """A value that fits, by the name of a parameter or of its type."""
    model = ScriptedModel(lambda ask: Completion(text="Yes."))
    spec = ToolSpec("ring", "Ring a bell.", {"type": "object", "properties": {}})
    return {
        "agent": "Bo",
        "agents": [],
        "answer": lambda asks: (),
        "ask": Generate(messages=()),
        "can": (),
        "cls": Record,
        "data": {"kind": "generate", "messages": []},
        "folder": folder / "run",
        "function": lambda: None,
        "id": "Bo",
        "known": ["Bo"],
        "memory": Memory(":memory:", "Bo"),
        "model": model,
        "models": {"": model},
        "name": "Bo",
        "now": NOW,
        "path": folder / "bo.db",
        "persona": Persona(name="Bo"),
        "planner": Daily(),
        "question": "Who?",
        "run": folder / "run",
        "script": [Action("wait")],
        "seed": Seed.of(1),
        "source": folder / "x.toml",
        "spec": spec,
        "text": "Hello.",
        "tools": [double],
        "who": "Bo",
        "world": Places(SQUARE, start=NOW, step_seconds=60),
        "graph": SQUARE,
        "start": NOW,
        "step_seconds": 60,
        "store": Store(":memory:"),
    }


def names() -> list[str]:
    """What can be called: functions and classes, but no errors, protocols and types."""
    found = []
    for name in denizens.__all__:
        value = getattr(denizens, name)
        error = isinstance(value, type) and issubclass(value, BaseException)
        plain = dataclasses.is_dataclass(value) and not hasattr(value, "__post_init__")
        if plain or getattr(value, "__module__", "typing") in ("builtins", "datetime", "typing"):
            continue  # A record takes what it is given; it is read by from_json.
        callable_ = inspect.isfunction(value) or isinstance(value, type)
        if callable_ and not error and not getattr(value, "_is_protocol", False):
            found.append(name)
    return found


def called(value: Callable[..., Any], given_: dict[str, Any]) -> None:
    """Call it, and take the first of what it gives piece by piece."""
    signature = inspect.signature(value)
    bound = signature.bind_partial()
    bound.arguments.update(
        (
            name,
            (one,) if signature.parameters[name].kind == inspect.Parameter.VAR_POSITIONAL else one,
        )
        for name, one in given_.items()
    )
    made = value(*bound.args, **bound.kwargs)
    if inspect.isgenerator(made):
        for _ in made:
            break


def wanted(value: Callable[..., Any]) -> Iterator[inspect.Parameter]:
    for parameter in inspect.signature(value).parameters.values():
        if parameter.kind is not parameter.VAR_KEYWORD:
            yield parameter


@pytest.mark.parametrize("name", names())
@settings(
    max_examples=10,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
def test_strange_arguments(
    name: str, data: st.DataObject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever one or all of the arguments are: a result, or an error of ours that can be
    printed."""
    monkeypatch.chdir(tmp_path)
    value = getattr(denizens, name)
    good = fine(tmp_path)
    parameters = [*wanted(value)]
    strange = st.sampled_from(STRANGE)
    odd = data.draw(st.sampled_from([one.name for one in parameters] or [""]))
    everything = data.draw(st.booleans())
    given_: dict[str, Any] = {}
    for one in parameters:
        needed = one.default is one.empty and one.kind is not one.VAR_POSITIONAL
        if one.name == odd or (needed and (everything or one.name not in good)):
            given_[one.name] = data.draw(strange)
        elif needed:
            given_[one.name] = good[one.name]
    told = ""
    try:
        called(value, given_)
    except DenizensError as error:
        told = str(error)
    assert told.encode() is not None


METHODS: list[tuple[str, str]] = [
    *(("agent", name) for name in ("chat", "answer", "read", "learn", "requests")),
    *(
        ("memory", name)
        for name in ("remember", "recall", "add", "records", "record", "quarantine", "touch")
    ),
]


@pytest.mark.parametrize(("owner", "method"), METHODS)
@settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
def test_strange_arguments_of_methods(
    owner: str, method: str, data: st.DataObject, tmp_path: Path
) -> None:
    """The same for what an agent and a memory are asked most; afterwards they still work."""
    memory = Memory(":memory:", "Bo")
    agent = Agent(
        Persona(name="Bo"), model=ScriptedModel(lambda ask: Completion(text="Yes.")), memory=memory
    )
    value = getattr({"agent": agent, "memory": memory}[owner], method, None)
    if value is None:
        return
    parameters = [*wanted(value)]
    odd = data.draw(st.sampled_from([one.name for one in parameters] or [""]))
    good = fine(tmp_path)
    given_ = {
        one.name: data.draw(st.sampled_from(STRANGE))
        if one.name == odd or one.name not in good
        else good[one.name]
        for one in parameters
        if one.default is one.empty or one.name == odd
    }
    told = ""
    try:
        called(value, given_)
    except DenizensError as error:
        told = str(error)
    assert told.encode() is not None
    memory.remember("It rained.", at=NOW)
