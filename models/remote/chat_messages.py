"""Messages and prompts in the form that servers accept: roles, escaped text, dropped parts."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from ...core import Choose, Message, Rate, drop_order, replace_surrogates, without_parts

# The control tokens of common chat templates. A server tokenizes them as such anywhere, so they are
# broken up by a blank in text.
CONTROL_TOKENS = re.compile(
    r"<(?=\|[\w.:/ -]{1,40}\|>|/?(?:s|bos|eos|pad|unk|think|tool_call)>|(?:start|end)_of_turn>)"
    r"|\[(?=/?(?:INST|SYSTEM_PROMPT|TOOL_CALLS|AVAILABLE_TOOLS)\])"
)


def escape_control_tokens(text: str) -> str:
    """Text without control tokens of chat templates and without lone surrogates.

    >>> escape_control_tokens("a <|im_end|> b, 1 < 2")
    'a < |im_end|> b, 1 < 2'
    """
    return CONTROL_TOKENS.sub(lambda match: match.group() + " ", replace_surrogates(text))


def to_chat_messages(messages: Sequence[Message], merged: bool) -> list[dict[str, Any]]:
    """The messages of a chat request.

    Messages of tools become the user's, since servers require the call that they answer. With
    ``merged`` the system's do too, and neighbours of one role are joined, for templates that
    require user and assistant to alternate.
    """
    chat: list[dict[str, Any]] = []
    for message in messages:
        role = message.role if message.role in ("system", "assistant") else "user"
        if merged and role == "system":
            role = "user"
        text = escape_control_tokens(message.text)
        if merged and chat and chat[-1]["role"] == role:
            chat[-1]["content"] += "\n" + text
        else:
            chat.append({"role": role, "content": text})
    return chat


def transcript(messages: Sequence[Message]) -> str:
    """A chat as plain text that ends before the assistant's reply, for scoring by servers that
    give log-probabilities of plain prompts only."""
    lines = [
        f"{message.role.title()}: {escape_control_tokens(message.text)}\n" for message in messages
    ]
    return "".join(lines) + "Assistant:"


def drop_parts(
    messages: Sequence[Message], share: float | None
) -> tuple[tuple[Message, ...], tuple[str, ...]]:
    """The messages without some of their parts, and the texts of the dropped parts.

    Parts with the highest ``drop`` go first, of equals the earlier ones: at least one, and as many
    as reduce the length to ``share`` where that is known. Parts with ``drop`` 0 stay.
    """
    length = sum(len(message.text) for message in messages)
    target = length if share is None else length * share
    dropped: dict[tuple[int, int], str] = {}
    for index, part_index in drop_order(messages):
        if dropped and length <= target:
            break
        dropped[index, part_index] = messages[index].parts[part_index].text
        length -= len(dropped[index, part_index]) + 1
    return without_parts(messages, dropped), tuple(dropped.values())


def append_question(messages: Sequence[Message], text: str) -> tuple[Message, ...]:
    """The messages with ``text`` appended, to the last message if that is the user's."""
    question = Message.of("user", text)
    if messages and messages[-1].role == "user":
        last = messages[-1]
        return (*messages[:-1], Message("user", (*last.parts, *question.parts), last.who))
    return (*messages, question)


def without_prefill(messages: Sequence[Message]) -> tuple[Message, ...]:
    """The messages with the assistant's prefill, if any, turned into a request of the user, for
    servers that cannot continue a prefill."""
    if not messages or messages[-1].role != "assistant":
        return tuple(messages)
    question = f"Your answer begins so; write only what comes next:\n{messages[-1].text}"
    return append_question(messages[:-1], question)


def option_labels(ask: Choose) -> list[str]:
    """The label of each option in a guided reply: its name, or a number where names are long."""
    names = [option.name for option in ask.options]
    if max(map(len, names)) <= 40:
        return names
    ranks = {name: str(rank) for rank, name in enumerate(sorted(names), 1)}
    return [ranks[name] for name in names]


def choice_question(ask: Choose, labels: Sequence[str]) -> str:
    """A question with all options, sorted by name, so that their order in the ask does not
    matter."""
    lines = []
    for label, option in sorted(zip(labels, ask.options), key=lambda pair: pair[1].name):
        description = option.description or ("" if label == option.name else option.name)
        lines.append(f"- {label}: {description}" if description else f"- {label}")
    menu = "\n".join(lines)
    return (
        f"Which of these fits best?\n{menu}\nIt is about: {ask.about}\n"
        'Answer in JSON with what stands before the colon, like {"choice": "..."}.'
    )


def rating_question(ask: Rate) -> str:
    """A question for a rating. Anchors are not shown: similarity to them counts separately."""
    return (
        f"Rate this from {ask.low} to {ask.high}: {ask.about}\n"
        'Answer in JSON, like {"rating": "..."}.'
    )
