"""Names of months and weekdays, number words, ordinals, and the 12-hour clock, in English.

Every reader of dates and times in the package takes its tables from here.
"""

from __future__ import annotations

MONTH_NAMES = (
    *("January", "February", "March", "April", "May", "June", "July"),
    *("August", "September", "October", "November", "December"),
)
WEEKDAY_NAMES = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
"""In the order of ``datetime.weekday()``."""

MONTH_NUMBERS = {name.lower(): number for number, name in enumerate(MONTH_NAMES, 1)}
"""1 to 12 by the lower-case name of a month, and by its first three letters."""
MONTH_NUMBERS |= {name[:3]: number for name, number in MONTH_NUMBERS.items()}

SMALL_NUMBER_WORDS = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"),
    *("eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen"),
    *("eighteen", "nineteen"),
)
"""The words for 0 to 19, by position."""
TENS_WORDS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
NUMBER_WORDS = {word: number for number, word in enumerate(SMALL_NUMBER_WORDS)}
"""0 to 19, and 20 to 90 in tens, by word."""
NUMBER_WORDS |= {word: 10 * number for number, word in enumerate(TENS_WORDS, 2)}

ORDINALS = {"first": 0, "second": 1, "third": 2, "fourth": 3}
"""Zero-based positions by ordinal word or figure."""
ORDINALS |= {"1st": 0, "2nd": 1, "3rd": 2, "4th": 3}


def hour_of_day(hour: int, half: str) -> int:
    """The hour from 0 to 23 of an hour from 1 to 12, where ``half`` begins with "a" (am) or
    "p" (pm).

    >>> hour_of_day(12, "am"), hour_of_day(12, "pm"), hour_of_day(7, "p")
    (0, 12, 19)
    """
    return hour % 12 + (12 if half[:1].lower() == "p" else 0)
