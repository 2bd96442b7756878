"""``denizens bench dialogue``: all parts with one model."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from ...core import DataError, Json, SettingError
from ...models import LocalModel, load_model
from ...training import next_line_items, read_persona_csv
from ..data_files import data_folder
from .learned_lines import measure_learned
from .line_faults import question_answers, town_figures
from .line_likelihood import measure_likelihood
from .ranked_replies import critic_chances, measure_replies
from .real_or_ours import measure_discriminator
from .told_facts import measure_told
from .town_talk import SEEDS, conversation_text, read_conversations, run_mornings

DIALOGUE_PARTS = ("nll", "replies", "told", "learned", "discriminator", "town")
ANSWERED = 0.5  # probability of the critic from which on a line answers the one before

Progress = Callable[[str], None]


def measure_dialogue(
    model: str = "smollm2",
    *,
    device: str = "auto",
    dtype: str = "auto",
    voice: str | None = None,
    embedder: str = "minilm",
    data: Path | None = None,
    parts: Sequence[str] = DIALOGUE_PARTS,
    items: int = 0,
    keep: Path | None = None,
    quick: bool = False,
    progress: Progress = lambda line: None,
) -> dict[str, Json]:
    """The figures of the ``parts``.

    ``data`` is a CSV file of dialogues (``read_persona_csv``), by default the check part of
    Synthetic-Persona-Chat in the data folder. ``items``: how many dialogues (0: by the part, 50
    to 150; ``quick``: 8 to 15). ``keep``: folder for the runs of the part ``town``; runs
    that it holds already are read, not run again. Raises DataError for a file without
    dialogues, SettingError for a model that is not in this process."""
    dialogues = [] if tuple(parts) == ("town",) else read_persona_csv(dialogue_file(data))
    speaker = load_model(model, device=device, dtype=dtype, voice=voice, embedder=embedder)
    if not isinstance(speaker, LocalModel):
        raise SettingError(f"bench dialogue: '{model}' is no model in this process; name one")
    figures: dict[str, Json] = {"voice": speaker.describe().get("voice")}
    if "nll" in parts:
        progress("likelihood of true lines")
        figures |= measure_likelihood(speaker, dialogues[: items or (8 if quick else 60)])
    count = items or (15 if quick else 100)
    if "replies" in parts:
        progress("the right reply among 20")
        figures |= measure_replies(speaker, next_line_items(dialogues, count))
    if "told" in parts:
        progress("facts told")
        figures |= measure_told(speaker, dialogues, count)
    if "learned" in parts:
        progress("what was learned")
        figures |= measure_learned(speaker, dialogues[: items or (8 if quick else 50)])
    if "discriminator" in parts:
        progress("true lines and ours")
        figures |= measure_discriminator(
            speaker, next_line_items(dialogues, items or (24 if quick else 150))
        )
    if "town" in parts:
        figures |= _measure_town(speaker, keep, SEEDS[:1] if quick else SEEDS, progress)
    return figures


def dialogue_file(named: Path | None) -> Path:
    """The file of dialogues: ``named``, else that of the data folder. Raises DataError."""
    path = named or data_folder() / "persona_chat" / "check.csv"
    if not path.is_file():
        raise DataError(
            f"{path}: no such file of dialogues; name a CSV file with --data, or set DENIZENS_DATA "
            "to the folder that holds persona_chat/check.csv"
        )
    return path


def _measure_town(
    model: LocalModel, keep: Path | None, seeds: Sequence[int], progress: Progress
) -> dict[str, Json]:
    """The figures of the conversations of ``seeds``; ``dialogues.txt`` beside kept runs has their
    text."""
    if keep is None:
        with tempfile.TemporaryDirectory() as folder:
            return _measure_town(model, Path(folder), seeds, progress)
    progress(f"{len(seeds)} mornings in Larkspur")
    folders = run_mornings(model, keep, seeds, progress=progress)
    conversations = [talk for folder in folders for talk in read_conversations(folder)]
    text = "\n".join(map(conversation_text, conversations))
    (keep / "dialogues.txt").write_text(text, encoding="utf-8")
    figures = town_figures(conversations)
    asked = question_answers(conversations)
    figures["questions"] = len(asked)
    if asked:
        chances = critic_chances(model, [(prompt, last, [line]) for prompt, last, line in asked])
        answered = [row[0] > ANSWERED for row in chances]
        figures["answers_question"] = round(float(np.mean(answered)), 3)
        figures["unanswered"] = [
            f"{last} -> {line}" for (_, last, line), good in zip(asked, answered) if not good
        ]
    return figures
