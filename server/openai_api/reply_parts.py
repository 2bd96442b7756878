"""The parts of an answer as they arrive, whatever API they are sent by."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Literal, TypeAlias

from ...core import GeneratedToken
from .chat_task import FunctionCall

FinishReason: TypeAlias = Literal["stop", "length", "tool_calls"]


@dataclass(frozen=True, slots=True)
class AnswerText:
    """A piece of the text of choice number ``index``."""

    index: int
    text: str
    logprobs: tuple[GeneratedToken, ...] = ()


@dataclass(frozen=True, slots=True)
class AnswerCall:
    """A call that the client is to make."""

    index: int
    call: FunctionCall


@dataclass(frozen=True, slots=True)
class AnswerEnd:
    """The end of a choice, with the tokens that it cost. ``prompt_tokens`` of several choices of
    one prompt are counted once, with the first."""

    index: int
    finish_reason: FinishReason
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0


AnswerPart: TypeAlias = AnswerText | AnswerCall | AnswerEnd
AnswerParts: TypeAlias = AsyncGenerator[AnswerPart, None]
