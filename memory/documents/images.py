"""Pictures as memories, found by a text or by another picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from ...core import AgentId, Cue, Hit, MemoryFault, Record, Time, parse_audience
from ..memory import Memory
from ..recall import PAPER, RuleSet
from ..storage import IMAGES_SUFFIX, read_quarantined

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class ImageEncoder(Protocol):
    """Pictures and texts as unit rows of one space, shape (n, d): ``models.pictures``."""

    def text_vectors(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Rows of texts."""

    def image_vectors(self, paths: Sequence[Path | str]) -> NDArray[np.float32]:
        """The embeddings of picture files."""


class Images:
    """The pictures of one memory, as a memory of their own in the same store ("Bo/images"), because
    their embeddings have another dimension than those of texts.

    A picture is a record of kind "document" whose episode is the file's name and whose text is the
    caption. Checks, audiences and recall are as for other records.
    """

    def __init__(self, memory: Memory, encoder: ImageEncoder, *, rules: RuleSet = PAPER) -> None:
        self.encoder = encoder
        self._owner = memory
        self.memory = Memory(
            memory.store, f"{memory.agent}{IMAGES_SUFFIX}", rules=rules, embed=encoder.text_vectors
        )

    def add(
        self,
        paths: Sequence[Path | str],
        *,
        at: Time,
        captions: Sequence[str] = (),
        who: AgentId = "",
        audience: AgentId | Sequence[AgentId] = (),
        importance: float = 1.0,
    ) -> tuple[Record, ...]:
        """Add picture files, all or none, each with a caption (default: its file name); returns the
        records."""
        if captions and len(captions) != len(paths):
            raise MemoryFault(
                f"memory of {self.memory.agent}: {len(paths)} pictures, {len(captions)} captions"
            )
        files, owner = [Path(path) for path in paths], self.memory.agent.removesuffix(IMAGES_SUFFIX)
        rows = self.encoder.image_vectors(files)
        records = tuple(
            Record(
                id=self.memory.next_id + place,
                kind="document",
                text=captions[place] if captions else f"A picture: {file.name}",
                created=at,
                who=who,
                importance=importance,
                audience=tuple(sorted(parse_audience(audience))),
                # A picture given by somebody else must not pass for the owner's of that name.
                episode=file.name if who in ("", owner) else f"{file.name} of {who}",
                source="image",
            )
            for place, file in enumerate(files)
        )
        vectors = {record.id: row for record, row in zip(records, rows)}
        self.memory.add(records, vectors, step=self.memory.index.last_step)
        return records

    def find(self, what: str, *, at: Time, limit: int = 5, person: AgentId = "") -> tuple[Hit, ...]:
        """The pictures that match a text best, among those visible to ``person``."""
        self._sync_quarantine()
        return self.memory.recall(self._cue(what, at, limit, person))

    def find_similar(
        self, path: Path | str, *, at: Time, limit: int = 5, person: AgentId = ""
    ) -> tuple[Hit, ...]:
        """The pictures most similar to a picture file, among those visible to ``person``."""
        self._sync_quarantine()
        (row,) = self.encoder.image_vectors([path])
        return self.memory.recall(self._cue(str(path), at, limit, person), row)

    def _sync_quarantine(self) -> None:
        """Quarantine in the pictures' memory the sources quarantined in the owner's memory."""
        shelf = self.memory.index
        own = read_quarantined(self.memory.store, self.memory.agent)
        if (whole := own | self._owner.quarantined) != shelf.quarantined:
            shelf.set_quarantined(whole)

    def _cue(self, text: str, at: Time, limit: int, person: AgentId) -> Cue:
        return Cue(text=text, at=at, limit=limit, person=person, touch=False)
