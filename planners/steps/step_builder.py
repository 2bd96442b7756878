"""StepBuilder: collects the next agent state and the new records of one planner step."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from ...core import (
    Action,
    Anchor,
    Decision,
    Embed,
    Event,
    Message,
    Rate,
    Rating,
    Record,
    RecordId,
    RecordKind,
    Situation,
    Thought,
    ThoughtInput,
    Vectors,
    all_of,
    embed,
    intersect_audiences,
    rate,
    together,
)
from ..text import excerpt
from .prompt_templates import render_prompt
from .world_actions import to_offered_action

# Examples with ratings, in the manner of Park et al. 2023, appendix A, spread over the range.
IMPORTANCE_ANCHORS = (
    Anchor(1, "brushing teeth, making the bed, a table that stands there unused"),
    Anchor(2, "walking down the street, having an ordinary breakfast"),
    Anchor(4, "chatting with a neighbour about the weather and work"),
    Anchor(6, "being invited to a celebration, making plans with a friend"),
    Anchor(8, "confessing love, learning a friend's painful secret, losing one's work"),
    Anchor(10, "a break-up, a wedding, the death of somebody close"),
)
# Longest excerpt of a record that is rated, and longest prefix that is embedded: a record is
# stored whole, but pasted pages would exceed the context window.
MAX_RATED_CHARS = 600
MAX_EMBEDDED_CHARS = 4_000


def identity_text(situation: Situation, *, plain: bool = False) -> str:
    """The persona as a block of lines for prompts. It changes only with ``currently``, so that
    the engine can reuse its cached prefix. With ``plain`` the agent's state is ignored."""
    persona = situation.persona
    currently = "" if plain else situation.state.currently
    currently = currently or persona.currently
    return "\n".join(
        line
        for line in (
            f"Name: {persona.name} (age {persona.age})",
            f"Character: {persona.traits}" if persona.traits else "",
            persona.background,
            currently,
            persona.lifestyle,
        )
        if line
    )


class StepBuilder:
    """Collects the next state, the new records and the explanation of one agent's step.

    Created at the beginning of ``Planner.decide``; ``finalize`` rates and embeds the records,
    and ``build`` returns the Decision. ``state`` is the state as changed so far."""

    def __init__(self, situation: Situation) -> None:
        self.situation = situation
        self.state = situation.state
        self._records: list[Record] = []
        self._unrated: set[RecordId] = set()
        self._embedded: dict[RecordId, tuple[float, ...]] = {}
        self._used: list[RecordId] = []
        self._why: list[str] = []
        self._rests_on: dict[RecordId, tuple[ThoughtInput, ...]] = {}

    def update_state(self, **fields: Any) -> None:
        """Replace fields of the next agent state."""
        self.state = replace(self.state, **fields)

    def add_record(
        self,
        kind: RecordKind,
        text: str,
        *,
        who: str = "",
        importance: float | None = None,
        evidence: Iterable[Record] = (),
        event: Event | None = None,
        audience: tuple[str, ...] = (),
        episode: str = "",
        rests_on: tuple[ThoughtInput, ...] = (),
        zone: str = "",
    ) -> RecordId:
        """Add a record and return its id; with ``importance`` None ``finalize`` rates it.

        Its audience is ``audience`` (empty: everybody) intersected with the audiences of its
        ``evidence``. ``rests_on`` names the inputs that the record depends on; without it, it
        depends on all inputs of the step. ``zone`` is the time zone of who says it."""
        basis = tuple(evidence)
        record_id = self.state.records + 1
        self.update_state(records=record_id)
        self._records.append(
            Record(
                id=record_id,
                kind=kind,
                text=text,
                created=self.situation.now,
                who=who or self.situation.persona.name,
                importance=1.0 if importance is None else importance,
                evidence=tuple(record.id for record in basis),
                depth=1 + max(record.depth for record in basis) if basis else 0,
                place=self.situation.seen.place,
                subject=event.subject if event else "",
                predicate=event.predicate if event else "",
                object=event.object if event else "",
                audience=intersect_audiences(
                    (audience, *(record.audience for record in basis)), self.situation.persona.name
                ),
                episode=episode,
                zone=zone,
            )
        )
        if importance is None:
            self._unrated.add(record_id)
        if rests_on:
            self._rests_on[record_id] = rests_on
        return record_id

    def prompt(self, template: str, **values: str | Sequence[str]) -> tuple[Message, ...]:
        """The messages of a prompt template with the persona's identity and first name."""
        values.setdefault("name", self.situation.persona.first_name)
        return render_prompt(template, identity=identity_text(self.situation), **values)

    def mark_used(self, records: Iterable[Record]) -> None:
        """Mark records as used: their last access becomes the time of this step."""
        self._used.extend(record.id for record in records if record.id not in self._used)

    def explain(self, why: str) -> None:
        """Add a sentence to the explanation of this step."""
        self._why.append(why)

    def finalize(self) -> Thought[None]:
        """Rate the unrated records and embed all new ones, in parallel."""
        if not self._records:
            return
        unrated = [record for record in self._records if record.id in self._unrated]
        ratings, vectors = yield from together(
            all_of([self._rate_importance(record) for record in unrated]),
            embed(Embed(texts=tuple(record.text[:MAX_EMBEDDED_CHARS] for record in self._records))),
        )
        importance = {record.id: value for record, value in zip(unrated, ratings, strict=True)}
        self._records = [
            replace(record, importance=importance.get(record.id, record.importance))
            for record in self._records
        ]
        if isinstance(vectors, Vectors):
            for record, row in zip(self._records, vectors.array(), strict=True):
                self._embedded[record.id] = tuple(float(value) for value in row)
        self._lower_reflection_counter()

    def finalize_without_asks(self) -> None:
        """Close the step without asking a model: unrated records keep importance 1."""
        self._lower_reflection_counter()

    def _lower_reflection_counter(self) -> None:
        # Records with an audience do not count: a reflection would be visible to others.
        total = sum(
            record.importance
            for record in self._records
            if record.kind != "plan" and not record.audience
        )
        self.update_state(reflect_left=self.state.reflect_left - total)
        self._unrated.clear()

    def _rate_importance(self, record: Record) -> Thought[float]:
        text = excerpt(record.text, "", MAX_RATED_CHARS)
        # A record that depends on fewer inputs must not be rated by more: its rating is visible.
        who = identity_text(self.situation, plain=record.id in self._rests_on)
        ask = Rate(
            messages=render_prompt("importance", identity=who, memory=text),
            about=text,
            anchors=IMPORTANCE_ANCHORS,
            role="importance",
        )
        answer = yield from rate(ask)
        # If the rating fails, the record counts as ordinary: neither forgotten nor important.
        return round(answer.value, 2) if isinstance(answer, Rating) else 3.0

    def build(self, action: Action, why: str = "") -> Decision:
        """The Decision of this step. An action that the world does not offer is replaced, as
        ``to_offered_action`` does."""
        if why:
            self.explain(why)
        return Decision(
            action=to_offered_action(action, self.situation.can),
            state=self.state,
            records=tuple(self._records),
            embedded=self._embedded,
            used=tuple(self._used),
            why=" ".join(self._why),
            rests_on=self._rests_on,
        )
