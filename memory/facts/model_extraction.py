"""Fact extraction by a model, for many records in one batch, not during recall.

A small model fills a whole form badly (8 of 40 facts were right) but chooses well. So the relation
is chosen first, by how well example sentences explain the line; then the model picks subject and
object under a schema whose enums contain only words of the line.
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
from .extracted_facts import AttributedLine, ExtractedFact, attributed_line, is_grounded
from .relations import mask_name, relation_examples

MIN_PROBABILITY = 0.5
"""If the chosen relation is less probable, no fact is extracted."""
MAX_SPAN_WORDS = 4
"""Longest candidate object in words."""
_WORD = re.compile(r"(?<![\w'’.@+-])[\w'’.@+-]*\w")
_NAMES = re.compile(r"[A-Z][\w’'-]*(?: [A-Z][\w’'-]*)*")
_EDGE_WORDS = frozenset(
    {"a", "an", "the", "of", "to", "in", "at", "on", "is", "and", "for", "with", "by"}
)
_SENTENCE_OPENERS = frozenset(
    re.findall(r"\w+", "I It The If On In At After These There My He She We They You When For")
)
_EXAMPLES = (
    ("Mila resides in Oslo since spring.", "lives in", "Mila", "Oslo"),
    ("They made Otto head cook at last.", "works as", "Otto", "head cook"),
)


def extract_facts_with_model(
    records: Sequence[Record], relations: Sequence[str] = ()
) -> Thought[tuple[ExtractedFact, ...]]:
    """The facts that a model extracts from records, at most one per record, asked in parallel.

    ``relations`` are the relations to look for (default: all with examples). Facts with words that
    are not in the record are dropped. Write the result with ``Facts.learn(records, facts)``.
    """
    facts = yield from all_of([_extract_fact(record, tuple(relations)) for record in records])
    return tuple(fact for fact in facts if fact is not None)


def _extract_fact(record: Record, relations: tuple[str, ...]) -> Thought[ExtractedFact | None]:
    line = attributed_line(record)
    names = candidate_subjects(line)
    if not names:
        return None
    allowed = [
        name for name in relation_examples() if not name or not relations or name in relations
    ]
    choice = yield from choose(
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
    if not isinstance(choice, Choice) or choice.probabilities[choice.index] < MIN_PROBABILITY:
        return None
    relation = allowed[choice.index]
    objects = filter_objects(candidate_objects(line), relation_examples()[relation].object, names)
    if not relation or not objects:
        return None
    completion = yield from generate(_generate_ask(line, relation, names, objects))
    data = completion.data if isinstance(completion, Completion) else None
    if not isinstance(data, dict):
        return None
    fact = ExtractedFact(
        subject=str(data.get("subject", "")),
        relation=relation,
        object=str(data.get("object", "")),
        source=record.id,
        confidence=0.5,
    )
    overlap = fact.object in fact.subject or fact.subject in fact.object
    return fact if not overlap and is_grounded(fact, record) else None


def _generate_ask(
    line: AttributedLine, relation: str, names: Sequence[str], objects: Sequence[str]
) -> Generate:
    examples: list[Message] = []
    for words, example_relation, subject, object_ in _EXAMPLES:
        examples.append(_user_message(words, example_relation))
        answer = f'{{"subject": "{subject}", "object": "{object_}"}}'
        examples.append(Message.of("assistant", answer))
    return Generate(
        messages=(
            Message.of("system", "Find in the line who and what the relation holds for."),
            *examples,
            _user_message(line.words, relation),
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


def _user_message(words: str, relation: str) -> Message:
    return Message.of("user", f"Line: {words}\nRelation: {relation}")


def candidate_subjects(line: AttributedLine) -> tuple[str, ...]:
    """Possible subjects of a line: the names in it, and its speaker if it says "I" or "my".

    >>> candidate_subjects(AttributedLine("", "", "Call Ada Pell, or ask Bo."))
    ('Ada Pell', 'Call Ada Pell', 'Bo')
    """
    names: list[str] = []
    if line.who and re.search(r"\b(?:I|[Mm]y)\b", line.words):
        names.append(line.who)
    for name in _NAMES.findall(line.words):
        plain = name.removesuffix("'s").removesuffix("’s")
        first, _, rest = plain.partition(" ")
        if " " in rest:  # The first word may open the sentence instead of being a name.
            names.append(rest)
        names.append(rest if rest and first in _SENTENCE_OPENERS else plain)
    return tuple(dict.fromkeys(name for name in names if name not in _SENTENCE_OPENERS))


def candidate_objects(line: AttributedLine) -> tuple[str, ...]:
    """Possible objects of a line: runs of up to four words without function words at their ends.

    >>> candidate_objects(AttributedLine("", "", "Ada moved to Porto."))
    ('Ada', 'Ada moved', 'Ada moved to Porto', 'moved', 'moved to Porto', 'Porto')
    """
    spans: dict[str, None] = {}
    matches = list(_WORD.finditer(line.words))
    for first in range(len(matches)):
        for last in range(first, min(first + MAX_SPAN_WORDS, len(matches))):
            text = line.words[matches[first].start() : matches[last].end()]
            if re.search(r"[.,;:!?] ", text):
                break
            edges = {matches[first][0].lower(), matches[last][0].lower()}
            # "the Mill" is an object, "at the Mill" is not.
            ends_badly = matches[last][0].lower() in _EDGE_WORDS
            if not (edges - {"the", "a", "an"}) & _EDGE_WORDS and not ends_badly:
                spans.setdefault(text)
    return tuple(spans)


def filter_objects(spans: Sequence[str], kind: str, names: Sequence[str]) -> tuple[str, ...]:
    """The spans that can be an object of a kind: longest runs of capitalised words for "name",
    spans that end in a word with a digit for "number", neither for "plain". The likeliest subject,
    ``names[0]``, is excluded.

    >>> filter_objects(["the Mill", "Mill", "Ada", "room", "room 4", "4"], "name", ["Ada"])
    ('the Mill',)
    >>> filter_objects(["the Mill", "Mill", "Ada", "room", "room 4", "4"], "number", ["Ada"])
    ('room 4', '4')
    """
    words = {span: [w for w in span.split() if w not in ("the", "a", "an")] for span in spans}
    if kind == "number":
        return tuple(s for s, ws in words.items() if any(c.isdigit() for c in ws[-1]))
    if kind == "name":
        runs = [s for s, ws in words.items() if ws and all(w[:1].isupper() for w in ws)]
        runs = [s for s in runs if s.removeprefix("the ") not in names[:1]]
        return tuple(s for s in runs if not any(s != other and s in other for other in runs))
    plain = [s for s, ws in words.items() if ws and not any(w[:1].isupper() for w in ws)]
    return (
        tuple(s for s in plain if not any(c.isdigit() for c in s))
        if kind == "plain"
        else tuple(s for s in spans if not any(name in s for name in names[:1]))
    )
