"""The memory benchmark: reading LoCoMo's format, its figures, its receipts, its command."""

from __future__ import annotations

import json
from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from denizens.benchmarks.memory import answerability_quality as knowing
from denizens.benchmarks.memory import memory_suite
from denizens.benchmarks.memory import recall_quality as memory_quality
from denizens.benchmarks.memory.locomo import (
    CATEGORIES,
    LocomoQuestion,
    load_locomo,
    replace_names,
    turn_text,
)
from denizens.benchmarks.statistics import auroc
from denizens.cli import main
from denizens.core import SettingError
from denizens.core.text import terms
from denizens.models import load_embedder
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray


def talk(name: str, people: tuple[str, str], things: Sequence[str]) -> dict[str, Any]:
    """A conversation in LoCoMo's format: a session for each thing one of them bought."""
    sessions: dict[str, Any] = {}
    questions: list[dict[str, Any]] = []
    for n, thing in enumerate(things, 1):
        sessions[f"session_{n}_date_time"] = f"1:56 pm on {n} May, 2023"
        sessions[f"session_{n}"] = [
            {"speaker": people[0], "dia_id": f"D{n}:1", "text": "What did you get today?"},
            {"speaker": people[1], "dia_id": f"D{n}:2", "text": f"I bought a {thing} at last."},
        ]
        for number, (who, category) in enumerate(((people[1], 4), (people[0], 5))):
            questions.append(
                {
                    "question": f"When did {who} buy a {thing}?",
                    "category": category,
                    "evidence": [f"D{n}:2"] if number or n > 1 else [f"D:{n}:2; D{n}:1"],
                }
            )
    questions.append({"question": "Who is nobody?", "category": 3, "evidence": []})
    return {
        "sample_id": name,
        "qa": questions,
        "conversation": {"speaker_a": people[0], "speaker_b": people[1], **sessions},
    }


def write(path: Path, body: object) -> Path:
    """A file of this JSON."""
    path.write_text(json.dumps(body), encoding="utf-8")
    return path


@pytest.fixture
def talks(tmp_path: Path) -> Path:
    """Three small conversations of things that nobody else talks of."""
    things = ("kite lamp drum sofa", "pony vase rug harp", "yacht clock stove tent")
    people = (("Ada", "Bo"), ("Cy", "Dot"), ("Eve", "Fay"))
    return write(
        tmp_path / "talks.json",
        [talk(f"t{n}", p, t.split()) for n, (p, t) in enumerate(zip(people, things, strict=True))],
    )


def embed(texts: Sequence[str]) -> NDArray[np.float32]:
    """Vectors that are alike where texts share stems."""
    rows = np.zeros((len(texts), 64), np.float32)
    for row, text in zip(rows, texts, strict=True):
        for word in terms(text):
            row[blake2b(word.encode(), digest_size=1).digest()[0] % 64] += 1
    return rows + np.float32(1e-3)


def test_reading(talks: Path) -> None:
    """Turns become records with speaker, session, turn and the session's time; evidence is read
    in all the ways the data writes it; a question without any is kept and has none."""
    first = load_locomo(talks)[0]
    assert first.speakers == ("Ada", "Bo")
    record = first.records[3]
    assert (record.text, record.who) == ("Bo: I bought a lamp at last.", "Bo")
    assert (record.episode, record.source) == ("D2", "D2:2")
    assert record.created.isoformat() == "2023-05-02T13:56:00"
    assert first.questions[0].turns == {"D1:2", "D1:1"}
    assert first.questions[0].sessions == {"D1"}
    assert first.questions[-1].turns == frozenset()
    assert first.asked > max(one.created for one in first.records)


def test_a_turn_with_an_image() -> None:
    """The caption of an image is remembered with the words; a turn of an image alone too."""
    turn = {"speaker": "Ada", "text": "", "blip_caption": "a photo of a loaf"}
    assert turn_text(turn) == "Ada:  [shares a photo of a loaf]"


