"""Conversations: the floor, joining, interrupting, silence, and the end."""

from __future__ import annotations

from datetime import datetime

from denizens.core import Action, Body, ConversationView, StepResult, Utterance
from denizens.world import Town, ascii_map

START = datetime(2023, 2, 13, 7)
MAP = ascii_map("pppppppp.\npppppppp.", {"p": "park:lawn"}, world="w")


class Group:
    """Some people on a lawn, next to each other; who is not told what to do continues."""

    def __init__(self, *names: str, persons: tuple[str, ...] = (), most_lines: int = 16) -> None:
        self.town = Town(MAP, start=START, step_seconds=60, most_lines=most_lines)
        self.names = names
        for x, name in enumerate(names):
            self.town.enter(Body(name, start=(x, 0), person=name in persons))

    def step(self, order: tuple[str, ...] = (), **actions: Action) -> StepResult:
        """One step of everybody."""
        todo = {who: actions.get(who, Action("continue")) for who in self.names}
        return self.town.step(todo, START, order or self.names)

    def verbs(self, who: str) -> list[tuple[str, str]]:
        """What somebody may do beside going places."""
        can = self.town.affordances(who)
        return [(one.verb, one.target) for one in can if one.verb != "act"]

    def talk(self, who: str) -> ConversationView:
        """The conversation somebody sees."""
        talk = self.town.observe(who).talk
        assert talk is not None
        return talk

    def notices(self, who: str) -> list[str]:
        """What happened to somebody in the last step, as kinds."""
        return [event.kind for event in self.town.observe(who).notices]


def say(text: str) -> Action:
    """A line by the floor's holder."""
    return Action("say", "", {"text": text})


def interrupt(text: str) -> Action:
    """A line by somebody else."""
    return Action("interrupt", "", {"text": text})


def talk(who: str) -> Action:
    """Begin a conversation."""
    return Action("talk", who)


def said(turn: StepResult) -> list[str]:
    """The lines of a step."""
    return [event.text for event in turn.events if event.kind == "said"]


def test_the_opener_holds_the_floor_and_it_passes() -> None:
    """The opener may say, the other listen; after a line the roles change."""
    group = Group("Ana", "Bo")
    group.step(Ana=talk("Bo"))
    holder = [("say", ""), ("leave", ""), ("wait", ""), ("continue", "")]
    hearer = [("listen", ""), ("interrupt", ""), ("leave", ""), ("wait", ""), ("continue", "")]
    assert (group.verbs("Ana"), group.verbs("Bo")) == (holder, hearer)
    assert group.notices("Bo") == ["talk"]
    turn = group.step(Ana=say("Good morning"), Bo=Action("listen"))
    assert said(turn) == ['Ana says to Bo: "Good morning"']
    assert (group.verbs("Ana"), group.verbs("Bo")) == (hearer, holder)
    assert group.talk("Bo") == group.talk("Ana")
    assert group.talk("Bo").lines == (Utterance("Ana", "Good morning", START),)


def test_lines_reach_members_whole_and_bystanders_once() -> None:
    """A bystander hears a line in that step only; members keep all lines."""
    group = Group("Ana", "Bo", "Cy")
    group.step(Ana=talk("Bo"))
    group.step(Ana=say("Psst"))
    heard = [event.text for event in group.town.observe("Cy").notices]
    assert heard == ['Ana says to Bo: "Psst"']
    group.step(Bo=say("What is it"))
    assert len(group.talk("Ana").lines) == 2
    group.step()
    assert group.notices("Cy") == []


def test_the_floors_holder_beats_an_interruption() -> None:
    """When both speak in a step the holder is heard, and the other is not."""
    group = Group("Ana", "Bo")
    group.step(Ana=talk("Bo"))
    turn = group.step(("Bo", "Ana"), Ana=say("I say"), Bo=interrupt("But"))
    assert said(turn) == ['Ana says to Bo: "I say"']


def test_the_first_in_order_interrupts() -> None:
    """When the holder is silent, the order decides which interruption is heard."""
    for order in (("Ana", "Bo", "Cy"), ("Ana", "Cy", "Bo")):
        group = Group("Ana", "Bo", "Cy")
        group.step(Ana=talk("Bo"))
        group.step(Cy=Action("join", "Ana"))
        group.step(order, Bo=interrupt("Wait"), Cy=interrupt("Wait"))
        assert [line.who for line in group.talk("Ana").lines] == [order[1]]


def test_a_third_person_joins_and_gets_a_turn() -> None:
    """Talking to somebody who is talking is offered as joining; turns go round."""
    group = Group("Ana", "Bo", "Cy")
    group.step(Ana=talk("Bo"))
    assert ("join", "Ana") in group.verbs("Cy")
    assert ("talk", "Ana") not in group.verbs("Cy")
    group.step(Cy=Action("join", "Bo"), Ana=say("One"))
    assert group.talk("Cy").members == ("Ana", "Bo", "Cy")
    group.step(Bo=say("Two"))
    group.step(Cy=say("Three"))
    assert [line.who for line in group.talk("Ana").lines] == ["Ana", "Bo", "Cy"]
    assert group.talk("Ana").floor == "Ana"


