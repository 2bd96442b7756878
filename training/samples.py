"""Training samples: prompts of speech with the speaker's true lines, and tasks made from the
same dialogues by code.

One sample is one dialogue from the view of one of its two people, in the form of
``planners.speech``. Each of that person's lines is a target. Where a line tells a fact of the
persona, the note before it may say so ("I want to say"), so the voice learns to tell what it is
given; other notes remember something that does not matter now. At the end of some samples the
speaker says what was learned about the other: the facts that the other's lines told, in the third
person.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass

from ..core import Message, Part
from ..planners.speech import Speaker, SpokenLine, learned_messages, speech_messages
from ..planners.text import to_third_person
from .dialogues import DialogueLine, PersonaDialogue
from .invented_people import invented_name, invented_scene
from .told_facts import FactMatcher

MAX_LINES = 24  # of one sample
_NAMES_ONESELF = re.compile(
    r"\b((?:[Mm]y name is|[Mm]y name's|[Cc]all me|I'm|I am|[Tt]his is)) ([A-Z][a-z]{2,})\b"
)
_NO_NAME = re.compile(
    r"(?:ican|ish|ese|ing|ist|(?<!^Br)(?<!^Jul)(?<!^Adr)(?<!^Viv)ian)$"
    r"|^(?:God|Mom|Dad|Not|Just|Also|Sorry|Glad|German|Korean|Jewish|Christian|Catholic)$"
)
_PLACEHOLDER = re.compile(r"\[?\b[Uu]ser ([12])\b(?:'s)?(?: name)?\]?|\[[Nn]ame\]")
_GREETING = re.compile(r"^(Hi|Hello|Hey)( there)?(?=[!,.])")


@dataclass(frozen=True, slots=True)
class Sample:
    """A chat and its targets: indices of the assistant's messages that the loss is of."""

    messages: tuple[Message, ...]
    targets: tuple[int, ...]


def plain_sample(dialogue: PersonaDialogue, side: int) -> Sample:
    """A dialogue as one person speaks it, without notes and names: what evaluation measures."""
    speaker = Speaker(facts=dialogue.facts[side])
    messages = speech_messages(speaker, _spoken(dialogue.lines, side))
    if messages[-1].role == "user":
        messages = messages[:-1]
    return _whole(messages)


def voice_samples(
    dialogues: Sequence[PersonaDialogue], matcher: FactMatcher, source: random.Random
) -> list[Sample]:
    """The samples of one epoch: each dialogue from both sides, in random order and with random
    names, scenes, notes and excerpts."""
    views = [
        (dialogue, side) for dialogue in dialogues for side in (0, 1) if dialogue.learned[side]
    ]
    source.shuffle(views)
    samples = [_voice_sample(dialogue, side, matcher, source) for dialogue, side in views]
    return [sample for sample in samples if sample.targets]


def _voice_sample(
    dialogue: PersonaDialogue, side: int, matcher: FactMatcher, source: random.Random
) -> Sample:
    names = _names(dialogue, source)
    named = source.random() < 0.85
    lines = _with_names(dialogue.lines, names, source, greeted=named)
    # A line with a name that the prompt does not have would teach to invent one.
    named = named or lines != dialogue.lines
    start = 0
    if len(lines) > MAX_LINES and source.random() < 0.5:
        start = source.randrange(len(lines) - MAX_LINES + 1)
    lines = lines[start : start + MAX_LINES]
    facts = dialogue.facts[side]
    told = {
        index: fact
        for index, line in enumerate(lines)
        if line.speaker == side and (fact := matcher.told(facts, line.text)) is not None
    }
    # A fact that is not in the system message must be taken from the note.
    withheld = {fact for fact in told.values() if source.random() < 0.4}
    speaker = Speaker(
        name=names[side] if named else "",
        facts=tuple(fact for index, fact in enumerate(facts) if index not in withheld),
        scene=invented_scene(source) if source.random() < 0.5 else "",
        partner=names[1 - side] if named else "",
    )
    notes = _notes(dialogue, side, lines, told, withheld, names, matcher, source)
    messages = _with_notes(speaker, lines, side, notes)
    sample = _whole(messages)
    if not named or source.random() < 0.5:
        return sample
    return _with_learned(sample, speaker, lines, side, dialogue.facts[1 - side], matcher, source)


def _notes(
    dialogue: PersonaDialogue,
    side: int,
    lines: Sequence[DialogueLine],
    told: dict[int, int],
    withheld: set[int],
    names: tuple[str, str],
    matcher: FactMatcher,
    source: random.Random,
) -> dict[int, tuple[str, ...]]:
    """The sentences of the note before each own line: those in mind and those remembered."""
    facts, others = dialogue.facts[side], dialogue.facts[1 - side]
    notes: dict[int, tuple[str, ...]] = {}
    for index, line in enumerate(lines):
        if line.speaker != side:
            continue
        note: list[str] = []
        asked = index > 0 and lines[index - 1].text.rstrip().endswith("?")
        if source.random() < 0.1 and facts:
            note.append(_memory(source.choice(facts)))
        if source.random() < 0.1 and others:
            heard = [
                fact
                for fact in others
                if any(
                    earlier.speaker != side and matcher.told([fact], earlier.text) is not None
                    for earlier in lines[:index]
                )
            ]
            if heard:
                note.append(_memory(to_third_person(source.choice(heard), names[1 - side])))
        if index in told:
            fact = facts[told[index]]
            # Asked for it, one remembers it; unasked, one wants to tell it.
            remembers = asked and source.random() < 0.5
            if told[index] in withheld or source.random() < 0.6:
                note = [n for n in note if fact not in n]
                note.append(_memory(fact) if remembers else f"[I want to say: {fact}]")
        if note:
            notes[index] = tuple(note)
    return notes


