"""An endless stream of training samples whose place can be saved and restored."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import TypeAlias

from ...core import Json, SettingError
from ..samples import Sample

EpochFunction: TypeAlias = Callable[[random.Random], list[Sample]]
"""Makes the samples of one epoch, in order, with draws from the generator."""


class SampleStream:
    """The samples of epoch after epoch. Each epoch has a generator of its own, so the place is a
    pair of numbers, and a resumed training makes the epoch anew."""

    def __init__(self, make_epoch: EpochFunction, seed: int) -> None:
        self._make_epoch = make_epoch
        self._seed = seed
        self._samples: list[Sample] = []
        self.epoch = -1
        self._place = 0

    def take(self, count: int) -> list[Sample]:
        """The next samples. Raises SettingError if an epoch has none."""
        taken: list[Sample] = []
        while len(taken) < count:
            if self._place >= len(self._samples):
                self._begin_epoch(self.epoch + 1)
            piece = self._samples[self._place : self._place + count - len(taken)]
            self._place += len(piece)
            taken += piece
        return taken

    def _begin_epoch(self, epoch: int) -> None:
        self._samples = self._make_epoch(random.Random(f"{self._seed} {epoch}"))
        if not self._samples:
            raise SettingError("the data hold no line that could be learned; give more dialogues")
        self.epoch, self._place = epoch, 0

    def save(self) -> Json:
        """The place in the stream as JSON."""
        return {"epoch": self.epoch, "place": self._place}

    def restore(self, saved: Json) -> None:
        """Go to the place that ``save`` returned."""
        if saved["epoch"] >= 0:
            self._begin_epoch(saved["epoch"])
        self._place = saved["place"]
