"""The prompts that a language model scores for an option: pairs of context and target."""

from __future__ import annotations

import re
from collections.abc import Hashable
from typing import Protocol, TypeVar

from ...core import Choose, Message, Option, Part, Rate

PLAIN_SYSTEM = "You are a helpful assistant."
TOOL_INTRODUCTION = " You can do this: "
TOOL_ROLE = "tool"

Pair = TypeVar("Pair", bound=Hashable)


def option_text(option: Option) -> str:
    """The option's description, or its name where it has none."""
    return option.description or option.name


def first_line(option: Option) -> str:
    """The text that is embedded for an option: embeddings of long texts are blurred."""
    return option_text(option).strip().partition("\n")[0]


def first_line_parts(option: Option) -> tuple[str, ...]:
    """The first line's head ("name" in "name: what it does") and its sentences; empty where
    there is no head."""
    head, colon, rest = first_line(option).partition(": ")
    if not colon:
        return ()
    return (head, *(sentence for sentence in re.split(r"(?<=[.!?])\s+", rest) if sentence))


def system_text(option: Option, role: str) -> str:
    """The system prompt that tells an assistant the option."""
    prefix = PLAIN_SYSTEM + TOOL_INTRODUCTION if role == TOOL_ROLE else ""
    return prefix + option_text(option)


def question_messages(ask: Choose) -> tuple[Message, ...]:
    """The ask's messages; where the last is not a user's, followed by a question about ``about``.

    The question lists the options by name, so that their order in the ask does not matter. Where
    the window is too small, the last ones are dropped.
    """
    if ask.messages and ask.messages[-1].role in ("user", "tool"):
        return ask.messages
    lines = [
        f"- {option.name}: {first_line(option)}" if option.description else f"- {option.name}"
        for option in sorted(ask.options, key=lambda option: option.name)
    ]
    question = (ask.about, "", "Which of these fits best? Answer with its name.")
    parts = (*map(Part, question), *(Part(line, drop=1) for line in lines))
    return (*ask.messages, Message("user", parts))


class ScoringPrompts(Protocol[Pair]):
    """Makes the pairs of context and target whose log-probabilities are features."""

    def channel(self, option: Option, about: str, role: str) -> Pair:
        """``about`` as the user's message to an assistant whose system prompt is the option."""

    def prior(self, about: str) -> Pair:
        """``about`` as the user's message to an assistant with a plain system prompt."""

    def direct(self, ask: Choose) -> list[Pair]:
        """Each option's name as the beginning of the reply to ``question_messages``."""

    def whole(self, ask: Choose) -> list[Pair]:
        """Each option's name as the whole reply, including what ends a reply."""

    def bare(self, option: Option) -> Pair:
        """An option's name as the reply to an empty message."""

    def digits(self, ask: Rate) -> list[Pair]:
        """Each number as the reply."""
