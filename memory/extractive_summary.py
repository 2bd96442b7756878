"""Summary texts: central sentences, or a model's text if it adds no names or numbers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..core import Completion, Generate, Message, Part, Record, Thought, generate, sentences, words
from ..core.text import name_key, ungrounded_terms
from .storage import embed_texts

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .storage import EmbedFunction

SUMMARY_SENTENCES = 4
_ENDS = (".", "!", "?", '"', "”", "…", "。", "！", "？", "」", "』", "؟", "۔", "।", "॥", "։", "።")
MAX_COMPARED_SENTENCES = 500
"""Of more sentences an evenly spaced sample is compared."""
_MAX_SENTENCE_WORDS = 60
"""Words of a sentence that count for its similarity."""
_COMMON_OPENERS = frozenset(
    ["the", "a", "an", "in", "on", "at", "they", "he", "she", "it", "there", "then", "both"]
)


def central_sentences(
    texts: Sequence[str], embed: EmbedFunction | None = None, count: int = SUMMARY_SENTENCES
) -> str:
    """At most ``count`` sentences that represent all texts, in their order, chosen by maximal
    marginal relevance: highest mean similarity to all sentences minus the highest similarity to
    the sentences chosen before. Similarity is the cosine of ``embed``, else of word sets.

    >>> texts = ["Ada baked rye.", "Ada baked rye bread.", "Rain fell.", "Ada sold rye."]
    >>> central_sentences(texts, count=2)
    'Ada baked rye. Rain fell.'
    """
    candidates = list(dict.fromkeys(_sentences(texts)))
    if len(candidates) <= count:
        return " ".join(candidates)
    candidates = candidates[:: -(-len(candidates) // MAX_COMPARED_SENTENCES)]
    rows = np.asarray(embed_texts(embed, candidates)) if embed else _word_vectors(candidates)
    similarity = rows @ rows.T
    centrality = similarity.mean(axis=1)
    chosen: list[int] = [int(centrality.argmax())]
    while len(chosen) < count:
        relevance = centrality - similarity[:, chosen].max(axis=1)
        relevance[chosen] = -np.inf
        chosen.append(int(relevance.argmax()))
    return " ".join(candidates[place] for place in sorted(chosen))


def _sentences(texts: Sequence[str]) -> list[str]:
    """The sentences of the texts, each with a mark at its end."""
    parts = [part for text in texts for part in sentences(" ".join(text.split()))]
    marked = [part if part.endswith(_ENDS) else f"{part}." for part in parts]
    return [sentence for sentence in marked if len(sentence) > 1]


def _word_vectors(texts: Sequence[str]) -> NDArray[np.float32]:
    lists = [name_key(text).split() if text.isascii() else words(text) for text in texts]
    lists = [found[:_MAX_SENTENCE_WORDS] for found in lists]
    columns = {word: i for i, word in enumerate(sorted({w for found in lists for w in found}))}
    rows = np.zeros((len(lists), max(1, len(columns))), np.float32)
    for row, found in zip(rows, lists):
        row[[columns[word] for word in found]] = 1.0
    rows /= np.maximum(np.sqrt((rows**2).sum(axis=1, keepdims=True)), 1e-9)
    return rows


def model_summary(records: Sequence[Record], embed: EmbedFunction | None = None) -> Thought[str]:
    """A short paragraph by the model; the central sentences if the model fails or its text has
    names or numbers that the records lack."""
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
    text = " ".join(answer.text.split()) if isinstance(answer, Completion) else ""
    return text if text and is_grounded_summary(text, texts) else central_sentences(texts, embed)


def is_grounded_summary(summary: str, texts: Sequence[str]) -> bool:
    """Whether every name and number of a summary occurs in the texts.

    >>> is_grounded_summary("Ada baked 3 loaves.", ["Ada baked 3 loaves of rye."])
    True
    >>> is_grounded_summary("Ada and Bo baked.", ["Ada baked."])
    False
    """
    source = " ".join(texts)
    # A name may also open a sentence.
    openers = {word.lower() for word in re.findall(r"(?:^|[.!?] )([A-Z]\w+)", summary)}
    unknown = openers - _COMMON_OPENERS - set(words(source))
    return not unknown and not ungrounded_terms(summary, source)
