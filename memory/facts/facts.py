"""Facts of one memory: asserted, denied, retracted, looked up by time and by person."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...core import (
    EVERYBODY,
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
from ...core.text import name_key
from ..memory import Memory
from ..recall import RecallQuery, candidate_limit, select_hits
from ..storage import (
    FACT_LOG,
    LogEntry,
    PersonMatcher,
    has_source,
    name_forms,
    numbers_fault,
    text_fault,
)
from .extracted_facts import ExtractedFact, attributed_line, grounding_check
from .fact_graph import build_graph, rank_related_records, write_graphml
from .fact_view import FactView, relation_key
from .rule_extraction import extract_facts
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

GRAPH_WEIGHT = 0.5
"""Score that the heaviest record of the fact graph gains in ``Facts.recall``; recency, importance
and relevance each lie in [0, 1]."""
_MAX_CACHED_VIEWS = 64


class Facts:
    """The facts of one memory, stored in its file inside the caller's transaction.

    Statements are appended and never deleted. Which fact is valid when is computed from them: for a
    relation with one object at a time the later statement ends the earlier one (ordered by
    ``since``, then ``learned``). A person sees only facts that follow from statements with that
    person in their audience. Statements from a quarantined source (``Memory.quarantine``) are
    ignored until the source is released.

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
        self, memory: Memory, *, functional: Collection[str] | None = None, step: int | None = None
    ) -> None:
        """``functional`` names the relations with one object at a time (default:
        ``is_functional``). ``step`` is the step to which new statements belong (default: the
        memory's last)."""
        self.memory = memory
        self._step = step
        self._is_functional: Callable[[str], bool] | None = None
        if functional is not None:
            names = {relation_key(name) for name in functional}
            self._is_functional = names.__contains__
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
        """Append a statement learned at ``at`` and valid from ``since`` (default: ``at``); returns
        its id.

        Its audience is the intersection of its sources' audiences and ``audience``. It rests on
        the words of ``who`` (default: the speaker of the first source) and of whoever its sources
        rest on. ``denies`` states that the fact no longer holds (an empty ``object``: no fact of
        this subject and relation does). Raises MemoryFault for invalid arguments and then writes
        nothing.
        """
        texts = {"subject": subject, "relation": relation, "object": object, "who": who}
        for name, value in texts.items():
            self._raise_if(text_fault(name, value))
        self._raise_if(numbers_fault("sources", sources))
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
        self._validate(statement)
        return self._append(statement_to_json(statement))

    def learn(self, records: Iterable[Record], found: Iterable[ExtractedFact] | None = None) -> int:
        """Append the facts that rules extract from the records (or ``found``, those that a model
        extracted); returns the number of new ones.

        Skips facts whose words are not in the record, and facts already learned from the same
        record.
        """
        by_id = {record.id: record for record in records}
        if found is None:
            found = [fact for record in by_id.values() for fact in extract_facts(record)]
        known = {
            self._dedup_key(statement, source)
            for statement in self._all_statements()
            for source in statement.sources
        }
        count = 0
        checks: dict[RecordId, tuple[Callable[[ExtractedFact], bool], AgentId]] = {}
        with self.memory.store.transaction():
            for fact in found:
                record = by_id[fact.source]
                key = self._dedup_key(fact, fact.source)
                if fact.source not in checks:
                    checks[fact.source] = (grounding_check(record), attributed_line(record).who)
                is_grounded, who = checks[fact.source]
                if key in known or not is_grounded(fact):
                    continue
                known.add(key)
                self._assert_extracted(fact, record, who)
                count += 1
        return count

    def learn_between(self, since: Time, before: Time) -> int:
        """``learn`` from the recallable records created in [since, before)."""
        cue = Cue(text="", at=before, since=since, before=before, rules="paper")
        return self.learn(self.memory.candidates(cue))

    def _assert_extracted(self, fact: ExtractedFact, record: Record, who: AgentId) -> None:
        at = record.created
        since = min(fact.since, at) if fact.since else at
        parts: dict[str, Any] = {"at": at, "since": since, "sources": [record.id], "who": who}
        if fact.replaces:
            self.assert_fact(fact.subject, fact.relation, "", denies=True, **parts)
        certainty: dict[str, Any] = {"confidence": fact.confidence, "denies": fact.denies}
        self.assert_fact(fact.subject, fact.relation, fact.object, **certainty, **parts)

    def _dedup_key(
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
        """State that from ``at`` on the fact no longer holds (no ``object``: no fact of this
        subject and relation); returns the statement's id."""
        return self.assert_fact(
            subject, relation, object, at=at, sources=sources, audience=audience, denies=True
        )

    def retract(self, fact: Fact | int, *, at: Time, why: str = "") -> int:
        """Exclude all statements of a fact, or one statement by its id, from what is computed; a
        fact that they ended holds again. The statements stay stored."""
        if not isinstance(fact, Fact) and type(fact) is not int:
            raise self._fault(f"{fact!r:.60} is neither a Fact nor the id of a statement")
        ids = [fact] if isinstance(fact, int) else list(fact.statements)
        known = {statement.id for statement in self.statements()}
        if missing := [number for number in ids if number not in known]:
            raise self._fault(f"there are no statements {missing}, or they are retracted already")
        return self._append({"undo": ids, "at": self._time_json(at), "why": why})

    def restore(self, statements: Sequence[int], *, at: Time, why: str = "") -> int:
        """Undo ``retract`` for these statements."""
        self._raise_if(numbers_fault("statements", statements))
        return self._append({"restore": list(statements), "at": self._time_json(at), "why": why})

    def erase(
        self,
        records: Collection[RecordId] = (),
        person: AgentId = "",
        *,
        mentions: bool = True,
        others: Collection[AgentId] = (),
    ) -> int:
        """Delete the content of statements permanently; returns their number.

        Erased are statements that rest on one of ``records`` or on words of ``person``, those
        with ``person`` in their audience and, with ``mentions``, those about ``person``.
        ``others`` are further people known by name. A given name denotes the person whose full
        name begins with it. If two people share a given name, statements about that name alone
        are erased too: kept, they would be attributed to the other.
        """
        erased_records, matcher = set(records), PersonMatcher(person, others)
        names = FactView(self._all_statements(), self._is_functional).names
        # The key of a name such as "@ada" is the key of another name.
        key = name_key(person) if name_key(person) == normalize(person) else None

        given = key.partition(" ")[0] if key else ""
        keys = {key, given} if given and names.resolve(given) == given else {key}
        other_names = {normalize(other) for other in others} - {normalize(person)}

        def is_about_person(statement: Statement) -> bool:
            ends = (statement.subject, statement.object)
            entities = {names.resolve(end) for end in ends if normalize(end) not in other_names}
            texts = (*ends, statement.relation)
            return bool(keys & entities) or any(map(matcher.is_named_in, texts))

        def is_erased(statement: Statement) -> bool:
            if erased_records & set(statement.sources):
                return True
            if not person:
                return False
            rests_on_person = any(map(matcher.matches_source, statement.words_of))
            labels = (statement.who, *statement.audience)
            labelled = rests_on_person or any(map(matcher.matches_name, labels))
            return labelled or (mentions and is_about_person(statement))

        ids = [statement.id for statement in self._all_statements() if is_erased(statement)]
        store, agent = self.memory.store, self.memory.agent
        names_person = matcher.is_named_in if person and mentions else (lambda text: False)
        changes = retractions_after_erasure(FACT_LOG.entries(store, agent), ids, names_person)
        with store.transaction():
            FACT_LOG.erase(store, agent, [*ids, *changes.erase])
            for line in changes.write:
                self._append(line)
        return len(ids)

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
        """The fact valid at ``as_of`` (default: now); of several the latest, None without one.

        ``person`` is the person the answer is for (empty: the owner). ``known`` restricts the
        statements to those learned by that time.
        """
        self._raise_if("" if as_of is None else time_error(as_of, "as_of"))
        valid = [
            fact
            for fact in self.timeline(subject, relation, person=person, known=known)
            if fact.holds(as_of)
        ]
        return valid[-1] if valid else None

    def timeline(
        self, subject: str, relation: str, *, person: AgentId = "", known: Time | None = None
    ) -> tuple[Fact, ...]:
        """All facts of a subject and relation, also past ones, in order of validity."""
        return tuple(self.view(person, known=known).facts(subject, relation))

    def find(
        self,
        subject: str = "",
        relation: str = "",
        *,
        as_of: Time | None = None,
        person: AgentId = "",
        past: bool = False,
    ) -> tuple[Fact, ...]:
        """Facts valid at ``as_of`` (default: now), of any subject or relation where these are
        empty; with ``past`` also those that ended."""
        self._raise_if("" if as_of is None else time_error(as_of, "as_of"))
        facts = self.view(person).facts(subject, relation)
        return tuple(fact for fact in facts if past or fact.holds(as_of))

    def sources(self, fact: Fact, *, person: AgentId = "") -> tuple[Record, ...]:
        """The records on which a fact rests, as far as ``person`` may see them."""
        visible = {
            source
            for statement in self._visible_statements(person, None)
            if statement.id in fact.statements
            for source in statement.sources
        }
        return self.memory.existing_records([i for i in fact.sources if i in visible])

    def statements(self, person: AgentId = "", *, believed: bool = False) -> tuple[Statement, ...]:
        """Statements visible to ``person`` and not retracted, in order of assertion; with
        ``believed`` without those from quarantined sources."""
        statements = self._visible_statements(person, None)
        return tuple(self._believed(statements) if believed else statements)

    def view(self, person: AgentId = "", *, known: Time | None = None) -> FactView:
        """All facts and entity names visible to ``person``, from statements learned by ``known``.
        Cached until the log or the quarantine changes."""
        entries = FACT_LOG.entries(self.memory.store, self.memory.agent)
        self._raise_if(text_fault("person", person))
        if known is not None:
            self._raise_if(time_error(known, "known"))
        quarantined = self.memory.quarantined
        cached = self._views.get((person, known))
        if cached and cached[0] is entries and cached[1:3] == (len(entries), quarantined):
            return cached[3]
        statements = self._believed(self._visible_statements(person, known))
        view = FactView(statements, self._is_functional)
        if len(self._views) > _MAX_CACHED_VIEWS:
            self._views.clear()
        self._views[person, known] = (entries, len(entries), quarantined, view)
        return view

    # -- graph ----------------------------------------------------------------------

    def graph(self, *, as_of: Time | None = None, person: AgentId = "") -> nx.MultiDiGraph:
        """The facts valid at ``as_of`` as a graph of entities (``fact_graph.build_graph``)."""
        return build_graph(self.find(as_of=as_of, person=person))

    def related_records(
        self, query: str, *, person: AgentId = "", as_of: Time | None = None, limit: int = 10
    ) -> list[tuple[RecordId, float]]:
        """Records behind the facts nearest to the entities in ``query``, with their weights,
        heaviest first (personalised PageRank, ``fact_graph.rank_related_records``)."""
        facts = self.find(as_of=as_of, person=person)
        return rank_related_records(facts, self.view(person).names, query, limit)

    def recall(self, cue: Cue, vector: Vector | None = None) -> tuple[Hit, ...]:
        """The hits of ``Memory.recall`` merged with the records of ``related_records``.

        A related record gains ``GRAPH_WEIGHT`` times its weight relative to the heaviest one, and
        its ``why`` names the fact. Filters and limits of the cue apply.
        """
        memory = self.memory
        wide = replace(cue, limit=4 * cue.limit, tokens=0, variety=0.0, around=0)
        row = None if vector is None else np.asarray(vector, dtype=np.float32)
        query = RecallQuery.for_cue(memory.loader, memory.rules_for(cue), cue, row)
        hits = {hit.record.id: hit for hit in memory.recall(wide, vector)}
        listeners = set(cue.hearers)
        person = EVERYBODY if len(listeners) > 1 else next(iter(listeners), "")
        related = self.related_records(cue.text, person=person, as_of=cue.at, limit=4 * cue.limit)
        if related:
            reasons: dict[RecordId, str] = {}
            for fact in self.find(as_of=cue.at, person=person):
                for source in fact.sources:
                    reasons.setdefault(source, f"claim: {fact}")
            # Recall's own filter: no private, compacted, erased, expired or quarantined records.
            candidates = set(query.index.record_id.array[query.candidates()].tolist())
            heaviest = related[0][1]
            for number, weight in related:
                if number not in candidates:
                    continue
                hit = hits.get(number) or Hit(
                    record=memory.record(number),
                    score=0.0,
                    recency=0.0,
                    importance=0.0,
                    relevance=0.0,
                )
                why = "; ".join(part for part in (hit.why, reasons.get(number, "")) if part)
                score = hit.score + GRAPH_WEIGHT * weight / heaviest
                hits[number] = replace(hit, score=score, why=why)
        ranked = sorted(hits.values(), key=lambda hit: (-hit.score, hit.record.id))
        return select_hits(ranked[: candidate_limit(cue)], query, cue)

    def export_graphml(
        self, path: Path | str, *, as_of: Time | None = None, person: AgentId = ""
    ) -> int:
        """Write the graph as GraphML; returns the number of facts in it."""
        return write_graphml(self.graph(as_of=as_of, person=person), path)

    # -- internals ------------------------------------------------------------------

    def _append(self, line: object) -> int:
        memory = self.memory
        if memory.as_of_step is not None:
            raise self._fault(f"this is a read-only view as of step {memory.as_of_step}")
        step = memory.index.last_step if self._step is None else self._step
        return FACT_LOG.append(memory.store, memory.agent, line, step=step)

    def _words_of(self, who: AgentId, sources: Iterable[RecordId]) -> tuple[str, ...]:
        """The sources of a statement's words: its speaker and the sources of its records."""
        names = {source for number in sources for source in self.memory.sources(number)}
        if who not in ("", self.memory.agent):
            names.add(source_name(who))
        return tuple(sorted(names))

    def _lines(self) -> Iterator[tuple[int, int, dict[str, Any]]]:
        memory = self.memory
        return FACT_LOG.as_of(memory.store, memory.agent, memory.as_of_step)

    def _all_statements(self) -> list[Statement]:
        statements = []
        for n, step, body in self._lines():
            if "subject" in body:
                statement = statement_from_json(n, step, body)
                found = self._words_of(statement.who, statement.sources)
                words_of = tuple(sorted({*statement.words_of, *found}))
                # Old statements without labels take the sources of their records.
                if words_of != statement.words_of:
                    statement = replace(statement, words_of=words_of)
                statements.append(statement)
        return statements

    def _visible_statements(self, person: AgentId, known: Time | None) -> list[Statement]:
        self._raise_if(text_fault("person", person))
        retracted = retracted_statements(body for _, _, body in self._lines())
        return [
            statement
            for statement in self._all_statements()
            if statement.id not in retracted
            and statement.for_person(person)
            and (known is None or statement.learned <= known)
        ]

    def _believed(self, statements: Iterable[Statement]) -> list[Statement]:
        quarantined = self.memory.quarantined
        if not quarantined:
            return list(statements)
        forms = name_forms(quarantined)
        return [one for one in statements if not has_source((one.who, *one.words_of), forms)]

    def _validate(self, statement: Statement) -> None:
        for moment in (statement.since, statement.learned, statement.until):
            if moment is not None:
                self._raise_if(time_error(moment))
        if not statement.subject or not statement.relation:
            raise self._fault("a statement needs a subject and a relation")
        if not statement.object and not statement.denies:
            raise self._fault(
                f"'{statement.subject} {statement.relation}' needs an object; use deny to say "
                "that nothing holds"
            )
        confidence = statement.confidence
        is_number = isinstance(confidence, int | float) and not isinstance(confidence, bool)
        if not is_number or not 0 < confidence <= 1:
            raise self._fault(f"confidence {confidence!r} must lie in (0, 1]")
        if statement.until is not None and statement.until <= statement.since:
            raise self._fault(f"until {statement.until} must be later than since {statement.since}")

    def _time_json(self, at: Time) -> str:
        self._raise_if(time_error(at, "at"))
        return at.isoformat()

    def _raise_if(self, problem: str) -> None:
        if problem:
            raise self._fault(problem)

    def _fault(self, problem: str) -> MemoryFault:
        return MemoryFault(f"{self.memory.store.name}: facts of {self.memory.agent}: {problem}")
