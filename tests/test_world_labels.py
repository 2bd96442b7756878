"""Labels in a world: whose words lines, deeds and things rest on, and for whom a line is."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

import networkx as nx
import pytest
from denizens.core import (
    Action,
    Body,
    ConversationView,
    Event,
    Json,
    Observation,
    StepResult,
    Time,
    Utterance,
    World,
    WorldError,
)
from denizens.testing import check_world
from denizens.tests.test_world_contract import Broken
from denizens.world import Places, Town, ascii_map
from denizens.world.conversations import (
    INAUDIBLE,
    heard_by,
    utterances_from_json,
    utterances_to_json,
)

START = datetime(2000, 1, 1)
MINUTE = timedelta(minutes=1)
LEGEND = {"h": "house:hall", "b": "house:hall:bed", "p": "house:hall:piano"}
MAP = ascii_map("########\n#hhbhhp#\n#hhhhhh#\n########", LEGEND)
NAMES = ("Ana", "Bo", "Cy", "Dee")
EVE = ("Eve",)
PIANO = "town:house:hall:piano"
SECRET = "The key is under the mat."


class Room:
    """A world with four people in sight of each other, and its time."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.at = START
        for who in NAMES:
            world.enter(Body(who))

    def step(self, **actions: Action) -> StepResult:
        """Who is named acts, all others wait."""
        all_ = dict.fromkeys(NAMES, Action("wait")) | actions
        turn = self.world.step(all_, self.at, NAMES)
        self.at += MINUTE
        return turn

    def lines(self, who: str) -> tuple[Utterance, ...]:
        """What somebody knows of the conversation it is in."""
        talk = self.world.observe(who).talk
        assert talk is not None
        return talk.lines

    def again(self) -> None:
        """Save the world as text, and go on with a new one that loaded it."""
        state = json.loads(json.dumps(self.world.save()))
        self.world = town()
        self.world.load(state)


def town() -> World:
    """A hall with a bed and a piano."""
    return Town(MAP, start=START, step_seconds=60)


def village() -> World:
    """One place."""
    graph = nx.Graph()
    graph.add_node("hall", objects=["bed", "piano"])
    return Places(graph, start=START, step_seconds=60, sight=1)


@pytest.fixture
def room() -> Room:
    """A town's hall with four in it."""
    return Room(town())


def say(text: str, sources: tuple[str, ...] = (), *audience: str) -> Action:
    """A line with a label."""
    return Action("say", "", {"text": text}, sources, audience)


def play(doing: str, sources: tuple[str, ...] = ()) -> Action:
    """Something done at the piano."""
    return Action("act", PIANO, {"doing": doing}, sources)


# -- lines ---------------------------------------------------------------------------------------


def test_a_line_carries_the_label_of_its_action(room: Room) -> None:
    """Whose words it rests on and for whom it is, with those it is said to."""
    room.step(Ana=Action("talk", "Bo"))
    room.step(Ana=say(SECRET, EVE, "Ana", "Bo"))
    (line,) = room.lines("Bo")
    assert (line.text, line.sources, line.audience) == (SECRET, EVE, ("Ana", "Bo"))


def test_who_overhears_a_line_learns_whose_words_it_holds(room: Room) -> None:
    """The event of a line that is for all names the same sources."""
    room.step(Ana=Action("talk", "Bo"))
    room.step(Ana=say("They say it will rain.", EVE))
    (heard,) = [one for one in room.world.observe("Cy").notices if one.kind == "said"]
    assert (heard.subject, heard.sources) == ("Ana", EVE)


def test_a_private_line_is_not_overheard(room: Room) -> None:
    """Nobody in earshot notices even that it was said, for an event has no audience and would be
    told on; only a person among its audience does, of whom no memory is kept."""
    room.world.enter(Body("Eve", home=room.world.observe("Dee").place, person=True))
    room.step(Ana=Action("talk", "Bo"))
    room.step(Ana=say(SECRET, (), "Ana", "Bo", "Dee", "Eve"))
    for who in ("Cy", "Dee"):
        assert not [one for one in room.world.observe(who).notices if one.kind == "said"]
        assert SECRET not in f"{room.world.observe(who)}"
    assert SECRET in f"{room.world.observe('Eve')}"


def test_who_joins_later_does_not_read_what_was_private(room: Room) -> None:
    """Of a line that is for others it sees that it was said, and by whom: at once, at the end,
    when it left, and in a world that was saved in between."""
    room.step(Ana=Action("talk", "Bo"))
    room.step(Ana=say(SECRET, EVE, "Ana", "Bo"))
    room.step(Cy=Action("join", "Bo"))
    (line,) = room.lines("Cy")
    assert line == Utterance("Ana", INAUDIBLE, line.at)
    assert room.lines("Bo")[0].text == SECRET
    room.again()
    assert room.lines("Cy")[0].text == INAUDIBLE
    assert room.lines("Bo")[0] == Utterance("Ana", SECRET, line.at, EVE, ("Ana", "Bo"))
    room.step(Cy=Action("leave"))
    left = room.world.observe("Cy").talk
    assert left is not None
    assert left.ended
    assert SECRET not in f"{left}"
    room.again()
    assert SECRET not in f"{room.world.observe('Cy')}"


