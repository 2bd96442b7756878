"""Facts as one person may see them: computed from statements, never stored."""

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
    """All facts that follow from ``statements``, by subject and relation.

    The caller leaves out statements that the person may not see. What ends a fact and what a name
    denotes is computed from the rest, so it reveals nothing about them.
    """

    def __init__(
        self, statements: Sequence[Statement], functional: Callable[[str], bool] | None = None
    ) -> None:
        self._is_functional = functional or is_functional
        aliases = [(s.subject, s.object) for s in statements if s.relation == ALIAS]
        others = [s for s in statements if s.relation != ALIAS]
        spellings = [name for s in others for name in (s.subject, s.object) if name]
        self.names = EntityNames([*spellings, *(full for full, _ in aliases)], aliases)
        groups: dict[tuple[str, str], list[Statement]] = {}
        for statement in others:
            key = (self.names.resolve(statement.subject), relation_key(statement.relation))
            groups.setdefault(key, []).append(statement)
        alias_sources: dict[str, set[str]] = {}
        for statement in statements:
            if statement.relation == ALIAS:
                subject = self.names.resolve(statement.subject)
                alias_sources.setdefault(subject, set()).update(statement.words_of)
        self._facts = {
            key: self._with_sources(
                self._facts_of_group(key[1], group), group, alias_sources.get(key[0], set())
            )
            for key, group in groups.items()
        }

    def facts(self, subject: str = "", relation: str = "") -> list[Fact]:
        """Facts of a subject and relation (empty: any), in order of validity."""
        wanted = self.names.resolve(subject) if subject else "", relation_key(relation)
        if all(wanted):
            return list(self._facts.get(wanted, ()))
        facts = [
            fact
            for key, facts in self._facts.items()
            if all(not part or part == of_key for part, of_key in zip(wanted, key))
            for fact in facts
        ]
        return sorted(facts, key=lambda fact: (fact.since, fact.learned, fact.id))

    def _with_sources(
        self, facts: list[Fact], group: Sequence[Statement], alias_sources: set[str]
    ) -> list[Fact]:
        """The facts labelled with the sources of every statement of their subject and relation and
        of the subject's aliases."""
        sources = alias_sources.union(*(statement.words_of for statement in group))
        if not sources:
            return facts
        return [replace(fact, words_of=tuple(sorted(sources))) for fact in facts]

    def _facts_of_group(self, relation: str, group: list[Statement]) -> list[Fact]:
        ordered = sorted(group, key=lambda s: (s.since, s.learned, s.id))
        if self._is_functional(relation):
            return self._merge_runs(ordered)
        by_object: dict[str, list[Statement]] = {}
        denials = [s for s in ordered if s.denies and not s.object]
        for statement in ordered:
            if statement.object:
                by_object.setdefault(self.names.resolve(statement.object), []).append(statement)
        facts = []
        for statements in by_object.values():
            both = sorted([*statements, *denials], key=lambda s: (s.since, s.learned, s.id))
            facts.extend(self._merge_runs(both))
        return sorted(facts, key=lambda fact: (fact.since, fact.learned, fact.id))

    def _merge_runs(self, ordered: Sequence[Statement]) -> list[Fact]:
        """A fact for each run of neighbouring statements with one object; the next statement ends
        the run."""
        facts: list[Fact] = []
        run: list[Statement] = []
        for statement in ordered:
            same = bool(run) and self._same_object(run[0], statement)
            expired = bool(run) and (end := _stated_end(run)) is not None and end <= statement.since
            if statement.denies:
                # "No longer in Leeds" does not end "lives in Porto".
                if run and (not statement.object or same):
                    facts.append(self._fact(run, statement.since))
                    run = []
            elif same and not expired:
                run.append(statement)
            else:
                if run:
                    facts.append(self._fact(run, statement.since))
                run = [statement]
        if run:
            facts.append(self._fact(run, None))
        return facts

    def _same_object(self, first: Statement, second: Statement) -> bool:
        return self.names.resolve(first.object) == self.names.resolve(second.object)

    def _fact(self, run: Sequence[Statement], end: Time | None) -> Fact:
        first = run[0]
        ends = [moment for moment in (end, _stated_end(run)) if moment is not None]
        is_public = any(not s.audience for s in run)
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
            audience=() if is_public else tuple(sorted(people)),
            statements=tuple(s.id for s in run),
        )


def _stated_end(run: Sequence[Statement]) -> Time | None:
    """The end of validity stated last in a run, None without one."""
    ends = [s.until for s in run if s.until is not None]
    return ends[-1] if ends else None


def relation_key(relation: str) -> str:
    """A relation in lower case, with single spaces and British spelling.

    >>> relation_key("Favorite  Food")
    'favourite food'
    """
    return " ".join(relation.casefold().replace("favorite", "favourite").split())


def is_functional(relation: str) -> bool:
    """Whether a relation has one object at a time.

    >>> is_functional("lives in"), is_functional("favourite colour"), is_functional("knows")
    (True, True, False)
    """
    key = relation_key(relation)
    return key in FUNCTIONAL or key.startswith(_PREFIXES) or key.endswith(" number")
