"""The memory of the engine: slots of running rows, and the trie of shared beginnings.

Running models whose state cannot be shared or cut: recurrent layers, sliding windows.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from .attention import ForwardPass, TokenChunk
from .decoder import Decoder
from .kv_cache import CacheSlot, KVCache, PrefixCache, PrefixNode, slot_size
from .sequence import TokenSequence


class Backend(Protocol):
    """Runs rows and keeps what was computed of them. ``whole_prompts``: prompts cannot be cut."""

    whole_prompts: bool

    def allocate(self, row: TokenSequence, crowds: Mapping[int, int]) -> bool:
        """Make a place for a row, with whatever of it is known; False without room.
        ``crowds`` counts, by identity of the span, the rows that wait for it too."""
        ...

    def ensure_room(self, row: TokenSequence, count: int) -> bool:
        """Make sure of room for the next ``count`` tokens of a seated row."""
        ...

    def release(self, row: TokenSequence) -> None:
        """Forget a seated row."""
        ...

    def cache_prefix(self, row: TokenSequence) -> None:
        """Keep the row's beginning for others."""
        ...

    def run(self, pieces: Sequence[tuple[TokenSequence, int]]) -> Tensor:
        """Run the next tokens of some rows, without counting them as done; hidden states of
        those whose logits are wanted, (wanted, width), in the rows' order."""
        ...

    def logits(self, hidden: Tensor) -> Tensor:
        """Next-token logits, float32 of shape (rows, vocabulary)."""
        ...

    def cached_length(self, ids: Sequence[int]) -> int:
        """How many leading tokens are kept."""
        ...

    def cached_path(self, row: TokenSequence) -> list[PrefixNode]:
        """The kept spans that a row could begin with."""
        ...

    def clear_cache(self) -> None:
        """Let go of everything kept for others."""
        ...

    def find_leaks(self, rows: Sequence[TokenSequence]) -> list[str]:
        """What is held though none of ``rows``, the seated ones, uses it; empty when all is
        well."""
        ...


MIN_NODE_SHARERS = (
    8  # sequences from which on a span is attended to where it lies; fewer take copies
)


GENERATION_ROOM = 32  # tokens of room for what a row is about to write


MAX_UNCACHED_TOKENS = 128  # tokens; a longer row has a slot, so that it can be read in parts


MIN_SHARED_NODE_TOKENS = 32  # tokens; a shorter span is copied, not attended to where it lies


