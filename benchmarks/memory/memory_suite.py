"""The memory benchmark: each part measured by a module of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path

from ...core import Json
from ..bfcl import data_folder

PARTS = ("quality", "known", "speed", "claims", "harm")
# Parts that need nothing but themselves: their module and what it is given.
PART_MODULES = {"speed": "memory_speed", "claims": "changes", "harm": "memory_harm"}
QUICK_QUESTIONS = 40  # questions a conversation when quick


def default_locomo_file() -> Path:
    """LoCoMo's first five conversations, in the folder of test data."""
    return data_folder() / "locomo" / "locomo_first5.json"


def measure_memory(
    parts: Sequence[str],
    *,
    data: Path | None = None,
    quick: bool = False,
    to: Path | None = None,
    told: Callable[[str], None],
) -> dict[str, Json]:
    """The figures of each part under its name.

    ``data`` is a file in LoCoMo's format; ``quick`` asks fewer questions; ``to`` gets a line
    of JSON for each question of ``quality``."""
    found: dict[str, Json] = {}
    asked = [name for name in parts if name not in PART_MODULES]
    if asked:
        found |= _measure_on_locomo(asked, data or default_locomo_file(), quick, to, told)
    for name in parts:
        if name in PART_MODULES:
            told(f"part {name}")
            figures = _measure_part(name, quick, told)
            # Speed brings the crowd's beside its own.
            found |= figures if name in figures else {name: figures}
    return found


def _measure_part(name: str, quick: bool, told: Callable[[str], None]) -> dict[str, Json]:
    module = import_module(f".{PART_MODULES[name]}", __package__)
    figures: dict[str, Json] = module.measure(quick, told)
    return figures


def _measure_on_locomo(
    parts: Sequence[str], data: Path, quick: bool, to: Path | None, told: Callable[[str], None]
) -> dict[str, Json]:
    from dataclasses import replace

    from .. import default_embedder as embedding
    from . import answerability_quality as knowing
    from . import recall_quality as memory_quality
    from .locomo import load_locomo

    conversations = load_locomo(data)
    if quick:
        # Every so-manieth question, so that all categories keep their share.
        conversations = [
            replace(one, questions=one.questions[:: max(1, len(one.questions) // QUICK_QUESTIONS)])
            for one in conversations
        ]
    embed = embedding.packaged_embedder()
    found: dict[str, Json] = {"data": {"file": data.name, "conversations": len(conversations)}}
    for name in parts:
        told(f"part {name}")
        if name == "quality":
            found[name] = memory_quality.measure_recall_quality(conversations, embed, told, to=to)
        else:
            found[name] = knowing.measure_answerability(conversations, embed, told)
    return found


def calibrate_answerability(data: Path | None, to: Path, told: Callable[[str], None]) -> None:
    """Fit what tells how likely a memory holds an answer, and write it to ``to``."""
    from .. import default_embedder as embedding
    from . import answerability_quality as knowing
    from .locomo import load_locomo

    conversations = load_locomo(data or default_locomo_file())
    knowing.fit_answerability(conversations, embedding.packaged_embedder(), to, told)
