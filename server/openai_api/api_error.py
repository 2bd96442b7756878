"""Errors in the shape of OpenAI's API, and the route class that answers with them.

Source of the shape: https://platform.openai.com/docs/guides/error-codes
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any

from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from ...core import (
    ContextTooLong,
    DenizensError,
    Failed,
    ModelError,
    RunLocked,
    SettingError,
    replace_surrogates,
)
from ..hosting import AccessDenied
from .error_shape import error_body

log = logging.getLogger(__name__)

_CODES = {401: "invalid_api_key", 404: "not_found"}
_FAILED_STATUS = {"context_too_long": 400, "limit": 400, "schema": 400, "refused": 400}
"""The status for reasons of Failed that the request caused; others are the server's fault."""


class ApiError(DenizensError):
    """An error of a request: its HTTP ``status``, and ``type``, ``param`` and ``code`` of
    OpenAI's error object."""

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        type: str = "",
        param: str | None = None,
        code: str | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.body = error_body(
            replace_surrogates(message), status=status, type=type, param=param, code=code
        )


def failed_error(failed: Failed, param: str | None = None) -> ApiError:
    """The error for an ask that failed."""
    if failed.reason == "context_too_long":
        return ApiError(failed.detail, param="messages", code="context_length_exceeded")
    status = _FAILED_STATUS.get(failed.reason, 500)
    code = {"limit": "max_tokens_too_low", "schema": "invalid_json_schema"}.get(failed.reason)
    return ApiError(failed.detail, status=status, param=param, code=code)


def as_api_error(error: Exception) -> ApiError:
    """Any error of a request as one that can be sent. Unexpected ones are logged and do not show
    what happened inside."""
    if isinstance(error, ApiError):
        return error
    if isinstance(error, AccessDenied):
        return ApiError(str(error), status=error.status, code=_CODES.get(error.status))
    if isinstance(error, ContextTooLong):
        return ApiError(str(error), param="messages", code="context_length_exceeded")
    if isinstance(error, SettingError):
        return ApiError(str(error))
    if isinstance(error, RunLocked):
        return ApiError(str(error), status=409, code="conversation_busy")
    if isinstance(error, HTTPException):
        return ApiError(str(error.detail), status=error.status_code)
    log.error("a request failed: %s", type(error).__name__, exc_info=error)
    what = str(error) if isinstance(error, ModelError) else "an error inside the server"
    return ApiError(what, status=500, code="internal_error")


def validation_error(errors: Sequence[Mapping[str, Any]], body: object) -> ApiError:
    """The error for a body that does not fit the request's type: its deepest fault."""
    fault = max(errors, key=lambda one: len(one["loc"]))
    path, rest = _path_in(body, [part for part in fault["loc"] if part != "body"])
    param = ".".join(path)
    if fault["type"] == "json_invalid":
        return ApiError(f"the body is not JSON: {fault['ctx']['error']}", code="invalid_json")
    if fault["type"] == "extra_forbidden":
        return ApiError(
            f"unknown parameter '{param}': it is not supported, and nothing is ignored; leave it "
            "out",
            param=param,
            code="unknown_parameter",
        )
    if fault["type"] == "missing":
        param = ".".join([*path, *rest[-1:]])
        return ApiError(
            f"missing required parameter '{param}'", param=param, code="missing_required_parameter"
        )
    message = str(fault["msg"]).removeprefix("Value error, ")
    return ApiError(f"'{param}': {message}" if param else message, param=param or None)


def _path_in(body: Any, location: Sequence[object]) -> tuple[list[str], list[str]]:
    """The part of a location that is a path in the body, and the rest: names of union members."""
    path: list[str] = []
    rest: list[str] = []
    for part in location:
        try:
            body = body[part]
        except (LookupError, TypeError):
            rest.append(str(part))
        else:
            path.append(str(part))
    return path, rest


def error_response(error: ApiError) -> Response:
    """The response for an error."""
    return JSONResponse(error.body, status_code=error.status)


class OpenAIRoute(APIRoute):
    """A route whose errors have OpenAI's shape."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handle_with_errors(request: Request) -> Response:
            try:
                return await handle(request)
            except RequestValidationError as error:
                return error_response(validation_error(error.errors(), error.body))
            except Exception as error:  # noqa: BLE001  every error is sent in this shape
                return error_response(as_api_error(error))

        return handle_with_errors
