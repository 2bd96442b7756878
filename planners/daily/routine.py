"""Routine: follows the persona's timetable by the clock, without a model."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from ...core import (
    Action,
    Address,
    Affordance,
    Decision,
    Persona,
    RoutineEntry,
    ScheduleEntry,
    Situation,
    Thought,
    Time,
    clock_minutes,
)
from ..steps import StepBuilder, remember_events
from .place_choice import action_targets, best_matching_place, home_bed


class Routine:
    """Follows ``Persona.routine``, or the timetable read from the persona's prose (``lifestyle``
    and ``daily``). It asks no model; new events become records of importance 1.
    """

    asks_model = False

    def decide(self, situation: Situation) -> Thought[Decision]:
        """Continue, or begin the entry of the timetable that is due."""
        builder = StepBuilder(situation)
        remember_events(builder)
        action = Action("continue")
        talk = situation.seen.talk
        # During a conversation the world offers no place; the timetable waits for its end.
        if talk is None or talk.ended:
            action = self._next_action(builder)
        builder.finalize_without_asks()
        return builder.build(action)
        yield  # a generator that asks nothing

    def _next_action(self, builder: StepBuilder) -> Action:
        situation = builder.situation
        due, asleep = _due_entry(situation.persona, action_targets(situation.can), situation.now)
        place = home_bed(situation) if asleep else (due.place or home_bed(situation))
        doing, was_asleep = builder.state.doing, builder.state.asleep
        if doing and (doing.doing, doing.place, was_asleep) == (due.doing, place, asleep):
            return Action("continue")
        emoji = "💤" if asleep else "🚶"
        entry = ScheduleEntry(
            start=situation.now, minutes=60, doing=due.doing, place=place, emoji=emoji
        )
        builder.update_state(doing=entry, asleep=asleep)
        builder.explain(f"The routine says {due.at}: {due.doing}.")
        return action_for(entry, situation.can, asleep=asleep)


def action_for(entry: ScheduleEntry, can: Sequence[Affordance], *, asleep: bool = False) -> Action:
    """The action for a schedule entry: act at its place, or at the present place if the world
    offers only that, or wait."""
    offered = {affordance.target for affordance in can if affordance.verb == "act"}
    place = entry.place if entry.place in offered else ""
    if place not in offered:
        return Action("wait")
    return Action("act", place, {"doing": entry.doing, "emoji": entry.emoji, "asleep": asleep})


ASLEEP, GETTING_UP = "sleeping", "getting up"


def _due_entry(
    persona: Persona, known: tuple[Address, ...], now: Time
) -> tuple[RoutineEntry, bool]:
    """The entry that is due at ``now``, and whether it is sleep.

    Between bed time and waking the persona sleeps, and entries of that time are postponed;
    between waking and the first entry it gets up."""
    minute = now.hour * 60 + now.minute
    wake, bed = persona.waking_hours()
    if persona.sleeps_at(minute):
        return RoutineEntry(at=_clock(bed), doing=ASLEEP), True

    def since_bed(at: int) -> int:
        return (at - bed) % _DAY

    started = [
        (since_bed(at), entry)
        for entry in timetable(persona, known)
        if since_bed(at := _minute(entry.at)) <= since_bed(minute)
        and not (persona.sleeps_at(at) and _IN_BED.search(entry.doing))
    ]
    if started:
        return max(started, key=lambda pair: pair[0])[1], False
    return RoutineEntry(at=_clock(wake), doing=GETTING_UP), False


_DAY = 24 * 60
_IN_BED = re.compile(r"\b(?:bed|sleep\w*|nap\w*)\b")


def _minute(at: str) -> int:
    hours, _, minutes = at.partition(":")
    return (int(hours) * 60 + int(minutes)) % _DAY


def _clock(minute: int) -> str:
    return f"{minute // 60 % 24:02d}:{minute % 60:02d}"


@lru_cache(maxsize=512)
def timetable(persona: Persona, known: tuple[Address, ...]) -> tuple[RoutineEntry, ...]:
    """The persona's day as entries with known addresses, sorted by time of day."""
    if persona.routine:
        entries = [
            RoutineEntry(at=entry.at, doing=entry.doing, place=_resolve_address(entry.place, known))
            for entry in persona.routine
        ]
    else:
        entries = _timetable_from_prose(persona, known)
    return tuple(sorted(entries, key=lambda entry: _minute(entry.at)))


