"""The sentences of persona and memory that bear on a line, by how well they fit it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ...core import Embed, Persona, Record, Thought, Utterance, Vectors, embed, sentences
from ...core.text import terms
from ..steps import MAX_MEMORY_CHARS
from ..text import excerpt, own_words, word_set
from .questions import Question, asked_question, fits_kind

ANSWERS_FIT = 0.75
"""Lowest fit of a sentence that answers a question. Of 47 questions to the five people of
Larkspur it separates those that their facts answer (.80 and more but for two) from the others."""
BEARS_FIT = 0.5
"""Lowest fit of a sentence that is remembered at a line."""
_KIND_GAIN = 0.15
_UNNAMED_LOSS = 0.25  # the question names somebody whom the sentence does not
_HABIT_LOSS = 0.1  # of the daily routine in prose: a fact of this day comes first
_MAX_SENTENCES = 40
_MAX_LINE_CHARS = 600  # of a line that is embedded
_NAME = re.compile(r"(?<![.!?] )(?<!^)\b[A-ZÀ-Þ]\w+")
_BACKWARD = re.compile(r"^(?:It|He|She|They|This|That|These|There|Then|So|But|And)\b")
_MAX_ANSWER_CHARS = 160  # of a record that is told as a whole
_YES_NO_SHARE = 0.7  # of a yes-or-no question's words that its answer must have
# Irregular forms, which no stemmer knows.
_BASE_FORMS = dict(
    pair.split("=", 1)
    for pair in word_set(
        "found=find wrote=write written=write saw=see seen=see hid=hide hidden=hide broke=break "
        "broken=break gave=give given=give took=take taken=take told=tell thought=think knew=know "
        "known=know said=say came=come went=go gone=go made=make bought=buy brought=bring "
        "taught=teach built=build lost=lose met=meet kept=keep left=leav felt=feel heard=hear "
        "slept=sleep grew=grow sang=sing won=win stole=steal stolen=steal ate=eat eaten=eat "
        "got=get caught=catch spoke=speak spoken=speak chose=choos fell=fall sold=sell "
        "sent=send ran=run hung=hang learnt=learn"
    )
)
_QUOTED = re.compile(r'[^"]+? said to [^"]+?: "(.*)"', re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownSentence:
    """A sentence in the first person, the record that it is from (None: the persona), and its
    ``fit`` to a line: cosine plus half of ``share``, the share of the line's words that it has,
    plus or minus what its kind adds; from about -0.5 to 1.7."""

    text: str
    record: Record | None = None
    fit: float = 0.0
    share: float = 0.0

    @property
    def is_quotation(self) -> bool:
        """Whether it reports what somebody said."""
        return self.record is not None and _QUOTED.fullmatch(self.record.text) is not None


def fit_sentences(
    persona: Persona,
    records: Sequence[Record],
    line: Utterance,
    earlier: Sequence[Utterance] = (),
) -> Thought[tuple[KnownSentence, ...]]:
    """The sentences of the persona and of recalled records, best first. They are compared with
    the question of the line, else with all of it; a short question that points back ("And
    where?") is read with the line before."""
    question = asked_question(line.text)
    about = (question.text if question else line.text)[:_MAX_LINE_CHARS]
    if earlier and len(terms(about)) < 2:
        about = f"{earlier[-1].text[:_MAX_LINE_CHARS]} {about}"
    known = _sentences_of(persona, records, about)
    if not known:
        return ()
    answer = yield from embed(Embed(texts=(about, *(sentence.text for sentence, _ in known))))
    cosines = [0.0] * len(known)
    if isinstance(answer, Vectors):
        rows = answer.array()
        cosines = [float(value) for value in rows[1:] @ rows[0]]
    fitted = []
    for (sentence, loss), cosine in zip(known, cosines, strict=True):
        share = _word_share(sentence.text, about)
        gain = _kind_gain(sentence.text, about, question)
        fitted.append(replace(sentence, fit=cosine + 0.5 * share + gain - loss, share=share))
    return tuple(sorted(fitted, key=lambda sentence: -sentence.fit))


def known_answer(
    persona: Persona, fitted: Sequence[KnownSentence], question: Question | None
) -> tuple[KnownSentence, ...]:
    """What answers a question, of its fitted sentences: the best one with the rest of its record
    if that is short. Empty if none fits well enough."""
    if question is None or question.kind == "talk":
        return ()
    if question.topic:
        told = _topic_sentences(persona, question.topic)
        if told:
            return tuple(KnownSentence(text=part, fit=ANSWERS_FIT) for part in told)
    best = fitted[0] if fitted else KnownSentence(text="")
    if best.fit < ANSWERS_FIT or (question.kind == "yes_no" and best.share < _YES_NO_SHARE):
        return ()
    if best.record is None or best.is_quotation:
        return (best,)
    whole = own_words(" ".join(best.record.text.split()), persona.name)
    # "I have a secret." tells nothing new, and a later sentence may need the first one.
    needs_more = content_stems(best.text) <= content_stems(question.text)
    needs_more = needs_more or not whole.startswith(best.text)
    return (replace(best, text=whole) if needs_more and len(whole) <= _MAX_ANSWER_CHARS else best,)


def _topic_sentences(persona: Persona, topic: str) -> tuple[str, ...]:
    """What answers a question about oneself."""
    if topic == "name":
        return (f"I am {persona.name}.",)
    if topic == "day":
        return persona_sentences(persona.daily, persona.name)[:2]
    return persona_sentences(persona.background, persona.name)[:1]


def content_stems(text: str) -> set[str]:
    """The stems of a text's content words, irregular verb forms as their base form.

    >>> sorted(content_stems("He found the old bell."))
    ['bell', 'find', 'old']
    """
    return {_BASE_FORMS.get(stem, stem) for stem in terms(text)}


def _word_share(text: str, about: str) -> float:
    asked = content_stems(about)
    return len(asked & content_stems(text)) / max(1, len(asked))


def _kind_gain(text: str, about: str, question: Question | None) -> float:
    gain = 0.0
    named = {name.lower() for name in _NAME.findall(about)}
    if named and not named & set(re.findall(r"\w+", text.lower())):
        gain -= _UNNAMED_LOSS
    fits = fits_kind(text, question.kind) if question else None
    if fits is not None:
        gain += _KIND_GAIN if fits else -_KIND_GAIN
    return gain


def _sentences_of(
    persona: Persona, records: Sequence[Record], about: str
) -> list[tuple[KnownSentence, float]]:
    """Sentences with what is taken off their fit; those of records first, none twice."""
    known: dict[str, tuple[KnownSentence, float]] = {}
    for record in records:
        for part in _record_sentences(record, about, persona.name):
            if len(known) < _MAX_SENTENCES and part.strip(" …"):
                known.setdefault(part, (KnownSentence(text=part.strip(), record=record), 0.0))
    world = persona.home.partition(":")[0]
    for text, loss in (
        (f"{persona.name} is {persona.age} years old.", 0.0),
        (f"{persona.name} lives in {world}." if world else "", 0.0),
        (persona.background, 0.0),
        (persona.currently, 0.0),
        (persona.lifestyle, _HABIT_LOSS),
        (persona.daily, _HABIT_LOSS),
    ):
        for part in persona_sentences(text, persona.name):
            known.setdefault(part, (KnownSentence(text=part), loss))
    return list(known.values())


def _record_sentences(record: Record, about: str, name: str) -> list[str]:
    """The sentences of an excerpt of a record; of a long utterance each as a quotation."""
    quoted = _QUOTED.fullmatch(record.text)
    if quoted is None:
        return _linked_sentences(own_words(excerpt(record.text, about, MAX_MEMORY_CHARS), name))
    start = own_words(record.text[: quoted.start(1)] + '"', name)[:-1]
    if len(quoted[1]) <= _MAX_ANSWER_CHARS:
        return [f'{start}{quoted[1]}"']
    parts = sentences(excerpt(quoted[1], about, MAX_MEMORY_CHARS))
    return [f'{start}{part}"' for part in parts if part.strip(" …")]


def persona_sentences(text: str, name: str) -> tuple[str, ...]:
    """The sentences of a text of a persona, in the first person; one that points back ("It is
    old.") together with the one before.

    >>> persona_sentences("Bo Li bakes. He sings. Bo Li has a mill. It is old.", "Bo Li")
    ('I bake.', 'I sing.', 'I have a mill. It is old.')
    """
    return tuple(_linked_sentences(own_words(" ".join(text.split()), name)))


def _linked_sentences(text: str) -> list[str]:
    parts: list[str] = []
    for sentence in sentences(text):
        if parts and _BACKWARD.match(sentence):
            parts[-1] += f" {sentence}"
        else:
            parts.append(sentence)
    return parts
