"""Language skills on the agent's own model: summary, translation, sentiment, fields, answers."""

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
from ...core.text import sentences, ungrounded_terms, words
from ..declaration import ToolContext, skill
from .memory_tools import search_cue
from .sentiment_anchors import SENTIMENT_ANCHORS

FieldKind = Literal["text", "number", "yes_no"]

MAX_TEXT_CHARS = 24_000
"""Maximum characters of a text."""
_MAX_CHUNK_CHARS = 3_000
# Shorter, since a translation may be longer than its text and must fit the token limit.
_MAX_TRANSLATION_CHARS = 1_000
# In "5-7 days" and "room A-12" the hyphen is no minus sign.
_NUMBERS = re.compile(r"(?<!\w)-\d+(?:\.\d+)?|\d+(?:\.\d+)?")
# A summary below this cosine or word overlap with its text is dropped as unfaithful.
_MIN_SIMILARITY = 0.6
# Below this probability of an answer in memory (``Recalled.held``) there is no answer.
_MIN_ANSWERABILITY = 0.5


@skill
def summarise(text: str, max_words: int = 40) -> Thought[Json]:
    """Summarise a text in at most so many words.

    Args:
        text: what to summarise
        max_words: the most words of the summary
    """
    _validate_text(text)
    if not 5 <= max_words <= 400:
        raise ValueError(f"max_words must lie between 5 and 400, not {max_words}")
    whole = text
    chunks = _split_chunks(text)
    if len(chunks) > 1:
        share = max(max_words, 60)
        summaries = yield from all_of([_summary(piece, share) for piece in chunks])
        whole = "\n".join(summary for summary, _ in summaries)
    summary, method = yield from _summary(whole, max_words)
    return {"summary": summary, "words": len(summary.split()), "made": method}


def _summary(text: str, limit: int) -> Thought[tuple[str, str]]:
    """The model's summary if it is grounded in the text, else an extractive one; and which."""
    if len(text.split()) <= limit:
        return " ".join(text.split()), "whole"
    answer = yield from _generate_text(
        "You summarise texts faithfully. You add nothing that the text does not say.",
        f"{text}\n\nSummarise this text in one or two sentences, at most {limit} words.",
        limit * 2 + 8,
    )
    summary = truncate_words(answer, limit) if answer else ""
    if summary and not ungrounded_terms(summary, text) and not summary.endswith("…"):
        similarity = yield from _similarity(summary, [text])
        if similarity[0] >= _MIN_SIMILARITY and _word_overlap(summary, text) >= _MIN_SIMILARITY:
            return summary, "written"
    extract = yield from _extractive_summary(text, limit)
    return extract, "taken"


def _extractive_summary(text: str, limit: int) -> Thought[str]:
    """The sentences nearest to the whole text, in their order, as many as fit."""
    candidates = [sentence for sentence in _sentences(text) if len(sentence.split()) <= limit][:200]
    if not candidates:
        return truncate_words(text, limit)
    similarities = yield from _similarity(text, candidates)
    chosen: list[int] = []
    used = 0
    for place in sorted(range(len(candidates)), key=lambda place: -similarities[place]):
        size = len(candidates[place].split())
        is_new = all(_word_overlap(candidates[place], candidates[other]) < 0.6 for other in chosen)
        if used + size <= limit and is_new:
            chosen.append(place)
            used += size
    return " ".join(candidates[place] for place in sorted(chosen))


@skill
def translate(text: str, to: str, source: str = "") -> Thought[Json]:
    """Translate a text into another language. Small models do it badly.

    Args:
        text: what to translate
        to: the language wanted, for example "French"
        source: the language it is in; empty if that is not known
    """
    _validate_text(text)
    language = _validate_language(to)
    origin = f" from {_validate_language(source)}" if source else ""
    prompt = f"Translate the text{origin} into {language}. Answer with the translation alone."
    chunks = _split_chunks(text, _MAX_TRANSLATION_CHARS)
    translations = yield from all_of(
        [_generate_with_cut(prompt, piece, len(piece) + 16) for piece in chunks]
    )
    translation = "\n".join(part for part, _ in translations).strip()
    if not translation:
        raise ValueError("the model gave no translation")
    unchanged = _word_overlap(translation, text) > 0.8 and len(words(text)) > 3
    cut = any(cut for _, cut in translations)
    return {"text": translation, "language": language, "unchanged": unchanged, "cut": cut}


