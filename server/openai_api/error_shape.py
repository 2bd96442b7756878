"""The error object of OpenAI's API."""

from __future__ import annotations

from ...core import Json

ERROR_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    409: "conflict_error",
    429: "rate_limit_error",
}
"""The ``type`` of an error by its HTTP status; other 4xx are invalid_request_error."""


def error_body(
    message: str,
    *,
    status: int = 400,
    type: str = "",
    param: str | None = None,
    code: str | None = None,
) -> dict[str, Json]:
    """The body of an error response.

    >>> error_body("no such key", status=401)["error"]["type"]
    'authentication_error'
    """
    default = "server_error" if status >= 500 else "invalid_request_error"
    kind = type or ERROR_TYPES.get(status, default)
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}
