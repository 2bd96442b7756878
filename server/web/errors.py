"""Errors as responses: what an exception means for the client, and what the log may say of it."""

from __future__ import annotations

import logging
import traceback
from typing import Any

from ...core import ContextTooLong, DenizensError, MemoryFault, RunLocked, SettingError
from ..hosting import OPENAI_PREFIX, RequestContext, RequestRefused, error_body


def refusal_of(error: BaseException) -> RequestRefused | None:
    """The refusal that an error amounts to; None for a fault of the server."""
    if isinstance(error, RequestRefused):
        return error
    if isinstance(error, ContextTooLong):
        return RequestRefused(400, str(error), code="context_length_exceeded")
    if isinstance(error, RunLocked):
        return RequestRefused(503, "the memory is in use; try again", retry_after=2)
    if isinstance(error, SettingError | MemoryFault):
        return RequestRefused(400, str(error))
    if isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        return refusal_of(error.exceptions[0])
    return None


def internal_error() -> RequestRefused:
    """What a client is told of a fault of the server: nothing of what it was about."""
    return RequestRefused(500, "the server failed; its log has this request's X-Request-Id")


def log_failure(
    logger: logging.Logger, context: RequestContext, error: BaseException, with_text: bool
) -> None:
    """Log where a fault happened; its messages, which may quote prompts, only ``with_text``."""
    if with_text:
        logger.error("%s: failed", context.request_id, exc_info=error)
        return
    frames = traceback.extract_tb(error.__traceback__)[-8:]
    where = " < ".join(f"{f.filename.rpartition('/')[2]}:{f.lineno} {f.name}" for f in frames[::-1])
    logger.error("%s: %s at %s", context.request_id, type(error).__name__, where)


def add_error_handlers(app: Any) -> None:
    """Let an application answer errors in the form of the API that the path belongs to: OpenAI's
    under ``/v1``, ``{"detail": ...}`` elsewhere."""
    from fastapi.exceptions import RequestValidationError
    from starlette.exceptions import HTTPException
    from starlette.requests import Request
    from starlette.responses import JSONResponse, Response

    def respond(request: Request, refusal: RequestRefused) -> Response:
        body = error_body(request.url.path, refusal)
        return JSONResponse(body, refusal.status, refusal.headers)

    async def refused(request: Request, error: Exception) -> Response:
        refusal = refusal_of(error)
        if refusal is None:
            raise error
        return respond(request, refusal)

    async def http_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        response = respond(request, RequestRefused(error.status_code, str(error.detail)))
        response.headers.update(error.headers or {})
        return response

    async def invalid(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        first = error.errors()[0]
        place = [str(part) for part in first["loc"] if part != "body"]
        message = f"{'.'.join(place) or 'body'}: {first['msg']}"
        if request.url.path.startswith(OPENAI_PREFIX):
            return respond(request, RequestRefused(400, message, param=".".join(place) or None))
        details = [{k: one[k] for k in ("loc", "msg", "type")} for one in error.errors()]
        return JSONResponse({"detail": details}, 422)

    app.add_exception_handler(DenizensError, refused)
    app.add_exception_handler(HTTPException, http_error)
    app.add_exception_handler(RequestValidationError, invalid)
