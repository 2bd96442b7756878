"""The JSON of the own API, as pydantic models, which the OpenAPI document shows."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from ...core import Resolution

MAX_TEXT = 16_000
"""Most characters of a message."""


class CallerView(BaseModel):
    """Who the request is from: ``person`` is for whom it speaks; ``names_persons``: it may name
    another one in the header ``X-Denizens-Person``."""

    person: str
    names_persons: bool
    may_approve: bool
    owner: bool = Field(description="It owns the agents: on this machine, without keys.")
    key: str = Field(default="", description="The name of the key; empty if the server has none.")


class AgentView(BaseModel):
    """What everybody may know of an agent."""

    id: str
    name: str
    age: int | None = None
    about: str = ""
    greeting: str = Field(default="", description="Its opening line for this person; may be empty.")
    portrait: str = Field(default="", description="Path of its picture (PNG); empty: draw one.")
    tools: list[str] = Field(default_factory=list, description="Names of the tools it may use.")


class SessionSummary(BaseModel):
    """A conversation of a person with an agent."""

    name: str
    lines: int
    last: datetime | None = None
    title: str = Field(default="", description="The person's first line, shortened.")


class HitView(BaseModel):
    """A recalled record and the parts of its score, each in [0, 1] (all 0: of a reply that was
    read back, of which only the score is kept)."""

    id: int
    kind: str
    text: str
    created: datetime
    who: str
    score: float
    recency: float = 0.0
    importance: float = 0.0
    relevance: float = 0.0
    lexical: float = 0.0
    cited: bool = Field(default=False, description="The reply rests on it.")


class ToolCallView(BaseModel):
    """A tool call that the reply made, and its result."""

    tool: str
    arguments: Any = None
    ok: bool = True
    result: Any = None
    error: str = ""


class WhyView(BaseModel):
    """Why a reply is as it is: what came to mind, which tools were used, what was quoted."""

    text: str = ""
    recalled: list[HitView] = Field(default_factory=list)
    withheld: int = Field(
        default=0, description="How many recalled records are the agent's own business."
    )
    calls: list[ToolCallView] = Field(default_factory=list)
    sources: list[str] = Field(default_factory=list)


class ApprovalView(BaseModel):
    """A tool call that waits until somebody approves or refuses it."""

    key: str
    agent: str
    person: str
    tool: str
    arguments: Any = None
    why: str = Field(default="", description="The agent's reason for the call.")
    because: str = Field(default="", description="Why somebody is asked.")
    sources: list[str] = Field(default_factory=list)
    doubt: bool = Field(
        default=False, description="It began once, and nobody knows whether it was done."
    )


class FailureView(BaseModel):
    """Why no reply could be made."""

    reason: str
    detail: str


class LineView(BaseModel):
    """A line of a session."""

    number: int
    who: str
    text: str
    at: datetime
    own: bool = Field(description="The person said it, not the agent.")
    why: WhyView | None = None
    cut: bool = Field(default=False, description="It was stopped before its end.")
    variants: list[int] = Field(
        default_factory=list,
        description="The numbers of the lines that stand at this place, on all branches.",
    )


class SessionContent(BaseModel):
    """A conversation with its lines; ``waiting`` are the tool calls that its reply waits for."""

    name: str
    agent: str
    person: str
    lines: list[LineView]
    waiting: list[ApprovalView] = Field(default_factory=list)
    answering: bool = Field(default=False, description="A reply is being made.")


class ReplyView(BaseModel):
    """A reply. ``resolve`` says how the message was resolved."""

    session: str
    text: str
    resolve: Resolution
    why: WhyView
    waiting: list[ApprovalView] = Field(default_factory=list)
    failure: FailureView | None = None
    said: int = Field(default=0, description="The number of the person's line; 0: none is kept.")
    line: int = Field(default=0, description="The number of the agent's line; 0: none is kept.")


class StrictBody(BaseModel):
    """A request; unknown fields are refused."""

    model_config = ConfigDict(extra="forbid")


class SayBody(StrictBody):
    """Something said to the agent."""

    text: str = Field(min_length=1, max_length=MAX_TEXT)
    stream: bool = Field(default=False, description="Answer with server-sent events.")


class AgainBody(StrictBody):
    """A wish for another reply."""

    stream: bool = Field(default=False, description="Answer with server-sent events.")


class BranchBody(StrictBody):
    """The line to go to; ``to_end``: to the last line that was said after it."""

    line: int = Field(ge=0, le=2**53, description="0: before the first line.")
    to_end: bool = False


class CancelView(BaseModel):
    """Whether a reply was being made, which is stopped now."""

    cancelled: bool


class CreateBody(StrictBody):
    """A new session."""

    name: str = Field(default="", max_length=80, description="Its name; empty: one is chosen.")


class RecordView(BaseModel):
    """A record of the agent's memory that the person may see."""

    id: int
    kind: str
    text: str
    created: datetime
    who: str
    importance: float
    private: bool = Field(description="It is for this person alone.")
    editable: bool = Field(description="This caller may correct and forget it.")
    evidence: list[int] = Field(
        default_factory=list, description="The records that it was derived from."
    )
    source: str = Field(default="", description="The place in a document that it is from.")
    score: float | None = Field(default=None, description="Of a search: the score.")


class MemoryPage(BaseModel):
    """Records, the latest first; ``before`` is the number to go on with (None: that was all)."""

    records: list[RecordView]
    total: int = Field(description="How many records of these kinds there are in all.")
    before: int | None = None


class VersionView(BaseModel):
    """A version of a record, until when it held and why it was replaced."""

    id: int
    text: str | None = Field(description="None: erased.")
    replaced_at: datetime | None = None
    by: str = ""
    why: str = ""


class CorrectBody(StrictBody):
    """A correction of a record."""

    text: str = Field(min_length=1, max_length=MAX_TEXT)
    keep_history: bool = Field(default=True, description="Keep the earlier text.")
    why: str = Field(default="", max_length=500)


class ForgetView(BaseModel):
    """What was forgotten: records, and texts searched for and found (0: they are gone)."""

    records: list[int]
    searched: int = 0
    found: int = 0
    left: list[str] = Field(default_factory=list)


class MemoryExport(BaseModel):
    """All that an agent has of a person: its records and their sessions."""

    agent: str
    person: str
    exported: datetime
    records: list[RecordView]
    sessions: list[SessionContent]


class InterviewLine(StrictBody):
    """A line of an interview."""

    own: bool = Field(description="The person said it, not the agent.")
    text: str = Field(min_length=1, max_length=MAX_TEXT)


class QuestionBody(StrictBody):
    """A question of an interview; ``lines`` are those before, which the client keeps."""

    text: str = Field(min_length=1, max_length=MAX_TEXT)
    lines: list[InterviewLine] = Field(default_factory=list, max_length=64)
    stream: bool = Field(default=False, description="Answer with server-sent events.")


class AnswerBody(StrictBody):
    """An answer to a request for approval."""

    yes: bool = Field(strict=True)
    note: str = Field(default="", max_length=2_000, description="The agent is given it.")
    stream: bool = Field(default=False, description="Go on with the reply as server-sent events.")


EVENTS: dict[int | str, dict[str, Any]] = {
    200: {
        "model": ReplyView,
        "description": "The reply; with `stream` its server-sent events: `text` "
        "(`{text}`), `tool` (`{tool, text, share}`), at the end `end` (the reply) or `error` "
        "(`{detail}`).",
        "content": {"text/event-stream": {"schema": {"type": "string"}}},
    }
}
"""What routes that make a reply answer, for the OpenAPI document."""
