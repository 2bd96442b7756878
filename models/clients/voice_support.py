"""Voices of any model, also of one that knows none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ...core import DEFAULT_VOICE, NO_VOICE, Model


def load_voice(model: Model, voice: str, folder: Path | None = None) -> None:
    """Load a voice before the first ask that names it, so that a wrong name is reported now.

    ``voice``: as in the asks; ``folder``: where it lies, if its name is not its folder from here.
    A model without voices does nothing. Raises ModelError for a folder without a voice that fits
    the model.
    """
    load: Any = getattr(model, "load_voice", None)
    if load is not None and voice not in ("", DEFAULT_VOICE, NO_VOICE):
        load(voice, folder)
