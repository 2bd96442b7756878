"""The next move in a piece of work: a call, an answer, a question back, or giving up.

Sources held against each other: a tool that lies is found out where others were asked.

Thought, tool, result, answer: work off a goal call by call.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

from ...core import (
    NONE_OF_THESE,
    Call,
    Choice,
    Choose,
    Completion,
    Decision,
    Failed,
    Generate,
    Json,
    Option,
    Seed,
    Situation,
    Thought,
    ToolSpec,
    all_of,
    call,
    canonical,
    choose,
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
from ..steps import WORLD_TOOL_PREFIX, action_from_call, render_prompt, world_tools
from .goal_queue import pursue_goals
from .tasks import Task, TaskOutcome, ToolCallRecord, compose_answer, context_lines, known_facts

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


AGREE = Option("agree", "Both say the same.")
CONTRADICT = Option("contradict", "They say different things; both cannot be right.")


def cross_check(
    task: Task, made: Sequence[ToolCallRecord], *, seed: Seed
) -> Thought[tuple[tuple[ToolCallRecord, ...], bool]]:
    """The calls, those marked that other sources do not bear out, and whether a contradiction
    stands open.

    Only answers of different tools to the same arguments are compared. Equal ones agree; for
    the rest a model says whether they do. What contradicts a majority is doubted; where there
    is none, all are."""
    groups: dict[str, list[int]] = {}
    for place, one in enumerate(made):
        if one.ok and one.arguments:
            groups.setdefault(canonical(one.arguments), []).append(place)
    alike = [group for group in groups.values() if len({made[i].tool for i in group}) > 1]
    pairs = [(i, j) for group in alike for at, i in enumerate(group) for j in group[at + 1 :]]
    agreed = yield from all_of([_results_agree(task, made[i], made[j], seed) for i, j in pairs])
    found = dict(zip(pairs, agreed))
    doubted: set[int] = set()
    open_ = False
    for group in alike:
        friends = {i: sum(found[min(i, j), max(i, j)] for j in group if j != i) for i in group}
        if all(count == len(group) - 1 for count in friends.values()):
            continue
        most = {i for i in group if 2 * (friends[i] + 1) > len(group)}
        doubted |= set(group) - most
        open_ = open_ or not most
    marked = tuple(replace(one, doubted=place in doubted) for place, one in enumerate(made))
    return marked, open_


def _results_agree(
    task: Task, one: ToolCallRecord, other: ToolCallRecord, seed: Seed
) -> Thought[bool]:
    if one.text.strip().lower() == other.text.strip().lower():
        return True
    picked = yield from choose(
        Choose(
            messages=(),
            options=(AGREE, CONTRADICT),
            about=f"{task.goal} {one.summary}. {other.summary}.",
            role="check",
            seed=seed.child("agree").number,
        )
    )
    # Where no model can say, what differs is not taken for the same.
    return isinstance(picked, Choice) and picked.index == 0


@dataclass(frozen=True, slots=True, kw_only=True)
class React:
    """Works on a goal in rounds (Yao et al. 2023): decide, call, note the result.

    Each round decides by likelihood among the tools, what the world affords, answering,
    asking back and giving up; nothing is parsed from prose, and no call is made twice.
    ``rounds`` bounds the decisions of a goal over all steps of a run. With ``check``,
    sources that answered the same question are compared before the answer, and one more is
    asked where they contradict each other. With ``ask_back`` a person may be asked.
    ``borne`` is the share of the answer's words that must stand in what was found, else that
    is given as it is: a tiny model paints out what it was told (0: off, for models that do
    not). ``way`` is how arguments are filled in, see ``fill``.
    """

    rounds: int = 8
    check: bool = True
    ask_back: bool = True
    borne: float = 0.4
    way: FillMode = "fields"

    def most_asks(self, fields: int = 4) -> int:
        """More asks than this no goal takes, whatever the model answers, with tools of at most
        so many ``fields``."""
        pairs = self.rounds * (self.rounds - 1) // 2 if self.check else 0
        # By fields: two for all of them together, and at most six for each.
        filling = 1 if self.way == "whole" else 2 + 6 * fields
        return self.rounds * (2 + MAX_FILLS * filling + pairs) + 1

    def decide(self, situation: Situation) -> Thought[Decision]:
        """Work on the first open goal; without one, go on or wait."""
        return (yield from pursue_goals(self, situation))

    def work(self, task: Task) -> Thought[TaskOutcome]:
        """Work off one task, or up to the next thing to do in the world."""
        made = list(task.made)
        begun = int((task.progress or {}).get("rounds", 0))
        settling = False
        for number in range(begun, self.rounds):
            seed = task.seed.child("round", number)
            move = yield from choose_next_action(
                task,
                made,
                seed=seed,
                may_ask=self.ask_back,
                may_answer=not settling,
                way=self.way,
            )
            if isinstance(move, Failed):
                return _outcome("failed", made, f"no decision ({move.reason}): {move.detail}")
            if move.kind == "ask":
                return (yield from _ask_back(task, made, number + 1, move))
            if move.kind == "answer" or (move.kind == "give_up" and settling):
                open_ = False
                if self.check:
                    checked, open_ = yield from cross_check(task, made, seed=seed)
                    made = list(checked)
                if open_ and not settling:
                    settling = True
                    continue
                return (yield from compose_answer(task, made, borne=self.borne))
            if move.kind == "give_up":
                return _outcome("gave_up", made, "nothing that could be done fits what is wanted")
            if (acting := _world_action(task, made, move, number + 1)) is not None:
                return acting
            yield from _execute_call(task, made, move)
            settling = False
        return _outcome("stopped", made, f"not done within {self.rounds} rounds")


def _outcome(status: str, made: Sequence[ToolCallRecord], why: str) -> TaskOutcome:
    return TaskOutcome(status=status, calls=tuple(made), why=why)  # type: ignore[arg-type]


def _progress_json(made: Sequence[ToolCallRecord], rounds: int) -> dict[str, object]:
    return {"rounds": rounds, "made": [to_json(one) for one in made]}


def _world_action(
    task: Task, made: Sequence[ToolCallRecord], move: NextAction, rounds: int
) -> TaskOutcome | None:
    """What to do in the world, where the move is that."""
    assert move.spec is not None, "only asked of calls"
    if not move.spec.name.startswith(WORLD_TOOL_PREFIX):
        return None
    action = action_from_call(move.spec.name, move.arguments, task.can)
    if action is None:
        return _outcome("failed", made, f"{move.spec.name} is not afforded with {move.arguments}")
    done = ToolCallRecord(tool=move.spec.name, arguments=move.arguments, text="done")
    calls = (*made, done)
    return TaskOutcome(
        status="waiting",
        calls=calls,
        action=action,
        why=f"does this in the world: {action.verb} {action.target}".rstrip(),
        progress=_progress_json(calls, rounds),
    )


def _execute_call(task: Task, made: list[ToolCallRecord], move: NextAction) -> Thought[None]:
    assert move.spec is not None, "only asked of calls"
    name = move.spec.name
    answer = yield from call(Call(tool=name, arguments=move.arguments, why=task.goal))
    made.append(ToolCallRecord.from_answer(name, move.arguments, answer))


def _ask_back(
    task: Task, made: Sequence[ToolCallRecord], rounds: int, move: NextAction
) -> Thought[TaskOutcome]:
    """Wait for a person, with the question for them."""
    if move.missing and move.spec is not None:
        return TaskOutcome(
            status="waiting",
            answer=IncompleteCall(move.spec, move.missing, move.probability).question,
            calls=tuple(made),
            why=f"{', '.join(move.missing)} of {move.spec.name} was not said",
            progress=_progress_json(made, rounds),
        )
    asked = yield from generate(
        Generate(
            messages=render_prompt(
                "ask_back", goal=task.goal, notes=context_lines(task, made) or ["nothing"]
            ),
            max_tokens=48,
            temperature=0.0,
            seed=task.seed.child("ask back").number,
            stop=("\n",),
            role="ask_back",
        )
    )
    if not isinstance(asked, Completion):
        return _outcome("failed", made, f"no question: {asked.detail}")
    return TaskOutcome(
        status="waiting",
        answer=asked.text.strip(),
        calls=tuple(made),
        why="something needed was not said",
        progress=_progress_json(made, rounds),
    )
