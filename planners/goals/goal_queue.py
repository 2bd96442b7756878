"""Goals of an agent: a queue in ``AgentState.drafts["goals"]``, worked on in order.

A whisper that begins with "goal:" adds a goal. The first open goal is worked on, for one or more
steps; then its outcome is stored as a record of kind "thought" and the goal is removed. A goal
that waits for a person's answer is continued by the next whisper.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from ...core import AgentState, Decision, Json, Situation, Thought, from_json, to_json
from ..steps import StepBuilder, idle_action, remember_events, remember_whispers
from .tasks import Task, TaskOutcome, previous_calls

_STATUS_TEXTS = {"done": "It is done", "stopped": "It took too long", "gave_up": "It was given up"}
GOAL_PREFIX = "goal:"
"""Prefix of a whisper that adds a goal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """A goal of an agent. ``asked``: the question to a person whose answer it waits for;
    ``known``: questions with their answers; ``progress``: state of the worker."""

    text: str
    asked: str = ""
    known: tuple[str, ...] = ()
    progress: Json = field(default=None, hash=False)


def goals_of(state: AgentState) -> tuple[Goal, ...]:
    """The goals in an agent's state, oldest first.

    >>> goals_of(with_goals(AgentState(), [Goal(text="find a hat")]))[0].text
    'find a hat'
    """
    rows = state.drafts.get("goals", ()) if isinstance(state.drafts, dict) else ()
    return tuple(from_json(Goal, row) for row in rows)


def with_goals(state: AgentState, goals: Sequence[Goal]) -> AgentState:
    """The state with ``goals`` in place of its goals."""
    drafts = {key: value for key, value in state.drafts.items() if key != "goals"}
    if goals:
        drafts["goals"] = [to_json(goal) for goal in goals]
    return replace(state, drafts=drafts)


def accept_goals(situation: Situation) -> Situation:
    """The situation with the goals among its inputs moved to the state. Other whispers answer
    the goals that wait for a person."""
    goals = list(goals_of(situation.state))
    inputs = []
    for thought_input in situation.inputs:
        text = thought_input.text.strip()
        is_whisper = thought_input.kind == "whisper"
        if is_whisper and text.lower().startswith(GOAL_PREFIX):
            if goal_text := text[len(GOAL_PREFIX) :].strip():
                goals.append(Goal(text=goal_text))
            continue
        inputs.append(thought_input)
        if is_whisper:
            goals = [
                replace(goal, asked="", known=(*goal.known, f"{goal.asked} {text}"))
                if goal.asked
                else goal
                for goal in goals
            ]
    return replace(situation, inputs=tuple(inputs), state=with_goals(situation.state, goals))


def first_open_goal(state: AgentState) -> Goal | None:
    """The first goal that does not wait for a person."""
    return next((goal for goal in goals_of(state) if not goal.asked), None)


def task_for_goal(goal: Goal, situation: Situation) -> Task:
    """The task of working on a goal in this step."""
    return Task(
        goal=goal.text,
        seed=situation.seed.child("goal", goal.text),
        now=situation.now,
        who=situation.persona.name,
        tools=situation.tools,
        can=situation.can,
        known=goal.known,
        calls=previous_calls(goal.progress),
        progress=goal.progress,
    )


def record_outcome(builder: StepBuilder, goal: Goal, outcome: TaskOutcome) -> None:
    """Store the outcome of a goal: its progress if it waits, else a record of kind "thought"."""
    name = builder.situation.persona.first_name
    goals = list(goals_of(builder.state))
    index = goals.index(goal)
    builder.explain(f"Goal '{goal.text}': {outcome.status}. {outcome.why}".strip())
    for lesson in outcome.lessons:
        builder.add_record("thought", lesson)
    if outcome.status == "waiting":
        asked = "" if outcome.action else outcome.answer or "?"
        goals[index] = replace(goal, asked=asked, progress=outcome.progress)
        if asked:
            builder.add_record("thought", f"{name} would have to know: {asked}")
    else:
        del goals[index]
        result = outcome.answer if outcome.status == "done" else outcome.why
        status = _STATUS_TEXTS.get(outcome.status, "It failed")
        builder.add_record("thought", f"{name} was to do this: {goal.text} {status}: {result}")
    builder.state = with_goals(builder.state, goals)


class GoalPlanner(ABC):
    """Base of the planners that work on goals. A subclass defines ``work``, so that it can also
    be the worker of another planner."""

    __slots__ = ()

    @abstractmethod
    def work(self, task: Task) -> Thought[TaskOutcome]:
        """Work until the task has ended or waits."""

    def decide(self, situation: Situation) -> Thought[Decision]:
        """Observe, then work on the first open goal; without one, continue or wait."""
        situation = accept_goals(situation)
        builder = StepBuilder(situation)
        remember_events(builder)
        remember_whispers(builder)
        goal = first_open_goal(builder.state)
        action = idle_action(situation.can)
        if goal is not None:
            outcome = yield from self.work(task_for_goal(goal, situation))
            action = outcome.action or action
            record_outcome(builder, goal, outcome)
        yield from builder.finalize()
        return builder.build(action)
