"""Requests to a person to approve a tool call, and the answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, TypeAlias

from ..errors import RunError, SettingError
from ..types import AgentId, Json


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalRequest:
    """A call that waits for a person: who wants to call what, why, and after reading whose
    words. ``because`` says why a person is asked; with ``doubt`` the call had begun when its
    process ended, and nobody knows whether it was done. ``person`` is for whom it is made
    (empty: the owner); ``read`` are all on whose words it rests, also those who are trusted."""

    OMITTED_AT_DEFAULT: ClassVar[tuple[str, ...]] = ("person", "read")

    key: str
    who: AgentId
    tool: str
    arguments: Json
    why: str = ""
    sources: tuple[str, ...] = ()
    because: str = ""
    doubt: bool = False
    person: AgentId = ""
    read: tuple[str, ...] = ()

    def __str__(self) -> str:
        given = ", ".join(f"{name}={value!r}" for name, value in dict(self.arguments).items())
        return f"{self.who}: {self.tool}({given}); {self.because}"


@dataclass(frozen=True, slots=True)
class Approval:
    """A person's answer to a request. The ``note`` is told to the agent, ``by`` is kept."""

    yes: bool
    note: str = ""
    by: str = ""

    def __post_init__(self) -> None:
        # Any text is true, "no" as well.
        if not isinstance(self.yes, bool):
            raise SettingError(
                f"an approval is True or False, not {self.yes!r}; compare a text that somebody "
                "typed with what means yes"
            )


Approver: TypeAlias = Callable[[ApprovalRequest], Approval | bool | None]
"""Answers a request at once; None leaves it waiting."""


class ApprovalRequired(RunError):
    """A call waits for a person to allow it; the run goes on from there once it is answered."""

    def __init__(self, message: str, requests: tuple[ApprovalRequest, ...] = ()) -> None:
        super().__init__(message)
        self.requests = requests
