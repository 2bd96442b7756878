"""The benchmark of calls: BFCL's check, its schemas, figures, receipts, fitting, search."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from denizens.benchmarks.agents.argument_weights import LabelledField, fit_weights
from denizens.benchmarks.agents.tool_calls import call_figures, judge_call
from denizens.benchmarks.agents.tool_search import pooled_functions, synthetic_tools
from denizens.benchmarks.bfcl import (
    SETS,
    BfclItem,
    accepts_value,
    as_schema,
    is_right_call,
    load_bfcl,
)
from denizens.cli import main
from denizens.core import Failed, Seed, SettingError, run_thoughts
from denizens.models import LocalModel
from denizens.planners import ProposedCall, propose_call
from denizens.testing import write_tiny_model

FUNCTIONS = (
    {
        "name": "area",
        "description": "Area of a rectangle.",
        "parameters": {
            "type": "dict",
            "properties": {"width": {"type": "float"}, "label": {"type": "string"}},
            "required": ["width"],
        },
    },
    {
        "name": "ring",
        "description": "Ring a bell.",
        "parameters": {"type": "dict", "properties": {}},
    },
)
ITEM = BfclItem("The area of 3", FUNCTIONS, "area", {"width": [3.0], "label": ["", "x y"]})


@pytest.mark.parametrize(
    ("accepted", "value", "right"),
    [
        ([3.0], 3, True),
        (["New York, NY"], "new york ny", True),
        (["x**2"], "x^2", True),
        ([True], 1, False),
        ([[1, 2]], [1, 2], True),
        ([[1, 2]], [2, 1], False),
        ([{"a": [1, 2], "b": ["", "x"]}], {"a": 2}, True),
        ([{"a": [1]}], {"a": 1, "c": 2}, False),
        ([[{"a": [1]}]], [{"a": 1}], True),
        ([""], "", True),
    ],
)
def test_values_are_compared_as_bfcl_does(accepted: list[Any], value: Any, right: bool) -> None:
    """Texts without case and some signs, whole numbers for fractions, lists in order, each key
    of an object by its own list."""
    assert accepts_value(accepted, value) == right


def test_a_call_is_right_only_as_a_whole() -> None:
    """Name, every argument, none too many, and those absent may be."""
    assert is_right_call(ITEM, "area", {"width": 3})
    assert is_right_call(ITEM, "area", {"width": 3, "label": "X-Y"})
    assert not is_right_call(ITEM, "ring", {"width": 3})
    assert not is_right_call(ITEM, "area", {"label": "x y"})
    assert not is_right_call(ITEM, "area", {"width": 3, "depth": 1})


def test_parameters_become_json_schema() -> None:
    """BFCL's own names of types, inside too; a property may be called type."""
    told = {"type": "dict", "properties": {"type": {"type": "tuple", "items": {"type": "float"}}}}
    assert as_schema(told) == {
        "type": "object",
        "properties": {"type": {"type": "array", "items": {"type": "number"}}},
    }
    assert as_schema({"type": "any", "description": "x"}) == {"description": "x"}


def test_figures_count_each_kind_of_error() -> None:
    """Wrong tools, wrong arguments, invalid and invented calls are told apart."""
    area, ring = ITEM.specs()
    lost = Failed(reason="schema", detail="")
    calls = [
        judge_call(ITEM, area, ProposedCall(area, {"width": 3}, 1.0), lost),
        judge_call(ITEM, area, ProposedCall(area, {"width": 4}, 1.0), {"width": 3}),
        judge_call(ITEM, ring, ProposedCall(ring, {}, 1.0), {}),
        judge_call(ITEM, area, None, {"width": "3"}),
    ]
    found = call_figures(calls, [True] * 4)
    assert (found["tool_accuracy"], found["call_accuracy"]) == (0.5, 0.25)
    assert found["arguments_accuracy"] == 0.5
    assert (found["invalid"], found["invented"]) == (1, 0)
    assert found["whole_schema"]["call_accuracy"] == 0.25
    assert found["whole_schema"]["invalid"] == 2
    assert found["odd"]["call_accuracy"] == 0.0
    assert found["even"]["call_accuracy"] == 0.5
    assert found["cosine"]["against_it"]["worse"] == 2


def test_fitting_finds_the_sign_that_tells() -> None:
    """A sign that always marks the right candidate weighs most, noise next to nothing."""
    fields = [
        LabelledField(
            ({"good": 1.0, "noise": float(i % 2)}, {"noise": float(i % 3 == 0)}), (True, False)
        )
        for i in range(12)
    ]
    weights = fit_weights(fields)
    assert weights["good"] > 1
    assert abs(weights["noise"]) < weights["good"] / 4


def test_a_thousand_tools_are_made() -> None:
    """No two share a name or a description, and no request names its tool's action."""
    tools = synthetic_tools()
    assert len(tools) == 1000
    assert len({option.name for option, _ in tools}) == 1000
    assert len({option.description for option, _ in tools}) == 1000
    assert len({request for _, request in tools}) == 1000


