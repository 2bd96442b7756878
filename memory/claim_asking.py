"""Facts read out of records by a model, under a schema, many records at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..core import Completion, Generate, Message, Record, Thought, all_of, generate, schema_of
from .claim_drafts import Draft, grounded, said
from .claim_rules import shapes
from .claim_view import relation_key

EXAMPLES = (
    (
        "Mila resides in Oslo since spring.",
        '{"subject": "Mila", "relation": "lives in", "object": "Oslo"}',
    ),
    (
        "Otto was made head cook.",
        '{"subject": "Otto", "relation": "works as", "object": "head cook"}',
    ),
    ("It rained all day.", '{"subject": "", "relation": "nothing", "object": ""}'),
)
NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class Fact:
    """What the model is asked for: one fact of a line, or ``relation`` "nothing"."""

    subject: str
    relation: str
    object: str


def relations() -> tuple[str, ...]:
    """The relations a model chooses from: those that the rules know by name."""
    names = {relation.lstrip("+-") for relation, _ in shapes()}
    return (*sorted(name for name in names if "*" not in name), "favourite food", NOTHING)


def asks(records: Sequence[Record], names: Sequence[str] = ()) -> tuple[Generate, ...]:
    """One ask for each record, to be answered in a batch off the hot path; the shared
    beginning of the prompts is read once."""
    allowed = list(names or relations())
    schema = schema_of(Fact)
    properties = schema["properties"]
    properties["relation"] = {"type": "string", "enum": allowed}
    for part in ("subject", "object"):
        properties[part] = {"type": "string", "maxLength": 40}
    shown = [
        message
        for line, fact in EXAMPLES
        for message in (_line(line), Message.of("assistant", fact))
    ]
    head = Message.of(
        "system",
        "Write down the fact that the line states, in its own words. Relations: "
        + ", ".join(allowed),
    )
    return tuple(
        Generate(
            messages=(head, *shown, _line(said(record).words, said(record).who)),
            max_tokens=48,
            temperature=0.0,
            schema=schema,
            role="claims",
        )
        for record in records
    )


def _line(words: str, who: str = "") -> Message:
    return Message.of("user", f"{who}: {words}" if who else words)


def reading(records: Sequence[Record], names: Sequence[str] = ()) -> Thought[tuple[Draft, ...]]:
    """The facts a model reads out of records, all asked together.

    Only those that the record's own words hold are kept (``grounded``): give them to
    ``Claims.learn(records, drafts)``.
    """
    answers = yield from all_of([generate(ask) for ask in asks(records, names)])
    found = []
    for record, answer in zip(records, answers):
        fact = answer.read(Fact) if isinstance(answer, Completion) else None
        if not isinstance(fact, Fact) or fact.relation == NOTHING:
            continue
        draft = Draft(
            subject=fact.subject.strip(),
            relation=relation_key(fact.relation),
            object=fact.object.strip(" ."),
            source=record.id,
            confidence=0.5,
        )
        if draft.object and grounded(draft, record):
            found.append(draft)
    return tuple(found)
