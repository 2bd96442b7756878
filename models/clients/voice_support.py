"""Voices of any model, also of one that knows none."""

from __future__ import annotations

from typing import Any

from ...core import Model


def load_voice(model: Model, voice: str) -> None:
    """Load a voice before the first ask that names it, so that a wrong name is reported now.

    ``voice``: as in the asks. A model without voices does nothing. Raises ModelError for a folder
    without a voice that fits the model.
    """
    load: Any = getattr(model, "load_voice", None)
    if load is not None:
        load(voice)
