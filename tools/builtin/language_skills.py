"""Sentences, words and likeness of texts: what the language skills check their work by.

Skills of language on the mind's own model: summarise, translate, tone, fields, answers.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

from ...core import (
    Completion,
    Embed,
    Failed,
    Generate,
    Hit,
    Json,
    Message,
    Part,
    Rate,
    Recall,
    Thought,
    Vectors,
    all_of,
    embed,
    generate,
    rate,
    recall,
)
from ..declaration import ToolContext, skill
from .memory_tools import search_cue
from .sentiment_anchors import SENTIMENT_ANCHORS

_END = re.compile(r"(?<=[.!?…])[\"'”’)]*\s+(?=[\"'“‘(]*[A-ZÀ-ÞΑ-ΩА-Я0-9])|\n\s*\n|(?<=[。！？])")


def sentences(text: str) -> list[str]:
    """The sentences of a text, as far as full stops and blank lines tell.

    >>> sentences("It rained. We stayed in.\\n\\nLater it cleared")
    ['It rained.', 'We stayed in.', 'Later it cleared']
    """
    return [found for part in _END.split(text) if part and (found := " ".join(part.split()))]


def words(text: str) -> list[str]:
    """The words and numbers of a text, small."""
    return re.findall(r"[^\W_]+", text.casefold())


def truncate_words(text: str, most: int) -> str:
    """A text of at most so many words: whole sentences where one fits, else cut and marked."""
    kept: list[str] = []
    used = 0
    for sentence in sentences(text):
        size = len(sentence.split())
        if used + size > most:
            break
        kept.append(sentence)
        used += size
    if kept:
        return " ".join(kept)
    return " ".join(text.split()[:most]).rstrip(",;:") + "…"


def ungrounded_terms(text: str, source: str) -> list[str]:
    """The numbers and names in a text that its source does not have.

    >>> ungrounded_terms("In Leeds 40 people met Ada.", "40 people met in Leeds.")
    ['Ada']
    """
    known = set(words(source))
    found = []
    for sentence in sentences(text):
        for place, word in enumerate(re.findall(r"[^\W_]+", sentence)):
            named = word[0].isupper() and place > 0
            if (named or word[0].isdigit()) and word.casefold() not in known and word != "I":
                found.append(word)
    return found


def text_similarity(text: str, others: Sequence[str]) -> Thought[list[float]]:
    """Cosine of a text with each of the others, by the mind's own embedder. Raises ValueError
    where there is none."""
    found = yield from embed(Embed(texts=(text, *others)))
    if isinstance(found, Failed):
        raise ValueError(f"texts cannot be compared: {found.detail}")
    assert isinstance(found, Vectors)
    rows = found.array()
    return [float(value) for value in rows[1:] @ rows[0]]


FieldKind = Literal["text", "number", "yes_no"]

MAX_TEXT_CHARS = 24_000
"""The most characters of a text that a skill takes."""
_PIECE = 3_000
# A translation may be longer than its text, and must end within the most tokens.
_TRANSLATED = 1_000
# In "5-7 days" and "room A-12" the line is no minus.
_NUMBERS = re.compile(r"(?<!\w)-\d+(?:\.\d+)?|\d+(?:\.\d+)?")
# What is further from its text, in meaning or in words, most likely says something else.
_FAITHFUL = 0.6
# Below it the memory most likely does not hold the answer: see Memory.held.
_HELD = 0.5


@skill
def summarise(text: str, max_words: int = 40) -> Thought[Json]:
    """Summarise a text in at most so many words.

    Args:
        text: what to summarise
        max_words: the most words of the summary
    """
    _checked(text)
    if not 5 <= max_words <= 400:
        raise ValueError(f"max_words must lie between 5 and 400, not {max_words}")
    whole = text
    pieces = _pieces(text)
    if len(pieces) > 1:
        share = max(max_words, 60)
        parts = yield from all_of([_summary(piece, share) for piece in pieces])
        whole = "\n".join(said for said, _ in parts)
    said, how = yield from _summary(whole, max_words)
    return {"summary": said, "words": len(said.split()), "made": how}


def _summary(text: str, most: int) -> Thought[tuple[str, str]]:
    """The model's own words where they keep to the text, else the sentences that say most."""
    if len(text.split()) <= most:
        return " ".join(text.split()), "whole"
    said = yield from _say(
        "You summarise texts faithfully. You add nothing that the text does not say.",
        f"{text}\n\nSummarise this text in one or two sentences, at most {most} words.",
        most * 2 + 8,
    )
    own = truncate_words(said, most) if said else ""
    if own and not ungrounded_terms(own, text) and not own.endswith("…"):
        like = yield from text_similarity(own, [text])
        if like[0] >= _FAITHFUL and _overlap(own, text) >= _FAITHFUL:
            return own, "written"
    taken = yield from _taken(text, most)
    return taken, "taken"


