"""Training a voice: what is learned, what a kill loses, what is written, what is refused."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from denizens.cli import main
from denizens.core import DataError, ModelCorrupt, Persona, SettingError
from denizens.testing import write_tiny_model
from denizens.training import DialogueLine, PersonaDialogue
from denizens.training.samples import Sample, plain_sample, voice_samples
from denizens.training.sources import DataSource, TrainingData, read_training_data
from denizens.training.told_facts import FactMatcher
from denizens.training.voice import (
    SampleStream,
    TrainableModel,
    TrainedVoice,
    TrainingProgress,
    VoiceSettings,
    VoiceTrainer,
    check_samples,
    encode_sample,
    read_own_lines,
    read_voice,
    train_voice,
)

WORDS = ["bread", "cat", "dog", "river", "house", "garden", "bell", "letter", "book", "green"]
ROOT = Path(__file__).resolve().parent.parent


def dialogues(count: int, seed: int = 3) -> list[PersonaDialogue]:
    """Talks of random words, six lines each."""
    draws = random.Random(seed)

    def sentence() -> str:
        return " ".join(draws.choice(WORDS) for _ in range(5)).capitalize() + "."

    return [
        PersonaDialogue(
            lines=tuple(DialogueLine(n % 2, sentence()) for n in range(6)),
            facts=((f"I like {draws.choice(WORDS)}.",), (f"I have a {draws.choice(WORDS)}.",)),
            source=f"talk {number}",
        )
        for number in range(count)
    ]


def data_of(talks: list[PersonaDialogue], name: str = "talks.csv") -> TrainingData:
    """Dialogues as if they were read from a file."""
    lines = sum(talk.learned_lines for talk in talks)
    source = DataSource(path=name, kind="csv", digest="d", dialogues=len(talks), lines=lines)
    return TrainingData(dialogues=tuple(talks), sources=(source,))


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A tiny model of random weights."""
    return str(write_tiny_model(tmp_path_factory.mktemp("base") / "tiny"))


def settings_for(base: str, **changes: object) -> VoiceSettings:
    """Settings of a short training."""
    common = VoiceSettings(
        base=base, tokens=6000, window=192, rank=4, learning_rate=5e-3, checks=3, device="cpu"
    )
    return replace(common, **changes)  # type: ignore[arg-type]


def trained(base: str, folder: Path, stop_after: int = 0, **changes: object) -> TrainedVoice:
    """Train on thirty talks; with ``stop_after`` stopped after so many steps."""
    seen: list[TrainingProgress] = []
    return train_voice(
        data_of(dialogues(30)),
        folder,
        settings_for(base, **changes),
        listener=seen.append,
        stopped=lambda: (
            bool(stop_after and seen and seen[-1].step >= stop_after)
            or bool(stop_after and len(seen) > stop_after)
        ),
    )


def adapter_bytes(folder: Path) -> bytes:
    """The weights of a voice."""
    return (folder / "adapter_model.safetensors").read_bytes()


def test_a_voice_learns_and_says_what_it_is(base: str, tmp_path: Path) -> None:
    """The loss on held-out talks falls; the folder has an adapter, facts without texts, and a
    report; the checkpoint is gone."""
    result = trained(base, tmp_path / "voice")
    assert result.finished
    assert result.before is not None
    assert result.after is not None
    assert result.after.loss < result.before.loss - 0.05
    files = {file.name for file in (tmp_path / "voice").iterdir()}
    adapter = {"adapter_config.json", "adapter_model.safetensors"}
    assert files == adapter | {"training.json", "voice.json", "report.html"}
    facts = read_voice(tmp_path / "voice")
    assert facts is not None
    assert set(facts["sha256"]) == adapter
    assert facts["before"]["nll"] > facts["after"]["nll"]
    assert facts["training"]["data"][0]["file"] == "talks.csv"
    text = json.dumps(facts)
    assert "bread" not in text
    assert str(tmp_path) not in text
    assert str(Path(base).parent) not in text
    config = json.loads((tmp_path / "voice" / "adapter_config.json").read_text())
    assert (config["peft_type"], config["r"]) == ("LORA", 4)
    assert config["base_model_name_or_path"] == "tiny"


def test_resumed_equals_uninterrupted(base: str, tmp_path: Path) -> None:
    """Stopped in the middle and continued by the same call, the weights are equal bit for bit to
    those of a training that was never stopped."""
    assert trained(base, tmp_path / "whole").finished
    assert not trained(base, tmp_path / "parts", stop_after=2).finished
    assert (tmp_path / "parts" / "checkpoint.safetensors").is_file()
    assert read_voice(tmp_path / "parts") is None
    assert trained(base, tmp_path / "parts").finished
    assert adapter_bytes(tmp_path / "parts") == adapter_bytes(tmp_path / "whole")


