"""`train_voice`: from dialogues to a voice, its facts and its report; killed and continued."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from ...core import DataError, Json, SettingError
from ..dialogues import PersonaDialogue
from ..samples import Sample, voice_samples
from ..sources import TrainingData
from ..told_facts import FactMatcher
from .own_lines import OwnLines
from .sample_stream import EpochFunction, SampleStream
from .trainable_model import ADAPTER_WEIGHTS, TrainableModel, base_name
from .training_checkpoint import remove_checkpoint
from .voice_evaluation import VoiceEvaluation, VoiceExam, check_samples
from .voice_folder import claim_folder, read_voice, write_voice
from .voice_report import write_voice_report
from .voice_settings import VoiceSettings
from .voice_trainer import ProgressListener, TrainingHistory, TrainingProgress, VoiceTrainer

CHECK_DIALOGUES = 8
"""Dialogues of the check part whose loss is measured during the training."""
LEAST_DIALOGUES = 2
"""Fewest dialogues that are learned, and that are set aside for checks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedVoice:
    """The result of a training. ``finished`` is False if it was stopped; the same call continues
    it. ``before`` and ``after`` are None if it was finished by an earlier call."""

    folder: Path
    finished: bool
    history: TrainingHistory = field(default_factory=TrainingHistory)
    before: VoiceEvaluation | None = None
    after: VoiceEvaluation | None = None


def train_voice(
    data: TrainingData | None,
    folder: Path,
    settings: VoiceSettings,
    *,
    check: TrainingData | None = None,
    own: OwnLines | None = None,
    start: Path | None = None,
    listener: ProgressListener | None = None,
    tell: Callable[[str], None] = lambda text: None,
    stopped: Callable[[], bool] = lambda: False,
) -> TrainedVoice:
    """Train a voice on ``data`` and write it to ``folder``, with ``voice.json`` and a report.

    ``check`` are dialogues to check on; without them a part of the data, drawn by the seed, is set
    aside. ``own`` are the lines of one person, for whom the voice is; then ``data``, if given, are
    general dialogues that are mixed in. ``start`` is the folder of a voice to begin from.

    A call with equal arguments continues a training that was stopped or killed, and returns at
    once if it is finished. ``stopped`` is asked after each step whether to stop, ``listener`` is
    called with the progress, ``tell`` with lines for people. Raises SettingError, DataError,
    ModelError.
    """
    record = training_record(data, settings, check, own, start)
    begun = claim_folder(folder, record)
    if begun and read_voice(folder) is not None:
        tell(f"{folder}: is finished already")
        return TrainedVoice(folder=folder, finished=True)
    tell(f"loading {settings.base}")
    model = TrainableModel(settings, start)
    general = list(data.dialogues) if data else []
    if check is not None:
        learned, held = general, list(check.dialogues)
    else:
        learned, held = split_dialogues(general, settings)
    exam_dialogues = held or list(own.check if own else ())
    exam = VoiceExam(model, exam_dialogues)
    decisive = own.check_samples(model) if own else check_samples(model, held[:CHECK_DIALOGUES])
    stream = SampleStream(_epochs(learned, own, settings), settings.seed)
    trainer = VoiceTrainer(model, stream, decisive, folder)
    trainer.listener = _stopping(trainer, stopped, listener)
    before = _begin(trainer, exam, begun, tell)
    if not trainer.run():
        return TrainedVoice(folder=folder, finished=False, history=trainer.history, before=before)
    tell(f"{trainer.history.ended}; measuring what was learned")
    after = exam.take()
    if model.processes[1] == 0:
        _finish(folder, model, trainer.history, (before, after), record, exam)
    return TrainedVoice(
        folder=folder, finished=True, history=trainer.history, before=before, after=after
    )


def _begin(
    trainer: VoiceTrainer, exam: VoiceExam, begun: bool, tell: Callable[[str], None]
) -> VoiceEvaluation:
    """What the model could do before: measured now, or when the training that is continued began.
    Raises SettingError if the base model has changed since."""
    model = trainer.model
    if begun and trainer.resume():
        tell(f"{trainer.folder}: continuing after {trainer.history.tokens} tokens")
        if trainer.facts["base_digest"] != model.base_digest:
            raise SettingError(
                f"{trainer.folder}: its training began with other weights of "
                f"{model.settings.base}; give a new folder with --out"
            )
        return VoiceEvaluation.load(trainer.facts["before"])
    tell("measuring what the model can do before")
    before = exam.take()
    trainer.facts = {"base_digest": model.base_digest, "before": before.save()}
    return before


