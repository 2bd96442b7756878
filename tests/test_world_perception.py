"""Perception against a brute-force reference, saving, and loading, on random towns."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path
from random import Random

import pytest
from denizens.core import Action, Body, Event, Observation, Seed, VisibleAgent
from denizens.interop.smallville_folder import read_smallville_folder
from denizens.world import Town, TownMap, ascii_map
from hypothesis import given, settings
from hypothesis import strategies as st

START = datetime(2023, 2, 13, 7)
NAMES = ("Ana", "Bo", "Cy", "Di", "Ed")
LEGEND = {
    "h": "house:hall",
    "b": "house:hall:bed",
    "l": "house:hall:lamp",
    "k": "house:kitchen",
    "t": "house:kitchen:table",
    "o": "house:kitchen:oven",
    "p": "park:lawn",
    "f": "park:lawn:fountain",
}


def brute_force_perception(
    town: Town, bodies: dict[str, Body], who: str
) -> tuple[list[Event], list[VisibleAgent]]:
    """What ``who`` should see, tile by tile out of the saved state, as the published code does:
    every tile of the square that is in the same arena, nearest first."""
    plan, state = town.map, town.save()
    spots = {one["body"]["who"]: one for one in state["bodies"]}
    body, here = bodies[who], divmod(spots[who]["spot"], plan.width)
    arena = (plan.sectors[spots[who]["spot"]], plan.arenas[spots[who]["spot"]])
    seen: dict[tuple[int, str], tuple[int, int, str, Event]] = {}
    people: list[tuple[int, str, VisibleAgent]] = []
    for y in range(here[0] - body.vision, here[0] + body.vision + 1):
        for x in range(here[1] - body.vision, here[1] + body.vision + 1):
            if not (0 <= x < plan.width and 0 <= y < plan.height):
                continue
            i = y * plan.width + x
            if (plan.sectors[i], plan.arenas[i]) != arena:
                continue
            rank = (x - here[1]) ** 2 + (y - here[0]) ** 2
            if plan.objects[i]:
                place = plan.address_at(x, y)
                name = plan.objects[i]
                what = state["states"].get(place, "idle")
                event = Event("object", name, "is", what, f"{name} is {what}", place)
                entry = (rank, 1, place, event)
                seen[1, place] = min(entry, seen.get((1, place), entry))
            for other, one in spots.items():
                if one["spot"] == i and other != who:
                    # What the other does is told by itself, not by where it is seen from.
                    told = doing_of(town, other, one)
                    place = ":".join(part for part in (plan.world, *arena) if part)
                    event = Event("doing", other, "is", told, f"{other} is {told}", place)
                    seen[0, other] = (rank, 0, other, event)
                    side = max(abs(x - here[1]), abs(y - here[0]))
                    awake = not (one["sleepy"] and not one["route"])
                    talk = town.observe(other).talk
                    talking = talk is not None and not talk.ended
                    people.append((rank, other, VisibleAgent(other, side, told, awake, talking)))
    nearest = sorted(seen.values(), key=lambda entry: entry[:3])[: body.attention]
    return [entry[3] for entry in nearest], [one for _, _, one in sorted(people)]


def doing_of(town: Town, who: str, saved: dict[str, object]) -> str:
    """What somebody is seen to do, by the rules: talk before walk before activity."""
    talk = town.observe(who).talk
    if talk is not None and not talk.ended:
        names = [name for name in talk.members if name != who]
        return "talking with " + " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))
    if saved["route"]:
        parts = str(saved["target"]).split(":")
        name = f"the {parts[-1]}" if parts[-1][0].islower() else parts[-1]
        name = name.replace("the behind ", "behind ")
        return f"walking to {name} in {parts[1]}"
    return str(saved["doing"]) or "idle"


def choose(seen: Observation, town: Town, who: str, rng: Random) -> Action:
    """Something the town affords: mostly going on, at times a new place or a conversation."""
    can = town.affordances(who)
    verbs = sorted({one.verb for one in can})
    verb = "continue" if rng.random() < 0.4 else rng.choice(verbs)
    one = rng.choice([one for one in can if one.verb == verb])
    fields = {
        "act": {"doing": f"thing {rng.randrange(5)}", "asleep": rng.random() < 0.1},
        "say": {"text": f"line {rng.randrange(9)}"},
        "interrupt": {"text": "but"},
    }
    return Action(verb, one.target, fields.get(verb, {}))


def live(town: Town, names: tuple[str, ...], rng: Random, steps: int, at: datetime) -> list[object]:
    """Some steps; what the turns were."""
    turns: list[object] = []
    for number in range(steps):
        actions = {who: choose(town.observe(who), town, who, rng) for who in names}
        order = tuple(rng.sample(names, len(names)))
        turns.append(town.step(actions, at + timedelta(minutes=number), order))
        if rng.random() < 0.1 and town.map.object_addresses:
            place = rng.choice(town.map.object_addresses)
            name = place.rpartition(":")[2]
            town.tell(Event("object", name, "is", "broken", f"{name} is broken", place))
    return turns


@st.composite
def towns(draw: st.DrawFn) -> tuple[TownMap, dict[str, Body]]:
    """A random small town and some bodies of random senses on free tiles."""
    width, height = draw(st.integers(3, 12)), draw(st.integers(2, 7))
    cells = st.sampled_from("#.hhhhblkktopppf")
    rows = draw(
        st.lists(st.lists(cells, min_size=width, max_size=width), min_size=height, max_size=height)
    )
    rows[0][0] = "h"
    plan = ascii_map("\n".join("".join(row) for row in rows), LEGEND)
    free = [(i % width, i // width) for i, shut in enumerate(plan.blocked) if not shut]
    bodies = {
        who: Body(
            who,
            start=draw(st.sampled_from(free)),
            vision=draw(st.integers(0, 6)),
            attention=draw(st.integers(1, 6)),
        )
        for who in NAMES[: draw(st.integers(1, 5))]
    }
    return plan, bodies


def opened(plan: TownMap, bodies: dict[str, Body]) -> Town:
    """A town with these bodies in it."""
    town = Town(plan, start=START, step_seconds=60, most_lines=4)
    for body in bodies.values():
        town.enter(body)
    return town


@settings(max_examples=60, deadline=None)
@given(towns(), st.integers(0, 10_000))
def test_perception_equals_brute_force(drawn: tuple[TownMap, dict[str, Body]], seed: int) -> None:
    """At every step everybody sees exactly what a search of all tiles finds, in its order."""
    plan, bodies = drawn
    town, rng = opened(plan, bodies), Random(seed)
    for _ in range(8):
        live(town, tuple(bodies), rng, 1, START)
        for who in bodies:
            events, people = brute_force_perception(town, bodies, who)
            seen = town.observe(who)
            assert list(seen.events) == events
            assert list(seen.people) == people


@settings(max_examples=40, deadline=None)
@given(towns(), st.integers(0, 10_000))
def test_a_loaded_town_has_the_same_future(
    drawn: tuple[TownMap, dict[str, Body]], seed: int
) -> None:
    """Saving, going through JSON text and loading changes nothing that ever happens after."""
    plan, bodies = drawn
    town, names = opened(plan, bodies), tuple(bodies)
    live(town, names, Random(seed), 10, START)
    text = json.dumps(town.save())
    heir = Town(plan, start=START, step_seconds=60, most_lines=4)
    heir.load(json.loads(text))
    assert json.dumps(heir.save()) == text
    first = live(town, names, Random(seed + 1), 10, START)
    second = live(heir, names, Random(seed + 1), 10, START)
    assert first == second
    assert town.save() == heir.save()


@pytest.mark.data
def test_perception_in_smallville_equals_brute_force(data: Path) -> None:
    """25 people wander through the_ville; on sampled steps they see what a search finds."""
    base = read_smallville_folder(data / "smallville" / "base_the_ville_n25")
    bodies = {body.who: body for body in base.bodies()}
    town = Town(base.map, start=base.start, step_seconds=10, speed=3)
    for body in bodies.values():
        town.enter(body)
    rng = Seed.of(7).rng()
    met = 0
    for _ in range(12):
        live(town, tuple(bodies), rng, 10, START)
        for who in bodies:
            events, people = brute_force_perception(town, bodies, who)
            assert list(town.observe(who).events) == events
            assert list(town.observe(who).people) == people
            met += len(people)
    assert met > 50
