"""All parts of ``denizens bench memory``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from ...core import Json
from ...models import load_embedder
from .answerability_quality import fit_answerability, measure_answerability
from .fault_injection import measure_faults
from .locomo import default_locomo_file, load_locomo
from .recall_quality import measure_recall_quality
from .recall_speed import measure_recall_speed
from .temporal_facts import measure_temporal_facts

Progress = Callable[[str], None]

LOCOMO_PARTS = ("quality", "known")
MEMORY_PARTS = (*LOCOMO_PARTS, "speed", "claims", "harm")
QUICK_QUESTIONS = 40
"""Questions of a conversation with ``quick``."""


def measure_memory(
    parts: Sequence[str],
    *,
    data: Path | None = None,
    quick: bool = False,
    to: Path | None = None,
    progress: Progress,
) -> dict[str, Json]:
    """The figures of each part under its name; ``speed`` adds those of ``crowd``.

    ``data`` is a file in LoCoMo's format; ``quick`` asks fewer questions; ``to`` receives one
    line of JSON for each question of ``quality``."""
    figures: dict[str, Json] = {}
    locomo_parts = [part for part in parts if part in LOCOMO_PARTS]
    if locomo_parts:
        figures |= _measure_on_locomo(
            locomo_parts, data or default_locomo_file(), quick, to, progress
        )
    for part in parts:
        if part not in LOCOMO_PARTS:
            progress(f"part {part}")
        if part == "speed":
            figures |= measure_recall_speed(quick, progress)
        elif part == "claims":
            figures[part] = measure_temporal_facts(quick, progress)
        elif part == "harm":
            figures[part] = measure_faults(quick, progress)
    return figures


def _measure_on_locomo(
    parts: Sequence[str], data: Path, quick: bool, to: Path | None, progress: Progress
) -> dict[str, Json]:
    conversations = load_locomo(data)
    if quick:
        # Every n-th question, so that all categories keep their share.
        conversations = [
            replace(
                conversation,
                questions=conversation.questions[
                    :: max(1, len(conversation.questions) // QUICK_QUESTIONS)
                ],
            )
            for conversation in conversations
        ]
    embed = load_embedder().vectors
    figures: dict[str, Json] = {"data": {"file": data.name, "conversations": len(conversations)}}
    for part in parts:
        progress(f"part {part}")
        if part == "quality":
            figures[part] = measure_recall_quality(conversations, embed, progress, to=to)
        else:
            figures[part] = measure_answerability(conversations, embed, progress)
    return figures


def calibrate_answerability(data: Path | None, to: Path, progress: Progress) -> None:
    """Fit the weights of the answerability score on LoCoMo and write them to ``to``."""
    conversations = load_locomo(data or default_locomo_file())
    fit_answerability(conversations, load_embedder().vectors, to, progress)
