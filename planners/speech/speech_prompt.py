"""The prompt of speech: a conversation in the model's own chat form.

The system message says in the first person who speaks, where, and to whom. The others' lines are
user turns, the speaker's own are assistant turns. A note in square brackets, which nobody says,
ends the last user turn: what is remembered and what the speaker has in mind. So the beginning of
a conversation stays the same from line to line, and the engine reuses its cached prefix.
Training uses the same functions, so a trained voice knows this form.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ...core import Message, Part


@dataclass(frozen=True, slots=True, kw_only=True)
class Speaker:
    """What the system message says, all in the first person. ``facts`` are sentences about the
    speaker, ``scene`` says where and during what ("I am in the cafe, serving breakfast."),
    ``partner`` is with whom the speaker talks, ``known`` are sentences about the partner, and
    ``manner`` is an instruction how to talk."""

    name: str = ""
    facts: tuple[str, ...] = ()
    scene: str = ""
    partner: str = ""
    known: tuple[str, ...] = ()
    manner: str = ""


@dataclass(frozen=True, slots=True)
class SpokenLine:
    """A line of a conversation. ``own``: the speaker's. ``who``: the name to show before it, where
    more than two take part."""

    text: str
    own: bool
    who: str = ""


def speech_messages(
    speaker: Speaker,
    lines: Sequence[SpokenLine],
    *,
    memories: Sequence[str] = (),
    intent: str = "",
) -> tuple[Message, ...]:
    """The prompt for the speaker's next line.

    ``memories`` and ``intent`` are sentences in the first person, for the note. Of a prompt that
    exceeds the context window the engine drops memories first, the last one first, then the
    earliest lines.

    >>> messages = speech_messages(
    ...     Speaker(name="Bo Lind", facts=("I bake bread.",), partner="Ada Ek"),
    ...     [SpokenLine("Hello, Bo!", False)], intent="My oven is cracked.")
    >>> [(message.role, message.text) for message in messages]  # doctest: +NORMALIZE_WHITESPACE
    [('system', 'I am Bo Lind. I bake bread. I am talking with Ada Ek.'),
     ('user', 'Hello, Bo!\\n[I want to say: My oven is cracked.]')]
    """
    messages = [Message.of("system", speaker_text(speaker)), *_turns(speaker, lines)]
    note = [
        Part(f"[I remember: {text}]", len(lines) + 1 + index) for index, text in enumerate(memories)
    ]
    note += [Part(f"[I want to say: {intent}]")] if intent else []
    if messages[-1].role != "user":
        messages.append(Message("user", (*note, *(() if note else (Part("[I go on.]"),)))))
    elif note:
        messages[-1] = Message("user", (*messages[-1].parts, *note))
    return tuple(messages)


def learned_messages(speaker: Speaker, lines: Sequence[SpokenLine]) -> tuple[Message, ...]:
    """The prompt, after a conversation, for what the speaker has learned about the partner, in
    the third person: it continues the prompt of the lines, so that their prefix is reused."""
    partner = speaker.partner or "the other"
    messages = [Message.of("system", speaker_text(speaker)), *_turns(speaker, lines)]
    question = Part(f"[We part. What have I learned about {partner}?]")
    if messages[-1].role == "user":
        messages[-1] = Message("user", (*messages[-1].parts, question))
    else:
        messages.append(Message("user", (question,)))
    return tuple(messages)


def speaker_text(speaker: Speaker) -> str:
    """The system message of a speaker."""
    sentences = [
        f"I am {speaker.name}." if speaker.name else "",
        *speaker.facts,
        speaker.scene,
        f"I am talking with {speaker.partner}." if speaker.partner else "",
        *speaker.known,
        f"How I talk: {speaker.manner}" if speaker.manner else "",
    ]
    return " ".join(sentence for sentence in sentences if sentence)


def _turns(speaker: Speaker, lines: Sequence[SpokenLine]) -> list[Message]:
    """The lines as turns: those of one side in a row are one turn, and a user turn comes first,
    since not every chat template can begin with the assistant's."""
    turns: list[Message] = []
    if not lines or lines[0].own:
        turns.append(Message.of("user", f"[I meet {speaker.partner or 'somebody'}.]"))
    for index, line in enumerate(lines):
        role = "assistant" if line.own else "user"
        text = f"{line.who}: {line.text}" if line.who and not line.own else line.text
        # Oldest lines are dropped first.
        part = Part(text, len(lines) - index)
        if turns and turns[-1].role == role:
            turns[-1] = Message(turns[-1].role, (*turns[-1].parts, part))
        else:
            turns.append(Message(role, (part,)))  # type: ignore[arg-type]
    return turns
