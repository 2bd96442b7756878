"""The codec: every record travels as canonical JSON and comes back as it was."""

from __future__ import annotations

import json
import types
import typing
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime
from typing import Any, Literal, get_args, get_origin, get_type_hints

import denizens.core
import numpy as np
import pytest
from denizens.core import (
    Action,
    AgentState,
    Answer,
    Ask,
    Choose,
    Clock,
    Completion,
    DataError,
    Failed,
    Generate,
    Json,
    Message,
    Option,
    Persona,
    Recall,
    RoutineEntry,
    ScheduleEntry,
    SettingError,
    Situation,
    Vectors,
    answer_from_json,
    ask_from_json,
    build_settings,
    canonical,
    digest,
    digest_text,
    from_json,
    to_json,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

NINE = datetime(2023, 2, 13, 9)
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | NUMBERS | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=4,
)
SIMPLE: dict[object, st.SearchStrategy[Any]] = {
    Any: PLAIN,
    float: NUMBERS,
    int: st.integers(-(2**60), 2**60),
    str: st.text(max_size=12),
    bool: st.booleans(),
    datetime: st.datetimes(),
    types.NoneType: st.none(),
}


def values(hint: Any) -> st.SearchStrategy[Any]:
    """Any value of a type that records are made of."""
    if hint in SIMPLE:
        return SIMPLE[hint]
    kind, inner = get_origin(hint), get_args(hint)
    if is_dataclass(hint) and isinstance(hint, type):
        hints = get_type_hints(hint)
        named = [one.name for one in fields(hint) if one.name != "kind"]
        if "kind" in hints and get_args(hints["kind"]) and len(get_args(hints["kind"])) > 1:
            named.append("kind")
        return st.builds(hint, **{name: values(hints[name]) for name in named})
    if kind is Literal:
        return st.sampled_from(inner)
    if kind in (types.UnionType, typing.Union):
        return st.one_of([values(one) for one in inner])
    if kind is tuple and inner[-1] is Ellipsis:
        return st.lists(values(inner[0]), max_size=3).map(tuple)
    if kind is tuple:
        return st.tuples(*(values(one) for one in inner))
    assert kind is Mapping, f"no values for {hint}"
    return st.dictionaries(values(inner[0]), values(inner[1]), max_size=2)


def records() -> list[type[Any]]:
    """Every dataclass that the core gives out."""
    found = [getattr(denizens.core, name) for name in denizens.core.__all__]
    return [one for one in found if isinstance(one, type) and is_dataclass(one)]


def travelled(data: Json) -> Json:
    """What arrives where canonical text was sent."""
    return json.loads(canonical(data))


@pytest.mark.parametrize("record", records(), ids=lambda record: str(record.__name__))
def test_every_record_of_the_core_comes_back_from_its_json(record: type[Any]) -> None:
    """to_json, canonical text, from_json: the very same record, for each dataclass there is."""

    @settings(max_examples=5, deadline=None, suppress_health_check=list(HealthCheck))
    @given(values(record))
    def there_and_back(one: Any) -> None:
        again = from_json(record, travelled(to_json(one)))
        assert again == one
        assert type(again) is record
        assert canonical(to_json(again)) == canonical(to_json(one))

    there_and_back()


def test_the_walk_over_the_core_found_its_records() -> None:
    """The property above saw all kinds of records: asks, answers, states, worlds' words."""
    names = {record.__name__ for record in records()}
    assert {"Generate", "Vectors", "Failed", "AgentState", "Observation", "Step"} <= names
    assert len(names) >= 45


@settings(max_examples=50, deadline=None)
@given(st.one_of([values(one) for one in get_args(Ask)]))
def test_an_ask_is_told_apart_by_its_kind(ask: Ask) -> None:
    """ask_from_json needs no class: kind alone brings the same ask back."""
    assert ask_from_json(travelled(to_json(ask))) == ask


