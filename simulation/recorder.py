"""Answers from the record first, from living minds else; every new answer is recorded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..core import (
    Answer,
    Ask,
    AskId,
    Faculties,
    ReplayDiverged,
    digest,
    to_json,
)
from .journal import Journal
from .packing import pack


class Recorder:
    """Faculties of one tick.

    What is on record is answered from it, checked by the ask's digest; everything else
    goes to ``inner`` and is written to the journal's pending table as it arrives. Without
    ``inner`` (a replay) an ask that is not on record is an error.
    """

    def __init__(
        self,
        inner: Faculties | None,
        journal: Journal,
        record: Mapping[AskId, tuple[str, Answer]],
    ) -> None:
        self._inner = inner
        self._journal = journal
        self._record = record
        self._ready: list[tuple[AskId, Answer]] = []
        self._open: dict[AskId, tuple[str, Ask]] = {}
        self._unasked = set(record)
        self.new = 0

    def submit(self, where: AskId, ask: Ask) -> None:
        """Take an ask in. Raises ReplayDiverged when it is not the recorded one."""
        key = digest(to_json(ask))
        if where in self._record:
            recorded, answer = self._record[where]
            if recorded != key:
                raise ReplayDiverged(
                    f"step {where.step}, {where.agent}, ask {where.path} ({ask.kind}) differs "
                    "from the recorded one; the run was made by other code, prompts or settings: "
                    "use the version that made it, or fork the run before this step"
                )
            self._ready.append((where, answer))
            self._unasked.discard(where)
            return
        if self._inner is None:
            raise ReplayDiverged(
                f"step {where.step}, {where.agent}, ask {where.path} ({ask.kind}) is not on "
                "record; the run was made by other code, prompts or settings"
            )
        self._open[where] = (key, ask)
        self._inner.submit(where, ask)

    def finish(self) -> None:
        """Say that all thoughts have ended. Raises ReplayDiverged when something on record
        was never asked."""
        if self._unasked:
            where = min(self._unasked)
            raise ReplayDiverged(
                f"step {where.step}, {where.agent}, ask {where.path} is on record and was not "
                "asked; the run was made by other code, prompts or settings: use the version "
                "that made it, or fork the run before this step"
            )

    def wait(self) -> Sequence[tuple[AskId, Answer]]:
        """Recorded answers first; then new ones, which are durable when this returns."""
        if self._ready:
            ready, self._ready = self._ready, []
            return ready
        if self._inner is None or not self._open:
            raise RuntimeError("nothing was submitted that could still be answered")
        answers = self._inner.wait()
        packed = []
        with self._journal.store.transaction():
            for where, answer in answers:
                key, ask = self._open.pop(where)
                packed.append(pack(self._journal.store, where, ask, key, answer))
            self._journal.note_pending(packed)
        self.new += len(packed)
        return answers
