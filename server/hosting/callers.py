"""Who a request is from, and for which person it may speak."""

from __future__ import annotations

from dataclasses import dataclass, field

from ...core import SettingError, same_name, validate_person_name
from .person_directory import PersonDirectory
from .refusals import AccessDenied, RequestRefused

LOCAL_PERSON = "a visitor"
"""The person of a request that names none."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who a request is from: ``key`` names its API key (empty: no keys are in use, the server is
    reached from this machine only); ``bound_person`` is the only person it may speak for (empty:
    it names the person). ``people`` knows which key a person belongs to."""

    key: str = ""
    bound_person: str = ""
    people: PersonDirectory | None = field(default=None, compare=False, repr=False)

    def person(self, named: str | None = None) -> str:
        """The person of a request that names ``named``; a person whom no key has named belongs
        to this key from now on. Raises AccessDenied (403), and RequestRefused (400) for an
        invalid name."""
        person = self._validated(named)
        if self.people is None or not self.key or self.bound_person:
            return person
        if not self.people.claim(person, self.key):
            raise AccessDenied(403, "this person belongs to another API key")
        return person

    def known_person(self, named: str | None = None) -> str:
        """``person`` for requests that read: a person whom nobody has named is refused (404)."""
        person = self._validated(named)
        if self.people is None or not self.key or self.bound_person:
            return person
        owner = self.people.owner(person)
        if owner is None:
            raise AccessDenied(404, "nobody of this name has talked here")
        if owner != self.key:
            raise AccessDenied(403, "this person belongs to another API key")
        return person

    def _validated(self, named: str | None) -> str:
        if named is None or named == "":
            if self.bound_person:
                return self.bound_person
            # Of each key its own, or two applications would share what this person said.
            return _default_person(self.key)
        try:
            person = validate_person_name("user", named)
        except SettingError as error:
            raise RequestRefused(400, str(error), code="invalid_person", param="user") from error
        if self.bound_person and not same_name(person, self.bound_person):
            raise AccessDenied(403, "this API key speaks for another person")
        if self.bound_person:
            return self.bound_person
        if self.key and _is_default_person_of_another(person, self.key):
            raise AccessDenied(403, "this person belongs to another API key")
        if self.people is not None and self.people.is_agent(person):
            raise AccessDenied(403, f"{person} is an agent of this server; give the person's name")
        return person


def _default_person(key: str) -> str:
    return f"{LOCAL_PERSON} of {key}" if key else LOCAL_PERSON


def _is_default_person_of_another(person: str, key: str) -> bool:
    """Whether a name is that which another key gives to a person without one."""
    start = f"{LOCAL_PERSON} of "
    begins = same_name(person[: len(start)], start)
    return begins and not same_name(person, _default_person(key))
