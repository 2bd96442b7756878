"""check_world: our worlds pass, and a world broken in one way is caught for that."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

import networkx as nx
import pytest
from denizens.core import (
    Action,
    Affordance,
    Body,
    Event,
    IllegalAction,
    Json,
    Observation,
    StepResult,
    Time,
    World,
    WorldError,
)
from denizens.testing import check_world
from denizens.world import Places, Town, ascii_map

START = datetime(2000, 1, 1)
LEGEND = {"h": "house:hall", "b": "house:hall:bed", "k": "house:kitchen", "o": "house:kitchen:oven"}
MAP = ascii_map("#########\n#hhb#kok#\n#hhhhkkk#\n#########", LEGEND)


def town() -> World:
    """A small town."""
    return Town(MAP, start=START, step_seconds=60, most_lines=4)


def village() -> World:
    """Four places on a path."""
    graph = nx.path_graph(["mill", "inn", "square", "church"])
    graph.nodes["inn"]["objects"] = ["bar"]
    return Places(graph, start=START, step_seconds=60, sight=1)


@pytest.mark.parametrize("make", [town, village])
def test_our_worlds_keep_the_contract(make: type[World]) -> None:
    """Town and Places pass the check that everybody's world must pass."""
    check_world(make, seed=3)


def test_a_script_is_followed() -> None:
    """With a script the check plays exactly that."""
    check_world(town, [{"Ana": Action("talk", "Bo")}, {"Ana": Action("say", "", {"text": "Hi"})}])
    with pytest.raises(WorldError, match="acts alone is not refused"):
        check_world(town, [{"Ana": Action("say", "", {"text": "Hi"})}])


class Broken:
    """A town that keeps the contract; its children break one clause each."""

    def __init__(self) -> None:
        self.town = town()
        self.steps = 0

    def enter(self, body: Body) -> None:
        self.town.enter(body)

    def leave(self, who: str) -> None:
        self.town.leave(who)

    def observe(self, who: str) -> Observation:
        return self.town.observe(who)

    def affordances(self, who: str) -> tuple[Affordance, ...]:
        return self.town.affordances(who)

    def step(self, actions: Mapping[str, Action], at: Time, order: tuple[str, ...]) -> StepResult:
        self.steps += 1
        return self.town.step(actions, at, order)

    def tell(self, event: Event, to: tuple[str, ...] = ()) -> None:
        self.town.tell(event, to)

    def save(self) -> Json:
        return self.town.save()

    def load(self, state: Json) -> None:
        self.town.load(state)


class NoWaiting(Broken):
    def affordances(self, who: str) -> tuple[Affordance, ...]:
        return tuple(one for one in self.town.affordances(who) if one.verb != "wait")


class TwiceOffered(Broken):
    def affordances(self, who: str) -> tuple[Affordance, ...]:
        return self.town.affordances(who) * 2


class Watched(Broken):
    """Looking changes the state."""

    looks = 0

    def observe(self, who: str) -> Observation:
        self.looks += 1
        return self.town.observe(who)

    def save(self) -> Json:
        return {**self.town.save(), "looks": self.looks}


class Whimsical(Broken):
    """Every world made differs from the one before."""

    made = 0

    def __init__(self) -> None:
        super().__init__()
        Whimsical.made += 1
        self.mine = Whimsical.made

    def step(self, actions: Mapping[str, Action], at: Time, order: tuple[str, ...]) -> StepResult:
        turn = self.town.step(actions, at, order)
        return StepResult(turn.seen, (*turn.events, Event("news", "x", "is", str(self.mine), "x")))


class Favouring(Broken):
    """Conflicts are settled by how the mapping was put together."""

    def step(self, actions: Mapping[str, Action], at: Time, order: tuple[str, ...]) -> StepResult:
        return self.town.step(actions, at, tuple(actions))


class Forgetful(Broken):
    """A saved state lacks what was said."""

    def save(self) -> Json:
        state = self.town.save()
        for one in state["bodies"]:
            one["doing"] = ""
        return state


class Amnesiac(Broken):
    """Loading does nothing."""

    def load(self, state: Json) -> None:
        return None


class Shared(Broken):
    """What was saved is the living state itself."""

    def __init__(self) -> None:
        super().__init__()
        self.log: list[int] = []

    def step(self, actions: Mapping[str, Action], at: Time, order: tuple[str, ...]) -> StepResult:
        self.log.append(len(self.log))
        return self.town.step(actions, at, order)

    def save(self) -> Json:
        return {**self.town.save(), "log": self.log}

    def load(self, state: Json) -> None:
        self.log = list(state["log"])
        self.town.load(state)


