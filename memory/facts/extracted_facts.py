"""Facts extracted from a record's text, before they are written, and who speaks in a record."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from ...core import AgentId, Record, RecordId, Time, is_unspaced
from ...core.text import name_key


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtractedFact:
    """A fact extracted from record ``source``. ``since`` is its beginning if the text states it.
    ``replaces``: earlier facts of this subject and relation end, also for a relation with several
    objects at a time."""

    subject: str
    relation: str
    object: str
    source: RecordId
    since: Time | None = None
    denies: bool = False
    replaces: bool = False
    confidence: float = 0.9


@dataclass(frozen=True, slots=True)
class AttributedLine:
    """The words of a record: who speaks (empty: unknown), to whom, and what."""

    who: AgentId
    to: AgentId
    words: str


_QUOTED = re.compile(
    r"^(?P<who>[^:\"“]{1,60}?) (?:said|says|told|wrote)(?: to)?(?P<to> [^:\"“]{1,60})?: "
    r"(?P<open>[\"“])?(?P<words>.*?)(?(open)[\"”])$",
    re.S,
)
_AFTER_NAME = re.compile(
    r"^ (?:said|says|told|wrote)(?: to)?(?P<to> [^:\"“]{1,60})?: "
    r"(?P<open>[\"“])?(?P<words>.*?)(?(open)[\"”])$",
    re.S,
)
_LABELLED = re.compile(r"^(?P<who>[A-Z][\w'.-]*(?: [A-Z][\w'.-]*){0,3}): (?P<words>.+)$", re.S)


def attributed_line(record: Record) -> AttributedLine:
    """Speaker and words of a record: of a quoted line, a labelled line, or its plain text. The
    speaker named in ``record.who`` takes precedence over names in the text.

    >>> from datetime import datetime
    >>> text, at = 'Ada said to Bo: "I moved."', datetime(2023, 1, 1)
    >>> attributed_line(Record(id=1, kind="utterance", text=text, created=at))
    AttributedLine(who='Ada', to='Bo', words='I moved.')
    >>> attributed_line(Record(id=1, kind="utterance", text=text, created=at, who="Eve"))
    AttributedLine(who='Eve', to='', words='Ada said to Bo: "I moved."')
    """
    is_object = record.kind == "observation" and ":" in record.who
    if record.who and not is_object:
        return _line_of_speaker(record)
    if match := _QUOTED.match(record.text):
        return AttributedLine(match["who"].strip(), (match["to"] or "").strip(), match["words"])
    if record.kind == "utterance" and (match := _LABELLED.match(record.text)):
        return AttributedLine(match["who"], "", match["words"])
    return AttributedLine(record.who, "", record.text)


def _line_of_speaker(record: Record) -> AttributedLine:
    """The words of a record without the speaker's name before them."""
    head, rest = record.text[: len(record.who)], record.text[len(record.who) :]
    if head == record.who:
        if match := _AFTER_NAME.match(rest):
            return AttributedLine(record.who, (match["to"] or "").strip(), match["words"])
        if record.kind == "utterance" and rest.startswith(": "):
            return AttributedLine(record.who, "", rest[2:])
    return AttributedLine(record.who, "", record.text)


def is_grounded(fact: ExtractedFact, record: Record) -> bool:
    """Whether every word of the fact's subject and object occurs in the record's text, or in the
    name of its speaker or listener."""
    return grounding_check(record)(fact)


def grounding_check(record: Record) -> Callable[[ExtractedFact], bool]:
    """``is_grounded`` for many facts of one record, whose words are split once."""
    line = attributed_line(record)
    texts = [name_key(text) for text in (record.text, record.who, line.who, line.to)]
    words = {word for text in texts for word in text.split()}

    def check(fact: ExtractedFact) -> bool:
        wanted = [*name_key(fact.subject).split(), *name_key(fact.object).split()]
        return bool(name_key(fact.subject)) and all(
            # In a script without blanks a word lies within a run of characters.
            word in words or (is_unspaced(word[0]) and any(word in text for text in texts))
            for word in wanted
        )

    return check
