"""The hours of waking and going to bed in a prose description of a lifestyle.

Understands the words for them in English, German, Spanish, French, Chinese and Japanese; nothing
is guessed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Literal, TypeAlias

from .normalization import normalize
from .times_of_day import TimeOfDay, find_times

SleepCue: TypeAlias = Literal["wake", "bed", "asleep", "awake"]


# Phrases that do not say when the person sleeps: what is done to others, naps, bedtime stories.
_OTHER_PEOPLE = re.compile(
    r"\b(?:put|tuck|send|bring|tak|see|carr|get)\w*(?: (?!to\b|into\b|himself|herself|themsel|up\b"
    r"|out\b|back\b|and\b)[^\s,;]+){1,4} (?:in)?to (?:\w+ )?(?:bed|sleep)\b"
    r"|\b(?:kids|children|son|daughter|baby|\w+['’]s)['’]?(?: \w+)? bedtime\b"
    r"|\bbedtime (?:stor|routine|read|pray|snack|tea|song|book|ritual)\w*"
    r"|\bwak\w*(?: up)? (?:her|his|their|the|my|every)\b(?! (?:up|next|same|usual))"
    r"|\b(?:nap|rest)\w*(?: \w+){0,3} (?:in|on|to) (?:\w+ )?bed\b"
    r"|\bin bed (?:for|to take) an? nap\b"
    r"|\bbring\w*(?: [^\s,;]+){1,4} (?:ins|zu) bett\b"
    r"|\b(?:her|his|their|my|the) (?:\w+ )?(?:kids?|child(?:ren)?|sons?|daughters?|bab(?:y|ies)"
    r"|husband|wife|partner|mother|father|parents|brothers?|sisters?|guests?|cats?|dogs?)"
    r"(?: \w+)? (?:go|goes|is|are|wakes?|sleeps?|gets?|falls?)\b"
    r"(?:(?! and | then | but | while )[^,;.\x00]){0,60}"
    r"|(?<!se )\bacuesta a\b|\bcouche (?:ses|son|sa|les|leurs?)\b|\bréveille (?:ses|son|sa|les)\b"
    r"|\b(?:met|mettre)(?: [^\s,;]+){1,4} au lit\b"
)


_NAP_PATTERN = re.compile(
    r"\b(?:nap|naps|napping|siesta|siestas|mittagsschlaf|mittagsschläfchen|sieste)\b|午睡|昼寝"
)


_CUES: tuple[tuple[SleepCue, str], ...] = (
    (
        "wake",
        r"\b(?:awak|wak|woke)\w*(?! until| till)|\b(?:get|got|getting|gets)(?: [^\s,;]+){0,1} up\b"
        r"|\bout of (?:\w+ )?bed\b|\brises?\b|\brising\b|\b(?:is|are|be) up (?:at|by)\b"
        r"|^\s*up (?=at|by|around)|\balarm\b"
        r"|\bwacht\b|\baufw[aä]ch\w*|\bsteht\b|\baufsteh\w*|\baufgestanden\b"
        r"|\bdespiert\w*|\blevant\w*|\bréveil\w*|\blève\b|\blever\b|\bacorda\w*|\bsveglia\b"
        r"|起床|醒|起き|起身|目を覚|目覚",
    ),
    (
        "asleep",
        r"\b(?:sleep|sleeps|sleeping|asleep|slept)\b|\b(?:stay|lie|remain)\w* in bed\b"
        r"|\bschläft\b|\bschlafen\b|\bschlaf\b|\bduerm\w*|\bdormi\w*|\bdort\b|\bdorme\b"
        r"|睡|眠",
    ),
    (
        "bed",
        r"\b(?:to|into) (?:(?:her|his|their|my|own) )*bed\b|\bbedtime\b"
        r"|\b(?:is|are|be|being|already|safely) in (?:(?:her|his|their) )?bed\b"
        r"|\bturn\w* in\b|\bretir(?:e|es|ing) (?:at|for|around|about)\b|\bhits? the (?:hay|sack)\b"
        r"|\bcalls? it a (?:night|day)\b|^\s*bed (?=at|by|around|about)"
        r"|\bins bett\b|\bzu bett\b|\bacuest\w*|\bacostar\w*|\ba la cama\b|\bcouche\b|\bcoucher\b"
        r"|\bau lit\b|\bendort\b|\bdeita\w*|\ba letto\b|就寝|上床|寝",
    ),
    (
        "awake",
        r"\bawake(?: (?:from|between|until|till)\b|:)|\b(?:is|stay)\w* up (?=from|until|till|late)",
    ),
)


_CUE_PATTERN = re.compile("|".join(f"(?P<{name}>{shape})" for name, shape in reversed(_CUES)))


_CLAUSE_BOUNDARY = re.compile(
    r"[,;.!?，。；、！？]| (?:and|then|but|und|dann|aber|y|e|luego|et|puis|mais|&) "
    r"| (?:before|after|while) (?!dawn|dusk|dark|sunrise|sunset)"
)


_RANGE_WORDS = re.compile(
    r"[ ]?(?:to|until|till|til|and|bis|und|a las|hasta las|hasta|y las|y|a|à|jusqu['’]à|et"
    r"|-|–|—|~|到|至|から|and then until)[ ]?"
)


_UNTIL_PATTERN = re.compile(
    r"(?:\b(?:until|till|til|bis|hasta(?: las?)?|jusqu['’]à)[ ]?|到[ ]?)(?:about |around )?$"
)


_FILLER_WORDS = re.compile(
    r"[\W\d_]*(?:\b(?:at|around|about|usually|normally|by|in|the|latest|often|typically|roughly"
    r"|um|gegen|meist|a|las|vers|à|环|大约|左右)\b[\W_]*)*"
)


def sleep_hours(text: str) -> tuple[int | None, int | None]:
    """Minutes after midnight of waking and of going to bed, by the first mention of each; None if
    there is none that is understood.

    >>> sleep_hours("goes to bed around 11pm, awakes up around 6am")
    (360, 1380)
    >>> sleep_hours("sleeps from 8 to 4"), sleep_hours("reads a bedtime story at 7pm")
    ((240, 1200), (None, None))
    """
    wake: int | None = None
    bed: int | None = None
    for kind, minutes in _stated_hours(normalize(text)):
        if kind == "wake" and wake is None:
            wake = minutes
        elif kind == "bed" and bed is None:
            bed = minutes
    return wake, bed


def _stated_hours(text: str) -> Iterator[tuple[Literal["wake", "bed"], int]]:
    clocks = list(find_times(text, bare=True))
    hidden = _OTHER_PEOPLE.sub(lambda match: "\x00" * len(match.group()), text)
    for start, end, inside in _clauses(hidden, clocks):
        clause = hidden[start:end]
        if inside and not _NAP_PATTERN.search(clause):
            cues = [
                (name, start + match.start(), start + match.end())
                for match in _CUE_PATTERN.finditer(clause)
                for name in [match.lastgroup]
                if name is not None
            ]
            yield from _assign_times(hidden, cues, inside)


def _clauses(text: str, clocks: Sequence[TimeOfDay]) -> list[tuple[int, int, list[TimeOfDay]]]:
    """The clauses of a text as start, end and the times inside. A clause of times alone is merged
    with the clause before it, or with the one after it, if that has no times."""
    # A separator inside a time or between the two times of a range ends no clause.
    unbroken = sorted(
        [(clock.start, clock.end) for clock in clocks]
        + [(earlier.end, later.start) for earlier, later in _time_ranges(text, clocks)]
    )
    cuts, position = [], 0
    for match in _CLAUSE_BOUNDARY.finditer(text):
        while position < len(unbroken) and unbroken[position][1] < match.end():
            position += 1
        if position == len(unbroken) or match.start() < unbroken[position][0]:
            cuts.append(match)
    edges = [0, *(match.end() for match in cuts)]
    ends = [*(match.start() for match in cuts), len(text)]
    parts: list[tuple[int, int, list[TimeOfDay]]] = []
    clock_index = 0
    times_start: int | None = None
    for start, end in zip(edges, ends):
        inside = []
        while clock_index < len(clocks) and clocks[clock_index].start < end:
            inside.append(clocks[clock_index])
            clock_index += 1
        if inside and _only_times(text, start, end, inside):
            if parts and not parts[-1][2] and _CUE_PATTERN.search(text, parts[-1][0], parts[-1][1]):
                parts[-1] = (parts[-1][0], end, inside)
            else:
                times_start = start if times_start is None else times_start
                parts.append((start, end, inside))
        else:
            if times_start is not None and not inside and _CUE_PATTERN.search(text, start, end):
                first, _, inside = parts.pop()
                start = first
            times_start = None
            parts.append((start, end, inside))
    return parts


def _only_times(text: str, start: int, end: int, clocks: Sequence[TimeOfDay]) -> bool:
    if "\x00" in text[start:end]:
        return False
    rest, position = "", start
    for clock in clocks:
        rest += text[position : clock.start] + " "
        position = clock.end
    return _FILLER_WORDS.fullmatch(rest + text[position:end]) is not None


def _time_ranges(text: str, clocks: Sequence[TimeOfDay]) -> Iterator[tuple[TimeOfDay, TimeOfDay]]:
    for first, second in pairwise(clocks):
        if second.start - first.end <= 14 and _RANGE_WORDS.fullmatch(text, first.end, second.start):
            yield first, second


def _assign_times(
    text: str, cues: Sequence[tuple[str, int, int]], clocks: Sequence[TimeOfDay]
) -> Iterator[tuple[Literal["wake", "bed"], int]]:
    """The meaning of each time of a clause."""
    ranges = dict(_time_ranges(text, clocks))
    used: set[TimeOfDay] = set()
    for clock in clocks:
        cue = _nearest_cue(text, cues, clock)
        if cue is None or clock in used:
            continue
        until = _UNTIL_PATTERN.search(text, max(0, clock.start - 24), clock.start) is not None
        range_end = ranges.get(clock)
        if range_end is not None:
            used.add(range_end)
        if cue == "asleep" and range_end is not None:
            yield "bed", clock.minutes(evening=True)
            yield "wake", range_end.minutes(evening=False)
        elif cue == "awake" and range_end is not None:
            yield "wake", clock.minutes(evening=False)
            yield "bed", range_end.minutes(evening=True)
        elif cue == "wake" or (cue == "asleep" and until):
            yield "wake", clock.minutes(evening=False)
        elif cue != "awake" or until:
            yield "bed", clock.minutes(evening=True)


def _nearest_cue(text: str, cues: Sequence[tuple[str, int, int]], clock: TimeOfDay) -> str | None:
    """The cue nearest to a time; in a script without spaces, the next one after it."""
    behind = [cue for cue in cues if cue[1] >= clock.end]
    if behind and any(ord(letter) > 0x2E80 for letter in text[behind[0][1] : behind[0][2]]):
        return behind[0][0]
    if not cues:
        return None
    return min(cues, key=lambda cue: max(clock.start - cue[2], cue[1] - clock.end, 0))[0]
