"""Settings of chats: length, temperature, manner, drafts, window, time zone; moderation hooks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, tzinfo

from ...core import (
    AgentId,
    DenizensError,
    SettingError,
    Time,
    check_arguments,
    time_zone,
    zone_name,
)
from ...planners import ReplyStyle

MAX_MANNER_CHARS = 2000
"""Longest instruction in ``ChatSettings.manner``."""
_MAX_NUMBERS = {"max_tokens": 2048, "sentences": 50, "drafts": 16, "window": 400}


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatSettings:
    """How an agent replies in chats. None and empty: as its dialogue has it.

    ``max_tokens`` and ``sentences`` bound a reply, ``temperature`` (0 to 2) is that of sampling.
    ``manner`` is a short instruction, such as "briefly and politely", which stands in the prompt
    behind who the agent is. ``drafts``: of so many one is chosen; with 1 the reply is streamed
    token by token (with ``sentences`` once it is whole). Of a session the last ``window`` lines
    stand in the prompt, older ones as a summary. ``time_zone`` is the person's, such as
    "Europe/Berlin" or "+02:00": what "tonight" means to them, also later, since records keep it;
    the times of records are those of this machine's clock. A message whose ``at`` has a time zone
    says it for itself.

    Raises SettingError for a value that cannot be.
    """

    max_tokens: int | None = None
    sentences: int | None = None
    temperature: float | None = None
    manner: str = ""
    drafts: int | None = None
    window: int = 12
    time_zone: str = ""

    def __post_init__(self) -> None:
        for name, most in _MAX_NUMBERS.items():
            number = getattr(self, name)
            if number is None and name != "window":
                continue
            if type(number) is not int or not 1 <= number <= most:
                raise SettingError(f"chat: {name} must be from 1 to {most}, not {number!r:.60}")
        if self.temperature is not None and not (
            type(self.temperature) in (int, float) and 0 <= self.temperature <= 2
        ):
            raise SettingError(f"chat: temperature must be from 0 to 2, not {self.temperature!r}")
        self._check_manner()
        if not isinstance(self.time_zone, str):
            kind = type(self.time_zone).__name__
            raise SettingError(
                f"chat: time_zone must be a name such as 'Europe/Berlin', not {kind}"
            )
        try:
            time_zone(self.time_zone)
        except SettingError as error:
            raise SettingError(f"chat: time_zone: {error}") from error

    def _check_manner(self) -> None:
        if not isinstance(self.manner, str):
            raise SettingError(f"chat: manner must be a string, not {type(self.manner).__name__}")
        if len(self.manner) > MAX_MANNER_CHARS:
            raise SettingError(
                f"chat: manner has {len(self.manner)} characters, and may have {MAX_MANNER_CHARS}; "
                "give a short instruction, and what the agent knows as facts of its persona"
            )
        if any(ord(sign) < 32 or 0xD800 <= ord(sign) <= 0xDFFF for sign in self.manner):
            raise SettingError(
                "chat: manner holds a line break or another control character; write one line"
            )

    @property
    def zone(self) -> tzinfo | None:
        """The time zone of the person; None if it is not known."""
        return time_zone(self.time_zone)

    def at_moment(self, at: datetime) -> tuple[ChatSettings, Time]:
        """The settings of a message and its time by the clock of this machine: without a time zone
        of their own, the settings take that of ``at``, if it has one."""
        if at.tzinfo is None:
            return self, at
        settings = self
        if not self.time_zone:
            settings = replace(self, time_zone=zone_name(at.tzinfo, at))
        return settings, machine_clock(at)

    @property
    def style(self) -> ReplyStyle:
        """The part of the settings that a dialogue takes."""
        return ReplyStyle(
            max_tokens=self.max_tokens,
            sentences=self.sentences,
            temperature=self.temperature,
            manner=" ".join(self.manner.split()),
            drafts=self.drafts,
            window=self.window,
        )


def time_of_chat(at: datetime | None) -> Time:
    """``at`` by the clock of this machine, or its present time without microseconds."""
    return datetime.now().replace(microsecond=0) if at is None else machine_clock(at)


def machine_clock(at: datetime) -> Time:
    """A time with a time zone by the clock of this machine; one without as it is."""
    return at if at.tzinfo is None else at.astimezone().replace(tzinfo=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatMoment:
    """Where a moderation hook is called: the agent, the person, the name of the session (empty:
    none), and the text of the reply ``shown`` so far. ``last``: the reply is complete, and what
    was held back may be returned now."""

    agent: AgentId
    person: AgentId
    session: str = ""
    shown: str = ""
    last: bool = False


class LineRefused(DenizensError):
    """Raised by a hook: the line of the person is not heard, and not remembered."""


class ReplyStopped(DenizensError):
    """Raised by a hook: the reply ends with what was shown so far."""


class HookFailed(DenizensError):
    """A moderation hook raised an error, or returned no text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModerationHooks:
    """Functions that see a chat before the agent or the person does.

    ``heard`` gets each line of a person before it is heard and returns it, changed or not; it may
    raise LineRefused with a reason. ``shown`` gets each piece of a reply before it is shown and
    returns what is shown of it (empty: it is held back); at the end it gets an empty piece with
    ``last`` set. It may raise ReplyStopped. What was let through is what is remembered. Any other
    exception ends the reply with HookFailed.
    """

    heard: Callable[[str, ChatMoment], str] | None = None
    shown: Callable[[str, ChatMoment], str] | None = None

    @check_arguments
    def filter_line(self, text: str, moment: ChatMoment) -> str:
        """The line as the agent hears it. Raises LineRefused and HookFailed."""
        return _filtered(self.heard, "heard", text, moment)

    @check_arguments
    def filter_piece(self, piece: str, moment: ChatMoment) -> str:
        """The piece as the person sees it. Raises ReplyStopped and HookFailed."""
        return _filtered(self.shown, "shown", piece, moment)


def _filtered(
    hook: Callable[[str, ChatMoment], str] | None, name: str, text: str, moment: ChatMoment
) -> str:
    if hook is None:
        return text
    try:
        answer = hook(text, moment)
    except (LineRefused, ReplyStopped):
        raise
    except Exception as error:
        raise HookFailed(
            f"{moment.agent}: the moderation hook '{name}' raised {type(error).__name__}: {error}"
        ) from error
    if not isinstance(answer, str):
        raise HookFailed(
            f"{moment.agent}: the moderation hook '{name}' returned "
            f"{type(answer).__name__}; return the text, or an empty one"
        )
    return answer
