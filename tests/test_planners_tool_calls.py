"""Drafting a call: a tool that is there, arguments that fit, and never the same call again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from denizens.core import (
    Answer,
    Choice,
    Choose,
    Completion,
    Failed,
    Generate,
    Json,
    ModelAsk,
    Option,
    Seed,
    ToolSpec,
    run_thoughts,
    schema_validator,
)
from denizens.models import ImprovisedModel, LocalModel
from denizens.planners import IncompleteCall, ProposedCall, call_key, fill_arguments, propose_call
from denizens.testing import ScriptedModel
from hypothesis import given, settings
from hypothesis import strategies as st

SEED = Seed.of(1)


def tool(
    name: str, about: str = "", required: Sequence[str] | None = None, **fields: Json
) -> ToolSpec:
    wanted = list(fields) if required is None else list(required)
    schema = {"type": "object", "properties": fields, "required": wanted}
    return ToolSpec(name, about or name, schema)


AREA = tool("area", "Area of a rectangle.", width={"type": "integer"}, height={"type": "integer"})
RING = tool("ring", "Ring a bell.", times={"type": "integer"})
SIT = tool("sit", "Sit down.")


def model(*likely: float, written: Json = None) -> tuple[ScriptedModel, list[ModelAsk]]:
    """One that finds the tools so likely and any text as likely as the others; and its asks."""
    asks: list[ModelAsk] = []

    def answer(ask: ModelAsk) -> Answer:
        asks.append(ask)
        if isinstance(ask, Choose):
            even = tuple(1 / len(ask.options) for _ in ask.options)
            spread = likely if ask.role == "tool" else even
            return Choice(index=spread.index(max(spread)), probabilities=spread)
        if written is None or not isinstance(ask, Generate):
            return Failed(reason="engine", detail="no words today")
        return Completion(text="", data=written)

    return ScriptedModel(answer), asks


def drafted(
    scripted: ScriptedModel, request: str, tools: Sequence[ToolSpec], **more: Any
) -> ProposedCall | None:
    (told,) = run_thoughts(scripted, [propose_call(request, tools, seed=SEED, **more)])
    assert not isinstance(told, IncompleteCall)
    return told


def filled(spec: ToolSpec, request: str, written: Json = None, **more: Any) -> Json | Failed:
    return run_thoughts(
        model(written=written)[0], [fill_arguments(spec, request, seed=SEED, **more)]
    )[0]


def test_the_likeliest_tool_is_drafted_with_the_requests_numbers() -> None:
    """The choice is the model's, the numbers are the request's, in the order it names them."""
    found = drafted(model(0.1, 0.2, 0.7)[0], "The area of 7 by 10, please.", [RING, AREA])
    assert found == ProposedCall(AREA, {"width": 7, "height": 10}, 0.7)


def test_none_and_other_things_are_likelier() -> None:
    """Where none of these, or something else, is likelier than every tool, nothing is drafted."""
    assert drafted(model(0.5, 0.4, 0.1)[0], "Hello!", [SIT, RING]) is None
    chat = Option("chat")
    scripted, asks = model(0.6, 0.4)
    assert drafted(scripted, "Hello!", [SIT], none=False, others=[chat]) is None
    (choose,) = asks
    assert isinstance(choose, Choose)
    assert [option.name for option in choose.options] == ["chat", "sit"]


def test_a_tool_under_the_margin_is_not_used() -> None:
    """A margin is the least probability with which a tool is meant."""
    for margin, there in ((0.7, True), (0.71, False)):
        found = drafted(model(0.3, 0.7)[0], "Sit!", [SIT], margin=margin)
        assert (found is not None) == there


def test_a_call_made_before_is_passed_over() -> None:
    """The next likeliest tool is taken; None where all that fit were called so."""
    done = {call_key("area", {"width": 2, "height": 3})}
    likely = (0.1, 0.3, 0.6)
    found = drafted(model(*likely)[0], "2 by 3", [RING, AREA], done=done)
    assert found is not None
    assert found.tool == RING
    done.add(call_key(RING.name, found.arguments))
    assert drafted(model(*likely)[0], "2 by 3", [RING, AREA], done=done) is None
    other = drafted(model(*likely)[0], "4 by 3", [RING, AREA], done=done)
    assert other is not None
    assert other.arguments == {"width": 4, "height": 3}


def test_no_tools_and_no_request_cost_nothing() -> None:
    """Nothing is asked where there is nothing to decide, or no argument to find."""
    scripted, asks = model()
    assert drafted(scripted, "Hello!", []) is None
    assert drafted(scripted, "  ", [SIT]) is None
    assert run_thoughts(scripted, [fill_arguments(SIT, "Sit!", seed=SEED)]) == [{}]
    assert asks == []


def test_a_failed_choice_drafts_nothing() -> None:
    """An engine's fault is no tool."""
    broken = ScriptedModel(lambda ask: Failed(reason="engine", detail="out of memory"))
    assert drafted(broken, "Sit!", [SIT]) is None


