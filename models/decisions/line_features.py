"""What the critic of next lines looks at: numbers about a draft in its conversation.

A conversation comes as the prompt of speech (``planners.speech``): the system message says who
speaks, the other's lines are user turns, the speaker's own are assistant turns, and lines in
square brackets are notes that nobody says.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ...core import Message, sentences
from ...core.text import split_words, terms

LIKELIHOOD_FEATURES = ("likelihood", "gain", "total_gain")
"""Of the language model under the voice: the mean log-probability of the draft's tokens and of
the end of the turn; by how much it is higher with the conversation than without it, a token and
in all. A generic line is likely everywhere; its gain is small (pointwise mutual information:
Li et al. 2016, "A Diversity-Promoting Objective Function for Neural Conversation Models")."""

MATCH_FEATURES = ("match_last", "match_own", "match_facts", "match_partner")
"""Learned similarities of embeddings: of the draft and the line just heard, the speaker's line
before it, the speaker's facts, the partner's line before that."""

COSINE_FEATURES = ("cosine_last", "cosine_own", "cosine_partner", "cosine_facts", "cosine_note")
WORD_FEATURES = (
    "length",
    "place",
    "question",
    "asked",
    "asked_back",
    "echo",
    "repeat_own",
    "repeat_partner",
    "tells_fact",
    "tells_note",
    "has_note",
    "new_words",
    "greeting",
    "late_greeting",
    "farewell",
    "farewell_after_farewell",
    "first_person",
    "second_person",
)
LINE_FEATURES = LIKELIHOOD_FEATURES + MATCH_FEATURES + COSINE_FEATURES + WORD_FEATURES
"""All features, in the order of the columns of a table."""

CRITIC_FEATURES = (
    *LIKELIHOOD_FEATURES,
    *MATCH_FEATURES,
    *COSINE_FEATURES,
    *("echo", "repeat_own", "repeat_partner"),
)
"""Those that a critic reads by default. With all of them a critic of 300 prompts found the true
line among five others in .887 of cases, with these in .913 (four-fold cross-validation)."""

NOTE = re.compile(r"^\[.*\]$")
_NOTE_TEXT = re.compile(r"^\[I (?:remember|want to say): (.*)\]$")
_GREETING = re.compile(r"\b(hi|hello|hey|good morning|good evening|nice to meet)\b", re.IGNORECASE)
_FAREWELL = re.compile(
    r"\b(bye|goodbye|farewell|see you|talk to you (later|soon)|take care|have a (great|good|nice)"
    r"|nice (talking|chatting|meeting)|good night|have to go|(should|must) (go|run))\b",
    re.IGNORECASE,
)
_FIRST = frozenset({"i", "me", "my", "mine", "myself", "we", "our", "us"})
_SECOND = frozenset({"you", "your", "yours", "yourself"})


@dataclass(frozen=True, slots=True, kw_only=True)
class HeardTalk:
    """A conversation as the next speaker has it. ``facts`` are the sentences of the system
    message, ``notes`` what is remembered and meant to be said, ``last`` the line just heard
    (empty where the speaker begins), ``own`` and ``partner`` the lines before it."""

    facts: tuple[str, ...] = ()
    last: str = ""
    own: tuple[str, ...] = ()
    partner: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def texts(self) -> tuple[str, ...]:
        """All texts, without duplicates."""
        all_texts = (*self.facts, self.last, *self.own, *self.partner, *self.notes)
        return tuple(text for text in dict.fromkeys(all_texts) if text.strip())


def heard_talk(messages: Sequence[Message], about: str) -> HeardTalk:
    """The conversation of a prompt of speech. ``about`` stands for the line just heard where the
    last user turn holds notes only."""
    facts: list[str] = []
    own: list[str] = []
    partner: list[str] = []
    notes: list[str] = []
    last = ""
    for index, message in enumerate(messages):
        lines = [line.strip() for line in message.text.split("\n") if line.strip()]
        if message.role == "system":
            facts += [sentence for line in lines for sentence in sentences(line)]
        elif message.role == "assistant":
            own.append(" ".join(lines))
        else:
            said = " ".join(line for line in lines if not NOTE.match(line))
            partner += [said] if said else []
            if index == len(messages) - 1:
                last = said
                notes += [match[1] for line in lines if (match := _NOTE_TEXT.match(line))]
    if last:
        partner.pop()
    elif about not in notes:
        last = about if messages and len(messages) > 2 else ""
    return HeardTalk(
        facts=tuple(facts),
        last=last,
        own=tuple(own),
        partner=tuple(partner),
        notes=tuple(notes),
    )


def word_features(talk: HeardTalk, draft: str) -> dict[str, float]:
    """The features of a draft that need no model."""
    words = split_words(draft)
    stems = stems_of(draft)
    spoken = [*talk.own, *talk.partner, *([talk.last] if talk.last else [])]
    known = frozenset[str]().union(*(stems_of(text) for text in talk.texts))
    greets, leaves = bool(_GREETING.search(draft)), bool(_FAREWELL.search(draft))
    return {
        "length": math.log1p(len(words)),
        "place": math.log1p(len(spoken)),
        "question": float("?" in draft),
        "asked": float("?" in talk.last),
        "asked_back": float("?" in talk.last and "?" in draft),
        "echo": _share(stems, stems_of(talk.last)),
        "repeat_own": max((_overlap(stems, stems_of(line)) for line in talk.own), default=0.0),
        "repeat_partner": max(
            (_overlap(stems, stems_of(line)) for line in (*talk.partner, talk.last)), default=0.0
        ),
        "tells_fact": max((_share(stems_of(fact), stems) for fact in talk.facts), default=0.0),
        "tells_note": max((_share(stems_of(note), stems) for note in talk.notes), default=0.0),
        "has_note": float(bool(talk.notes)),
        "new_words": _share(stems, stems - known),
        "greeting": float(greets),
        "late_greeting": float(greets and len(spoken) > 2),
        "farewell": float(leaves),
        "farewell_after_farewell": float(leaves and bool(_FAREWELL.search(talk.last))),
        "first_person": sum(word in _FIRST for word in words) / max(len(words), 1),
        "second_person": sum(word in _SECOND for word in words) / max(len(words), 1),
    }


def cosine_features(
    talk: HeardTalk, draft: str, vectors: Mapping[str, NDArray[np.float32]]
) -> dict[str, float]:
    """The features of a draft by embedding; ``vectors`` are those of ``talk.texts`` and of the
    draft, of length 1."""

    def nearest(texts: Iterator[str]) -> float:
        return max((float(np.dot(vectors[text], vectors[draft])) for text in texts), default=0.0)

    return {
        "cosine_last": nearest(_filled((talk.last,))),
        "cosine_own": nearest(_filled(talk.own)),
        "cosine_partner": nearest(_filled(talk.partner)),
        "cosine_facts": nearest(_filled(talk.facts)),
        "cosine_note": nearest(_filled(talk.notes)),
    }


def likelihood_features(within: float, without: float, tokens: int) -> dict[str, float]:
    """The features of a draft from its log-probability within the conversation and without it, in
    nats."""
    return {
        "likelihood": within / tokens,
        "gain": (within - without) / tokens,
        "total_gain": within - without,
    }


@lru_cache(maxsize=20_000)
def stems_of(text: str) -> frozenset[str]:
    """The stems of a text's content words."""
    return frozenset(terms(text))


def _filled(texts: Sequence[str]) -> Iterator[str]:
    return (text for text in texts if text.strip())


def _share(stems: frozenset[str], among: frozenset[str]) -> float:
    """The share of ``stems`` that are ``among`` others."""
    return len(stems & among) / len(stems) if stems else 0.0


def _overlap(one: frozenset[str], other: frozenset[str]) -> float:
    """The Jaccard index of two sets."""
    union = one | other
    return len(one & other) / len(union) if union else 0.0
