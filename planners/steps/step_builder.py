"""A decision in the making: the state to carry on and the memories made on the way."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from ...core import (
    Action,
    Anchor,
    Decision,
    Embed,
    Event,
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

# Rated examples in the manner of Park et al. 2023, appendix A ("brushing teeth" ... "a break
# up"), in our own words and spread over the range.
IMPORTANCE_ANCHORS = (
    Anchor(1, "brushing teeth, making the bed, a table that stands there unused"),
    Anchor(2, "walking down the street, having an ordinary breakfast"),
    Anchor(4, "chatting with a neighbour about the weather and work"),
    Anchor(6, "being invited to a celebration, making plans with a friend"),
    Anchor(8, "confessing love, learning a friend's painful secret, losing one's work"),
    Anchor(10, "a break-up, a wedding, the death of somebody close"),
)
# Characters of a memory that are rated and embedded: it is kept whole, but pages that somebody
# pasted would take minutes to read, and fit no window.
MAX_RATED_CHARS = 600
MAX_EMBEDDED_CHARS = 4_000


def identity_text(situation: Situation, *, plain: bool = False) -> str:
    """The persona's identity as prompts show it; changes only when ``currently`` does.
    ``plain``: as the persona has it, whatever the mind is at."""
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
    """Collects what a step of one agent will write. Lives inside one ``build``."""

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
        """Replace fields of the state to carry on."""
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
    ) -> RecordId:
        """Make a memory; with ``importance`` None it is rated when the draft settles.

        It is for ``audience`` (empty: for everybody), and for nobody for whom its evidence
        is not: what follows from a confidence is one. ``rests_on`` is what alone it rests on, a
        part of what the thought was given; without it it rests on all of that."""
        basis = tuple(evidence)
        number = self.state.records + 1
        self.update_state(records=number)
        self._records.append(
            Record(
                id=number,
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
                    (audience, *(record.audience for record in basis)),
                    self.situation.persona.name,
                ),
                episode=episode,
            )
        )
        if importance is None:
            self._unrated.add(number)
        if rests_on:
            self._rests_on[number] = rests_on
        return number

    def mark_used(self, records: Iterable[Record]) -> None:
        """Mark memories as used, so that their last access becomes now."""
        self._used.extend(record.id for record in records if record.id not in self._used)

    def explain(self, why: str) -> None:
        """Add a sentence to the explanation of this step."""
        self._why.append(why)

    def finalize(self) -> Thought[None]:
        """Rate what is unrated and embed all new memories, side by side."""
        if not self._records:
            return
        unrated = [record for record in self._records if record.id in self._unrated]
        ratings, vectors = yield from together(
            all_of([self._rate_importance(record) for record in unrated]),
            embed(Embed(texts=tuple(record.text[:MAX_EMBEDDED_CHARS] for record in self._records))),
        )
        rated = {record.id: value for record, value in zip(unrated, ratings, strict=True)}
        self._records = [
            replace(record, importance=rated.get(record.id, record.importance))
            for record in self._records
        ]
        if isinstance(vectors, Vectors):
            for record, row in zip(self._records, vectors.array(), strict=True):
                self._embedded[record.id] = tuple(float(value) for value in row)
        self._lower_reflection_counter()

    def finalize_without_asks(self) -> None:
        """Close the draft without any ask: unrated memories keep importance 1."""
        self._lower_reflection_counter()

    def _lower_reflection_counter(self) -> None:
        # What is for some people only does not bring reflection on, which shows.
        counted = (one for one in self._records if one.kind != "plan" and not one.audience)
        total = sum(record.importance for record in counted)
        self.update_state(reflect_left=self.state.reflect_left - total)
        self._unrated.clear()

    def _rate_importance(self, record: Record) -> Thought[float]:
        text = excerpt(record.text, "", MAX_RATED_CHARS)
        # What is said to rest on less is rated by no more: how it was rated is seen.
        who = identity_text(self.situation, plain=record.id in self._rests_on)
        ask = Rate(
            messages=render_prompt("importance", identity=who, memory=text),
            about=text,
            anchors=IMPORTANCE_ANCHORS,
            role="importance",
        )
        answer = yield from rate(ask)
        # An unrated memory is an ordinary one: it must neither vanish nor trigger reflection.
        return round(answer.value, 2) if isinstance(answer, Rating) else 3.0

    def build(self, action: Action, why: str = "") -> Decision:
        """Finish the draft. What the world does not offer now is not done: see
        ``to_offered_action``."""
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
