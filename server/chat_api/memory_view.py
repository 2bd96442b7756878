"""The part of an agent's memory that one person may see, and may change."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from ...agents import Agent, AskRouter
from ...core import (
    Cue,
    Embed,
    Failed,
    ModelError,
    Recall,
    Record,
    RecordKind,
    Thought,
    Vectors,
    drive,
    is_visible,
    recall,
    same_name,
)
from ...memory import Corrections, export_lines
from ..hosting import AccessDenied, Caller
from .views import ForgetView, HitView, MemoryPage, RecordView, VersionView

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class PersonMemory:
    """What of an agent's memory is for everybody or for one person.

    That person may correct and forget what is for it alone and what it has said itself; the local
    caller of a server without keys, who owns the agent, all that it sees.
    """

    def __init__(self, agent: Agent, person: str, caller: Caller) -> None:
        self._agent = agent
        self._person = person
        self._owns_agent = not caller.key and not caller.bound_person

    # -- reading --------------------------------------------------------------------

    def page(
        self,
        *,
        kinds: Sequence[RecordKind] = (),
        private: bool = False,
        before: int | None = None,
        limit: int = 50,
    ) -> MemoryPage:
        """Records with numbers below ``before``, the latest first; ``private``: only those that
        are for this person alone."""
        records = [
            record for record in self.records(kinds) if not private or self._is_private(record)
        ]
        older = [record for record in records if before is None or record.id < before]
        shown = older[::-1][:limit]
        more = len(older) > len(shown)
        return MemoryPage(
            records=[self.view(record) for record in shown],
            total=len(records),
            before=shown[-1].id if more else None,
        )

    def records(self, kinds: Sequence[RecordKind] = ()) -> list[Record]:
        """The records that hold, in order of number."""
        withdrawn = Corrections(self._agent.memory).withdrawn
        records = self._agent.memory.records(kinds=kinds, person=self._person)
        return [record for record in records if record.id not in withdrawn]

    def search(self, text: str, limit: int) -> list[RecordView]:
        """The records that fit a text by words and meaning, best first. Marks none as accessed."""
        agent, now = self._agent, datetime.now().replace(microsecond=0)
        cue = Cue(text=text, at=now, limit=limit, rules="hybrid", person=self._person, touch=False)
        answer = drive({agent.id: recall(Recall(cue=cue))}, AskRouter({agent.id: agent}, at=now))
        recalled = answer[agent.id]
        if isinstance(recalled, Failed):
            raise ModelError(f"{agent.id}: the memory could not be searched ({recalled.detail})")
        return [
            self.view(hit.record).model_copy(update={"score": hit.score}) for hit in recalled.hits
        ]

    def history(self, number: int) -> list[VersionView]:
        """The versions of a record, oldest first. Raises AccessDenied."""
        self._visible(number)
        return [
            VersionView(
                id=version.number,
                text=version.record.text if version.record else None,
                replaced_at=version.replaced_at,
                by=version.by,
                why=version.why,
            )
            for version in Corrections(self._agent.memory).history(number)
            if version.record is None or is_visible(version.record.audience, self._person)
        ]

    def export(self) -> bytes:
        """The visible records as JSON Lines, which ``denizens memory import`` reads."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "memory.jsonl"
            export_lines(self._agent.memory, path, person=self._person)
            return path.read_bytes()

    def view(self, record: Record) -> RecordView:
        """A visible record as JSON."""
        seen = self._agent.memory.existing_records(record.evidence)
        return RecordView(
            id=record.id,
            kind=record.kind,
            text=record.text,
            created=record.created,
            who=record.who,
            importance=record.importance,
            private=self._is_private(record),
            editable=self.may_edit(record),
            evidence=[one.id for one in seen if is_visible(one.audience, self._person)],
            source=record.source,
        )

    def hit_view(self, number: int, score: float) -> HitView | None:
        """A record that a reply recalled; None if it is gone or not for this person."""
        records = self._agent.memory.existing_records([number])
        if not records or not is_visible(records[0].audience, self._person):
            return None
        record = records[0]
        return HitView(
            id=record.id,
            kind=record.kind,
            text=record.text,
            created=record.created,
            who=record.who,
            score=score,
        )

    # -- changing -------------------------------------------------------------------

    def may_edit(self, record: Record) -> bool:
        """Whether the caller may correct and forget a record."""
        return self._owns_agent or self._is_private(record) or self._is_own(record)

    def correct(self, number: int, text: str, *, keep_history: bool, why: str) -> RecordView:
        """Replace the text of a record. Raises AccessDenied, MemoryFault."""
        self._editable(number)
        corrections = Corrections(self._agent.memory, self._embed)
        record = corrections.correct(
            number, text, keep_history=keep_history, by=self._person, why=why
        )
        return self.view(record)

    def forget(self, number: int, *, keep_history: bool, why: str) -> ForgetView:
        """Forget a record with what rests on it. Raises AccessDenied, MemoryFault."""
        self._editable(number)
        report = Corrections(self._agent.memory, self._embed).forget(
            number, keep_history=keep_history, by=self._person, why=why
        )
        # Of what rested on it, the numbers of records that are not this person's are nobody's
        # business here.
        return ForgetView(
            records=[number],
            searched=report.searched,
            found=report.found,
            left=list(report.left),
        )

    def _visible(self, number: int) -> Record:
        """The record of a number. Raises AccessDenied (404), as for a number that is none, also
        if it is not for this person."""
        records: tuple[Record, ...] = ()
        if 0 < number <= len(self._agent.memory):
            records = self._agent.memory.existing_records([number])
        if not records or not is_visible(records[0].audience, self._person):
            raise AccessDenied(404, f"there is no memory {number} for {self._person}")
        return records[0]

    def _editable(self, number: int) -> None:
        if not self.may_edit(self._visible(number)):
            raise AccessDenied(
                403, f"memory {number} is for everybody: its owner alone may change it"
            )

    def _is_private(self, record: Record) -> bool:
        return len(record.audience) == 1 and same_name(record.audience[0], self._person)

    def _is_own(self, record: Record) -> bool:
        return record.kind == "utterance" and same_name(record.who, self._person)

    def _embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """The embeddings of texts by the agent's model, float32 of shape (n, d)."""
        agent = self._agent
        answer = drive(
            {agent.id: _embed_thought(tuple(texts))},
            AskRouter({agent.id: agent}, at=datetime.now().replace(microsecond=0)),
        )[agent.id]
        if isinstance(answer, Failed):
            raise ModelError(f"{agent.id}: the text could not be embedded ({answer.detail})")
        return answer.array()


def _embed_thought(texts: tuple[str, ...]) -> Thought[Vectors | Failed]:
    (answer,) = yield (Embed(texts=texts),)
    assert isinstance(answer, Vectors | Failed)
    return answer
