"""Who a request is from, and for which person it may speak."""

from __future__ import annotations

from dataclasses import dataclass

from ...core import DenizensError

LOCAL_PERSON = "a visitor"


class AccessDenied(DenizensError):
    """The caller may not do this. ``status`` is the HTTP status: 401, 403 or 404."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class Caller:
    """Who a request is from: ``key`` names its API key (empty: no keys are in use, the server is
    reached from this machine only); ``bound_person`` is the only person it may speak for (empty:
    it names the person)."""

    key: str = ""
    bound_person: str = ""

    def person(self, named: str | None) -> str:
        """The person of a request that names ``named``. Raises AccessDenied."""
        if not self.bound_person:
            return named or LOCAL_PERSON
        if named and named != self.bound_person:
            raise AccessDenied(403, f"this key speaks for {self.bound_person}, not for {named}")
        return self.bound_person


async def current_caller() -> Caller:
    """FastAPI dependency: who the request is from. Raises AccessDenied."""
    return Caller()
