"""Errors of requests to a server, each with the Failed that its ask gets."""

from __future__ import annotations

from ...core import Failed

DENIED_STATUSES = (401, 402, 403)
RETRY_STATUSES = (408, 409, 429)  # and 5xx


class RequestError(Exception):
    """A request without a usable reply. ``failed`` is the answer to its ask."""

    is_transient = False

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.failed = Failed(reason=reason, detail=detail)


class RequestRejected(RequestError):
    """The server rejected the request (4xx, 501); repeating it is useless."""

    def __init__(self, status: int, detail: str, reason: str = "engine") -> None:
        super().__init__(reason, detail)
        self.status = status

    @property
    def is_adaptable(self) -> bool:
        """Whether the server may accept a request with other fields or roles."""
        return self.status in (400, 422)


class PromptTooLong(RequestError):
    """The prompt exceeds the window. ``fitting_share``: the fraction that fits, where the server
    tells it."""

    def __init__(self, detail: str, fitting_share: float | None) -> None:
        super().__init__("context_too_long", detail)
        self.fitting_share = fitting_share


class UnusableReply(RequestError):
    """The server replied, but without what the ask needs: text, JSON, or one of the options."""


def error_from_status(status: int, detail: str) -> RequestError:
    """The error for an HTTP status: RequestRejected where repeating is useless, with the reason
    ``denied`` where the key, a permission or credit is missing."""
    if status in DENIED_STATUSES or "insufficient_quota" in detail:
        return RequestRejected(status, detail, "denied")
    if status == 501 or (400 <= status < 500 and status not in RETRY_STATUSES):
        return RequestRejected(status, detail)
    error = RequestError("engine", detail)
    error.is_transient = status in RETRY_STATUSES or status >= 500
    return error
