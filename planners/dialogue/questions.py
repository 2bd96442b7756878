"""What a line asks, in English: the sentence that asks, the kind of answer it wants, and whether
not knowing is an answer to it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, TypeAlias

from ...core import sentences
from ...core.text import MONTH_NAMES, NUMBER_WORDS, WEEKDAY_NAMES, clock_minutes

AnswerKind: TypeAlias = Literal[
    "who", "whose", "when", "where", "count", "name", "other", "yes_no", "talk"
]
"""What a question asks for. ``yes_no`` is answered by yes or no, ``talk`` by talking: it asks how
somebody is, or for an opinion."""

_ASKS = re.compile(r"[?？؟][\"”’»')]*\s*$")
_REQUEST = re.compile(
    r"^(?:please |can you |could you |will you )?(?:tell|remind) me\b"
    r"|^i (?:want|would like|['’]d like) to know\b|^i wonder (?:wh|how|if)",
    re.IGNORECASE,
)
_TALK = re.compile(
    r"\bhow(?:['’]s| is| are| was| were) \w(?!.*\bcalled\b)|\bhow (?:it going|things|life)\b"
    r"|\bhow do you (?:do|feel)\b|\bwhat(?:['’]s| is) (?:up|new)\b|\bhow about\b"
    r"|\bwhat do you (?:think|say|feel)(?: (?:about|of|to)\b|\W*$)"
    r"|\bwhat do you (?:recommend|suggest)\b"
    r"|^(?:and |what about |how about )?(?:you|yours|yourself)\b[^a-z]*$"
    r"|^(?:really|is it|is that so|right|yes|no|oh)\b[^a-z]*$"
    r"|\b(?:isn['’]t|aren['’]t|doesn['’]t|don['’]t|wasn['’]t) (?:it|you|they|she|he)[^a-z]*$",
    re.IGNORECASE,
)
_KINDS: tuple[tuple[AnswerKind, re.Pattern[str]], ...] = tuple(
    (kind, re.compile(pattern, re.IGNORECASE))  # type: ignore[misc]
    for kind, pattern in (
        ("name", r"\bnames?\b.*\?|\bcalled\b.*\?"),
        (
            "count",
            r"\bhow (?:many|much|old|far|long ago|often|tall|big)\b|\bwhat(?: is|['’]s) the price",
        ),
        ("when", r"\bwhen\b|\bwhat (?:time|day|date|year)\b|\bhow long\b|\bsince when\b"),
        ("where", r"\bwhere\b|\bwhich (?:place|room|street|house)\b"),
        ("whose", r"\bwhose\b"),
        ("who", r"\bwho(?:m|['’]s)?\b"),
        ("other", r"\b(?:what|which|why|how)\b"),
    )
)
# Questions that the first sentence about a person answers.
_OCCUPATION = re.compile(
    r"\bwhat do you do(?: here)?(?: in \w+)?(?: for (?:a living|work))?\W*$|\bfor a living\b"
    r"|\byour (?:job|work|profession|trade|occupation)\b|\bwhat kind of work\b"
    r"|\babout yourself\b|\bwhat are you\W*$|\bwhere do you work\b",
    re.IGNORECASE,
)
_DAY = re.compile(
    r"\bwhat do you do (?:all day|every day|each day|in the (?:morning|evening|afternoon))\b"
    r"|\byour (?:day|morning|routine) (?:like|look)|\btell me about your day\b"
    r"|\bwhat are you (?:doing|going to do|up to) (?:today|tonight|this \w+)\b"
    r"|\bplans? (?:for|today)\b",
    re.IGNORECASE,
)
_TOPICS: tuple[tuple[Literal["name", "self", "day"], re.Pattern[str]], ...] = (
    (
        "name",
        re.compile(r"\byour (?:own |full )?name\b|\bwho are you\W*$|\bare you called\b", re.I),
    ),
    ("self", _OCCUPATION),
    ("day", _DAY),
)
_TIME_WORDS = re.compile(
    r"\b(?:today|tonight|tomorrow|yesterday|ago|noon|midnight|morning|evening|afternoon|night|weekend|"
    r"(?:second|minute|hour|day|week|month|year)s?|spring|summer|autumn|fall|winter|always|never|once|last|next|daily|life|"
    rf"{'|'.join((*MONTH_NAMES, *WEEKDAY_NAMES))})\b",
    re.IGNORECASE,
)
_PLACE_WORDS = re.compile(
    r"\b(?:in|at|on|under|near|behind|beside|above|below|by|over) (?:the |my |a |an |"
    r"[A-ZÀ-Þ])|\b[Aa]ddress\b"
)
_COUNT_WORDS = re.compile(
    rf"\d|\b(?:{'|'.join(NUMBER_WORDS)}|a dozen|hundred|thousand|many|few|several)\b",
    re.IGNORECASE,
)
_TIME_DETAIL = re.compile(
    r"\b(?:at|around|by|on|until) (?:\d[\d:.]*(?: ?[ap]m)?|noon|midnight|"
    rf"{'|'.join(day.capitalize() for day in WEEKDAY_NAMES)})|\b\w+ years? ago\b"
)
_COUNT_DETAIL = re.compile(
    rf"\b(?:\d+|{'|'.join(NUMBER_WORDS)})(?: (?!in\b|at\b|on\b|of\b|for\b|to\b|and\b)\w+){{1,2}}",
    re.IGNORECASE,
)
_PERSON_WORDS = re.compile(
    r"[A-ZÀ-Þ]\w+ [A-ZÀ-Þ]\w+|\b(?:father|mother|brother|sister|son|daughter|husband|wife|uncle|"
    r"aunt|friend|nobody|everybody|somebody|teacher|children|I|we)\b"
)
_OWNER_WORDS = re.compile(r"(?<!\b[Ii]t)['’]s\b|\bof (?:my |the )?\w|\bmy\b|\bbelongs?\b|\bowns?\b")
_NAMING = re.compile(r"\b(?:called|named|names? (?:is|was|are|were))\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Question:
    """The sentence of a line that asks, and what it asks for. ``topic``: it asks for the
    listener's name, work ("self") or day."""

    text: str
    kind: AnswerKind
    topic: Literal["", "name", "self", "day"] = ""

    @property
    def wants_fact(self) -> bool:
        """Whether "I don't know" answers it: it asks neither for talk nor for yes or no."""
        return self.kind not in ("talk", "yes_no")


