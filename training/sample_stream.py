"""An endless stream of training samples whose place can be saved and restored."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any, TypeAlias

from ..core import Json
from .samples import Sample

EpochFunction: TypeAlias = Callable[[random.Random], list[Sample]]
"""Makes the samples of one epoch, in order, with draws from the generator."""


class SampleStream:
    """The samples of epoch after epoch.

    Only the state of the generator at the beginning of the epoch and the place in it are saved:
    the epoch is made anew when a training is resumed.
    """

    def __init__(self, make_epoch: EpochFunction, seed: int) -> None:
        self._make_epoch = make_epoch
        self._random = random.Random(seed)
        self.epoch = -1
        self._samples: list[Sample] = []
        self._place = 0
        self._epoch_state: Any = self._random.getstate()

    def take(self, count: int) -> list[Sample]:
        """The next samples."""
        taken: list[Sample] = []
        while len(taken) < count:
            if self._place >= len(self._samples):
                self._begin_epoch()
            piece = self._samples[self._place : self._place + count - len(taken)]
            self._place += len(piece)
            taken += piece
        return taken

    def _begin_epoch(self) -> None:
        self._epoch_state = self._random.getstate()
        self._samples = self._make_epoch(self._random)
        if not self._samples:
            raise ValueError("an epoch has no sample")
        self.epoch += 1
        self._place = 0

    def save(self) -> Json:
        """The place in the stream as JSON."""
        version, numbers, gauss = self._epoch_state
        state = [version, list(numbers), gauss]
        return {"epoch": self.epoch, "place": self._place, "random": state}

    def restore(self, saved: Json) -> None:
        """Go to the place that ``save`` returned."""
        version, numbers, gauss = saved["random"]
        self._random.setstate((version, tuple(numbers), gauss))
        self._samples = []
        if saved["epoch"] >= 0:
            self._begin_epoch()
        self.epoch, self._place = saved["epoch"], saved["place"]