def _taken(text: str, most: int) -> Thought[str]:
    """The sentences nearest to the whole, in their order, as many as fit."""
    found = [one for one in sentences(text) if len(one.split()) <= most][:200]
    if not found:
        return truncate_words(text, most)
    near = yield from text_similarity(text, found)
    chosen: list[int] = []
    used = 0
    for place in sorted(range(len(found)), key=lambda place: -near[place]):
        size = len(found[place].split())
        fresh = all(_overlap(found[place], found[other]) < 0.6 for other in chosen)
        if used + size <= most and fresh:
            chosen.append(place)
            used += size
    return " ".join(found[place] for place in sorted(chosen))


@skill
def translate(text: str, to: str, source: str = "") -> Thought[Json]:
    """Translate a text into another language. Small models do it badly.

    Args:
        text: what to translate
        to: the language wanted, for example "French"
        source: the language it is in; empty if that is not known
    """
    _checked(text)
    wanted = _language(to)
    given = f" from {_language(source)}" if source else ""
    order = f"Translate the text{given} into {wanted}. Answer with the translation alone."
    pieces = _pieces(text, _TRANSLATED)
    done = yield from all_of([_written(order, piece, len(piece) + 16) for piece in pieces])
    said = "\n".join(part for part, _ in done).strip()
    if not said:
        raise ValueError("the model gave no translation")
    same = _overlap(said, text) > 0.8 and len(words(text)) > 3
    cut = any(cut for _, cut in done)
    return {"text": said, "language": wanted, "unchanged": same, "cut": cut}


@skill
def sentiment(text: str) -> Thought[Json]:
    """Tell whether a text sounds positive, negative or neutral, with probabilities.

    Args:
        text: a sentence or a few
    """
    _checked(text)
    parts = sentences(text)[:50] or [text]
    answers = yield from all_of([_tone(part) for part in parts])
    sizes = [len(part.split()) or 1 for part in parts]
    total = sum(sizes)
    low, middle, high = (
        sum(answer[place] * size for answer, size in zip(answers, sizes)) / total
        for place in range(3)
    )
    shares = {"positive": high, "neutral": middle, "negative": low}
    best = max(shares, key=lambda name: shares[name])
    return {"sentiment": best, "probabilities": {name: round(p, 3) for name, p in shares.items()}}


def _tone(text: str) -> Thought[tuple[float, ...]]:
    told = f'How does this text sound, from 1 (negative) over 2 (neutral) to 3 (positive)? "{text}"'
    found = yield from rate(
        Rate(
            messages=(Message.of("user", told),),
            about=text,
            anchors=SENTIMENT_ANCHORS,
            low=1,
            high=3,
            role="sentiment",
        )
    )
    if isinstance(found, Failed):
        raise ValueError(f"the tone cannot be told: {found.detail}")
    return found.probabilities


@skill
def extract_fields(text: str, fields: dict[str, FieldKind]) -> Thought[Json]:
    """Read named fields out of a text; one that the text does not tell is null.

    Args:
        text: what to read
        fields: each field's name, for example "departure city", with its kind: "text",
            "number" or "yes_no"
    """
    _checked(text)
    if not 1 <= len(fields) <= 20:
        raise ValueError(f"name 1 to 20 fields, not {len(fields)}")
    # One field at a time, side by side: a small model copies what stands next in a long form.
    found = yield from all_of([_field(text, name, kind) for name, kind in fields.items()])
    return dict(zip(fields, found))


_TYPES: dict[FieldKind, Json] = {
    "text": {"anyOf": [{"type": "string", "maxLength": 120}, {"type": "null"}]},
    "number": {"anyOf": [{"type": "number"}, {"type": "null"}]},
    "yes_no": {"anyOf": [{"type": "boolean"}, {"type": "null"}]},
}


