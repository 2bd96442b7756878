"""The town: walking, using things, what is afforded and what is refused."""

from __future__ import annotations

from datetime import datetime

import pytest
from denizens.core import Action, Body, Event, Observation, StepResult, WorldError
from denizens.world import Town, ascii_map

START = datetime(2023, 2, 13, 7)
LEGEND = {
    "h": "house:hall",
    "b": "house:hall:bed",
    "k": "house:kitchen",
    "t": "house:kitchen:table",
    "o": "house:kitchen:oven",
}
PLAN = """
##########
#hhhh#kok#
#hbhh#ktk#
#hhhhkkkk#
#hhhh#kkk#
##########
..........
"""
MAP = ascii_map(PLAN, LEGEND, world="w", blocked="#o")
BED, TABLE, OVEN = "w:house:hall:bed", "w:house:kitchen:table", "w:house:kitchen:oven"


class Players:
    """A town, its clock, and everybody in it; bodies not told what to do continue."""

    def __init__(self, *bodies: Body, speed: int = 1) -> None:
        self.town = Town(MAP, start=START, step_seconds=60, speed=speed)
        self.names = tuple(body.who for body in bodies)
        self.at = START
        for body in bodies:
            self.town.enter(body)

    def step(self, **actions: Action) -> StepResult:
        """One step of everybody."""
        todo = {who: actions.get(who, Action("continue")) for who in self.names}
        turn = self.town.step(todo, self.at, self.names)
        self.at = next(iter(turn.seen.values())).at
        return turn

    def see(self, who: str) -> Observation:
        """What somebody sees now."""
        return self.town.observe(who)

    def places(self, who: str) -> list[str]:
        """Where somebody may go."""
        return [one.target for one in self.town.affordances(who) if one.verb == "act"]

    def refusal(self, who: str, action: Action) -> str:
        """The text of the refusal an action gets; empty when it gets none."""
        turn = self.step(**{who: action})
        return "".join(one.text for one in turn.seen[who].notices if one.kind == "refused")


def act(target: str, doing: str, **fields: object) -> Action:
    """Go somewhere and do something."""
    return Action("act", target, {"doing": doing, **fields})


def test_walks_one_tile_a_step_and_uses_the_object() -> None:
    """A body reaches its object by single tiles, and the object changes state and back."""
    play = Players(Body("Ana", start=(1, 1)))
    before = (1, 1)
    play.step(Ana=act(TABLE, "baking bread", state="covered in flour"))
    steps = 1
    while not play.see("Ana").arrived:
        here = play.see("Ana").position
        assert here is not None
        assert abs(here[0] - before[0]) + abs(here[1] - before[1]) == 1
        before = here
        play.step()
        steps += 1
    assert play.see("Ana").position == (7, 2)
    assert steps == 9
    assert "table is covered in flour" in [event.text for event in play.see("Ana").events]
    turn = play.step(Ana=act(BED, "napping"))
    assert "table is idle" in [event.text for event in turn.events]


def test_speed_is_tiles_a_step() -> None:
    """Nine tiles take three steps at four tiles a step, and nobody overshoots."""
    play = Players(Body("Ana", start=(1, 1)), speed=4)
    turns = [play.step(Ana=act(TABLE, "eating")), play.step(), play.step()]
    assert [turn.seen["Ana"].arrived for turn in turns] == [False, False, True]
    assert play.see("Ana").position == (7, 2)


def test_waiting_stands_still_and_continuing_walks_on() -> None:
    """``wait`` keeps the activity but not the pace."""
    play = Players(Body("Ana", start=(1, 1)))
    first = play.step(Ana=act(TABLE, "eating")).seen["Ana"]
    second = play.step(Ana=Action("wait")).seen["Ana"]
    assert first.position == second.position
    assert (second.doing, second.target, second.arrived) == ("eating", TABLE, False)
    assert play.step().seen["Ana"].position != first.position


def test_a_blocked_object_is_used_from_beside_it() -> None:
    """Nobody stands on the oven; one stands next to it, in its own room."""
    play = Players(Body("Ana", start=(6, 4)))
    play.step(Ana=act(OVEN, "baking"))
    while not play.see("Ana").arrived:
        play.step()
    assert play.see("Ana").position in {(6, 1), (8, 1), (7, 2)}
    assert "oven is being used" in [event.text for event in play.see("Ana").events]


