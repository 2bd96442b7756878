"""What the page shows to each person in a live town: its conversation, its turn, who is near."""

from __future__ import annotations

from dataclasses import dataclass

from ...core import AgentId, Json
from ...simulation import Simulation, Tick


@dataclass(slots=True)
class _Floor:
    """Since when a person has held the floor of a conversation."""

    talk: str
    lines: int
    since: int


class VisitorViews:
    """The views of all people who walked in. ``update`` and ``note`` are called between two steps
    by the simulation's thread; any thread may read ``latest``."""

    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation
        self._floors: dict[AgentId, _Floor] = {}
        self.latest: dict[AgentId, Json] = {}

    def note(self, tick: Tick) -> None:
        """Take over who has got the floor in a step."""
        for who in self._simulation.people:
            talk = self._simulation.world.observe(who).talk
            if talk is None or talk.ended or talk.floor != who:
                self._floors.pop(who, None)
                continue
            floor = self._floors.get(who)
            if floor is None or (floor.talk, floor.lines) != (talk.id, len(talk.lines)):
                self._floors[who] = _Floor(talk.id, len(talk.lines), tick.step)
        for who in [who for who in self._floors if who not in self._simulation.people]:
            del self._floors[who]

    def update(self) -> dict[AgentId, Json]:
        """The view of each person by name, as of now."""
        self.latest = {who: self._view(who) for who in self._simulation.people}
        return self.latest

    def _view(self, who: AgentId) -> Json:
        seen = self._simulation.world.observe(who)
        intent = self._simulation.people[who]
        talk = seen.talk if seen.talk is not None and not seen.talk.ended else None
        view: dict[str, Json] = {
            "place": seen.place,
            "near": [
                {
                    "who": person.who,
                    "distance": person.distance,
                    "awake": person.awake,
                    "talking": person.talking,
                }
                for person in seen.people[:12]
            ],
            "unsaid": [line.text for line in intent.lines],
            "partner": intent.partner,
        }
        if talk is not None:
            view["talk"] = {
                "id": talk.id,
                "members": list(talk.members),
                "floor": talk.floor,
                "lines": [[line.who, line.text, line.at.isoformat()] for line in talk.lines],
            }
            floor = self._floors.get(who)
            if floor is not None:
                # The floor passes after `patience` steps in which nothing is said.
                patience = intent.patience
                view["turn_left"] = max(0, floor.since + 1 + patience - self._simulation.step)
        return view

    def notices(self, tick: Tick) -> dict[AgentId, list[str]]:
        """What people must be told of a step: refusals, and lines that will not be said."""
        notices: dict[AgentId, list[str]] = {}
        people = {*self._simulation.people, *self._simulation.unsaid}
        for event in tick.events:
            if event.kind == "refused" and event.subject in people:
                notices.setdefault(event.subject, []).append(event.text)
        for who, lines in self._simulation.unsaid.items():
            for text, why in lines:
                notices.setdefault(who, []).append(f"not said, since {why}: {text}")
        return notices