def test_two_who_address_each_other_share_one_conversation() -> None:
    """Talking to each other in the same step opens one conversation and refuses nobody."""
    group = Group("Ana", "Bo")
    turn = group.step(("Bo", "Ana"), Ana=talk("Bo"), Bo=talk("Ana"))
    assert [event.kind for event in turn.events] == ["talk"]
    assert group.talk("Ana").members == ("Bo", "Ana")


def test_who_is_spoken_to_first_cannot_open_another() -> None:
    """One addressed by an earlier body is refused its own opening to somebody else."""
    group = Group("Ana", "Bo", "Cy")
    group.step(Ana=talk("Bo"), Bo=talk("Cy"))
    assert group.talk("Bo").members == ("Ana", "Bo")
    assert "refused" in group.notices("Bo")
    assert group.town.observe("Cy").talk is None


def test_two_who_address_the_same_person_end_up_together() -> None:
    """The second of them joins the conversation of the first."""
    group = Group("Ana", "Bo", "Cy")
    group.step(Ana=talk("Cy"), Bo=talk("Cy"))
    assert group.talk("Cy").members == ("Ana", "Cy", "Bo")


def test_a_silent_person_loses_the_floor() -> None:
    """After three steps without a line the floor passes on."""
    group = Group("Ana", "Bo", persons=("Ana",))
    group.step(Ana=talk("Bo"))
    floors = []
    for _ in range(3):
        group.step(Ana=Action("wait"))
        floors.append(group.talk("Bo").floor)
    assert floors == ["Ana", "Ana", "Bo"]


def test_a_round_of_silence_ends_the_conversation() -> None:
    """Nobody is held for ever by people who do not speak."""
    group = Group("Ana", "Bo")
    group.step(Ana=talk("Bo"))
    for _ in range(6):
        assert not group.talk("Ana").ended
        group.step()
    assert group.talk("Ana").ended


def test_the_end_is_seen_once_by_all_who_were_there() -> None:
    """Who leaves and who is left both see the whole conversation ended, for one step."""
    group = Group("Ana", "Bo")
    group.step(Ana=talk("Bo"))
    group.step(Ana=say("I must go"))
    group.step(Ana=Action("leave"))
    for who in group.names:
        assert group.talk(who).ended
        assert group.talk(who).floor == ""
        assert group.talk(who).members == ("Ana", "Bo")
        assert group.talk(who).lines[-1].text == "I must go"
        assert "talk" in group.notices(who)
    group.step()
    assert [group.town.observe(who).talk for who in group.names] == [None, None]
    assert ("talk", "Bo") in group.verbs("Ana")


def test_the_conversation_goes_on_without_one_of_three() -> None:
    """When the holder leaves, the floor passes and the others talk on."""
    group = Group("Ana", "Bo", "Cy")
    group.step(Ana=talk("Bo"))
    group.step(Cy=Action("join", "Ana"))
    group.step(Ana=Action("leave"))
    assert group.talk("Ana").ended
    assert not group.talk("Bo").ended
    assert (group.talk("Bo").members, group.talk("Bo").floor) == (("Bo", "Cy"), "Bo")


def test_the_last_line_ends_it() -> None:
    """A conversation has as many lines as the town allows, then it is over."""
    group = Group("Ana", "Bo", most_lines=3)
    group.step(Ana=talk("Bo"))
    for number in range(3):
        line = say(f"Line {number}")
        group.step(Ana=line) if number % 2 == 0 else group.step(Bo=line)
    assert group.talk("Bo").ended
    assert len(group.talk("Bo").lines) == 3


def test_who_talks_stands_still_and_walks_on_afterwards() -> None:
    """A walk waits for the end of a conversation."""
    group = Group("Ana", "Bo")
    far = ascii_map("pppppppp#\nppppppppb", {"p": "park:lawn", "b": "park:lawn:bench"}, world="w")
    group.town = Town(far, start=START, step_seconds=60)
    group.town.enter(Body("Ana", start=(0, 0)))
    group.town.enter(Body("Bo", start=(1, 0)))
    walk = Action("act", "w:park:lawn:bench", {"doing": "reading"})
    group.step(Ana=walk, Bo=talk("Ana"))
    stands = group.town.observe("Ana").position
    assert stands == (0, 0)
    group.step(Bo=say("Where to"))
    assert group.town.observe("Ana").position == stands
    assert "refused" not in group.notices("Ana")
    group.step(Ana=walk)
    assert "refused" in group.notices("Ana")
    group.step(Bo=Action("leave"))
    group.step()
    assert group.town.observe("Ana").position != stands


def test_talkers_are_seen_talking() -> None:
    """A bystander sees who talks with whom, and that they are talking."""
    group = Group("Ana", "Bo", "Cy", "Di")
    group.step(Ana=talk("Bo"), Cy=talk("Bo"))
    seen = {one.who: one for one in group.town.observe("Di").people}
    assert seen["Ana"].talking
    assert seen["Ana"].doing == "talking with Bo and Cy"
    assert "Cy is talking with Ana and Bo" in [e.text for e in group.town.observe("Di").events]


def test_leaving_the_world_leaves_the_conversation() -> None:
    """The one left behind sees the conversation ended."""
    group = Group("Ana", "Bo")
    group.step(Ana=talk("Bo"))
    group.town.leave("Ana")
    assert group.talk("Bo").ended
    assert all(verb != "say" for verb, _ in group.verbs("Bo"))
