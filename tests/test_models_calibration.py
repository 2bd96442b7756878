"""Calibrations: measured, stored whole, checked on reading, used by load_model."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from denizens.benchmarks.data_files import packaged_data
from denizens.cli import main
from denizens.core import Choice, Choose, ModelCorrupt, Option, Rate, digest
from denizens.models import load_local, load_model
from denizens.models.decisions import (
    DECISION_KINDS,
    METHOD_NAMES,
    calibrate,
    calibration_data,
    large_model_calibration,
    load_calibration,
    shipped_calibration,
    write_calibration,
)
from denizens.models.decisions.calibration import (
    calibration_path,
    rating_examples,
    read_calibration,
)
from denizens.models.decisions.calibrator import shipped_decisions
from denizens.testing import write_tiny_embedder, write_tiny_model
from denizens.tests.support.tiny_models import answers

ASK = Choose(
    messages=(),
    options=(Option("a", "a town"), Option("b", "bread and butter"), Option("c", "the sea")),
    about="the baker of the town",
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny model and a tiny embedder."""
    path = tmp_path_factory.mktemp("tiny")
    write_tiny_model(path / "lm")
    write_tiny_embedder(path / "embedder")
    return path


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache."""
    monkeypatch.setenv("DENIZENS_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def test_what_was_stored_is_read_again(home: Path) -> None:
    """The same weights for the same model and embedder, and for no other."""
    mine = replace(shipped_calibration(), auto=dict.fromkeys(DECISION_KINDS, "cosine"))
    path = write_calibration(mine, "abc", "minilm")
    assert path.parent == home / "calibrations"
    assert load_calibration("abc", "minilm", small=True) == replace(mine, source="stored")
    assert load_calibration("abc", "other", small=True).source == "shipped"
    assert load_calibration("abd", "minilm", small=True) == shipped_calibration()
    assert load_calibration("abd", "minilm", small=False) == large_model_calibration()
    assert load_calibration("abc", "minilm", small=True, stored=False) == shipped_calibration()


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: text[: len(text) // 2],
        lambda text: text.replace('"temperature": ', '"temperature": 1', 1),
        lambda text: "{}",
        lambda text: "[]",
        lambda text: text.replace('"abc"', '"abd"'),
        lambda text: text.replace('"format": 1', '"format": 2'),
    ],
)
def test_a_damaged_calibration_is_refused(home: Path, spoil: Any) -> None:
    """Cut, changed, emptied or another model's: an error that names the file and the way out."""
    path = write_calibration(shipped_calibration(), "abc", "minilm")
    path.write_text(spoil(path.read_text(encoding="utf-8")), encoding="utf-8")
    with pytest.raises(ModelCorrupt, match="denizens models calibrate") as caught:
        read_calibration(path, "abc", "minilm")
    assert str(path) in str(caught.value)


def test_numbers_that_make_no_sense_are_refused(home: Path) -> None:
    """A sound check sum does not make a temperature of 0 or an unknown method usable."""
    for change in (
        lambda body: body["methods"]["tool"]["cosine"].update(temperature=0.0),
        lambda body: body["methods"]["tool"]["cosine"].update(none=float("nan")),
        lambda body: body["auto"].update(tool="magic"),
        lambda body: body["rating"].update(own=2.0),
        lambda body: body["methods"]["other"].pop("channel"),
    ):
        path = write_calibration(shipped_calibration(), "abc", "minilm")
        body = json.loads(path.read_text(encoding="utf-8"))
        del body["check"]
        edit: Any = change
        edit(body)
        body["check"] = digest(body)
        path.write_text(json.dumps(body), encoding="utf-8")
        with pytest.raises(ModelCorrupt):
            read_calibration(path, "abc", "minilm")