def test_the_keys_of_calls() -> None:
    """Equal for the same arguments in whatever order, and for no others."""
    assert call_key("a", {"x": 1, "y": [2]}) == call_key("a", {"y": [2], "x": 1})
    assert len({call_key("a", {"x": 1}), call_key("a", {"x": "1"}), call_key("b", {"x": 1})}) == 3


TEXT, WHOLE, SHARE, YES = ({"type": kind} for kind in ("string", "integer", "number", "boolean"))
UNIT = {"type": "string", "enum": ["metric", "imperial"]}


@pytest.mark.parametrize(
    ("spec", "request_", "wanted"),
    [
        (
            tool("t", city={**TEXT, "description": "The city."}),
            "Weather in Oslo today",
            {"city": "Oslo"},
        ),
        (
            tool("t", rate={**SHARE, "description": "Interest rate."}),
            "a rate of 5%",
            {"rate": 0.05},
        ),
        (tool("t", rate={**SHARE, "description": "In percent."}), "a rate of 5%", {"rate": 5}),
        (tool("t", days={**WHOLE, "description": "Days."}), "for the next two weeks", {"days": 14}),
        (tool("t", unit=UNIT), "the weather in metric units", {"unit": "metric"}),
        (
            tool("t", values={"type": "array", "items": WHOLE}),
            "sort [3, 1, 2]",
            {"values": [3, 1, 2]},
        ),
        (tool("t", title=TEXT), "play 'Hey Jude' now", {"title": "Hey Jude"}),
        (
            tool("t", date={**TEXT, "description": "As YYYY-MM-DD."}),
            "on March 4, 2021",
            {"date": "2021-03-04"},
        ),
        (
            tool("t", to={"type": "object", "properties": {"mail": TEXT}, "required": ["mail"]}),
            "write to ada@lovelace.org",
            {"to": {"mail": "ada@lovelace.org"}},
        ),
    ],
)
def test_values_of_each_kind_are_found(spec: ToolSpec, request_: str, wanted: Json) -> None:
    """Names, shares, lengths of time, listed values, lists, quotations, dates, addresses."""
    assert filled(spec, request_) == wanted


def test_what_a_request_does_not_mention_stays_out() -> None:
    """An optional number that nothing in the request could be is left to its default."""
    spec = tool(
        "t", required=["width"], width=WHOLE, depth={**WHOLE, "description": "Default is 1"}
    )
    assert filled(spec, "a width of 3") == {"width": 3}


def test_the_context_may_hold_the_value() -> None:
    """What was found before the request is read too."""
    spec = tool("t", mail={"type": "string", "format": "email"})
    found = filled(spec, "Write to her.", context="Ada's address is ada@lovelace.org.")
    assert found == {"mail": "ada@lovelace.org"}


def test_where_nothing_fits_the_model_writes() -> None:
    """A field that must be there, and that the request does not hold, is written under the
    grammar; what is written without regard to the schema is a failure, not an argument."""
    assert filled(AREA, "Hello!", {"width": 4, "height": 5}) == {"width": 4, "height": 5}
    wrongs: tuple[Json, ...] = ({"width": "four", "height": []}, [], {})
    for wrong in wrongs:
        assert isinstance(filled(AREA, "Hello!", wrong), Failed)
    assert isinstance(filled(AREA, "Hello!"), Failed)


def test_a_whole_schema_can_be_written_at_once() -> None:
    """The other way: the model writes all arguments, in one ask."""
    scripted, asks = model(written={"times": 3})
    assert run_thoughts(scripted, [fill_arguments(RING, "Ring!", seed=SEED, way="whole")]) == [
        {"times": 3}
    ]
    assert [ask.role for ask in asks] == ["arguments"]


