"""Dialogues from JSON Lines of chat messages, the format of fine-tuning files of OpenAI."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

from ...core import DataError, Json, read_text_file, replace_surrogates, sentences
from ..dialogues import DialogueLine, PersonaDialogue

_FORMAT = (
    'each line must be an object {"messages": [{"role": "system" | "user" | "assistant", '
    '"content": "..."}, ...]}'
)


def read_chat_lines(path: Path, left_out: Counter[str] | None = None) -> list[PersonaDialogue]:
    """The dialogues of a file with one JSON object a line: ``{"messages": [{"role", "content"},
    ...]}``.

    The lines of the assistant are learned, those of the user are only answered; the sentences of
    the system message become the facts of the assistant. A dialogue without a line of both sides
    is left out, and so is one with calls of tools; ``left_out`` counts them by reason. Raises
    DataError, which names the line that does not fit.
    """
    counts = Counter[str]() if left_out is None else left_out
    dialogues = []
    for number, line in enumerate(read_text_file(path, error=DataError).splitlines(), 1):
        if not line.strip():
            continue
        source = f"{path.name}, line {number}"
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise DataError(f"{path}, line {number}: is no JSON ({error}); {_FORMAT}") from error
        messages = row.get("messages") if isinstance(row, dict) else None
        if not isinstance(messages, list) or not messages:
            raise DataError(f"{path}, line {number}: has no list 'messages'; {_FORMAT}")
        if dialogue := _dialogue(messages, source, f"{path}, line {number}", counts):
            dialogues.append(dialogue)
    return dialogues


def _dialogue(
    messages: list[Json], source: str, where: str, left_out: Counter[str]
) -> PersonaDialogue | None:
    """A dialogue of messages; None if it is left out."""
    facts: list[str] = []
    lines: list[DialogueLine] = []
    for place, message in enumerate(messages, 1):
        role = message.get("role") if isinstance(message, dict) else None
        if role not in ("system", "developer", "user", "assistant", "tool", "function"):
            raise DataError(f"{where}, message {place}: its role is {role!r}; {_FORMAT}")
        if role in ("tool", "function") or message.get("tool_calls"):
            left_out["calls of tools, which are not speech"] += 1
            return None
        text = _content(message, f"{where}, message {place}")
        if role in ("system", "developer"):
            facts += sentences(" ".join(text.split()))
        elif text.strip():
            lines.append(DialogueLine(int(role == "user"), " ".join(text.split())))
    if {line.speaker for line in lines} != {0, 1}:
        left_out["only one side speaks"] += 1
        return None
    return PersonaDialogue(
        lines=tuple(lines), facts=(tuple(facts), ()), source=source, learned=(True, False)
    )


def _content(message: dict[str, Json], where: str) -> str:
    """The text of a message: a string, or the texts of a list of parts. Raises DataError."""
    content = message.get("content")
    if isinstance(content, list) and all(
        isinstance(part, dict) and isinstance(part.get("text"), str) for part in content
    ):
        content = " ".join(part["text"] for part in content)
    if not isinstance(content, str):
        raise DataError(f"{where}: its content is no text; {_FORMAT}")
    return replace_surrogates(content)