def training_record(
    data: TrainingData | None,
    settings: VoiceSettings,
    check: TrainingData | None,
    own: OwnLines | None,
    start: Path | None,
) -> dict[str, Json]:
    """What a training is: settings, and names and digests of its data. No text of the data."""
    return {
        "settings": {**settings.learned_settings(), "base": base_name(settings.base)},
        "data": _source_rows(data),
        "check": _source_rows(check),
        "own": own.describe() if own else None,
        "start": _adapter_digest(start) if start else None,
    }


def _source_rows(data: TrainingData | None) -> list[Json]:
    return [
        {"file": one.path, "kind": one.kind, "digest": one.digest, "lines": one.lines}
        for one in (data.sources if data else ())
    ]


def _adapter_digest(folder: Path) -> str:
    file = folder / ADAPTER_WEIGHTS
    if not file.is_file():
        raise SettingError(f"{folder}: holds no {ADAPTER_WEIGHTS}, so no voice to begin from")
    return sha256(file.read_bytes()).hexdigest()


def split_dialogues(
    dialogues: Sequence[PersonaDialogue], settings: VoiceSettings
) -> tuple[list[PersonaDialogue], list[PersonaDialogue]]:
    """Dialogues to learn and dialogues to check on, drawn by the seed. Raises DataError for too
    few."""
    if not dialogues:
        return [], []
    if len(dialogues) < 2 * LEAST_DIALOGUES:
        raise DataError(
            f"{len(dialogues)} dialogues are too few to set some aside for checks; give more data, "
            "or other dialogues with --check"
        )
    order = list(range(len(dialogues)))
    random.Random(f"{settings.seed} split").shuffle(order)
    count = max(LEAST_DIALOGUES, round(len(dialogues) * settings.check_share))
    held = set(order[: min(count, len(dialogues) - LEAST_DIALOGUES)])
    return (
        [one for place, one in enumerate(dialogues) if place not in held],
        [dialogues[place] for place in sorted(held)],
    )


def _epochs(
    dialogues: Sequence[PersonaDialogue], own: OwnLines | None, settings: VoiceSettings
) -> EpochFunction:
    """The function that makes an epoch: of the dialogues, or of a person's own lines with some of
    the dialogues among them."""
    matcher = FactMatcher.of_dialogues([*dialogues, *(own.dialogues if own else ())])

    def general(draws: random.Random) -> list[Sample]:
        return voice_samples(dialogues, matcher, draws)

    if own is None:
        return general

    def mixed(draws: random.Random) -> list[Sample]:
        samples = own.samples(draws)
        share = settings.general_share if dialogues else 0.0
        count = round(len(samples) * share / (1 - share))
        others: list[Sample] = []
        while len(others) < count:
            others += general(draws)[: count - len(others)]
        samples += others
        draws.shuffle(samples)
        return samples

    return mixed


def _stopping(
    trainer: VoiceTrainer, stopped: Callable[[], bool], listener: ProgressListener | None
) -> ProgressListener:
    """A listener that also stops the trainer when it is asked to."""

    def listen(progress: TrainingProgress) -> None:
        trainer.stopping = trainer.stopping or stopped()
        if listener is not None:
            listener(progress)

    return listen


def _finish(
    folder: Path,
    model: TrainableModel,
    history: TrainingHistory,
    evaluations: tuple[VoiceEvaluation, VoiceEvaluation],
    record: dict[str, Json],
    exam: VoiceExam,
) -> None:
    """Write the voice, its report and its facts; the facts last."""
    files = model.save(folder)
    before, after = evaluations
    settings = dict(record["settings"])
    facts: dict[str, Json] = {
        "name": folder.resolve().name,
        "base": {"name": settings["base"], "digest": model.base_digest},
        "method": settings["method"],
        "parameters": sum(weight.numel() for weight in model.weights.values()),
        "training": {
            **record,
            "learning_rate": model.settings.rate,
            "steps": history.step,
            "tokens": history.tokens,
            "seconds": round(history.seconds),
            "ended": history.ended,
            "best_after_tokens": history.best_tokens,
            "processes": model.processes[0],
            "device": str(model.accelerator.device),
        },
        "before": _figures(before),
        "after": _figures(after),
    }
    write_voice_report(folder, facts, history, evaluations, exam.items[: exam.lines])
    write_voice(folder, files, facts)
    remove_checkpoint(folder)


def _figures(evaluation: VoiceEvaluation) -> dict[str, Json]:
    """The figures of an evaluation; the texts are in the report only."""
    return {
        "nll": round(evaluation.loss, 4),
        "perplexity": round(evaluation.perplexity, 3),
        "reply_at_1_mean": _number(evaluation.mean),
        "reply_at_1_corrected": _number(evaluation.corrected),
    }


def _number(value: float) -> float | None:
    """A number for JSON, which has no NaN."""
    return round(value, 4) if value == value else None
