"""Running models whose state cannot be shared or cut: recurrent layers, sliding windows."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from .rows import TokenSequence
from .trie import PrefixNode

CACHE_ARGUMENTS = (
    "past_key_values",
    "cache_params",
    "state",
)  # how models call what they go on from
STATE_ROOM = 32  # tokens of room for what a row is about to write


class EagerBackend:
    """Each row alone, by the whole model, with the cache that the model itself makes; nothing
    is shared. What is handed on as hidden states are the logits themselves.

    ``limit``: bytes of all states together. Where a model does not go on from a state as it
    should (some keep it to themselves), every step reads the whole text again.
    """

    whole_prompts = True

    def __init__(self, model: Any, device: torch.device) -> None:
        self._model = model
        self._device = device
        takes = inspect.signature(model.forward).parameters
        self._forward_arguments = {name for name in ("use_cache", "position_ids") if name in takes}
        self._limits_logits = "logits_to_keep" in takes
        self._cache: str | None = next((name for name in CACHE_ARGUMENTS if name in takes), None)
        self._fixed_bytes, self._bytes_per_token = 0.0, 0.0
        self._reserved: dict[int, int] = {}
        self.limit = 0

    @property
    def reuses_state(self) -> bool:
        """Whether a row's next token is computed from the state behind its last."""
        return self._cache is not None

    def state_bytes(self, tokens: int) -> int:
        """Bytes of a state after so many tokens, or somewhat fewer."""
        return int(self._fixed_bytes + self._bytes_per_token * tokens)

    @torch.inference_mode()
    def probe(self, ids: Sequence[int], wanted: Tensor, tolerance: float) -> None:
        """Find out whether the model goes on from its states, also with another sequence in
        between, and how large they are: ``wanted`` (vocabulary,) are the logits behind ``ids``
        (12), and ``tolerance`` how far the distributions may be apart (total variation)."""
        try:
            half, state = self._forward(ids[:6], 0, None, 1)
            first = _tensor_bytes(state)
            self._forward(ids[3:9], 0, None, 1)
            for at in range(6, len(ids)):
                half, state = self._forward(ids[at : at + 1], at, state, 1)
            apart = float((half[-1].softmax(0) - wanted.softmax(0)).abs().sum() / 2)
        except (RuntimeError, ValueError, TypeError, AttributeError, IndexError):
            apart = float("inf")
        if apart <= tolerance:
            self._bytes_per_token = (_tensor_bytes(state) - first) / (len(ids) - 6)
            self._fixed_bytes = max(0.0, first - 6 * self._bytes_per_token)
        else:
            self._cache = None

    def allocate(self, row: TokenSequence, crowds: Mapping[int, int]) -> bool:
        """See Keeper."""
        row.state, row.computed = None, 0
        return self._reserve(row, len(row.ids) + STATE_ROOM)

    def ensure_room(self, row: TokenSequence, count: int) -> bool:
        """See Keeper."""
        return self._reserve(row, max(len(row.ids), row.computed + count))

    def release(self, row: TokenSequence) -> None:
        """See Keeper."""
        row.state, row.computed = None, 0
        self._reserved.pop(id(row), None)

    def cache_prefix(self, row: TokenSequence) -> None:
        """See Keeper: nothing is kept."""

    @torch.inference_mode()
    def run(self, pieces: Sequence[tuple[TokenSequence, int]]) -> Tensor:
        """See Keeper. After its first piece a row goes on token by token: not every cache
        takes several."""
        wanted = []
        for row, count in pieces:
            end, want = row.computed + count, row.wanted_count(count)
            if self._cache is None or row.computed == 0:
                logits, row.state = self._forward(row.ids[:end], 0, None, want)
                wanted.append(logits)
                continue
            for at in range(row.computed, end):
                logits, row.state = self._forward(row.ids[at : at + 1], at, row.state, 1)
                if at >= end - want:
                    wanted.append(logits)
        return torch.cat(wanted)

    def logits(self, hidden: Tensor) -> Tensor:
        """See Keeper; for the caller to change."""
        return hidden.clone()

    def cached_length(self, ids: Sequence[int]) -> int:
        """See Keeper."""
        return 0

    def cached_path(self, row: TokenSequence) -> list[PrefixNode]:
        """See Keeper."""
        return []

    def clear_cache(self) -> None:
        """See Keeper."""

    def find_leaks(self, rows: Sequence[TokenSequence]) -> list[str]:
        """See Keeper."""
        if set(self._reserved) != {id(row) for row in rows}:
            return [f"{len(self._reserved)} states are held, {len(rows)} are used"]
        return []

    def _reserve(self, row: TokenSequence, tokens: int) -> bool:
        """Reserve room for a row's state; one row alone always has it."""
        others = sum(size for key, size in self._reserved.items() if key != id(row))
        size = self.state_bytes(tokens)
        if others and self.limit and others + size > self.limit:
            return False
        self._reserved[id(row)] = max(size, self._reserved.get(id(row), 0))
        return True

    def _forward(self, ids: Sequence[int], at: int, state: Any, want: int) -> tuple[Tensor, Any]:
        """Logits (want, vocabulary) behind the last of ``ids``, which begin at position ``at``,
        and the state after them."""
        more: dict[str, Any] = {} if state is None else {str(self._cache): state}
        if "use_cache" in self._forward_arguments:
            more["use_cache"] = self._cache is not None
        if "position_ids" in self._forward_arguments:
            more["position_ids"] = torch.arange(at, at + len(ids), device=self._device)[None]
        if self._limits_logits:
            more["logits_to_keep"] = max(1, want)
        out = self._model(input_ids=torch.tensor([list(ids)], device=self._device), **more)
        logits: Tensor = out.logits[0].float()
        return logits[len(logits) - want :], getattr(out, self._cache or "", None)


def _tensor_bytes(state: Any) -> int:
    """Memory of all tensors in a state."""
    if isinstance(state, Tensor):
        return state.nbytes
    if isinstance(state, Mapping):
        return sum(map(_tensor_bytes, state.values()))
    if isinstance(state, (list, tuple)):
        return sum(map(_tensor_bytes, state))
    return _tensor_bytes(vars(state)) if hasattr(state, "__dict__") else 0
