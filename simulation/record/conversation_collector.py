"""Assembles conversations from the events of a run."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from ...core import AgentId, Json


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedConversation:
    """A conversation of a run from step ``start`` to step ``end``; ``lines`` are (step, speaker,
    text)."""

    id: str
    start: int
    end: int
    members: tuple[AgentId, ...]
    place: str = ""
    lines: tuple[tuple[int, AgentId, str], ...] = ()


@dataclass(slots=True)
class _OpenConversation:
    start: int
    place: str
    end: int
    members: list[AgentId] = field(default_factory=list)
    lines: list[tuple[int, AgentId, str]] = field(default_factory=list)


class ConversationCollector:
    """Collects conversations from events, step by step; ``all`` returns them in order.

    >>> talks = ConversationCollector()
    >>> talks.add_events(3, [{"kind": "talk", "subject": "Bo", "predicate": "talks to",
    ...     "object": "Ann", "text": "", "place": "t:inn"}])
    >>> talks.add_events(4, [{"kind": "said", "subject": "Bo", "predicate": "says", "object": "Ann",
    ...     "text": 'Bo says to Ann: "Hm."', "place": "t:inn"}])
    >>> talks.all[0].members, talks.all[0].lines
    (('Bo', 'Ann'), ((4, 'Bo', 'Hm.'),))
    """

    def __init__(self) -> None:
        self._talks: list[_OpenConversation] = []
        self._of: dict[AgentId, _OpenConversation] = {}

    def add_events(self, step: int, events: Iterable[Json]) -> None:
        """Add the events of a step, in order."""
        for event in events:
            if event["kind"] == "talk":
                self._turn(step, event)
            elif event["kind"] == "said" and event["subject"] in self._of:
                talk = self._of[event["subject"]]
                talk.lines.append((step, event["subject"], _quoted(event["text"])))
                talk.end = step

    def _turn(self, step: int, event: Json) -> None:
        who, predicate = event["subject"], event["predicate"]
        if predicate == "leaves" or predicate.startswith("ends"):
            talk = self._of.pop(who, None)
            if talk is not None:
                talk.end = step
            return
        others = _split_names(event["object"])
        talk = next((self._of[name] for name in others if name in self._of), None)
        if talk is None:
            talk = _OpenConversation(step, event["place"], step)
            self._talks.append(talk)
        for name in (who, *others):
            if name not in talk.members:
                talk.members.append(name)
            self._of[name] = talk

    @property
    def all(self) -> tuple[RecordedConversation, ...]:
        """The conversations so far, by start; those without a line are left out."""
        return tuple(
            RecordedConversation(
                id=str(number),
                start=talk.start,
                end=talk.end,
                members=tuple(talk.members),
                place=talk.place,
                lines=tuple(talk.lines),
            )
            for number, talk in enumerate(self._talks, 1)
            if talk.lines
        )


def _quoted(text: str) -> str:
    return text.partition(': "')[2].removesuffix('"') or text


def _split_names(listed: str) -> list[AgentId]:
    """Split a list of names as worlds write it, "A, B and C".

    >>> _split_names("A, B and C")
    ['A', 'B', 'C']
    """
    first, _, last = listed.rpartition(" and ")
    return [*(name for name in first.split(", ") if name), last]
