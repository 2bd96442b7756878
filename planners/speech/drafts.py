"""Drafts of a line: several are written in parallel, rules refuse some, the critic picks one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from ...core import (
    NEXT_LINE_ROLE,
    NONE_OF_THESE,
    Choice,
    Choose,
    Completion,
    Failed,
    Generate,
    Message,
    Option,
    Seed,
    Thought,
    all_of,
    choose,
    generate,
)
from ...core.text import terms
from ..text import finished_sentences
from .draft_rules import DraftContext, refusal_rule

GOOD_PROBABILITY = 0.5
"""A draft that the critic gives this much, against none of these, is said at once."""
LEAST_PROBABILITY = 0.2
"""Below it no line is said, however many drafts there are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftedLine:
    """The chosen draft; ``text`` is empty if none is fit to be said. ``probability`` is the
    critic's that it is a true next line (None: not judged), ``refused`` counts refused drafts by
    rule, and ``drafts`` all that were written."""

    text: str = ""
    probability: float | None = None
    refused: Mapping[str, int] = field(default_factory=dict)
    drafts: int = 0

    @property
    def summary(self) -> str:
        """What became of the drafts, in a few words.

        >>> DraftedLine(text="Hm.", probability=0.62, refused={"invented": 2}, drafts=4).summary
        '4 drafts, refused: 2 invented; chosen at .62'
        """
        refused = ", ".join(f"{count} {rule}" for rule, count in sorted(self.refused.items()))
        parts = [f"{self.drafts} drafts" + (f", refused: {refused}" if refused else "")]
        if self.text:
            sure = (
                "" if self.probability is None else f" at {self.probability:.2f}".replace("0.", ".")
            )
            parts.append(f"chosen{sure}")
        else:
            parts.append("none chosen")
        return "; ".join(parts)


def draft_line(
    ask: Generate,
    context: DraftContext,
    *,
    count: int,
    seed: Seed,
    about: str,
    clean: Callable[[str], str],
    openings: Sequence[str] = ("",),
    given: Sequence[str] = (),
    tells: str = "",
    further: int | None = None,
    refuses: Callable[[str], str] | None = None,
) -> Thought[DraftedLine]:
    """The best of ``count`` drafts of ``ask``; of ``further`` more, once, if none is good enough.

    ``clean`` makes a line of a completion (an empty text: it breaks off). A refused draft of
    several sentences is tried again as its first one. ``refuses`` names a further rule.
    ``openings`` are beginnings of drafts, which the model continues; the drafts use them in turn,
    an empty one leaves the beginning to the model. ``given`` are lines that compete as they are.
    The critic judges all against none of these by the prompt; ``about`` is the last line heard, or
    what the speaker has in mind. Of drafts that it likes those are preferred that have the words
    of ``tells``, since a small model tells what it is given in one draft of three."""
    refused: Counter[str] = Counter()
    pool = dict.fromkeys(line for line in given if not _usable(line, context, refuses)[1])
    best, probability, written = "", None, 0
    for number in (count, count if further is None else further):
        places = range(written, written + number)
        texts = yield from all_of(
            [_draft(ask, openings[place % len(openings)], seed.child(place)) for place in places]
        )
        written += number
        before = len(pool) if best else 0
        for raw in texts:
            draft, rule = _usable(clean(raw), context, refuses)
            if draft:
                pool.setdefault(draft)
            else:
                refused[rule] += 1
        if len(pool) > before:
            best, probability = yield from judge_drafts(ask, tuple(pool), about, seed, tells)
        if probability is None and not any(texts):
            best = ""  # The model answers nothing: what it was given is not said either.
        if best and (probability is None or probability >= GOOD_PROBABILITY):
            break
    if probability is not None and probability < LEAST_PROBABILITY:
        refused["critic"] += len(pool)
        best = ""
    return DraftedLine(text=best, probability=probability, refused=dict(refused), drafts=written)


def _draft(ask: Generate, opening: str, seed: Seed) -> Thought[str]:
    """A draft that begins with ``opening``; the opening alone if the model adds nothing."""
    if opening:
        ask = replace(ask, messages=(*ask.messages, Message.of("assistant", opening)))
    answer = yield from generate(replace(ask, seed=seed.number))
    if isinstance(answer, Failed) and answer.reason != "empty":
        return ""
    continued = answer.text.strip() if isinstance(answer, Completion) else ""
    spoken = any(character.isalnum() for character in continued)
    return f"{opening} {continued}".strip() if spoken else opening


def _usable(
    draft: str, context: DraftContext, refuses: Callable[[str], str] | None
) -> tuple[str, str]:
    """A draft or its beginning, if no rule refuses it; else the rule that refused the whole."""
    if not draft:
        return "", "breaks_off"
    first_rule = ""
    for text in dict.fromkeys((draft, *finished_sentences(draft)[:1])):
        rule = refusal_rule(text, context) or (refuses(text) if refuses else "")
        if not rule:
            return text, ""
        first_rule = first_rule or rule
    return "", first_rule


def judge_drafts(
    ask: Generate, drafts: Sequence[str], about: str, seed: Seed, tells: str = ""
) -> Thought[tuple[str, float | None]]:
    """The draft that the critic prefers, and its probability against none of these (None: the
    model cannot judge); of those it likes one with the words of ``tells``."""
    value = seed.child("critic", len(drafts)).number
    answer = yield from choose_next_line(ask, drafts, about, value)
    if not isinstance(answer, Choice):
        return max(drafts, key=lambda draft: told_share(tells, draft)), None
    *shares, none = answer.probabilities
    likely = [share / (share + none) if share + none > 0 else 0.0 for share in shares]
    place = max(
        range(len(drafts)),
        key=lambda index: (likely[index] * (1 + told_share(tells, drafts[index])), shares[index]),
    )
    return drafts[place], likely[place]


def choose_next_line(
    ask: Generate, drafts: Sequence[str], about: str, seed: int
) -> Thought[Choice | Failed]:
    """Which of the drafts of ``ask`` is the likeliest next line, against none of these (the last
    option)."""
    return (
        yield from choose(
            Choose(
                messages=ask.messages,
                options=(*map(Option, drafts), NONE_OF_THESE),
                about=about,
                role=NEXT_LINE_ROLE,
                seed=seed,
                voice=ask.voice,
            )
        )
    )


def told_share(fact: str, line: str) -> float:
    """The share of a fact's words that a line has, in [0, 1]; 0 for a fact without words.

    >>> told_share("I found the old bell.", "Yes, an old bell was found.")
    1.0
    """
    words = set(terms(fact))
    return len(words & set(terms(line))) / len(words) if words else 0.0
