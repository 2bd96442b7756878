"""Claims as one person may see them: computed from statements, never stored."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

from ...core import Time
from ...core.text import EntityNames
from .statements import FUNCTIONAL, Fact, Statement

ALIAS = "also called"
_PREFIXES = ("favourite ", "favorite ")


class FactView:
    """All claims that follow from ``statements``, by subject and relation.

    Statements hidden from a person must not be among them: then nothing that is computed,
    neither what ended a fact nor what a name means, can tell of them.
    """

    def __init__(
        self, statements: Sequence[Statement], functional: Callable[[str], bool] | None = None
    ) -> None:
        self._functional = functional or is_functional
        aliases = [(s.subject, s.object) for s in statements if s.relation == ALIAS]
        told = [s for s in statements if s.relation != ALIAS]
        spellings = [name for s in told for name in (s.subject, s.object) if name]
        self.names = EntityNames([*spellings, *(full for full, _ in aliases)], aliases)
        groups: dict[tuple[str, str], list[Statement]] = {}
        for statement in told:
            key = (self.names.resolve(statement.subject), relation_key(statement.relation))
            groups.setdefault(key, []).append(statement)
        called: dict[str, set[str]] = {}
        for statement in statements:
            if statement.relation == ALIAS:
                key_of = self.names.resolve(statement.subject)
                called.setdefault(key_of, set()).update(statement.words_of)
        self._claims = {
            key: self._labelled(self._closed(key[1], group), group, called.get(key[0], set()))
            for key, group in groups.items()
        }

    def facts(self, subject: str = "", relation: str = "") -> list[Fact]:
        """Claims of a subject and relation (any where empty), in order of validity."""
        who, what = self.names.resolve(subject) if subject else "", relation_key(relation)
        if who and what:
            return list(self._claims.get((who, what), ()))
        found = [
            claim
            for (one, other), claims in self._claims.items()
            if (not who or one == who) and (not what or other == what)
            for claim in claims
        ]
        return sorted(found, key=lambda claim: (claim.since, claim.learned, claim.id))

    def _labelled(
        self, claims: list[Fact], group: Sequence[Statement], called: set[str]
    ) -> list[Fact]:
        """The claims of a subject and relation, each of the words of all that was told of it:
        what ends one, and what its name means, is part of it."""
        words = called.union(*(statement.words_of for statement in group))
        if not words:
            return claims
        return [replace(claim, words_of=tuple(sorted(words))) for claim in claims]

    def _closed(self, relation: str, group: list[Statement]) -> list[Fact]:
        ordered = sorted(group, key=lambda s: (s.since, s.learned, s.id))
        if self._functional(relation):
            return self._runs(ordered)
        by_object: dict[str, list[Statement]] = {}
        ends = [s for s in ordered if s.denies and not s.object]
        for statement in ordered:
            if statement.object:
                by_object.setdefault(self.names.resolve(statement.object), []).append(statement)
        found = []
        for statements in by_object.values():
            both = sorted([*statements, *ends], key=lambda s: (s.since, s.learned, s.id))
            found.extend(self._runs(both))
        return sorted(found, key=lambda claim: (claim.since, claim.learned, claim.id))

    def _runs(self, ordered: Sequence[Statement]) -> list[Fact]:
        """Neighbouring statements of one object make a claim; what comes next ends it."""
        found: list[Fact] = []
        run: list[Statement] = []
        for statement in ordered:
            same = bool(run) and self._same(run[0], statement)
            expired = bool(run) and (end := _end(run)) is not None and end <= statement.since
            if statement.denies:
                # "No longer in Leeds" says nothing about one who lives elsewhere by now.
                if run and (not statement.object or same):
                    found.append(self._claim(run, statement.since))
                    run = []
            elif same and not expired:
                run.append(statement)
            else:
                if run:
                    found.append(self._claim(run, statement.since))
                run = [statement]
        if run:
            found.append(self._claim(run, None))
        return found

    def _same(self, one: Statement, other: Statement) -> bool:
        return self.names.resolve(one.object) == self.names.resolve(other.object)

    def _claim(self, run: Sequence[Statement], end: Time | None) -> Fact:
        first = run[0]
        said = _end(run)
        ends = [moment for moment in (end, said) if moment is not None]
        public = any(not s.audience for s in run)
        people = {person for s in run for person in s.audience}
        return Fact(
            id=first.id,
            subject=self.names.display_name(first.subject),
            relation=relation_key(first.relation),
            object=self.names.display_name(first.object),
            since=first.since,
            learned=min(s.learned for s in run),
            until=min(ends) if ends else None,
            sources=tuple(dict.fromkeys(source for s in run for source in s.sources)),
            confidence=1 - math.prod(1 - s.confidence for s in run),
            who=first.who,
            audience=() if public else tuple(sorted(people)),
            statements=tuple(s.id for s in run),
        )


def _end(run: Sequence[Statement]) -> Time | None:
    """When a run of statements ends by its own words: the latest of them counts."""
    said = [s for s in run if s.until is not None]
    return said[-1].until if said else None


def relation_key(relation: str) -> str:
    """A relation without case and doubled spaces, British in spelling.

    >>> relation_key("Favorite  Food")
    'favourite food'
    """
    return " ".join(relation.casefold().replace("favorite", "favourite").split())


def is_functional(relation: str) -> bool:
    """Whether a relation holds for one object at a time.

    >>> is_functional("lives in"), is_functional("favourite colour"), is_functional("knows")
    (True, True, False)
    """
    key = relation_key(relation)
    return key in FUNCTIONAL or key.startswith(_PREFIXES) or key.endswith(" number")
