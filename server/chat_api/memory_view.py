"""The part of an agent's memory that one person may see, and may change."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Literal, TypeAlias

from ...agents import Agent, AskRouter
from ...agents.chat import ReplyWhy, SessionLine
from ...core import (
    Cue,
    Failed,
    Hit,
    ModelError,
    Recall,
    Record,
    RecordId,
    RecordKind,
    drive,
    is_visible,
    recall,
    same_name,
)
from ..hosting import AccessDenied, Caller
from .views import (
    ForgetView,
    HitView,
    MemoryPage,
    RecordView,
    ToolCallView,
    VersionView,
    WhyView,
)

MemoryScope: TypeAlias = Literal["person", "all"]
"""What is shown: what is of or for the person; or all that it may hear, for the owner."""
_SEARCHED = 2_000
"""Records that a search ranks; those that are not shown are left out afterwards."""


class PersonMemory:
    """What an agent's memory has of one person or for it: what the person said or gave, and what
    the person is in the audience of.

    That person may correct and forget what is for it alone and what it has said itself. With
    ``scope`` "all" it is what is for everybody too, the agent's own thoughts among it: only for
    the local caller of a server without keys, who owns the agent, and may change all of that.
    Raises AccessDenied (403) for others. Nobody sees what is for other persons.
    """

    def __init__(
        self, agent: Agent, person: str, caller: Caller, scope: MemoryScope = "person"
    ) -> None:
        self._agent = agent
        self._person = person
        self.owns_agent = owns_agents(caller)
        if scope == "all" and not self.owns_agent:
            raise AccessDenied(403, "scope=all is for the owner: without keys, on this machine")
        self._shows_all = scope == "all"

    # -- reading --------------------------------------------------------------------

    def page(
        self, *, kinds: Sequence[RecordKind] = (), before: int | None = None, limit: int = 50
    ) -> MemoryPage:
        """Records with numbers below ``before``, the latest first."""
        records = self.records(kinds)
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
        withdrawn = self._agent.corrections.withdrawn
        records = self._agent.memory.records(kinds=kinds, person=self._person)
        return [one for one in records if one.id not in withdrawn and self.shows(one)]

    def search(self, text: str, limit: int) -> list[RecordView]:
        """The records that fit a text by words and meaning, best first. Marks none as accessed."""
        agent, now = self._agent, datetime.now().replace(microsecond=0)
        cue = Cue(
            text=text,
            at=now,
            limit=_SEARCHED,
            rules="hybrid",
            person=self._person,
            touch=False,
        )
        answer = drive({agent.id: recall(Recall(cue=cue))}, AskRouter({agent.id: agent}, at=now))
        recalled = answer[agent.id]
        if isinstance(recalled, Failed):
            raise ModelError(f"{agent.id}: the memory could not be searched ({recalled.detail})")
        hits = [hit for hit in recalled.hits if self.shows(hit.record)]
        return [
            self.view(hit.record).model_copy(update={"score": hit.score}) for hit in hits[:limit]
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
            for version in self._agent.corrections.history(number)
            if version.record is None or self.shows(version.record)
        ]

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
            evidence=[one.id for one in seen if self.shows(one)],
            source=record.source,
        )

    def shows(self, record: Record) -> bool:
        """Whether a record is in this view."""
        if not is_visible(record.audience, self._person):
            return False
        return self._shows_all or self._person in record.audience or self._is_of_person(record)

    def explains(self, record: Record) -> bool:
        """Whether the person may read that a reply recalled a record: one of this view, or of a
        document. Not the agent's own thoughts, since it may keep a secret that came to its mind;
        its owner reads all that is for everybody."""
        if not is_visible(record.audience, self._person):
            return False
        return self.owns_agent or record.kind == "document" or self.shows(record)

    def why_view(self, why: ReplyWhy, cited: Sequence[RecordId] = ()) -> WhyView:
        """What a reply rests on, as far as the person may see it."""
        shown = [hit for hit in why.recalled if self.explains(hit.record)]
        return WhyView(
            text=why.text.strip(),
            recalled=[hit_view(hit, hit.record.id in cited) for hit in shown],
            withheld=len(why.recalled) - len(shown),
            calls=[
                ToolCallView(
                    tool=call.tool,
                    arguments=call.arguments,
                    ok=call.ok,
                    result=call.result if call.ok else None,
                    error="" if call.ok else str(call.result),
                )
                for call in why.calls
            ],
            sources=list(why.sources),
        )

    def line_why(self, line: SessionLine) -> WhyView | None:
        """The same of a line that was read back, of which only the records and their scores are
        kept; None for a line without."""
        if not (line.why or line.recalled or line.places):
            return None
        scores = dict(line.recalled)
        records = self._agent.memory.existing_records(list(scores))
        shown = [record for record in records if self.explains(record)]
        return WhyView(
            text=line.why.strip(),
            recalled=[
                hit_view(
                    Hit(record=one, score=scores[one.id], recency=0, importance=0, relevance=0)
                )
                for one in shown
            ],
            withheld=len(records) - len(shown),
            sources=list(line.places),
        )

    # -- changing -------------------------------------------------------------------

    def may_edit(self, record: Record) -> bool:
        """Whether the caller may correct and forget a record."""
        if self._shows_all:
            return True
        return self._is_private(record) or self._is_of_person(record)

    def correct(self, number: int, text: str, *, keep_history: bool, why: str) -> RecordView:
        """Replace the text of a record. Raises AccessDenied, MemoryFault."""
        self._editable(number)
        corrections = self._agent.corrections
        record = corrections.correct(
            number, text, keep_history=keep_history, by=self._person, why=why
        )
        return self.view(record)

    def forget(self, number: int, *, keep_history: bool, why: str) -> ForgetView:
        """Forget a record with what rests on it. Raises AccessDenied, MemoryFault."""
        self._editable(number)
        report = self._agent.corrections.forget(
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
        if not records or not self.shows(records[0]):
            raise AccessDenied(404, f"there is no memory {number} for {self._person}")
        return records[0]

    def _editable(self, number: int) -> None:
        if not self.may_edit(self._visible(number)):
            raise AccessDenied(
                403, f"memory {number} is for others too, and {self._person} did not say it"
            )

    def _is_private(self, record: Record) -> bool:
        return len(record.audience) == 1 and same_name(record.audience[0], self._person)

    def _is_of_person(self, record: Record) -> bool:
        return same_name(record.who, self._person)


def owns_agents(caller: Caller) -> bool:
    """Whether the caller owns the agents: who is on the machine of a server without keys."""
    return not caller.key and not caller.bound_person


def hit_view(hit: Hit, cited: bool = False) -> HitView:
    """A recalled record as JSON."""
    record = hit.record
    return HitView(
        id=record.id,
        kind=record.kind,
        text=record.text,
        created=record.created,
        who=record.who,
        score=hit.score,
        recency=hit.recency,
        importance=hit.importance,
        relevance=hit.relevance,
        lexical=hit.lexical,
        cited=cited,
    )