def asked_question(line: str) -> Question | None:
    """The last question of a line, or None.

    >>> asked_question("Good morning! Where is the mill?")
    Question(text='Where is the mill?', kind='where', topic='')
    >>> asked_question("How are you?").kind, asked_question("Do you bake?").kind
    ('talk', 'yes_no')
    >>> asked_question("Tell me about yourself.").topic, asked_question("I bake.")
    ('self', None)
    """
    for sentence in reversed(sentences(line)):
        text = sentence.strip()
        if _ASKS.search(text) or _REQUEST.search(text):
            topics = (topic for topic, pattern in _TOPICS if pattern.search(text))
            return Question(text, _answer_kind(text), next(topics, ""))
    return None


def _answer_kind(text: str) -> AnswerKind:
    if _TALK.search(text):
        return "talk"
    other: AnswerKind = "other" if _REQUEST.search(text) else "yes_no"
    return next((kind for kind, pattern in _KINDS if pattern.search(text)), other)


def detail_of(answer: str, kind: AnswerKind) -> str:
    """The time or the number alone that an answer has; empty if it has none.

    >>> detail_of("I am giving a supper today at 7pm.", "when")
    'At 7pm.'
    >>> detail_of("The children have painted twelve paper lanterns in the school.", "count")
    'Twelve paper lanterns.'
    """
    pattern = {"when": _TIME_DETAIL, "count": _COUNT_DETAIL}.get(kind)
    match = pattern.search(answer) if pattern else None
    return f"{match[0][0].upper()}{match[0][1:]}." if match else ""


def fits_kind(sentence: str, kind: AnswerKind) -> bool | None:
    """Whether a sentence has what a kind of question asks for: a time, a place, a number, a
    person, a name. None if that cannot be told by words.

    >>> [fits_kind(text, "when") for text in ("We open at 9am.", "I bake.")]
    [True, False]
    """
    if kind == "when":
        return _TIME_WORDS.search(sentence) is not None or clock_minutes(sentence) is not None
    pattern = {
        "where": _PLACE_WORDS,
        "count": _COUNT_WORDS,
        "who": _PERSON_WORDS,
        "whose": _OWNER_WORDS,
        "name": _NAMING,
    }
    return pattern[kind].search(sentence) is not None if kind in pattern else None
