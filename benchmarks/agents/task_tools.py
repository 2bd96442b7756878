"""Tools of the benchmark tasks: some work, some fail, some lie."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ...tools import Tool, calculator, calendar, clock, tool

Tools = tuple[Tool[..., Any], ...]


@dataclass(slots=True)
class TaskState:
    """The state that the tools of one run change; each run has its own."""

    sent: list[tuple[str, str]] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)
    ordered: list[tuple[str, int, int]] = field(default_factory=list)
    polls: int = 0


def working_tools(office: TaskState) -> Tools:
    """Tools that work."""
    return (calculator, clock, calendar)


def weather_tools(office: TaskState) -> Tools:
    """One service that is down, and one that works."""

    @tool(name="weather_now", effect="reads")
    def weather_now(town: str) -> str:
        """The weather in a town right now."""
        raise ConnectionError("the weather service is down")

    @tool(name="weather_backup", effect="reads")
    def weather_backup(town: str) -> str:
        """The weather in a town, from the old weather station; use it when the other is down."""
        return f"{town}: rain, 9 degrees"

    return (weather_now, weather_backup, clock)


def train_tools(office: TaskState) -> Tools:
    """A timetable that accepts only station codes and says so in its error."""

    @tool(effect="reads")
    def timetable(station: str) -> str:
        """When the next train to a station leaves.

        Args:
            station: Where the train goes.
        """
        if station.upper() != "BSL":
            raise ValueError("station is a code of three letters; the code of Basel is BSL")
        return "the next train to BSL leaves at 10:42"

    return (timetable, calendar)


def report_tools(office: TaskState) -> Tools:
    """An archive whose reports were moved, a library, and a mail tool."""

    @tool(effect="reads")
    def archive(year: int) -> str:
        """Fetch the report of a year from the archive."""
        raise LookupError(f"the report of {year} is no longer here, it is in the library")

    @tool(effect="reads")
    def library(year: int) -> str:
        """Fetch the report of a year from the library."""
        return f"Report {year}: sales rose by 12 percent."

    return (archive, library, _send_letter_tool(office))


def letter_tools(office: TaskState) -> Tools:
    """A mail tool."""
    return (_send_letter_tool(office), calendar)


def photo_tools(office: TaskState) -> Tools:
    """A destructive tool."""

    @tool(effect="acts")
    def delete_folder(folder: str) -> str:
        """Delete a folder and all that is in it."""
        office.deleted.append(folder)
        return f"{folder} is deleted"

    return (delete_folder, clock)


def sensor_tools(office: TaskState) -> Tools:
    """Three thermometers, one of which is wrong."""
    degrees = {"wall_sensor": 12, "old_sensor": 31, "floor_sensor": 12}

    def make(name: str, value: int, where: str) -> Tool[..., Any]:
        def read(room: str) -> str:
            return f"{value} degrees"

        read.__doc__ = f"The temperature of a room in degrees, from the sensor {where}."
        return tool(name=name, effect="reads")(read)

    places = ("on the wall", "at the old boiler", "in the floor")
    return tuple(make(name, degrees[name], where) for name, where in zip(degrees, places))


def booking_tools(office: TaskState) -> Tools:
    """A booking tool that needs arguments which the goal does not state."""

    @tool(effect="acts")
    def book_table(guests: int, time: str) -> str:
        """Book a table at the inn.

        Args:
            guests: How many people come.
            time: At what time they come.
        """
        office.ordered.append((time, guests, 0))
        return f"booked for {guests} at {time}"

    return (book_table, clock)


def shop_tools(office: TaskState) -> Tools:
    """A shop whose order takes five dependent calls."""

    @tool(effect="reads")
    def find_part(machine: str) -> str:
        """Which part a machine is missing: the part's number."""
        return "P-77"

    @tool(effect="reads")
    def find_supplier(part: str) -> str:
        """Who sells a part, by the part's number."""
        return {"P-77": "Keller"}[part]

    @tool(effect="reads")
    def price_of(part: str, supplier: str) -> int:
        """What one piece of a part costs at a supplier, in francs."""
        return {("P-77", "Keller"): 14}[part, supplier]

    @tool(effect="acts")
    def order_part(part: str, pieces: int, francs: int) -> str:
        """Order pieces of a part for so many francs in all."""
        office.ordered.append((part, pieces, francs))
        return f"{pieces} pieces of {part} are ordered for {francs} francs"

    return (find_part, find_supplier, price_of, calculator, order_part)


def temperature_tools(office: TaskState) -> Tools:
    """Independent lookups of temperatures."""
    degrees = {"bern": 9, "oslo": 2, "rome": 17}

    @tool(effect="reads")
    def temperature(town: str) -> str:
        """The temperature in a town today, in degrees."""
        return f"{degrees[town.lower()]} degrees"

    return (temperature, calculator)


def oven_tools(office: TaskState) -> Tools:
    """A tool that always asks to be called again."""

    @tool(effect="reads")
    def oven_hot(minute: int) -> str:
        """Whether the oven is hot at a minute."""
        office.polls += 1
        return f"not yet, ask again at minute {minute + 1}"

    return (oven_hot, clock)


def _send_letter_tool(office: TaskState) -> Tool[..., Any]:
    @tool(effect="acts")
    def send_letter(to: str, text: str) -> str:
        """Send somebody a letter.

        Args:
            to: Who gets it.
            text: What it says.
        """
        office.sent.append((to, text))
        return f"sent to {to}"

    return send_letter
