"""Which records rest on others: by their evidence, and by words that have no other source."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence

from ...core import AgentId, Record, RecordId
from ...core.text import STOP_WORDS, split_words, ungrounded_terms

_SHORTEST_WORD = 3
_SPOKEN = re.compile(r'([^"]+? said to [^"]+?: )"(.*)"', re.DOTALL)
"""The text of the record of an utterance, as ``core.format_utterance`` writes it."""
_DERIVED_KINDS = frozenset({"utterance", "thought", "plan", "summary"})


def spoken_text(record: Record) -> str:
    """What was said, of the record of an utterance; else its text."""
    match = _SPOKEN.fullmatch(record.text)
    return match[2] if match and record.kind == "utterance" else record.text


def with_spoken_text(record: Record, text: str) -> str:
    """The text of the record with ``text`` as what was said; ``text`` may be a whole record."""
    match = _SPOKEN.fullmatch(record.text)
    if not match or record.kind != "utterance" or _SPOKEN.fullmatch(text):
        return text
    return f'{match[1]}"{text}"'


def dependent_records(
    records: Iterable[Record],
    roots: Collection[RecordId],
    words: Collection[str],
    owner: AgentId,
) -> tuple[RecordId, ...]:
    """The numbers of the records that rest on the ``roots``, without these: those with one of them
    as evidence, directly or not, and what the owner itself said or thought later with one of
    ``words`` (of the roots) that no independent record before has. ``records`` are in order."""
    first, supplied = min(roots), set[str]()
    dependents: list[RecordId] = []
    closure = set(roots)
    for record in records:
        if record.id in closure:
            continue
        rests = not closure.isdisjoint(record.evidence)
        used = set() if rests or not words else set(split_words(record.text)).intersection(words)
        own = record.who == owner and record.kind in _DERIVED_KINDS and record.id > first
        if rests or (own and used - supplied):
            dependents.append(record.id)
            closure.add(record.id)
        else:
            supplied |= used
    return tuple(dependents)


def changed_words(roots: Sequence[Record], text: str, known: Sequence[str]) -> frozenset[str]:
    """The words of records that neither a new ``text`` nor ``known`` texts have, nor the names of
    who speaks."""
    old = {word for record in roots for word in split_words(spoken_text(record))}
    names = (name for record in roots for name in (record.who, *record.audience))
    kept = {word for source in (text, *known, *names) for word in split_words(source)}
    return frozenset(
        word
        for word in old - kept - STOP_WORDS
        if len(word) >= _SHORTEST_WORD or word[0].isdigit() or not word.isascii()
    )


def changed_names(roots: Sequence[Record], text: str, others: Sequence[str]) -> tuple[str, ...]:
    """The names and numbers of records that occur neither in a new ``text`` nor in ``others``."""
    source = "\n".join((text, *others))
    found = (term for record in roots for term in ungrounded_terms(spoken_text(record), source))
    return tuple(dict.fromkeys(term for term in found if len(term) >= _SHORTEST_WORD))
