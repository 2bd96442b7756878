"""Planners that combine others: a switch by rules, and goals worked on within a routine."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from ..core import (
    NONE_OF_THESE,
    Choice,
    Decision,
    Option,
    Planner,
    SettingError,
    Situation,
    Thought,
    did_you_mean,
)
from .goals import (
    Goal,
    React,
    TaskWorker,
    accept_goals,
    first_open_goal,
    goals_of,
    record_outcome,
    task_for_goal,
)
from .planner_registry import planner_by_name
from .steps import StepBuilder, choose_among

Rule: TypeAlias = Callable[[Situation], bool]


def spoken_to(situation: Situation) -> bool:
    """Whether the agent is in a conversation."""
    talk = situation.seen.talk
    return talk is not None and not talk.ended


def at_night(situation: Situation) -> bool:
    """Whether the persona sleeps at this time."""
    return situation.persona.sleeps_at(situation.now.hour * 60 + situation.now.minute)


def has_goal(situation: Situation) -> bool:
    """Whether there is an open goal, in the state or among the inputs."""
    return first_open_goal(accept_goals(situation).state) is not None


RULES: Mapping[str, Rule] = {"spoken_to": spoken_to, "at_night": at_night, "has_goal": has_goal}
"""Rules by the name used in scenarios."""


@dataclass(frozen=True, slots=True)
class RuleSwitch:
    """Delegates to the planner of the first rule that holds, else to ``otherwise``.

    A rule is a function of the situation or a name in ``RULES``; planners may be given by name.
    All planners share the agent's state, so each continues where another stopped. Raises
    SettingError for malformed rules and unknown names.

    >>> RuleSwitch([("at_night", "routine"), ("has_goal", "react")], "daily").names()
    ('at_night', 'has_goal')
    """

    rules: Sequence[tuple[Rule | str, Planner | str]]
    otherwise: Planner | str = "daily"
    _parts: tuple[tuple[Rule, Planner], ...] = field(init=False, repr=False)
    _else: Planner = field(init=False, repr=False)

    def __post_init__(self) -> None:
        pairs = isinstance(self.rules, Sequence) and not isinstance(self.rules, str | bytes)
        if not pairs or not all(
            isinstance(pair, tuple | list) and len(pair) == 2 for pair in self.rules
        ):
            raise SettingError(
                "planner 'switch': rules is a list of pairs of a rule and a planner, such as "
                '[("at_night", "routine")]'
            )
        parts = tuple(
            (_resolve_rule(rule), _resolve_planner(planner)) for rule, planner in self.rules
        )
        object.__setattr__(self, "_parts", parts)
        object.__setattr__(self, "_else", _resolve_planner(self.otherwise))

    def names(self) -> tuple[str, ...]:
        """The names of the rules, in their order."""
        return tuple(
            rule if isinstance(rule, str) else getattr(rule, "__name__", repr(rule))
            for rule, _ in self.rules
        )

    def decide(self, situation: Situation) -> Thought[Decision]:
        """The decision of the planner whose rule holds."""
        # A goal among the inputs must be kept, whichever planner decides.
        situation = accept_goals(situation)
        planner = next((planner for rule, planner in self._parts if rule(situation)), self._else)
        return (yield from planner.decide(situation))


def _resolve_rule(rule: Rule | str) -> Rule:
    if not isinstance(rule, str):
        if not callable(rule):
            kind = type(rule).__name__
            raise SettingError(f"planner 'switch': a rule is a name or a function, not {kind}")
        return rule
    if rule not in RULES:
        raise SettingError(
            f"planner 'switch': there is no rule '{rule}'{did_you_mean(rule, RULES)}; "
            f"rules: {', '.join(RULES)}"
        )
    return RULES[rule]


def _resolve_planner(planner: Planner | str) -> Planner:
    if isinstance(planner, str):
        return planner_by_name(planner)
    if not hasattr(planner, "decide"):
        kind = type(planner).__name__
        raise SettingError(f"planner 'switch': a {kind} is no planner; it has no decide()")
    return planner


@dataclass(frozen=True, slots=True, kw_only=True)
class GoalsInRoutine:
    """Follows ``planner`` (a planner or its name), and has ``worker`` work on open goals that fit
    the present activity, with tools and the affordances of the world.

    A goal is worked on while the agent is at the place of its activity, if the model finds that
    the activity is one of the open goals rather than none of them; this is asked once for each
    activity. With ``any_time`` every activity fits.
    """

    planner: Planner | str = "daily"
    worker: TaskWorker = field(default_factory=React)
    any_time: bool = False
    _routine: Planner = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_routine", _resolve_planner(self.planner))

    def decide(self, situation: Situation) -> Thought[Decision]:
        """The decision of the routine, and then a step of work on the goal that fits it."""
        situation = accept_goals(situation)
        decision = yield from self._routine.decide(situation)
        later = replace(situation, state=decision.state)
        if not self._has_time(later, decision):
            return decision
        builder = StepBuilder(later)
        goal = yield from self._goal_for_activity(builder)
        if goal is None:
            return _merge_decisions(decision, builder.build(decision.action))
        outcome = yield from self.worker.work(task_for_goal(goal, later))
        record_outcome(builder, goal, outcome)
        yield from builder.finalize()
        return _merge_decisions(decision, builder.build(outcome.action or decision.action))

    def _has_time(self, situation: Situation, decision: Decision) -> bool:
        """Whether a goal can be worked on: the agent is awake, at its place, idle and in no
        conversation."""
        idle = decision.action.verb in ("continue", "wait")
        free = not decision.state.asleep and not spoken_to(situation)
        return idle and free and situation.seen.arrived and has_goal(situation)

    def _goal_for_activity(self, builder: StepBuilder) -> Thought[Goal | None]:
        """The open goal that fits the present activity, if any; the choice is kept in the state."""
        goals = [goal for goal in goals_of(builder.state) if not goal.asked]
        if self.any_time:
            return goals[0]
        doing = builder.state.doing.doing if builder.state.doing else ""
        if not doing:
            return None
        chosen = builder.state.drafts.get("errand", {})
        texts = [goal.text for goal in goals]
        if chosen.get("doing") != doing or chosen.get("goals") != texts:
            seed = builder.situation.seed.child("errand").number
            options = [*map(Option, dict.fromkeys(texts)), NONE_OF_THESE]
            choice = yield from choose_among(options, about=doing, role="errand", seed=seed)
            names = [*dict.fromkeys(texts), ""]
            fits = names[choice.index] if isinstance(choice, Choice) else ""
            chosen = {"doing": doing, "goals": texts, "fits": fits}
            builder.update_state(drafts={**builder.state.drafts, "errand": chosen})
        return next((goal for goal in goals if goal.text == chosen["fits"]), None)


def _merge_decisions(first: Decision, second: Decision) -> Decision:
    return Decision(
        action=second.action,
        state=second.state,
        records=(*first.records, *second.records),
        embedded={**first.embedded, **second.embedded},
        used=tuple(dict.fromkeys((*first.used, *second.used))),
        why=f"{first.why} {second.why}".strip(),
        rests_on={**first.rests_on, **second.rests_on},
    )