@settings(max_examples=50, deadline=None)
@given(st.one_of([values(one) for one in get_args(Answer)]))
def test_an_answer_is_told_apart_by_its_kind(answer: Answer) -> None:
    """answer_from_json needs no class: kind alone brings the same answer back."""
    assert answer_from_json(travelled(to_json(answer))) == answer


def test_every_ask_and_answer_has_a_kind_of_its_own() -> None:
    """No two asks and no two answers share a kind."""
    for union in (Ask, Answer):
        kinds = [
            one.default
            for record in get_args(union)
            for one in fields(record)
            if one.name == "kind"
        ]
        assert len(set(kinds)) == len(kinds) == len(get_args(union)) >= 6


@settings(max_examples=40, deadline=None)
@given(st.dictionaries(st.text(max_size=6), PLAIN, max_size=6), st.randoms(use_true_random=False))
def test_the_order_of_keys_changes_nothing(data: dict[str, Json], random: Any) -> None:
    """Equal values give equal canonical text and digest, however they were built."""
    keys = list(data)
    random.shuffle(keys)
    shuffled = {key: data[key] for key in keys}
    assert canonical(shuffled) == canonical(data)
    assert digest(shuffled) == digest(data)
    assert json.loads(canonical(data)) == data


def test_the_digest_of_an_ask_is_the_same_in_every_process() -> None:
    """One literal digest: a change of the canonical JSON would strand every recorded run."""
    ask = Generate(messages=(Message.of("user", "Guten Tag, Bö", who="Ada"),), seed=3)
    assert canonical(to_json(ask)) == (
        '{"kind":"generate","max_tokens":64,"messages":[{"kind":"message","parts":'
        '[{"drop":0,"text":"Guten Tag, Bö"}],"role":"user","who":"Ada"}],"role":"speech",'
        '"schema":null,"seed":3,"stop":[],"stream":false,"temperature":0.7,"top_p":0.95}'
    )
    assert digest(to_json(ask)) == "835c74e499f7022a0cbf67ece2a0e74c"
    assert digest_text("") == "cae66941d9efbd404e4d88758ea67670"


def test_a_digest_tells_small_differences() -> None:
    """Another seed, role or option is another ask."""
    asks: list[Ask] = [
        Generate(messages=()),
        Generate(messages=(), seed=1),
        Generate(messages=(), role="plan"),
        Choose(messages=(), options=(Option("a"),), about=""),
        Choose(messages=(), options=(Option("a", " "),), about=""),
    ]
    assert len({digest(to_json(ask)) for ask in asks}) == len(asks)


def test_a_state_keeps_its_times_and_slots() -> None:
    """Schedules, cool-downs and the notebook of a planner survive the journey."""
    slot = ScheduleEntry(
        start=NINE, minutes=15, doing="kneading", place="v:a:b:c", emoji="🥖", fine=True
    )
    state = AgentState(
        schedule=(slot,), doing=slot, cooldowns={"Ada": NINE}, drafts={"topics": [1, 2]}
    )
    data = to_json(state)
    assert data["cooldowns"] == {"Ada": "2023-02-13T09:00:00"}
    assert from_json(AgentState, data) == state


def test_what_is_no_record_is_refused() -> None:
    """Data that does not fit raises DataError, never a half-made record."""
    unfit: list[Json] = [{}, {"kind": "dream"}, {"kind": "generate"}, [], None]
    for bad in unfit:
        with pytest.raises(DataError):
            ask_from_json(bad)
    with pytest.raises(DataError):
        answer_from_json({"kind": "completion", "text": 3})
    with pytest.raises(DataError):
        from_json(ScheduleEntry, {"start": "yesterday", "minutes": 3, "doing": "x"})


def test_asks_and_answers_are_not_mistaken_for_each_other() -> None:
    """An answer is no ask, and an ask no answer."""
    with pytest.raises(DataError):
        ask_from_json(to_json(Failed(reason="limit", detail="")))
    with pytest.raises(DataError):
        answer_from_json(to_json(Generate(messages=())))
    assert answer_from_json(to_json(Completion(text="Hello."))) == Completion(text="Hello.")


