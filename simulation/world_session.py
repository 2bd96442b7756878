"""The world of a run between and within steps: agents' bodies, visitors, labels of sources."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..core import (
    Action,
    AgentId,
    AgentState,
    Body,
    Clock,
    Input,
    Json,
    Observation,
    Persona,
    Seed,
    StepResult,
    World,
)
from .action_sources import ActionSources
from .visitors import Visitors


class WorldSession:
    """Steps a World and holds all that a snapshot of it needs.

    ``bodies`` is the last recorded row of each body: [x, y, place, doing, emoji, target].
    """

    def __init__(self, world: World, clock: Clock, seed: Seed) -> None:
        self.world = world
        self.visitors = Visitors(world)
        self.bodies: dict[AgentId, Json] = {}
        self._clock = clock
        self._seed = seed
        self._sources = ActionSources()
        self._observations: dict[AgentId, Observation] = {}
        self.applied_step = -1  # the last step whose inputs were applied

    def enter(self, persona: Persona, start: tuple[int, int] | None) -> None:
        """Let the body of an agent enter, on the tile ``start`` if given."""
        senses = (persona.vision, persona.attention, persona.knows)
        self.world.enter(Body(persona.name, persona.home, start, *senses))

    def check_input(self, given: Input, before: Sequence[Input] = ()) -> None:
        """Raises SettingError for an input that cannot happen in this world now, after the
        accepted inputs ``before``."""
        self.visitors.check(given, before=before)
        self._observations.clear()

    def apply_inputs(self, step: int, inputs: Sequence[Input]) -> None:
        """Apply the inputs of a step once, even if the step is repeated after an approval."""
        if self.applied_step < step and self._apply(inputs):
            self._observations.clear()
        self.applied_step = step

    def _apply(self, inputs: Sequence[Input]) -> bool:
        for given in inputs:
            if given.kind == "leave":
                # Who comes back is shown anew, even at the same spot.
                self.bodies.pop(given.who, None)
        return self.visitors.apply(inputs)

    def observe(self, who: AgentId) -> Observation:
        """What an agent observes, with the sources of all that it sees."""
        observation = self._observations.get(who) or self.world.observe(who)
        return self._sources.add_sources(observation)

    def step(self, step: int, actions: Mapping[AgentId, Action]) -> StepResult:
        """Let agents and visitors act. Conflicts are settled in an order drawn for the step."""
        order = sorted(actions)
        self._seed.child("order", step).rng().shuffle(order)
        result = self.world.step(actions, self._clock.at(step), tuple(order))
        self._sources.record_step(actions, result)
        self._observations = dict(result.seen)
        return result

    def changed_bodies(
        self, result: StepResult, states: Mapping[AgentId, AgentState]
    ) -> dict[AgentId, Json]:
        """The rows of ``bodies`` that a step changed; ``states`` are the agents' states."""
        changed = {}
        for who, observation in result.seen.items():
            x, y = observation.position or (None, None)
            entry = states[who].doing if who in states else None
            emoji = entry.emoji if entry else ""
            row = [x, y, observation.place, observation.doing, emoji, observation.target]
            if self.bodies.get(who) != row:
                changed[who] = self.bodies[who] = row
        return changed

    def redo(self, entry: Json, inputs: Sequence[Input]) -> None:
        """Repeat a committed step from its journal entry."""
        self._apply(inputs)
        self.visitors.actions()
        self.bodies.update(entry["bodies"])
        actions = {who: action_from_json(parts) for who, parts in entry["actions"].items()}
        self.step(entry["step"], actions)

    def save(self) -> Json:
        """A snapshot: everything between steps that is not in an agent's state or memory."""
        people = self.visitors.walk_ins.save()
        return {
            "world": self.world.save(),
            "guests": self.visitors.save(),
            "deeds": self._sources.save(),
            "shown": dict(self.bodies),
            **({"walked_in": people} if people else {}),
        }

    def load(self, snapshot: Json) -> None:
        """Restore what ``save`` returned."""
        self.world.load(snapshot["world"])
        self.visitors.load(snapshot["guests"])
        self.visitors.walk_ins.load(snapshot.get("walked_in", {}))
        self._sources.load(snapshot.get("deeds", {}))
        self.bodies = snapshot["shown"]


def action_to_json(action: Action) -> list[Json]:
    """An action as a row of a journal entry."""
    row: list[Json] = [action.verb, action.target, action.fields]
    if action.sources or action.audience:
        row += [list(action.sources), list(action.audience)]
    return row


def action_from_json(row: list[Json]) -> Action:
    """The action that ``action_to_json`` returned as ``row``."""
    verb, target, fields, *label = row
    return Action(verb, target, fields, *map(tuple, label))
