"""Summary texts: central sentences, or a model's text if it adds no names or numbers; and summaries
of the older lines of a session, with their sources."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from ..core import (
    AgentId,
    Completion,
    Generate,
    Message,
    Part,
    Record,
    RecordId,
    Thought,
    Utterance,
    generate,
    sentences,
    words,
)
from ..core.text import name_key, ungrounded_terms
from .storage import embed_texts

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .storage import EmbedFunction

SUMMARY_SENTENCES = 4
_ENDS = (".", "!", "?", '"', "”", "…", "。", "！", "？", "」", "』", "؟", "۔", "।", "॥", "։", "።")
BLOCK_LINES = 16
"""Lines of a session that are summarized together: a line more computes one block anew."""
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
    return " ".join(candidates[place] for place in _central_places(candidates, embed, count))


def _central_places(
    candidates: Sequence[str], embed: EmbedFunction | None, count: int
) -> list[int]:
    """The places of at most ``count`` sentences that represent all candidates, in order."""
    if len(candidates) <= count:
        return list(range(len(candidates)))
    stride = -(-len(candidates) // MAX_COMPARED_SENTENCES)
    compared = candidates[::stride]
    rows = np.asarray(embed_texts(embed, compared)) if embed else _word_vectors(compared)
    similarity = rows @ rows.T
    centrality = similarity.mean(axis=1)
    chosen: list[int] = [int(centrality.argmax())]
    while len(chosen) < count:
        relevance = centrality - similarity[:, chosen].max(axis=1)
        relevance[chosen] = -np.inf
        chosen.append(int(relevance.argmax()))
    return [stride * place for place in sorted(chosen)]


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


# -- the older lines of a session -------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SummarySentence:
    """A sentence of a session's summary: who said it, in their words, and the numbers of the
    records that it rests on."""

    who: AgentId
    text: str
    records: tuple[RecordId, ...] = ()


@dataclass(frozen=True, slots=True)
class LinesSummary:
    """The sentences that represent the older lines of a session, in their order."""

    sentences: tuple[SummarySentence, ...] = ()

    @property
    def text(self) -> str:
        """The sentences, a line for each speaker in turn, such as 'Ada: "I bake rye."'."""
        turns: list[tuple[AgentId, list[str]]] = []
        for sentence in self.sentences:
            if not turns or turns[-1][0] != sentence.who:
                turns.append((sentence.who, []))
            turns[-1][1].append(sentence.text)
        return "\n".join(f'{who}: "{" ".join(texts)}"' for who, texts in turns)

    @property
    def records(self) -> tuple[RecordId, ...]:
        """The numbers of all records that it rests on, in order."""
        return tuple(sorted({n for sentence in self.sentences for n in sentence.records}))


def summarize_lines(
    lines: Sequence[tuple[Utterance, Sequence[RecordId]]], *, limit: int = 6
) -> LinesSummary:
    """At most ``limit`` sentences that represent the older lines of a session, in their own words,
    each with the records of its line. ``lines`` are utterances, oldest first, each with the
    numbers of its records.

    Equal lines have equal summaries; no model is asked. Blocks of ``BLOCK_LINES`` lines are
    summarized and kept, so that a session that grows computes its last block only.

    >>> from datetime import datetime
    >>> nine = datetime(2023, 2, 13, 9)
    >>> said = [(Utterance("Ada", "I bake rye. It rains.", nine), (4,))]
    >>> summarize_lines(said, limit=1).sentences
    (SummarySentence(who='Ada', text='I bake rye.', records=(4,)),)
    """
    plain = [(line.who, " ".join(line.text.split()), tuple(records)) for line, records in lines]
    blocks = [
        _block_summary(tuple(plain[start : start + BLOCK_LINES]), limit)
        for start in range(0, len(plain), BLOCK_LINES)
    ]
    return LinesSummary(_most_central([s for block in blocks for s in block], limit))


@lru_cache(maxsize=512)
def _block_summary(
    lines: tuple[tuple[AgentId, str, tuple[RecordId, ...]], ...], limit: int
) -> tuple[SummarySentence, ...]:
    return _most_central(
        [
            SummarySentence(who, sentence, records)
            for who, text, records in lines
            for sentence in _sentences([text])
        ],
        limit,
    )


def _most_central(candidates: Sequence[SummarySentence], limit: int) -> tuple[SummarySentence, ...]:
    """The most representative sentences; one that was said twice rests on the records of both
    lines."""
    merged: dict[tuple[AgentId, str], SummarySentence] = {}
    for sentence in candidates:
        earlier = merged.get((sentence.who, sentence.text))
        before = earlier.records if earlier else ()
        records = tuple(dict.fromkeys((*before, *sentence.records)))
        merged[sentence.who, sentence.text] = SummarySentence(sentence.who, sentence.text, records)
    distinct = list(merged.values())
    places = _central_places([sentence.text for sentence in distinct], None, limit)
    return tuple(distinct[place] for place in places)