def test_a_conversation_that_ends_shows_each_what_it_heard(room: Room) -> None:
    """Its members see all of it once more, each as it heard it."""
    room.step(Ana=Action("talk", "Bo"))
    room.step(Cy=Action("join", "Bo"))
    room.step(Ana=say(SECRET, (), "Ana", "Bo"))
    room.step(Bo=Action("leave"), Ana=Action("leave"))
    talks: dict[str, ConversationView | None] = {
        who: room.world.observe(who).talk for who in ("Bo", "Cy")
    }
    assert SECRET in f"{talks['Bo']}"
    assert SECRET not in f"{talks['Cy']}"


def test_only_the_one_line_that_is_heard_counts(room: Room) -> None:
    """Of two who speak at once one is heard; the other's private line reaches nobody."""
    room.step(Ana=Action("talk", "Bo"))
    turn = room.step(
        Ana=say("Good day!"), Bo=Action("interrupt", "", {"text": SECRET}, EVE, ("Ana", "Bo"))
    )
    assert SECRET not in f"{turn}"
    assert SECRET not in f"{room.world.save()}"


def test_heard_by_leaves_open_lines_as_they_are() -> None:
    """Without any private line they are the very same; the speaker hears itself."""
    plain = (Utterance("Ana", "Hm.", START, EVE), Utterance("Bo", "Ah.", START))
    assert heard_by("Cy", plain) is plain
    low = (*plain, Utterance("Ana", SECRET, START, (), ("Bo",)))
    assert [line.text for line in heard_by("Cy", low)] == ["Hm.", "Ah.", INAUDIBLE]
    assert heard_by("Ana", low) == heard_by("Bo", low) == low


def test_lines_come_back_from_json() -> None:
    """With and without labels, as text."""
    lines = (
        Utterance("Ana", "Hm.", START),
        Utterance("Bo", "Ah.", START, EVE),
        Utterance("Bo", SECRET, START, (), ("Ana", "Bo")),
    )
    assert utterances_from_json(json.loads(json.dumps(utterances_to_json(lines)))) == lines


# -- deeds and things ----------------------------------------------------------------------------


def seen_of(seen: Observation, who: str) -> list[tuple[str, ...]]:
    """The sources of all that is seen of somebody."""
    return [one.sources for one in seen.events if one.subject == who] + [
        one.sources for one in seen.people if one.who == who
    ]


def settle(room: Room, who: str, action: Action) -> None:
    """Somebody does something, and comes to where it is done."""
    room.step(**{who: action})
    for _ in range(8):
        room.step(**{who: Action("continue")})


def test_a_deed_names_whose_words_it_rests_on(room: Room) -> None:
    """As an event and of the person in sight, on the way and when it is there, and after the
    world was saved and loaded."""
    room.step(Ana=play("singing Eve's song", EVE))
    assert set(seen_of(room.world.observe("Bo"), "Ana")) == {EVE}
    settle(room, "Ana", play("singing Eve's song", EVE))
    assert set(seen_of(room.world.observe("Bo"), "Ana")) == {EVE}
    room.again()
    assert set(seen_of(room.world.observe("Bo"), "Ana")) == {EVE}


def test_the_next_deed_has_a_label_of_its_own(room: Room) -> None:
    """What rests on nobody's words is not held against the doer for ever."""
    settle(room, "Ana", play("singing Eve's song", EVE))
    settle(room, "Ana", play("singing a scale"))
    assert set(seen_of(room.world.observe("Bo"), "Ana")) == {()}


def test_the_same_deed_on_more_words_is_seen_so(room: Room) -> None:
    """Done again for another's sake it names that one, though it looks alike."""
    settle(room, "Ana", play("singing"))
    room.step(Ana=play("singing", EVE))
    assert set(seen_of(room.world.observe("Bo"), "Ana")) == {EVE}


def test_a_thing_in_use_names_its_user_and_whose_words_that_rests_on(room: Room) -> None:
    """Where a deed gives it a state of its own; also when it is loaded, and until it rests."""
    act = Action("act", PIANO, {"doing": "playing", "state": "out of tune"}, EVE)
    settle(room, "Ana", act)
    (piano,) = [one for one in room.world.observe("Bo").events if one.subject == "piano"]
    assert (piano.object, piano.sources) == ("out of tune", ("Ana", "Eve"))
    room.again()
    (piano,) = [one for one in room.world.observe("Bo").events if one.subject == "piano"]
    assert piano.sources == ("Ana", "Eve")
    room.world.leave("Ana")
    (piano,) = [one for one in room.world.observe("Bo").events if one.subject == "piano"]
    assert (piano.object, piano.sources) == ("idle", ())


