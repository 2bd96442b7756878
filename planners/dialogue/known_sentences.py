"""The sentences of persona and memory that bear on a line, by how well they fit it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ...core import Embed, Persona, Record, Thought, Utterance, Vectors, embed, sentences
from ...core.text import terms
from ..speech import is_question
from ..steps import MAX_MEMORY_CHARS
from ..text import excerpt, own_words, word_set
from .document_sentences import document_sentences
from .questions import Question, asked_question, fits_kind

ANSWERS_FIT = 0.75
"""Lowest fit of a sentence that answers a question. Of 47 questions to the five people of
Larkspur it separates those that their facts answer (.80 and more but for two) from the others."""
PASSAGE_FIT = 0.55
"""Lowest fit of a sentence of a document that is quoted to a question, whether it answers it or
not. Of 20 questions to a shop's handbook that it answers all have one, of 12 that it does not one
("Do you deliver to Spain?": the countries)."""
BEARS_FIT = 0.5
"""Lowest fit of a sentence that is remembered at a line."""
MAX_QUOTED = 3
"""Best sentences among which one is quoted."""
_KIND_GAIN = 0.15
_ASKER_GAIN = 0.3
_OF_ASKER = re.compile(r"\b(?:I|my|mine|me)\b", re.IGNORECASE)
_ABOUT_ASKER = re.compile(
    r"\bdo I (?:have|own|like|prefer)\b(?! to\b)|\bdid I\b|\bam I\b|\bmy name\b", re.IGNORECASE
)
_OF_SPEAKER = re.compile(r"\b(?:you|your|yours)\b", re.IGNORECASE)
_UNNAMED_LOSS = 0.25  # the question names somebody whom the sentence does not
_TOLD_LOSS = 0.3  # most that a sentence may fit worse than one that was told already
_HABIT_LOSS = 0.1  # of the daily routine in prose: a fact of this day comes first
_MAX_SENTENCES = 60
_MAX_LINE_CHARS = 600  # of a line that is embedded
_NAME = re.compile(r"(?<![.!?] )(?<!^)\b[A-ZÀ-Þ]\w+")
_BACKWARD = re.compile(r"^(?:It|He|She|They|This|That|These|There|Then|So|But|And)\b")
_BACK_WORDS = re.compile(r"\b(?:it|that|this|there|they|them|he|him|she|her)\b", re.IGNORECASE)
_DETAILS = ("when", "where", "count", "name", "whose")
_REFERS = re.compile(r"\b(?:it|there|they|them|he|him|she|her)\b", re.IGNORECASE)
_SAME_RECORD_GAIN = 0.6  # for a question that points back, of the rest of what was told
_COURTESY = re.compile(
    r"(?:hi|hello|hey|good \w+|morning|bye|goodbye|thanks?|see you)\b(?:\W+\w+){0,3}\W*$",
    re.IGNORECASE,
)
_MAX_ANSWER_CHARS = 160  # of a record that is told as a whole
YES_NO_SHARE = 0.7
"""Share of a yes-or-no question's words that its answer must have."""
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
_GET_UP = re.compile(r"\b(?:get|stand) up\b", re.IGNORECASE)  # as a lifestyle says it
_QUOTED = re.compile(r'[^"]+? said to [^"]+?: "(.*)"', re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownSentence:
    """A sentence in the first person, the record that it is from (None: the persona), and its
    ``fit`` to a line: cosine plus half of ``share``, the share of the line's words that it has,
    plus or minus what its kind adds; from about -0.5 to 1.7. ``context``: the headings above it
    in a document, its table row (``is_row``), or its record's keys, whose words count as its
    own."""

    text: str
    record: Record | None = None
    fit: float = 0.0
    share: float = 0.0
    context: str = ""
    is_row: bool = False

    @property
    def compared_text(self) -> str:
        """What the meaning of a line is compared with: a record's keys say what it is about."""
        keyed = self.record is not None and self.record.keys
        return f"{self.context}: {self.text}" if keyed else self.text

    @property
    def is_passage(self) -> bool:
        """Whether it is prose of a document."""
        return self.record is not None and self.record.kind == "document" and not self.is_row

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
    the question of the line, else with all of it. A short question that points back ("Who knows
    about it?") is read with what precedes it in the line; at the beginning of a line with the
    line before, and then what was told already does not answer it."""
    question = asked_question(line.text)
    about = (question.text if question else line.text)[:_MAX_LINE_CHARS]
    points_back = question is not None and _points_back(about)
    opening = line.text.partition(question.text)[0].strip() if question else ""
    if points_back and terms(opening):
        about, points_back = f"{opening[-_MAX_LINE_CHARS:]} {about}", False
    points_back = points_back and bool(earlier)
    if points_back:
        about = f"{earlier[-1].text[:_MAX_LINE_CHARS]} {about}"
    about = _GET_UP.sub(r"wake up", about)
    place = question is not None and question.kind == "where"
    known = _sentences_of(persona, records, about, line.who, place)
    if points_back and question:
        told = [said.text for said in earlier if said.who == persona.name]
        begun = {one.record.id for one, _ in known if one.record and _is_told(one.text, told[-1:])}
        known = [
            (one, loss - _SAME_RECORD_GAIN if one.record and one.record.id in begun else loss)
            for one, loss in known
            if question.kind in _DETAILS or not _is_told(one.text, told)
        ]
    if not known:
        return ()
    answer = yield from embed(Embed(texts=(about, *(one.compared_text for one, _ in known))))
    cosines = [0.0] * len(known)
    if isinstance(answer, Vectors):
        rows = answer.array()
        cosines = [float(value) for value in rows[1:] @ rows[0]]
    fitted = []
    for (sentence, loss), cosine in zip(known, cosines, strict=True):
        share = _word_share(f"{sentence.text} {sentence.context}", about)
        gain = _kind_gain(sentence, about, question)
        if question:
            gain += _asker_gain(sentence, question.text, line.who)
        fitted.append(replace(sentence, fit=cosine + 0.5 * share + gain - loss, share=share))
    return tuple(sorted(fitted, key=lambda sentence: -sentence.fit))


def bears_on(sentence: KnownSentence) -> bool:
    """Whether a sentence is worth remembering at a line; a short quotation ("Good day!") is not."""
    quoted = _QUOTED.fullmatch(sentence.text)
    light = quoted is not None and _COURTESY.match(quoted[1]) is not None
    return sentence.fit >= BEARS_FIT and not light


def known_answer(
    persona: Persona,
    fitted: Sequence[KnownSentence],
    question: Question | None,
    told: Sequence[str] = (),
    other: str = "",
) -> tuple[KnownSentence, ...]:
    """What answers a question, of its fitted sentences: the best one that was not ``told``, with
    the rest of its record if it needs that; else a sentence of a document that is near enough to
    be quoted. Empty if none fits well enough."""
    if question is None or question.kind == "talk":
        return ()
    if question.topic:
        told = _topic_sentences(persona, question.topic)
        if told:
            return tuple(KnownSentence(text=part, fit=ANSWERS_FIT) for part in told)
    good = [
        one
        for one in fitted
        if one.fit >= ANSWERS_FIT
        and (question.kind == "who" or fits_kind(one.text, question.kind) is not False)
    ]
    if question.kind == "yes_no":
        good = [one for one in good if one.share >= YES_NO_SHARE]
    if not good:
        quoted = (one for one in fitted[:MAX_QUOTED] if one.is_passage and one.fit >= PASSAGE_FIT)
        return tuple(quoted)[:1]
    # What was told a moment ago is told again only if nothing else answers.
    # A detail may be asked for of what was told.
    known = () if question.kind in _DETAILS else told
    fresh = [one for one in good if not _is_told(one.text, known)]
    best = next((one for one in fresh if one.fit >= good[0].fit - _TOLD_LOSS), good[0])
    if best in fresh or not question.text.lower().startswith("why"):
        return (replace(best, text=_with_context(best, question, persona.name, other)),)
    # The reason is the later part of what was told.
    return (replace(best, text=[best.text, *_clauses(best.text)][-1]),)


def _with_context(best: KnownSentence, question: Question, name: str, other: str) -> str:
    """A sentence with the rest of its record, if that is short and the sentence needs it."""
    if best.record is None or best.is_quotation or best.record.kind == "document":
        return best.text
    whole = own_words(" ".join(best.record.text.split()), name, other)
    asked, here = content_stems(question.text), content_stems(best.text)
    # "I have a secret." tells nothing new; "I wonder what he hides there." points back; and
    # another sentence may have what is asked for.
    needs = here <= asked and question.kind != "yes_no"
    needs = needs or asked & here < asked & content_stems(whole)
    needs = needs or (not whole.startswith(best.text) and _REFERS.search(best.text) is not None)
    return whole if needs and len(whole) <= _MAX_ANSWER_CHARS else best.text


def _topic_sentences(persona: Persona, topic: str) -> tuple[str, ...]:
    """What answers a question about oneself."""
    if topic == "name":
        return (f"I am {persona.name}.",)
    if topic == "day":
        return persona_sentences(persona.daily, persona.name)[:2]
    return persona_sentences(persona.background, persona.name)[:1]


def _is_told(text: str, lines: Sequence[str]) -> bool:
    """Whether one of the lines tells a sentence: it has most of its content words."""
    own = content_stems(text)
    return any(len(own & content_stems(line)) > 0.7 * len(own) for line in lines)


def _points_back(question: str) -> bool:
    """Whether a question is understood only with the line before."""
    count = len(terms(question))
    return count < 1 or (count < 2 and _BACK_WORDS.search(question) is not None)


def content_stems(text: str) -> set[str]:
    """The stems of a text's content words, irregular verb forms as their base form.

    >>> sorted(content_stems("He found the old bell."))
    ['bell', 'find', 'old']
    """
    return {_BASE_FORMS.get(stem, stem) for stem in terms(text)}


def _word_share(text: str, about: str) -> float:
    asked = content_stems(about)
    return len(asked & content_stems(text)) / max(1, len(asked))


def _asker_gain(sentence: KnownSentence, about: str, other: str) -> float:
    """What a question about its asker ("Which tent do I have?") adds: the asker's own words count
    more; what a document says of any tent, or the speaker said about this one, less."""
    if not _OF_ASKER.search(about) or sentence.record is None:
        return 0.0
    if sentence.is_quotation:
        quoted = _QUOTED.fullmatch(sentence.text)
        words = quoted[1] if quoted else ""
        own = sentence.record.who == other and _OF_ASKER.search(words) is not None
        return _ASKER_GAIN if own else 0.0 if _OF_SPEAKER.search(about) else -_ASKER_GAIN
    if sentence.record.kind != "document":
        return 0.0
    of_asker = _ABOUT_ASKER.search(about) is not None
    return -_ASKER_GAIN * (sentence.is_row + 2 * of_asker)


def _kind_gain(sentence: KnownSentence, about: str, question: Question | None) -> float:
    gain = 0.0
    named = {name.lower() for name in _NAME.findall(about)}
    text = f"{sentence.text} {sentence.context}".lower()
    if named and not named & set(re.findall(r"\w+", text)):
        gain -= _UNNAMED_LOSS
    fits = fits_kind(sentence.text, question.kind) if question else None
    if fits is not None:
        gain += _KIND_GAIN if fits else -_KIND_GAIN
    return gain


def _sentences_of(
    persona: Persona, records: Sequence[Record], about: str, other: str, place: bool
) -> list[tuple[KnownSentence, float]]:
    """Sentences with what is taken off their fit; those of records first, none twice. ``other``
    is the one who is told them; ``place``: with those about the places that the persona knows."""
    known: dict[str, tuple[KnownSentence, float]] = {}
    for record in records:
        quoted = _QUOTED.fullmatch(record.text)
        if record.kind == "document":
            for text, context, is_row in document_sentences(record.text):
                if len(known) < _MAX_SENTENCES and not is_question(text):
                    sentence = KnownSentence(
                        text=text, record=record, context=context, is_row=is_row
                    )
                    known.setdefault(text, (sentence, 0.0))
            continue
        for part in _record_sentences(record, about, persona.name, other):
            clauses = [] if quoted else _clauses(part.strip())
            for text in (part.strip(), *clauses):
                if len(known) < _MAX_SENTENCES and text.strip(" …"):
                    one = KnownSentence(text=text, record=record, context=", ".join(record.keys))
                    known.setdefault(text, (one, 0.0))
    world = persona.home.partition(":")[0]
    for text, loss in (
        (f"{persona.name} is {persona.age} years old.", 0.0),
        (f"{persona.name} lives in {world}." if world else "", 0.0),
        (persona.background, 0.0),
        (persona.currently, 0.0),
        (persona.lifestyle, _HABIT_LOSS),
        (persona.daily, _HABIT_LOSS),
        (_place_sentences(persona) if place else "", 2 * _HABIT_LOSS),
    ):
        for part in persona_sentences(text, persona.name, other):
            for clause in _habits(part) if text == persona.lifestyle else [part]:
                known.setdefault(clause, (KnownSentence(text=clause), loss))
    return list(known.values())


def _habits(sentence: str) -> list[str]:
    """The clauses of a sentence about habits.

    >>> _habits("I wake up around 7am, go to bed at 10pm, and eat lunch at noon.")
    ['I wake up around 7am.', 'I go to bed at 10pm.', 'I eat lunch at noon.']
    """
    parts = re.split(r",? and (?=\w+ )|, (?=\w+ )", sentence.removesuffix("."))
    if not sentence.startswith("I ") or len(parts) < 2 or len(terms(parts[0])) < 2:
        return [sentence]
    return [f"{parts[0]}.", *(f"I {part}." for part in parts[1:])]


def _place_sentences(persona: Persona) -> str:
    """Where the places are that a persona knows, as far as their addresses tell."""
    pairs = [address.split(":")[:2] for address in persona.knows if ":" in address]
    names = [(place if place[:1].isupper() else f"the {place}", area) for area, place in pairs]
    return " ".join(f"{name[0].upper()}{name[1:]} is in {area}." for name, area in names)


def _record_sentences(record: Record, about: str, name: str, other: str) -> list[str]:
    """The sentences of an excerpt of a record; of a long utterance each as a quotation. What
    somebody asked is no knowledge: questions are left out."""
    quoted = _QUOTED.fullmatch(record.text)
    if quoted is None:
        text = excerpt(record.text, about, MAX_MEMORY_CHARS)
        return _linked_sentences(own_words(text, name, other))
    start = own_words(record.text[: quoted.start(1)] + '"', name)[:-1]
    words = quoted[1]
    if "?" in words or is_question(words):
        told = [part for part in sentences(words) if not is_question(part)]
        if not any(terms(part) for part in told):
            return []
        words = " ".join(part.strip() for part in told)
    if len(words) <= _MAX_ANSWER_CHARS:
        return [f'{start}{words}"']
    parts = sentences(excerpt(words, about, MAX_MEMORY_CHARS))
    return [f'{start}{part}"' for part in parts if part.strip(" …")]


def persona_sentences(text: str, name: str, other: str = "") -> tuple[str, ...]:
    """The sentences of a text of a persona, in the first person, as ``other`` is told them; one
    that points back ("It is old.") together with the one before.

    >>> persona_sentences("Bo Li bakes. He sings. Bo Li has a mill. It is old.", "Bo Li")
    ('I bake.', 'I sing.', 'I have a mill. It is old.')
    """
    return tuple(_linked_sentences(own_words(" ".join(text.split()), name, other)))


def _linked_sentences(text: str) -> list[str]:
    parts: list[str] = []
    for sentence in sentences(text):
        if parts and _BACKWARD.match(sentence):
            parts[-1] += f" {sentence}"
        else:
            parts.append(sentence)
    return parts


def _clauses(sentence: str) -> list[str]:
    """The parts of a sentence that say something by themselves.

    >>> _clauses("My oven is cracked and I cannot pay for a new one.")
    ['My oven is cracked.', 'I cannot pay for a new one.']
    """
    first, _, second = sentence.partition(" and I ")
    if not second or len(first.split()) < 3 or sentence.count(" and I ") > 1:
        return []
    return [f"{first.rstrip(',')}.", f"I {second}"]
