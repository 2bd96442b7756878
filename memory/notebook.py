"""An agent's notes, kept beside its records: what the note tools write to."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from ..core import AgentId, MemoryFault, Time, time_fault
from .fitting import text_fault
from .logbook import NOTES, Entry, Tail
from .memory import Memory


class Notes:
    """The notes of one memory's agent, in its store; nothing is overwritten there, so a view
    as of a step shows the notes of then, and a fork has them.

    A note is written for a person (empty: for the owner alone), and read by the owner and
    that person only. Two people's notes of one name are two notes.

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
        """A note's text and when it was written; None where there is none. The owner is given
        their own before the one that was written last for somebody else."""
        held = {whose: note for (named, whose), note in self._held(person).items() if named == name}
        if not held:
            return None
        return held.get(person) or max(held.values(), key=lambda note: note[1])

    def write(self, name: str, text: str, *, at: Time, person: AgentId = "", key: str = "") -> None:
        """Keep a note for a person, instead of theirs of that name. Done already under the
        same ``key``, nothing is written."""
        self._append({"note": name, "text": text}, at, person, key)

    def remove(self, name: str, *, at: Time, person: AgentId = "", key: str = "") -> None:
        """Keep a note no longer: theirs, or the one that the owner would be given."""
        held = [whose for (named, whose) in self._held(person) if named == name]
        whose = person if person in held or not held else held[-1]
        self._append({"removed": name}, at, whose, key)

    def _held(self, person: AgentId) -> dict[tuple[str, AgentId], tuple[str, Time]]:
        """Texts and times by name and by whom they are for, those written last at the end."""
        found: dict[tuple[str, AgentId], tuple[str, Time]] = {}
        for entry in self._lines():
            line = entry.body or {}
            whose = line.get("person", "")
            if person and whose != person:
                continue
            if "note" in line:
                found.pop((line["note"], whose), None)
                found[line["note"], whose] = (line["text"], datetime.fromisoformat(line["at"]))
            elif "removed" in line:
                found.pop((line["removed"], whose), None)
        return found

    def _lines(self) -> Iterator[Entry]:
        memory = self._memory
        for entry in Tail.of(NOTES, memory.store, memory.agent).entries:
            if memory.step is None or entry.step <= memory.step:
                yield entry

    def _append(self, line: dict[str, str], at: Time, person: AgentId, key: str) -> None:
        memory = self._memory
        if memory.step is not None:
            raise MemoryFault(
                f"{memory.store.name}: notes of {memory.agent}: are seen as of step "
                f"{memory.step} and read-only"
            )
        texts = {**line, "person": person, "key": key}
        faults = [text_fault(part, value) for part, value in texts.items()]
        if wrong := time_fault(at, "at") or next(filter(None, faults), ""):
            raise MemoryFault(f"{memory.store.name}: notes of {memory.agent}: {wrong}")
        if key and any((entry.body or {}).get("key") == key for entry in self._lines()):
            return
        body = {**line, "at": at.isoformat(), "person": person, "key": key}
        # A step's calls come before its records: without its number a fork of the step before
        # would keep them.
        within = key.rsplit("/", 2)[-2:-1]
        step = int(within[0]) if within and within[0].isdecimal() else 0
        NOTES.append(memory.store, memory.agent, body, step=max(step, memory.shelf.last_step))
