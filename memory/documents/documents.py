"""Documents as memories: imported as passages, found by recall, cited by place."""

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
    """Result of an import: records added, kept unchanged, and replaced (no longer recalled)."""

    document: str
    added: tuple[RecordId, ...]
    kept: tuple[RecordId, ...]
    replaced: tuple[RecordId, ...]


@dataclass(frozen=True, slots=True)
class ImportPlan:
    """An import not yet written: its records and the body of its log entry (None: no change)."""

    imported: DocumentImport
    records: tuple[Record, ...]
    line: Json


class Documents:
    """The documents of one memory.

    A passage is a record of kind "document" whose episode is the document's name and whose source
    is its place. A document is identified by giver and name: one given by somebody other than the
    owner (``who``) is named "handbook.md of Eve" and cannot replace the owner's "handbook.md". An
    import is atomic; importing again adds new passages only and removes missing ones from recall,
    and ``cite`` follows passages that moved.
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
        """Import a file (text, Markdown, HTML, PDF, CSV, Word) under ``name`` (default: file name)
        for ``audience`` (empty: everybody).

        Raises MemoryFault if the file cannot be read, SettingError for an unknown file ending or
        a missing library, and then writes nothing.
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
        """What an import of passages (text, place) would write; a simulation step writes it.
        ``first`` is the id of the first record (default: the memory's next)."""
        people = tuple(sorted(parse_audience(audience)))
        giver = "" if who == self.memory.agent else who
        episode = self._episode(name, giver)
        before = document_contents(self.memory.store, self.memory.agent).get(episode, [])
        reusable: dict[tuple[str, tuple[AgentId, ...]], list[RecordId]] = {}
        for number, _ in before:
            for old in self.memory.existing_records([number]):
                reusable.setdefault((old.text, old.audience), []).append(number)
        first = self.memory.next_id if first is None else first
        records: list[Record] = []
        contents: list[tuple[RecordId, str]] = []
        kept = []
        for text, place in texts:
            if same := reusable.get((text, people)):
                kept.append(same[0])
                contents.append((same.pop(0), place))
                continue
            number = first + len(records)
            contents.append((number, place))
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
        replaced = tuple(sorted(number for numbers in reusable.values() for number in numbers))
        added = tuple(record.id for record in records)
        line = None
        if contents != before:
            digest = digest_text(canonical([list(passage) for passage in texts]))
            line = _log_body(episode, contents, giver=giver, name=name, digest=digest, path=path)
        result = DocumentImport(episode, added, tuple(kept), replaced)
        return ImportPlan(result, tuple(records), line)

    def _episode(self, name: str, giver: AgentId) -> str:
        """The episode of a giver's document of this name: the one used before, else one that no
        other document ever had."""
        known = self._known()
        wanted = (fold_name(giver), name)
        if (old := next((e for e, key in known.items() if key == wanted), None)) is not None:
            return old
        base = f"{name} of {giver}" if giver else name
        numbered = (f"{base} ({number})" for number in islice(count(2), len(known) + 1))
        return next(episode for episode in (base, *numbered) if episode not in known)

    def _known(self) -> dict[str, tuple[str, str]]:
        """Giver and name of every document ever imported, by episode."""
        memory, known = self.memory, dict[str, tuple[str, str]]()
        for _, _, body in DOCUMENT_LOG.as_of(memory.store, memory.agent, memory.as_of_step):
            if "giver" in body:
                giver = body["giver"]
            elif body["document"] in known:
                continue
            else:  # An old entry without labels: the giver is the speaker of its records.
                giver = next(
                    (memory.stored_record(number).who for number, _ in body["records"]), ""
                )
                giver = "" if giver == memory.agent else giver
            known[body["document"]] = (fold_name(giver), body.get("name", body["document"]))
        return known

    def remove(self, name: str) -> tuple[RecordId, ...]:
        """Remove a document from recall; returns the ids of its records, which stay stored."""
        if problem := text_fault("name", name):
            raise MemoryFault(f"memory of {self.memory.agent}: {problem}")
        records = document_contents(self.memory.store, self.memory.agent).get(name)
        if not records:
            known = ", ".join(self.names()) or "none"
            raise MemoryFault(
                f"memory of {self.memory.agent}: no document '{name}'; there are: {known}"
            )
        self._write(ImportPlan(DocumentImport(name, (), (), ()), (), _log_body(name, ())))
        return tuple(number for number, _ in records)

    def names(self) -> tuple[str, ...]:
        """The names of the documents, sorted."""
        return tuple(sorted(name for name, records in self._contents().items() if records))

    def was_imported(self, name: str) -> bool:
        """Whether the owner ever imported a document of this name, also if it was removed since."""
        return ("", name) in self._known().values()

    def passages(self, name: str) -> tuple[Record, ...]:
        """The passages of a document in order."""
        contents = self._contents().get(name, [])
        return self.memory.existing_records([number for number, _ in contents])

    def cite(self, record: Record) -> str:
        """Document and place of a record, such as "handbook.pdf, p. 3": the current place of a
        passage that moved, the last place of one that was replaced. Raises MemoryFault for a
        record that is no passage.
        """
        if record.kind != "document":
            raise MemoryFault(
                f"memory of {self.memory.agent}: record {record.id} is of no document"
            )
        places = dict(self._contents().get(record.episode, []))
        return f"{record.episode}, {places.get(record.id, record.source)}"

    def _contents(self) -> dict[str, list[tuple[RecordId, str]]]:
        step = self.memory.as_of_step
        return document_contents(self.memory.store, self.memory.agent, step=step)

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
    """Text and place of each passage of a file. Raises like ``Documents.add``."""
    passages = split_passages(read_blocks(Path(path)))
    return tuple((_text_with_headings(passage), passage.place) for passage in passages)


def document_input(path: Path | str, to: AgentId, name: str = "") -> Input:
    """The simulation input by which agent ``to`` imports a file."""
    texts = [list(passage) for passage in file_passages(path)]
    return Input(kind="document", to=to, text=name or Path(path).name, fields={"pieces": texts})


def _log_body(
    episode: str, contents: Sequence[tuple[RecordId, str]], **more: str
) -> dict[str, Json]:
    return {"document": episode, "records": [list(entry) for entry in contents], **more}


def _text_with_headings(passage: Passage) -> str:
    # Headings often contain the words of a query.
    return f"{passage.title}\n{passage.text}" if passage.title else passage.text
