"""Requests that a server refuses, and the form in which an API says so."""

from __future__ import annotations

from ...core import DenizensError, Json

OPENAI_PREFIX = "/v1/"
"""Paths that begin so belong to the OpenAI API, with its form of errors."""

_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
}
_CODES = {401: "invalid_api_key", 429: "rate_limit_exceeded", 504: "deadline_exceeded"}


class RequestRefused(DenizensError):
    """A request gets the HTTP status ``status`` instead of an answer.

    ``code`` and ``param`` are those of OpenAI's errors; ``retry_after`` (seconds) says when the
    request may succeed.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str | None = None,
        param: str | None = None,
        retry_after: int | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code
        self.param = param
        self.retry_after = retry_after

    @property
    def headers(self) -> dict[str, str]:
        """The headers of the response."""
        headers = {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}
        return {**headers, "WWW-Authenticate": "Bearer"} if self.status == 401 else headers


class AccessDenied(RequestRefused):
    """The caller may not do this: 401 no or a wrong key, 403 not the caller's, 404 unknown."""


def error_body(path: str, refusal: RequestRefused) -> Json:
    """The body of the response in the form of the API that ``path`` belongs to.

    >>> error_body("/api/agents", RequestRefused(404, "no agent 'Zoe'"))
    {'detail': "no agent 'Zoe'"}
    >>> error_body("/v1/models", RequestRefused(429, "slow down"))["error"]["type"]
    'rate_limit_error'
    """
    if not path.startswith(OPENAI_PREFIX):
        return {"detail": refusal.message}
    kind = "server_error" if refusal.status >= 500 else "invalid_request_error"
    return {
        "error": {
            "message": refusal.message,
            "type": _TYPES.get(refusal.status, kind),
            "param": refusal.param,
            "code": refusal.code or _CODES.get(refusal.status),
        }
    }
