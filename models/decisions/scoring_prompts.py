"""What the language model reads when it scores an option: contexts and targets."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ...core import Choose, Message, Option, Part, Rate

if TYPE_CHECKING:  # the words alone serve engines that need no torch
    from ..engine import PromptBuilder, TokenPair

MAX_ABOUT_TOKENS = 160  # more of a text changes no decision and costs a prefill
MAX_OPTION_TOKENS = 320
PLAIN_SYSTEM = "You are a helpful assistant."
TOOL_INTRODUCTION = " You can do this: "
TOOL_ROLE = "tool"


def option_text(option: Option) -> str:
    """What stands for an option: its description, else its name."""
    return option.description or option.name


def first_line(option: Option) -> str:
    """What the embedder compares: of a long text it keeps but a blur."""
    return option_text(option).strip().partition("\n")[0]


def first_line_parts(option: Option) -> tuple[str, ...]:
    """The first line's head ("name" of "name: what it does") and its sentences; none where
    there is no head."""
    head, colon, rest = first_line(option).partition(": ")
    if not colon:
        return ()
    return (head, *(one for one in re.split(r"(?<=[.!?])\s+", rest) if one))


class ScoringPrompts:
    """Makes the pairs of context and target whose likelihoods are wanted."""

    def __init__(self, prompter: PromptBuilder) -> None:
        self._prompter = prompter

    def channel(self, option: Option, about: str, role: str) -> TokenPair:
        """``about`` as what a user says to an assistant that is told the option."""
        return self._user_turn(
            PLAIN_SYSTEM + TOOL_INTRODUCTION + option_text(option)
            if role == TOOL_ROLE
            else option_text(option),
            about,
        )

    def prior(self, about: str) -> TokenPair:
        """The same to an assistant that is told nothing."""
        return self._user_turn(PLAIN_SYSTEM, about)

    def _user_turn(self, told: str, about: str) -> TokenPair:
        window = self._prompter.window
        ids = self._prompter.text_ids(told)[: min(MAX_OPTION_TOKENS, window // 2)]
        target = self._prompter.text_ids(about)[: min(MAX_ABOUT_TOKENS, window // 4)]
        return self._prompter.opening_ids(("system", "user"), (ids,)), target

    def direct(self, ask: Choose, more: int = 0) -> list[TokenPair]:
        """Each option's name as the reply to the messages. Messages that do not end with a
        user's are no question: one about ``about`` is put, its options in order of their
        names, so that theirs in the ask cannot matter. ``more`` tokens are kept free behind the
        name. Raises ContextTooLong."""
        messages = ask.messages
        if not messages or messages[-1].role not in ("user", "tool"):
            messages = (*messages, about_question(ask))
        targets = [self._prompter.text_ids(option.name) for option in ask.options]
        context = self._prompter.fit(messages, max(map(len, targets)) + more).ids
        return [(context, target) for target in targets]

    def whole(self, ask: Choose) -> list[TokenPair]:
        """Each option's name as the whole reply: what closes the reply belongs to it."""
        closing = self._prompter.closing_ids()
        return [(context, target + closing) for context, target in self.direct(ask, len(closing))]

    def bare(self, option: Option) -> TokenPair:
        """An option's name as the reply to an empty message."""
        context = self._prompter.ids((Message.of("user", ""),))
        return context, self._prompter.text_ids(option.name)

    def digits(self, ask: Rate) -> list[TokenPair]:
        """Each number as the reply. Raises ContextTooLong."""
        messages = ask.messages or (Message.of("user", ask.about),)
        # The line break ends the number: without it "1" would also count for "10".
        targets = [self._prompter.text_ids(f"{i}\n") for i in range(ask.low, ask.high + 1)]
        context = self._prompter.fit(messages, max(map(len, targets))).ids
        return [(context, target) for target in targets]


def about_question(ask: Choose) -> Message:
    """Where the window is too small for all options, some of them go unmentioned."""
    ordered: Sequence[Option] = sorted(ask.options, key=lambda option: option.name)
    lines = [
        f"- {option.name}: {first_line(option)}" if option.description else f"- {option.name}"
        for option in ordered
    ]
    asked = (ask.about, "", "Which of these fits best? Answer with its name.")
    return Message("user", (*map(Part, asked), *(Part(line, drop=1) for line in lines)))
