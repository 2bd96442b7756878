"""The folder of a voice: what is trained there, and the facts about the finished voice."""

from __future__ import annotations

import json
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from ...core import DataError, Json, SettingError, atomic_path, canonical, library_versions

TRAINING_FILE = "training.json"
"""What is trained in a folder: settings and digests of the data. Written at the beginning."""
VOICE_FILE = "voice.json"
"""Facts about a finished voice. Written last: a folder without it holds no finished voice."""
REPORT_FILE = "report.html"


def claim_folder(folder: Path, record: dict[str, Json]) -> bool:
    """Make a folder that of a training, described by ``record``; returns whether one with an equal
    record has begun there already. Raises SettingError if the folder holds something else."""
    file = folder / TRAINING_FILE
    if not file.is_file():
        # Of several processes another one may be writing the file just now.
        held = sorted(
            one.name
            for one in (folder.iterdir() if folder.is_dir() else ())
            if not one.name.startswith(TRAINING_FILE)
        )
        if held:
            raise SettingError(
                f"{folder}: is not empty (it holds {held[0]}) and no training began there; give a "
                "new folder with --out"
            )
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SettingError(
                f"{folder}: cannot be made a folder ({error.strerror}); give another with --out"
            ) from error
        write_json(file, record)
        return False
    known = read_json(file)
    if canonical(known) == canonical(record):
        return True
    raise SettingError(
        f"{folder}: holds a training with other settings or data: {_difference(known, record)}; "
        "repeat its command to continue it, or give a new folder with --out"
    )


def _difference(known: Any, record: Any, name: str = "") -> str:
    """The first difference between two records, in words."""
    if isinstance(known, dict) and isinstance(record, dict):
        for key in sorted({*known, *record}):
            if canonical(known.get(key)) != canonical(record.get(key)):
                return _difference(known.get(key), record.get(key), key)
    if isinstance(known, list | dict) or isinstance(record, list | dict):
        return f"its '{name}' differ"
    return f"its {name} is {known}, not {record}"


def write_voice(folder: Path, files: Sequence[Path], facts: dict[str, Json]) -> None:
    """Write ``voice.json``: the facts, and the SHA-256 of each file of the voice."""
    hashes = {file.name: sha256(file.read_bytes()).hexdigest() for file in files}
    versions = library_versions("denizens", "torch", "transformers", "peft")
    write_json(folder / VOICE_FILE, {**facts, "sha256": hashes, "versions": versions})


def read_voice(folder: Path) -> dict[str, Any] | None:
    """The facts of the finished voice in a folder; None if there is none. Raises DataError."""
    file = folder / VOICE_FILE
    return read_json(file) if file.is_file() else None


def write_json(file: Path, data: Json) -> None:
    """Write indented JSON, whole or not at all."""
    with atomic_path(file) as part:
        text = json.dumps(data, indent=2, sort_keys=True, ensure_ascii=False)
        part.write_text(text + "\n", encoding="utf-8")


def read_json(file: Path) -> dict[str, Any]:
    """The JSON object in a file. Raises DataError."""
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(
            f"{file}: cannot be read ({error}); delete the folder, train anew"
        ) from error
    if not isinstance(data, dict):
        raise DataError(f"{file}: holds no JSON object; delete the folder and train anew")
    return data