def chat_file(path: Path, count: int = 30) -> Path:
    """The talks as JSON Lines."""
    roles = ("assistant", "user")
    with path.open("w", encoding="utf-8") as file:
        for talk in dialogues(count):
            turns = [{"role": roles[line.speaker], "content": line.text} for line in talk.lines]
            file.write(json.dumps({"messages": turns}) + "\n")
    return path


def test_killed_command_is_resumed(
    base: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command, killed without a chance to clean up, ends with the same weights when it is
    given again."""
    data = chat_file(tmp_path / "talks.jsonl")
    command = [sys.executable, "-c", KILLED, str(data), base]
    environment = {**os.environ, "PYTHONPATH": str(ROOT.parent)}
    killed = subprocess.Popen([*command, str(tmp_path / "killed")], env=environment, cwd=tmp_path)
    deadline = time.monotonic() + 60
    while not (tmp_path / "killed" / "checkpoint.safetensors").is_file():
        assert killed.poll() is None, "ended before it was killed"
        assert time.monotonic() < deadline, "wrote no checkpoint"
        time.sleep(0.02)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert not (tmp_path / "killed" / "voice.json").is_file()
    for name in ("killed", "whole"):
        out = str(tmp_path / name)
        code, _ = ends_with(
            ["train", "voice", str(data), "--base", base, "--out", out, *SHORT], capsys
        )
        assert code == 0
    assert adapter_bytes(tmp_path / "killed") == adapter_bytes(tmp_path / "whole")


SHORT = ["--tokens", "9000", "--rank", "4", "--window", "192", "--device", "cpu"]

KILLED = f"""
import sys
from denizens.cli import main
from denizens.training.voice import voice_trainer

voice_trainer.CHECKPOINT_SECONDS = 0.0  # a checkpoint after every step
voice_trainer.CHECKPOINT_SHARE = 1.0
data, base, out = sys.argv[1:]
main(["train", "voice", data, "--base", base, "--out", out, *{SHORT}])
"""


def test_a_finished_training_is_not_repeated(base: str, tmp_path: Path) -> None:
    """The same call again returns at once and changes nothing."""
    trained(base, tmp_path / "voice")
    before = adapter_bytes(tmp_path / "voice")
    began = time.monotonic()
    again = trained(base, tmp_path / "voice")
    assert again.finished
    assert again.after is None
    assert time.monotonic() - began < 1
    assert adapter_bytes(tmp_path / "voice") == before


def test_another_training_in_the_folder_is_refused(base: str, tmp_path: Path) -> None:
    """A folder with a training of other settings, or with something else, is not overwritten."""
    trained(base, tmp_path / "voice", stop_after=1)
    with pytest.raises(SettingError, match="its rank is 4, not 8"):
        trained(base, tmp_path / "voice", rank=8)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "diary.txt").write_text("mine")
    with pytest.raises(SettingError, match=r"is not empty \(it holds diary\.txt\)"):
        trained(base, tmp_path / "other")
    assert (tmp_path / "other" / "diary.txt").read_text() == "mine"


def test_a_damaged_checkpoint_is_named(base: str, tmp_path: Path) -> None:
    """A checkpoint that cannot be read is an error with a remedy, not a fresh start."""
    trained(base, tmp_path / "voice", stop_after=1)
    (tmp_path / "voice" / "checkpoint.safetensors").write_bytes(b"\0" * 100)
    with pytest.raises(ModelCorrupt, match="delete it to train from the beginning"):
        trained(base, tmp_path / "voice")


@pytest.mark.parametrize("method", ["full", "frozen"])
def test_other_methods_write_a_whole_model(base: str, tmp_path: Path, method: str) -> None:
    """``full`` and ``frozen`` write a model that loads by its folder's name; ``frozen`` changes
    the last layers only."""
    from safetensors.torch import load_file

    result = trained(base, tmp_path / "model", method=method, learning_rate=1e-3)
    assert result.finished
    old = load_file(Path(base) / "model.safetensors")
    new = load_file(tmp_path / "model" / "model.safetensors")
    changed = {name for name in old if not old[name].equal(new[name])}
    if method == "frozen":
        assert changed
        assert all("layers.1." in name or name == "model.norm.weight" for name in changed)
    else:
        assert "model.embed_tokens.weight" in changed
    model = TrainableModel(settings_for(str(tmp_path / "model")))
    assert model.base_digest


def test_early_stopping_keeps_the_best_weights(
    base: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the loss on the check part rises twice in a row the training ends early, with the
    weights of the best check."""
    from denizens.training.voice import voice_trainer

    talks = dialogues(8)
    model = TrainableModel(settings_for(base, patience=2, checks=20))
    matcher = FactMatcher.of_dialogues(talks)
    stream = SampleStream(lambda draws: voice_samples(talks, matcher, draws), 1)
    losses, seen = iter([9.0, 7.0, 5.0, 6.0, 8.0, 1.0]), []

    def loss(model: TrainableModel, samples: object) -> float:
        seen.append({name: weight.detach().clone() for name, weight in model.weights.items()})
        return next(losses)

    monkeypatch.setattr(voice_trainer, "mean_loss", loss)
    trainer = VoiceTrainer(model, stream, (), tmp_path)
    assert trainer.run()
    assert trainer.history.ended == "no better in 2 checks"
    assert trainer.history.tokens < 6000
    assert [check for _, check in trainer.history.checks] == [9.0, 7.0, 5.0, 6.0, 8.0]
    assert all(weight.equal(seen[2][name]) for name, weight in model.weights.items())


def test_only_own_lines_are_targets(base: str) -> None:
    """The loss is of the speaker's own lines and the token that ends each, and of nothing else."""
    model = TrainableModel(settings_for(base))
    (talk,) = dialogues(1)
    sample = plain_sample(talk, 1)
    encoded = encode_sample(sample, model.builder, 512)
    wanted = []
    for message in sample.messages:
        if message.role == "assistant":
            wanted += [*model.builder.text_ids(message.text), *model.builder.closing_ids()]
    taken = [token for token, target in zip(encoded.ids, encoded.targets) if target]
    assert taken == wanted
    assert encoded.ids == model.builder.ids(sample.messages, reply=False)


def test_sides_that_are_not_learned_are_no_samples() -> None:
    """Of a chat with a person only the agent's side becomes a sample."""
    talks = [replace(talk, learned=(True, False)) for talk in dialogues(5)]
    matcher = FactMatcher.of_dialogues(talks)
    assert len(voice_samples(talks, matcher, random.Random(1))) == 5


def test_a_stream_is_continued_where_it_was(base: str) -> None:
    """A stream that was saved and restored gives the samples that would have come."""
    talks = dialogues(4)
    matcher = FactMatcher.of_dialogues(talks)

    def epoch(draws: random.Random) -> list[Sample]:
        return voice_samples(talks, matcher, draws)

    stream = SampleStream(epoch, 7)
    stream.take(13)
    other = SampleStream(epoch, 7)
    other.restore(stream.save())
    assert other.take(9) == stream.take(9)
    assert stream.epoch == 2


def test_a_batch_gives_the_loss_of_its_samples(base: str) -> None:
    """Samples side by side, padded, have the loss that they have one by one."""
    model = TrainableModel(settings_for(base))
    samples = check_samples(model, dialogues(3))
    samples.sort(key=lambda sample: len(sample.ids))
    with model.evaluation():
        alone = sum(float(model.loss([sample])) for sample in samples)
        together = float(model.loss(samples))
    assert together == pytest.approx(alone, rel=1e-5)


# -- a person's own voice -----------------------------------------------------------------------

FLINT = Persona(name="Flint Reed", facts=("Flint Reed sails a ship.",))


def own_file(path: Path, count: int = 40) -> Path:
    """A pirate's lines, the first of which answers something."""
    lines = [f"Arr, {talk.lines[0].text.lower()}" for talk in dialogues(count)]
    path.write_text("> Who are you?\n" + "\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_own_lines_have_a_persona_and_contexts(tmp_path: Path) -> None:
    """Each line of a text file becomes the person's reply; a tenth is set aside."""
    own = read_own_lines(FLINT, own_file(tmp_path / "flint.txt"))
    assert len(own.dialogues) == 36
    assert len(own.check) == 4
    every = [*own.dialogues, *own.check]
    assert {talk.names[0] for talk in every} == {"Flint Reed"}
    assert {talk.facts[0] for talk in every} == {("I sail a ship.",)}
    assert "Who are you?" in {talk.lines[0].text for talk in every}
    samples = own.samples(random.Random(1))
    assert sum(len(sample.targets) for sample in samples) >= 36
    assert len(samples) < 36


def test_own_lines_borrow_fitting_contexts(tmp_path: Path) -> None:
    """Where dialogues are given, a line answers what the most similar line of them answers."""
    import numpy as np

    general = dialogues(20, seed=9)
    target = general[4].lines[3].text

    def embed(texts: object) -> np.ndarray:
        rows = [[1.0, 0.0] if text == target else [0.0, 0.1] for text in texts]  # type: ignore[attr-defined]
        return np.array(rows, dtype=np.float32)

    (tmp_path / "own.txt").write_text(f"{target}\n" * 20, encoding="utf-8")
    own = read_own_lines(FLINT, tmp_path / "own.txt", general=general, embed=embed)
    assert {talk.lines[0].text for talk in own.dialogues} == {general[4].lines[2].text}


def test_own_voice_begins_from_another(base: str, tmp_path: Path) -> None:
    """A person's voice is trained on from a given one, with general dialogues among its lines; its
    held-out lines become likelier."""
    trained(base, tmp_path / "first")
    own = read_own_lines(FLINT, own_file(tmp_path / "flint.txt"))
    result = train_voice(
        data_of(dialogues(30)),
        tmp_path / "own",
        settings_for(base),
        own=own,
        start=tmp_path / "first",
    )
    assert result.history.checks[0][1] - result.history.best > 0.3
    facts = read_voice(tmp_path / "own")
    assert facts is not None
    assert facts["training"]["own"]["lines"] == 36
    assert facts["training"]["start"]
    assert "Flint" not in json.dumps(facts)


def test_too_few_own_lines_are_refused(tmp_path: Path) -> None:
    """A handful of lines is no voice; the error says how many are needed."""
    with pytest.raises(DataError, match="has 6 lines of Flint Reed; at least 20"):
        read_own_lines(FLINT, own_file(tmp_path / "flint.txt", count=6))


# -- settings and the command ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"method": "lara"}, "did you mean 'lora'"),
        ({"dtype": "int8"}, "cannot be trained in"),
        ({"rank": 0}, "rank is 0"),
        ({"tokens": 0}, "would never end"),
        ({"patience": 0}, "patience is 0"),
    ],
)
def test_wrong_settings_are_refused(changes: dict[str, object], words: str) -> None:
    """A setting out of range is named before anything is loaded."""
    with pytest.raises(SettingError, match=words):
        replace(VoiceSettings(), **changes)  # type: ignore[arg-type]


