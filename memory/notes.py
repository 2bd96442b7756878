"""An agent's notes, stored beside its records; the storage behind the note tools."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ..core import (
    EVERYBODY,
    UNKNOWN_SOURCE,
    AgentId,
    Label,
    MemoryFault,
    Time,
    intersect_audiences,
    is_visible,
    join_labels,
    parse_audience,
    source_name,
    time_error,
)
from .memory import Memory
from .storage import NOTE_LOG, has_source, name_forms, text_fault


@dataclass(frozen=True, slots=True)
class StoredNote:
    """A current note: its text, when it was written, and its label."""

    text: str
    at: Time
    label: Label


class Notes:
    """The notes of one memory's agent. Stored as an append-only log, so a view as of a step shows
    the notes of that step and a fork keeps them.

    A note is written for a person (empty: the owner alone, or the given ``audience``; EVERYBODY:
    everybody); the owner and its audience may read it. Notes of one name for two people are two
    notes. Notes that rest on a quarantined source are not read.

    >>> from datetime import datetime
    >>> notes, nine = Notes(Memory(":memory:", "Bo")), datetime(2023, 2, 13, 9)
    >>> notes.write("shopping", "rye", at=nine, person="Ada", key="1/Bo/1.0")
    >>> notes.read("shopping", "Ada")[0], notes.read("shopping", "Cem")
    ('rye', None)
    """

    def __init__(self, memory: Memory) -> None:
        self._memory = memory

    def names(self, person: AgentId = "") -> list[str]:
        """The names of the notes visible to ``person`` (empty: the owner, who sees all)."""
        return sorted({name for name, _ in self._visible(person)})

    def read(self, name: str, person: AgentId = "") -> tuple[str, Time] | None:
        """Text and time of a note, None if there is none. The person's own note takes precedence
        over the newest visible note for somebody else."""
        note = self._note(name, person)
        return (note.text, note.at) if note else None

    def label(self, name: str = "", person: AgentId = "") -> Label:
        """The label of the note that ``read`` returns; without a name the join of the labels of all
        notes visible to ``person``. The sources of an old note without a label are the person it
        was for, or UNKNOWN_SOURCE."""
        if name:
            note = self._note(name, person)
            return note.label if note else Label()
        notes = self._visible(person).values()
        return join_labels((note.label for note in notes), self._memory.agent)

    def _note(self, name: str, person: AgentId) -> StoredNote | None:
        notes = {
            recipient: note
            for (note_name, recipient), note in self._visible(person).items()
            if note_name == name
        }
        if not notes:
            return None
        return notes.get(person) or max(notes.values(), key=lambda note: note.at)

    def write(
        self,
        name: str,
        text: str,
        *,
        at: Time,
        person: AgentId = "",
        key: str = "",
        sources: Iterable[str] = (),
        audience: Iterable[AgentId] | None = None,
    ) -> None:
        """Write a note for a person, replacing theirs of that name; nothing if a write with the
        same ``key`` was done before. ``sources`` and ``audience`` label the note; with an empty
        ``audience`` a note for no person is for everybody."""
        label: dict[str, list[str]] = {"sources": sorted(set(sources))}
        if audience is not None:
            label["audience"] = sorted(parse_audience(audience))
        self._append({"note": name, "text": text}, at, person, key, label)

    def remove(self, name: str, *, at: Time, person: AgentId = "", key: str = "") -> None:
        """Remove a note: the person's own, or for the owner the one that ``read`` returns. Raises
        MemoryFault if the note is for another person or everybody."""
        recipients = [recipient for (held, recipient) in self._visible(person) if held == name]
        recipient = person if person in recipients or not recipients else recipients[-1]
        if person and recipient != person and not self._is_done(key):
            raise self._fault(f"'{name}' is no note of {person}'s own; its owner can remove it")
        self._append({"removed": name}, at, recipient, key, {})

    @property
    def lines(self) -> dict[tuple[str, AgentId], tuple[int, dict[str, Any]]]:
        """The log lines of current notes with their numbers, by name and recipient, in order of
        writing."""
        lines: dict[tuple[str, AgentId], tuple[int, dict[str, Any]]] = {}
        for n, line in self._lines_as_of():
            recipient = line.get("person", "")
            if "note" in line:
                lines.pop((line["note"], recipient), None)
                lines[line["note"], recipient] = (n, line)
            elif "removed" in line:
                lines.pop((line["removed"], recipient), None)
        return lines

    def _visible(self, person: AgentId) -> dict[tuple[str, AgentId], StoredNote]:
        """The current notes visible to ``person``, by name and recipient, in order of writing."""
        forms = name_forms(self._memory.quarantined)
        notes: dict[tuple[str, AgentId], StoredNote] = {}
        for (name, recipient), (_, line) in self.lines.items():
            label = self._label(line)
            if is_visible(label.audience, person) and not has_source(label.sources, forms):
                at = datetime.fromisoformat(line["at"])
                notes[name, recipient] = StoredNote(line["text"], at, label)
        return notes

    def _label(self, line: dict[str, Any]) -> Label:
        owner, recipient = self._memory.agent, line.get("person", "")
        given = line.get("audience")
        recipients = () if recipient == EVERYBODY else (recipient,)
        if not recipient:
            recipients = (owner,) if given is None else ()
        audience = intersect_audiences([recipients, tuple(given or ())], owner)
        own_source = () if recipient in ("", EVERYBODY) else (source_name(recipient),)
        sources = line.get("sources")
        if sources is None:
            sources = own_source or (UNKNOWN_SOURCE,)
        return Label(tuple(sorted({*sources, *own_source})), audience)

    def _lines_as_of(self) -> Iterator[tuple[int, dict[str, Any]]]:
        memory = self._memory
        lines = NOTE_LOG.as_of(memory.store, memory.agent, memory.as_of_step)
        return ((n, line) for n, _, line in lines)

    def _is_done(self, key: str) -> bool:
        return bool(key) and any(line.get("key") == key for _, line in self._lines_as_of())

    def _append(
        self, line: dict[str, str], at: Time, person: AgentId, key: str, label: dict[str, list[str]]
    ) -> None:
        memory = self._memory
        if memory.as_of_step is not None:
            raise self._fault(f"this is a read-only view as of step {memory.as_of_step}")
        texts = {**line, "person": person, "key": key}
        faults = [text_fault(part, value) for part, value in texts.items()]
        faults += [text_fault(part, name) for part, names in label.items() for name in names]
        if problem := time_error(at, "at") or next(filter(None, faults), ""):
            raise self._fault(problem)
        if self._is_done(key):
            return
        body = {**line, "at": at.isoformat(), "person": person, "key": key, **label}
        # The tool calls of a step precede its records, so the step is read from the call's key: a
        # fork of the step before must not keep the note.
        step_part = key.rsplit("/", 2)[-2:-1]
        step = int(step_part[0]) if step_part and step_part[0].isdecimal() else 0
        NOTE_LOG.append(memory.store, memory.agent, body, step=max(step, memory.index.last_step))

    def _fault(self, problem: str) -> MemoryFault:
        return MemoryFault(f"{self._memory.store.name}: notes of {self._memory.agent}: {problem}")
