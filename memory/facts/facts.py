"""Claims: what a memory holds for true, since when, from whom, and for whom."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ...core import (
    AgentId,
    Cue,
    Hit,
    MemoryFault,
    Record,
    RecordId,
    Time,
    intersect_audiences,
    normalize,
    parse_audience,
    source_name,
    time_error,
)
from ..memory import Memory
from ..storage import (
    FACT_LOG,
    LogEntry,
    PersonMatcher,
    has_source,
    name_forms,
    numbers_fault,
    text_fault,
)
from .entity_names import name_key
from .extracted_facts import ExtractedFact, grounding_check, spoken_line
from .fact_view import FactView, relation_key
from .statements import (
    Fact,
    Statement,
    retracted_statements,
    retractions_after_erasure,
    statement_from_json,
    statement_to_json,
)

if TYPE_CHECKING:
    import networkx as nx

    from ..storage import Vector


class Facts:
    """The claims of one memory, in its store, written inside the caller's transaction.

    Statements are appended and never deleted; which claim is valid when follows from them by
    code: on a relation that holds for one object at a time the later statement ends the
    earlier (``since`` decides, then ``learned``). A person sees only what follows from
    statements that are for them; of a quarantined source (``Memory.quarantine``) nothing
    follows until it is released.

    >>> from datetime import datetime
    >>> facts = Facts(Memory(":memory:", "Bo"))
    >>> _ = facts.assert_fact("Ada", "lives in", "Leeds", at=datetime(2023, 1, 5))
    >>> _ = facts.assert_fact("Ada", "lives in", "Porto", at=datetime(2023, 6, 1))
    >>> str(facts.lookup("ada", "lives in"))
    'Ada lives in Porto'
    >>> str(facts.lookup("Ada", "lives in", as_of=datetime(2023, 3, 1)))
    'Ada lives in Leeds'
    """

    def __init__(
        self,
        memory: Memory,
        *,
        functional: Collection[str] | None = None,
        step: int | None = None,
    ) -> None:
        """``functional`` names the relations that hold for one object at a time, where the
        usual ones (``is_functional``) do not fit. ``as_of_step`` is that of which lines are written
        (the memory's last)."""
        self.memory = memory
        self._step = step
        self._rule: Callable[[str], bool] | None = None
        if functional is not None:
            names = {relation_key(name) for name in functional}
            self._rule = names.__contains__
        self._views: dict[
            tuple[AgentId, Time | None], tuple[list[LogEntry], int, frozenset[AgentId], FactView]
        ] = {}

    # -- writing --------------------------------------------------------------------

    def assert_fact(
        self,
        subject: str,
        relation: str,
        object: str,
        *,
        at: Time,
        since: Time | None = None,
        until: Time | None = None,
        sources: Sequence[RecordId] = (),
        confidence: float = 1.0,
        who: AgentId = "",
        audience: AgentId | Sequence[AgentId] = (),
        denies: bool = False,
    ) -> int:
        """Write a statement learned at ``at``, valid from ``since`` (``at`` by default);
        returns its number.

        Its audience is that of its sources, its words are theirs and those of ``who`` (of the
        first source's record by default); ``audience`` narrows it further. ``denies``: it
        no longer holds (an empty ``object``: none does). Raises MemoryFault when it does not
        fit, and writes nothing.
        """
        texts = {"subject": subject, "relation": relation, "object": object, "who": who}
        for name, value in texts.items():
            self._refuse(text_fault(name, value))
        self._refuse(numbers_fault("sources", sources))
        records = [self.memory.record(source) for source in sources]
        who = who or (records[0].who if records else "")
        audiences = [record.audience for record in records]
        statement = Statement(
            id=0,
            subject=subject.strip(),
            relation=relation_key(relation),
            object=object.strip(),
            since=since or at,
            learned=at,
            until=until,
            sources=tuple(dict.fromkeys(sources)),
            confidence=confidence,
            who=who,
            audience=intersect_audiences([*audiences, parse_audience(audience)], self.memory.agent),
            denies=denies,
            words_of=self._words_of(who, sources),
        )
        self._check(statement)
        return self._append(statement_to_json(statement))

    def learn(self, records: Iterable[Record], found: Iterable[ExtractedFact] | None = None) -> int:
        """Write the facts that the records' own words state, by rule (or ``found``, what a
        model read out of them); returns how many are new.

        A fact that the words do not hold is left out, one that was learned from the same
        record already is not written twice.
        """
        by_id = {record.id: record for record in records}
        if found is None:
            from .rule_extraction import extract_facts

            found = [draft for record in by_id.values() for draft in extract_facts(record)]
        known = {self._mark(s, source) for s in self._all() for source in s.sources}
        count = 0
        read: dict[RecordId, tuple[Callable[[ExtractedFact], bool], AgentId]] = {}
        with self.memory.store.transaction():
            for draft in found:
                record = by_id[draft.source]
                mark = self._mark(draft, draft.source)
                if draft.source not in read:
                    read[draft.source] = (grounding_check(record), spoken_line(record).who)
                holds, who = read[draft.source]
                if mark in known or not holds(draft):
                    continue
                known.add(mark)
                self._assert_extracted(draft, record, who)
                count += 1
        return count

    def learn_between(self, since: Time, before: Time) -> int:
        """``learn`` from what was written between two moments and can be recalled."""

        cue = Cue(text="", at=before, since=since, before=before, rules="paper")
        return self.learn(self.memory.candidates(cue))

    def _assert_extracted(self, draft: ExtractedFact, record: Record, who: AgentId) -> None:
        at = record.created
        since = min(draft.since, at) if draft.since else at
        if draft.replaces:
            self.assert_fact(
                draft.subject,
                draft.relation,
                "",
                at=at,
                since=since,
                sources=[record.id],
                denies=True,
                who=who,
            )
        self.assert_fact(
            draft.subject,
            draft.relation,
            draft.object,
            at=at,
            since=since,
            sources=[record.id],
            confidence=draft.confidence,
            who=who,
            denies=draft.denies,
        )

    def _mark(
        self, fact: ExtractedFact | Statement, source: RecordId
    ) -> tuple[str, str, str, RecordId]:
        return fact.subject, relation_key(fact.relation), fact.object, source

    def deny(
        self,
        subject: str,
        relation: str,
        object: str = "",
        *,
        at: Time,
        sources: Sequence[RecordId] = (),
        audience: AgentId | Sequence[AgentId] = (),
    ) -> int:
        """State that from ``at`` on it no longer holds (no object: nothing does)."""
        return self.assert_fact(
            subject, relation, object, at=at, sources=sources, audience=audience, denies=True
        )

    def retract(self, claim: Fact | int, *, at: Time, why: str = "") -> int:
        """Revoke a claim (all its statements) or one statement by its number: from now on
        nothing follows from it, and what it had ended holds again. Nothing is deleted."""
        if not isinstance(claim, Fact) and type(claim) is not int:
            raise self._fault(f"{claim!r:.60} is neither a claim nor a statement's number")
        numbers = [claim] if isinstance(claim, int) else list(claim.statements)
        known = {statement.id for statement in self.statements()}
        if lost := [number for number in numbers if number not in known]:
            raise self._fault(f"statements {lost} are not there (or undone already)")
        return self._append({"undo": numbers, "at": self._moment(at), "why": why})

    def restore(self, statements: Sequence[int], *, at: Time, why: str = "") -> int:
        """Take an ``retract`` of these statements back."""
        self._refuse(numbers_fault("statements", statements))
        return self._append({"restore": list(statements), "at": self._moment(at), "why": why})

    def erase(
        self,
        records: Collection[RecordId] = (),
        person: AgentId = "",
        *,
        mentions: bool = True,
        others: Collection[AgentId] = (),
    ) -> int:
        """Empty for good every statement that rests on one of ``records`` or on words of
        ``person``, or is for them, and with ``mentions`` that is about them; returns how many.

        ``others`` are people known by name beside them. A given name means the one whose name
        begins with it. What is said of a given name that two have goes too: kept, it would be
        said of the other from now on.
        """
        going, whom = set(records), PersonMatcher(person, others)
        names = FactView(self._all(), self._rule).names
        # Of a name such as "@ada" the key is another's.
        key = name_key(person) if name_key(person) == normalize(person) else None

        given = key.partition(" ")[0] if key else ""
        keys = {key, given} if given and names.resolve(given) == given else {key}
        known = {normalize(other) for other in others} - {normalize(person)}

        def about(statement: Statement) -> bool:
            sides = (statement.subject, statement.object)
            named = {names.resolve(side) for side in sides if normalize(side) not in known}
            return bool(keys & named) or any(map(whom.is_named_in, (*sides, statement.relation)))

        def meant(statement: Statement) -> bool:
            if going & set(statement.sources):
                return True
            if not person:
                return False
            labels = (statement.who, *statement.audience)
            rests = any(map(whom.matches_source, statement.words_of))
            return rests or any(map(whom.matches_name, labels)) or (mentions and about(statement))

        lines = [statement.id for statement in self._all() if meant(statement)]
        store, agent = self.memory.store, self.memory.agent
        named = whom.is_named_in if person and mentions else (lambda text: False)
        undoings = retractions_after_erasure(FACT_LOG.entries(store, agent), lines, named)
        with store.transaction():
            FACT_LOG.erase(store, agent, [*lines, *undoings.erase])
            for line in undoings.write:
                self._append(line)
        return len(lines)

    # -- reading --------------------------------------------------------------------

    def lookup(
        self,
        subject: str,
        relation: str,
        *,
        as_of: Time | None = None,
        person: AgentId = "",
        known: Time | None = None,
    ) -> Fact | None:
        """The claim valid at ``as_of`` (now by default), the latest where there are several.

        ``person`` is whom the answer is for (empty: the owner); ``known`` answers from what
        had been learned by then.
        """
        self._refuse("" if as_of is None else time_error(as_of, "as_of"))
        held = [
            claim
            for claim in self.timeline(subject, relation, person=person, known=known)
            if claim.holds(as_of)
        ]
        return held[-1] if held else None

    def timeline(
        self, subject: str, relation: str, *, person: AgentId = "", known: Time | None = None
    ) -> tuple[Fact, ...]:
        """All claims of a subject and relation, in order of validity."""
        return tuple(self._view(person, known).facts(subject, relation))

    def find(
        self,
        subject: str = "",
        relation: str = "",
        *,
        as_of: Time | None = None,
        person: AgentId = "",
        past: bool = False,
    ) -> tuple[Fact, ...]:
        """Claims valid at ``as_of`` (now by default), of any subject or relation where these
        are empty; with ``past`` those that ended too."""
        self._refuse("" if as_of is None else time_error(as_of, "as_of"))
        found = self._view(person, None).facts(subject, relation)
        return tuple(claim for claim in found if past or claim.holds(as_of))

    def sources(self, claim: Fact, *, person: AgentId = "") -> tuple[Record, ...]:
        """The records a claim rests on, as far as they are for ``person``."""
        shown = {i for s in self._seen(person, None) if s.id in claim.statements for i in s.sources}
        return self.memory.existing_records([i for i in claim.sources if i in shown])

    def statements(self, person: AgentId = "", *, believed: bool = False) -> tuple[Statement, ...]:
        """Every statement that was not undone and is for ``person``, as they were made; with
        ``believed`` those of quarantined sources, from which nothing follows, are left out."""
        found = self._seen(person, None)
        return tuple(self._believed(found) if believed else found)

    def view(self, person: AgentId = "", *, known: Time | None = None) -> FactView:
        """All claims and names as ``person`` may see them."""
        return self._view(person, known)

    # -- the graph ------------------------------------------------------------------

    def graph(self, *, as_of: Time | None = None, person: AgentId = "") -> nx.MultiDiGraph:
        """The claims valid at ``as_of`` as a graph: see ``claim_graph.build_graph``."""
        from .fact_graph import build_graph

        return build_graph(self.find(as_of=as_of, person=person))

    def related_records(
        self, cue: str, *, person: AgentId = "", as_of: Time | None = None, limit: int = 10
    ) -> list[tuple[RecordId, float]]:
        """Records behind the claims nearest to what a cue names, each with its weight, heaviest
        first: see ``claim_graph.related_records``."""
        from .fact_graph import related_records

        return related_records(self, cue, person=person, as_of=as_of, limit=limit)

    def recall(self, cue: Cue, vector: Vector | None = None) -> tuple[Hit, ...]:
        """The memory's recall joined by what the cue's entities lead to: see
        ``claim_recall.recall_with_facts``."""
        from .fact_graph import recall_with_facts

        return recall_with_facts(self, cue, vector)

    def export_graphml(
        self, path: Path | str, *, as_of: Time | None = None, person: AgentId = ""
    ) -> int:
        """Write the graph as GraphML; returns how many claims are in it."""
        from .fact_graph import write_graphml

        return write_graphml(self.graph(as_of=as_of, person=person), path)

    # -- within ---------------------------------------------------------------------

    def _append(self, line: object) -> int:
        memory = self.memory
        if memory.as_of_step is not None:
            raise self._fault(f"is seen as of step {memory.as_of_step} and read-only")
        step = memory.index.last_step if self._step is None else self._step
        return FACT_LOG.append(memory.store, memory.agent, line, step=step)

    def _words_of(self, who: AgentId, sources: Iterable[RecordId]) -> tuple[str, ...]:
        """Whose words something rests on that ``who`` said and these records tell."""
        found = {source for number in sources for source in self.memory.sources(number)}
        if who not in ("", self.memory.agent):
            found.add(source_name(who))
        return tuple(sorted(found))

    def _all(self) -> list[Statement]:
        statements = [
            statement_from_json(entry.n, entry.step, entry.body)
            for entry in FACT_LOG.entries(self.memory.store, self.memory.agent)
            if entry.body and "subject" in entry.body and self._within(entry.step)
        ]
        # With what its records rest on: a line from before there were labels has but these.
        words = [{*one.words_of, *self._words_of(one.who, one.sources)} for one in statements]
        return [replace(one, words_of=tuple(sorted(w))) for one, w in zip(statements, words)]

    def _seen(self, person: AgentId, known: Time | None) -> list[Statement]:
        self._refuse(text_fault("person", person))
        entries = FACT_LOG.entries(self.memory.store, self.memory.agent)
        off = retracted_statements(entry for entry in entries if self._within(entry.step))
        return [
            statement
            for statement in self._all()
            if statement.id not in off
            and statement.for_person(person)
            and (known is None or statement.learned <= known)
        ]

    def _believed(self, statements: Iterable[Statement]) -> list[Statement]:
        """Statements but those that rest on the words of quarantined sources."""
        held = self.memory.quarantined
        if not held:
            return list(statements)
        forms = name_forms(held)
        return [one for one in statements if not has_source((one.who, *one.words_of), forms)]

    def _within(self, step: int) -> bool:
        return self.memory.as_of_step is None or step <= self.memory.as_of_step

    def _view(self, person: AgentId, known: Time | None) -> FactView:
        entries = FACT_LOG.entries(self.memory.store, self.memory.agent)
        self._refuse(text_fault("person", person))
        if known is not None:
            self._refuse(time_error(known, "known"))
        held = self.memory.quarantined
        kept = self._views.get((person, known))
        if kept and kept[0] is entries and kept[1:3] == (len(entries), held):
            return kept[3]
        view = FactView(self._believed(self._seen(person, known)), self._rule)
        if len(self._views) > 64:
            self._views.clear()
        self._views[person, known] = (entries, len(entries), held, view)
        return view

    def _check(self, statement: Statement) -> None:
        for moment in (statement.since, statement.learned, statement.until):
            if moment is not None:
                self._refuse(time_error(moment))
        if not statement.subject or not statement.relation:
            raise self._fault("a statement needs a subject and a relation")
        if not statement.object and not statement.denies:
            raise self._fault(
                f"'{statement.subject} {statement.relation}' needs an object; use deny to say "
                "that nothing holds"
            )
        share = statement.confidence
        if not isinstance(share, int | float) or isinstance(share, bool) or not 0 < share <= 1:
            raise self._fault(f"confidence {share!r} must lie in (0, 1]")
        if statement.until is not None and statement.until <= statement.since:
            raise self._fault(f"valid until {statement.until}, but since {statement.since}")

    def _moment(self, at: Time) -> str:
        self._refuse(time_error(at, "at"))
        return at.isoformat()

    def _refuse(self, wrong: str) -> None:
        if wrong:
            raise self._fault(wrong)

    def _fault(self, what: str) -> MemoryFault:
        return MemoryFault(f"{self.memory.store.name}: claims of {self.memory.agent}: {what}")
