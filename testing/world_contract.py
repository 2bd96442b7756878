"""A check that anybody's world keeps the contract of ``core.World``.

The clauses of a world's contract about labels: whose words a deed rests on, for whom a line is.

See ``core.Action``: whoever drives a mind sets them, and a world passes them on.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from random import Random

from ..core import (
    PLANNER_VERBS,
    Action,
    Affordance,
    AgentId,
    Body,
    Event,
    Json,
    Label,
    Observation,
    Seed,
    StepResult,
    Time,
    World,
    WorldError,
    check_arguments,
)

DEFAULT_BODIES = (Body("Ana"), Body("Bo"), Body("Cy"))
_FAULTS = (WorldError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
_UNKNOWN_ACTION = Action("no such verb", "nowhere")


@check_arguments
def check_world(
    make: Callable[[], World],
    script: Sequence[Mapping[AgentId, Action]] | None = None,
    *,
    bodies: Sequence[Body] = DEFAULT_BODIES,
    steps: int = 60,
    start: Time = datetime(2000, 1, 1),
    step_seconds: int = 60,
    seed: int = 0,
) -> None:
    """Fail when a world breaks a clause of the protocol, and name the clause.

    ``make`` builds the same empty world each time; ``bodies`` (at least two) enter it.
    ``script`` says who does what at each step; without one they do for ``steps`` steps what
    the world affords them, drawn with ``seed``. Raises WorldError.
    """
    if len(bodies) < 2:
        raise WorldError("check_world: give at least two bodies")
    check = _ContractCheck(make, tuple(bodies), start, timedelta(seconds=step_seconds))
    check.check_enter_leave()
    check.check_unknown_names()
    check.check_refusal()
    check.check_tell()
    rng = Seed.of(seed).child("check_world").rng()
    check.check_steps(script, len(script) if script is not None else steps, rng)
    check_world_labels(check.fresh, check.names, start, check.tick)


class _ContractCheck:
    """One world under examination."""

    def __init__(
        self, make: Callable[[], World], bodies: tuple[Body, ...], start: Time, tick: timedelta
    ) -> None:
        self._make = make
        self._bodies = bodies
        self.names = tuple(body.who for body in bodies)
        self._start = start
        self.tick = tick

    def fresh(self) -> World:
        """A world that all have entered."""
        world = self._make()
        for body in self._bodies:
            world.enter(body)
        return world

    def check_enter_leave(self) -> None:
        """Clauses about enter and leave."""
        world = self.fresh()
        gone = self._bodies[0]
        _must_refuse("enter: a taken name raises WorldError", lambda: world.enter(gone))
        world.leave(gone.who)
        _must_refuse("leave: who left cannot observe", lambda: world.observe(gone.who))
        for who in self.names[1:]:
            _require(
                all(one.who != gone.who for one in world.observe(who).people),
                "leave: nobody sees who left",
                f"{who} still sees {gone.who}",
            )
        world.enter(gone)
        _require(world.observe(gone.who).who == gone.who, "enter: who left may come back", gone.who)

    def check_unknown_names(self) -> None:
        """Clauses about names the world does not know."""
        world, nobody = self.fresh(), "nobody at all"
        clause = "an unknown name raises WorldError"
        _must_refuse(f"observe: {clause}", lambda: world.observe(nobody))
        _must_refuse(f"affordances: {clause}", lambda: world.affordances(nobody))
        _must_refuse(f"leave: {clause}", lambda: world.leave(nobody))
        step = {nobody: Action("wait")}
        _must_refuse(f"step: {clause}", lambda: world.step(step, self._start, (nobody,)))
        news = Event("news", "it", "is", "so", "it is so")
        _must_refuse(f"tell: {clause}", lambda: world.tell(news, (nobody,)))

    def check_refusal(self) -> None:
        """An action that is not afforded is refused, to who tried it and to nobody else."""
        world, clause = self.fresh(), "step: what is not afforded becomes a refused event"
        first, rest = self.names[0], self.names[1:]
        actions = dict.fromkeys(rest, Action("wait")) | {first: _UNKNOWN_ACTION}
        try:
            turn = world.step(actions, self._start, self.names)
        except _FAULTS as error:
            raise _violation(clause, f"it raised {error!r}") from error
        _require(_refused(turn.seen[first]), clause, "no notice of it")
        _require(any(event.kind == "refused" for event in turn.events), clause, "not in the turn")
        for who in rest:
            _require(not _refused(turn.seen[who]), "step: waiting is never refused", f"{who}'s was")

    def check_tell(self) -> None:
        """News reaches those it is for, once."""
        world, clause = self.fresh(), "tell: those told notice it until their next step"
        first, second = self.names[:2]
        news = Event("news", "the mayor", "brings", "news", "the mayor brings news")
        world.tell(news, (first,))
        _require(news in world.observe(first).notices, clause, "it is not among the notices")
        _require(news not in world.observe(second).notices, clause, "somebody else noticed it")
        world.step({first: Action("wait")}, self._start, self.names)
        _require(news not in world.observe(first).notices, clause, "it is noticed twice")

    def check_steps(
        self, script: Sequence[Mapping[AgentId, Action]] | None, steps: int, rng: Random
    ) -> None:
        """Clauses about every step: three worlds live alike, one of them saved and loaded."""
        world, twin, heir = self.fresh(), self.fresh(), self.fresh()
        for number in range(steps):
            at = self._start + number * self.tick
            for who in self.names:
                self._check_observation(world, who)
            actions = self._draw_actions(world, rng) if script is None else script[number]
            order = tuple(rng.sample(self.names, len(self.names)))
            kept = _saved_text(world)
            state = world.save()
            turn = world.step(actions, at, order)
            _require(
                json.dumps(state, sort_keys=True) == kept,
                "save: a saved state stands by itself",
                f"step {number} changed it",
            )
            self._check_step_result(world, turn, actions, at)
            # The twin gets the same actions, put together the other way round.
            again = twin.step(dict(reversed(list(actions.items()))), at, order)
            _require(
                again == turn and _saved_text(twin) == _saved_text(world),
                "step: deterministic, and conflicts are settled by order alone",
                f"step {number} differs between two equal worlds",
            )
            self._check_save_load(heir, kept, world, turn, (actions, at, order))
            heir = self._make() if number % 2 else self.fresh()

    def _draw_actions(self, world: World, rng: Random) -> dict[AgentId, Action]:
        """What the bodies do: at times only one of them acts."""
        acting = self.names if rng.random() < 0.8 else (rng.choice(self.names),)
        actions = {}
        for who in acting:
            can = list(world.affordances(who))
            # Verbs first, so that talk is not lost among hundreds of places to go.
            verb = rng.choice(sorted({one.verb for one in can}))
            one = rng.choice([one for one in can if one.verb == verb])
            actions[who] = Action(one.verb, one.target, _planner_fields(one))
        return actions

    def _check_observation(self, world: World, who: AgentId) -> None:
        before = _saved_text(world)
        seen, can = world.observe(who), world.affordances(who)
        _require(
            world.observe(who) == seen
            and world.affordances(who) == can
            and _saved_text(world) == before,
            "observe and affordances change nothing",
            f"looking twice as {who} differs",
        )
        _require(seen.who == who, "observe: shows who looks", f"{who} got {seen.who}'s")
        _require(
            any(one.verb == "wait" for one in can),
            "affordances: wait is always there",
            f"{who} may only {', '.join(one.verb for one in can) or 'do nothing'}",
        )
        pairs = [(one.verb, one.target) for one in can]
        _require(
            len(set(pairs)) == len(pairs),
            "affordances: each is there once",
            f"{who} has one twice",
        )
        self._check_planner_verbs(who, can)
        attention = next(body.attention for body in self._bodies if body.who == who)
        _require(
            len(seen.events) <= attention,
            "observe: at most attention events",
            f"{who} takes in {len(seen.events)}",
        )
        _require(
            all(event.kind != "doing" or event.subject != who for event in seen.events)
            and all(one.who != who for one in seen.people),
            "observe: nobody perceives itself",
            who,
        )

    def _check_planner_verbs(self, who: AgentId, can: Sequence[Affordance]) -> None:
        """Verbs that planners look for can be done as planners do them."""
        clause = "affordances: a verb that planners look for takes the fields they give"
        for one in can:
            given = PLANNER_VERBS.get(one.verb)
            if given is None:
                continue
            for name in one.fields.get("required", ()) if isinstance(one.fields, dict) else ():
                _require(name in given, clause, f"'{one.verb}' requires '{name}' of {who}")
            if one.verb in ("talk", "join"):
                known = one.target in self.names and one.target != who
                _require(known, "affordances: talk and join are aimed at another body", one.target)

    def _check_step_result(
        self, world: World, turn: StepResult, actions: Mapping[AgentId, Action], at: Time
    ) -> None:
        _require(set(turn.seen) == set(actions), "step: exactly those who act see", str(at))
        for who, seen in turn.seen.items():
            _require(
                seen == world.observe(who),
                "step: seen is what observe gives afterwards",
                f"{who} at {at}",
            )
            _require(seen.at >= at, "observe: time does not run backwards", f"{who} at {at}")
        if len(actions) == 1:
            (who,) = actions
            _require(
                not _refused(turn.seen[who]),
                "step: what is afforded to one who acts alone is not refused",
                f"{who}: {actions[who].verb} {actions[who].target}",
            )

    def _check_save_load(
        self,
        heir: World,
        kept: str,
        world: World,
        turn: StepResult,
        step: tuple[Mapping[AgentId, Action], Time, tuple[AgentId, ...]],
    ) -> None:
        clause = "save and load: a loaded world goes on as the saved one"
        heir.load(json.loads(kept))
        _require(_saved_text(heir) == kept, clause, "saving again gives something else")
        _require(heir.step(*step) == turn, clause, f"the step at {step[1]} differs")
        _require(
            _saved_text(heir) == _saved_text(world), clause, f"the state after {step[1]} differs"
        )
        for who in self.names:
            same = heir.observe(who) == world.observe(who)
            _require(
                same and heir.affordances(who) == world.affordances(who),
                clause,
                f"{who} sees or may do something else",
            )


def _saved_text(world: World) -> str:
    """The saved state as text; anything that JSON does not give back as it was is a fault."""
    state = world.save()
    try:
        text = json.dumps(state, sort_keys=True, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise _violation("save: gives JSON", str(error)) from error
    _require(json.loads(text) == state, "save: gives JSON", "reading it back gives something else")
    return text


def _planner_fields(one: Affordance) -> Json:
    """The fields that a planner gives with an affordance; any that fit for other verbs."""
    given = PLANNER_VERBS.get(one.verb)
    if given is None or not isinstance(one.fields, dict):
        return _instance_of(one.fields)
    known = one.fields.get("properties", {})
    return {name: value for name, value in given.items() if name in known}


def _instance_of(schema: Json) -> Json:
    """Fields that satisfy the simple schemas worlds use."""
    if not isinstance(schema, dict) or not schema:
        return {}
    if "enum" in schema:
        return schema["enum"][0]
    kind = schema.get("type", "object")
    if kind == "object":
        wanted = schema.get("required", [])
        return {name: _instance_of(schema["properties"][name]) for name in wanted}
    samples: dict[str, Json] = {
        "string": "something",
        "boolean": False,
        "integer": schema.get("minimum", 1),
        "number": schema.get("minimum", 1),
        "array": [],
        "null": None,
    }
    return samples[kind]


def _refused(seen: Observation) -> bool:
    return any(event.kind == "refused" for event in seen.notices)


def _must_refuse(clause: str, call: Callable[[], object]) -> None:
    try:
        call()
    except WorldError:
        return
    except _FAULTS as error:
        raise _violation(clause, f"it raised {error!r}") from error
    raise _violation(clause, "nothing was raised")


def _require(kept: bool, clause: str, detail: str) -> None:
    if not kept:
        raise _violation(clause, detail)


def _violation(clause: str, detail: str) -> WorldError:
    return WorldError(
        f"check_world: {clause}: {detail}; see core/protocols/world_protocol.py, World"
    )


log = logging.getLogger(__name__)

_SOURCES = ("Somebody else",)
_SECRET = "quillonberry"


def check_world_labels(
    fresh: Callable[[], World], names: tuple[AgentId, ...], start: Time, tick: timedelta
) -> None:
    """Raises WorldError, naming the clause, for a world that loses ``sources`` or ``audience``
    of a line. What a world does not let bodies do is not looked at. One in which others see a
    deed without its ``sources`` is warned of: outside of a Simulation, which puts them on again,
    what an agent does on a stranger's word passes there for its own idea."""
    for first in names:
        for second in names:
            if first != second:
                others = tuple(who for who in names if who not in (first, second))
                _UtteranceCheck(fresh(), names, start, tick).check(first, second, others)
    _check_activity_sources(fresh, names, start)


