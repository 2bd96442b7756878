"""Erases a person from the parts of a memory file other than the records: facts, documents,
summaries, notes, tool calls and shared texts."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from ...core import AgentId, Approval, AskId, Json, RecordId
from ...store import Store
from ..facts import Facts
from ..memory import Memory
from ..notes import Notes
from ..storage import (
    CORRECTION_LOG,
    DOCUMENT_LOG,
    NOTE_LOG,
    SESSION_LOG,
    SUMMARY_LOG,
    PersonMatcher,
    ToolCallEntry,
    ToolCallLog,
    entry_to_json,
    record_numbers,
    summaries_in_force,
)
from .text_columns import label_leaves, text_leaves

_LONG_QUOTE = 8
"""Characters from which on a text is looked for inside of others: a shorter one, such as "Yes.",
says nothing there."""


@dataclass(frozen=True, slots=True)
class ErasureRequest:
    """The person to erase, the agents from whose memories, and the numbers of each one's erased
    records; with ``mentions`` also whatever names the person or repeats erased texts: ``quotes``
    are whole ones, ``terms`` names and numbers that nothing else has. An empty name is nobody's.
    ``remarks`` collects what could not be erased, and other notes."""

    person: PersonMatcher
    agents: tuple[AgentId, ...]
    mentions: bool
    records: dict[AgentId, frozenset[RecordId]]
    remarks: list[str] = field(default_factory=list)
    quotes: tuple[str, ...] = ()
    terms: tuple[str, ...] = ()

    def names_person(self, text: str) -> bool:
        """Whether a text is erased because it names the person or repeats an erased text."""
        return self.mentions and (self.person.is_named_in(text) or self.repeats(text))

    def repeats(self, text: str) -> bool:
        """Whether a text is one of the quotes, or has a long one or a term in it."""
        long = (quote for quote in self.quotes if len(quote) >= _LONG_QUOTE and quote in text)
        return text in self.quotes or any(
            re.search(rf"(?<!\w){re.escape(part)}(?!\w)", text) for part in (*long, *self.terms)
        )


def hold_in_memory(store: Store) -> None:
    """Hold temporary tables, and what savepoints put by, in memory: no erased row reaches a
    temporary file. Called before the transaction that erases."""
    store.execute("PRAGMA temp_store = MEMORY")


def erase_claims(store: Store, request: ErasureRequest) -> int:
    """Empty the statements that the person made, that are for them, or that rest on erased records
    (with ``mentions`` also those about them); returns how many."""
    return sum(
        Facts(Memory(store, agent)).erase(
            request.records.get(agent, ()),
            request.person.name,
            mentions=request.mentions,
            others=request.person.others,
        )
        for agent in request.agents
    )


def erase_documents(store: Store, request: ErasureRequest) -> int:
    """Empty the log lines of documents that the person gave or that have erased records. If some
    records stay, a line without the erased ones is appended (with ``mentions`` also without names
    and places that name the person). Returns how many lines were emptied."""
    count = 0
    for agent in request.agents:
        erased = request.records.get(agent, frozenset())
        bodies = {e.n: e.body for e in DOCUMENT_LOG.entries(store, agent) if e.body}
        given = {
            body["document"]
            for body in bodies.values()
            if request.person.matches_name(body.get("giver", ""))
        }
        left = {
            n: None if body["document"] in given else _document_line_left(body, erased, request)
            for n, body in bodies.items()
        }
        staying = {body["document"] for body in left.values() if body and body["records"]}
        first_change: dict[str, int] = {}
        for n, body in bodies.items():
            if left[n] != body:
                first_change.setdefault(body["document"], n)
        # All later lines on such a document are appended again after it: the last one counts.
        lines = [n for n, body in bodies.items() if n >= first_change.get(body["document"], n + 1)]
        DOCUMENT_LOG.erase(store, agent, lines)
        for n in lines:
            if left[n] and bodies[n]["document"] in staying:
                DOCUMENT_LOG.append(store, agent, left[n], step=_last_step(store, agent))
        count += len(lines)
    return count


def _document_line_left(
    body: dict[str, Json], erased: frozenset[RecordId], request: ErasureRequest
) -> Json:
    """What remains of a document's log line; None for nothing."""
    names_person = request.names_person
    records = [[number, place] for number, place in body["records"] if number not in erased]
    if (body["records"] and not records) or names_person(body["document"]):
        return None
    records = [[number, "" if names_person(place) else place] for number, place in records]
    left = {**body, "records": records}
    if left != body and "digest" in body:
        left["digest"] = ""  # It covers the erased text too.
    if names_person(body.get("path", "")):
        left["path"] = ""
    return left


