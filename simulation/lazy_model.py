"""A model that is loaded on first use."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ..core import Client, Json, Model
from ..models import UsageLedger, load_voice
from .record import ledger_of


class LazyModel:
    """The model ``name``; ``load`` loads it on first use and may raise ModelError.

    A run whose planners ask no model loads no weights, unless an agent has a document to read."""

    def __init__(self, name: str, load: Callable[[], Model]) -> None:
        self._name = name
        self._load = load
        self._model: Model | None = None

    @property
    def model(self) -> Model:
        """The model itself; loads it if necessary."""
        if self._model is None:
            self._model = self._load()
        return self._model

    @property
    def ledger(self) -> UsageLedger | None:
        """The usage ledger of the model; None if it is not loaded or has none."""
        return ledger_of(self._model)

    def client(self) -> Client:
        """A client of the model; loads it if necessary."""
        return self.model.client()

    def load_voice(self, voice: str, folder: Path | None = None) -> None:
        """Load a voice; loads the model if necessary. Raises ModelError."""
        load_voice(self.model, voice, folder)

    def describe(self) -> dict[str, Json]:
        """The model's description; only its name before it is loaded."""
        return {"name": self._name} if self._model is None else self._model.describe()
