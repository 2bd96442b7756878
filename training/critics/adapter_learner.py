"""One pass of a voice's adapter over samples: what a round of ``train adversarial`` teaches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ...core import DataError
from ..samples import Sample
from ..voice import TrainableModel, VoiceSettings, write_voice

MAX_NORM = 1.0  # of the gradient


@dataclass(frozen=True, slots=True)
class AdapterLearner:
    """A ``VoiceLearner`` by gradient descent (AdamW) with the settings of a voice's training, of
    which ``rate``, ``batch``, ``window``, ``base``, ``device`` and ``seed`` are used."""

    settings: VoiceSettings

    def __call__(self, samples: Sequence[Sample], start: Path, out: Path) -> None:
        """Train the adapter in ``start`` once on the samples and write it to ``out``. Raises
        DataError where no sample has a target within the window, ModelError, OSError."""
        import torch

        model = TrainableModel(self.settings, start)
        encoded = model.encode(samples)
        if not encoded:
            raise DataError("no line lies within the window of tokens; give shorter dialogues")
        optimizer = torch.optim.AdamW(
            model.weights.values(), lr=self.settings.rate, weight_decay=0.0
        )
        for first in range(0, len(encoded), self.settings.batch):
            batch = encoded[first : first + self.settings.batch]
            tokens = sum(sample.target_count for sample in batch)
            for row in range(0, len(batch), model.rows):
                model.backward(model.loss(batch[row : row + model.rows]) / tokens)
            torch.nn.utils.clip_grad_norm_(model.weights.values(), MAX_NORM)
            optimizer.step()
            optimizer.zero_grad()
        files = model.save(out)
        base = {"name": self.settings.base, "digest": model.base_digest}
        write_voice(
            out,
            files,
            {
                "name": out.name,
                "base": base,
                "method": "lora",
                "training": {"samples": len(encoded), "learning_rate": self.settings.rate},
            },
        )
