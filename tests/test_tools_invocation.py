"""Tools while they run: time limits, retries, progress; methods, units and pydantic types."""

from __future__ import annotations

import asyncio
import threading
import time
from datetime import datetime
from typing import Annotated, Literal

import pytest
from denizens.core import Json, ToolError, ToolResult
from denizens.tools import AnyTool, Toolbox, ToolContext, ToolProgress, Unit, tool
from pydantic import BaseModel, Field

BO = ToolContext("Bo", datetime(2023, 2, 13, 9, 30))


def call(given: AnyTool, arguments: Json = None, box: Toolbox | None = None) -> ToolResult:
    """One call of one tool."""
    chosen = box or Toolbox([given])
    return chosen.call(given.name, arguments or {}, context=BO, key="1/Bo/1.0")


def test_a_plain_function_that_hangs_is_left_behind() -> None:
    """The call returns when its time is over, though the function goes on; its end is not
    heard, and the next call is not disturbed."""
    go = threading.Event()

    @tool(effect="reads", timeout=0.1)
    def hang(first: bool) -> str:
        """Wait for ever."""
        if first:
            go.wait(20)
        return "over"

    began = time.perf_counter()
    result = call(hang, {"first": True})
    assert time.perf_counter() - began < 5
    assert (result.ok, result.reason) == (False, "timeout")
    assert "took longer than 0.1 s" in result.error
    assert result.receipt
    assert call(hang, {"first": False}).value == "over"
    go.set()


def test_an_async_function_is_cancelled() -> None:
    """It gets its cancellation and may tidy up; one that will not be cancelled is left."""
    ends: list[str] = []

    @tool(effect="reads", timeout=0.1)
    async def doze(stubborn: bool) -> str:
        """Sleep for a long time."""
        try:
            await asyncio.sleep(20)
        except asyncio.CancelledError:
            ends.append("tidied")
            if stubborn:
                await asyncio.sleep(2)
            raise
        return "rested"

    assert call(doze, {"stubborn": False}).reason == "timeout"
    assert ends == ["tidied"]
    began = time.perf_counter()
    assert call(doze, {"stubborn": True}).reason == "timeout"
    assert time.perf_counter() - began < 1.9


def test_within_its_time_a_tool_is_as_ever() -> None:
    """A limit changes neither values nor errors nor Ctrl-C, plain or async."""

    @tool(timeout=5)
    def halve(n: int) -> float:
        """Half of a number."""
        if n == 13:
            raise KeyboardInterrupt
        return 84 / n

    @tool(timeout=5)
    async def later(n: int) -> float:
        """Half of a number, later."""
        return 84 / n

    for one in (halve, later):
        assert call(one, {"n": 2}).value == 42.0
        failed = call(one, {"n": 0})
        assert (failed.reason, failed.error) == ("failed", "ZeroDivisionError: division by zero")
    with pytest.raises(KeyboardInterrupt):
        call(halve, {"n": 13})


@pytest.mark.parametrize(
    ("error", "reason", "tries"),
    [
        (OSError("no route"), "failed", 3),
        (ConnectionError("gone"), "gone", 3),
        (TimeoutError("slow"), "timeout", 3),
        (ValueError("not a town"), "failed", 1),
        (LookupError("not there"), "failed", 1),
    ],
)
def test_bad_luck_is_tried_again(error: Exception, reason: str, tries: int) -> None:
    """What reads is tried again after bad luck, as often as it says, and not after a complaint
    about what it was given; the kind of failure is told."""
    seen: list[int] = []

    @tool(effect="reads", retries=2)
    def ask() -> str:
        """Ask far away."""
        seen.append(1)
        raise error

    assert call(ask).reason == reason
    assert len(seen) == tries


def test_luck_comes_back() -> None:
    """The first attempt that succeeds is the result."""
    seen: list[int] = []

    @tool(effect="reads", retries=5)
    async def ask() -> int:
        """Ask far away."""
        seen.append(1)
        if len(seen) < 3:
            raise OSError("no route")
        return len(seen)

    assert call(ask).value == 3


def test_what_acts_is_never_tried_again() -> None:
    """Retries for a tool that acts are refused where it is declared."""

    def post() -> None:
        """Post a letter."""

    with pytest.raises(ToolError, match="must not be retried"):
        tool(effect="acts", retries=1)(post)
    for wrong in ({"timeout": -1.0}, {"limit": -1}):
        with pytest.raises(ToolError, match="must not be negative"):
            tool(**wrong)(post)


