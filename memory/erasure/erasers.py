"""What erases a person from each part of a memory file besides the records: facts, documents,
summaries, notes, tool calls and shared texts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from ...core import AgentId, Approval, AskId, Json, RecordId
from ...store import Store
from ..facts import Facts
from ..memory import Memory
from ..notes import Notes
from ..storage import (
    DOCUMENT_LOG,
    NOTE_LOG,
    SUMMARY_LOG,
    PersonMatcher,
    ToolCallEntry,
    ToolCallLog,
    entry_to_json,
    summaries_in_force,
)
from .text_columns import label_leaves, text_leaves


@dataclass(frozen=True, slots=True)
class ErasureRequest:
    """Whom to erase, from whose memories, and which records of each are going; ``mentions``:
    whatever names them goes too. ``remarks`` takes what could not be erased, or must be known of
    what was, in words."""

    person: PersonMatcher
    agents: tuple[AgentId, ...]
    mentions: bool
    records: dict[AgentId, frozenset[RecordId]]
    remarks: list[str] = field(default_factory=list)

    def named(self) -> Callable[[str], bool]:
        """Whether a text goes since it names them."""
        return self.person.is_named_in if self.mentions else (lambda text: False)


def erase_claims(store: Store, erasure: ErasureRequest) -> int:
    """Empty the statements that were said by the person, are for them, or rest on records
    that are going (with ``mentions`` also those about them); returns how many."""
    return sum(
        Facts(Memory(store, agent)).erase(
            erasure.records.get(agent, ()),
            erasure.person.name,
            mentions=erasure.mentions,
            others=erasure.person.others,
        )
        for agent in erasure.agents
    )


def erase_documents(store: Store, erasure: ErasureRequest) -> int:
    """Empty the lines on documents that the person gave or of which records are going, and write
    the lines anew for those of which some stay (with ``mentions`` a name or a place in it that
    names them is left out); returns how many lines."""
    count, named = 0, erasure.named()
    for agent in erasure.agents:
        going = set(erasure.records.get(agent, ()))
        bodies = {e.n: e.body for e in DOCUMENT_LOG.entries(store, agent) if e.body}
        theirs = {
            b["document"]
            for b in bodies.values()
            if erasure.person.matches_name(b.get("giver", ""))
        }
        kept = {
            n: None if body["document"] in theirs else _document_line_left(body, going, named)
            for n, body in bodies.items()
        }
        stay = {body["document"] for body in kept.values() if body and body["records"]}
        first: dict[str, int] = {}
        for n, body in bodies.items():
            if kept[n] != body:
                first.setdefault(body["document"], n)
        # All later lines on such a document are written anew behind it: the last one counts.
        lines = [n for n, body in bodies.items() if n >= first.get(body["document"], n + 1)]
        DOCUMENT_LOG.erase(store, agent, lines)
        for n in lines:
            if kept[n] and bodies[n]["document"] in stay:
                DOCUMENT_LOG.append(store, agent, kept[n], step=_last_step(store, agent))
        count += len(lines)
    return count


def _document_line_left(
    body: dict[str, Json], going: set[RecordId], named: Callable[[str], bool]
) -> Json:
    """What stays of a line on a document; None for nothing."""
    records = [[number, place] for number, place in body["records"] if number not in going]
    if (body["records"] and not records) or named(body["document"]):
        return None
    places = [[number, "" if named(place) else place] for number, place in records]
    kept = {**body, "records": places}
    if kept != body and "digest" in body:
        kept["digest"] = ""  # It is one of what went too.
    if named(body.get("path", "")):
        kept["path"] = ""
    return kept


def erase_summaries(store: Store, erasure: ErasureRequest) -> int:
    """Unfold every summary that tells of a record that is going, so that the others it stands
    for are recalled themselves, and empty the line that says why it was made (with
    ``mentions`` also lines that name them); returns how many summaries came apart. The
    summary's own text is its record's."""
    count = 0
    named = erasure.named()
    for agent in erasure.agents:
        going = set(erasure.records.get(agent, ()))
        held = summaries_in_force(store, agent)
        lines, instead = [], []
        for entry in SUMMARY_LOG.entries(store, agent):
            if not entry.body or "unfold" in entry.body:
                continue
            summary = entry.body["summary"]
            apart = summary in going or not going.isdisjoint(entry.body["records"])
            if not apart and not named(entry.body["why"]):
                continue
            lines.append(entry.n)
            if summary in held:
                gone = {"unfold": summary, "at": entry.body["at"]}
                instead.append(gone if apart else {**entry.body, "why": ""})
                count += apart
        SUMMARY_LOG.erase(store, agent, lines)
        for line in instead:
            SUMMARY_LOG.append(store, agent, line, step=_last_step(store, agent))
    return count


def erase_calls(store: Store, erasure: ErasureRequest) -> int:
    """Delete the tool calls and suspended replies of the person and those that rest on their
    words (with ``mentions`` also those that name them); returns how many. A call for somebody
    else that began and has no receipt stays, so that it is not repeated without approval."""
    log, person, is_named = ToolCallLog(store), erasure.person, erasure.named()
    conversations = []
    for scope, agent, thought in log.suspended_replies():
        theirs = any(map(person.matches_name, label_leaves(thought)))
        if agent in erasure.agents and (theirs or any(map(is_named, text_leaves(thought)))):
            log.delete_suspended(scope)
            conversations.append(f"{agent}/{scope}/")
            partner = thought["message"]["who"]
            if not person.matches_name(partner):
                erasure.remarks.append(
                    f"a suspended reply of {agent} to {partner} mentioned them, and was erased too"
                )
    erased = sum(
        _erase_call(log, key, where, entry, erasure, key.startswith(tuple(conversations)))
        for key, where, entry in log.keyed_entries()
        if where.agent in erasure.agents
    )
    return len(conversations) + erased


def _erase_call(
    log: ToolCallLog,
    key: str,
    where: AskId,
    entry: ToolCallEntry,
    erasure: ErasureRequest,
    in_erased_conversation: bool,
) -> bool:
    """Delete one call if it must go; returns whether it was deleted."""
    request, person, is_named = entry.request, erasure.person, erasure.named()
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
        if any(map(is_named, text_leaves(entry_to_json(entry)))):
            erasure.remarks.append(
                f"'{request.tool}' of {where.agent} names them, was begun for "
                f"{request.person or 'its owner'} and has no receipt; it stays until somebody "
                "settles it"
            )
        return False
    going = theirs or rests_on_them or in_erased_conversation
    if not going and not any(map(is_named, text_leaves(entry_to_json(entry)))):
        return False
    if begun:
        erasure.remarks.append(
            f"'{request.tool}' of {where.agent} had begun for them and has no receipt; it was "
            "erased, and nobody will be asked whether it was done"
        )
    log.delete_entry(key)
    return True


def _without_person(entry: ToolCallEntry, whom: PersonMatcher) -> ToolCallEntry:
    """A call without a person among those on whose word it was made and who decided on it."""
    assert entry.request is not None
    kept, read = (
        tuple(source for source in sources if not whom.matches_source(source))
        for sources in (entry.request.sources, entry.request.read)
    )
    approval = entry.approval
    if approval is not None and whom.matches_name(approval.by):
        approval = Approval(approval.yes)
    because = entry.request.because
    if whom.is_named_in(because):
        because = "it rests on the words of somebody who is forgotten"
    request = replace(entry.request, sources=kept, read=read, because=because)
    return replace(entry, request=request, approval=approval)


def erase_notes(store: Store, erasure: ErasureRequest) -> int:
    """Empty the notes that were written for the person or of their words (with ``mentions`` also
    those that name them); returns how many lines. A note that is for others too is theirs only
    from then on."""
    count = 0
    for agent in erasure.agents:
        entries = [entry for entry in NOTE_LOG.entries(store, agent) if entry.body]
        lines = [entry.n for entry in entries if _note_goes(entry.body or {}, erasure)]
        shared = [
            e for e in entries if e.n not in lines and _is_for_person(e.body or {}, erasure.person)
        ]
        held = {n for n, _ in Notes(Memory(store, agent)).lines.values()}
        NOTE_LOG.erase(store, agent, [*lines, *(entry.n for entry in shared)])
        for entry in shared:
            body = entry.body or {}
            if entry.n in held:
                people = [
                    name for name in body["audience"] if not erasure.person.matches_name(name)
                ]
                line = {**body, "audience": people}
                NOTE_LOG.append(store, agent, line, step=max(entry.step, _last_step(store, agent)))
        count += len(lines)
    return count


def _is_for_person(body: dict[str, Json], whom: PersonMatcher) -> bool:
    return any(map(whom.matches_name, body.get("audience", ())))


def _note_goes(body: dict[str, Json], erasure: ErasureRequest) -> bool:
    whom, people = erasure.person, body.get("audience", ())
    texts = (str(body.get(part, "")) for part in ("note", "removed", "text"))
    alone = bool(people) and all(map(whom.matches_name, people))
    theirs = whom.matches_name(body["person"]) or any(
        map(whom.matches_source, body.get("sources", ()))
    )
    return alone or theirs or any(map(erasure.named(), texts))


def erase_texts(store: Store, erasure: ErasureRequest) -> int:
    """Drop the shared texts that name the person; in a file without a journal nothing refers to
    them. Returns how many."""
    whom = erasure.person
    rows = store.rows("SELECT digest, text FROM texts")
    gone = [(mark,) for mark, text in rows if whom.is_named_in(text)]
    store.executemany("DELETE FROM texts WHERE digest = ?", gone)
    return len(gone)


def _last_step(store: Store, agent: AgentId) -> int:
    return Memory(store, agent).index.last_step


ERASERS: dict[str, Callable[[Store, ErasureRequest], int]] = {
    "calls": erase_calls,
    "claims": erase_claims,
    "documents": erase_documents,
    "folds": erase_summaries,
    "notes": erase_notes,
    "texts": erase_texts,
}
"""What erases beside the records, by name, inside the caller's transaction; see
``word_places.WORDS`` for which place is whose."""
