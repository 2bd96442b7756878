"""Errors of the OpenAI API, and the route class that says which field of a body is wrong.

Source of the shape: https://platform.openai.com/docs/guides/error-codes
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any

from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response

from ...core import Failed, replace_surrogates
from ..hosting import RequestRefused

_FAILED_CODES = {
    "context_too_long": "context_length_exceeded",
    "limit": "max_tokens_too_low",
    "schema": "invalid_json_schema",
    "refused": "unsupported_value",
}
"""The codes of reasons of Failed that the request caused; others are the server's fault."""


def api_error(
    message: str, *, status: int = 400, param: str | None = None, code: str | None = None
) -> RequestRefused:
    """The error of a request, with ``param`` and ``code`` of OpenAI's error object."""
    return RequestRefused(status, replace_surrogates(message), param=param, code=code)


def failed_error(failed: Failed, param: str | None = None) -> RequestRefused:
    """The error for an ask that failed."""
    code = _FAILED_CODES.get(failed.reason)
    if failed.reason == "context_too_long" and param != "input":
        param = "messages"
    return api_error(failed.detail, status=400 if code else 500, param=param, code=code)


def validation_error(errors: Sequence[Mapping[str, Any]], body: object) -> RequestRefused:
    """The error for a body that does not fit the request's type: its deepest fault."""
    fault = max(errors, key=lambda one: len(one["loc"]))
    path, rest = _path_in(body, [part for part in fault["loc"] if part != "body"])
    param = ".".join(path)
    if fault["type"] == "json_invalid":
        return api_error(f"the body is not JSON: {fault['ctx']['error']}", code="invalid_json")
    if fault["type"] == "extra_forbidden":
        return api_error(
            f"unknown parameter '{param}': it is not supported, and nothing is ignored; leave it "
            "out",
            param=param,
            code="unknown_parameter",
        )
    if fault["type"] == "missing":
        param = ".".join([*path, *rest[-1:]])
        return api_error(
            f"missing required parameter '{param}'", param=param, code="missing_required_parameter"
        )
    message = str(fault["msg"]).removeprefix("Value error, ")
    return api_error(f"'{param}': {message}" if param else message, param=param or None)


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


class OpenAIRoute(APIRoute):
    """A route whose errors say which field of the body is wrong."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handle_with_errors(request: Request) -> Response:
            try:
                return await handle(request)
            except RequestValidationError as error:
                raise validation_error(error.errors(), error.body) from error

        return handle_with_errors
