"""The sessions of an agent in its store: lines with numbers, in a tree with one current path."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from ...core import AgentId, Json, RecordId, Resolution, SettingError, Time, Utterance
from ...memory import Corrections, Memory
from ...memory.storage import SESSION_LOG


@dataclass(frozen=True, slots=True)
class SessionLine(Utterance):
    """A line of a session: its number ``id``, which stays the same over restarts, and the records
    of it. Of an agent's line also how the message was resolved, ``why``, what was ``recalled``
    (record numbers and scores), and the cited ``places`` in documents."""

    id: int = 0
    records: tuple[RecordId, ...] = ()
    resolve: Resolution = "answer"
    why: str = ""
    recalled: tuple[tuple[RecordId, float], ...] = ()
    places: tuple[str, ...] = ()

    @property
    def utterance(self) -> Utterance:
        """The line without its numbers."""
        return Utterance(self.who, self.text, self.at)


class SessionTree:
    """The lines of one session. A line follows the one that was current when it was said, so an
    erased line leaves no gap. ``head`` is the number of the current line (0: before the first)."""

    def __init__(self) -> None:
        self.lines: dict[int, SessionLine] = {}
        self.parents: dict[int, int] = {}
        self.head = 0
        self._heads: list[tuple[int, int]] = []

    def apply(self, number: int, body: Json) -> None:
        """Apply an entry of the log."""
        data = body["data"]
        if body["event"] == "line":
            self.lines[number] = _read_line(number, body)
            self.parents[number] = self.head
            self.head = number
        elif body["event"] == "goto":
            self.head = self._existing(int(data["line"]))
        self._heads.append((number, self.head))

    def _existing(self, number: int) -> int:
        """The line of a number; if it was erased, the one that it followed."""
        if number in self.lines or number <= 0:
            return max(number, 0)
        place = bisect_left(self._heads, (number, -1))
        return self._heads[place - 1][1] if place else 0

    def path(self, tip: int | None = None) -> tuple[SessionLine, ...]:
        """The lines from the first one to ``tip`` (None: the current one)."""
        number, lines = self.head if tip is None else tip, []
        while number:
            lines.append(self.lines[number])
            number = self.parents[number]
        return tuple(reversed(lines))

    def tips(self) -> tuple[int, ...]:
        """The lines that nothing follows, without the current one, in order."""
        followed = set(self.parents.values())
        return tuple(n for n in self.lines if n not in followed and n != self.head)

    def following(self, number: int) -> int:
        """How many lines follow a line directly."""
        return sum(parent == number for parent in self.parents.values())


def _read_line(number: int, body: Json) -> SessionLine:
    data = body["data"]
    return SessionLine(
        data["who"],
        data["text"],
        datetime.fromisoformat(body["at"]),
        id=number,
        records=tuple(data.get("records", ())),
        resolve=data.get("resolve", "answer"),
        why=data.get("why", ""),
        recalled=tuple((int(n), float(score)) for n, score in data.get("recalled", ())),
        places=tuple(data.get("places", ())),
    )


class SessionLog:
    """The sessions of one agent, read from and written to its store. The caller holds the store's
    lock."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self._store = memory.store

    def trees(self) -> dict[tuple[str, str], SessionTree]:
        """All sessions by person and name."""
        entries = SESSION_LOG.entries(self._store, self._memory.agent)
        key = ("chat sessions", self._memory.agent)
        cached = self._store.cache.get(key)
        if cached is None or cached[0] is not entries:
            cached = self._store.cache[key] = [entries, 0, {}]
        trees: dict[tuple[str, str], SessionTree] = cached[2]
        for entry in entries[cached[1] :]:
            if entry.body:
                place = (entry.body["person"], entry.body["session"])
                trees.setdefault(place, SessionTree()).apply(entry.n, entry.body)
        cached[1] = len(entries)
        return trees

    def tree(self, person: AgentId, name: str) -> SessionTree:
        """One session; an empty one if nothing was said in it."""
        return self.trees().get((person, name)) or SessionTree()

    def names(self, person: AgentId) -> tuple[str, ...]:
        """The names of the sessions of a person, the oldest first."""
        return tuple(name for who, name in self.trees() if who == person)

    def add_line(
        self, person: AgentId, name: str, line: Utterance, records: Sequence[RecordId], **data: Json
    ) -> int:
        """Append a line after the current one; returns its number."""
        told = {key: value for key, value in data.items() if value}
        fields = {"who": line.who, "text": line.text, "records": list(records), **told}
        return self._append(person, name, "line", line.at, fields)

    def go_to(self, person: AgentId, name: str, number: int, at: Time) -> None:
        """Make a line the current one. The records of the lines that are no longer current are
        withdrawn from recall, those of the lines that are again are put back."""
        tree = self.tree(person, name)
        if number and number not in tree.lines:
            raise SettingError(
                f"{self._memory.agent}: no line {number} in the session '{name}' of {person}; "
                "give the id of a line of it"
            )
        before = _records(tree.path())
        after = _records(tree.path(number))
        with self._store.transaction():
            self._append(person, name, "goto", at, {"line": number, "records": []})
            self._withdraw(set(before) - set(after), set(after) - set(before), person, at)

    def _append(self, person: AgentId, name: str, event: str, at: Time, data: Json) -> int:
        body = {
            "session": name,
            "person": person,
            "event": event,
            "at": at.isoformat(),
            "data": data,
        }
        step = self._memory.index.last_step
        return SESSION_LOG.append(self._store, self._memory.agent, body, step=step)

    def _withdraw(
        self, left: Iterable[RecordId], joined: Iterable[RecordId], person: AgentId, at: Time
    ) -> None:
        """Withdraw the records of lines that are left from recall, and put back those of lines
        that are joined. What was corrected or forgotten otherwise stays so."""
        corrections = Corrections(self._memory)
        withdrawn = corrections.withdrawn
        present = self._memory.existing_records(sorted(set(left) - withdrawn))
        numbers = [record.id for record in present]
        corrections.withdraw(numbers, why=_OFF_PATH, by=person, at=at)
        back = sorted(set(joined) & withdrawn)
        corrections.put_back(back, why=_OFF_PATH, by=person, at=at)


def _records(lines: Iterable[SessionLine]) -> list[RecordId]:
    return list(dict.fromkeys(number for line in lines for number in line.records))


_OFF_PATH = "left in the chat"
"""Why the records of lines that are not current are withdrawn, and by which they are put back."""
