"""A planner without a model: the persona's own daily plan, by the clock."""

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
    """Follows the persona's routine; asks nothing, so a run with it makes no model call.

    The routine is ``Persona.routine``; where that is empty it is read from the persona's
    prose (``lifestyle`` and ``daily``). It perceives: fresh events become memories of
    importance 1.
    """

    asks_model = False

    def decide(self, situation: Situation) -> Thought[Decision]:
        """Continue, or begin the next appointment."""
        draft = StepBuilder(situation)
        remember_events(draft)
        action = Action("continue")
        talk = situation.seen.talk
        # In a talk no place is offered; an appointment that comes up waits for its end.
        if talk is None or talk.ended:
            action = self._next_action(draft)
        draft.finalize_without_asks()
        return draft.build(action)
        yield  # a generator that asks nothing

    def _next_action(self, draft: StepBuilder) -> Action:
        situation = draft.situation
        due, asleep = _due_entry(situation.persona, action_targets(situation.can), situation.now)
        place = home_bed(situation) if asleep else (due.place or home_bed(situation))
        doing, slept = draft.state.doing, draft.state.asleep
        if doing and (doing.doing, doing.place, slept) == (due.doing, place, asleep):
            return Action("continue")
        slot = ScheduleEntry(
            start=situation.now, minutes=60, doing=due.doing, place=place, emoji=_emoji(asleep)
        )
        draft.update_state(doing=slot, asleep=asleep)
        draft.explain(f"The routine says {due.at}: {due.doing}.")
        return action_for(slot, situation.can, asleep=asleep)


def _emoji(asleep: bool) -> str:
    return "💤" if asleep else "🚶"


def action_for(slot: ScheduleEntry, can: Sequence[Affordance], *, asleep: bool = False) -> Action:
    """The world's action for a slot of a schedule: at its place, or where one is if the world
    lets one act there only."""
    offered = {one.target for one in can if one.verb == "act"}
    place = slot.place if slot.place in offered else ""
    if place not in offered:
        return Action("wait")
    return Action("act", place, {"doing": slot.doing, "emoji": slot.emoji, "asleep": asleep})


ASLEEP, GETTING_UP = "sleeping", "getting up"


def _due_entry(
    persona: Persona, known: tuple[Address, ...], now: Time
) -> tuple[RoutineEntry, bool]:
    """What is to be done now, and whether that is sleeping.

    From bed time to waking everybody sleeps; an appointment before waking is gone to then. From
    waking to the day's first appointment one gets up."""
    minute = now.hour * 60 + now.minute
    wake, bed = persona.waking_hours()
    if persona.sleeps_at(minute):
        return RoutineEntry(at=_clock(bed), doing=ASLEEP), True

    def since_bed(at: int) -> int:
        return (at - bed) % _DAY

    begun = [
        (since_bed(at), entry)
        for entry in timetable(persona, known)
        if since_bed(at := _minute(entry.at)) <= since_bed(minute)
        and not (persona.sleeps_at(at) and _IN_BED.search(entry.doing))
    ]
    if begun:
        return max(begun, key=lambda one: one[0])[1], False
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
    """The persona's day as appointments with known addresses, by time of day."""
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
    """Read times and places from ``daily`` ("opens the cafe at 8am") and from what else
    ``lifestyle`` says ("likes to sit in the park"), clause by clause.

    A clause without a time follows two hours after the one before it; "until 8pm" says
    when the person goes home."""
    wake, sleep = persona.waking_hours()
    home = _resolve_address(persona.home, known)
    entries = [
        RoutineEntry(at=_clock(sleep), doing="sleeping", place=home),
        RoutineEntry(at=_clock(wake), doing="getting up and having breakfast", place=home),
    ]
    at = wake + 30
    other = [
        c for c in re.split(r"[,.]\s|[,.]$", persona.lifestyle) if not re.search(_BED_AND_MEALS, c)
    ]
    prose = ". ".join((*other, persona.daily))
    prose = prose.replace(persona.name, "").replace(persona.first_name, "")
    place = ""
    for clause in re.split(r"[,.;]\s|[,.;]$| and then ", prose):
        clause = re.sub(r"(?: if it's)? before \d[^,.]*", "", clause)
        words, _, end = clause.strip().removeprefix("and ").partition(" until ")
        if not words or words.startswith("at which point"):
            continue
        place = home if " home" in words else _place_in_clause(words, known, place)
        minute = clock_minutes(words)
        if place or minute is not None:
            at = at if minute is None else minute
            entries.append(
                RoutineEntry(at=_clock(at), doing=_as_gerund(words), place=place or home)
            )
            at += 120
        closing = clock_minutes(end)
        if closing is not None:
            at = closing
            entries.append(RoutineEntry(at=_clock(at), doing="going home", place=home))
    dinner = next((c for c in persona.lifestyle.split(",") if "dinner" in c), "")
    minute = clock_minutes(dinner)
    if minute is not None:
        entries.append(RoutineEntry(at=_clock(minute), doing="eating dinner", place=home))
    return entries


_BED_AND_MEALS = r"wak|gets up|rises|bed|sleep|dinner|lunch|breakfast"


def _place_in_clause(clause: str, known: tuple[Address, ...], before: Address) -> Address:
    """The place a clause means: one whose sector it names, else one where one just was
    ("opens the cafe, stands at the counter" stays in the cafe)."""
    place = best_matching_place(clause, known)
    sector = place.split(":")[1] if place else ""
    named = any(word in clause for word in re.findall(r"[A-Z]\w+", sector))
    if named or not before:
        return place
    around = ":".join(before.split(":")[:2]) + ":"
    return best_matching_place(clause, [one for one in known if one.startswith(around)]) or before


def _as_gerund(clause: str) -> str:
    """A clause in the third person as what one is doing.

    >>> _as_gerund("opens the cafe at 8am"), _as_gerund("closes it"), _as_gerund("goes to the
    library")
    ('opening the cafe at 8am', 'closing it', 'going to the library')
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
