"""An agent's notes, kept beside its records: what the note tools write to."""

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
from .storage import NOTE_LOG, LogEntry, has_source, name_forms, text_fault


@dataclass(frozen=True, slots=True)
class StoredNote:
    """A note in force: its text, when it was written, and its label."""

    text: str
    at: Time
    label: Label


class Notes:
    """The notes of one memory's agent, in its store; nothing is overwritten there, so a view
    as of a step shows the notes of then, and a fork has them.

    A note is written for a person (empty: for the owner alone, unless an ``audience`` is given;
    EVERYBODY: for all), and read by the owner and by those it is for. Two people's notes of one
    name are two notes. Notes that rest on the words of somebody who is quarantined are not read.

    >>> from datetime import datetime
    >>> notes, nine = Notes(Memory(":memory:", "Bo")), datetime(2023, 2, 13, 9)
    >>> notes.write("shopping", "rye", at=nine, person="Ada", key="1/Bo/1.0")
    >>> notes.read("shopping", "Ada")[0], notes.read("shopping", "Cem")
    ('rye', None)
    """

    def __init__(self, memory: Memory) -> None:
        self._memory = memory

    def names(self, person: AgentId = "") -> list[str]:
        """The names of the notes there are for somebody (empty: the owner, who has all)."""
        return sorted({name for name, _ in self._held(person)})

    def read(self, name: str, person: AgentId = "") -> tuple[str, Time] | None:
        """A note's text and when it was written; None where there is none. Somebody is given
        their own before the one that was written last for somebody else."""
        note = self._note(name, person)
        return (note.text, note.at) if note else None

    def label(self, name: str = "", person: AgentId = "") -> Label:
        """The label of the note that ``read`` gives; without a name that of all notes there are
        for somebody. Of a note from before there were labels the sources are whom it was for, or
        UNKNOWN."""
        if name:
            note = self._note(name, person)
            return note.label if note else Label()
        return join_labels((note.label for note in self._held(person).values()), self._memory.agent)

    def _note(self, name: str, person: AgentId) -> StoredNote | None:
        held = {whose: note for (named, whose), note in self._held(person).items() if named == name}
        if not held:
            return None
        return held.get(person) or max(held.values(), key=lambda note: note.at)

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
        """Keep a note for a person, instead of theirs of that name. Done already under the
        same ``key``, nothing is written. ``sources`` and ``audience`` are the label of what it
        rests on; with a label whose audience is open a note for nobody is for everybody."""
        label: dict[str, list[str]] = {"sources": sorted(set(sources))}
        if audience is not None:
            label["audience"] = sorted(parse_audience(audience))
        self._append({"note": name, "text": text}, at, person, key, label)

    def remove(self, name: str, *, at: Time, person: AgentId = "", key: str = "") -> None:
        """Keep a note no longer: theirs, or the one that the owner would be given. Raises
        MemoryFault where it is another's or for everybody."""
        held = [whose for (named, whose) in self._held(person) if named == name]
        whose = person if person in held or not held else held[-1]
        if person and whose != person and not self._done(key):
            raise self._fault(f"'{name}' is no note of {person}'s own; its owner can remove it")
        self._append({"removed": name}, at, whose, key, {})

    @property
    def lines(self) -> dict[tuple[str, AgentId], tuple[int, dict[str, Any]]]:
        """The lines of the notes in force, with their numbers, by name and by whom they are for;
        those written last at the end."""
        found: dict[tuple[str, AgentId], tuple[int, dict[str, Any]]] = {}
        for entry in self._lines():
            line = entry.body or {}
            whose = line.get("person", "")
            if "note" in line:
                found.pop((line["note"], whose), None)
                found[line["note"], whose] = (entry.n, line)
            elif "removed" in line:
                found.pop((line["removed"], whose), None)
        return found

    def _held(self, person: AgentId) -> dict[tuple[str, AgentId], StoredNote]:
        """The notes in force that are for somebody, by name and by whom they were written for,
        those written last at the end."""
        forms = name_forms(self._memory.quarantined)
        found: dict[tuple[str, AgentId], StoredNote] = {}
        for (name, whose), (_, line) in self.lines.items():
            label = self._label(line)
            if is_visible(label.audience, person) and not has_source(label.sources, forms):
                at = datetime.fromisoformat(line["at"])
                found[name, whose] = StoredNote(line["text"], at, label)
        return found

    def _label(self, line: dict[str, Any]) -> Label:
        """Whose words a note rests on, and for whom it is."""
        owner, whose = self._memory.agent, line.get("person", "")
        known = line.get("audience")
        circle = () if whose == EVERYBODY else (whose,)
        if not whose:
            circle = (owner,) if known is None else ()
        people = intersect_audiences([circle, tuple(known or ())], owner)
        theirs = () if whose in ("", EVERYBODY) else (source_name(whose),)
        sources = line.get("sources")
        if sources is None:
            sources = theirs or (UNKNOWN_SOURCE,)
        return Label(tuple(sorted({*sources, *theirs})), people)

    def _lines(self) -> Iterator[LogEntry]:
        memory = self._memory
        for entry in NOTE_LOG.entries(memory.store, memory.agent):
            if memory.as_of_step is None or entry.step <= memory.as_of_step:
                yield entry

    def _done(self, key: str) -> bool:
        return bool(key) and any((e.body or {}).get("key") == key for e in self._lines())

    def _append(
        self,
        line: dict[str, str],
        at: Time,
        person: AgentId,
        key: str,
        label: dict[str, list[str]],
    ) -> None:
        memory = self._memory
        if memory.as_of_step is not None:
            raise self._fault(f"are seen as of step {memory.as_of_step} and read-only")
        texts = {**line, "person": person, "key": key}
        faults = [text_fault(part, value) for part, value in texts.items()]
        faults += [text_fault(part, name) for part, names in label.items() for name in names]
        if wrong := time_error(at, "at") or next(filter(None, faults), ""):
            raise self._fault(wrong)
        if self._done(key):
            return
        body = {**line, "at": at.isoformat(), "person": person, "key": key, **label}
        # A step's calls come before its records: without its number a fork of the step before
        # would keep them.
        within = key.rsplit("/", 2)[-2:-1]
        step = int(within[0]) if within and within[0].isdecimal() else 0
        NOTE_LOG.append(memory.store, memory.agent, body, step=max(step, memory.index.last_step))

    def _fault(self, what: str) -> MemoryFault:
        return MemoryFault(f"{self._memory.store.name}: notes of {self._memory.agent}: {what}")
