"""The planner of generative agents: plan the day, live it, meet, talk, reflect."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from ...core import Action, Decision, ScheduleEntry, Situation, Thought
from ..steps import StepBuilder, remember_events, remember_overheard
from .daily_settings import DailySettings
from .day_plan import next_schedule_entry, plan_day, revise_identity
from .encounters import choose_partner, converse, remember_conversation
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
        """One step of a life."""
        draft = StepBuilder(situation)
        remember_whispers(draft)
        talk = situation.seen.talk
        asleep = situation.persona.sleeps_at(situation.now.hour * 60 + situation.now.minute)
        if not (asleep and draft.state.asleep):
            remember_events(draft, importance=None)
            remember_overheard(draft)
        if talk is not None and not talk.ended:
            action = yield from converse(draft, self)
        else:
            if talk is not None:
                yield from remember_conversation(draft, talk, self)
            if draft.state.reflect_left <= 0:
                yield from reflect(draft, self)
            action = yield from self._continue_day(draft, asleep)
        yield from draft.finalize()
        return draft.build(action)

    def _continue_day(self, draft: StepBuilder, asleep: bool) -> Thought[Action]:
        """Sleep, react to somebody in sight, go on, or begin the next thing of the day."""
        now = draft.situation.now
        if asleep:
            return self._sleep(draft)
        if draft.state.asleep or draft.state.day == "":
            draft.update_state(asleep=False, doing=None)
        today = draft.situation.persona.lived_day(now).date().isoformat()
        if draft.state.day != today:
            if draft.state.day:
                yield from revise_identity(draft)
            yield from plan_day(draft, self.candidates)
        if any(event.kind == "refused" for event in draft.situation.seen.notices):
            draft.update_state(doing=None)
        partner = yield from choose_partner(draft)
        if partner:
            return Action("talk", partner)
        doing = draft.state.doing
        if doing and doing.start + timedelta(minutes=doing.minutes) > now:
            return Action("continue")
        slot = yield from next_schedule_entry(draft, self.fine_minutes, self.candidates)
        draft.update_state(doing=slot)
        draft.explain(f"The plan for now: {slot.doing}.")
        return action_for(slot, draft.situation.can)

    def _sleep(self, draft: StepBuilder) -> Action:
        if draft.state.asleep:
            return Action("continue")
        bed = ScheduleEntry(
            start=draft.situation.now,
            minutes=60,
            doing="sleeping",
            place=home_bed(draft.situation),
            emoji="💤",
        )
        draft.update_state(asleep=True, doing=bed)
        draft.explain("It is bed time.")
        return action_for(bed, draft.situation.can, asleep=True)


def remember_whispers(draft: StepBuilder) -> None:
    """Turn whispers into thoughts of one's own, as Smallville's histories do."""
    for whisper in draft.situation.inputs:
        if whisper.kind == "whisper":
            draft.add_record("thought", whisper.text, rests_on=(whisper,))
