"""Samples as token ids, and batches of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..samples import Sample

if TYPE_CHECKING:
    from ...models.engine import PromptBuilder


@dataclass(frozen=True, slots=True)
class EncodedSample:
    """Token ids of a chat. ``targets``: for each token whether the loss is of it: the tokens of
    the speaker's own lines, and the token that ends each line."""

    ids: tuple[int, ...]
    targets: tuple[bool, ...]

    @property
    def target_count(self) -> int:
        """The number of tokens that the loss is of."""
        return sum(self.targets)


def encode_sample(sample: Sample, builder: PromptBuilder, window: int) -> EncodedSample:
    """A sample in the model's chat template, its first ``window`` tokens."""
    roles = tuple(message.role for message in sample.messages)
    ids: list[int] = []
    targets: list[bool] = []
    ends_target = False
    for piece in builder.template.frame(roles, False):
        if isinstance(piece, int):
            tokens = builder.text_ids(sample.messages[piece].text)
            ends_target = piece in sample.targets
            targets += [ends_target] * len(tokens)
        else:
            tokens = piece
            targets += [ends_target and place == 0 for place in range(len(tokens))]
            ends_target = False
        ids += tokens
    # The first token is predicted from nothing.
    targets[:1] = [False]
    return EncodedSample(tuple(ids[:window]), tuple(targets[:window]))


def padded_batch(samples: Sequence[EncodedSample], device: Any) -> tuple[Any, Any, Any]:
    """Ids, attention mask and targets as tensors of shape (samples, longest), padded at the right
    with id 0."""
    import torch

    longest = max(len(sample.ids) for sample in samples)
    shape = (len(samples), longest)
    ids = torch.zeros(shape, dtype=torch.long)
    mask = torch.zeros(shape, dtype=torch.long)
    targets = torch.zeros(shape, dtype=torch.bool)
    for row, sample in enumerate(samples):
        ids[row, : len(sample.ids)] = torch.tensor(sample.ids)
        mask[row, : len(sample.ids)] = 1
        targets[row, : len(sample.ids)] = torch.tensor(sample.targets)
    return ids.to(device), mask.to(device), targets.to(device)
