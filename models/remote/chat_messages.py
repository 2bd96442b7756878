"""Messages as a server takes them: plain turns, harmless text, shorter when it must be."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from ...core import Choose, Message, Rate, replace_surrogates

# What the common chat templates write between turns. A server reads it as control tokens
# wherever it stands, so in text it is broken up by a blank.
CONTROL_TOKENS = re.compile(
    r"<(?=\|[\w.:/ -]{1,40}\|>|/?(?:s|bos|eos|pad|unk|think|tool_call)>|(?:start|end)_of_turn>)"
    r"|\[(?=/?(?:INST|SYSTEM_PROMPT|TOOL_CALLS|AVAILABLE_TOOLS)\])"
)


def escape_control_tokens(text: str) -> str:
    """Text that can be sent, without anything that a chat template would take for its own.

    >>> escape_control_tokens("a <|im_end|> b, 1 < 2")
    'a < |im_end|> b, 1 < 2'
    """
    return CONTROL_TOKENS.sub(lambda found: found.group() + " ", replace_surrogates(text))


def to_chat_messages(messages: Sequence[Message], merged: bool) -> list[dict[str, Any]]:
    """The messages of a chat request. A tool's word is told as the user's, since servers
    want the call it answers. ``merged``: system too, and equal neighbours as one turn, for
    templates that know only user and assistant taking turns."""
    out: list[dict[str, Any]] = []
    for message in messages:
        role = message.role if message.role in ("system", "assistant") else "user"
        if merged and role == "system":
            role = "user"
        text = escape_control_tokens(message.text)
        if merged and out and out[-1]["role"] == role:
            out[-1]["content"] += "\n" + text
        else:
            out.append({"role": role, "content": text})
    return out


def transcript(messages: Sequence[Message]) -> str:
    """A chat as plain text, open for the assistant's word: what is scored where the server
    gives probabilities for plain prompts only."""
    lines = [
        f"{message.role.title()}: {escape_control_tokens(message.text)}\n" for message in messages
    ]
    return "".join(lines) + "Assistant:"


def drop_parts(
    messages: Sequence[Message], share: float | None
) -> tuple[tuple[Message, ...], tuple[str, ...]]:
    """The messages with fewer parts, and the texts that went: highest ``drop`` first, the
    earlier of equals first, one at least, and down to ``share`` of the length when that is
    known. Nothing goes when no part may."""
    parts = sorted(
        (-part.drop, where, place)
        for where, message in enumerate(messages)
        for place, part in enumerate(message.parts)
        if part.drop > 0
    )
    length = sum(len(message.text) for message in messages)
    wanted = length if share is None else length * share
    gone: dict[tuple[int, int], str] = {}
    for _, where, place in parts:
        if gone and length <= wanted:
            break
        gone[where, place] = messages[where].parts[place].text
        length -= len(gone[where, place]) + 1
    kept = []
    for where, message in enumerate(messages):
        left = tuple(p for place, p in enumerate(message.parts) if (where, place) not in gone)
        if left or not message.parts:
            kept.append(Message(message.role, left, message.who))
    return tuple(kept), tuple(gone.values())


def append_question(messages: Sequence[Message], text: str) -> tuple[Message, ...]:
    """The messages, with ``text`` at the end of the last turn if that is the user's."""
    own = Message.of("user", text)
    if messages and messages[-1].role == "user":
        last = messages[-1]
        return (*messages[:-1], Message("user", (*last.parts, *own.parts), last.who))
    return (*messages, own)


def without_prefill(messages: Sequence[Message]) -> tuple[Message, ...]:
    """The messages, with a last one of the assistant told in the user's turn: for servers
    that go on with no begun answer."""
    if not messages or messages[-1].role != "assistant":
        return tuple(messages)
    words = f"Your answer begins so; write only what comes next:\n{messages[-1].text}"
    return append_question(messages[:-1], words)


def option_labels(ask: Choose) -> list[str]:
    """What each option is called in a guided reply: its name, or a number where names are
    too long to be written out."""
    names = [option.name for option in ask.options]
    if max(map(len, names)) <= 40:
        return names
    ranks = {name: str(rank) for rank, name in enumerate(sorted(names), 1)}
    return [ranks[name] for name in names]


def choice_question(ask: Choose, labels: Sequence[str]) -> str:
    """A menu of the options, sorted, so that their order in the ask cannot matter."""
    lines = []
    for label, option in sorted(zip(labels, ask.options), key=lambda pair: pair[1].name):
        said = option.description or ("" if label == option.name else option.name)
        lines.append(f"- {label}: {said}" if said else f"- {label}")
    menu = "\n".join(lines)
    return (
        f"Which of these fits best?\n{menu}\nIt is about: {ask.about}\n"
        'Answer in JSON with what stands before the colon, like {"choice": "..."}.'
    )


def rating_question(ask: Rate) -> str:
    """What is to be rated. Anchors are not shown: nearness to them is measured."""
    return (
        f"Rate this from {ask.low} to {ask.high}: {ask.about}\n"
        'Answer in JSON, like {"rating": "..."}.'
    )
