"""Which of a client's tools the plain model calls, by likelihood, and with which arguments."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ...core import Failed, Json, Seed, Thought, ToolSpec
from ...planners import IncompleteCall, call_key, fill_arguments, propose_call
from ...planners.dialogue import TALK_OPTIONS
from .chat_task import ChatLine, ChatTask, FunctionCall, parsed_arguments

MARGIN = 0.6  # probability of a tool from which on it is called; that of Dialogue
MAX_CONTEXT_CHARS = 4_000  # of earlier lines, from which arguments may be taken
MAX_REQUEST_CHARS = 8_000  # of the last message; a longer one is read from its end


@dataclass(frozen=True, slots=True)
class ToolQuestion:
    """A question to the person, since a call needs what was not said."""

    text: str


def choose_call(task: ChatTask, seed: Seed) -> Thought[FunctionCall | ToolQuestion | Failed | None]:
    """The call that the conversation asks for (without an id); None if it asks for none.

    A call that must be made is made in any case: what was not stated is then generated."""
    request, context, done = tool_request(task)
    seed = seed.child("tool")
    if task.tool:
        spec = next(tool for tool in task.tools if tool.name == task.tool)
        return (yield from _forced_call(spec, request, context, seed))
    if task.tool_choice == "required":
        return (yield from _required_call(task, request, context, done, seed))
    proposed = yield from propose_call(
        request,
        task.tools,
        seed=seed,
        done=done,
        context=context,
        none=False,
        others=TALK_OPTIONS,
        margin=MARGIN,
    )
    if isinstance(proposed, IncompleteCall):
        return ToolQuestion(proposed.question)
    return None if proposed is None else _function_call(proposed.tool.name, proposed.arguments)


def tool_request(task: ChatTask) -> tuple[str, str, tuple[str, ...]]:
    """What the person said last, the text around it, and the keys of the calls made for it."""
    lines = task.lines
    last = max((i for i, line in enumerate(lines) if line.role == "user"), default=-1)
    request = lines[last].text[-MAX_REQUEST_CHARS:] if last >= 0 else ""
    begin = max((i for i, line in enumerate(lines) if _names_a_tool(line, task.tools)), default=-1)
    texts = [
        line.text
        for place, line in enumerate(lines)
        if place > begin and place != last and line.role != "system"
    ]
    calls = [call for line in lines[last + 1 :] for call in line.calls]
    done = tuple(call_key(call.name, parsed_arguments(call)) for call in calls)
    return request, "\n".join(filter(None, texts))[-MAX_CONTEXT_CHARS:], done


def _names_a_tool(line: ChatLine, tools: Sequence[ToolSpec]) -> bool:
    """Whether an assistant's message tells a call in words, as smolagents does; values are then
    taken from what follows it."""
    return line.role == "assistant" and any(tool.name in line.text for tool in tools)


def _required_call(
    task: ChatTask, request: str, context: str, done: Sequence[str], seed: Seed
) -> Thought[FunctionCall | Failed]:
    """The most likely call that was not made before; some clients (smolagents) tell the calls
    that were made in words."""
    # "reads" lets the model supply what was not stated.
    relaxed = [replace(tool, effect="reads") for tool in task.tools]
    for _ in task.tools:
        proposed = yield from propose_call(
            request or context or ".", relaxed, seed=seed, done=done, context=context, none=False
        )
        if isinstance(proposed, IncompleteCall):
            return (yield from _forced_call(proposed.tool, request, context, seed))
        if proposed is None:
            break
        name, arguments = proposed.tool.name, proposed.arguments
        if not any(_tells(line, name, arguments) for line in task.lines):
            return _function_call(name, arguments)
        done = (*done, call_key(name, arguments))
    left = [tool for tool in task.tools if not any(k.startswith(f'["{tool.name}"') for k in done)]
    return (yield from _forced_call((left or list(task.tools))[0], request, context, seed))


def _tells(line: ChatLine, name: str, arguments: Json) -> bool:
    """Whether a message of the assistant holds a call: its name and all its values."""
    if line.role != "assistant" or not isinstance(arguments, dict):
        return False
    values = [
        value if isinstance(value, str) else json.dumps(value) for value in arguments.values()
    ]
    return all(text in line.text for text in (name, *values))


def _forced_call(
    spec: ToolSpec, request: str, context: str, seed: Seed
) -> Thought[FunctionCall | Failed]:
    """A call of this tool: arguments as stated, else generated under the schema."""
    relaxed = replace(spec, effect="reads")
    arguments = yield from fill_arguments(relaxed, request, seed=seed, context=context)
    if isinstance(arguments, Failed):
        arguments = yield from fill_arguments(
            relaxed, request, seed=seed, context=context, way="whole"
        )
    return arguments if isinstance(arguments, Failed) else _function_call(spec.name, arguments)


def _function_call(name: str, arguments: Json) -> FunctionCall:
    return FunctionCall("", name, json.dumps(arguments, ensure_ascii=False))