class NotJson(Broken):
    def save(self) -> Json:
        return {**self.town.save(), "places": ("a", "b")}


class Strict(Broken):
    """What is not afforded is raised instead of refused."""

    def step(self, actions: Mapping[str, Action], at: Time, order: tuple[str, ...]) -> StepResult:
        for action in actions.values():
            if action.verb == "no such verb":
                raise IllegalAction("no such verb")
        return self.town.step(actions, at, order)


class Silent(Broken):
    """What is not afforded is passed over."""

    def step(self, actions: Mapping[str, Action], at: Time, order: tuple[str, ...]) -> StepResult:
        known = {w: Action("wait") if a.verb.startswith("no") else a for w, a in actions.items()}
        return self.town.step(known, at, order)


class Stale(Broken):
    """A turn shows what was seen before it."""

    def step(self, actions: Mapping[str, Action], at: Time, order: tuple[str, ...]) -> StepResult:
        before = {who: self.town.observe(who) for who in actions}
        turn = self.town.step(actions, at, order)
        if any(action.verb == "no such verb" for action in actions.values()):
            return turn
        return StepResult(before, turn.events)


class Gossip(Broken):
    """A turn shows the eyes of those who did not act, too."""

    def step(self, actions: Mapping[str, Action], at: Time, order: tuple[str, ...]) -> StepResult:
        turn = self.town.step(actions, at, order)
        return StepResult({who: self.town.observe(who) for who in order}, turn.events)


class Haunted(Broken):
    """Who left is still seen."""

    def leave(self, who: str) -> None:
        self.town.observe(who)
        self.ghost = who

    def observe(self, who: str) -> Observation:
        if getattr(self, "ghost", None) == who:
            raise WorldError("gone")
        return self.town.observe(who)


class Deaf(Broken):
    def tell(self, event: Event, to: tuple[str, ...] = ()) -> None:
        if "nobody at all" in to:
            raise WorldError("nobody")


class Loud(Broken):
    """News for one reach all."""

    def tell(self, event: Event, to: tuple[str, ...] = ()) -> None:
        self.town.tell(event, to)
        if to:
            self.town.tell(event)


class Open(Broken):
    """A name can be taken twice."""

    def enter(self, body: Body) -> None:
        try:
            self.town.enter(body)
        except WorldError:
            return


class Vain(Broken):
    """One perceives oneself."""

    def observe(self, who: str) -> Observation:
        seen = self.town.observe(who)
        mine = Event("doing", who, "is", seen.doing, f"{who} is {seen.doing}")
        return replace(seen, events=(mine, *seen.events[:7]))

    def step(self, actions: Mapping[str, Action], at: Time, order: tuple[str, ...]) -> StepResult:
        turn = self.town.step(actions, at, order)
        return StepResult({who: self.observe(who) for who in turn.seen}, turn.events)


class Overwhelming(Broken):
    """More is seen than attention allows."""

    def observe(self, who: str) -> Observation:
        seen = self.town.observe(who)
        more = Event("object", "dust", "is", "idle", "dust is idle")
        return replace(seen, events=(*seen.events, *(more,) * 9))


class Careless(Broken):
    """Strangers raise whatever comes."""

    def observe(self, who: str) -> Observation:
        try:
            return self.town.observe(who)
        except WorldError as error:
            raise KeyError(who) from error


@pytest.mark.parametrize(
    ("make", "clause"),
    [
        (NoWaiting, "wait is always offered"),
        (TwiceOffered, "each is offered once"),
        (Watched, "observe and affordances change nothing"),
        (Whimsical, "deterministic"),
        (Favouring, "conflicts are settled by order alone"),
        (Forgetful, "a loaded world goes on"),
        (Amnesiac, "a loaded world goes on"),
        (Shared, "a saved state stands by itself"),
        (NotJson, "save: gives JSON"),
        (Strict, "becomes a refused event: it raised IllegalAction"),
        (Silent, "becomes a refused event"),
        (Stale, "seen equals what observe returns"),
        (Gossip, "seen has exactly who acts|noticed twice"),
        (Haunted, "nobody sees who left"),
        (Deaf, "those in 'to' notice it"),
        (Loud, "somebody else noticed it"),
        (Open, "a taken name raises WorldError"),
        (Vain, "nobody perceives itself"),
        (Overwhelming, "at most attention events"),
        (Careless, "who left cannot observe: it raised KeyError"),
    ],
)
def test_a_broken_world_is_caught(make: type[Broken], clause: str) -> None:
    """Each breach is reported under the clause it breaks."""
    with pytest.raises(WorldError, match=clause):
        check_world(make)