class _UtteranceCheck:
    """Two talk, and a third listens or comes up."""

    def __init__(
        self, world: World, names: tuple[AgentId, ...], start: Time, tick: timedelta
    ) -> None:
        self._world = world
        self._names = names
        self._at = start
        self._tick = tick

    def _step(self, **actions: Action) -> bool:
        """Who is named acts so where that is afforded; whether it was."""
        for who, action in actions.items():
            if not _afforded(self._world, who, action):
                return False
        waiting = dict.fromkeys(self._names, Action("wait"))
        self._events = self._world.step({**waiting, **actions}, self._at, self._names).events
        self._at += self._tick
        return True

    def check(self, first: AgentId, second: AgentId, others: tuple[AgentId, ...]) -> None:
        """A line for one alone, and one for all."""
        self._step(**{first: Action("talk", second)})
        private = Action("say", "", {"text": f"It is the {_SECRET}."}, _SOURCES, (first, second))
        if not self._step(**{first: private}):
            return
        clause = "step: a line carries the sources and the audience of its action"
        talk = self._world.observe(second).talk
        line = talk.lines[-1] if talk and talk.lines else None
        if line is not None and _SECRET in line.text:
            kept = (set(line.sources), set(line.audience))
            _require_label(kept == (set(_SOURCES), {first, second}), clause, f"it has {kept}")
        said = [one for one in self._events if _SECRET in one.text]
        told = all(set(_SOURCES) <= set(one.sources) for one in said)
        _require_label(told, "step: what happens names the sources of its action", f"{said}")
        self._check_unheard(others, "at once")
        for other in others:
            if self._step(**{other: Action("join", second)}):
                self._check_unheard((other,), "when it has joined the conversation")
                self._world.load(json.loads(json.dumps(self._world.save())))
                self._check_unheard((other,), "when it has joined, and the world was loaded")
        if line is not None:
            self._check_save_load(second, Label(line.sources, line.audience))

    def _check_unheard(self, others: tuple[AgentId, ...], when: str) -> None:
        for other in others:
            seen = self._world.observe(other)
            clause = "observe: a line that is for others is not heard"
            _require_label(_SECRET not in f"{seen}", clause, f"{other} hears it {when}")

    def _check_save_load(self, second: AgentId, label: Label) -> None:
        """The label is there after the world was saved and loaded."""
        self._world.load(json.loads(json.dumps(self._world.save())))
        talk = self._world.observe(second).talk
        for line in talk.lines if talk else ():
            if _SECRET in line.text:
                clause = "save and load: lines keep their labels"
                _require_label(Label(line.sources, line.audience) == label, clause, f"{line}")