@pytest.mark.parametrize("timeout", [0.0, 5.0])
def test_progress_is_heard_while_it_works(timeout: float) -> None:
    """The listener hears what a tool says, in order, in the caller's own thread, and before
    the call is over; without a listener nothing happens."""
    heard: list[ToolProgress] = []
    threads: set[int] = set()

    @tool(timeout=timeout)
    def bake(context: ToolContext, loaves: int) -> int:
        """Bake loaves."""
        for loaf in range(loaves):
            context.report_progress(f"loaf {loaf}", (loaf + 1) / loaves)
        context.report_progress("cooling")
        return loaves

    def listen(said: ToolProgress) -> None:
        heard.append(said)
        threads.add(threading.get_ident())

    assert call(bake, {"loaves": 2}, Toolbox([bake], listener=listen)).value == 2
    assert [said.text for said in heard] == ["loaf 0", "loaf 1", "cooling"]
    assert heard[1] == ToolProgress("bake", "Bo", "1/Bo/1.0", "loaf 1", 1.0)
    assert heard[2].share is None
    assert threads == {threading.get_ident()}
    assert call(bake, {"loaves": 1}).ok


def test_a_tool_has_its_own_limit_of_size() -> None:
    """``limit`` of a tool goes before the toolbox's, both ways."""

    @tool(limit=5)
    def short() -> str:
        """Say too much."""
        return "a long story"

    @tool(limit=50_000)
    def long() -> str:
        """Say much."""
        return "x" * 30_000

    refused = call(short)
    assert (refused.reason, refused.ok) == ("result", False)
    assert "more than the 5 allowed" in refused.error
    assert call(long).ok


class Bakery:
    """An object with tools."""

    def __init__(self, bread: str) -> None:
        self.bread = bread

    @tool(effect="reads")
    def shelf(self, context: ToolContext, most: int = 3) -> list[str]:
        """What lies on the shelf."""
        return [f"{self.bread} for {context.who}"] * most

    @tool
    async def smell(self) -> str:
        """Smell it."""
        return self.bread


def test_methods_are_tools_of_their_objects() -> None:
    """Each object's method is a tool that works on that object; ``self`` is never shown."""
    rye, oat = Bakery("rye"), Bakery("oat")
    assert list(rye.shelf.spec.parameters["properties"]) == ["most"]
    assert call(rye.shelf, {"most": 1}).value == ["rye for Bo"]
    assert call(oat.shelf, {"most": 2}).value == ["oat for Bo"] * 2
    assert call(oat.smell).value == "oat"
    assert rye.shelf(BO, most=1) == ["rye for Bo"]
    with pytest.raises(ToolError, match="give the one of an object"):
        Toolbox([Bakery.shelf])


def test_a_bound_method_is_a_function_like_any() -> None:
    """``tool(object.method)`` works on a class that knows nothing of tools."""

    class Plain:
        def greet(self, name: str) -> str:
            """Greet somebody."""
            return f"Hello, {name}!"

    assert call(tool(Plain().greet), {"name": "Ada"}).value == "Hello, Ada!"


class Address(BaseModel):
    """Where somebody lives."""

    street: str
    number: int = Field(ge=1, description="the house's number")


@tool
def deliver(
    to: Address,
    weight: Annotated[float, Unit("kg"), Field(gt=0, le=30)],
    distance: Annotated[float, "how far", Unit("km")] = 1.0,
    speed: Literal["slow", "fast"] = "slow",
    height: Annotated[float, Unit("cm")] = 10,
) -> dict[str, object]:
    """Deliver a parcel.

    Args:
        height: of the parcel
    """
    return {"to": to, "weight": weight, "distance": distance, "speed": speed, "height": height}


def test_units_are_told_to_the_model() -> None:
    """What a number is measured in stands in its description, after what it is."""
    shown = deliver.spec.parameters["properties"]
    assert shown["weight"]["description"] == "in kg"
    assert shown["distance"]["description"] == "how far, in km"
    assert shown["height"]["description"] == "of the parcel, in cm"
    assert shown["weight"]["exclusiveMinimum"] == 0


def test_pydantic_models_are_checked_inside() -> None:
    """A model is built of its fields; what is wrong in one is named by its path."""
    good = call(deliver, {"to": {"street": "Mill Lane", "number": "7"}, "weight": 2})
    assert good.value["to"] == {"street": "Mill Lane", "number": 7}
    assert (good.value["distance"], good.value["speed"]) == (1.0, "slow")
    bad = call(deliver, {"to": {"street": "Mill Lane", "number": 0}, "weight": 31, "speed": "now"})
    assert bad.reason == "arguments"
    for words in ("argument 'to.number'", "'weight'", "less than or equal to 30", "'speed'"):
        assert words in bad.error
    assert "argument 'to.street' is missing" in call(deliver, {"to": {}, "weight": 1}).error