def test_an_object_that_is_brought_in_is_whole() -> None:
    """An optional object of which one field is mentioned gets its required ones too."""
    place = {
        "type": "object",
        "properties": {"city": {**TEXT, "description": "The city."}, "floor": WHOLE},
        "required": ["city"],
    }
    spec = tool("t", required=[], place=place)
    found = filled(spec, "the floor = 4 in Oslo", {"place": {"city": "Oslo", "floor": 4}})
    assert not isinstance(found, Failed)
    assert schema_validator(spec.parameters, formats=True).is_valid(found)
    assert found == {} or "city" in found["place"]


def test_references_and_nulls_are_looked_through() -> None:
    """Pydantic's schemas: definitions, and values that may be null."""
    schema = {
        "$defs": {"Size": {"type": "string", "enum": ["small", "large"]}},
        "type": "object",
        "properties": {
            "size": {"$ref": "#/$defs/Size"},
            "count": {"anyOf": [{"type": "integer"}, {"type": "null"}], "default": None},
        },
        "required": ["size"],
    }
    found = filled(ToolSpec("order", "Order shirts.", schema), "3 large shirts")
    assert found["size"] == "large"  # type: ignore[index]
    assert schema_validator(schema, formats=True).is_valid(found)


SCALARS = st.one_of(
    st.just({"type": "string"}),
    st.builds(
        lambda low, more: {"type": "string", "minLength": low, "maxLength": low + more},
        st.integers(0, 4),
        st.integers(0, 9),
    ),
    st.builds(
        lambda low, more: {"type": "integer", "minimum": low, "maximum": low + more},
        st.integers(-9, 9),
        st.integers(0, 50),
    ),
    st.just({"type": "number"}),
    st.just({"type": "boolean"}),
    st.builds(
        lambda values: {"type": "string", "enum": values},
        st.lists(st.sampled_from(["red", "green", "A", "two"]), min_size=1, unique=True),
    ),
    st.builds(
        lambda values: {"enum": values},
        st.lists(st.sampled_from([1, 2, "x", 0.5]), min_size=1, unique=True),
    ),
)
LISTS = st.builds(
    lambda inner, most: {"type": "array", "items": inner, "maxItems": most},
    SCALARS,
    st.integers(1, 4),
)


def _object(inner: st.SearchStrategy[Json]) -> st.SearchStrategy[Json]:
    names = st.sampled_from(["city", "from", "count", "unit", "is_open", "tags"])
    return st.builds(
        lambda fields, wanted: {
            "type": "object",
            "properties": fields,
            "required": [name for name in fields if name in wanted],
            "additionalProperties": False,
        },
        st.dictionaries(names, inner, max_size=4),
        st.sets(names),
    )


SCHEMAS = _object(st.one_of(SCALARS, LISTS, _object(SCALARS)))
REQUESTS = st.one_of(
    st.text(max_size=60),
    st.lists(
        st.sampled_from(
            ["3", "-2.5", "red", "A", "from", "Oslo", "to", "Rome,", "'x y'", "[1, 2]", "5%", "and"]
        ),
        max_size=12,
    ).map(" ".join),
)


@settings(max_examples=150)
@given(SCHEMAS, REQUESTS, st.integers(0, 3))
def test_arguments_always_fit_and_no_tool_is_invented(
    schema: Json, request: str, seed: int
) -> None:
    """Whatever schema, request and model: a drafted call names a tool on offer, its arguments
    satisfy the schema, and its key is none of those done."""
    tools = [ToolSpec("first", "First tool.", schema), SIT, RING]
    done: set[str] = set()
    for _ in range(3):
        thought = propose_call(request, tools, seed=Seed.of(seed), done=done)
        (found,) = run_thoughts(ImprovisedModel(seed), [thought])
        if not isinstance(found, ProposedCall):
            break
        assert found.tool in tools
        assert schema_validator(found.tool.parameters, formats=True).is_valid(found.arguments)
        key = call_key(found.tool.name, found.arguments)
        assert key not in done
        done.add(key)


@pytest.mark.real
def test_the_real_model_calls_a_tool(smollm2: LocalModel) -> None:
    """smollm2 and MiniLM: the tool that is meant, its arguments as said."""
    weather = tool(
        "weather",
        "Get the weather forecast.",
        city={**TEXT, "description": "The city."},
        days={**WHOLE, "description": "How many days ahead."},
    )
    thought = propose_call(
        "How will the weather be in Oslo for the next 3 days?", [AREA, weather, RING], seed=SEED
    )
    (found,) = run_thoughts(smollm2, [thought])
    assert isinstance(found, ProposedCall)
    assert found.tool == weather
    assert found.arguments == {"city": "Oslo", "days": 3}
