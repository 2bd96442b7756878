"""Running models whose state cannot be shared or cut: recurrent layers, sliding windows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from .rows import Row
from .trie import Span


class PlainKeeper:
    """Each row alone, with the cache that the model itself makes. Nothing is shared."""

    whole = True

    def __init__(self, model: Any, device: torch.device) -> None:
        self._model = model
        self._device = device
        self._head = model.get_output_embeddings()

    def seat(self, row: Row, crowds: Mapping[int, int]) -> bool:
        """See Keeper."""
        row.state, row.done = None, 0
        return True

    def fits(self, row: Row, count: int) -> bool:
        """See Keeper."""
        return True

    def release(self, row: Row) -> None:
        """See Keeper."""
        row.state, row.done = None, 0

    def share(self, row: Row) -> None:
        """See Keeper: nothing is kept."""

    @torch.inference_mode()
    def run(self, pieces: Sequence[tuple[Row, int]]) -> Tensor:
        """See Keeper. After its first piece a row goes on token by token: not every cache
        takes several."""
        wanted = []
        for row, count in pieces:
            ids, want = row.ids[row.done : row.done + count], row.wants(count)
            steps = [ids] if row.done == 0 else [[token] for token in ids]
            state, outs = row.state, []
            for at, step in enumerate(steps):
                here = torch.tensor([step], device=self._device)
                out = self._model.base_model(
                    input_ids=here,
                    position_ids=torch.arange(len(step), device=self._device)[None] + row.done + at,
                    use_cache=True,
                    **({} if state is None else {self._name(state): state}),
                )
                state = getattr(out, "past_key_values", None) or getattr(out, "cache_params", None)
                outs.append(out.last_hidden_state[0])
            row.state = state
            wanted.append(torch.cat(outs)[count - want :])
        return torch.cat(wanted)

    def logits(self, hidden: Tensor) -> Tensor:
        """See Keeper."""
        found: Tensor = self._head(hidden).float()
        return found

    def known(self, ids: Sequence[int]) -> int:
        """See Keeper."""
        return 0

    def path(self, row: Row) -> list[Span]:
        """See Keeper."""
        return []

    def forget(self) -> None:
        """See Keeper."""

    def leaks(self, rows: Sequence[Row]) -> list[str]:
        """See Keeper."""
        return []

    def _name(self, state: Any) -> str:
        return "cache_params" if "Mamba" in type(state).__name__ else "past_key_values"