@pytest.mark.parametrize(
    ("body", "about"),
    [
        ([{"sample_id": "t9", "conversation": {}}], "t9"),
        ([{"conversation": {"session_1": [], "speaker_a": "A", "speaker_b": "B"}}], "1"),
        ([7], "1"),
        ([{"sample_id": "x", "qa": [{}], "conversation": {}}], "x"),
    ],
)
def test_what_is_not_the_format(tmp_path: Path, body: object, about: str) -> None:
    """A file that is not in the format is an error that names it and the conversation."""
    with pytest.raises(SettingError, match=rf"bad.json: conversation {about} is not in LoCoMo"):
        load_locomo(write(tmp_path / "bad.json", body))


def test_no_such_file(tmp_path: Path) -> None:
    """A missing or broken file is an error that says what to name."""
    with pytest.raises(SettingError, match=r"none\.json: does not exist; name a file"):
        load_locomo(tmp_path / "none.json")
    (tmp_path / "half.json").write_text("[{")
    with pytest.raises(SettingError, match=r"half\.json: cannot be read"):
        load_locomo(tmp_path / "half.json")


def test_names_change_at_once() -> None:
    """Swapped names do not become one; parts of words stay."""
    assert (
        replace_names("Bo told Ada about Bob", {"Ada": "Bo", "Bo": "Ada"})
        == "Ada told Bo about Bob"
    )
    assert replace_names("Who?", {}) == "Who?"


def test_quality(talks: Path, tmp_path: Path) -> None:
    """All evidence is found where only the right session names the thing; a receipt for each
    question with evidence; intervals hold the means; the two halves are told apart."""
    to = tmp_path / "receipts.jsonl"
    found: Any = memory_quality.measure_recall_quality(
        load_locomo(talks), embed, lambda text: None, to=to
    )
    lines = [json.loads(line) for line in to.read_text().splitlines()]
    assert found["questions"] == len(lines) == 24
    assert found["hit_at_1"] == found["recall_at_5"] == found["recall_at_10"] == 1.0
    assert found["turn_recall_at_10"] == 1.0
    assert set(found["by_category"]) == {"single_hop", "adversarial"} < set(CATEGORIES.values())
    assert lines[0]["evidence"] == ["D1:1", "D1:2"]
    assert lines[0]["sessions"][0] == "D1"
    assert len(lines[0]["turns"]) == 8
    for name, (low, high) in found["intervals_95"].items():
        assert low <= found[name] <= high
    assert set(found["tuned_on"]) == set(found["checked_on"]) == set(memory_quality.FIGURES)


def test_quality_counts_what_is_missed(talks: Path) -> None:
    """Evidence in sessions that are not found counts: the figures can fall."""
    one = load_locomo(talks)[0]
    with memory_quality.memory_of(one, embed) as mind:
        right = memory_quality.ask_question(mind, one, one.questions[0])
        wrong = LocomoQuestion("When did Bo buy a kite?", 4, frozenset({"D4:1", "D9:1"}))
        missed = memory_quality.ask_question(mind, one, wrong)
    assert right.hit_at_1 == 1.0
    assert missed.hit_at_1 == 0.0
    assert missed.recall_at_5 == 0.5  # there are four sessions, of the two wanted one exists
    assert missed.turn_recall_at_10 == 0.5


def test_known(talks: Path) -> None:
    """Questions of other conversations are told from its own; figures for both kinds."""
    found: Any = knowing.measure_answerability(load_locomo(talks), embed, lambda text: None)
    assert found["foreign"]["auroc"] > 0.9
    assert found["adversarial"]["auroc"] > 0.9
    assert 0 <= found["both"]["calibration_error"] <= 1
    own, foreign = 12, 24
    assert found["foreign"]["questions"] == own + foreign


