"""Running models whose state cannot be shared or cut: recurrent layers, sliding windows."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from .rows import Row
from .trie import Span

CACHES = ("past_key_values", "cache_params", "state")  # how models call what they go on from
GROWTH = 32  # tokens of room for what a row is about to write


class PlainKeeper:
    """Each row alone, by the whole model, with the cache that the model itself makes; nothing
    is shared. What is handed on as hidden states are the logits themselves.

    ``limit``: bytes of all states together. Where a model does not go on from a state as it
    should (some keep it to themselves), every step reads the whole text again.
    """

    whole = True

    def __init__(self, model: Any, device: torch.device) -> None:
        self._model = model
        self._device = device
        takes = inspect.signature(model.forward).parameters
        self._takes = {name for name in ("use_cache", "position_ids") if name in takes}
        self._cuts = "logits_to_keep" in takes
        self._cache: str | None = next((name for name in CACHES if name in takes), None)
        self._fixed, self._each = 0.0, 0.0
        self._held: dict[int, int] = {}
        self.limit = 0

    @property
    def goes_on(self) -> bool:
        """Whether a row's next token is computed from the state behind its last."""
        return self._cache is not None

    def size(self, tokens: int) -> int:
        """Bytes of a state after so many tokens, or somewhat fewer."""
        return int(self._fixed + self._each * tokens)

    @torch.inference_mode()
    def probe(self, ids: Sequence[int], wanted: Tensor, tolerance: float) -> None:
        """Find out whether the model goes on from its states, also with another sequence in
        between, and how large they are: ``wanted`` (vocabulary,) are the logits behind ``ids``
        (12), and ``tolerance`` how far the distributions may be apart (total variation)."""
        try:
            half, state = self._pass(ids[:6], 0, None, 1)
            first = _bytes(state)
            self._pass(ids[3:9], 0, None, 1)
            for at in range(6, len(ids)):
                half, state = self._pass(ids[at : at + 1], at, state, 1)
            apart = float((half[-1].softmax(0) - wanted.softmax(0)).abs().sum() / 2)
        except (RuntimeError, ValueError, TypeError, AttributeError, IndexError):
            apart = float("inf")
        if apart <= tolerance:
            self._each = (_bytes(state) - first) / (len(ids) - 6)
            self._fixed = max(0.0, first - 6 * self._each)
        else:
            self._cache = None

    def seat(self, row: Row, crowds: Mapping[int, int]) -> bool:
        """See Keeper."""
        row.state, row.done = None, 0
        return self._hold(row, len(row.ids) + GROWTH)

    def fits(self, row: Row, count: int) -> bool:
        """See Keeper."""
        return self._hold(row, max(len(row.ids), row.done + count))

    def release(self, row: Row) -> None:
        """See Keeper."""
        row.state, row.done = None, 0
        self._held.pop(id(row), None)

    def share(self, row: Row) -> None:
        """See Keeper: nothing is kept."""

    @torch.inference_mode()
    def run(self, pieces: Sequence[tuple[Row, int]]) -> Tensor:
        """See Keeper. After its first piece a row goes on token by token: not every cache
        takes several."""
        wanted = []
        for row, count in pieces:
            end, want = row.done + count, row.wants(count)
            if self._cache is None or row.done == 0:
                logits, row.state = self._pass(row.ids[:end], 0, None, want)
                wanted.append(logits)
                continue
            for at in range(row.done, end):
                logits, row.state = self._pass(row.ids[at : at + 1], at, row.state, 1)
                if at >= end - want:
                    wanted.append(logits)
        return torch.cat(wanted)

    def logits(self, hidden: Tensor) -> Tensor:
        """See Keeper; for the caller to change."""
        return hidden.clone()

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
        if set(self._held) != {id(row) for row in rows}:
            return [f"{len(self._held)} states are held, {len(rows)} are used"]
        return []

    def _hold(self, row: Row, tokens: int) -> bool:
        """Reserve room for a row's state; one row alone always has it."""
        others = sum(size for key, size in self._held.items() if key != id(row))
        size = self.size(tokens)
        if others and self.limit and others + size > self.limit:
            return False
        self._held[id(row)] = max(size, self._held.get(id(row), 0))
        return True

    def _pass(self, ids: Sequence[int], at: int, state: Any, want: int) -> tuple[Tensor, Any]:
        """Logits (want, vocabulary) behind the last of ``ids``, which begin at position ``at``,
        and the state after them."""
        more: dict[str, Any] = {} if state is None else {str(self._cache): state}
        if "use_cache" in self._takes:
            more["use_cache"] = self._cache is not None
        if "position_ids" in self._takes:
            more["position_ids"] = torch.arange(at, at + len(ids), device=self._device)[None]
        if self._cuts:
            more["logits_to_keep"] = max(1, want)
        out = self._model(input_ids=torch.tensor([list(ids)], device=self._device), **more)
        logits: Tensor = out.logits[0].float()
        return logits[len(logits) - want :], getattr(out, self._cache or "", None)


def _bytes(state: Any) -> int:
    """Memory of all tensors in a state."""
    if isinstance(state, Tensor):
        return state.nbytes
    if isinstance(state, Mapping):
        return sum(map(_bytes, state.values()))
    if isinstance(state, (list, tuple)):
        return sum(map(_bytes, state))
    return _bytes(vars(state)) if hasattr(state, "__dict__") else 0
