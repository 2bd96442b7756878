"""Settings of the Daily planner."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class DailySettings:
    """Limits and counts of the Daily planner.

    ``cooldown_minutes``: how long two agents do not talk again after a conversation (the
    published code: 800 steps of 10 s). ``min_lines`` and ``max_lines``: length of a
    conversation. ``fine_minutes``: length of one action inside a longer schedule entry.
    ``candidates``: drafts per generated text. ``drafts``: drafts per line of a conversation, and
    as many more if none of them is good. ``questions``, ``retrieved`` and ``insights``: per
    reflection, the questions asked, the records recalled for each, and the insights stored.
    """

    cooldown_minutes: int = 133
    max_lines: int = 16
    min_lines: int = 4
    fine_minutes: int = 15
    candidates: int = 3
    drafts: int = 4
    questions: int = 3
    retrieved: int = 30
    insights: int = 5
