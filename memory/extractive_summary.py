"""Texts of summaries: the central sentences, or a model's words that say nothing new."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..core import Completion, Generate, Message, Part, Record, Thought, generate, sentences, words
from ..core.text import name_key

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from .storage import EmbedFunction

SUMMARY_SENTENCES = 4
_ENDS = (".", "!", "?", '"', "”", "…", "。", "！", "？", "」", "』", "؟", "۔", "।", "॥", "։", "።")
MAX_COMPARED_SENTENCES = (
    500  # sentences that are held against each other; of more, evenly spread ones
)
_LONG = 60  # words of a sentence that count for its likeness


def central_sentences(
    texts: Sequence[str], embed: EmbedFunction | None = None, count: int = SUMMARY_SENTENCES
) -> str:
    """At most ``count`` sentences that stand for all, in their order: the most alike to the
    rest, each unlike those chosen before (maximal marginal relevance).

    Likeness is by ``embed``, else by shared words.

    >>> central_sentences(["Ada baked rye.", "Ada baked rye bread.", "Rain fell.", "Ada sold rye."],
    count=2)
    'Ada baked rye. Rain fell.'
    """
    import numpy as np

    found = list(dict.fromkeys(_sentences(texts)))
    if len(found) <= count:
        return " ".join(found)
    found = found[:: -(-len(found) // MAX_COMPARED_SENTENCES)]
    rows = np.asarray(embed(found)) if embed else _words(found)
    likeness = rows @ rows.T
    worth = likeness.mean(axis=1)
    chosen: list[int] = [int(worth.argmax())]
    while len(chosen) < count:
        fresh = worth - likeness[:, chosen].max(axis=1)
        fresh[chosen] = -np.inf
        chosen.append(int(fresh.argmax()))
    return " ".join(found[place] for place in sorted(chosen))


def _sentences(texts: Sequence[str]) -> list[str]:
    found = []
    for text in texts:
        for sentence in sentences(" ".join(text.split())):
            found.append(sentence if sentence.endswith(_ENDS) else f"{sentence}.")
    return [sentence for sentence in found if len(sentence) > 1]


def _words(texts: Sequence[str]) -> NDArray[np.float32]:
    import numpy as np

    sets = [(name_key(text).split() if text.isascii() else words(text))[:_LONG] for text in texts]
    places = {word: place for place, word in enumerate(sorted({w for s in sets for w in s}))}
    rows = np.zeros((len(sets), max(1, len(places))), np.float32)
    for row, held in zip(rows, sets):
        row[[places[word] for word in held]] = 1.0
    rows /= np.maximum(np.sqrt((rows**2).sum(axis=1, keepdims=True)), 1e-9)
    return rows


def model_summary(records: Sequence[Record], embed: EmbedFunction | None = None) -> Thought[str]:
    """One short paragraph by the model; its central sentences by rule where the model fails or
    names or counts what the records do not."""
    lines = tuple(Part(f"- {record.text}", drop=number) for number, record in enumerate(records))
    answer = yield from generate(
        Generate(
            messages=(
                Message.of("system", "You shorten notes. Say only what the notes say."),
                Message("user", (Part("Notes:"), *lines, Part("In two sentences, the notes say:"))),
            ),
            max_tokens=80,
            temperature=0.0,
            role="summary",
        )
    )
    texts = [record.text for record in records]
    if (
        isinstance(answer, Completion)
        and answer.text.strip()
        and is_grounded_summary(answer.text, texts)
    ):
        return " ".join(answer.text.split())
    return central_sentences(texts, embed)


def is_grounded_summary(summary: str, texts: Sequence[str]) -> bool:
    """Whether every name and number of a summary occurs in the texts.

    >>> is_grounded_summary("Ada baked 3 loaves.", ["Ada baked 3 loaves of rye."])
    True
    >>> is_grounded_summary("Ada and Bo baked.", ["Ada baked."])
    False
    """
    known = set(name_key(" ".join(texts)).split())
    marked = re.findall(r"(?<![.!?] )(?<!^)\b[A-Z]\w+|(?<![0-9A-Za-z])\d[0-9A-Za-z.,]*", summary)
    opening = [w for w in re.findall(r"(?:^|[.!?] )([A-Z]\w+)", summary) if w.lower() not in known]
    common = {
        "the",
        "a",
        "an",
        "in",
        "on",
        "at",
        "they",
        "he",
        "she",
        "it",
        "there",
        "then",
        "both",
    }
    strange = [word for word in opening if word.lower() not in common]
    return all(set(name_key(w).split()) <= known for w in marked) and not strange