def test_foreign_questions_are_renamed(talks: Path) -> None:
    """No question asked of a memory names the speakers of another conversation."""
    all = load_locomo(talks)
    asked = list(knowing.questions_for(all, all[0]))
    assert asked == list(knowing.questions_for(all, all[0]))
    foreign = " ".join(text for text, kind in asked if kind == "foreign")
    assert "pony" in foreign
    assert not any(name in foreign for name in ("Cy", "Dot", "Eve", "Fay"))


def test_calibrate(talks: Path, tmp_path: Path) -> None:
    """Fitting writes weights under which the own questions are likelier held than others."""
    to = tmp_path / "weights.json"
    knowing.fit_answerability(load_locomo(talks), embed, to, lambda text: None)
    weights = json.loads(to.read_text())["weights"]
    assert set(weights) == {"bias", "fit", "meaning", "margin"}
    assert weights["fit"] > 0


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=2, max_size=30))
def test_auroc_is_the_share_of_pairs(rows: list[tuple[float, bool]]) -> None:
    """It is the share of pairs in the right order, ties half."""
    truth = np.array([flag for _, flag in rows])
    if truth.all() or not truth.any():
        return
    told = np.array([value for value, _ in rows])
    pairs = [(a > b) + 0.5 * (a == b) for a in told[truth] for b in told[~truth]]
    assert auroc(told[~truth], told[truth]) == pytest.approx(float(np.mean(pairs)))


def test_logistic_regression_finds_the_weights() -> None:
    """Drawn from known weights, the fit comes near them, though the columns' scales differ."""
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(20_000, 2)) * [1.0, 10.0] + [3.0, 0.0]
    chance = 1 / (1 + np.exp(-(-2.0 + 1.0 * rows[:, 0] - 0.1 * rows[:, 1])))
    truth = rng.random(len(rows)) < chance
    assert knowing.fit_logistic(rows, truth, np.ones(len(rows))) == pytest.approx(
        [-2.0, 1.0, -0.1], abs=0.15
    )


def run(*words: str | Path) -> int:
    """The exit code of a command."""
    with pytest.raises(SystemExit) as ended:
        main([str(word) for word in words])
    return int(str(ended.value.code or 0))


def test_command(
    talks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command prints the figures as JSON and writes receipts; --quick and plain too."""
    monkeypatch.setattr(memory_suite, "load_embedder", lambda: SimpleNamespace(vectors=embed))
    to = tmp_path / "receipts.jsonl"
    command = ("bench", "memory", "--part", "quality", "--part", "known", "--data", talks)
    assert run(*command, "--receipts", to, "--json") == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert found["quality"]["hit_at_1"] == 1.0
    assert found["known"]["foreign"]["auroc"] > 0.9
    assert found["data"] == {"file": "talks.json", "conversations": 3}
    assert len(to.read_text().splitlines()) == 24
    assert run(*command, "--quick") == 0
    assert "quality.by_category.single_hop.hit_at_1" in capsys.readouterr().out
    weights = tmp_path / "weights.json"
    assert run("bench", "memory", "--calibrate", weights, "--data", talks) == 0
    assert json.loads(weights.read_text())["questions"] > 0


def test_command_refuses_unknown_parts(capsys: pytest.CaptureFixture[str]) -> None:
    """A part that there is not is refused with the nearest name."""
    assert run("bench", "memory", "--part", "qualty") == 2
    assert "no part 'qualty'" in (said := capsys.readouterr().err)
    assert "quality" in said


@pytest.mark.data
@pytest.mark.real
def test_locomo_evidence_is_found(data: Path) -> None:
    """On the second conversation of LoCoMo, with MiniLM: the figures of docs/memory.md, less a
    margin for other versions of the libraries."""
    one = load_locomo(data / "locomo" / "locomo_first5.json")[1]
    found: Any = memory_quality.mean_figures(
        list(memory_quality.question_results(one, load_embedder().vectors))
    )
    assert found["hit_at_1"] > 0.74
    assert found["recall_at_5"] > 0.88
    assert found["recall_at_10"] > 0.94