@given(st.integers(0, 5), st.integers(1, 7))
def test_vectors_keep_every_bit(rows: int, columns: int) -> None:
    """An array packed as base64 comes back bit by bit, read only, whatever its shape."""
    array = np.linspace(-1, 1, rows * columns, dtype=np.float32).reshape(rows, columns)
    packed = from_json(Vectors, travelled(to_json(Vectors.of(array, tokens_in=3))))
    again = packed.array()
    assert again.dtype == np.float32
    assert again.shape == (rows, columns)
    assert again.tobytes() == array.tobytes()
    assert not again.flags.writeable
    assert packed.tokens_in == 3


def test_checked_builds_the_record() -> None:
    """Good settings become the record, nested ones included."""
    found = build_settings(
        Persona, {"name": "Bo Li", "routine": [{"at": "08:00", "doing": "x"}]}, "p"
    )
    assert found == Persona(name="Bo Li", routine=(RoutineEntry(at="08:00", doing="x"),))


def test_checked_refuses_an_unknown_key_and_suggests_the_near_one() -> None:
    """A misspelt key is named with its file and the key that was meant; a strange one without."""
    with pytest.raises(SettingError, match=r"bo\.toml: unknown key 'lifestile'.*'lifestyle'"):
        build_settings(Persona, {"name": "Bo", "lifestile": ""}, "bo.toml")
    with pytest.raises(SettingError) as caught:
        build_settings(Persona, {"name": "Bo", "qqqq": ""}, "bo.toml")
    assert "did you mean" not in str(caught.value)
    assert "known: name, age" in str(caught.value)


def test_checked_refuses_an_unknown_key_inside_a_nested_record() -> None:
    """Nothing is dropped in silence, however deep it stands."""
    routine = [{"at": "08:00", "doing": "baking", "palce": "oven"}]
    with pytest.raises(SettingError, match=r"bo\.toml: unknown key 'routine\.0\.palce'.*'place'"):
        build_settings(Persona, {"name": "Bo", "routine": routine}, "bo.toml")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"name": "Bo", "age": "old"}, "bo.toml: field 'age'"),
        ({"age": 3}, "bo.toml: field 'name'"),
        ({"name": "Bo", "routine": [{"at": "08:00"}]}, "bo.toml: field 'routine.0.doing'"),
        ({"name": "Bo", "knows": "all"}, "bo.toml: field 'knows'"),
    ],
)
def test_checked_names_the_file_and_the_field(data: Json, words: str) -> None:
    """A wrong, missing or misplaced value is told with file and path, as a SettingError."""
    with pytest.raises(SettingError) as caught:
        build_settings(Persona, data, "bo.toml")
    assert str(caught.value).startswith(words)


@pytest.mark.parametrize(
    ("data", "detail"),
    [
        ({"at": "09:00"}, "field 'doing' of the answer: Field required"),
        ({"at": 9, "doing": "baking"}, "field 'at' of the answer: Input should be a valid string"),
        (3, "field 'the whole' of the answer: "),
    ],
)
def test_an_answer_that_breaks_its_type_is_a_failure(data: Json, detail: str) -> None:
    """``read`` raises nothing for what a model wrote: it says what does not fit."""
    found = Completion(text="", data=data).read(RoutineEntry)
    assert isinstance(found, Failed)
    assert (found.reason, found.detail[: len(detail)]) == ("schema", detail)
    fine = Completion(text="", data={"at": "09:00", "doing": "baking"})
    assert fine.read(RoutineEntry) == RoutineEntry(at="09:00", doing="baking")


def test_a_record_is_frozen() -> None:
    """Records cannot be changed, and those without JSON fields can be keys."""
    with pytest.raises(AttributeError):
        Clock(NINE).step_seconds = 3  # type: ignore[misc]
    assert len({Action("wait"), Action("wait", fields={"a": 1}), Action("say")}) == 3
    assert Recall.__name__ in denizens.core.__all__
    assert {one.name for one in fields(Situation)} >= {"persona", "state", "seen", "fresh"}
