"""An ask and its answer, as the page explains them."""

from __future__ import annotations

import json

from ..core import (
    Answer,
    Ask,
    Call,
    Choice,
    Choose,
    Completion,
    Failed,
    Generate,
    Hit,
    Json,
    Message,
    Rate,
    Rating,
    Recall,
    Recalled,
    ToolResult,
)
from .data import AskData, AskKind, TextTable

_DIGITS = 4


def ask_data(step: int, ask: Ask, answer: Answer, texts: TextTable) -> AskData | None:
    """What the page shows of an ask; None for embeddings, which say nothing to a reader."""
    role = ask.role if isinstance(ask, Generate | Choose | Rate) else ""
    prompt = _prompt_indexes(ask, texts)
    body: Json
    kind: AskKind
    if isinstance(answer, Failed):
        kind, body = "failed", {"reason": answer.reason, "detail": answer.detail}
    elif isinstance(ask, Choose) and isinstance(answer, Choice):
        names = [option.name for option in ask.options]
        options = [[n, round(p, _DIGITS)] for n, p in zip(names, answer.probabilities)]
        kind, body = "choose", {"about": ask.about, "options": options, "chosen": answer.index}
    elif isinstance(ask, Generate) and isinstance(answer, Completion):
        kind, body = "generate", {"text": answer.text}
    elif isinstance(ask, Rate) and isinstance(answer, Rating):
        value = round(answer.value, 2)
        kind, body = (
            "rate",
            {"about": ask.about, "value": value, "low": ask.low, "high": ask.high},
        )
    elif isinstance(ask, Recall) and isinstance(answer, Recalled):
        kind, body = "recall", {"cue": ask.cue.text, "hits": [_hit(hit) for hit in answer.hits]}
    elif isinstance(ask, Call) and isinstance(answer, ToolResult):
        kind, body = "call", _call_body(ask, answer)
    else:
        return None
    return AskData(step, kind, role, {**body, "prompt": prompt} if prompt else body)


def _hit(hit: Hit) -> list[Json]:
    parts = (hit.score, hit.recency, hit.importance, hit.relevance)
    return [hit.record.id, *(round(part, _DIGITS) for part in parts)]


def _call_body(ask: Call, answer: ToolResult) -> Json:
    said = answer.value if answer.ok else answer.error
    return {
        "tool": ask.tool,
        "arguments": json.dumps(ask.arguments, ensure_ascii=False),
        "ok": answer.ok,
        "value": said if isinstance(said, str) else json.dumps(said, ensure_ascii=False),
    }


def _prompt_indexes(ask: Ask, texts: TextTable) -> list[int]:
    """A number for every message: a persona's own message recurs in thousands of asks."""
    messages = ask.messages if isinstance(ask, Generate | Choose | Rate) else ()
    return [texts.add(_message_text(message)) for message in messages]


def _message_text(message: Message) -> str:
    return f"[{message.role}{f' {message.who}' if message.who else ''}]\n{message.text}"
