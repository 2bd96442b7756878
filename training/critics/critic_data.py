"""What a critic of next lines learns from: places in conversations, each with its true next line
and with false ones of several kinds.

The kinds: a line of another talk (``other``); the line that in another talk follows a line much
like the one just heard (``same_question``); a line that tells a fact of the speaker, where the
prompt has the facts of somebody else (``contradiction``); a line of the partner of the same talk
(``partner``); a line that the speaker said before (``repeat``); a draft of a model
(``generated``).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ...core import (
    NEXT_LINE_ROLE,
    Choose,
    Completion,
    Generate,
    Message,
    Model,
    ModelError,
    Option,
    Part,
    answer_all,
)
from ...models.decisions import NOTE, HeardTalk, heard_talk
from ..dialogues import PersonaDialogue
from ..samples import Sample, voice_samples
from ..told_facts import FactMatcher

TRUE = "true"
GENERATED = "generated"
FALSE_KINDS = ("other", "same_question", "contradiction", "partner", "repeat", GENERATED)
NEAREST_QUESTIONS = 8  # lines like the one just heard, one of whose answers is taken
MEMO_QUESTION = "[We part."
DRAFT_TEMPERATURE = 0.8
MAX_DRAFT_TOKENS = 48

EmbedTexts = Callable[[Sequence[str]], NDArray[np.float32]]
"""From texts to vectors of length 1, shape (texts, d)."""


@dataclass(frozen=True, slots=True)
class LinePlace:
    """A place in a conversation: the prompt of speech there and the line that follows.
    ``dialogue`` is the number of the conversation it is from, ``facts`` what the speaker is."""

    messages: tuple[Message, ...]
    line: str
    dialogue: int
    facts: tuple[str, ...] = ()

    @property
    def talk(self) -> HeardTalk:
        return heard_talk(self.messages, "")


@dataclass(frozen=True, slots=True)
class JudgedDraft:
    """A line that may follow; ``kind`` is ``TRUE`` or one of ``FALSE_KINDS``."""

    text: str
    kind: str


@dataclass(frozen=True, slots=True)
class CriticItem:
    """A prompt of speech with lines that may follow it, whose texts differ."""

    messages: tuple[Message, ...]
    drafts: tuple[JudgedDraft, ...]
    dialogue: int

    def ask(self, voice: str) -> Choose:
        """The Choose that a critic answers."""
        options = tuple(Option(draft.text) for draft in self.drafts)
        about = heard_talk(self.messages, "").last or "the beginning"
        return Choose(
            messages=self.messages, options=options, about=about, role=NEXT_LINE_ROLE, voice=voice
        )

    def with_drafts(self, drafts: Iterable[JudgedDraft]) -> CriticItem:
        """The item with more drafts, without those whose text it has."""
        unique = {draft.text: draft for draft in reversed((*self.drafts, *drafts))}
        return replace(self, drafts=tuple(reversed(unique.values())))


def line_places(dialogues: Sequence[PersonaDialogue], rng: random.Random) -> list[LinePlace]:
    """Every line of both speakers, each dialogue once with random names, scenes and notes as a
    voice learns them. Notes stand before the last line only, as planners write them."""
    matcher = FactMatcher.of_dialogues(dialogues)
    places = []
    for number, dialogue in enumerate(dialogues):
        for sample in voice_samples([dialogue], matcher, rng):
            places += _places(sample, number, (*dialogue.facts[0], *dialogue.facts[1]))
    return places


def _places(sample: Sample, number: int, facts: Sequence[str]) -> list[LinePlace]:
    own = tuple(fact for fact in facts if fact in sample.messages[0].text)
    places = []
    for target in sample.targets:
        *before, last = sample.messages[:target]
        if MEMO_QUESTION not in last.text:
            messages = (*(_without_notes(message) for message in before), last)
            places.append(
                LinePlace(
                    tuple(message for message in messages if message.parts),
                    sample.messages[target].text,
                    number,
                    own,
                )
            )
    return places


def _without_notes(message: Message) -> Message:
    if message.role != "user":
        return message
    parts = [part for part in message.parts if not NOTE.match(part.text) or "meet" in part.text]
    return Message(message.role, tuple(parts))


class CriticData:
    """Makes items of places; all random choices come from ``rng``.

    ``embed`` gives the vectors by which lines like the one just heard are found.
    """

    def __init__(self, places: Sequence[LinePlace], embed: EmbedTexts, rng: random.Random) -> None:
        self._places = places
        self._rng = rng
        self._talks = [place.talk for place in places]
        self._answering = [i for i, talk in enumerate(self._talks) if talk.last]
        heard = [self._talks[i].last for i in self._answering]
        self._vectors = embed(heard)
        self._rows = {i: row for row, i in enumerate(self._answering)}
        facts = {fact for place in places for fact in place.facts}
        self._matcher = FactMatcher([*sorted(facts), *(place.line for place in places)])

    def items(self, places: Sequence[int], *, others: int = 4) -> list[CriticItem]:
        """Items of the places with the given indices; some give a second item, whose prompt has
        the facts of somebody else."""
        items = []
        for index in places:
            place = self._places[index]
            drafts = [JudgedDraft(place.line, TRUE)]
            drafts += [JudgedDraft(self._other(place), "other") for _ in range(others)]
            drafts += self._from_same_talk(index)
            if index in self._rows:
                drafts.append(JudgedDraft(self._same_question(index), "same_question"))
            item = CriticItem(place.messages, (), place.dialogue).with_drafts(drafts)
            items.append(item)
            contradiction = self._contradiction(place)
            if contradiction is not None:
                items.append(contradiction)
        return items

    def _other(self, place: LinePlace) -> str:
        while True:
            other = self._rng.choice(self._places)
            if other.dialogue != place.dialogue:
                return other.line

    def _same_question(self, index: int) -> str:
        """The answer to one of the lines of other talks that are most like the one just heard."""
        place = self._places[index]
        cosines = self._vectors @ self._vectors[self._rows[index]]
        nearest = np.argsort(-cosines, kind="stable")
        answers = [
            other.line
            for row in nearest[: 20 * NEAREST_QUESTIONS]
            if (other := self._places[self._answering[row]]).dialogue != place.dialogue
        ]
        chosen: str = self._rng.choice(answers[:NEAREST_QUESTIONS] or [self._other(place)])
        return chosen

    def _from_same_talk(self, index: int) -> list[JudgedDraft]:
        talk = self._talks[index]
        drafts = []
        theirs = [line for line in (*talk.partner[-2:], talk.last) if line]
        if theirs:
            drafts.append(JudgedDraft(self._rng.choice(theirs), "partner"))
        if talk.own:
            drafts.append(JudgedDraft(self._rng.choice(talk.own[-4:]), "repeat"))
        return drafts

    def _contradiction(self, place: LinePlace) -> CriticItem | None:
        """The place with the facts of somebody else, where its line tells a fact."""
        told = self._matcher.told(place.facts, place.line)
        if told is None:
            return None
        stranger = self._rng.choice(self._places)
        if stranger.dialogue == place.dialogue or not stranger.facts:
            return None
        system = place.messages[0].text
        for fact, other in zip(place.facts, (*stranger.facts, *[""] * len(place.facts))):
            system = system.replace(fact, other)
        messages = [Message.of("system", " ".join(system.split()))]
        for message in place.messages[1:]:
            parts = [part for part in message.parts if place.facts[told] not in part.text]
            messages.append(Message(message.role, tuple(parts) or (Part("[I go on.]"),)))
        draft = JudgedDraft(place.line, "contradiction")
        return CriticItem(tuple(messages), (draft,), place.dialogue)


def draft_ask(messages: tuple[Message, ...], voice: str, seed: int) -> Generate:
    """The ask for a draft of the next line by a voice."""
    return Generate(
        messages=messages,
        max_tokens=MAX_DRAFT_TOKENS,
        temperature=DRAFT_TEMPERATURE,
        seed=seed,
        role="line",
        voice=voice,
    )


def with_generated(
    model: Model, items: Sequence[CriticItem], voice: str, *, seed: int, count: int = 1
) -> list[CriticItem]:
    """The items, each with ``count`` drafts of a voice where they differ from its other lines.
    Raises ModelError where the model fails."""
    asks = [
        draft_ask(item.messages, voice, seed + 1000 * number + draft)
        for number, item in enumerate(items)
        for draft in range(count)
    ]
    answers = answer_all(model.client(), asks)
    drafted = []
    for number, item in enumerate(items):
        texts = []
        for answer in answers[number * count : (number + 1) * count]:
            if not isinstance(answer, Completion):
                raise ModelError(f"a draft could not be generated: {answer}")
            texts.append(" ".join(answer.text.split()))
        drafted.append(item.with_drafts(JudgedDraft(text, GENERATED) for text in texts if text))
    return drafted