def test_news_of_a_thing_is_its_senders(room: Room) -> None:
    """What is told of a thing from outside rests on who told it; the same told by another
    rests on both, and neither is cleared."""
    news = Event("object", "piano", "is", "full of mice", "", PIANO, EVE)
    room.world.tell(news)
    room.world.tell(replace(news, sources=("Mallory",)))
    room.again()
    (piano,) = [one for one in room.world.observe("Bo").events if one.subject == "piano"]
    assert (piano.object, piano.sources) == ("full of mice", ("Eve", "Mallory"))
    room.world.tell(replace(news, object="clean", sources=()))
    (piano,) = [one for one in room.world.observe("Bo").events if one.subject == "piano"]
    assert (piano.object, piano.sources) == ("clean", ())


def test_notices_keep_their_labels_when_saved(room: Room) -> None:
    """An overheard line waits for its hearer through a save."""
    room.step(Ana=Action("talk", "Bo"))
    room.step(Ana=say("They say it will rain.", EVE))
    room.again()
    (heard,) = [one for one in room.world.observe("Cy").notices if one.kind == "said"]
    assert heard.sources == EVE


def test_nobody_enters_as_everybody() -> None:
    """The name that stands for all people is nobody's."""
    with pytest.raises(WorldError, match="cannot name a body"):
        town().enter(Body("*"))


# -- the check for worlds of one's own -------------------------------------------------------------


class Loose(Broken):
    """A town that keeps the contract; its children lose a label each."""

    def step(self, actions: Mapping[str, Action], at: Time, order: tuple[str, ...]) -> StepResult:
        return self.town.step({w: self.passed(a) for w, a in actions.items()}, at, order)

    def passed(self, action: Action) -> Action:
        return action


class Sourceless(Loose):
    """Whose words a line rests on is lost."""

    def passed(self, action: Action) -> Action:
        return action if action.verb == "act" else replace(action, sources=())


class Blabbing(Loose):
    """Everybody hears everything."""

    def passed(self, action: Action) -> Action:
        return replace(action, audience=())


class Whispering(Loose):
    """A private line is known to all who come later."""

    def observe(self, who: str) -> Observation:
        seen = self.town.observe(who)
        if seen.talk is None:
            return seen
        spoken = self.town._state.conversations.conversation_of(who)  # type: ignore[attr-defined]
        return replace(seen, talk=replace(seen.talk, lines=spoken.lines)) if spoken else seen

    def step(self, actions: Mapping[str, Action], at: Time, order: tuple[str, ...]) -> StepResult:
        turn = self.town.step(actions, at, order)
        return StepResult({who: self.observe(who) for who in turn.seen}, turn.events)


class Mute(Loose):
    """What happens does not name whose words it is."""

    def step(self, actions: Mapping[str, Action], at: Time, order: tuple[str, ...]) -> StepResult:
        turn = self.town.step(actions, at, order)
        return StepResult(turn.seen, tuple(replace(one, sources=()) for one in turn.events))


class Copying(Loose):
    """Labels of lines are not in the saved state."""

    def save(self) -> Json:
        state = self.town.save()
        for talk in state["talks"]["open"]:
            talk["lines"] = [line[:3] for line in talk["lines"]]
        return state


@pytest.mark.parametrize("make", [town, village, Loose])
def test_our_worlds_pass_labels_on(make: type[World], caplog: pytest.LogCaptureFixture) -> None:
    """Town and Places keep the clauses, and no warning is given."""
    with caplog.at_level(logging.WARNING):
        check_world(make, steps=3)
    assert not caplog.records


@pytest.mark.parametrize(
    ("make", "clause"),
    [
        (Sourceless, "carries the sources and the audience"),
        (Blabbing, "carries the sources and the audience"),
        (Mute, "names the sources of its action"),
        (Whispering, "a line that is for others is not heard"),
        (Copying, "a line that is for others is not heard|lines keep their labels"),
    ],
)
def test_a_world_that_loses_a_label_is_caught(make: type[Loose], clause: str) -> None:
    """Each breach is reported under the clause it breaks."""
    with pytest.raises(WorldError, match=clause):
        check_world(make, steps=3)


class Deedless(Loose):
    """Whose words a deed rests on is lost."""

    def passed(self, action: Action) -> Action:
        return replace(action, sources=()) if action.verb == "act" else action


def test_a_world_in_which_deeds_lose_their_sources_is_warned_of(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Worlds made before there were labels go on being lived in; one is told what they lose."""
    with caplog.at_level(logging.WARNING):
        check_world(Deedless, steps=3)
    assert "what is seen of an activity names the sources" in caplog.text