def test_a_failed_write_leaves_the_old_one(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was stored stays whole when the disk fails, and nothing half lies about."""
    path = write_calibration(shipped_calibration(), "abc", "minilm")
    before = path.read_bytes()

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_calibration(large_model_calibration(), "abc", "minilm")
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_a_loaded_model_decides_as_its_calibration_says(folder: Path, home: Path) -> None:
    """A stored calibration whose auto is cosine makes auto answer as cosine does; a damaged
    one stops the load, and can be left aside."""
    settings: Any = {"embedder": str(folder / "embedder")}
    model = load_local(str(folder / "lm"), **settings)
    assert model.describe()["calibration"] == "shipped"
    digest = str(model.describe()["digest"])
    write_calibration(
        replace(shipped_calibration(), auto=dict.fromkeys(DECISION_KINDS, "cosine")),
        digest,
        settings["embedder"],
    )
    again = load_local(str(folder / "lm"), **settings)
    cosine = load_local(str(folder / "lm"), method="cosine", **settings)
    assert again.describe()["calibration"] == "stored"
    (by_auto,), (by_cosine,) = answers(again, [ASK]), answers(cosine, [ASK])
    assert by_auto == by_cosine
    assert answers(model, [ASK]) != [by_auto]
    calibration_path(digest, settings["embedder"]).write_text("{}", encoding="utf-8")
    with pytest.raises(ModelCorrupt):
        load_model(str(folder / "lm"), **settings)
    load_model(str(folder / "lm"), uncalibrated=True, **settings)


def test_calibrating_measures_every_method(folder: Path, home: Path) -> None:
    """On a model of random weights: each method with a finite loss on each kind, the chosen
    ones among them, and decisions answered by them afterwards."""
    model = load_local(str(folder / "lm"), embedder=str(folder / "embedder"))
    report = calibrate(model)
    assert [(one.kind, one.name) for one in report.measured] == [
        (kind, name) for kind in DECISION_KINDS for name in METHOD_NAMES
    ]
    assert all(0 < one.loss < 10 and 0 <= one.accuracy <= 1 for one in report.measured)
    for kind in DECISION_KINDS:
        least = min(one.loss for one in report.measured if one.kind == kind)
        chosen = report.calibration.auto[kind]
        (mine,) = [one for one in report.measured if (one.kind, one.name) == (kind, chosen)]
        assert mine.loss <= least + 0.011
    model.decider.calibration = report.calibration
    (found,) = answers(model, [ASK])
    assert isinstance(found, Choice)
    assert not model.decider.measuring
    assert len(report.table()) == len(report.measured) + 3


def test_the_command_stores_what_it_found(
    folder: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """models calibrate --json prints the table's figures and the file it wrote; a damaged
    file from before is no obstacle."""
    digest = load_local(str(folder / "lm")).describe()["digest"]
    path = calibration_path(str(digest), "minilm")
    path.parent.mkdir(parents=True)
    path.write_text("half a fi", encoding="utf-8")
    with pytest.raises(SystemExit) as ended:
        main(["models", "calibrate", "--model", str(folder / "lm"), "--json"])
    assert ended.value.code == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["stored"] == str(path)
    assert read_calibration(path, str(digest), "minilm").auto == printed["auto"]
    assert sum(one["chosen"] for one in printed["measured"]) == len(DECISION_KINDS)


def test_the_shipped_decisions_are_sound() -> None:
    """Every decision's right option is on offer, nothing stands twice, and no example of the
    benchmarks is among them."""
    asks, rights = shipped_decisions()
    assert len(asks) >= 100
    for ask, right in zip(asks, rights):
        names = [option.name for option in ask.options]
        assert right in names
        assert len(set(names)) == len(names)
    texts = [ask.about for ask in asks] + [one["text"] for one in calibration_data()["ratings"]]
    assert len(set(texts)) == len(texts)
    benched = packaged_data("decisions")
    assert not {*benched["mundane"], *benched["poignant"]} & set(texts)
    assert len(rating_examples("importance", 1, 10)) == 40
    assert rating_examples("importance", 0, 5) == () == rating_examples("rate", 1, 10)


def test_examples_join_the_anchors_of_importance(folder: Path, home: Path) -> None:
    """A Rate of the role importance is answered by the shipped sentences even without
    anchors, one of another role by the numbers' likelihood."""
    model = load_local(str(folder / "lm"), embedder=str(folder / "embedder"))
    known = rating_examples("importance", 1, 10)[-1]
    rates = [Rate(messages=(), about=known.text, role=role) for role in ("importance", "mood")]
    shown, bare = answers(model, rates)
    assert shown.tokens_in == 0 < bare.tokens_in
    assert shown.value != bare.value