def _check_activity_sources(
    fresh: Callable[[], World], names: tuple[AgentId, ...], start: Time
) -> None:
    """What is seen of a deed, by others and by who does it, names on whose words it rests."""
    clause = "observe: what is seen of a deed names the sources of its action"
    for who in names:
        world = fresh()
        fields: Json = {"doing": f"singing of the {_SECRET}"}
        for one in world.affordances(who):
            if one.verb == "act":
                deed = Action("act", one.target, fields, _SOURCES)
                others = {other: Action("wait") for other in names if other != who}
                world.step({who: deed, **others}, start, names)
                own = world.observe(who)
                told = [told for other in others for told in _sources_seen(world.observe(other))]
                told += [set(own.sources)] if _SECRET in own.doing else []
                if any(not set(_SOURCES) <= one for one in told):
                    log.warning(
                        "check_world: %s: %s's are lost; see core/protocols/world_protocol.py, "
                        "Action",
                        clause,
                        who,
                    )
                    return
                break


def _sources_seen(seen: Observation) -> Iterator[set[str]]:
    """The sources of all that somebody sees of the deed."""
    for event in (*seen.events, *seen.notices):
        if _SECRET in f"{event}":
            yield set(event.sources)
    for one in seen.people:
        if _SECRET in one.doing:
            yield set(one.sources)


def _afforded(world: World, who: AgentId, action: Action) -> bool:
    offered = world.affordances(who)
    return any((one.verb, one.target) == (action.verb, action.target) for one in offered)


def _require_label(kept: bool, clause: str, detail: str) -> None:
    if not kept:
        raise WorldError(
            f"check_world: {clause}: {detail:.300}; see core/protocols/world_protocol.py, Action"
        )