def erase_summaries(store: Store, request: ErasureRequest) -> int:
    """Expand every summary of an erased record, so that the others it summarizes are recalled
    themselves, and empty its line in the log (with ``mentions`` also lines that name the person);
    returns how many summaries were expanded. The text of a summary is in its record."""
    count = 0
    for agent in request.agents:
        erased = request.records.get(agent, frozenset())
        in_force = summaries_in_force(store, agent)
        lines, replacements = [], []
        for entry in SUMMARY_LOG.entries(store, agent):
            if not entry.body or "unfold" in entry.body:
                continue
            summary = entry.body["summary"]
            expand = summary in erased or not erased.isdisjoint(entry.body["records"])
            if not expand and not request.names_person(entry.body["why"]):
                continue
            lines.append(entry.n)
            if summary in in_force:
                expansion = {"unfold": summary, "at": entry.body["at"]}
                replacements.append(expansion if expand else {**entry.body, "why": ""})
                count += expand
        SUMMARY_LOG.erase(store, agent, lines)
        for line in replacements:
            SUMMARY_LOG.append(store, agent, line, step=_last_step(store, agent))
    return count


def erase_calls(store: Store, request: ErasureRequest) -> int:
    """Delete the tool calls and suspended replies of the person and those that rest on their
    words (with ``mentions`` also those that name them); returns how many. A call for somebody
    else that began and has no receipt stays, so that it is not repeated without approval."""
    log, person = ToolCallLog(store), request.person
    conversations = []
    for scope, agent, thought in log.suspended_replies():
        theirs = any(map(person.matches_name, label_leaves(thought)))
        if agent in request.agents and (
            theirs or any(map(request.names_person, text_leaves(thought)))
        ):
            log.delete_suspended(scope)
            conversations.append(f"{agent}/{scope}/")
            partner = thought["message"]["who"]
            if not person.matches_name(partner):
                request.remarks.append(
                    f"a suspended reply of {agent} to {partner} mentioned them, and was erased too"
                )
    count = sum(
        _erase_call(log, key, where, entry, request, key.startswith(tuple(conversations)))
        for key, where, entry in log.keyed_entries()
        if where.agent in request.agents
    )
    return len(conversations) + count


def _erase_call(
    log: ToolCallLog,
    key: str,
    where: AskId,
    entry: ToolCallEntry,
    erasure: ErasureRequest,
    in_erased_conversation: bool,
) -> bool:
    """Delete one call if it must be; returns whether it was deleted."""
    request, person = entry.request, erasure.person
    if request is None:
        return False  # Only its times are stored.
    decided = entry.approval is not None and person.matches_name(entry.approval.by)
    sources = (*request.sources, *request.read, *(entry.result.sources if entry.result else ()))
    rests_on_them = decided or any(map(person.matches_source, sources))
    theirs = person.matches_name(request.person) or (not request.person and rests_on_them)
    begun = entry.state == "began" or (entry.result is None and request.doubt)
    if begun and not theirs:
        if rests_on_them:
            entry = _without_person(entry, person)
            log.write_entry(key, where, entry)
        if any(map(erasure.names_person, text_leaves(entry_to_json(entry)))):
            erasure.remarks.append(
                f"'{request.tool}' of {where.agent} names them, was begun for "
                f"{request.person or 'its owner'} and has no receipt; it stays until somebody "
                "settles it"
            )
        return False
    erased = theirs or rests_on_them or in_erased_conversation
    if not erased and not any(map(erasure.names_person, text_leaves(entry_to_json(entry)))):
        return False
    if begun:
        erasure.remarks.append(
            f"'{request.tool}' of {where.agent} had begun for them and has no receipt; it was "
            "erased, and nobody will be asked whether it was done"
        )
    log.delete_entry(key)
    return True


def _without_person(entry: ToolCallEntry, person: PersonMatcher) -> ToolCallEntry:
    """An entry without the person in its sources and its approval."""
    assert entry.request is not None
    sources, read = (
        tuple(source for source in names if not person.matches_source(source))
        for names in (entry.request.sources, entry.request.read)
    )
    approval = entry.approval
    if approval is not None and person.matches_name(approval.by):
        approval = Approval(approval.yes)
    because = entry.request.because
    if person.is_named_in(because):
        because = "it rests on the words of somebody who is forgotten"
    request = replace(entry.request, sources=sources, read=read, because=because)
    return replace(entry, request=request, approval=approval)


