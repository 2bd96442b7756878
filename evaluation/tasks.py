"""Twelve tasks for agents with tools, each with what goes wrong on the way."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ..core import Json
from ..planners import Outcome
from ..planners.outcome import Status
from . import task_world as given
from .task_world import Office, Tools


@dataclass(frozen=True, slots=True, kw_only=True)
class Want:
    """A call that leads to the goal. ``do`` says in words what it is for (calls that are for
    the same share them), ``after`` are the tools whose results it needs, ``instead`` the tool
    whose failure makes it needed."""

    tool: str
    arguments: Mapping[str, Json] = field(hash=False)
    do: str
    after: tuple[str, ...] = ()
    instead: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """A task: its goal and tools, the calls that lead there, and how it is known that it is
    solved: the status to end with, words that the answer must and must not have, the tools
    whose results are not believed, and what must be so in the office. ``basis`` are words of
    results without which nobody can know the answer, ``asks`` are tools that a person
    must allow, ``denied`` those that they do not."""

    name: str
    about: str
    goal: str
    tools: Callable[[Office], Tools]
    wants: tuple[Want, ...] = ()
    status: Status = "done"
    answer: str = ""
    has: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()
    basis: tuple[str, ...] = ()
    doubted: tuple[str, ...] = ()
    left: Callable[[Office], bool] = lambda office: True
    asks: tuple[str, ...] = ()
    denied: tuple[str, ...] = ()
    most_calls: int = 8

    def solved(self, outcome: Outcome, office: Office) -> bool:
        """Whether a trial ended as it should, with the right answer and nothing else done."""
        said = outcome.answer.lower()
        return (
            outcome.status == self.status
            and all(word in said for word in self.has)
            and not any(word in said for word in self.lacks)
            and self.left(office)
            and {one.tool for one in outcome.calls if one.doubted} == set(self.doubted)
            and len(outcome.calls) <= self.most_calls
        )

    def wrong(self, answer: str) -> str:
        """What is wrong with an answer; empty when nothing is. A check that a task brings."""
        lost = [word for word in self.has if word not in answer.lower()]
        return f"the answer '{answer}' does not say {', '.join(lost)}" if lost else ""


def _untouched(office: Office) -> bool:
    return not (office.sent or office.deleted or office.ordered)


def _town(name: str) -> Want:
    return Want(tool="temperature", arguments={"town": name}, do=f"Find the temperature in {name}.")


_SHOP = ("find_part", "find_supplier", "price_of", "calculator")
_REPORT = "Report 2024: sales rose by 12 percent."

PROBLEMS: tuple[Problem, ...] = (
    Problem(
        name="works",
        about="one tool that works",
        goal="What is 17 times 23?",
        tools=given.plain,
        wants=(Want(tool="calculator", arguments={"expression": "17 * 23"}, do="Multiply them."),),
        answer="17 times 23 is 391.",
        has=("391",),
        basis=("391",),
        left=_untouched,
    ),
    Problem(
        name="outage",
        about="the first tool is down, another can do it",
        goal="What is the weather in Bern?",
        tools=given.weather,
        wants=(
            Want(tool="weather_now", arguments={"town": "Bern"}, do="Look at the weather."),
            Want(
                tool="weather_backup",
                arguments={"town": "Bern"},
                do="Look at the weather.",
                instead="weather_now",
            ),
        ),
        answer="In Bern it rains, at 9 degrees.",
        has=("rain", "9"),
        basis=("rain, 9 degrees",),
    ),
    Problem(
        name="mend",
        about="arguments refused with a message that says how to mend them",
        goal="When does the next train to Basel leave?",
        tools=given.trains,
        wants=(
            Want(tool="timetable", arguments={"station": "Basel"}, do="Look up the train."),
            Want(
                tool="timetable",
                arguments={"station": "BSL"},
                do="Look up the train.",
                instead="timetable",
            ),
        ),
        answer="It leaves at 10:42.",
        has=("10:42",),
        basis=("10:42",),
    ),
    Problem(
        name="replan",
        about="the plan fails half way and must be made anew",
        goal="Fetch the report of 2024 from the archive and send it to Ada.",
        tools=given.reports,
        wants=(
            Want(tool="archive", arguments={"year": 2024}, do="Fetch it from the archive."),
            Want(
                tool="library",
                arguments={"year": 2024},
                do="Fetch it from the library.",
                instead="archive",
            ),
            Want(
                tool="send_letter",
                arguments={"to": "Ada", "text": _REPORT},
                do="Send it to Ada.",
                after=("archive",),
            ),
        ),
        answer="The report of 2024 was in the library and is sent to Ada.",
        left=lambda office: office.sent == [("Ada", _REPORT)],
    ),
    Problem(
        name="approved",
        about="a tool that a person must allow, and does",
        goal="Send Ada a letter that says: supper is at seven.",
        tools=given.letters,
        wants=(
            Want(
                tool="send_letter",
                arguments={"to": "Ada", "text": "supper is at seven"},
                do="Send the letter.",
            ),
        ),
        answer="The letter is sent.",
        asks=("send_letter",),
        left=lambda office: (
            [(to, text.lower().strip(". ")) for to, text in office.sent]
            == [("Ada", "supper is at seven")]
        ),
    ),
    Problem(
        name="denied",
        about="a tool that a person must allow, and does not",
        goal="Delete the folder of old photos.",
        tools=given.photos,
        wants=(
            Want(tool="delete_folder", arguments={"folder": "old photos"}, do="Delete the folder."),
        ),
        status="gave_up",
        left=_untouched,
        asks=("delete_folder",),
        denied=("delete_folder",),
    ),
    Problem(
        name="liar",
        about="a tool that lies, found out by asking others",
        goal="What is the temperature in the cellar?",
        tools=given.sensors,
        wants=tuple(
            Want(tool=name, arguments={"room": "cellar"}, do="Read the sensors.")
            for name in ("old_sensor", "wall_sensor", "floor_sensor")
        ),
        answer="It is 12 degrees in the cellar.",
        has=("12",),
        lacks=("31",),
        basis=("12 degrees", "other sources do not agree"),
        doubted=("old_sensor",),
    ),
    Problem(
        name="missing",
        about="something needed was not said: ask back",
        goal="Book a table at the inn.",
        tools=given.tables,
        status="waiting",
        answer="For how many people, and at what time?",
        left=_untouched,
        most_calls=0,
    ),
    Problem(
        name="nothing",
        about="no tool fits: give up",
        goal="Paint my garden fence blue.",
        tools=given.plain,
        status="gave_up",
        most_calls=0,
    ),
    Problem(
        name="chain",
        about="five calls, each needs what those before gave",
        goal="The mill stands still. Find out which part it is missing and order 3 pieces of it.",
        tools=given.shop,
        wants=(
            Want(tool="find_part", arguments={"machine": "mill"}, do="Find the missing part."),
            Want(
                tool="find_supplier",
                arguments={"part": "P-77"},
                do="Find who sells it.",
                after=_SHOP[:1],
            ),
            Want(
                tool="price_of",
                arguments={"part": "P-77", "supplier": "Keller"},
                do="Find its price.",
                after=_SHOP[:2],
            ),
            Want(
                tool="calculator",
                arguments={"expression": "3 * 14"},
                do="Work out what 3 pieces cost.",
                after=_SHOP[:3],
            ),
            Want(
                tool="order_part",
                arguments={"part": "P-77", "pieces": 3, "francs": 42},
                do="Order 3 pieces of it.",
                after=_SHOP,
            ),
        ),
        answer="3 pieces of P-77 are ordered for 42 francs.",
        left=lambda office: office.ordered == [("P-77", 3, 42)],
    ),
    Problem(
        name="branches",
        about="three calls that need nothing of each other",
        goal="Which of the towns Bern, Oslo and Rome is the warmest today?",
        tools=given.towns,
        wants=tuple(map(_town, ("Bern", "Oslo", "Rome"))),
        answer="Rome is the warmest, at 17 degrees.",
        has=("rome", "17"),
        lacks=("oslo is the warmest", "bern is the warmest"),
        basis=("9 degrees", "2 degrees", "17 degrees"),
    ),
    Problem(
        name="loop",
        about="a tool that begs to be asked again for ever",
        goal="Tell me once the oven is hot; it is minute 1.",
        tools=given.ovens,
        wants=(Want(tool="oven_hot", arguments={"minute": 1}, do="Ask whether it is hot."),),
        status="gave_up",
        left=lambda office: office.polls <= 3,
        most_calls=3,
    ),
)
"""The set, each with what goes wrong in it."""
