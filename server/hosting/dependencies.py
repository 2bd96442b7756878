"""FastAPI dependencies: who a request is from, and admission."""

from __future__ import annotations

from starlette.requests import HTTPConnection

from .callers import Caller
from .refusals import AccessDenied
from .server_state import HostingState, RequestContext

STATE_KEY = "denizens_request"
"""Where a request's scope has its RequestContext, in ``state``."""


def request_context(request: HTTPConnection) -> RequestContext:
    """The context that the middleware has made. Raises AccessDenied in an application without
    the middleware: nobody has looked who it is."""
    context = request.scope.get("state", {}).get(STATE_KEY)
    if not isinstance(context, RequestContext):
        raise AccessDenied(401, "this application checks no keys; make it with create_app")
    return context


async def current_caller(request: HTTPConnection) -> Caller:
    """FastAPI dependency: who the request is from. Raises AccessDenied."""
    caller = request_context(request).caller
    if caller is None:
        raise AccessDenied(401, "an API key is needed: Authorization: Bearer KEY")
    return caller


async def admit(request: HTTPConnection) -> None:
    """Wait until the request may use the model; the place is given back when its response has
    ended. Raises RequestRefused: 429 with Retry-After if too many wait."""
    context = request_context(request)
    if context.place is None:
        caller = await current_caller(request)
        context.place = context.hosting.admission.reserve(caller.key)
    await context.place.enter()
    context.admitted = True


async def admitted_caller(request: HTTPConnection) -> Caller:
    """FastAPI dependency: ``current_caller``, once the request is admitted."""
    await admit(request)
    return await current_caller(request)


def hosting_state(request: HTTPConnection) -> HostingState:
    """FastAPI dependency: what the requests of the server share."""
    return request_context(request).hosting
