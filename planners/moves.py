"""The next move in a piece of work: a call, an answer, a question back, or giving up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from ..core import (
    NONE_OF_THESE,
    Choice,
    Choose,
    Failed,
    Json,
    Option,
    Seed,
    Thought,
    ToolSpec,
    choose,
    tool_option,
)
from .acting import world_tools
from .calling import FillMode, call_key, fill_arguments, forbids_action
from .filling import NOT_STATED
from .outcome import Task, ToolCallRecord, context_lines, known_facts
from .prompts import render_prompt

ActionKind: TypeAlias = Literal["call", "answer", "ask", "give_up"]

MAX_FILLS = 3
"""Tools whose arguments are filled in a round, at most."""
CLOSING_REASONS = ("denied", "budget", "unknown", "gone")
"""Reasons after which a tool is offered no more."""
ASK_BACK = tool_option(
    "ask_back", "Ask the person for something that is needed and that they have not said."
)


@dataclass(frozen=True, slots=True)
class NextAction:
    """What to do next; a call has its tool and the arguments, a question back the fields that
    a call needs and nobody told, where it is about those."""

    kind: ActionKind
    spec: ToolSpec | None = None
    arguments: Json = field(default=None, hash=False)
    probability: float = 0.0
    missing: tuple[str, ...] = ()


def answer_option(task: Task, made: Sequence[ToolCallRecord]) -> Option:
    """Answering as an option, told by what is known: a request whose answer has been found
    is likelier after that answer than after any tool."""
    found = [one.summary for one in made if one.ok and not one.doubted]
    known = " ".join([*task.known[-3:], *found[-3:]])
    return Option("answer", f"answer: {known or 'Greet, thank, or talk; no tool is needed.'}")


def available_tools(task: Task, made: Sequence[ToolCallRecord]) -> tuple[ToolSpec, ...]:
    """The tools that may be called now: not those closed to the agent, nor those that could
    only repeat a call."""
    done = {one.key for one in made} | set(task.barred)
    closed = {one.tool for one in made if one.reason in CLOSING_REASONS}
    specs = (*task.tools, *world_tools(task.can))
    return tuple(
        spec
        for spec in specs
        if spec.name not in closed
        and (_has_properties(spec) or call_key(spec.name, {}) not in done)
        and spec.name not in ("world.wait", "world.continue", "world.listen")
    )


def choose_next_action(
    task: Task,
    made: Sequence[ToolCallRecord],
    *,
    seed: Seed,
    may_ask: bool = True,
    may_answer: bool = True,
    way: FillMode = "fields",
) -> Thought[NextAction | Failed]:
    """The likeliest move that is not a call made before.

    One decision among tools, answering, asking back and none of these; only a tool's
    arguments are written, under its schema. What was called before with the same arguments
    is passed over for the next likeliest move, so nothing is ever called twice."""
    tools = () if forbids_action(task.goal) else available_tools(task, made)
    kinds: list[tuple[ActionKind, ToolSpec | None, Option]] = []
    if may_answer:
        kinds.append(("answer", None, answer_option(task, made)))
    for one in tools:
        kinds.append(("call", one, tool_option(one.name, one.description, one.parameters)))
    if may_ask:
        kinds.append(("ask", None, ASK_BACK))
    kinds.append(("give_up", None, NONE_OF_THESE))
    known = context_lines(task, made)
    options = tuple(option for _, _, option in kinds)
    picked = yield from choose(
        Choose(
            messages=render_prompt(
                "react",
                goal=task.goal,
                notes=known or ["nothing yet"],
                options=_option_lines(options),
            ),
            options=options,
            about=task.goal,
            role="tool",
            seed=seed.child("move").number,
        )
    )
    if not isinstance(picked, Choice):
        return picked
    spread = picked.probabilities
    done = {one.key for one in made} | set(task.barred)
    fills = 0
    # Of moves equally likely the one taken is the model's own, then in the order offered.
    order = sorted(range(len(kinds)), key=lambda i: (i != picked.index, -spread[i], i))
    for place in order:
        kind, spec, _ = kinds[place]
        if spec is None:
            return NextAction(kind, probability=spread[place])
        if fills == MAX_FILLS:
            continue
        fills += 1
        # A tiny model's own thoughts are no place to take arguments from.
        said = "\n".join(known if way == "whole" else known_facts(task, made))
        filled = yield from fill_arguments(
            spec, task.goal, seed=seed.child(spec.name), context=said, way=way, now=task.now
        )
        if isinstance(filled, Failed) and filled.reason == NOT_STATED and may_ask:
            return NextAction("ask", spec, None, spread[place], tuple(filled.detail.split(", ")))
        if not isinstance(filled, Failed) and call_key(spec.name, filled) not in done:
            return NextAction("call", spec, filled, spread[place])
    raise AssertionError("none of these is always a move")


def _option_lines(options: Sequence[Option]) -> list[str]:
    """Options as the prompt shows them, by their names, so that their order cannot matter."""
    lines = {one.name: one.description.partition("\n")[0] for one in options}
    return [f"- {name}: {text}" if text else f"- {name}" for name, text in sorted(lines.items())]


def _has_properties(spec: ToolSpec) -> bool:
    found = spec.parameters.get("properties") if isinstance(spec.parameters, dict) else None
    return bool(found)