def ends_with(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """The exit code of the command, and what it wrote."""
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    seen = capsys.readouterr()
    return int(ended.value.code or 0), seen.out + seen.err


def test_the_command_trains_and_reports(
    base: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """``train voice`` with ``--json`` ends with one object of figures; progress stands in lines."""
    data, out = chat_file(tmp_path / "talks.jsonl"), tmp_path / "voice"
    arguments = ["train", "voice", str(data), "--base", base, "--out", str(out), "--json"]
    arguments += ["--tokens", "3000", "--window", "192", "--rank", "4", "--device", "cpu"]
    code, text = ends_with(arguments, capsys)
    assert code == 0
    assert "30 dialogues, 90 lines to learn" in text
    assert "100 %" in text
    figures = json.loads(next(line for line in text.splitlines() if line.startswith("{")))
    assert figures["ended"] == "the budget is used"
    assert figures["after"]["nll"] < figures["before"]["nll"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "name DATA to learn from"),
        (["--persona", "card.toml"], "go together"),
        (["nowhere.csv"], "there is no such file"),
    ],
)
def test_the_command_says_what_is_missing(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Mistakes in the arguments are one line with exit code 2."""
    code, text = ends_with(["train", "voice", *arguments], capsys)
    assert code == 2
    assert words in text


def test_a_missing_extra_is_named(base: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without peft the error says what to install."""
    from denizens.training.voice import trainable_model

    monkeypatch.setattr(trainable_model, "find_spec", lambda name: None)
    with pytest.raises(SettingError, match=r"pip install 'denizens\[train\]'"):
        TrainableModel(settings_for(base))


def test_training_is_imported_without_torch() -> None:
    """Importing the folders of training loads neither torch nor peft."""
    code = (
        "import sys, denizens.training, denizens.training.voice, denizens.training.sources\n"
        "denizens.training.voice.VoiceSettings\n"
        "print([name for name in ('torch', 'peft', 'transformers') if name in sys.modules])"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT.parent)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_a_run_of_another_model_teaches_a_small_one(base: str, tmp_path: Path) -> None:
    """Distillation: what was said in a run is data, and a tiny model that is trained on it finds
    those lines likelier than before."""
    from denizens.tests.test_training_sources import talks

    folder = talks(tmp_path / "run")
    data = read_training_data([folder], least_lines=1)
    copies = replace(data, dialogues=data.dialogues * 6)
    result = train_voice(copies, tmp_path / "voice", settings_for(base))
    assert result.before is not None
    assert result.after is not None
    assert result.after.loss < result.before.loss - 0.3
