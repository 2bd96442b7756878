"""Facts read out of records by a model, many records at once, off the hot path.

A small model fills a whole form badly (of 40 lines 8 facts were right) and chooses well. So
the relation is chosen first, by how well typical sentences explain the line, and subject and
object are then picked under a schema that allows only words of the line itself.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from ...core import (
    Choice,
    Choose,
    Completion,
    Generate,
    Message,
    Option,
    Record,
    Thought,
    all_of,
    choose,
    generate,
)
from .extracted_facts import ExtractedFact, SpokenLine, is_grounded, spoken_line
from .relations import mask_name, relation_examples

MIN_PROBABILITY = 0.5
"""Below this probability of the chosen relation nothing is read."""
MAX_SPAN_WORDS = 4
_WORD = re.compile(r"(?<![\w'’.@+-])[\w'’.@+-]*\w")
_NAMES = re.compile(r"[A-Z][\w’'-]*(?: [A-Z][\w’'-]*)*")
_EDGES = frozenset(
    {"a", "an", "the", "of", "to", "in", "at", "on", "is", "and", "for", "with", "by"}
)
_OPENINGS = frozenset(
    re.findall(r"\w+", "I It The If On In At After These There My He She We They You When For")
)
_EXAMPLES = (
    ("Mila resides in Oslo since spring.", "lives in", "Mila", "Oslo"),
    ("They made Otto head cook at last.", "works as", "Otto", "head cook"),
)


def extract_facts_with_model(
    records: Sequence[Record], relations: Sequence[str] = ()
) -> Thought[tuple[ExtractedFact, ...]]:
    """The facts a model reads out of records, all asked together.

    ``relations`` are those to look for (all with typical sentences by default). Only facts
    whose words the record itself holds are kept: give them to ``Claims.learn(records,
    drafts)``.
    """
    found = yield from all_of([_of_record(record, tuple(relations)) for record in records])
    return tuple(draft for draft in found if draft is not None)


def _of_record(record: Record, relations: tuple[str, ...]) -> Thought[ExtractedFact | None]:
    line = spoken_line(record)
    names = candidate_subjects(line)
    if not names:
        return None
    allowed = [
        name for name in relation_examples() if not name or not relations or name in relations
    ]
    picked = yield from choose(
        Choose(
            messages=(),
            options=tuple(
                Option(name or "nothing", " ".join(relation_examples()[name].sentences[:3]))
                for name in allowed
            ),
            about=mask_name(line.words, names[0]),
            role="claims",
        )
    )
    if not isinstance(picked, Choice) or picked.probabilities[picked.index] < MIN_PROBABILITY:
        return None
    relation = allowed[picked.index]
    objects = filter_objects(candidate_objects(line), relation_examples()[relation].object, names)
    if not relation or not objects:
        return None
    answer = yield from generate(_ask(line, relation, names, objects))
    parts = answer.data if isinstance(answer, Completion) else None
    if not isinstance(parts, dict):
        return None
    draft = ExtractedFact(
        subject=str(parts.get("subject", "")),
        relation=relation,
        object=str(parts.get("object", "")),
        source=record.id,
        confidence=0.5,
    )
    overlap = draft.object in draft.subject or draft.subject in draft.object
    return draft if not overlap and is_grounded(draft, record) else None


def _ask(line: SpokenLine, relation: str, names: Sequence[str], objects: Sequence[str]) -> Generate:
    shown: list[Message] = []
    for words, known, subject, thing in _EXAMPLES:
        shown.append(_asked(words, known))
        filled = f'{{"subject": "{subject}", "object": "{thing}"}}'
        shown.append(Message.of("assistant", filled))
    return Generate(
        messages=(
            Message.of("system", "Find in the line who and what the relation holds for."),
            *shown,
            _asked(line.words, relation),
        ),
        max_tokens=48,
        temperature=0.0,
        schema={
            "type": "object",
            "properties": {
                "subject": {"type": "string", "enum": list(names)},
                "object": {"type": "string", "enum": list(objects)},
            },
            "required": ["subject", "object"],
            "additionalProperties": False,
        },
        role="claims",
    )


def _asked(words: str, relation: str) -> Message:
    return Message.of("user", f"Line: {words}\nRelation: {relation}")


def candidate_subjects(line: SpokenLine) -> tuple[str, ...]:
    """Whom a line may speak of: the names in it, and its speaker where it says "I" or "my".

    >>> candidate_subjects(SpokenLine("", "", "Call Ada Pell, or ask Bo."))
    ('Ada Pell', 'Call Ada Pell', 'Bo')
    """
    found: list[str] = []
    if line.who and re.search(r"\b(?:I|[Mm]y)\b", line.words):
        found.append(line.who)
    for name in _NAMES.findall(line.words):
        plain = name.removesuffix("'s").removesuffix("’s")
        first, _, rest = plain.partition(" ")
        if " " in rest:  # The first may be no name but a word that opens the sentence.
            found.append(rest)
        found.append(rest if rest and first in _OPENINGS else plain)
    return tuple(dict.fromkeys(name for name in found if name not in _OPENINGS))


def candidate_objects(line: SpokenLine) -> tuple[str, ...]:
    """What may be an object: up to four words in a row, none at an edge that cannot be.

    >>> candidate_objects(SpokenLine("", "", "Ada moved to Porto."))
    ('Ada', 'Ada moved', 'Ada moved to Porto', 'moved', 'moved to Porto', 'Porto')
    """
    found: dict[str, None] = {}
    matches = list(_WORD.finditer(line.words))
    for first in range(len(matches)):
        for last in range(first, min(first + MAX_SPAN_WORDS, len(matches))):
            text = line.words[matches[first].start() : matches[last].end()]
            if re.search(r"[.,;:!?] ", text):
                break
            edges = {matches[first][0].lower(), matches[last][0].lower()}
            # "the Mill" is an object, "at the Mill" none.
            if not (edges - {"the", "a", "an"}) & _EDGES and matches[last][0].lower() not in _EDGES:
                found.setdefault(text)
    return tuple(found)


def filter_objects(found: Sequence[str], sort: str, names: Sequence[str]) -> tuple[str, ...]:
    """The spans that can be an object of that sort: longest runs of capitals for a name, what
    holds digits for a number, neither for plain words. The one who is spoken of is none.

    >>> filter_objects(["the Mill", "Mill", "Ada", "room", "room 4", "4"], "name", ["Ada"])
    ('the Mill',)
    >>> filter_objects(["the Mill", "Mill", "Ada", "room", "room 4", "4"], "number", ["Ada"])
    ('room 4', '4')
    """
    words = {span: [w for w in span.split() if w not in ("the", "a", "an")] for span in found}
    if sort == "number":
        return tuple(s for s, ws in words.items() if any(c.isdigit() for c in ws[-1]))
    if sort == "name":
        runs = [s for s, ws in words.items() if ws and all(w[:1].isupper() for w in ws)]
        runs = [s for s in runs if s.removeprefix("the ") not in names[:1]]
        return tuple(s for s in runs if not any(s != other and s in other for other in runs))
    plain = [s for s, ws in words.items() if ws and not any(w[:1].isupper() for w in ws)]
    return (
        tuple(s for s in plain if not any(c.isdigit() for c in s))
        if sort == "plain"
        else tuple(s for s in found if not any(name in s for name in names[:1]))
    )
