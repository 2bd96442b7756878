"""The town: walking, using things, seeing, talking."""

from __future__ import annotations

from datetime import datetime

import pytest
from denizens.core import Action, Body, Event, Observation, Turn, WorldError
from denizens.world import Spawn, Town, TownMap

START = datetime(2023, 2, 13, 7)
HALL = "w:house:hall"
PLAN = """
##########
#....#...#
#.b..#.t.#
#........#
#....#...#
##########
..........
"""


def small_map() -> TownMap:
    """Two rooms (hall with a bed, kitchen with a table) joined by a door, and a street."""
    rows = PLAN.split()
    width, height = len(rows[0]), len(rows)
    cells = [(x, y, rows[y][x]) for y in range(height) for x in range(width)]
    inside = [cell not in "#" and y < 6 for _, y, cell in cells]
    return TownMap(
        name="small",
        world="w",
        width=width,
        height=height,
        tile=16,
        blocked=tuple(cell == "#" for _, _, cell in cells),
        sectors=tuple("house" if y < 6 else "" for _, y, _ in cells),
        arenas=tuple(
            ("hall" if x < 5 else "kitchen") if inside[i] else ""
            for i, (x, _, _) in enumerate(cells)
        ),
        objects=tuple({"b": "bed", "t": "table"}.get(cell, "") for _, _, cell in cells),
        kinds=tuple("wall" if cell == "#" else "floor" for _, _, cell in cells),
        spawns=(Spawn("a", (1, 1), HALL), Spawn("b", (4, 4), HALL)),
    )


class Players:
    """A town, its clock, and everybody in it; bodies not told what to do wait."""

    def __init__(self, *bodies: Body, **settings: int) -> None:
        self.town = Town(small_map(), start=START, step_seconds=60, **settings)
        self.names = tuple(body.who for body in bodies)
        self.at = START
        for body in bodies:
            self.town.enter(body)

    def step(self, **actions: Action) -> Turn:
        """One step; names are given with a capital letter."""
        todo = {who: actions.get(who, Action("continue")) for who in self.names}
        turn = self.town.step(todo, self.at, self.names)
        self.at = next(iter(turn.seen.values())).at
        return turn

    def see(self, who: str) -> Observation:
        """What somebody sees now."""
        return self.town.observe(who)

    def verbs(self, who: str) -> list[tuple[str, str]]:
        """What somebody may do beside going places."""
        can = self.town.affordances(who)
        return [(one.verb, one.target) for one in can if one.verb != "act"]


def act(target: str, doing: str, **fields: object) -> Action:
    """Go somewhere and do something."""
    return Action("act", target, {"doing": doing, **fields})


def test_walks_one_tile_a_step_and_uses_the_object() -> None:
    """A body reaches its object by single tiles, and the object changes state and back."""
    play = Players(Body("Ana", start=(1, 1)))
    before = play.see("Ana").position
    play.step(Ana=act("w:house:kitchen:table", "baking bread", state="covered in flour"))
    steps = 1
    while not play.see("Ana").arrived:
        here = play.see("Ana").position
        assert before is not None
        assert here is not None
        assert abs(here[0] - before[0]) + abs(here[1] - before[1]) == 1
        before = here
        play.step()
        steps += 1
    assert play.see("Ana").position == (7, 2)
    assert steps == 9
    texts = [event.text for event in play.see("Ana").events]
    assert texts == ["table is covered in flour"]
    turn = play.step(Ana=act("w:house:hall:bed", "napping"))
    assert "table is idle" in [event.text for event in turn.events]


def test_seen_is_what_observe_gives() -> None:
    """A turn shows exactly what observing afterwards shows."""
    play = Players(Body("Ana", start=(1, 1)), Body("Bo", start=(4, 4)))
    turn = play.step(Ana=act("w:house:hall:bed", "napping"), Bo=Action("talk", "Ana"))
    assert turn.seen == {"Ana": play.see("Ana"), "Bo": play.see("Bo")}


def test_a_conversation_passes_the_floor() -> None:
    """Lines are said in turn, members see them all, and both see the end once."""
    play = Players(Body("Ana", start=(1, 1)), Body("Bo", start=(4, 4)), most_lines=2)
    play.step(Ana=Action("talk", "Bo"))
    assert play.verbs("Ana")[0] == ("say", "")
    assert ("listen", "") in play.verbs("Bo")
    play.step(Ana=Action("say", "", {"text": "Good morning"}))
    talk = play.see("Bo").talk
    assert talk is not None
    assert (talk.floor, [line.text for line in talk.lines]) == ("Bo", ["Good morning"])
    play.step(Bo=Action("say", "", {"text": "Hello"}))
    last = play.see("Ana").talk
    assert last is not None
    assert last.ended
    assert [line.who for line in last.lines] == ["Ana", "Bo"]
    play.step()
    assert play.see("Ana").talk is None


def test_what_is_not_afforded_is_refused() -> None:
    """A nonsense action becomes a notice to the body, never an exception."""
    play = Players(Body("Ana", start=(1, 1)))
    play.step(Ana=Action("fly", "moon"))
    assert [event.kind for event in play.see("Ana").notices] == ["refused"]
    with pytest.raises(WorldError, match="Nobody"):
        play.town.observe("Nobody")


def test_tell_changes_an_object() -> None:
    """An object event from outside changes the state everybody sees, and is noticed."""
    play = Players(Body("Ana", start=(1, 1)))
    bed = "w:house:hall:bed"
    play.town.tell(Event("object", "bed", "is", "on fire", "bed is on fire", bed))
    assert play.see("Ana").events[0].text == "bed is on fire"
    assert play.see("Ana").notices[0].text == "bed is on fire"
