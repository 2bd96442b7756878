"""The benchmark of decisions: its statistics, its data, its figures."""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from denizens.benchmarks import data_folder
from denizens.benchmarks.bfcl import BfclItem, load_bfcl
from denizens.benchmarks.data_files import packaged_data
from denizens.benchmarks.models import DECISION_PARTS, right_choices
from denizens.benchmarks.models.choice_latency import (
    OPTIONS,
    PROMPT,
    choose_ask,
    full_pass_probabilities,
    measure_choice_latency,
    pairs_of,
)
from denizens.benchmarks.models.decision_quality import choice_accuracy
from denizens.benchmarks.statistics import auroc, balanced_accuracy, best_threshold, compare_paired
from denizens.cli import main
from denizens.core import NONE_OF_THESE, SettingError
from denizens.models import LocalModel, load_local
from denizens.testing import write_tiny_embedder, write_tiny_model
from hypothesis import given, settings
from hypothesis import strategies as st

NUMBERS = st.lists(st.integers(0, 9), min_size=2, max_size=12)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny model, whose window takes the benchmark's prompt, and an embedder."""
    path = tmp_path_factory.mktemp("tiny")
    write_tiny_model(path / "lm", window=1024)
    write_tiny_embedder(path / "embedder")
    return path


def tiny(folder: Path, **more: Any) -> LocalModel:
    return load_local(str(folder / "lm"), embedder=str(folder / "embedder"), **more)


@given(NUMBERS, NUMBERS)
def test_auroc_counts_pairs(low: list[int], high: list[int]) -> None:
    """It is the share of pairs in the right order, ties half; turned round it is 1 less it."""
    pairs = [1.0 if b > a else 0.5 if a == b else 0.0 for a, b in product(low, high)]
    assert auroc(low, high) == pytest.approx(sum(pairs) / len(pairs))
    assert auroc(low, high) == pytest.approx(1 - auroc(high, low))


@given(NUMBERS, NUMBERS)
def test_a_threshold_is_the_best_of_the_odd_items(low: list[int], high: list[int]) -> None:
    """No other threshold parts the odd items better; the even ones only check it."""
    found = best_threshold(low, high)
    tried = [balanced_accuracy(low[1::2], high[1::2], at / 2) for at in range(-1, 20)]
    assert found.chosen >= max(0.5, *tried) - 1e-12
    assert found.checked == balanced_accuracy(low[::2], high[::2], found.at)


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=10))
@settings(deadline=None)
def test_the_paired_test_is_exact(rows: list[tuple[bool, bool]]) -> None:
    """p is the share of ways to toss the items that differ which are at least as lopsided."""
    found = compare_paired([a for a, _ in rows], [b for _, b in rows], rounds=50)
    count = found.better + found.worse
    gap = abs(found.better - found.worse)
    tosses = [abs(2 * sum(one) - count) >= gap for one in product((0, 1), repeat=count)]
    assert found.p == pytest.approx(sum(tosses) / len(tosses))
    assert found.gain == pytest.approx((found.better - found.worse) / len(rows))
    assert found.low <= found.gain + 1e-9
    assert found.high >= found.gain - 1e-9


def write_set(path: Path, name: str, rows: list[dict[str, Any]], rights: list[str]) -> None:
    (path / "bfcl").mkdir(exist_ok=True)
    file = path / "bfcl" / f"BFCL_v4_{name}.jsonl"
    file.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    answers = [json.dumps({"ground_truth": [{right: {}}]}) for right in rights]
    file.with_name(f"BFCL_v4_{name}.answers.jsonl").write_text("\n".join(answers), encoding="utf-8")


def row(request: str, *names: str) -> dict[str, Any]:
    functions = [{"name": one, "description": f"About {one}."} for one in names]
    return {"question": [[{"content": "Be kind."}, {"content": request}]], "function": functions}


def test_a_folder_of_requests_is_read(tmp_path: Path) -> None:
    """The last message is the request; a missing file is named with the way to set it."""
    write_set(tmp_path, "multiple", [row("Rain?", "sky", "sea")], ["sky"])
    (item,) = load_bfcl(tmp_path, "multiple")
    assert (item.request, item.right) == ("Rain?", "sky")
    assert [option.name for option in item.choose_ask(none=True).options] == [
        "sky",
        "sea",
        NONE_OF_THESE.name,
    ]
    assert item.choose_ask(plain=True).options[1].description == "About sea."
    with pytest.raises(SettingError, match=r"live_multiple.*--data"):
        load_bfcl(tmp_path, "live_multiple")


def test_the_data_folder_is_named_or_beside(monkeypatch: pytest.MonkeyPatch) -> None:
    """--data first, then DENIZENS_DATA, then shared/data beside the repository."""
    monkeypatch.setenv("DENIZENS_DATA", "/there")
    assert data_folder("/here") == Path("/here")
    assert data_folder() == Path("/there")
    monkeypatch.delenv("DENIZENS_DATA")
    assert data_folder().parts[-2:] == ("shared", "data")


def test_the_examples_are_many_and_no_two_alike() -> None:
    """25 sentences of each kind, 20 meetings of each, as the figures say."""
    data = packaged_data("decisions")
    assert len({*data["mundane"], *data["poignant"]}) == 50
    assert len(data["mundane"]) == len(data["poignant"]) == 25
    assert len({*map(tuple, data["talking"]), *map(tuple, data["passing"])}) == 40
    assert len(data["talking"]) == len(data["passing"]) == 20


