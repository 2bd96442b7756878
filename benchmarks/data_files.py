"""Data of benchmarks: packaged files, and the folder of data sets."""

from __future__ import annotations

import json
import os
from functools import cache
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent


@cache
def packaged_data(name: str) -> Any:
    """The content of a packaged JSON file."""
    return json.loads((FOLDER / "data" / f"{name}.json").read_text(encoding="utf-8"))


def data_folder(named: str | None = None) -> Path:
    """The folder of data sets: ``named``, else $DENIZENS_DATA, else ../shared/data beside the
    repository. It need not exist."""
    named = named or os.environ.get("DENIZENS_DATA")
    return Path(named).expanduser() if named else FOLDER.resolve().parents[1] / "shared" / "data"