@skill
def sentiment(text: str) -> Thought[Json]:
    """Tell whether a text sounds positive, negative or neutral, with probabilities.

    Args:
        text: a sentence or a few
    """
    _validate_text(text)
    sentence_list = _sentences(text)[:50] or [text]
    answers = yield from all_of([_sentiment_probabilities(part) for part in sentence_list])
    sizes = [len(part.split()) or 1 for part in sentence_list]
    total = sum(sizes)
    negative, neutral, positive = (
        sum(answer[place] * size for answer, size in zip(answers, sizes)) / total
        for place in range(3)
    )
    shares = {"positive": positive, "neutral": neutral, "negative": negative}
    best = max(shares, key=lambda name: shares[name])
    return {"sentiment": best, "probabilities": {name: round(p, 3) for name, p in shares.items()}}


def _sentiment_probabilities(text: str) -> Thought[tuple[float, ...]]:
    question = (
        f'How does this text sound, from 1 (negative) over 2 (neutral) to 3 (positive)? "{text}"'
    )
    rating = yield from rate(
        Rate(
            messages=(Message.of("user", question),),
            about=text,
            anchors=SENTIMENT_ANCHORS,
            low=1,
            high=3,
            role="sentiment",
        )
    )
    if isinstance(rating, Failed):
        raise ValueError(f"the tone cannot be told: {rating.detail}")
    return rating.probabilities


@skill
def extract_fields(text: str, fields: dict[str, FieldKind]) -> Thought[Json]:
    """Read named fields out of a text; one that the text does not tell is null.

    Args:
        text: what to read
        fields: each field's name, for example "departure city", with its kind: "text",
            "number" or "yes_no"
    """
    _validate_text(text)
    if not 1 <= len(fields) <= 20:
        raise ValueError(f"name 1 to 20 fields, not {len(fields)}")
    # One ask per field, in parallel: in a long form a small model copies neighbouring values.
    values = yield from all_of([_extract_field(text, name, kind) for name, kind in fields.items()])
    return dict(zip(fields, values))


_FIELD_SCHEMAS: dict[FieldKind, Json] = {
    "text": {"anyOf": [{"type": "string", "maxLength": 120}, {"type": "null"}]},
    "number": {"anyOf": [{"type": "number"}, {"type": "null"}]},
    "yes_no": {"anyOf": [{"type": "boolean"}, {"type": "null"}]},
}


def _extract_field(text: str, name: str, kind: FieldKind) -> Thought[Json]:
    completion = yield from generate(
        Generate(
            messages=(
                Message.of("system", "You read facts out of a text, word for word."),
                Message("user", (Part(text, 1), Part(f"What is the {name}? Copy it as JSON."))),
            ),
            max_tokens=64,
            temperature=0.0,
            schema={
                "type": "object",
                "properties": {name: _FIELD_SCHEMAS[kind]},
                "required": [name],
                "additionalProperties": False,
            },
            role="arguments",
        )
    )
    if isinstance(completion, Failed):
        raise ValueError(f"the field '{name}' cannot be read: {completion.detail}")
    value = completion.data[name]
    return value if _is_grounded(value, text) else None


def _is_grounded(value: Json, text: str) -> bool:
    if isinstance(value, str):
        # Whole words: "art" is not contained in "party".
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
    recalled = yield from recall(Recall(cue=search_cue(context, question, 5, ("document",))))
    if isinstance(recalled, Failed):
        raise ValueError(f"the documents cannot be searched: {recalled.detail}")
    is_unknown = recalled.held is not None and recalled.held < _MIN_ANSWERABILITY
    if is_unknown or not recalled.hits:
        return {"answer": None, "quote": None, "sources": [], "held": recalled.held}
    quote, place = yield from _best_quote(question, recalled.hits)
    record = recalled.hits[place].record
    sentence = yield from _generate_text(
        "You answer from the passage alone, in one short sentence.",
        f"{record.text}\n\nQuestion: {question}",
        48,
    )
    answer = truncate_words(sentence, 40) if sentence else ""
    is_grounded = bool(answer) and not ungrounded_terms(answer, f"{record.text} {question}")
    others = [hit.record for hit in recalled.hits[:3] if hit.record is not record]
    return {
        "answer": answer if is_grounded else quote,
        "quote": quote,
        "sources": [{"document": one.episode, "place": one.source} for one in (record, *others)],
        "held": recalled.held,
    }


