"""Requests to a person to approve a tool call, and the answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, TypeAlias

from ..errors import RunError, SettingError
from ..types import AgentId, Json


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalRequest:
    """A request to approve a tool call of the agent ``who``.

    ``why`` is the agent's reason for the call and ``because`` the reason why a person is asked.
    ``sources`` are the untrusted sources that the call rests on, ``read`` all its sources.
    ``person`` is for whom it is made (empty: the owner). With ``doubt`` an earlier process
    started the call, and it is unknown whether it was completed."""

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
        pairs = dict(self.arguments).items()
        arguments = ", ".join(f"{name}={value!r}" for name, value in pairs)
        return f"{self.who}: {self.tool}({arguments}); {self.because}"


@dataclass(frozen=True, slots=True)
class Approval:
    """A person's answer to a request. The agent is given the ``note``; ``by`` is logged."""

    yes: bool
    note: str = ""
    by: str = ""

    def __post_init__(self) -> None:
        # Any non-empty text is true, even "no".
        if not isinstance(self.yes, bool):
            raise SettingError(
                f"an approval is True or False, not {self.yes!r}; compare a text that somebody "
                "typed with what means yes"
            )


Approver: TypeAlias = Callable[[ApprovalRequest], Approval | bool | None]
"""Answers a request at once; None leaves it pending."""


class ApprovalRequired(RunError):
    """Tool calls wait for approval; the run goes on from there once they are answered."""

    def __init__(self, message: str, requests: tuple[ApprovalRequest, ...] = ()) -> None:
        super().__init__(message)
        self.requests = requests