def test_order_settles_who_gets_the_tile() -> None:
    """Of two who want a table of one tile the first in order gets it, the other stands beside."""
    for order in (("Ana", "Bo"), ("Bo", "Ana")):
        play = Players(Body("Ana", start=(7, 3)), Body("Bo", start=(7, 4)))
        eat = dict.fromkeys(play.names, act(TABLE, "eating"))
        play.town.step(eat, START, order)
        for _ in range(6):
            play.town.step(dict.fromkeys(order, Action("continue")), START, order)
        assert play.see(order[0]).position == (7, 2)
        spot = play.see(order[1]).position
        assert spot is not None
        assert abs(spot[0] - 7) + abs(spot[1] - 2) == 1


def test_the_last_user_decides_the_state() -> None:
    """When one of two users leaves, the object stays in the other's use."""
    play = Players(Body("Ana", start=(7, 2)), Body("Bo", start=(7, 3)))
    play.step(Ana=act(TABLE, "eating", state="laid"))
    play.step(Bo=act(TABLE, "drawing", state="full of paper"))
    assert table_state(play) == "full of paper"
    play.step(Bo=act(BED, "napping"))
    assert table_state(play) == "laid"
    play.step(Ana=act(BED, "napping"))
    assert table_state(play) == "idle"


def table_state(play: Players) -> str:
    """The table's state, out of the saved town."""
    return str(play.town.save()["states"].get(TABLE, "idle"))


def test_leaving_the_town_frees_what_one_used() -> None:
    """Somebody who is taken out leaves no used object and no shadow behind."""
    play = Players(Body("Ana", start=(7, 2)), Body("Bo", start=(7, 3)))
    play.step(Ana=act(TABLE, "eating"))
    assert [one.who for one in play.see("Bo").people] == ["Ana"]
    play.town.leave("Ana")
    assert play.see("Bo").people == ()
    assert table_state(play) == "idle"


def test_sleep_begins_in_bed() -> None:
    """One who walks to bed is awake; one who lies in it sleeps and cannot be talked to."""
    play = Players(Body("Ana", start=(4, 1)), Body("Bo", start=(4, 4)))
    play.step(Ana=act(BED, "sleeping", asleep=True))
    assert play.see("Bo").people[0].awake
    for _ in range(4):
        play.step()
    assert not play.see("Bo").people[0].awake
    assert all(one.verb not in ("talk", "join") for one in play.town.affordances("Bo"))
    assert all(one.verb not in ("talk", "join") for one in play.town.affordances("Ana"))


def test_others_see_a_walk_and_then_the_activity() -> None:
    """A neighbour is seen walking until it has arrived, then doing what it came for."""
    play = Players(Body("Ana", start=(1, 1)), Body("Bo", start=(4, 4)))
    play.step(Ana=act(BED, "making the bed"))
    assert play.see("Bo").people[0].doing == "walking to the bed in house"
    play.step()
    assert play.see("Bo").people[0].doing == "making the bed"
    assert "Ana is making the bed" in [event.text for event in play.see("Bo").events]


def test_knowledge_limits_where_one_may_go() -> None:
    """Only known places are afforded; who knows an object knows its room."""
    everything = Players(Body("Ana", start=(1, 1)))
    some = Players(Body("Ana", start=(1, 1), knows=("w:house:kitchen:Table",)))
    assert everything.places("Ana") == list(MAP.addresses)
    assert some.places("Ana") == ["w:house:kitchen", TABLE]
    assert "no such place is known" in some.refusal("Ana", act(BED, "napping"))


def test_unreachable_places_are_not_afforded() -> None:
    """From the street, which has no door to the house, one can go nowhere."""
    play = Players(Body("Ana", start=(0, 6)))
    assert play.places("Ana") == []


@pytest.mark.parametrize(
    ("action", "reason"),
    [
        (Action("fly", "moon"), "not possible"),
        (act("w:house:hall:bett", "napping"), "did you mean 'w:house:hall:bed'"),
        (Action("act", BED), "'doing' is empty"),
        (act(BED, "  "), "'doing' is empty"),
        (act(BED, "napping", asleep="yes"), "'asleep' must be a truth value"),
        (act(BED, "napping", state=3), "'state' must be a text"),
        (Action("act", BED, ["napping"]), "no table"),
        (Action("say", "", {"text": "Hello"}), "not possible"),
        (Action("talk", "Bo"), "not there"),
        (Action("leave"), "not possible"),
    ],
)
def test_what_is_not_afforded_is_refused(action: Action, reason: str) -> None:
    """A nonsense action becomes a notice that says why, and changes nothing else."""
    play = Players(Body("Ana", start=(1, 1)))
    before = play.see("Ana")
    assert reason in play.refusal("Ana", action)
    after = play.see("Ana")
    assert (after.position, after.doing, after.target) == (
        before.position,
        before.doing,
        before.target,
    )


