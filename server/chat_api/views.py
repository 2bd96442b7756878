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
    """A recalled record and the parts of its score, each in [0, 1]."""

    id: int
    kind: str
    text: str
    created: datetime
    who: str
    score: float
    recency: float
    importance: float
    relevance: float
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


class StrictBody(BaseModel):
    """A request; unknown fields are refused."""

    model_config = ConfigDict(extra="forbid")


class SayBody(StrictBody):
    """Something said to the agent."""

    text: str = Field(min_length=1, max_length=MAX_TEXT)
    stream: bool = Field(default=False, description="Answer with server-sent events.")


class CreateBody(StrictBody):
    """A new session."""

    name: str = Field(default="", max_length=80, description="Its name; empty: one is chosen.")