class PrefixCacheBackend:
    """Keeps at most ``limit`` tokens: the least recently used beginnings go first."""

    whole_prompts = False

    def __init__(self, trunk: Decoder, limit: int) -> None:
        self.decoder = trunk
        self.limit = limit
        self.kv_cache = KVCache(trunk.shape)
        self.prefix_cache = PrefixCache()

    @property
    def free(self) -> int:
        """Tokens for which there is room now."""
        return self.limit - self.kv_cache.allocated_tokens - self.prefix_cache.tokens

    def allocate(self, row: TokenSequence, crowds: Mapping[int, int]) -> bool:
        """See Keeper. Of what is known, spans that a crowd shares are attended to where they
        lie; the rest is copied into the row's slot, which is cheaper for a lone row. (Which
        of them comes first is of no account: the keys know their positions.)"""
        path = self.cached_path(row)
        worth = [row.single_pass or _is_shared(span, crowds) for span in path]
        visited = [span for span, here in zip(path, worth) if here]
        copied = [span for span, here in zip(path, worth) if not here]
        shared, held = (sum(map(len, spans)) for spans in (visited, copied))
        row.slot = None
        if copied or not row.single_pass or len(row.ids) - shared > MAX_UNCACHED_TOKENS:
            writes = row.logits_from == len(row.ids) - 1 and not row.single_pass
            length = len(row.ids) - shared + (GENERATION_ROOM if writes else 0)
            if not self._make_room(self.kv_cache.cost(length), beside=path):
                return False
            row.slot = self.kv_cache.allocate(length, self.free)
            at = 0
            for span in copied:
                self.kv_cache.write(row.slot, at, span.kv)
                at += len(span)
        for span in visited:
            span.users += 1
        row.prefix_nodes, row.prefix_kvs, row.prefix_tokens = (
            visited,
            tuple(span.kv for span in visited),
            shared,
        )
        row.computed = row.initial_computed = shared + held
        # Once, however often it is sent back; of a prompt, not of what was written behind it.
        row.reused = max(row.reused, min(row.computed, row.cacheable or row.computed))
        return True

    def ensure_room(self, row: TokenSequence, count: int) -> bool:
        """See Keeper."""
        if row.slot is None:
            return True
        held = row.computed - row.prefix_tokens
        if held + count <= row.slot.size:
            return True
        length = held + count + GENERATION_ROOM
        if not self._make_room(self.kv_cache.cost(length)):
            length = held + count
            if not self._make_room(self.kv_cache.cost(length)):
                return False
        row.slot = self.kv_cache.grow(row.slot, held, length, self.free)
        return True

    def release(self, row: TokenSequence) -> None:
        """See Keeper."""
        if row.slot is not None:
            self.kv_cache.free(row.slot)
        for span in row.prefix_nodes:
            span.users -= 1
        row.slot, row.prefix_nodes, row.prefix_kvs, row.prefix_tokens, row.computed = (
            None,
            [],
            (),
            0,
            0,
        )

    def cache_prefix(self, row: TokenSequence) -> None:
        """See Keeper. What does not fit is not kept."""
        slot = row.slot
        if slot is None or row.cacheable <= row.prefix_tokens:
            return
        ids = row.ids[: row.cacheable]
        self._make_room(
            row.cacheable - self.prefix_cache.match_length(ids), beside=self.prefix_cache.match(ids)
        )
        # Below its base a slot is in no order; what was evicted there in between stays away.
        known = self.prefix_cache.match_length(ids)
        if known < row.initial_computed or self.free < row.cacheable - known:
            return
        if not self._finite(slot, known - row.prefix_tokens, row.cacheable - row.prefix_tokens):
            return
        shared = row.prefix_tokens

        def read(start: int, end: int) -> Tensor:
            return self.kv_cache.read(slot, start - shared, end - shared)

        self.prefix_cache.insert(ids, read)

    def run(self, pieces: Sequence[tuple[TokenSequence, int]]) -> Tensor:
        """See Keeper."""
        made = [
            TokenChunk(
                row.ids[row.computed : row.computed + count],
                row.prefix_kvs,
                row.computed - row.prefix_tokens,
                row.slot,
                row.wanted_count(count),
            )
            for row, count in pieces
        ]
        return ForwardPass(made, self.kv_cache, self.decoder.shape).run(self.decoder)

    def logits(self, hidden: Tensor) -> Tensor:
        """See Keeper."""
        return self.decoder.logits(hidden)

    def cached_length(self, ids: Sequence[int]) -> int:
        """See Keeper."""
        return self.prefix_cache.match_length(ids)

    def cached_path(self, row: TokenSequence) -> list[PrefixNode]:
        """See Keeper."""
        return self.prefix_cache.match(row.ids[: row.logits_from])

    def clear_cache(self) -> None:
        """See Keeper."""
        self.prefix_cache.clear()
        self.kv_cache.shrink()

    def find_leaks(self, rows: Sequence[TokenSequence]) -> list[str]:
        """See Keeper."""
        found = []
        slots = [row.slot for row in rows if row.slot is not None]
        if self.kv_cache.used_slots != len(slots):
            found.append(f"{self.kv_cache.used_slots} slots are taken, {len(slots)} are used")
        if any(self.kv_cache.pool_of(slot).slots[slot.index] is not slot for slot in slots):
            found.append("a slot is not where it says")
        users: dict[int, int] = {}
        for row in rows:
            for span in row.prefix_nodes:
                users[id(span)] = users.get(id(span), 0) + 1
        for span in self.prefix_cache:
            if span.users != users.pop(id(span), 0):
                found.append(f"a span counts {span.users} users")
        if users:
            found.append(f"{len(users)} used spans are not in the trie")
        if self.prefix_cache.tokens != sum(map(len, self.prefix_cache)):
            found.append("the trie miscounts its tokens")
        if self.free < 0:
            found.append(f"{-self.free} tokens over the limit")
        return found

    def _finite(self, slot: CacheSlot, start: int, end: int) -> bool:
        """Whether tokens of a slot hold numbers; one that is none spreads to the last layer."""
        last = self.kv_cache.pool_of(slot).kv[-1, slot.index, :, start:end]
        return bool(torch.isfinite(last).all())

    def _make_room(self, tokens: int, beside: Sequence[PrefixNode] = ()) -> bool:
        """Make room for so many tokens by evicting what nobody uses, nor is ``beside`` it."""
        for span in beside:
            span.users += 1
        if self.free < tokens:
            self.prefix_cache.evict(tokens - self.free)
        if self.free < tokens:
            self.kv_cache.shrink()
        for span in beside:
            span.users -= 1
        return self.free >= tokens


def _is_shared(span: PrefixNode, crowds: Mapping[int, int]) -> bool:
    return (
        len(span) >= MIN_SHARED_NODE_TOKENS
        and span.users + crowds.get(id(span), 0) >= MIN_NODE_SHARERS
    )


def min_cache_tokens(window: int) -> int:
    """The smallest limit with which one row of a whole window always fits: while it moves
    to a larger slot it has two."""
    return 2 * slot_size(window + GENERATION_ROOM)


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