def _memory(fact: str) -> str:
    return f"[I remember: {fact}]"


def _with_notes(
    speaker: Speaker,
    lines: Sequence[DialogueLine],
    side: int,
    notes: dict[int, tuple[str, ...]],
) -> tuple[Message, ...]:
    """The prompt form, with a note at the end of the user turn before each line that has one."""
    messages: list[Message] = list(speech_messages(speaker, []))
    if lines and lines[0].speaker != side:
        messages.pop()
    for index, line in enumerate(lines):
        role = "assistant" if line.speaker == side else "user"
        if role == "assistant" and messages[-1].role == "user" and index in notes:
            parts = (*messages[-1].parts, *(Part(text) for text in notes[index]))
            messages[-1] = Message("user", parts)
        if messages[-1].role == role:
            messages[-1] = Message(messages[-1].role, (*messages[-1].parts, Part(line.text)))
        else:
            messages.append(Message(role, (Part(line.text),)))  # type: ignore[arg-type]
    if messages[-1].role == "user":
        messages.pop()
    return tuple(messages)


def _with_learned(
    sample: Sample,
    speaker: Speaker,
    lines: Sequence[DialogueLine],
    side: int,
    others: Sequence[str],
    matcher: FactMatcher,
    source: random.Random,
) -> Sample:
    """The sample with the question what was learned, and the answer."""
    said = learned_facts(lines, side, others, speaker.partner, matcher)
    if not said and source.random() < 0.6:
        return sample
    answer = " ".join(said) or nothing_learned(speaker.partner)
    question = learned_messages(speaker, [])[-1].parts[-1]
    messages = (
        *sample.messages,
        Message("user", (question,)),
        Message.of("assistant", answer),
    )
    return Sample(messages, (*sample.targets, len(messages) - 1))


def learned_facts(
    lines: Sequence[DialogueLine],
    side: int,
    others: Sequence[str],
    partner: str,
    matcher: FactMatcher,
) -> list[str]:
    """The partner's facts that the partner's lines tell, in the third person."""
    theirs = [line.text for line in lines if line.speaker != side]
    return [
        to_third_person(fact, partner)
        for fact in others
        if any(matcher.told([fact], text) is not None for text in theirs)
    ]


def nothing_learned(partner: str) -> str:
    """The answer where the partner told nothing."""
    return f"I have learned nothing new about {partner}."


def _whole(messages: Sequence[Message]) -> Sample:
    targets = [index for index, message in enumerate(messages) if message.role == "assistant"]
    return Sample(tuple(messages), tuple(targets))


def _spoken(lines: Sequence[DialogueLine], side: int) -> list[SpokenLine]:
    return [SpokenLine(line.text, line.speaker == side) for line in lines]


def _names(dialogue: PersonaDialogue, source: random.Random) -> tuple[str, str]:
    first = dialogue.names[0] or invented_name(source)
    second = dialogue.names[1] or invented_name(source)
    while not dialogue.names[1] and second.split()[0] == first.split()[0]:
        second = invented_name(source)
    return first, second


def _with_names(
    lines: Sequence[DialogueLine],
    names: tuple[str, str],
    source: random.Random,
    *,
    greeted: bool,
) -> tuple[DialogueLine, ...]:
    """The lines with the given names in place of those that the speakers call themselves, and,
    with ``greeted``, now and then in a greeting."""
    replaced: dict[str, str] = {}
    for line in lines[:6]:
        match = _NAMES_ONESELF.search(line.text)
        if match and not _NO_NAME.search(match[2]):
            replaced.setdefault(match[2], names[line.speaker].split()[0])
    renamed = []
    for index, line in enumerate(lines):
        text = _filled(line, names)
        if "[" in text:  # a stage direction or a form to fill in: nobody says that
            break
        for old, new in replaced.items():
            text = re.sub(rf"\b{old}\b", new, text)
        if greeted and index < 2 and source.random() < 0.5:
            other = names[1 - line.speaker].split()[0]
            text = _GREETING.sub(rf"\1, {other}", text, count=1)
        renamed.append(DialogueLine(line.speaker, text))
    return tuple(renamed)


def _filled(line: DialogueLine, names: tuple[str, str]) -> str:
    """The line with names in place of "User 1" and "[name]"."""

    def name(match: re.Match[str]) -> str:
        who = int(match[1]) - 1 if match[1] else line.speaker
        return names[who].split(" ")[0]

    return _PLACEHOLDER.sub(name, line.text)