def _resolve_address(place: str, known: Sequence[Address]) -> Address:
    inside = [address for address in known if (address + ":").startswith(place + ":")]
    return inside[0] if place and inside else best_matching_place(place, known)


def _timetable_from_prose(persona: Persona, known: tuple[Address, ...]) -> list[RoutineEntry]:
    """A timetable read clause by clause from ``daily`` ("opens the cafe at 8am") and from those
    clauses of ``lifestyle`` that are not about meals and sleep ("likes to sit in the park").

    A clause without a time begins two hours after the one before it; "until 8pm" is the time of
    going home."""
    wake, sleep = persona.waking_hours()
    home = _resolve_address(persona.home, known)
    entries = [
        RoutineEntry(at=_clock(sleep), doing="sleeping", place=home),
        RoutineEntry(at=_clock(wake), doing="getting up and having breakfast", place=home),
    ]
    at = wake + 30
    habits = [
        clause
        for clause in re.split(r"[,.]\s|[,.]$", persona.lifestyle)
        if not re.search(_BED_AND_MEALS, clause)
    ]
    prose = ". ".join((*habits, persona.daily))
    prose = prose.replace(persona.name, "").replace(persona.first_name, "")
    place = ""
    for clause in re.split(r"[,.;]\s|[,.;]$| and then ", prose):
        clause = re.sub(r"(?: if it's)? before \d[^,.]*", "", clause)
        activity, _, end = clause.strip().removeprefix("and ").partition(" until ")
        if not activity or activity.startswith("at which point"):
            continue
        place = home if " home" in activity else _place_in_clause(activity, known, place)
        minute = clock_minutes(activity)
        if place or minute is not None:
            at = at if minute is None else minute
            entries.append(
                RoutineEntry(at=_clock(at), doing=_as_gerund(activity), place=place or home)
            )
            at += 120
        closing = clock_minutes(end)
        if closing is not None:
            at = closing
            entries.append(RoutineEntry(at=_clock(at), doing="going home", place=home))
    dinner = next((clause for clause in persona.lifestyle.split(",") if "dinner" in clause), "")
    minute = clock_minutes(dinner)
    if minute is not None:
        entries.append(RoutineEntry(at=_clock(minute), doing="eating dinner", place=home))
    return entries


_BED_AND_MEALS = r"wak|gets up|rises|bed|sleep|dinner|lunch|breakfast"


def _place_in_clause(clause: str, known: tuple[Address, ...], before: Address) -> Address:
    """The place that a clause means: one whose sector it names, else one in the sector of the
    place before ("opens the cafe, stands at the counter" stays in the cafe)."""
    place = best_matching_place(clause, known)
    sector = place.split(":")[1] if place else ""
    named = any(word in clause for word in re.findall(r"[A-Z]\w+", sector))
    if named or not before:
        return place
    around = ":".join(before.split(":")[:2]) + ":"
    return (
        best_matching_place(clause, [address for address in known if address.startswith(around)])
        or before
    )


def _as_gerund(clause: str) -> str:
    """A clause in the third person with its verb as a gerund.

    >>> _as_gerund("opens the cafe at 8am"), _as_gerund("goes to the library")
    ('opening the cafe at 8am', 'going to the library')
    """
    clause = re.sub(r"^(?:she|he|they) ", "", clause.strip(), flags=re.IGNORECASE)
    liking = re.match(r"(?:likes|loves) to (\w+)(.*)", clause)
    if liking:
        return f"{liking.group(1).removesuffix('e')}ing{liking.group(2)}"
    verb, _, rest = clause.strip().partition(" ")
    if not verb.endswith("s") or verb.endswith("ss"):
        return clause.strip()
    stem = verb[:-2] if verb.endswith(("oes", "ches", "shes", "sses", "xes")) else verb[:-1]
    stem = stem[:-1] if stem.endswith("e") and not stem.endswith("ee") else stem
    return f"{stem}ing {rest}".strip()
