"""What somebody seems to have said: a claim's parts before it is written."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from ...core import AgentId, Record, RecordId, Time, is_unspaced
from ...core.text import name_key


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtractedFact:
    """A fact found in a record's text. ``since`` is when it began, where the text says so;
    ``replaces`` that it stands in for what held before (for relations that hold for several
    objects at a time)."""

    subject: str
    relation: str
    object: str
    source: RecordId
    since: Time | None = None
    denies: bool = False
    replaces: bool = False
    confidence: float = 0.9


@dataclass(frozen=True, slots=True)
class SpokenLine:
    """The words of a record: who speaks (empty: nobody known), to whom, and what."""

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


def spoken_line(record: Record) -> SpokenLine:
    """Who says what in a record: a quoted line, a labelled line, or its plain text. A record
    that says whose it is is theirs, whomever its text names.

    >>> from datetime import datetime
    >>> told = 'Ada spoken_line to Bo: "I moved."'
    >>> spoken_line(Record(id=1, kind="utterance", text=told, created=datetime(2023, 1, 1)))
    Said(who='Ada', to='Bo', words='I moved.')
    >>> spoken_line(Record(id=1, kind="utterance", text=told, created=datetime(2023, 1, 1),
    who="Eve"))
    Said(who='Eve', to='', words='Ada said to Bo: "I moved."')
    """
    thing = record.kind == "observation" and ":" in record.who
    if record.who and not thing:
        return _said_by(record)
    if found := _QUOTED.match(record.text):
        return SpokenLine(found["who"].strip(), (found["to"] or "").strip(), found["words"])
    if record.kind == "utterance" and (found := _LABELLED.match(record.text)):
        return SpokenLine(found["who"], "", found["words"])
    return SpokenLine(record.who, "", record.text)


def _said_by(record: Record) -> SpokenLine:
    """The words of a record without its own name before them."""
    head, rest = record.text[: len(record.who)], record.text[len(record.who) :]
    if head == record.who:
        if found := _AFTER_NAME.match(rest):
            return SpokenLine(record.who, (found["to"] or "").strip(), found["words"])
        if record.kind == "utterance" and rest.startswith(": "):
            return SpokenLine(record.who, "", rest[2:])
    return SpokenLine(record.who, "", record.text)


def is_grounded(draft: ExtractedFact, record: Record) -> bool:
    """Whether the record's own words hold the draft: every word of its object and subject
    occurs there, the subject's also as the one who speaks or is spoken to."""
    return grounding_check(record)(draft)


def grounding_check(record: Record) -> Callable[[ExtractedFact], bool]:
    """``is_grounded`` for many drafts of one record, whose words are read once."""
    line = spoken_line(record)
    texts = [name_key(text) for text in (record.text, record.who, line.who, line.to)]
    words = {word for text in texts for word in text.split()}

    def test(draft: ExtractedFact) -> bool:
        wanted = [*name_key(draft.subject).split(), *name_key(draft.object).split()]
        return bool(name_key(draft.subject)) and all(
            # Where a script has no blanks a word stands within a run of characters.
            word in words or (is_unspaced(word[0]) and any(word in text for text in texts))
            for word in wanted
        )

    return test