def _best_quote(question: str, hits: Sequence[Hit]) -> Thought[tuple[str, int]]:
    """The sentence nearest to a question, and the index of its hit."""
    candidates = [
        (one, place) for place, hit in enumerate(hits) for one in _sentences(hit.record.text)[:20]
    ]
    similarities = yield from _similarity(question, [one for one, _ in candidates])
    # Earlier hits are preferred.
    best = max(range(len(candidates)), key=lambda at: similarities[at] - 0.03 * candidates[at][1])
    return candidates[best]


def _generate_text(order: str, text: str, limit: int) -> Thought[str]:
    text_out, _ = yield from _generate_with_cut(order, text, limit)
    return text_out


def _generate_with_cut(order: str, text: str, limit: int) -> Thought[tuple[str, bool]]:
    """The model's text, and whether it was cut at the token limit (or is missing)."""
    completion = yield from generate(
        Generate(
            messages=(Message.of("system", order), Message("user", (Part(text),))),
            max_tokens=min(limit, 512),
            temperature=0.0,
            role="skill",
        )
    )
    if not isinstance(completion, Completion):
        return "", True
    return completion.text.strip(), completion.stopped == "limit"


def _sentences(text: str) -> list[str]:
    return [" ".join(sentence.split()) for sentence in sentences(text)]


def truncate_words(text: str, limit: int) -> str:
    """At most ``limit`` words of a text: whole sentences if one fits, else cut with "…"."""
    kept: list[str] = []
    used = 0
    for sentence in _sentences(text):
        size = len(sentence.split())
        if used + size > limit:
            break
        kept.append(sentence)
        used += size
    if kept:
        return " ".join(kept)
    return " ".join(text.split()[:limit]).rstrip(",;:") + "…"


def _similarity(text: str, others: Sequence[str]) -> Thought[list[float]]:
    """Cosines of a text and each of the others, by the agent's embedder. Raises ValueError without
    one."""
    answer = yield from embed(Embed(texts=(text, *others)))
    if isinstance(answer, Failed):
        raise ValueError(f"texts cannot be compared: {answer.detail}")
    assert isinstance(answer, Vectors)
    rows = answer.array()
    return [float(value) for value in rows[1:] @ rows[0]]


def _validate_text(text: str) -> None:
    if not text.strip():
        raise ValueError("the text is empty")
    if len(text) > MAX_TEXT_CHARS:
        raise ValueError(
            f"the text has {len(text)} characters, more than {MAX_TEXT_CHARS}; split it up"
        )


def _validate_language(name: str) -> str:
    named = " ".join(name.split())
    if not re.fullmatch(r"[^\W\d_][\w ()'-]{1,39}", named):
        raise ValueError(f"'{name[:40]}' is not the name of a language, for example French")
    return named


def _split_chunks(text: str, limit: int = _MAX_CHUNK_CHARS) -> list[str]:
    """Chunks of a text with at most ``limit`` characters, split between sentences."""
    if len(text) <= limit:
        return [text]
    chunks = [""]
    for sentence in _sentences(text):
        for start in range(0, len(sentence), limit):
            part = sentence[start : start + limit]
            if len(chunks[-1]) + len(part) > limit:
                chunks.append("")
            chunks[-1] = f"{chunks[-1]} {part}".strip()
    return [one for one in chunks if one]


def _word_overlap(first: str, second: str) -> float:
    """The share of the first text's words that occur in the second, in [0, 1]."""
    mine, theirs = set(words(first)), set(words(second))
    return len(mine & theirs) / len(mine) if mine else 0.0
