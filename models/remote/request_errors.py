"""What goes wrong between a request and its answer, and the Failed that the ask gets."""

from __future__ import annotations

from ...core import Failed

DENIED_STATUSES = (401, 402, 403)


class RequestError(Exception):
    """A request that brought no answer, with the answer that its ask is to get."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.failed = Failed(reason=reason, detail=detail)


class RequestRejected(RequestError):
    """The server will not have this request (4xx, 501): asking again is of no use."""

    def __init__(self, status: int, detail: str, reason: str = "engine") -> None:
        super().__init__(reason, detail)
        self.status = status

    @property
    def is_adaptable(self) -> bool:
        """Whether the server does not take the request as it is; another one it may."""
        return self.status in (400, 422)


class PromptTooLong(RequestError):
    """The prompt does not fit. ``fitting_share``: how much of it would, where the server says."""

    def __init__(self, detail: str, share: float | None) -> None:
        super().__init__("context_too_long", detail)
        self.fitting_share = share


class UnusableReply(RequestError):
    """The server answered, but with nothing that the ask can use: no text, no JSON, none of
    the options."""


def error_from_status(status: int, detail: str) -> RequestError:
    """The RequestError of an HTTP status: Refused where asking again is of no use, by reason
    ``denied`` where key, rights or money are missing."""
    if status in DENIED_STATUSES or "insufficient_quota" in detail:
        return RequestRejected(status, detail, "denied")
    if status == 501 or (400 <= status < 500 and status not in (408, 409, 429)):
        return RequestRejected(status, detail)
    return RequestError("engine", detail)
