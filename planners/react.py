"""Thought, tool, result, answer: work off a goal call by call."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..core import (
    Call,
    Completion,
    Decision,
    Failed,
    Generate,
    Situation,
    Thought,
    call,
    generate,
    to_json,
)
from .acting import WORLD_TOOL_PREFIX, action_from_call
from .calling import FillMode, IncompleteCall
from .checking import cross_check
from .goals import pursue_goals
from .moves import MAX_FILLS, NextAction, choose_next_action
from .outcome import Task, TaskOutcome, ToolCallRecord, compose_answer, context_lines
from .prompts import render_prompt


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
