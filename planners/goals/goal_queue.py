"""Goals: what an agent is to do, kept in its state until done.

A goal comes as a whisper that begins with "goal:" and is kept in ``AgentState.drafts["goals"]``.
The first open one is worked on, some steps or one. What came of it is remembered as a thought
and the goal is gone. One that waits for a person's answer is taken up by their next whisper.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from ...core import AgentState, Decision, Json, Situation, Thought, from_json, to_json
from ..steps import StepBuilder, idle_action, remember_events
from .tasks import Task, TaskOutcome, TaskWorker, previous_calls

GOAL_PREFIX = "goal:"
"""What a whisper that sets a goal begins with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """Something to do. ``asked`` is a question to a person that it waits for, ``known`` what
    was answered, ``progress`` a worker's own."""

    text: str
    asked: str = ""
    known: tuple[str, ...] = ()
    progress: Json = field(default=None, hash=False)


def goals_of(state: AgentState) -> tuple[Goal, ...]:
    """The goals that an agent has, in the order they came.

    >>> goals_of(with_goals(AgentState(), [Goal(text="find a hat")]))[0].text
    'find a hat'
    """
    rows = state.drafts.get("goals", ()) if isinstance(state.drafts, dict) else ()
    return tuple(from_json(Goal, row) for row in rows)


def with_goals(state: AgentState, goals: Sequence[Goal]) -> AgentState:
    """The state with these goals."""
    drafts = {key: value for key, value in state.drafts.items() if key != "goals"}
    if goals:
        drafts["goals"] = [to_json(goal) for goal in goals]
    return replace(state, drafts=drafts)


def accept_goals(situation: Situation) -> Situation:
    """The situation with the goals whispered now taken into the state, and out of the
    inputs. What else is whispered answers the goals that wait for a person."""
    goals = list(goals_of(situation.state))
    others = []
    for given in situation.inputs:
        text = given.text.strip()
        if given.kind == "whisper" and text.lower().startswith(GOAL_PREFIX):
            if text[len(GOAL_PREFIX) :].strip():
                goals.append(Goal(text=text[len(GOAL_PREFIX) :].strip()))
            continue
        others.append(given)
        if given.kind == "whisper":
            goals = [
                replace(one, asked="", known=(*one.known, f"{one.asked} {text}"))
                if one.asked
                else one
                for one in goals
            ]
    return replace(situation, inputs=tuple(others), state=with_goals(situation.state, goals))


def first_open_goal(state: AgentState) -> Goal | None:
    """The first goal that waits for nobody."""
    return next((goal for goal in goals_of(state) if not goal.asked), None)


def task_for_goal(goal: Goal, situation: Situation) -> Task:
    """The task of working on a goal now."""
    return Task(
        goal=goal.text,
        seed=situation.seed.child("goal", goal.text),
        now=situation.now,
        who=situation.persona.name,
        tools=situation.tools,
        can=situation.can,
        known=goal.known,
        made=previous_calls(goal.progress),
        progress=goal.progress,
    )


def record_outcome(draft: StepBuilder, goal: Goal, outcome: TaskOutcome) -> None:
    """Keep what came of working on a goal: its progress where it waits, else a thought."""
    name = draft.situation.persona.first_name
    goals = list(goals_of(draft.state))
    place = goals.index(goal)
    draft.explain(f"Goal '{goal.text}': {outcome.status}. {outcome.why}".strip())
    for lesson in outcome.lessons:
        draft.add_record("thought", lesson)
    if outcome.status == "waiting":
        asked = "" if outcome.action else outcome.answer or "?"
        goals[place] = replace(goal, asked=asked, progress=outcome.progress)
        if asked:
            draft.add_record("thought", f"{name} would have to know: {asked}")
    else:
        del goals[place]
        ending = outcome.answer if outcome.status == "done" else outcome.why
        draft.add_record(
            "thought", f"{name} was to do this: {goal.text} {_status_text(outcome)}: {ending}"
        )
    draft.state = with_goals(draft.state, goals)


def _status_text(outcome: TaskOutcome) -> str:
    if outcome.status == "done":
        return "It is done"
    return {"stopped": "It took too long", "gave_up": "It was given up"}.get(
        outcome.status, "It failed"
    )


def pursue_goals(worker: TaskWorker, situation: Situation) -> Thought[Decision]:
    """A step of an agent that works on its goals: perceive, work on the first open goal,
    remember what came of it."""
    situation = accept_goals(situation)
    draft = StepBuilder(situation)
    remember_events(draft)
    for given in situation.inputs:
        if given.kind == "whisper":
            draft.add_record("thought", given.text, rests_on=(given,))
    goal = first_open_goal(draft.state)
    action = idle_action(situation.can)
    if goal is not None:
        outcome = yield from worker.work(task_for_goal(goal, situation))
        action = outcome.action or action
        record_outcome(draft, goal, outcome)
    yield from draft.finalize()
    return draft.build(action)
