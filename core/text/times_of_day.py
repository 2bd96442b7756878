"""Times of day in prose, in English, German, Spanish, French, Italian, Portuguese, Chinese and
Japanese."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

from .calendar import SMALL_NUMBER_WORDS, hour_of_day
from .normalization import normalize

HalfOfDay: TypeAlias = Literal["", "am", "pm", "24"]


@dataclass(frozen=True, slots=True)
class TimeOfDay:
    """A time of day in a text, from offset ``start`` to ``end``; ``half`` is empty if the text
    leaves open whether it is am or pm."""

    start: int
    end: int
    hour: int
    minute: int
    half: HalfOfDay

    def minutes(self, *, evening: bool) -> int:
        """Minutes after midnight. An open hour is taken as one at which people go to bed, with
        ``evening``, or as a morning hour."""
        hour = self.hour
        if self.half in ("am", "pm"):
            hour = hour_of_day(hour, self.half)
        elif not self.half and evening:
            # 6 to 11 are in the evening, 12 is midnight, 1 to 5 are after it.
            hour = hour + 12 if 6 <= hour < 12 else hour % 12
        return hour * 60 + self.minute


_MORNING = (
    r"in the morning|morgens|vormittags|früh|am morgen|de la mañana|de la manana"
    r"|de la madrugada|du matin|da manhã|di mattina|del mattino"
)


_EVENING = (
    r"in the (?:evening|afternoon)|abends|nachmittags|am abend|de la tarde|du soir"
    r"|de l['’]après-midi|da tarde|di sera|del pomeriggio"
)


_NIGHT = r"at night|nachts|in der nacht|de la noche|de la nuit|da noite|di notte"


_CJK_AM = "早上|早晨|清晨|凌晨|上午|午前|早朝|朝|黎明"


_CJK_PM = "晚上|傍晚|下午|午後|夕方|晚"


_CJK_NIGHT = "夜里|夜裡|夜晚|深夜|夜|晩"


_HAN_NUMERALS = {
    "零": 0,
    "〇": 0,
    "一": 1,
    "二": 2,
    "两": 2,
    "兩": 2,
    "三": 3,
    "四": 4,
    "五": 5,
    "六": 6,
}


_HAN_NUMERALS |= {"七": 7, "八": 8, "九": 9, "十": 10, "十一": 11, "十二": 12}


_HOUR_WORDS = SMALL_NUMBER_WORDS[1:13]


_TIME_PATTERN = re.compile(
    rf"""
    (?:(?P<before>{_CJK_AM}|{_CJK_PM}|{_CJK_NIGHT})[のに]?[ ]?)?
    (?P<cjk>\d{{1,2}}|十[一二]?|[零〇一二两兩三四五六七八九])[ ]?[点點時时]
        (?:(?P<cjk_quarters>[一三13])刻|(?P<cjk_minute>\d{{1,2}})分?|(?P<cjk_half>半))?
    | (?:(?P<ahead>{_CJK_AM}|{_CJK_PM}|{_CJK_NIGHT})[のに]?[ ]?)?
      (?<!\d)(?<!\d[:.,])(?P<hour>\d{{1,2}})
      (?: [:.](?P<minute>\d\d)(?![\d:]|\.\d) )?
      (?: [ ]?(?P<half>[ap])(?:\.[ ]?m(?:\.|\b)|[ ]?m\b)
        | [ ]?(?P<unit>o['’]?[ ]?clock\b|uhr\b|heures?\b|hrs?\b|horas?\b
          |h(?:[ ]?(?P<h>[0-5]\d))?(?!\w)))?
      (?: [ ]?(?P<after>{_MORNING}|{_EVENING}|{_NIGHT})(?!\w) )?
      (?![^\W\u2e80-\uffef]|[%€$£])
    | \b(?P<word>{"|".join(_HOUR_WORDS)})[ ]
      (?: (?P<word_half>[ap])(?:\.[ ]?m(?:\.|\b)|[ ]?m\b) | o['’]?[ ]?clock\b )
      (?: [ ]?(?P<word_after>{_MORNING}|{_EVENING}|{_NIGHT})(?!\w) )?
    | (?P<midnight>\b(?:midnight|mitternacht|medianoche|minuit|mezzanotte|meia-noite)\b|午夜|真夜中)
    | (?P<noon>\b(?:noon|midday|mediodía|midi|mezzogiorno|meio-dia)\b|正午)
    """,
    re.VERBOSE,
)


# A bare number is a time only after one of these words.
_TIME_PREPOSITION = re.compile(
    r"(?:\b(?:at|around|about|by|before|after|until|till|til|from|to|between|and|um|gegen|bis|ab"
    r"|von|zwischen|und|a las?|las|la|sobre las|hasta las|desde las|à|vers|jusqu['’]à|de|entre"
    r"|past)|[-~–—])[ ]?$"
)


# In "10-6" the second number is no time if the first is none.
_OPEN_RANGE = re.compile(r"\d[ ]?[-~–—][ ]?$")


def clock_minutes(text: str) -> int | None:
    """Minutes after midnight of the first time of day in a text, or None.

    >>> clock_minutes("opens at 8:30 am"), clock_minutes("around midnight"), clock_minutes("later")
    (510, 0, None)
    >>> clock_minutes("until 20:30"), clock_minutes("at 4 p.m."), clock_minutes("ab 9 Uhr")
    (1230, 960, 540)
    """
    for clock in find_times(normalize(text)):
        return clock.minutes(evening=False)
    return None


def find_times(text: str, *, bare: bool = False) -> Iterator[TimeOfDay]:
    """The times of day in a normalised text; with ``bare`` also bare numbers, as in "at 9"."""
    last = 0
    for match in _TIME_PATTERN.finditer(text):
        clock = _parse_time(match)
        if clock is None:
            continue
        explicit = match["hour"] is None or any(
            match[name] for name in ("minute", "half", "unit", "after")
        )
        if not explicit and not (
            bare and _TIME_PREPOSITION.search(text, max(0, clock.start - 16), clock.start)
        ):
            continue
        if not _OPEN_RANGE.search(text, max(last, clock.start - 8), clock.start):
            yield clock
            last = clock.end


def _parse_time(match: re.Match[str]) -> TimeOfDay | None:
    start, end = match.span()
    if match["midnight"] or match["noon"]:
        return TimeOfDay(start, end, 0 if match["midnight"] else 12, 0, "24")
    if match["cjk"]:
        hour = _HAN_NUMERALS[match["cjk"]] if match["cjk"] in _HAN_NUMERALS else int(match["cjk"])
        minute = 30 if match["cjk_half"] else int(match["cjk_minute"] or 0)
        if quarters := match["cjk_quarters"]:
            minute = 15 if quarters in "一1" else 45
        half = _half_from_words(hour, match["before"] or "")
    elif match["word"]:
        hour, minute = _HOUR_WORDS.index(match["word"]) + 1, 0
        half = _half_from_letter(match["word_half"]) or _half_from_words(
            hour, match["word_after"] or ""
        )
    else:
        hour, minute = int(match["hour"]), int(match["minute"] or match["h"] or 0)
        half = _half_from_letter(match["half"]) or _half_from_words(
            hour, match["after"] or match["ahead"] or ""
        )
        if not half and match["minute"] and match["hour"].startswith("0"):
            half = "24"
        # "8.30" may be a decimal number; it is a time only with a unit or a half of the day.
        dotted = match["minute"] and match.string[match.end("hour")] == "."
        if dotted and not (match["unit"] or match["half"] or match["after"]):
            return None
    if minute > 59 or hour > 24 or (half in ("am", "pm") and not 0 <= hour <= 12):
        return None
    if hour > 12 or hour == 0:
        half = "24"
    return TimeOfDay(start, end, hour % 24, minute, half)


def _half_from_letter(letter: str | None) -> HalfOfDay:
    return "am" if letter == "a" else "pm" if letter == "p" else ""


def _half_from_words(hour: int, words: str) -> HalfOfDay:
    """The half of the day that words beside an hour mean."""
    if not words or not 1 <= hour <= 12:
        return ""
    if re.fullmatch(rf"{_MORNING}|{_CJK_AM}", words):
        return "am"
    if re.fullmatch(rf"{_NIGHT}|{_CJK_NIGHT}|晚上|晚", words):
        return "pm" if 5 < hour < 12 else "am"
    return "pm"