def erase_notes(store: Store, request: ErasureRequest) -> int:
    """Empty the notes that were written for the person alone or have them as a source (with
    ``mentions`` also those that name them); returns how many lines. A note for the person and
    others stays, for the others only."""
    count = 0
    for agent in request.agents:
        entries = [entry for entry in NOTE_LOG.entries(store, agent) if entry.body]
        lines = [entry.n for entry in entries if _is_note_erased(entry.body or {}, request)]
        shared = [
            entry
            for entry in entries
            if entry.n not in lines
            and any(map(request.person.matches_name, (entry.body or {}).get("audience", ())))
        ]
        current = {n for n, _ in Notes(Memory(store, agent)).lines.values()}
        NOTE_LOG.erase(store, agent, [*lines, *(entry.n for entry in shared)])
        for entry in shared:
            body = entry.body or {}
            if entry.n in current:
                people = [n for n in body["audience"] if not request.person.matches_name(n)]
                line = {**body, "audience": people}
                NOTE_LOG.append(store, agent, line, step=max(entry.step, _last_step(store, agent)))
        count += len(lines)
    return count


def _is_note_erased(body: dict[str, Json], request: ErasureRequest) -> bool:
    person, audience = request.person, body.get("audience", ())
    texts = (str(body.get(field, "")) for field in ("note", "removed", "text"))
    only_for_them = bool(audience) and all(map(person.matches_name, audience))
    sources = map(person.matches_source, body.get("sources", ()))
    theirs = person.matches_name(body["person"]) or any(sources)
    return only_for_them or theirs or any(map(request.names_person, texts))


def erase_sessions(store: Store, request: ErasureRequest) -> int:
    """Empty the lines of the person's sessions, and lines that rest on erased records (with
    ``mentions`` also those that name the person); returns how many."""
    count = 0
    for agent in request.agents:
        erased = request.records.get(agent, frozenset())
        lines = [
            entry.n
            for entry in SESSION_LOG.entries(store, agent)
            if entry.body and _is_session_line_erased(entry.body, erased, request)
        ]
        SESSION_LOG.erase(store, agent, lines)
        count += len(lines)
    return count


def _is_session_line_erased(
    body: dict[str, Json], erased: frozenset[RecordId], request: ErasureRequest
) -> bool:
    person = request.person
    theirs = any(map(person.matches_name, (body["person"], *label_leaves(body["data"]))))
    basis = record_numbers("sessions", body)
    if theirs or not erased.isdisjoint(basis):
        return True
    texts = list(text_leaves(body))
    # A line that rests on other records may say the same again.
    repeats = not basis and any(map(request.repeats, texts))
    return repeats or (request.mentions and any(map(person.is_named_in, texts)))


def erase_corrections(store: Store, request: ErasureRequest) -> int:
    """Write the lines of corrections that the person made (with ``mentions`` also those whose
    reason names them) anew without name and reason; returns how many."""
    count = 0
    for agent in request.agents:
        bodies = {e.n: e.body for e in CORRECTION_LOG.entries(store, agent) if e.body}
        changed = [n for n, body in bodies.items() if _without_corrector(body, request) != body]
        # Their order counts, so all lines after the first changed one are written again.
        lines = [n for n in bodies if changed and n >= changed[0]]
        CORRECTION_LOG.erase(store, agent, lines)
        for n in lines:
            line = _without_corrector(bodies[n], request)
            CORRECTION_LOG.append(store, agent, line, step=_last_step(store, agent))
        count += len(changed)
    return count


def _without_corrector(body: dict[str, Json], request: ErasureRequest) -> dict[str, Json]:
    theirs = request.person.matches_name(body["by"]) or request.names_person(body["by"])
    reason = "" if request.names_person(body["why"]) else body["why"]
    return {**body, "by": "" if theirs else body["by"], "why": reason}


def erase_texts(store: Store, request: ErasureRequest) -> int:
    """Delete the shared texts that name the person or repeat an erased one (in a file without a
    journal nothing refers to them); returns how many."""
    rows = store.rows("SELECT digest, text FROM texts")
    named = [
        (digest,)
        for digest, text in rows
        if request.person.is_named_in(text) or request.repeats(text)
    ]
    store.executemany("DELETE FROM texts WHERE digest = ?", named)
    return len(named)


def _last_step(store: Store, agent: AgentId) -> int:
    return Memory(store, agent).index.last_step


ERASERS: dict[str, Callable[[Store, ErasureRequest], int]] = {
    "calls": erase_calls,
    "claims": erase_claims,
    "corrections": erase_corrections,
    "documents": erase_documents,
    "folds": erase_summaries,
    "notes": erase_notes,
    "sessions": erase_sessions,
    "texts": erase_texts,
}
"""The erasers by the names of ``TextColumn.eraser``; each works inside the caller's
transaction."""