def test_each_method_is_judged_by_its_own_choices(folder: Path) -> None:
    """Figures of a method are shares of its right choices; the method set before stays set."""
    model = tiny(folder)
    items = [
        BfclItem("bread", tuple({"name": n, "description": n} for n in names), "bread")
        for names in (("bread", "sea"), ("bread", "sky"), ("town", "bread"))
    ]
    found = choice_accuracy(model, items)
    assert model.decider.method == "auto"
    right = right_choices(model, items, [item.choose_ask() for item in items], "channel")
    assert found["channel"] == sum(right) / 3
    assert found["odd"]["channel"] == float(right[1])
    assert found["chance"] == 0.5


def test_the_choose_of_the_benchmark_is_as_it_says(folder: Path) -> None:
    """Eight options and a prompt of so many tokens, another one each round."""
    model = tiny(folder)
    one, other = choose_ask(model, 1), choose_ask(model, 2)
    assert len(model.prompt_builder.ids(one.messages)) == PROMPT
    assert len(one.options) == OPTIONS
    assert one.messages != other.messages
    assert one == choose_ask(model, 1)


def test_one_pass_agrees_with_full_passes(folder: Path) -> None:
    """On the tiny model, float32: direct's probabilities are those of eight whole rows."""
    found = measure_choice_latency(str(folder / "lm"), device="cpu", dtype="float32", rounds=1)
    assert found["max_abs_difference"] < 1e-4
    assert found["vs_full_passes"] > 0
    assert set(found["seconds"]) == {"full", "direct", "channel"}


def test_full_passes_tell_likely_from_unlikely(folder: Path) -> None:
    """The reference itself is sound: by hand, row by row, it is the same."""
    import torch
    import transformers

    library: Any = transformers
    model = tiny(folder)
    plain = library.AutoModelForCausalLM.from_pretrained(str(folder / "lm")).eval()
    pairs = pairs_of(model, choose_ask(model, 1))
    by_hand = []
    with torch.inference_mode():
        for context, target, *_ in pairs:
            logs = plain(torch.tensor([context + target])).logits[0].log_softmax(-1)
            at = range(len(context) - 1, len(context) + len(target) - 1)
            by_hand.append(np.mean([float(logs[i, t]) for i, t in zip(at, target)]))
    spread = np.exp(by_hand) / np.exp(by_hand).sum()
    assert np.allclose(full_pass_probabilities(plain, "cpu", pairs), spread, atol=1e-5)


def test_without_data_the_rest_is_measured(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where the folder is absent, tools are left out and said so; the keys are there."""
    arguments = ["bench", "decisions", "--model", str(folder / "lm"), "--data", str(tmp_path)]
    arguments += ["--part", "tools", "--part", "importance", "--part", "reactions", "--json"]
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 0
    printed = capsys.readouterr()
    found = json.loads(printed.out)
    assert str(tmp_path / "bfcl") in found["tools"]["left_out"]
    assert "left out" in printed.err
    assert 0 <= found["importance"]["auroc"] <= 1
    assert 0 <= found["importance"]["naive_auroc"] <= 1
    assert 0 <= found["reactions"]["auroc"] <= 1


def test_with_data_each_figure_has_its_key(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With a folder of a few requests: accuracy, methods, paired test, irrelevance."""
    rows = [row("bread", "bread", "sea"), row("the sea", "town", "sea")]
    for name in ("multiple", "live_multiple", "simple_python"):
        write_set(tmp_path, name, rows, ["bread", "sea"])
    write_set(tmp_path, "irrelevance", [row("bread", "sky"), row("town", "sea")], [])
    arguments = ["bench", "decisions", "--model", str(folder / "lm"), "--json"]
    with pytest.raises(SystemExit) as ended:
        main([*arguments, "--data", str(tmp_path), "--part", "tools"])
    assert ended.value.code == 0
    tools = json.loads(capsys.readouterr().out)["tools"]
    assert tools["accuracy"] == tools["multiple"]["fused"]
    for name in ("multiple", "live_multiple"):
        assert {"cosine", "channel", "direct", "fused"} <= set(tools[name])
        assert {"p", "low", "high", "better", "worse"} <= set(tools[name]["fused_against_cosine"])
    assert {"auroc", "balanced_accuracy", "threshold"} <= set(tools["irrelevance"])


def test_an_unknown_part_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """With the nearest known name."""
    with pytest.raises(SystemExit) as ended:
        main(["bench", "decisions", "--part", "tool"])
    assert ended.value.code == 2
    assert "tools" in capsys.readouterr().err
    assert "tools" in DECISION_PARTS


@pytest.mark.real
@pytest.mark.data
def test_the_right_tool_is_chosen(smollm2: LocalModel, data: Path) -> None:
    """Of two to four functions (BFCL multiple, the first 40) the one that the request means:
    by the fused default and by the language model alone."""
    items = load_bfcl(data, "multiple")[:40]
    asks = [item.choose_ask() for item in items]
    assert sum(right_choices(smollm2, items, asks, "auto")) >= 39
    assert sum(right_choices(smollm2, items, asks, "channel")) >= 38
