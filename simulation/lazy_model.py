"""A model that is loaded when it is first asked."""

from __future__ import annotations

from collections.abc import Callable

from ..core import Client, Json, Model
from ..models import UsageLedger


class LazyModel:
    """Stands for the model ``name`` until somebody asks it something.

    People who follow a routine ask nothing, so a run of them loads no weights; where one of
    them has a document to read, they are loaded then. ``load`` may raise ModelError."""

    def __init__(self, name: str, load: Callable[[], Model]) -> None:
        self._name = name
        self._load = load
        self._model: Model | None = None

    @property
    def model(self) -> Model:
        """The model itself, loaded now if it was not."""
        if self._model is None:
            self._model = self._load()
        return self._model

    @property
    def ledger(self) -> UsageLedger | None:
        """The account that the model keeps, once it is loaded."""
        found = getattr(self._model, "ledger", None)
        return found if isinstance(found, UsageLedger) else None

    def client(self) -> Client:
        """A mailbox of the model."""
        return self.model.client()

    def describe(self) -> dict[str, Json]:
        """The model's description; only its name while it is not loaded."""
        return {"name": self._name} if self._model is None else self._model.describe()
