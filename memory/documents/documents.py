"""Documents as memories: imported in pieces, found by the same recall, cited by place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count, islice
from pathlib import Path
from typing import TYPE_CHECKING

from ...core import (
    AgentId,
    Input,
    Json,
    MemoryFault,
    Record,
    RecordId,
    Time,
    canonical,
    digest_text,
    parse_audience,
)
from ...core.text import fold_name
from ...readers import Passage, read_blocks, split_passages
from ..memory import Memory
from ..storage import DOCUMENT_LOG, document_contents, embed_texts, text_fault

if TYPE_CHECKING:
    from ..storage import EmbedFunction


@dataclass(frozen=True, slots=True)
class DocumentImport:
    """What an import did: pieces added, kept as they were, and replaced (no longer recalled)."""

    document: str
    added: tuple[RecordId, ...]
    kept: tuple[RecordId, ...]
    replaced: tuple[RecordId, ...]


@dataclass(frozen=True, slots=True)
class ImportPlan:
    """An import not yet written: its records, and its line of the log (None: no change)."""

    imported: DocumentImport
    records: tuple[Record, ...]
    line: Json


class Documents:
    """The documents of one memory.

    A piece of a document is a record of kind "document", its episode the document's name,
    its source the place. A document is known by who gave it and its name: one that somebody else
    than the owner gave (``who``) is called "handbook.md of Eve" here, and neither replaces nor
    passes for the owner's "handbook.md". Importing is all or nothing; importing again adds only
    the pieces that are new and takes those that are gone out of recall, while ``cite`` follows
    pieces that moved.
    """

    def __init__(self, memory: Memory, embed: EmbedFunction | None = None) -> None:
        self.memory = memory
        self._embed = embed or memory.embed

    def add(
        self,
        path: Path | str,
        *,
        at: Time,
        name: str = "",
        who: AgentId = "",
        audience: AgentId | Sequence[AgentId] = (),
        importance: float = 1.0,
    ) -> DocumentImport:
        """Import a file (text, Markdown, HTML, PDF, CSV) under ``name`` (its file name by
        default), for ``audience`` (empty: everybody).

        Raises MemoryFault where the file cannot be read, SettingError for an unknown kind of
        file or a missing library; then nothing was written.
        """
        if not isinstance(path, str | Path):
            raise MemoryFault(f"{path!r:.60} is no path of a document")
        path = Path(path)
        texts = file_passages(path)
        plan = self.plan_import(
            name or path.name,
            texts,
            at=at,
            who=who,
            audience=audience,
            importance=importance,
            path=str(path),
        )
        self._write(plan)
        return plan.imported

    def plan_import(
        self,
        name: str,
        texts: Sequence[tuple[str, str]],
        *,
        at: Time,
        first: RecordId | None = None,
        who: AgentId = "",
        audience: AgentId | Sequence[AgentId] = (),
        importance: float = 1.0,
        path: str = "",
    ) -> ImportPlan:
        """What an import of these pieces (text, place) would write: for who writes it within
        a step. ``first`` is the number of the first record (the memory's next)."""
        people = tuple(sorted(parse_audience(audience)))
        giver = "" if who == self.memory.agent else who
        episode = self._episode(name, giver)
        before = document_contents(self.memory.store, self.memory.agent).get(episode, [])
        waiting: dict[tuple[str, tuple[AgentId, ...]], list[RecordId]] = {}
        for number, _ in before:
            for old in self.memory.existing_records([number]):
                waiting.setdefault((old.text, old.audience), []).append(number)
        first = self.memory.next_id if first is None else first
        records: list[Record] = []
        held: list[tuple[RecordId, str]] = []
        kept = []
        for text, place in texts:
            if same := waiting.get((text, people)):
                kept.append(same[0])
                held.append((same.pop(0), place))
                continue
            number = first + len(records)
            held.append((number, place))
            records.append(
                Record(
                    id=number,
                    kind="document",
                    text=text,
                    created=at,
                    who=who,
                    importance=importance,
                    audience=people,
                    episode=episode,
                    source=place,
                )
            )
        gone = tuple(sorted(number for numbers in waiting.values() for number in numbers))
        added = tuple(record.id for record in records)
        line = None
        if held != before:
            digest = digest_text(canonical([list(piece) for piece in texts]))
            line = _line(episode, held, giver=giver, name=name, digest=digest, path=path)
        return ImportPlan(DocumentImport(episode, added, tuple(kept), gone), tuple(records), line)

    def _episode(self, name: str, giver: AgentId) -> str:
        """What somebody's document of this name is called here: as before, else by a name that
        no other document ever had."""
        known = self._known()
        wanted = (fold_name(giver), name)
        if (old := next((e for e, whose in known.items() if whose == wanted), None)) is not None:
            return old
        called = f"{name} of {giver}" if giver else name
        others = (f"{called} ({number})" for number in count(2))
        return next(each for each in (called, *islice(others, len(known) + 1)) if each not in known)

    def _known(self) -> dict[str, tuple[str, str]]:
        """Giver and name of every document that was ever taken in, by what it is called."""
        memory, found = self.memory, dict[str, tuple[str, str]]()
        for entry in DOCUMENT_LOG.entries(memory.store, memory.agent):
            body = entry.body
            if not body or (memory.as_of_step is not None and entry.step > memory.as_of_step):
                continue
            if "giver" in body:
                giver = body["giver"]
            elif body["document"] in found:
                continue
            else:  # Before there were labels the records alone said who gave it.
                giver = next(
                    (memory.stored_record(number).who for number, _ in body["records"]), ""
                )
                giver = "" if giver == memory.agent else giver
            found[body["document"]] = (fold_name(giver), body.get("name", body["document"]))
        return found

    def remove(self, name: str) -> tuple[RecordId, ...]:
        """Take a document out of recall; returns its records, which stay in the file."""
        if wrong := text_fault("name", name):
            raise MemoryFault(f"memory of {self.memory.agent}: {wrong}")
        records = document_contents(self.memory.store, self.memory.agent).get(name)
        if not records:
            known = ", ".join(self.names()) or "none"
            raise MemoryFault(
                f"memory of {self.memory.agent}: no document '{name}'; there are: {known}"
            )
        self._write(ImportPlan(DocumentImport(name, (), (), ()), (), _line(name, ())))
        return tuple(number for number, _ in records)

    def names(self) -> tuple[str, ...]:
        """The documents there are, in order of name."""
        held = document_contents(self.memory.store, self.memory.agent, step=self.memory.as_of_step)
        return tuple(sorted(name for name, records in held.items() if records))

    def was_imported(self, name: str) -> bool:
        """Whether a document of this name, the owner's own, was ever taken in, also one removed
        since."""
        return ("", name) in self._known().values()

    def passages(self, name: str) -> tuple[Record, ...]:
        """A document's pieces in their order."""
        held = document_contents(self.memory.store, self.memory.agent, step=self.memory.as_of_step)
        return self.memory.existing_records([number for number, _ in held.get(name, [])])

    def cite(self, record: Record) -> str:
        """Where a record stands: "handbook.pdf, p. 3".

        Of a piece that moved, where it stands now; of one that was replaced, where it stood.
        Raises MemoryFault for a record that is of no document.
        """
        if record.kind != "document":
            raise MemoryFault(
                f"memory of {self.memory.agent}: record {record.id} is of no document"
            )
        held = document_contents(self.memory.store, self.memory.agent, step=self.memory.as_of_step)
        places = dict(held.get(record.episode, []))
        return f"{record.episode}, {places.get(record.id, record.source)}"

    def _write(self, plan: ImportPlan) -> None:
        if plan.line is None:
            return
        memory, records = self.memory, plan.records
        vectors = None
        if self._embed and records:
            rows = embed_texts(self._embed, [record.text for record in records])
            vectors = {record.id: row for record, row in zip(records, rows)}
        step = memory.index.last_step
        with memory.store.transaction():
            memory.add(records, vectors, step=step)
            DOCUMENT_LOG.append(memory.store, memory.agent, plan.line, step=step)


def file_passages(path: Path | str) -> tuple[tuple[str, str], ...]:
    """The pieces of a file, each with its place. Raises as ``Documents.add`` does."""
    return tuple((_full(piece), piece.place) for piece in split_passages(read_blocks(Path(path))))


def document_input(path: Path | str, to: AgentId, name: str = "") -> Input:
    """What a simulation is given so that an agent reads a file."""
    texts = [list(each) for each in file_passages(path)]
    return Input(kind="document", to=to, text=name or Path(path).name, fields={"pieces": texts})


def _line(episode: str, held: Sequence[tuple[RecordId, str]], **more: str) -> dict[str, Json]:
    return {"document": episode, "records": [list(each) for each in held], **more}


def _full(piece: Passage) -> str:
    # The headings travel with the text: they often hold the word that is asked for.
    return f"{piece.title}\n{piece.text}" if piece.title else piece.text
