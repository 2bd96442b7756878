"""A check that a world keeps the contract of ``World``, including the labels of actions.

Whoever drives an agent sets ``Action.sources`` and ``Action.audience``; a world must pass them on.
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
from ..models import random_instance
from .contract import Contract

DEFAULT_BODIES = (Body("Ana"), Body("Bo"), Body("Cy"))
CONTRACT = Contract("check_world", WorldError, "docs/your-own-world.md")

_ERRORS = (WorldError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
_UNKNOWN_ACTION = Action("no such verb", "nowhere")
_SOURCES = ("Somebody else",)
_SECRET = "quillonberry"

log = logging.getLogger(__name__)


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
    """Raise WorldError when a world breaks a clause of its contract, and name the clause.

    ``make`` builds the same empty world each time; ``bodies`` (at least two) enter it. ``script``
    lists the actions of each step; without one the bodies act for ``steps`` steps as the world
    affords, drawn with ``seed``. A world in which others see an activity without its ``sources``
    only logs a warning, since a Simulation adds them again.
    """
    if len(bodies) < 2:
        raise WorldError("check_world: give at least two bodies")
    check = _WorldCheck(make, tuple(bodies), start, timedelta(seconds=step_seconds))
    check.check_enter_leave()
    check.check_unknown_names()
    check.check_refusal()
    check.check_tell()
    rng = Seed.of(seed).child("check_world").rng()
    check.check_steps(script, len(script) if script is not None else steps, rng)
    check.check_labels()


class _WorldCheck:
    """The checks of one world."""

    def __init__(
        self, make: Callable[[], World], bodies: tuple[Body, ...], start: Time, step: timedelta
    ) -> None:
        self._make = make
        self._bodies = bodies
        self._names = tuple(body.who for body in bodies)
        self._start = start
        self._step_length = step

    def _new_world(self) -> World:
        world = self._make()
        for body in self._bodies:
            world.enter(body)
        return world

    def check_enter_leave(self) -> None:
        """Names are unique; a body that left is gone, and may return."""
        world = self._new_world()
        gone = self._bodies[0]
        _require_error("enter: a taken name raises WorldError", lambda: world.enter(gone))
        world.leave(gone.who)
        _require_error("leave: who left cannot observe", lambda: world.observe(gone.who))
        for who in self._names[1:]:
            CONTRACT.require(
                all(person.who != gone.who for person in world.observe(who).people),
                "leave: nobody sees who left",
                f"{who} still sees {gone.who}",
            )
        world.enter(gone)
        CONTRACT.require(
            world.observe(gone.who).who == gone.who, "enter: who left may come back", gone.who
        )

    def check_unknown_names(self) -> None:
        world, nobody = self._new_world(), "nobody at all"
        clause = "an unknown name raises WorldError"
        _require_error(f"observe: {clause}", lambda: world.observe(nobody))
        _require_error(f"affordances: {clause}", lambda: world.affordances(nobody))
        _require_error(f"leave: {clause}", lambda: world.leave(nobody))
        actions = {nobody: Action("wait")}
        _require_error(f"step: {clause}", lambda: world.step(actions, self._start, (nobody,)))
        news = Event("news", "it", "is", "so", "it is so")
        _require_error(f"tell: {clause}", lambda: world.tell(news, (nobody,)))

    def check_refusal(self) -> None:
        """An action that is not afforded is refused; only the body that tried it notices."""
        world, clause = self._new_world(), "step: what is not afforded becomes a refused event"
        first, rest = self._names[0], self._names[1:]
        actions = dict.fromkeys(rest, Action("wait")) | {first: _UNKNOWN_ACTION}
        try:
            result = world.step(actions, self._start, self._names)
        except _ERRORS as error:
            raise CONTRACT.violation(clause, f"it raised {error!r}") from error
        CONTRACT.require(_is_refused(result.seen[first]), clause, "no notice of it")
        CONTRACT.require(
            any(event.kind == "refused" for event in result.events), clause, "not an event"
        )
        for who in rest:
            waits = not _is_refused(result.seen[who])
            CONTRACT.require(waits, "step: waiting is never refused", f"{who}'s was")

    def check_tell(self) -> None:
        """An event from outside is noticed by those it is for, until their next step."""
        world, clause = self._new_world(), "tell: those in 'to' notice it until their next step"
        first, second = self._names[:2]
        news = Event("news", "the mayor", "brings", "news", "the mayor brings news")
        world.tell(news, (first,))
        CONTRACT.require(
            news in world.observe(first).notices, clause, "it is not among the notices"
        )
        CONTRACT.require(
            news not in world.observe(second).notices, clause, "somebody else noticed it"
        )
        world.step({first: Action("wait")}, self._start, self._names)
        CONTRACT.require(news not in world.observe(first).notices, clause, "it is noticed twice")

    # -- steps -----------------------------------------------------------------------------

    def check_steps(
        self, script: Sequence[Mapping[AgentId, Action]] | None, steps: int, rng: Random
    ) -> None:
        """Three worlds go through the same steps; one of them is saved and loaded before each."""
        world, twin, loaded = self._new_world(), self._new_world(), self._new_world()
        for number in range(steps):
            at = self._start + number * self._step_length
            for who in self._names:
                self._check_observation(world, who)
            actions = self._draw_actions(world, rng) if script is None else script[number]
            order = tuple(rng.sample(self._names, len(self._names)))
            saved_text = _saved_text(world)
            saved = world.save()
            result = world.step(actions, at, order)
            CONTRACT.require(
                json.dumps(saved, sort_keys=True) == saved_text,
                "save: a saved state stands by itself",
                f"step {number} changed it",
            )
            self._check_result(world, result, actions, at)
            # The twin gets the same actions in the opposite order.
            twin_result = twin.step(dict(reversed(list(actions.items()))), at, order)
            CONTRACT.require(
                twin_result == result and _saved_text(twin) == _saved_text(world),
                "step: deterministic, and conflicts are settled by order alone",
                f"step {number} differs between two equal worlds",
            )
            self._check_save_load(loaded, saved_text, world, result, (actions, at, order))
            loaded = self._make() if number % 2 else self._new_world()

    def _draw_actions(self, world: World, rng: Random) -> dict[AgentId, Action]:
        """Afforded actions; sometimes only one body acts."""
        acting = self._names if rng.random() < 0.8 else (rng.choice(self._names),)
        actions = {}
        for who in acting:
            offered = list(world.affordances(who))
            # The verb is drawn first, so that talking is not lost among hundreds of places.
            verb = rng.choice(sorted({affordance.verb for affordance in offered}))
            chosen = rng.choice([affordance for affordance in offered if affordance.verb == verb])
            actions[who] = Action(chosen.verb, chosen.target, _planner_fields(chosen))
        return actions

    def _check_observation(self, world: World, who: AgentId) -> None:
        before = _saved_text(world)
        observation, offered = world.observe(who), world.affordances(who)
        CONTRACT.require(
            world.observe(who) == observation
            and world.affordances(who) == offered
            and _saved_text(world) == before,
            "observe and affordances change nothing",
            f"looking twice as {who} differs",
        )
        clause = "observe: returns the view of the body asked for"
        CONTRACT.require(observation.who == who, clause, f"{who} got {observation.who}'s")
        verbs = [affordance.verb for affordance in offered]
        CONTRACT.require(
            "wait" in verbs,
            "affordances: wait is always offered",
            f"{who} may only {', '.join(verbs) or 'do nothing'}",
        )
        pairs = {(affordance.verb, affordance.target) for affordance in offered}
        is_unique = len(pairs) == len(offered)
        CONTRACT.require(is_unique, "affordances: each is offered once", f"{who} has one twice")
        self._check_planner_verbs(who, offered)
        attention = next(body.attention for body in self._bodies if body.who == who)
        CONTRACT.require(
            len(observation.events) <= attention,
            "observe: at most attention events",
            f"{who} perceives {len(observation.events)}",
        )
        CONTRACT.require(
            all(event.kind != "doing" or event.subject != who for event in observation.events)
            and all(person.who != who for person in observation.people),
            "observe: nobody perceives itself",
            who,
        )

    def _check_planner_verbs(self, who: AgentId, offered: Sequence[Affordance]) -> None:
        clause = "affordances: a verb that planners look for takes the fields they give"
        for affordance in offered:
            given = PLANNER_VERBS.get(affordance.verb)
            if given is None:
                continue
            schema = affordance.fields if isinstance(affordance.fields, dict) else {}
            for name in schema.get("required", ()):
                CONTRACT.require(
                    name in given, clause, f"'{affordance.verb}' requires '{name}' of {who}"
                )
            if affordance.verb in ("talk", "join"):
                is_other = affordance.target in self._names and affordance.target != who
                aimed = "affordances: talk and join are aimed at another body"
                CONTRACT.require(is_other, aimed, affordance.target)

    def _check_result(
        self, world: World, result: StepResult, actions: Mapping[AgentId, Action], at: Time
    ) -> None:
        CONTRACT.require(
            set(result.seen) == set(actions), "step: seen has exactly who acts", str(at)
        )
        for who, observation in result.seen.items():
            CONTRACT.require(
                observation == world.observe(who),
                "step: seen equals what observe returns afterwards",
                f"{who} at {at}",
            )
            CONTRACT.require(
                observation.at >= at, "observe: time does not run backwards", f"{who} at {at}"
            )
        if len(actions) == 1:
            (who,) = actions
            CONTRACT.require(
                not _is_refused(result.seen[who]),
                "step: what is afforded to one who acts alone is not refused",
                f"{who}: {actions[who].verb} {actions[who].target}",
            )

    def _check_save_load(
        self,
        loaded: World,
        saved_text: str,
        world: World,
        result: StepResult,
        step: tuple[Mapping[AgentId, Action], Time, tuple[AgentId, ...]],
    ) -> None:
        """``loaded`` gets the state before a step, and must then go on like ``world``."""
        clause = "save and load: a loaded world goes on as the saved one"
        loaded.load(json.loads(saved_text))
        CONTRACT.require(
            _saved_text(loaded) == saved_text, clause, "saving again gives something else"
        )
        CONTRACT.require(loaded.step(*step) == result, clause, f"the step at {step[1]} differs")
        is_equal = _saved_text(loaded) == _saved_text(world)
        CONTRACT.require(is_equal, clause, f"the state after {step[1]} differs")
        for who in self._names:
            is_equal = loaded.observe(who) == world.observe(who)
            CONTRACT.require(
                is_equal and loaded.affordances(who) == world.affordances(who),
                clause,
                f"{who} sees or may do something else",
            )

    # -- labels ----------------------------------------------------------------------------

    def check_labels(self) -> None:
        """Lines and activities keep the sources and the audience of their actions, as far as the
        world lets bodies talk and act."""
        for first in self._names:
            for second in self._names:
                if first != second:
                    others = tuple(who for who in self._names if who not in (first, second))
                    world = self._new_world()
                    _UtteranceCheck(world, self._names, self._start, self._step_length).check(
                        first, second, others
                    )
        self._check_activity_sources()

    def _check_activity_sources(self) -> None:
        """Warn when an activity is perceived, by others or by the body itself, without sources."""
        for who in self._names:
            world = self._new_world()
            fields: Json = {"doing": f"singing of the {_SECRET}"}
            target = next((a.target for a in world.affordances(who) if a.verb == "act"), None)
            if target is None:
                continue
            others = [name for name in self._names if name != who]
            actions = dict.fromkeys(others, Action("wait"))
            actions[who] = Action("act", target, fields, _SOURCES)
            world.step(actions, self._start, self._names)
            observation = world.observe(who)
            seen = [sources for name in others for sources in _sources_seen(world.observe(name))]
            seen += [set(observation.sources)] if _SECRET in observation.doing else []
            if any(not set(_SOURCES) <= sources for sources in seen):
                log.warning(
                    "check_world: observe: what is seen of an activity names the sources of its "
                    "action: %s's are lost; see %s",
                    who,
                    CONTRACT.reference,
                )
                return


class _UtteranceCheck:
    """Two bodies talk; the others overhear them or join."""

    def __init__(
        self, world: World, names: tuple[AgentId, ...], start: Time, step: timedelta
    ) -> None:
        self._world = world
        self._names = names
        self._at = start
        self._step_length = step
        self._events: tuple[Event, ...] = ()

    def _step(self, who: AgentId, action: Action) -> bool:
        """Let a body act while the others wait, if its action is afforded; whether it was."""
        offered = self._world.affordances(who)
        if all((a.verb, a.target) != (action.verb, action.target) for a in offered):
            return False
        actions = dict.fromkeys(self._names, Action("wait")) | {who: action}
        self._events = self._world.step(actions, self._at, self._names).events
        self._at += self._step_length
        return True

    def check(self, first: AgentId, second: AgentId, others: tuple[AgentId, ...]) -> None:
        """``first`` says a line for ``second`` alone."""
        self._step(first, Action("talk", second))
        private = Action("say", "", {"text": f"It is the {_SECRET}."}, _SOURCES, (first, second))
        if not self._step(first, private):
            return
        clause = "step: a line carries the sources and the audience of its action"
        talk = self._world.observe(second).talk
        line = talk.lines[-1] if talk and talk.lines else None
        if line is not None and _SECRET in line.text:
            label = (set(line.sources), set(line.audience))
            CONTRACT.require(label == (set(_SOURCES), {first, second}), clause, f"it has {label}")
        said = [event for event in self._events if _SECRET in event.text]
        is_labelled = all(set(_SOURCES) <= set(event.sources) for event in said)
        CONTRACT.require(
            is_labelled, "step: what happens names the sources of its action", f"{said}"[:300]
        )
        self._check_unheard(others, "at once")
        for other in others:
            if self._step(other, Action("join", second)):
                self._check_unheard((other,), "when it has joined the conversation")
                self._reload()
                self._check_unheard((other,), "when it has joined, and the world was loaded")
        if line is not None:
            self._check_loaded_label(second, Label(line.sources, line.audience))

    def _check_unheard(self, others: tuple[AgentId, ...], when: str) -> None:
        for other in others:
            is_heard = _SECRET in f"{self._world.observe(other)}"
            clause = "observe: a line that is for others is not heard"
            CONTRACT.require(not is_heard, clause, f"{other} hears it {when}")

    def _reload(self) -> None:
        self._world.load(json.loads(json.dumps(self._world.save())))

    def _check_loaded_label(self, second: AgentId, label: Label) -> None:
        """The line keeps its label when the world is saved and loaded."""
        self._reload()
        talk = self._world.observe(second).talk
        for line in talk.lines if talk else ():
            if _SECRET in line.text:
                is_kept = Label(line.sources, line.audience) == label
                CONTRACT.require(is_kept, "save and load: lines keep their labels", f"{line}"[:300])


def _sources_seen(observation: Observation) -> Iterator[set[str]]:
    """The sources of everything that an observation shows of the secret activity."""
    for event in (*observation.events, *observation.notices):
        if _SECRET in f"{event}":
            yield set(event.sources)
    for person in observation.people:
        if _SECRET in person.doing:
            yield set(person.sources)


def _saved_text(world: World) -> str:
    """The saved state as JSON text. Anything that JSON does not restore is a violation."""
    return CONTRACT.require_json(world.save(), "save: gives JSON")


def _planner_fields(affordance: Affordance) -> Json:
    """The fields that a planner gives with an affordance; for other verbs any valid fields."""
    given = PLANNER_VERBS.get(affordance.verb)
    if given is None or not isinstance(affordance.fields, dict):
        return random_instance(affordance.fields, b"") if affordance.fields else {}
    known = affordance.fields.get("properties", {})
    return {name: value for name, value in given.items() if name in known}


def _is_refused(observation: Observation) -> bool:
    return any(event.kind == "refused" for event in observation.notices)


def _require_error(clause: str, call: Callable[[], object]) -> None:
    try:
        call()
    except WorldError:
        return
    except _ERRORS as error:
        raise CONTRACT.violation(clause, f"it raised {error!r}") from error
    raise CONTRACT.violation(clause, "nothing was raised")