def write(folder: Path, name: str, rows: list[dict[str, Any]], answers: list[Any]) -> None:
    path = folder / "bfcl" / f"BFCL_v4_{name}.jsonl"
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    told = "".join(json.dumps({"ground_truth": [one]}) + "\n" for one in answers)
    path.with_name(f"BFCL_v4_{name}.answers.jsonl").write_text(told)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny model."""
    path = tmp_path_factory.mktemp("tiny")
    write_tiny_model(path / "lm", window=1024)
    return path


@pytest.fixture
def bench(folder: Path, tmp_path: Path) -> list[str]:
    """The command, on three requests of each category."""
    rows = [
        {"question": [[{"role": "user", "content": f"The area of {i}"}]], "function": FUNCTIONS}
        for i in range(3)
    ]
    answers = [{"area": {"width": [i], "label": [""]}} for i in range(3)]
    for name in SETS:
        write(tmp_path, name, rows, answers)
    return ["bench", "tools", "--model", str(folder / "lm"), "--data", str(tmp_path)]


def test_the_command_tells_all_figures(
    bench: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each category's figures and a receipt for each request; no call invalid or invented."""
    receipts = tmp_path / "receipts.jsonl"
    parts = [
        word for part in ("simple_python", "multiple", "irrelevance") for word in ("--part", part)
    ]
    with pytest.raises(SystemExit) as ended:
        main([*bench, *parts, "--receipts", str(receipts), "--json"])
    assert ended.value.code == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["invalid"], found["invented"]) == (0, 0)
    for part in ("simple_python", "multiple"):
        keys = {"tool_accuracy", "call_accuracy", "arguments_accuracy", "seconds_per_call"}
        assert keys <= set(found[part])
    assert 0 <= found["irrelevance"]["balanced_accuracy"] <= 1
    lines = [json.loads(line) for line in receipts.read_text().splitlines()]
    assert [(one["category"], one["index"]) for one in lines] == [
        (part, i) for part in ("simple_python", "multiple") for i in range(3)
    ]


def test_the_weights_can_be_fitted_anew(bench: list[str], tmp_path: Path) -> None:
    """--calibrate writes a file as the package has it, of the odd requests alone."""
    to = tmp_path / "filling.json"
    with pytest.raises(SystemExit) as ended:
        main([*bench, "--part", "multiple", "--calibrate", str(to)])
    assert ended.value.code == 0
    found = json.loads(to.read_text())
    assert found["items"] == 1
    assert set(found["weights"]) == {"number", "text", "choice", "flag", "list"}


def test_functions_are_pooled_by_name(bench: list[str], tmp_path: Path) -> None:
    """Each function once, with the requests that can be told to mean it."""
    pool, requests = pooled_functions(tmp_path, None)
    assert [option.name for option in pool] == ["area", "ring"]
    assert len(requests) == 9


@pytest.mark.real
@pytest.mark.data
def test_whole_calls_are_right(smollm2: LocalModel, data: Path) -> None:
    """smollm2 with MiniLM, eight even requests of two categories: the right tool nearly
    always, and more than half of the calls right as a whole."""
    for name in ("simple_python", "multiple"):
        items = load_bfcl(data, name)[:16:2]
        thoughts = [propose_call(i.request, i.specs(), seed=Seed.of(1), none=False) for i in items]
        found = run_thoughts(smollm2, thoughts)
        calls = [
            judge_call(i, one.tool, one, {})
            for i, one in zip(items, found)
            if isinstance(one, ProposedCall)
        ]
        assert sum(one.right_tool for one in calls) >= 7
        assert sum(one.right for one in calls) >= 4
        assert not any(one.invalid or one.invented for one in calls)


def test_files_as_bfcl_has_them(tmp_path: Path) -> None:
    """Requests beside a folder ``possible_answer``, matched by id; several files of a category
    are one, each request once; other categories' files are not taken; what has no answer is
    named."""
    row = {"question": [[{"content": "The area of 2"}]], "function": FUNCTIONS}
    for name, ids in (("BFCL_v4_multiple.json", "ab"), ("BFCL_v4_multiple.first1.json", "a")):
        (tmp_path / name).write_text("".join(json.dumps(row | {"id": i}) + "\n" for i in ids))
        (tmp_path / "possible_answer").mkdir(exist_ok=True)
        told = [{"id": i, "ground_truth": [{"area": {"width": [i]}}]} for i in reversed(ids)]
        answers = tmp_path / "possible_answer" / name
        answers.write_text("".join(json.dumps(one) + "\n" for one in told))
    (tmp_path / "BFCL_v4_multiple_turns.json").write_text("no JSON")
    items = load_bfcl(tmp_path, "multiple")
    assert sorted(str(item.accepted["width"]) for item in items) == ["['a']", "['b']"]
    (tmp_path / "BFCL_v4_multiple.more.jsonl").write_text(json.dumps(row | {"id": "c"}))
    (tmp_path / "BFCL_v4_multiple.more.answers.jsonl").write_text("")
    with pytest.raises(SettingError, match=r"more\.jsonl: its answers lack 'c'"):
        load_bfcl(tmp_path, "multiple")
    with pytest.raises(SettingError, match="holds no file BFCL_v4_live_multiple"):
        load_bfcl(tmp_path, "live_multiple")
