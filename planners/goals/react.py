"""ReAct (Yao et al. 2023): choose an action, execute it, note the result, repeat.

Also the cross-check of tools that answered the same question.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import Literal, TypeAlias

from ...core import (
    NONE_OF_THESE,
    Call,
    Choice,
    Completion,
    Failed,
    Generate,
    Json,
    Option,
    Seed,
    Thought,
    ToolSpec,
    all_of,
    call,
    canonical,
    generate,
    to_json,
    tool_option,
)
from ..arguments import (
    NOT_STATED,
    FillMode,
    IncompleteCall,
    call_key,
    fill_arguments,
    forbids_action,
)
from ..steps import WORLD_TOOL_PREFIX, action_from_call, choose_among, render_prompt, world_tools
from .goal_queue import GoalPlanner
from .tasks import (
    Task,
    TaskOutcome,
    TaskStatus,
    ToolCallRecord,
    compose_answer,
    context_lines,
    known_facts,
)

ActionKind: TypeAlias = Literal["call", "answer", "ask", "give_up"]

MAX_FILLS = 3
"""Most tools per round whose arguments are filled."""
CLOSING_REASONS = ("denied", "budget", "unknown", "gone")
"""Reasons of failed calls after which a tool is no longer offered."""
ASK_BACK = tool_option(
    "ask_back", "Ask the person for something that is needed and that they have not said."
)


@dataclass(frozen=True, slots=True)
class NextAction:
    """The chosen action. A call has a tool and arguments; a question to the person may have
    ``missing``: the fields of a call that were not stated."""

    kind: ActionKind
    spec: ToolSpec | None = None
    arguments: Json = field(default=None, hash=False)
    probability: float = 0.0
    missing: tuple[str, ...] = ()


def answer_option(task: Task, calls: Sequence[ToolCallRecord]) -> Option:
    """The option of answering, described by the latest known facts: a request is likelier after
    its answer than after the description of any tool."""
    results = [call.summary for call in calls if call.ok and not call.doubted]
    known = " ".join([*task.known[-3:], *results[-3:]])
    return Option("answer", f"answer: {known or 'Greet, thank, or talk; no tool is needed.'}")


def available_tools(task: Task, calls: Sequence[ToolCallRecord]) -> tuple[ToolSpec, ...]:
    """The tools that can be called now: without those closed to the agent, and those without
    parameters that were called already."""
    done = {call.key for call in calls} | set(task.forbidden)
    closed = {call.tool for call in calls if call.reason in CLOSING_REASONS}
    return tuple(
        spec
        for spec in (*task.tools, *world_tools(task.can))
        if spec.name not in closed
        and (_has_properties(spec) or call_key(spec.name, {}) not in done)
        and spec.name not in ("world.wait", "world.continue", "world.listen")
    )


def choose_next_action(
    task: Task,
    calls: Sequence[ToolCallRecord],
    *,
    seed: Seed,
    may_ask: bool = True,
    may_answer: bool = True,
    way: FillMode = "fields",
) -> Thought[NextAction | Failed]:
    """The most likely action that repeats no earlier call.

    One choice among the tools, an answer, a question to the person, and none of these; then the
    arguments of the tool are filled. A call with the same arguments as an earlier one is skipped
    for the next most likely action. Failed if the model cannot choose."""
    tools = () if forbids_action(task.goal) else available_tools(task, calls)
    actions: list[tuple[ActionKind, ToolSpec | None, Option]] = []
    if may_answer:
        actions.append(("answer", None, answer_option(task, calls)))
    for tool in tools:
        actions.append(("call", tool, tool_option(tool.name, tool.description, tool.parameters)))
    if may_ask:
        actions.append(("ask", None, ASK_BACK))
    actions.append(("give_up", None, NONE_OF_THESE))
    notes = context_lines(task, calls)
    options = tuple(option for _, _, option in actions)
    messages = render_prompt(
        "react", goal=task.goal, notes=notes or ["nothing yet"], options=_option_lines(options)
    )
    choice = yield from choose_among(
        options, about=task.goal, role="tool", seed=seed.child("move").number, messages=messages
    )
    if not isinstance(choice, Choice):
        return choice
    probabilities = choice.probabilities
    done = {call.key for call in calls} | set(task.forbidden)
    fills = 0
    # The chosen action first, the others by probability.
    order = sorted(range(len(actions)), key=lambda i: (i != choice.index, -probabilities[i], i))
    for index in order:
        kind, spec, _ = actions[index]
        probability = probabilities[index]
        if spec is None:
            return NextAction(kind, probability=probability)
        if fills == MAX_FILLS:
            continue
        fills += 1
        # Hints may be thoughts of a small model, from which no argument is taken.
        context = "\n".join(notes if way == "whole" else known_facts(task, calls))
        arguments = yield from fill_arguments(
            spec, task.goal, seed=seed.child(spec.name), context=context, way=way, now=task.now
        )
        if isinstance(arguments, Failed):
            if arguments.reason == NOT_STATED and may_ask:
                missing = tuple(arguments.detail.split(", "))
                return NextAction("ask", spec, probability=probability, missing=missing)
        elif call_key(spec.name, arguments) not in done:
            return NextAction("call", spec, arguments, probability)
    raise AssertionError("giving up is always possible")


def _option_lines(options: Sequence[Option]) -> list[str]:
    """The options for the prompt, sorted by name, so that their order has no influence."""
    lines = {option.name: option.description.partition("\n")[0] for option in options}
    return [f"- {name}: {text}" if text else f"- {name}" for name, text in sorted(lines.items())]


def _has_properties(spec: ToolSpec) -> bool:
    return isinstance(spec.parameters, dict) and bool(spec.parameters.get("properties"))


AGREE = Option("agree", "Both say the same.")
CONTRADICT = Option("contradict", "They say different things; both cannot be right.")


def cross_check(
    task: Task, calls: Sequence[ToolCallRecord], *, seed: Seed
) -> Thought[tuple[tuple[ToolCallRecord, ...], bool]]:
    """The calls with contradicted ones marked as doubted, and whether a contradiction is open.

    Results of different tools for the same arguments are compared: equal texts agree, for
    others the model decides. A result outside the majority is doubted; without a majority all
    results are doubted and the contradiction is open."""
    by_arguments: dict[str, list[int]] = {}
    for index, record in enumerate(calls):
        if record.ok and record.arguments:
            by_arguments.setdefault(canonical(record.arguments), []).append(index)
    groups = [group for group in by_arguments.values() if len({calls[i].tool for i in group}) > 1]
    pairs = [pair for group in groups for pair in combinations(group, 2)]
    agreements = yield from all_of(
        [_results_agree(task, calls[i], calls[j], seed) for i, j in pairs]
    )
    agree = dict(zip(pairs, agreements))
    doubted: set[int] = set()
    is_open = False
    for group in groups:
        supporters = {i: sum(agree[min(i, j), max(i, j)] for j in group if j != i) for i in group}
        if all(count == len(group) - 1 for count in supporters.values()):
            continue
        majority = {i for i in group if 2 * (supporters[i] + 1) > len(group)}
        doubted |= set(group) - majority
        is_open = is_open or not majority
    marked = tuple(replace(call, doubted=index in doubted) for index, call in enumerate(calls))
    return marked, is_open


def _results_agree(
    task: Task, first: ToolCallRecord, second: ToolCallRecord, seed: Seed
) -> Thought[bool]:
    if first.text.strip().lower() == second.text.strip().lower():
        return True
    about = f"{task.goal} {first.summary}. {second.summary}."
    choice = yield from choose_among(
        (AGREE, CONTRADICT), about=about, role="check", seed=seed.child("agree").number
    )
    # If the model fails, different texts do not agree.
    return isinstance(choice, Choice) and choice.index == 0


@dataclass(frozen=True, slots=True, kw_only=True)
class React(GoalPlanner):
    """Works on a goal in rounds (Yao et al. 2023): choose an action, execute it, note the result.

    Each round chooses by likelihood among the tools, the affordances of the world, an answer, a
    question to the person, and giving up. Nothing is parsed from prose, and no call is repeated.

    ``rounds``: most rounds of a goal over all steps of a run. ``check``: compare sources that
    answered the same question before the answer, and call one more if they contradict each
    other. ``ask_back``: a person may be asked. ``borne``: the share of an answer's words that
    must occur in the results, else the results are the answer, since a small model embellishes
    (0: no check). ``way``: how arguments are filled; see ``fill_arguments``.
    """

    rounds: int = 8
    check: bool = True
    ask_back: bool = True
    borne: float = 0.4
    way: FillMode = "fields"

    def most_asks(self, fields: int = 4) -> int:
        """An upper bound on the asks of a goal, with tools of at most ``fields`` fields."""
        pairs = self.rounds * (self.rounds - 1) // 2 if self.check else 0
        # Two asks for all fields together, and at most six for each.
        filling = 1 if self.way == "whole" else 2 + 6 * fields
        return self.rounds * (2 + MAX_FILLS * filling + pairs) + 1

    def work(self, task: Task) -> Thought[TaskOutcome]:
        """Work on a task until it has ended, or until an action in the world or a person's
        answer is needed."""
        calls = list(task.calls)
        first_round = int((task.progress or {}).get("rounds", 0))
        contradicted = False  # another source must be called before the answer
        for number in range(first_round, self.rounds):
            seed = task.seed.child("round", number)
            action = yield from choose_next_action(
                task,
                calls,
                seed=seed,
                may_ask=self.ask_back,
                may_answer=not contradicted,
                way=self.way,
            )
            if isinstance(action, Failed):
                return _outcome("failed", calls, f"no decision ({action.reason}): {action.detail}")
            if action.kind == "ask":
                return (yield from _ask_back(task, calls, number + 1, action))
            if action.kind == "answer" or (action.kind == "give_up" and contradicted):
                is_open = False
                if self.check:
                    checked, is_open = yield from cross_check(task, calls, seed=seed)
                    calls = list(checked)
                if is_open and not contradicted:
                    contradicted = True
                    continue
                return (yield from compose_answer(task, calls, borne=self.borne))
            if action.kind == "give_up":
                return _outcome("gave_up", calls, "nothing that could be done fits what is wanted")
            if (waiting := _world_action(task, calls, action, number + 1)) is not None:
                return waiting
            yield from _execute_call(task, calls, action)
            contradicted = False
        return _outcome("stopped", calls, f"not done within {self.rounds} rounds")


def _outcome(status: TaskStatus, calls: Sequence[ToolCallRecord], why: str) -> TaskOutcome:
    return TaskOutcome(status=status, calls=tuple(calls), why=why)


def _progress_json(calls: Sequence[ToolCallRecord], rounds: int) -> dict[str, object]:
    return {"rounds": rounds, "made": [to_json(call) for call in calls]}


def _world_action(
    task: Task, calls: Sequence[ToolCallRecord], chosen: NextAction, rounds: int
) -> TaskOutcome | None:
    """The outcome that waits for an action in the world; None for other tools."""
    spec = chosen.spec
    assert spec is not None, "only asked of calls"
    if not spec.name.startswith(WORLD_TOOL_PREFIX):
        return None
    action = action_from_call(spec.name, chosen.arguments, task.can)
    if action is None:
        return _outcome("failed", calls, f"{spec.name} is not afforded with {chosen.arguments}")
    done = ToolCallRecord(tool=spec.name, arguments=chosen.arguments, text="done")
    calls = (*calls, done)
    return TaskOutcome(
        status="waiting",
        calls=calls,
        action=action,
        why=f"does this in the world: {action.verb} {action.target}".rstrip(),
        progress=_progress_json(calls, rounds),
    )


def _execute_call(task: Task, calls: list[ToolCallRecord], chosen: NextAction) -> Thought[None]:
    assert chosen.spec is not None, "only asked of calls"
    name = chosen.spec.name
    answer = yield from call(Call(tool=name, arguments=chosen.arguments, why=task.goal))
    calls.append(ToolCallRecord.from_answer(name, chosen.arguments, answer))


def _ask_back(
    task: Task, calls: Sequence[ToolCallRecord], rounds: int, chosen: NextAction
) -> Thought[TaskOutcome]:
    """The outcome that waits for a person's answer, with the question."""
    if chosen.missing and chosen.spec is not None:
        return TaskOutcome(
            status="waiting",
            answer=IncompleteCall(chosen.spec, chosen.missing, chosen.probability).question,
            calls=tuple(calls),
            why=f"{', '.join(chosen.missing)} of {chosen.spec.name} was not said",
            progress=_progress_json(calls, rounds),
        )
    question = yield from generate(
        Generate(
            messages=render_prompt(
                "ask_back", goal=task.goal, notes=context_lines(task, calls) or ["nothing"]
            ),
            max_tokens=48,
            temperature=0.0,
            seed=task.seed.child("ask back").number,
            stop=("\n",),
            role="ask_back",
        )
    )
    if not isinstance(question, Completion):
        return _outcome("failed", calls, f"no question: {question.detail}")
    return TaskOutcome(
        status="waiting",
        answer=question.text.strip(),
        calls=tuple(calls),
        why="something needed was not said",
        progress=_progress_json(calls, rounds),
    )
