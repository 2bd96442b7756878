"""Daily: the planner of generative agents (Park et al. 2023)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from ...core import Action, Decision, ScheduleEntry, Situation, Thought
from ..steps import StepBuilder, remember_events, remember_overheard, remember_whispers
from .conversation_memory import remember_conversation
from .daily_settings import DailySettings
from .day_plan import next_schedule_entry, plan_day, revise_identity
from .encounters import choose_partner, converse
from .place_choice import home_bed
from .reflection import reflect
from .routine import action_for


@dataclass(frozen=True, slots=True, kw_only=True)
class Daily(DailySettings):
    """The planner of Park et al. 2023, sections 4 and 5: plan, act, react, talk, reflect.

    Differences from the paper, for small local models: places, objects, partners, yes/no
    questions and evidence are chosen by likelihood and never parsed from prose; the parts of a
    day are generated in parallel; each plan, step and line is the best of ``candidates`` drafts.
    """

    def decide(self, situation: Situation) -> Thought[Decision]:
        """Observe, then converse, sleep, react to an agent in sight, or follow the plan."""
        builder = StepBuilder(situation)
        remember_whispers(builder)
        talk = situation.seen.talk
        asleep = situation.persona.sleeps_at(situation.now.hour * 60 + situation.now.minute)
        if not (asleep and builder.state.asleep):
            remember_events(builder, importance=None)
            remember_overheard(builder)
        if talk is not None and not talk.ended:
            action = yield from converse(builder, self)
        else:
            if talk is not None:
                yield from remember_conversation(builder, talk, self)
            if builder.state.reflect_left <= 0:
                yield from reflect(builder, self)
            action = yield from self._continue_day(builder, asleep)
        yield from builder.finalize()
        return builder.build(action)

    def _continue_day(self, builder: StepBuilder, asleep: bool) -> Thought[Action]:
        """Sleep, talk to an agent in sight, continue, or begin the next activity."""
        now = builder.situation.now
        if asleep:
            return self._sleep(builder)
        if builder.state.asleep or builder.state.day == "":
            builder.update_state(asleep=False, doing=None)
        today = builder.situation.persona.lived_day(now).date().isoformat()
        if builder.state.day != today:
            if builder.state.day:
                yield from revise_identity(builder)
            yield from plan_day(builder, self.candidates)
        if any(event.kind == "refused" for event in builder.situation.seen.notices):
            builder.update_state(doing=None)
        partner = yield from choose_partner(builder)
        if partner:
            return Action("talk", partner)
        doing = builder.state.doing
        if doing and doing.start + timedelta(minutes=doing.minutes) > now:
            return Action("continue")
        entry = yield from next_schedule_entry(builder, self.fine_minutes, self.candidates)
        builder.update_state(doing=entry)
        builder.explain(f"The plan for now: {entry.doing}.")
        return action_for(entry, builder.situation.can)

    def _sleep(self, builder: StepBuilder) -> Action:
        if builder.state.asleep:
            return Action("continue")
        bed = ScheduleEntry(
            start=builder.situation.now,
            minutes=60,
            doing="sleeping",
            place=home_bed(builder.situation),
            emoji="💤",
        )
        builder.update_state(asleep=True, doing=bed)
        builder.explain("It is bed time.")
        return action_for(bed, builder.situation.can, asleep=True)