def test_seen_is_what_observe_gives() -> None:
    """A turn shows exactly what observing afterwards shows."""
    play = Players(Body("Ana", start=(1, 1)), Body("Bo", start=(4, 4)))
    turn = play.step(Ana=act(BED, "napping"), Bo=Action("talk", "Ana"))
    assert turn.seen == {"Ana": play.see("Ana"), "Bo": play.see("Bo")}


def test_time_moves_with_the_steps() -> None:
    """After a step a body is at the step's end; one who did not act is where it was."""
    play = Players(Body("Ana", start=(1, 1)), Body("Bo", start=(4, 4)))
    assert play.see("Ana").at == START
    play.town.step({"Ana": Action("wait")}, START, ("Ana", "Bo"))
    assert play.see("Ana").at == datetime(2023, 2, 13, 7, 1)
    assert play.see("Bo").at == START


def test_tell_changes_an_object_and_is_noticed_in_sight() -> None:
    """An object event changes the state everybody sees; who sees the place notices, once."""
    play = Players(Body("Ana", start=(1, 1)), Body("Bo", start=(8, 4)))
    fire = Event("object", "bed", "is", "on fire", "bed is on fire", BED)
    play.town.tell(fire)
    assert fire in play.see("Ana").notices
    assert play.see("Bo").notices == ()
    assert play.see("Ana").events[0].text == "bed is on fire"
    play.step()
    assert play.see("Ana").notices == ()
    assert play.see("Ana").events[0].text == "bed is on fire"


def test_tell_names_its_mistakes() -> None:
    """Unknown bodies, places and objects are errors that suggest the right name."""
    play = Players(Body("Ana", start=(1, 1)))
    with pytest.raises(WorldError, match="'Bo' is not in this world"):
        play.town.tell(Event("news", "a", "is", "b", "a is b"), ("Bo",))
    with pytest.raises(WorldError, match="did you mean"):
        play.town.tell(Event("object", "bed", "is", "wet", "bed is wet", "w:house:hall:bett"))
    with pytest.raises(WorldError, match="no place"):
        play.town.tell(Event("news", "a", "is", "b", "a is b", "w:nowhere"))


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (Body("Ana"), "already here"),
        (Body(" "), "cannot name"),
        (Body("Bo", start=(0, 0)), "is blocked"),
        (Body("Bo", start=(99, 0)), "outside of the map"),
        (Body("Bo", home="w:house:cellar"), "home is unknown"),
    ],
)
def test_who_cannot_enter(body: Body, reason: str) -> None:
    """A taken name, no name, and no place to stand are refused with the reason."""
    play = Players(Body("Ana", start=(1, 1)))
    with pytest.raises(WorldError, match=reason):
        play.town.enter(body)


def test_bodies_enter_at_home_on_their_own_tiles() -> None:
    """Two who share a home do not appear on the same tile."""
    play = Players(Body("Ana", home="w:house:hall"), Body("Bo", home="W:House:Hall"))
    spots = {play.see("Ana").position, play.see("Bo").position}
    assert len(spots) == 2
    assert play.see("Bo").place == "w:house:hall"


def test_a_step_names_its_mistakes() -> None:
    """Strangers, and bodies missing from the order or twice in it, are errors."""
    play = Players(Body("Ana", start=(1, 1)))
    with pytest.raises(WorldError, match="Nobody"):
        play.town.observe("Nobody")
    with pytest.raises(WorldError, match="order names no 'Ana'"):
        play.town.step({"Ana": Action("wait")}, START, ())
    with pytest.raises(WorldError, match="twice"):
        play.town.step({"Ana": Action("wait")}, START, ("Ana", "Ana"))
    with pytest.raises(WorldError, match="speed is 0"):
        Town(MAP, start=START, step_seconds=60, speed=0)
