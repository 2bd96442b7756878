"""Planners put together: switched by rule, and a day's doings worked off with tools."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from ..core import (
    NONE_OF_THESE,
    Choice,
    Choose,
    Decision,
    Option,
    Planner,
    SettingError,
    Situation,
    Thought,
    choose,
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
from .steps import StepBuilder

Rule: TypeAlias = Callable[[Situation], bool]


def spoken_to(situation: Situation) -> bool:
    """Whether one is in a conversation that goes on."""
    talk = situation.seen.talk
    return talk is not None and not talk.ended


def at_night(situation: Situation) -> bool:
    """Whether it is the persona's time to sleep."""
    return situation.persona.sleeps_at(situation.now.hour * 60 + situation.now.minute)


def has_goal(situation: Situation) -> bool:
    """Whether there is a goal to work on, or one is whispered now."""
    return first_open_goal(accept_goals(situation).state) is not None


RULES: Mapping[str, Rule] = {"spoken_to": spoken_to, "at_night": at_night, "has_goal": has_goal}
"""Rules that can be named in a scenario."""


@dataclass(frozen=True, slots=True)
class RuleSwitch:
    """The planner of the first rule that holds for the situation, else ``otherwise``.

    A rule is a function of the situation or the name of one in ``RULES``; a planner may be
    named too. All share the agent's state, so each goes on where another left off.

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
            isinstance(one, tuple | list) and len(one) == 2 for one in self.rules
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
        """What the rules are called, in their order."""
        return tuple(
            rule if isinstance(rule, str) else getattr(rule, "__name__", repr(rule))
            for rule, _ in self.rules
        )

    def decide(self, situation: Situation) -> Thought[Decision]:
        """As the planner decides whose turn it is."""
        # Whoever's turn it is: a goal that is whispered now must not be lost.
        situation = accept_goals(situation)
        chosen = next((planner for rule, planner in self._parts if rule(situation)), self._else)
        return (yield from chosen.decide(situation))


def _resolve_rule(given: Rule | str) -> Rule:
    if not isinstance(given, str):
        if not callable(given):
            kind = type(given).__name__
            raise SettingError(f"planner 'switch': a rule is a name or a function, not {kind}")
        return given
    if given not in RULES:
        raise SettingError(
            f"planner 'switch': there is no rule '{given}'{did_you_mean(given, RULES)}; "
            f"rules: {', '.join(RULES)}"
        )
    return RULES[given]


def _resolve_planner(given: Planner | str) -> Planner:
    if not isinstance(given, str):
        if not hasattr(given, "decide"):
            kind = type(given).__name__
            raise SettingError(f"planner 'switch': a {kind} is no planner; it has no decide()")
        return given
    from .planner_registry import planner_by_name

    return planner_by_name(given)


@dataclass(frozen=True, slots=True, kw_only=True)
class GoalsInRoutine:
    """Lives by ``planner`` (or the one of that name); what its day has it do and is a goal
    too is worked off by ``worker``, with tools and what the world affords.

    While the doing of now is likelier one of the open goals than none of them, that goal is
    worked on once the place is reached; this is asked once for each doing. With ``any_time``
    a goal need not wait for a doing that fits: it is worked on whenever the day leaves time.
    """

    planner: Planner | str = "daily"
    worker: TaskWorker = field(default_factory=React)
    any_time: bool = False
    _life: Planner = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_life", _resolve_planner(self.planner))

    def decide(self, situation: Situation) -> Thought[Decision]:
        """Live on, and work on the goal that belongs to it."""
        situation = accept_goals(situation)
        lived = yield from self._life.decide(situation)
        later = replace(situation, state=lived.state)
        if not self._has_time(later, lived):
            return lived
        draft = StepBuilder(later)
        goal = yield from self._goal_for_activity(draft)
        if goal is None:
            return _merge_decisions(lived, draft.build(lived.action))
        outcome = yield from self.worker.work(task_for_goal(goal, later))
        record_outcome(draft, goal, outcome)
        yield from draft.finalize()
        return _merge_decisions(lived, draft.build(outcome.action or lived.action))

    def _has_time(self, situation: Situation, lived: Decision) -> bool:
        """Whether the day leaves time: awake, there, and in no conversation."""
        idle = lived.action.verb in ("continue", "wait")
        awake = not lived.state.asleep and not spoken_to(situation)
        return idle and awake and situation.seen.arrived and has_goal(situation)

    def _goal_for_activity(self, draft: StepBuilder) -> Thought[Goal | None]:
        """The goal that belongs to the doing of now."""
        goals = [goal for goal in goals_of(draft.state) if not goal.asked]
        if self.any_time:
            return goals[0]
        doing = draft.state.doing.doing if draft.state.doing else ""
        if not doing:
            return None
        kept = draft.state.drafts.get("errand", {})
        texts = [goal.text for goal in goals]
        if kept.get("doing") != doing or kept.get("goals") != texts:
            picked = yield from choose(
                Choose(
                    messages=(),
                    options=(*(Option(text) for text in dict.fromkeys(texts)), NONE_OF_THESE),
                    about=doing,
                    role="errand",
                    seed=draft.situation.seed.child("errand").number,
                )
            )
            chosen = [*dict.fromkeys(texts), ""]
            fits = chosen[picked.index] if isinstance(picked, Choice) else ""
            kept = {"doing": doing, "goals": texts, "fits": fits}
            draft.update_state(drafts={**draft.state.drafts, "errand": kept})
        return next((goal for goal in goals if goal.text == kept["fits"]), None)


def _merge_decisions(first: Decision, second: Decision) -> Decision:
    """Two decisions of one step, the second made in the state that the first left."""
    return Decision(
        action=second.action,
        state=second.state,
        records=(*first.records, *second.records),
        embedded={**first.embedded, **second.embedded},
        used=tuple(dict.fromkeys((*first.used, *second.used))),
        why=f"{first.why} {second.why}".strip(),
        rests_on={**first.rests_on, **second.rests_on},
    )
