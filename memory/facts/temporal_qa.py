"""Questions about changed facts, answered from plain records: what was valid when."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from ...core import AgentId, Cue, MemoryFault, Record, Time
from ...core.text import MONTH_NAMES, MONTH_NUMBERS, name_key
from ..memory import Memory
from .extracted_facts import ExtractedFact, spoken_line
from .relations import lacks_object_kind, mask_name, relation_examples, relation_similarity
from .rule_extraction import extract_facts

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ..storage import EmbedFunction

# Tuned on phrasings kept apart from those that are measured (docs/log.md).
SOFTMAX_TEMPERATURE = 0.02
MAX_FIT_DROP = 0.55
MAX_FIT_DROP_OPEN = 0.15
# From the first likeness on a question may be of a known relation, from the second it is.
KNOWN_RELATION_RANGE = (0.4, 0.6)
# Below these the best record says nothing of what is asked.
MIN_FIT = 0.5
MIN_FIT_OPEN = 0.3
OBJECT_KIND_PENALTY = 0.15

_DAY = re.compile(
    rf"(?<!\s)\s*+,?\b(?:on|in|as of|by|at)\s+(?:(?P<day>\d{{1,2}})(?:st|nd|rd|th)? )?"
    rf"(?P<month>{'|'.join(MONTH_NAMES)}),? (?P<year>(?:19|20)\d\d)\b",
    re.IGNORECASE,
)
_CAPITALS = re.compile(r"[A-Z][\w’'.-]*(?: [A-Z][\w’'.-]*)*")
_ASKING = frozenset(
    re.findall(
        r"\w+",
        "where what which who whom whose when why how in at on is was are were does did do has "
        "had can could tell say behind under the from to of for name i",
    )
)


@dataclass(frozen=True, slots=True)
class TemporalAnswer:
    """The record that answers a question about a fact: the latest of those that state it at
    the asked time. ``value`` is what the rules read there (empty: nothing), ``others`` the
    records that state the same fact at other times, in order of validity."""

    record: Record
    since: Time
    value: str
    relation: str
    others: tuple[Record, ...]
    fit: float


@dataclass(frozen=True, slots=True)
class _Line:
    """A candidate: what it says with the asked name left out, and since when."""

    record: Record
    masked: str
    since: Time
    read: tuple[ExtractedFact, ...]


class TemporalQA:
    """Answers questions about facts that change from a memory's plain texts.

    Candidates are the records that name whom the question names. Which of them state the
    asked fact is told by likeness: their embedding, with the name left out, against that of
    the question, and against typical sentences for each relation; where the rules can read a
    record, they decide. Of those that state it, the latest before the asked time is the
    answer. Embeddings are kept by text, so each record is embedded once.
    """

    def __init__(self, memory: Memory, embed: EmbedFunction | None = None) -> None:
        """``embed`` as in Memory, whose own is used without it."""
        chosen = embed or memory.embed
        if chosen is None:
            raise MemoryFault(
                f"memory of {memory.agent}: questions about changed facts need an embedder; "
                "give Memory or Changing one (embed=...)"
            )
        self.memory = memory
        self._embed = chosen
        self._known: dict[str, NDArray[np.float32]] = {}

    def ask(
        self, question: str, *, as_of: Time | None = None, person: AgentId = ""
    ) -> TemporalAnswer | None:
        """The answer as of ``as_of`` (the day the question names, else now), from records
        that are for ``person``; None where the memory says nothing of it."""
        when = as_of or question_date(question)
        name = question_subject(question)
        lines = self._lines(name, person)
        if not lines:
            return None
        plain = mask_name(_DAY.sub("", question), name)
        same, relation, fits = self._same(plain, lines)
        held = [line for line in same if when is None or line.since <= when]
        if not held:
            return None
        ordered = sorted(held, key=lambda line: (line.since, line.record.created, line.record.id))
        best = ordered[-1]
        value = next((d.object for d in best.read if d.relation == relation), "")
        others = sorted(
            (line for line in same if line is not best),
            key=lambda line: (line.since, line.record.id),
        )
        return TemporalAnswer(
            record=best.record,
            since=best.since,
            value=value,
            relation=relation,
            others=tuple(line.record for line in others),
            fit=fits[best.record.id],
        )

    def _lines(self, name: str, person: AgentId) -> list[_Line]:

        # What has expired may have been true when it is asked about: nothing ends for this cue.
        every = Cue(text="", at=datetime.min, person=person, rules="paper")
        first = name.split()[0] if name else ""
        found = []
        for record in self.memory.candidates(every):
            # Cheap before dear: most records of a large memory are of others.
            if name and first not in record.text and first not in record.who:
                continue
            line = spoken_line(record)
            theirs = bool(name) and name_key(line.who) == name_key(name)
            if name and not theirs and not _names(record.text, name):
                continue
            read = tuple(d for d in extract_facts(record) if not name or _alike(d.subject, name))
            since = min((d.since for d in read if d.since), default=record.created)
            words = _as_other(line.words) if theirs else record.text
            found.append(_Line(record, mask_name(words, name), since, read))
        return found

    def _same(
        self, plain: str, lines: Sequence[_Line]
    ) -> tuple[list[_Line], str, dict[int, float]]:
        """The lines that state what is asked, the relation it is, and how well each fits."""
        import numpy as np

        names, groups = list(relation_examples()), self._groups()
        vectors = self._vectors([plain, *(line.masked for line in lines)])
        likeness = relation_similarity(vectors, groups)
        objects = [each.object for each in relation_examples().values()]
        likeness[1:] -= OBJECT_KIND_PENALTY * np.array(
            [lacks_object_kind(line.masked, objects) for line in lines]
        )
        shares = np.exp((likeness - likeness.max(axis=1, keepdims=True)) / SOFTMAX_TEMPERATURE)
        shares /= shares.sum(axis=1, keepdims=True)
        asked, told = shares[0], shares[1:]
        known = names[int(asked.argmax())]
        # How sure it is that a known relation is asked for: none of it, part of it, all.
        low, high = KNOWN_RELATION_RANGE
        sure = float(np.clip((likeness[0].max() - low) / (high - low), 0, 1)) if known else 0.0
        for place, line in enumerate(lines):
            if line.read:
                told[place] = [any(d.relation == name for d in line.read) for name in names]
        cosines = vectors[1:] @ vectors[0]
        fit = cosines + sure * (told @ asked)
        floor = float(fit.max()) - MAX_FIT_DROP_OPEN - sure * (MAX_FIT_DROP - MAX_FIT_DROP_OPEN)
        floor = max(floor, MIN_FIT_OPEN + sure * (MIN_FIT - MIN_FIT_OPEN))
        same = [line for line, value in zip(lines, fit) if value >= floor]
        relation = known if sure else ""
        return same, relation, {line.record.id: float(v) for line, v in zip(lines, fit)}

    def _groups(self) -> list[NDArray[np.float32]]:
        sentences = [each.sentences for each in relation_examples().values()]
        flat = self._vectors([text for texts in sentences for text in texts])
        found, place = [], 0
        for texts in sentences:
            found.append(flat[place : place + len(texts)])
            place += len(texts)
        return found

    def _vectors(self, texts: Sequence[str]) -> NDArray[np.float32]:
        import numpy as np

        if new := sorted({text for text in texts if text not in self._known}):
            self._known.update(zip(new, self._embed(new)))
        return np.stack([self._known[text] for text in texts])


def question_subject(question: str) -> str:
    """Whom a question is about: the first name in it; empty where it names nobody.

    >>> question_subject("Where did Ada Pell live on 3 March 2023?"), question_subject("What is Bo's
    job?")
    ('Ada Pell', 'Bo')
    """
    for found in _CAPITALS.findall(_DAY.sub("", question)):
        words = found.replace("’", "'").split()
        while words and words[0].casefold().strip(".") in _ASKING:
            words = words[1:]
        if words:
            return " ".join(words).removesuffix("'s").rstrip("'.")
    return ""


def question_date(question: str) -> Time | None:
    """The last moment of the day (or month) that a question names; None without one.

    >>> question_date("Where did Ada live on 3 March 2023?")
    datetime.datetime(2023, 3, 3, 23, 59, 59)
    """
    match = _DAY.search(question)
    if match is None:
        return None
    month = MONTH_NUMBERS[match["month"].lower()]
    year = int(match["year"])
    try:
        if match["day"]:
            after = datetime(year, month, int(match["day"])) + timedelta(days=1)
        else:
            after = datetime(year + month // 12, month % 12 + 1, 1)
    except ValueError:
        return None
    return after - timedelta(seconds=1)


def _as_other(words: str) -> str:
    """What one says of oneself, as another would say it."""
    words = re.sub(r"\bI(?:'m|’m| am)\b", "someone is", words)
    words = re.sub(r"\b[Mm]y\b", "someone's", words)
    return re.sub(r"\b(?:I|me)\b", "someone", words)


def _names(text: str, name: str) -> bool:
    return re.search(rf"\b{re.escape(name)}\b", text) is not None


def _alike(one: str, other: str) -> bool:
    ours, theirs = name_key(one).split(), name_key(other).split()
    shorter, longer = sorted((ours, theirs), key=len)
    return bool(shorter) and longer[: len(shorter)] == shorter