def _field(text: str, name: str, kind: FieldKind) -> Thought[Json]:
    said = yield from generate(
        Generate(
            messages=(
                Message.of("system", "You read facts out of a text, word for word."),
                Message("user", (Part(text, 1), Part(f"What is the {name}? Copy it as JSON."))),
            ),
            max_tokens=64,
            temperature=0.0,
            schema={
                "type": "object",
                "properties": {name: _TYPES[kind]},
                "required": [name],
                "additionalProperties": False,
            },
            role="arguments",
        )
    )
    if isinstance(said, Failed):
        raise ValueError(f"the field '{name}' cannot be read: {said.detail}")
    value = said.data[name]
    return value if _stands_in(value, text) else None


def _stands_in(value: Json, text: str) -> bool:
    """Whether the text holds what was read out of it, so that nothing is made up."""
    if isinstance(value, str):
        # Whole words: "art" does not stand in "party".
        return f" {' '.join(words(value))} " in f" {' '.join(words(text))} " and bool(words(value))
    if isinstance(value, bool) or value is None:
        return True
    plain = re.sub(r"(?<=\d),(?=\d{3}\b)", "", text)
    return any(float(one) == float(value) for one in _NUMBERS.findall(plain))


@skill(effect="reads")
def answer_from_documents(context: ToolContext, question: str) -> Thought[Json]:
    """Answer a question from the documents that were read, with the places it is from.

    Args:
        question: what is asked
    """
    found = yield from recall(Recall(cue=search_cue(context, question, 5, ("document",))))
    if isinstance(found, Failed):
        raise ValueError(f"the documents cannot be searched: {found.detail}")
    unknown = found.held is not None and found.held < _HELD
    if unknown or not found.hits:
        return {"answer": None, "quote": None, "sources": [], "held": found.held}
    quote, place = yield from _quoted(question, found.hits)
    record = found.hits[place].record
    said = yield from _say(
        "You answer from the passage alone, in one short sentence.",
        f"{record.text}\n\nQuestion: {question}",
        48,
    )
    own = truncate_words(said, 40) if said else ""
    faithful = bool(own) and not ungrounded_terms(own, f"{record.text} {question}")
    others = [hit.record for hit in found.hits[:3] if hit.record is not record]
    return {
        "answer": own if faithful else quote,
        "quote": quote,
        "sources": [{"document": one.episode, "place": one.source} for one in (record, *others)],
        "held": found.held,
    }


def _quoted(question: str, hits: Sequence[Hit]) -> Thought[tuple[str, int]]:
    """The sentence that bears most on a question, and the place of its hit."""
    parts = [
        (one, place) for place, hit in enumerate(hits) for one in sentences(hit.record.text)[:20]
    ]
    near = yield from text_similarity(question, [one for one, _ in parts])
    # What was found first is the likelier place.
    best = max(range(len(parts)), key=lambda at: near[at] - 0.03 * parts[at][1])
    return parts[best]


def _say(order: str, text: str, most: int) -> Thought[str]:
    """What the model says to a text under an order; empty where it fails."""
    said, _ = yield from _written(order, text, most)
    return said


def _written(order: str, text: str, most: int) -> Thought[tuple[str, bool]]:
    """What the model says, and whether that was cut off at the most tokens (or is missing)."""
    said = yield from generate(
        Generate(
            messages=(Message.of("system", order), Message("user", (Part(text),))),
            max_tokens=min(most, 512),
            temperature=0.0,
            role="skill",
        )
    )
    if not isinstance(said, Completion):
        return "", True
    return said.text.strip(), said.stopped == "limit"


def _checked(text: str) -> None:
    if not text.strip():
        raise ValueError("the text is empty")
    if len(text) > MAX_TEXT_CHARS:
        raise ValueError(
            f"the text has {len(text)} characters, more than {MAX_TEXT_CHARS}; split it up"
        )


def _language(name: str) -> str:
    named = " ".join(name.split())
    if not re.fullmatch(r"[^\W\d_][\w ()'-]{1,39}", named):
        raise ValueError(f"'{name[:40]}' is not the name of a language, for example French")
    return named


def _pieces(text: str, most: int = _PIECE) -> list[str]:
    """Parts of a text of about a window's half, at the ends of sentences."""
    if len(text) <= most:
        return [text]
    found = [""]
    for sentence in sentences(text):
        for start in range(0, len(sentence), most):
            part = sentence[start : start + most]
            if len(found[-1]) + len(part) > most:
                found.append("")
            found[-1] = f"{found[-1]} {part}".strip()
    return [one for one in found if one]


def _overlap(one: str, other: str) -> float:
    """The share of one text's words that stand in the other, in [0, 1]."""
    mine, theirs = set(words(one)), set(words(other))
    return len(mine & theirs) / len(mine) if mine else 0.0
