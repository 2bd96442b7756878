"""The loop of a training: steps, checks, early stopping, checkpoints."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from ...core import Json, ModelError
from .encoded_samples import EncodedSample
from .sample_stream import SampleStream
from .trainable_model import TrainableModel
from .training_checkpoint import TrainingCheckpoint, read_checkpoint_file, write_checkpoint

CHECKPOINT_SECONDS = 60.0
"""The shortest time between two checkpoints."""
CHECKPOINT_SHARE = 0.05
"""The largest share of the time that is spent on writing checkpoints."""
LEAST_RATE = 0.1
"""The learning rate at the end, as a share of the highest."""
MAX_GRADIENT = 1.0
"""The norm that gradients are clipped to."""
MAX_EMPTY_BATCHES = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingProgress:
    """How far a training has come. ``share`` of the budget, in [0, 1]; ``loss`` is the mean of the
    last steps and ``check`` the last one of the check part, in nats a token (NaN: none yet)."""

    step: int
    tokens: int
    seconds: float
    share: float
    rate: float
    loss: float
    check: float
    best: float

    @property
    def seconds_left(self) -> float:
        """About how long it will take, in seconds."""
        return self.seconds * (1 - self.share) / self.share if self.share > 0 else float("nan")


ProgressListener: TypeAlias = Callable[[TrainingProgress], None]


@dataclass(slots=True)
class TrainingHistory:
    """What has happened: per step (tokens seen, loss), per check (tokens seen, loss), the seconds
    of all processes that worked on it, and why it ended (empty: it has not)."""

    step: int = 0
    tokens: int = 0
    seconds: float = 0.0
    losses: list[tuple[int, float]] = field(default_factory=list)
    checks: list[tuple[int, float]] = field(default_factory=list)
    best: float = float("inf")
    best_tokens: int = 0
    worse: int = 0
    ended: str = ""

    def save(self) -> dict[str, Json]:
        """As JSON."""
        return {
            "step": self.step,
            "tokens": self.tokens,
            "seconds": self.seconds,
            "losses": [list(point) for point in self.losses],
            "checks": [list(point) for point in self.checks],
            "best": self.best,
            "best_tokens": self.best_tokens,
            "worse": self.worse,
            "ended": self.ended,
        }

    @classmethod
    def load(cls, data: dict[str, Any]) -> TrainingHistory:
        """What ``save`` returned."""
        points = {
            key: [(int(tokens), float(loss)) for tokens, loss in data[key]]
            for key in ("losses", "checks")
        }
        return cls(**{**data, **points})

    def recent_loss(self, count: int = 20) -> float:
        """The mean loss of the last steps; NaN before the first."""
        last = [loss for _, loss in self.losses[-count:]]
        return sum(last) / len(last) if last else float("nan")


class VoiceTrainer:
    """Trains a model on a stream of samples, and continues a training from its checkpoint.

    A training that is killed loses the steps since its last checkpoint and repeats them: on a CPU
    in float32, with the budget given in tokens, the resumed one ends with the same weights bit for
    bit. ``check`` are the samples whose loss decides when to stop, and which weights are kept.
    """

    def __init__(
        self,
        model: TrainableModel,
        stream: SampleStream,
        check: Sequence[EncodedSample],
        folder: Path,
        *,
        listener: ProgressListener | None = None,
        facts: dict[str, Json] | None = None,
    ) -> None:
        """``facts`` are kept in the checkpoint: figures measured before the training."""
        import torch

        self.model, self.stream, self.check = model, stream, check
        self.folder = folder
        self.settings = model.settings
        self.history = TrainingHistory()
        self.facts = dict(facts or {})
        self.stopping = False
        self.listener = listener
        self._optimizer = torch.optim.AdamW(
            list(model.weights.values()), lr=self.settings.rate, weight_decay=0.0
        )
        self._best: dict[str, Any] = {}
        self._saved_at = time.monotonic()
        self._save_seconds = 0.0

    def resume(self) -> bool:
        """Take over the checkpoint in the folder; False if there is none. Raises ModelCorrupt."""
        import torch

        checkpoint = read_checkpoint_file(self.folder)
        if checkpoint is None:
            return False
        self.model.load_weights(checkpoint.group("weights"))
        self._best = checkpoint.group("best")
        self.stream.restore(checkpoint.values["stream"])
        self.history = TrainingHistory.load(dict(checkpoint.values["history"]))
        self.facts = dict(checkpoint.values["facts"])
        for name, weight in self.model.weights.items():
            parts = ("step", "exp_avg", "exp_avg_sq")
            state = {part: checkpoint.tensors.get(f"{part}:{name}") for part in parts}
            if all(tensor is not None for tensor in state.values()):
                device = weight.device
                self._optimizer.state[weight] = {
                    part: tensor.clone() if part == "step" else tensor.to(device)  # type: ignore[union-attr]
                    for part, tensor in state.items()
                }
        torch.set_rng_state(checkpoint.tensors["random:cpu"])
        if "random:cuda" in checkpoint.tensors and torch.cuda.is_available():
            torch.cuda.set_rng_state(checkpoint.tensors["random:cuda"])
        return True

    def run(self) -> bool:
        """Train until the end, or until ``stopping`` is set; returns whether it has ended. The
        weights are then those of the best check."""
        if not self.history.checks:
            self._check()
        while not self.history.ended and not self.stopping:
            began = time.monotonic()
            self._step()
            self.history.seconds += time.monotonic() - began
            self._check_if_due()
            self._report()
            if not self.history.ended and self._save_is_due():
                self.save()
        self.save()
        if self.history.ended:
            self.model.load_weights(self._best)
        return bool(self.history.ended)

    # -- steps -------------------------------------------------------------------------------

    @property
    def share(self) -> float:
        """How much of the budget is used, in [0, 1]."""
        tokens, minutes = self.settings.tokens, self.settings.minutes
        shares = [self.history.tokens / tokens] if tokens else []
        shares += [self.history.seconds / (60 * minutes)] if minutes else []
        return min(1.0, max(shares))

    @property
    def rate(self) -> float:
        """The learning rate now: a linear rise, then half a cosine down to a tenth."""
        share, warmup = self.share, self.settings.warmup
        if share < warmup:
            return self.settings.rate * (LEAST_RATE + (1 - LEAST_RATE) * share / warmup)
        fall = math.cos(math.pi * (share - warmup) / (1 - warmup))
        return self.settings.rate * (LEAST_RATE + (1 - LEAST_RATE) / 2 * (1 + fall))

    def _step(self) -> None:
        """One step of the optimizer."""
        import torch

        batch = self._batch()
        total = sum(sample.target_count for sample in batch)
        processes, index = self.model.processes
        mine = batch[index::processes]
        for group in self._optimizer.param_groups:
            group["lr"] = self.rate
        loss_sum = 0.0
        for first in range(0, len(mine), self.model.rows):
            loss = self.model.loss(mine[first : first + self.model.rows])
            # Gradients of several processes are averaged.
            self.model.backward(loss / total * processes)
            loss_sum += float(loss.detach())
        if processes > 1:
            device = self.model.accelerator.device
            sums = self.model.accelerator.reduce(torch.tensor(loss_sum, device=device))
            loss_sum = float(sums)
        weights = list(self.model.weights.values())
        norm = torch.nn.utils.clip_grad_norm_(weights, MAX_GRADIENT)
        if not bool(torch.isfinite(norm)):
            raise ModelError(
                f"step {self.history.step}: the gradient is not finite; train with a lower "
                f"--learning-rate (now {self.settings.rate:g}), or in float32"
            )
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)
        self.history.step += 1
        self.history.tokens += sum(len(sample.ids) for sample in batch)
        self.history.losses.append((self.history.tokens, loss_sum / total))

    def _batch(self) -> list[EncodedSample]:
        """The samples of a step, as many for each process. Raises ModelError if no sample has a
        target in the window."""
        processes, _ = self.model.processes
        count = -(-self.settings.batch // processes) * processes
        batch: list[EncodedSample] = []
        for _ in range(MAX_EMPTY_BATCHES):
            batch += self.model.encode(self.stream.take(count - len(batch)))
            if len(batch) == count:
                return batch
        raise ModelError(
            f"no line to learn lies within the first {self.settings.window} tokens of the "
            "dialogues; give a larger --window"
        )

    # -- checks ------------------------------------------------------------------------------

    def _check_if_due(self) -> None:
        """Check at equal shares of the budget and at its end, and stop if it gets worse."""
        share = self.share
        due = int(share * self.settings.checks + 1e-9) > len(self.history.checks) - 1
        if due or share >= 1:
            self._check()
        if share >= 1:
            self.history.ended = "the budget is used"
        elif self.history.worse >= self.settings.patience:
            self.history.ended = f"no better in {self.history.worse} checks"

    def _check(self) -> None:
        began = time.monotonic()
        loss = mean_loss(self.model, self.check)
        history = self.history
        history.checks.append((history.tokens, loss))
        # Without a check part the loss is NaN, and the last weights are kept.
        if not loss >= history.best:
            history.best, history.best_tokens, history.worse = loss, history.tokens, 0
            self._best = {
                name: weight.detach().clone() for name, weight in self.model.weights.items()
            }
        else:
            history.worse += 1
        history.seconds += time.monotonic() - began
        self._report()

    def _report(self) -> None:
        if self.listener is None:
            return
        history = self.history
        self.listener(
            TrainingProgress(
                step=history.step,
                tokens=history.tokens,
                seconds=history.seconds,
                share=self.share,
                rate=self.rate,
                loss=history.recent_loss(),
                check=history.checks[-1][1] if history.checks else float("nan"),
                best=history.best,
            )
        )

    # -- checkpoints -------------------------------------------------------------------------

    def _save_is_due(self) -> bool:
        waited = time.monotonic() - self._saved_at
        return waited >= max(CHECKPOINT_SECONDS, self._save_seconds / CHECKPOINT_SHARE)

    def save(self) -> None:
        """Write a checkpoint; one process writes for all."""
        import torch

        if self.model.processes[1] == 0:
            began = time.monotonic()
            tensors: dict[str, Any] = {"random:cpu": torch.get_rng_state()}
            if torch.cuda.is_available():
                tensors["random:cuda"] = torch.cuda.get_rng_state()
            for name, weight in self.model.weights.items():
                tensors[f"weights:{name}"] = weight
                for part, value in self._optimizer.state.get(weight, {}).items():
                    tensors[f"{part}:{name}"] = value
            tensors |= {f"best:{name}": tensor for name, tensor in self._best.items()}
            values: dict[str, Json] = {
                "stream": self.stream.save(),
                "history": self.history.save(),
                "facts": self.facts,
            }
            write_checkpoint(self.folder, TrainingCheckpoint(tensors, values))
            self._save_seconds = time.monotonic() - began
        self._saved_at = time.monotonic()


def mean_loss(model: TrainableModel, samples: Sequence[EncodedSample]) -> float:
    """The loss of samples in nats a target token; NaN without samples."""
    total = sum(sample.target_count for sample in samples)
    if not total:
        return float("nan")
    with model.evaluation():
        sums = [
            float(model.loss(samples[first : first + model.rows], wrapped=False))
            for first in range(0, len(samples), model.rows)
        ]
    return sum(sums) / total
