"""The figures of dialogues: likelihood, replies and told facts, with a tiny model and a voice."""

from __future__ import annotations

from pathlib import Path

import pytest
from denizens.benchmarks.dialogue import measure_dialogue
from denizens.core import DataError, SettingError
from denizens.testing import write_tiny_embedder, write_tiny_model, write_tiny_voice

TALKS = (
    ("I have a dog called Rex.", "I bake rye bread."),
    ("I play the violin.", "I like the river."),
    ("I am a teacher of maths.", "I have three brothers."),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model, a voice of it, an embedder, and a file of dialogues."""
    path = tmp_path_factory.mktemp("dialogue")
    write_tiny_model(path / "model", window=768)
    write_tiny_voice(path / "voice", path / "model")
    write_tiny_embedder(path / "embedder")
    rows = ["user 1 personas,user 2 personas,conversation"]
    for first, second in TALKS:
        lines = (
            "User 1: Hello, how are you this morning?",
            "User 2: I am very well, and how are you?",
            f"User 1: Fine, thank you. {first}",
            f"User 2: That is nice to hear. {second}",
            "User 1: Oh, I would like to know more about that.",
        )
        rows.append(f'"{first}","{second}","' + "\n".join(lines) + '"')
    (path / "talks.csv").write_text("\n".join(rows), encoding="utf-8")
    return path


def test_figures_of_a_model_with_a_voice(folder: Path) -> None:
    """Likelihood, replies and told facts have their keys; the voice makes a difference."""
    figures = measure_dialogue(
        str(folder / "model"),
        dtype="float32",
        voice=str(folder / "voice"),
        embedder=str(folder / "embedder"),
        data=folder / "talks.csv",
        parts=("nll", "replies", "told", "learned"),
    )
    assert figures["nll"] != figures["nll_base"]
    assert figures["gain"] == pytest.approx(1 - figures["nll"] / figures["nll_base"], abs=1e-3)
    assert figures["tokens"] > 100
    assert figures["items"] == 3
    assert {"reply_at_1", "reply_at_1_base", "reply_at_1_voice_corrected"} <= figures.keys()
    assert 0 <= figures["critic_auc"] <= 1
    assert {"say_this", "say_this_base", "say_this_drafted", "say_this_true"} <= figures.keys()
    assert 0 <= figures["learned_f1"] <= 1


def test_a_model_without_a_voice_has_equal_figures(folder: Path) -> None:
    """Without a voice the likelihoods with and without are the same."""
    figures = measure_dialogue(
        str(folder / "model"),
        dtype="float32",
        embedder=str(folder / "embedder"),
        data=folder / "talks.csv",
        parts=("nll",),
    )
    assert figures["nll"] == figures["nll_base"]
    assert figures["gain"] == 0


def test_a_missing_file_is_named(folder: Path) -> None:
    """The error says which file and how to name another."""
    with pytest.raises(DataError, match=r"none\.csv.*--data"):
        measure_dialogue(str(folder / "model"), data=folder / "none.csv", parts=("nll",))


def test_a_model_of_another_process_is_refused(folder: Path) -> None:
    """Likelihoods need the model's own tokens."""
    with pytest.raises(SettingError, match="no model in this process"):
        measure_dialogue("improvised", data=folder / "talks.csv", parts=("nll",))
