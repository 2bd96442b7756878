"""Twelve tasks for agents with tools, each with a typical failure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ...core import Json
from ...planners import TaskOutcome
from ...planners.goals import TaskStatus
from . import task_tools as given
from .task_tools import TaskState, Tools


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectedCall:
    """A call that leads to the goal. ``purpose`` says what it is for (calls with one purpose share
    the text), ``after`` names the tools whose results it needs, ``fallback_for`` the tool whose
    failure makes it necessary."""

    tool: str
    arguments: Mapping[str, Json] = field(hash=False)
    purpose: str
    after: tuple[str, ...] = ()
    fallback_for: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchmarkTask:
    """A task: its goal, its tools, the calls that lead to the goal, and the criteria of success:
    the final status, words that the answer must and must not contain, the tools whose results must
    be doubted, and the end state. ``required_facts`` are words of tool results without which the
    answer cannot be known; ``needs_approval`` names tools that a person must approve, ``denied``
    those that the person refuses."""

    name: str
    about: str
    goal: str
    tools: Callable[[TaskState], Tools]
    expected_calls: tuple[ExpectedCall, ...] = ()
    status: TaskStatus = "done"
    answer: str = ""
    must_contain: tuple[str, ...] = ()
    must_not_contain: tuple[str, ...] = ()
    required_facts: tuple[str, ...] = ()
    doubted: tuple[str, ...] = ()
    end_state_is_right: Callable[[TaskState], bool] = lambda office: True
    needs_approval: tuple[str, ...] = ()
    denied: tuple[str, ...] = ()
    max_calls: int = 8

    def solved(self, outcome: TaskOutcome, office: TaskState) -> bool:
        """Whether a run ended in the right status, with the right answer and the right end
        state."""
        said = outcome.answer.lower()
        return (
            outcome.status == self.status
            and all(word in said for word in self.must_contain)
            and not any(word in said for word in self.must_not_contain)
            and self.end_state_is_right(office)
            and {one.tool for one in outcome.calls if one.doubted} == set(self.doubted)
            and len(outcome.calls) <= self.max_calls
        )

    def error_in(self, answer: str) -> str:
        """What is wrong with an answer; empty if nothing is. Passed to planners as their check."""
        lost = [word for word in self.must_contain if word not in answer.lower()]
        return f"the answer '{answer}' does not say {', '.join(lost)}" if lost else ""


def _nothing_done(office: TaskState) -> bool:
    return not (office.sent or office.deleted or office.ordered)


def _temperature_call(name: str) -> ExpectedCall:
    return ExpectedCall(
        tool="temperature", arguments={"town": name}, purpose=f"Find the temperature in {name}."
    )


_SHOP = ("find_part", "find_supplier", "price_of", "calculator")
_REPORT = "Report 2024: sales rose by 12 percent."

BENCHMARK_TASKS: tuple[BenchmarkTask, ...] = (
    BenchmarkTask(
        name="works",
        about="one tool that works",
        goal="What is 17 times 23?",
        tools=given.working_tools,
        expected_calls=(
            ExpectedCall(
                tool="calculator", arguments={"expression": "17 * 23"}, purpose="Multiply them."
            ),
        ),
        answer="17 times 23 is 391.",
        must_contain=("391",),
        required_facts=("391",),
        end_state_is_right=_nothing_done,
    ),
    BenchmarkTask(
        name="outage",
        about="the first tool is down, another can do it",
        goal="What is the weather in Bern?",
        tools=given.weather_tools,
        expected_calls=(
            ExpectedCall(
                tool="weather_now", arguments={"town": "Bern"}, purpose="Look at the weather."
            ),
            ExpectedCall(
                tool="weather_backup",
                arguments={"town": "Bern"},
                purpose="Look at the weather.",
                fallback_for="weather_now",
            ),
        ),
        answer="In Bern it rains, at 9 degrees.",
        must_contain=("rain", "9"),
        required_facts=("rain, 9 degrees",),
    ),
    BenchmarkTask(
        name="mend",
        about="arguments refused with a message that says how to correct them",
        goal="When does the next train to Basel leave?",
        tools=given.train_tools,
        expected_calls=(
            ExpectedCall(
                tool="timetable", arguments={"station": "Basel"}, purpose="Look up the train."
            ),
            ExpectedCall(
                tool="timetable",
                arguments={"station": "BSL"},
                purpose="Look up the train.",
                fallback_for="timetable",
            ),
        ),
        answer="It leaves at 10:42.",
        must_contain=("10:42",),
        required_facts=("10:42",),
    ),
    BenchmarkTask(
        name="replan",
        about="the plan fails half way and must be made anew",
        goal="Fetch the report of 2024 from the archive and send it to Ada.",
        tools=given.report_tools,
        expected_calls=(
            ExpectedCall(
                tool="archive", arguments={"year": 2024}, purpose="Fetch it from the archive."
            ),
            ExpectedCall(
                tool="library",
                arguments={"year": 2024},
                purpose="Fetch it from the library.",
                fallback_for="archive",
            ),
            ExpectedCall(
                tool="send_letter",
                arguments={"to": "Ada", "text": _REPORT},
                purpose="Send it to Ada.",
                after=("archive",),
            ),
        ),
        answer="The report of 2024 was in the library and is sent to Ada.",
        end_state_is_right=lambda office: office.sent == [("Ada", _REPORT)],
    ),
    BenchmarkTask(
        name="approved",
        about="a tool that a person must allow, and does",
        goal="Send Ada a letter that says: supper is at seven.",
        tools=given.letter_tools,
        expected_calls=(
            ExpectedCall(
                tool="send_letter",
                arguments={"to": "Ada", "text": "supper is at seven"},
                purpose="Send the letter.",
            ),
        ),
        answer="The letter is sent.",
        needs_approval=("send_letter",),
        end_state_is_right=lambda office: (
            [(to, text.lower().strip(". ")) for to, text in office.sent]
            == [("Ada", "supper is at seven")]
        ),
    ),
    BenchmarkTask(
        name="denied",
        about="a tool that a person must allow, and does not",
        goal="Delete the folder of old photos.",
        tools=given.photo_tools,
        expected_calls=(
            ExpectedCall(
                tool="delete_folder",
                arguments={"folder": "old photos"},
                purpose="Delete the folder.",
            ),
        ),
        status="gave_up",
        end_state_is_right=_nothing_done,
        needs_approval=("delete_folder",),
        denied=("delete_folder",),
    ),
    BenchmarkTask(
        name="liar",
        about="a tool that lies, found out by asking others",
        goal="What is the temperature in the cellar?",
        tools=given.sensor_tools,
        expected_calls=tuple(
            ExpectedCall(tool=name, arguments={"room": "cellar"}, purpose="Read the sensors.")
            for name in ("old_sensor", "wall_sensor", "floor_sensor")
        ),
        answer="It is 12 degrees in the cellar.",
        must_contain=("12",),
        must_not_contain=("31",),
        required_facts=("12 degrees", "other sources do not agree"),
        doubted=("old_sensor",),
    ),
    BenchmarkTask(
        name="missing",
        about="something needed was not said: ask back",
        goal="Book a table at the inn.",
        tools=given.booking_tools,
        status="waiting",
        answer="For how many people, and at what time?",
        end_state_is_right=_nothing_done,
        max_calls=0,
    ),
    BenchmarkTask(
        name="nothing",
        about="no tool fits: give up",
        goal="Paint my garden fence blue.",
        tools=given.working_tools,
        status="gave_up",
        max_calls=0,
    ),
    BenchmarkTask(
        name="chain",
        about="five calls, each needs what those before gave",
        goal="The mill stands still. Find out which part it is missing and order 3 pieces of it.",
        tools=given.shop_tools,
        expected_calls=(
            ExpectedCall(
                tool="find_part", arguments={"machine": "mill"}, purpose="Find the missing part."
            ),
            ExpectedCall(
                tool="find_supplier",
                arguments={"part": "P-77"},
                purpose="Find who sells it.",
                after=_SHOP[:1],
            ),
            ExpectedCall(
                tool="price_of",
                arguments={"part": "P-77", "supplier": "Keller"},
                purpose="Find its price.",
                after=_SHOP[:2],
            ),
            ExpectedCall(
                tool="calculator",
                arguments={"expression": "3 * 14"},
                purpose="Work out what 3 pieces cost.",
                after=_SHOP[:3],
            ),
            ExpectedCall(
                tool="order_part",
                arguments={"part": "P-77", "pieces": 3, "francs": 42},
                purpose="Order 3 pieces of it.",
                after=_SHOP,
            ),
        ),
        answer="3 pieces of P-77 are ordered for 42 francs.",
        end_state_is_right=lambda office: office.ordered == [("P-77", 3, 42)],
    ),
    BenchmarkTask(
        name="branches",
        about="three calls that need nothing of each other",
        goal="Which of the towns Bern, Oslo and Rome is the warmest today?",
        tools=given.temperature_tools,
        expected_calls=tuple(map(_temperature_call, ("Bern", "Oslo", "Rome"))),
        answer="Rome is the warmest, at 17 degrees.",
        must_contain=("rome", "17"),
        must_not_contain=("oslo is the warmest", "bern is the warmest"),
        required_facts=("9 degrees", "2 degrees", "17 degrees"),
    ),
    BenchmarkTask(
        name="loop",
        about="a tool that begs to be asked again for ever",
        goal="Tell me once the oven is hot; it is minute 1.",
        tools=given.oven_tools,
        expected_calls=(
            ExpectedCall(
                tool="oven_hot", arguments={"minute": 1}, purpose="Ask whether it is hot."
            ),
        ),
        status="gave_up",
        end_state_is_right=lambda office: office.polls <= 3,
        max_calls=3,
    ),
)
"""All tasks."""
