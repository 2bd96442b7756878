"""Why an agent said what it said: what it recalled, which tools it called, what it cites."""

from __future__ import annotations

from dataclasses import dataclass

from ...core import Call, Hit, Json, Recalled, Reply, ToolResult


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplyCall:
    """A tool call of a reply: whether it succeeded, and its value or error."""

    tool: str
    arguments: Json
    ok: bool
    result: Json
    receipt: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplyWhy:
    """The basis of a reply: an explanation in words, the records that were recalled with their
    scores (best first), the tool calls, and the cited places in documents."""

    text: str = ""
    recalled: tuple[Hit, ...] = ()
    calls: tuple[ReplyCall, ...] = ()
    sources: tuple[str, ...] = ()
    held: float | None = None


def explain_reply(reply: Reply) -> ReplyWhy:
    """The basis of a reply, from the asks of its thought."""
    hits: dict[int, Hit] = {}
    calls: list[ReplyCall] = []
    for answered in reply.step.asks:
        ask, answer = answered.ask, answered.answer
        if isinstance(answer, Recalled):
            for hit in answer.hits:
                hits.setdefault(hit.record.id, hit)
        elif isinstance(ask, Call) and isinstance(answer, ToolResult):
            result = answer.value if answer.ok else answer.error
            calls.append(
                ReplyCall(
                    tool=ask.tool,
                    arguments=ask.arguments,
                    ok=answer.ok,
                    result=result,
                    receipt=answer.receipt,
                )
            )
    return ReplyWhy(
        text=reply.step.why,
        recalled=tuple(sorted(hits.values(), key=lambda hit: -hit.score)),
        calls=tuple(calls),
        sources=reply.sources,
        held=reply.held,
    )
