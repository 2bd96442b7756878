"""The checkpoint of a training: one file, written whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...core import Json, ModelCorrupt, atomic_path

CHECKPOINT_FILE = "checkpoint.safetensors"
_VALUES = "values"


@dataclass(frozen=True, slots=True)
class TrainingCheckpoint:
    """Tensors by name (weights, state of the optimizer and of the generators), and values."""

    tensors: Mapping[str, Any]
    values: Mapping[str, Json]

    def group(self, name: str) -> dict[str, Any]:
        """The tensors of a group, which were stored as ``group:name``."""
        prefix = f"{name}:"
        return {key[len(prefix) :]: t for key, t in self.tensors.items() if key.startswith(prefix)}


def write_checkpoint(folder: Path, checkpoint: TrainingCheckpoint) -> None:
    """Write the checkpoint of a training's folder, replacing the last one."""
    from safetensors.torch import save_file

    tensors = {
        name: tensor.detach().cpu().contiguous() for name, tensor in checkpoint.tensors.items()
    }
    with atomic_path(folder / CHECKPOINT_FILE) as part:
        save_file(tensors, part, metadata={_VALUES: json.dumps(dict(checkpoint.values))})


def remove_checkpoint(folder: Path) -> None:
    """Remove the checkpoint of a training that is finished."""
    (folder / CHECKPOINT_FILE).unlink(missing_ok=True)


def read_checkpoint_file(folder: Path) -> TrainingCheckpoint | None:
    """The checkpoint of a training's folder; None if there is none. Raises ModelCorrupt."""
    from safetensors import SafetensorError, safe_open

    file = folder / CHECKPOINT_FILE
    if not file.is_file():
        return None
    try:
        with safe_open(file, framework="pt") as opened:
            values = json.loads((opened.metadata() or {})[_VALUES])
            tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError, KeyError) as error:
        raise ModelCorrupt(
            f"{file}: cannot be read ({error}); delete it to train from the beginning"
        ) from error
    return TrainingCheckpoint(tensors, values)
