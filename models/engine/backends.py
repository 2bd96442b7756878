"""Backends: run token sequences and keep what was computed of them.

`PrefixCacheBackend` batches sequences over a shared KV cache with a prefix cache.
`EagerBackend` runs each sequence alone with the model's own cache: recurrent layers, sliding
windows, and anything else whose state cannot be cut or shared.
"""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from ..files import Adapter
from .attention import ForwardPass, TokenChunk
from .decoder import Decoder
from .kv_cache import SHARED, CacheScope, CacheSlot, KVCache, PrefixCache, PrefixNode, slot_size
from .lora import LoraHooks, row_groups
from .request import TokenSequence

MIN_NODE_SHARERS = 8  # sequences from which on a prefix node is read in place, not copied
MIN_SHARED_NODE_TOKENS = 32  # tokens; a shorter prefix node is always copied
MAX_UNCACHED_TOKENS = 128  # tokens; a longer sequence has a slot, so that it can run in chunks
GENERATION_ROOM = 32  # tokens reserved behind a sequence for what it generates
CACHE_ARGUMENTS = ("past_key_values", "cache_params", "state")  # names of a model's own cache


class Backend(ABC):
    """Runs sequences and keeps what was computed of them.

    ``whole_prompts``: a prompt cannot be computed in chunks. The methods of the prefix cache do
    nothing in a backend without one.
    """

    whole_prompts: bool

    @abstractmethod
    def allocate(self, sequence: TokenSequence, sharers: Mapping[int, int]) -> bool:
        """Reserve memory for a sequence and use what the cache has of it; False without room.

        ``sharers`` counts the waiting sequences of each prefix node, by ``id(node)``.
        """

    @abstractmethod
    def ensure_room(self, sequence: TokenSequence, count: int) -> bool:
        """Reserve memory for ``count`` more tokens of a running sequence; False without room."""

    @abstractmethod
    def release(self, sequence: TokenSequence) -> None:
        """Free the memory of a running sequence."""

    @abstractmethod
    def run(self, batch: Sequence[tuple[TokenSequence, int]]) -> Tensor:
        """Run the next tokens of some sequences, without counting them as computed.

        Returns the hidden states whose logits are wanted, shape (wanted, width), in order of the
        batch.
        """

    @abstractmethod
    def logits(self, hidden: Tensor) -> Tensor:
        """Next-token logits, float32 of shape (rows, vocabulary); the caller may change them."""

    @abstractmethod
    def find_leaks(self, running: Sequence[TokenSequence]) -> list[str]:
        """Memory that no running sequence uses, described; empty if there is none."""

    def cache_prefix(self, sequence: TokenSequence) -> None:  # noqa: B027  optional
        """Put the first ``cacheable`` tokens of a sequence into the prefix cache."""

    @abstractmethod
    def add_adapter(self, adapter: Adapter) -> None:
        """Make an adapter available to sequences, which name it by its digest."""

    def cached_length(self, ids: Sequence[int], scope: CacheScope = SHARED) -> int:
        """How many leading tokens the prefix cache holds for sequences of a scope."""
        return 0

    def cached_path(self, sequence: TokenSequence) -> list[PrefixNode]:
        """The nodes of the prefix cache that the sequence begins with."""
        return []

    def clear_cache(self) -> None:  # noqa: B027  optional
        """Empty the prefix cache, except for what running sequences use."""


class PrefixCacheBackend(Backend):
    """Batches sequences over one KV cache, of at most ``limit`` tokens with the prefix cache.

    When it is full, the least recently used prefixes are evicted.
    """

    whole_prompts = False

    def __init__(self, decoder: Decoder, limit: int) -> None:
        self.decoder = decoder
        self.limit = limit
        self.kv_cache = KVCache(decoder.shape)
        self.prefix_cache = PrefixCache()

    @property
    def free(self) -> int:
        """Number of tokens for which there is room."""
        return self.limit - self.kv_cache.allocated_tokens - self.prefix_cache.tokens

    def allocate(self, sequence: TokenSequence, sharers: Mapping[int, int]) -> bool:
        """Reserve a slot for a sequence; False without room.

        Cached nodes that many sequences share are read in place. The rest is copied into the
        slot, which is faster for a single sequence. The order of both does not matter, since
        keys are rotated by position.
        """
        path = self.cached_path(sequence)
        in_place = [sequence.single_pass or _is_shared(node, sharers) for node in path]
        read = [node for node, shared in zip(path, in_place) if shared]
        copied = [node for node, shared in zip(path, in_place) if not shared]
        read_tokens, copied_tokens = (sum(map(len, nodes)) for nodes in (read, copied))
        sequence.slot = None
        own_tokens = len(sequence.ids) - read_tokens
        if copied or not sequence.single_pass or own_tokens > MAX_UNCACHED_TOKENS:
            generates = sequence.logits_from == len(sequence.ids) - 1 and not sequence.single_pass
            length = own_tokens + (GENERATION_ROOM if generates else 0)
            if not self._make_room(self.kv_cache.cost(length), keep=path):
                return False
            sequence.slot = self.kv_cache.allocate(length, self.free)
            start = 0
            for node in copied:
                self.kv_cache.write(sequence.slot, start, node.kv)
                start += len(node)
        for node in read:
            node.users += 1
        sequence.prefix_nodes, sequence.prefix_tokens = read, read_tokens
        sequence.prefix_kvs = tuple(node.kv for node in read)
        sequence.computed = sequence.initial_computed = read_tokens + copied_tokens
        # Once, however often it is preempted; of a prompt, not of the tokens generated after it.
        reused = min(sequence.computed, sequence.cacheable or sequence.computed)
        sequence.reused = max(sequence.reused, reused)
        return True

    def ensure_room(self, sequence: TokenSequence, count: int) -> bool:
        """Move a sequence into a larger slot if its next tokens do not fit; False without room."""
        if sequence.slot is None:
            return True
        used = sequence.computed - sequence.prefix_tokens
        if used + count <= sequence.slot.size:
            return True
        length = used + count + GENERATION_ROOM
        if not self._make_room(self.kv_cache.cost(length)):
            length = used + count
            if not self._make_room(self.kv_cache.cost(length)):
                return False
        sequence.slot = self.kv_cache.grow(sequence.slot, used, length, self.free)
        return True

    def release(self, sequence: TokenSequence) -> None:
        if sequence.slot is not None:
            self.kv_cache.free(sequence.slot)
        for node in sequence.prefix_nodes:
            node.users -= 1
        sequence.slot, sequence.prefix_nodes, sequence.prefix_kvs = None, [], ()
        sequence.prefix_tokens, sequence.computed = 0, 0

    def cache_prefix(self, sequence: TokenSequence) -> None:
        """Copy the prefix of a sequence into the prefix cache, if there is room."""
        slot, shared = sequence.slot, sequence.prefix_tokens
        if slot is None or sequence.cacheable <= shared:
            return
        ids = sequence.ids[: sequence.cacheable]
        scope = sequence.scope
        missing = sequence.cacheable - self.prefix_cache.match_length(ids, scope)
        self._make_room(missing, keep=self.prefix_cache.match(ids, scope))
        # The slot has the initially computed tokens in no order: those evicted stay so.
        known = self.prefix_cache.match_length(ids, scope)
        if known < sequence.initial_computed or self.free < sequence.cacheable - known:
            return
        if not self._is_finite(slot, known - shared, sequence.cacheable - shared):
            return

        def read(start: int, end: int) -> Tensor:
            return self.kv_cache.read(slot, start - shared, end - shared)

        self.prefix_cache.insert(ids, read, scope)

    def run(self, batch: Sequence[tuple[TokenSequence, int]]) -> Tensor:
        chunks = [
            TokenChunk(
                sequence.ids[sequence.computed : sequence.computed + count],
                sequence.prefix_kvs,
                sequence.computed - sequence.prefix_tokens,
                sequence.slot,
                sequence.wanted_count(count),
                sequence.adapter,
            )
            for sequence, count in batch
        ]
        return ForwardPass(chunks, self.kv_cache, self.decoder.shape).run(self.decoder)

    def logits(self, hidden: Tensor) -> Tensor:
        return self.decoder.logits(hidden)

    def add_adapter(self, adapter: Adapter) -> None:
        self.decoder.add_adapter(adapter)

    def cached_length(self, ids: Sequence[int], scope: CacheScope = SHARED) -> int:
        return self.prefix_cache.match_length(ids, scope)

    def cached_path(self, sequence: TokenSequence) -> list[PrefixNode]:
        return self.prefix_cache.match(sequence.ids[: sequence.logits_from], sequence.scope)

    def clear_cache(self) -> None:
        self.prefix_cache.clear()
        self.kv_cache.shrink()

    def find_leaks(self, running: Sequence[TokenSequence]) -> list[str]:
        problems = []
        slots = [sequence.slot for sequence in running if sequence.slot is not None]
        if self.kv_cache.used_slots != len(slots):
            problems.append(f"{self.kv_cache.used_slots} slots are taken, {len(slots)} are used")
        if any(self.kv_cache.pool_of(slot).slots[slot.index] is not slot for slot in slots):
            problems.append("a slot has another index than its pool says")
        users: dict[int, int] = {}
        for sequence in running:
            for node in sequence.prefix_nodes:
                users[id(node)] = users.get(id(node), 0) + 1
        for node in self.prefix_cache:
            if node.users != users.pop(id(node), 0):
                problems.append(f"a prefix node counts {node.users} users")
        if users:
            problems.append(f"{len(users)} used nodes are not in the prefix cache")
        if self.prefix_cache.tokens != sum(map(len, self.prefix_cache)):
            problems.append("the prefix cache miscounts its tokens")
        if self.free < 0:
            problems.append(f"{-self.free} tokens over the limit")
        return problems

    def _is_finite(self, slot: CacheSlot, start: int, end: int) -> bool:
        """Whether tokens of a slot are finite; a NaN in any layer spreads to the last one."""
        last = self.kv_cache.pool_of(slot).kv[-1, slot.index, :, start:end]
        return bool(torch.isfinite(last).all())

    def _make_room(self, tokens: int, keep: Sequence[PrefixNode] = ()) -> bool:
        """Evict unused prefixes, but for ``keep``, until ``tokens`` fit; False if they do not."""
        for node in keep:
            node.users += 1
        if self.free < tokens:
            self.prefix_cache.evict(tokens - self.free)
        if self.free < tokens:
            self.kv_cache.shrink()
        for node in keep:
            node.users -= 1
        return self.free >= tokens


def _is_shared(node: PrefixNode, sharers: Mapping[int, int]) -> bool:
    count = node.users + sharers.get(id(node), 0)
    return len(node) >= MIN_SHARED_NODE_TOKENS and count >= MIN_NODE_SHARERS


def min_cache_tokens(window: int) -> int:
    """The smallest limit, in tokens, with which one sequence of a whole window always fits:
    while it moves to a larger slot it has two."""
    return 2 * slot_size(window + GENERATION_ROOM)


class EagerBackend(Backend):
    """Runs each sequence alone with the model's own cache; nothing is shared.

    It returns logits in place of hidden states. ``limit``: bytes of all states together; 0 is
    unlimited. Where a model does not continue correctly from its state, every step computes the
    whole sequence again.
    """

    whole_prompts = True

    def __init__(self, model: Any, device: torch.device) -> None:
        self._model = model
        self._device = device
        self._lora = LoraHooks(model, next(model.parameters()).dtype, device)
        accepted = inspect.signature(model.forward).parameters
        names = ("use_cache", "position_ids")
        self._forward_arguments = {name for name in names if name in accepted}
        self._limits_logits = "logits_to_keep" in accepted
        self._cache: str | None = next((n for n in CACHE_ARGUMENTS if n in accepted), None)
        self._fixed_bytes, self._bytes_per_token = 0.0, 0.0
        self._reserved: dict[int, int] = {}
        self.limit = 0

    @property
    def reuses_state(self) -> bool:
        """Whether the next token is computed from the state of the tokens before it."""
        return self._cache is not None

    def state_bytes(self, tokens: int) -> int:
        """Estimated bytes of the state after so many tokens."""
        return int(self._fixed_bytes + self._bytes_per_token * tokens)

    @torch.inference_mode()
    def probe(self, ids: Sequence[int], wanted: Tensor, tolerance: float) -> None:
        """Measure the state's size and whether the model continues correctly from it.

        Another sequence runs in between. ``wanted`` (vocabulary,) are the logits behind ``ids``
        (12 tokens); ``tolerance`` is the largest total variation distance of the distributions.
        """
        try:
            logits, state = self._forward(ids[:6], 0, None, 1)
            first = _tensor_bytes(state)
            self._forward(ids[3:9], 0, None, 1)
            for position in range(6, len(ids)):
                token = ids[position : position + 1]
                logits, state = self._forward(token, position, state, 1)
            distance = float((logits[-1].softmax(0) - wanted.softmax(0)).abs().sum() / 2)
        except (RuntimeError, ValueError, TypeError, AttributeError, IndexError):
            distance = float("inf")
        if distance <= tolerance:
            self._bytes_per_token = (_tensor_bytes(state) - first) / (len(ids) - 6)
            self._fixed_bytes = max(0.0, first - 6 * self._bytes_per_token)
        else:
            self._cache = None

    def allocate(self, sequence: TokenSequence, sharers: Mapping[int, int]) -> bool:
        sequence.state, sequence.computed = None, 0
        return self._reserve(sequence, len(sequence.ids) + GENERATION_ROOM)

    def ensure_room(self, sequence: TokenSequence, count: int) -> bool:
        return self._reserve(sequence, max(len(sequence.ids), sequence.computed + count))

    def release(self, sequence: TokenSequence) -> None:
        sequence.state, sequence.computed = None, 0
        self._reserved.pop(id(sequence), None)

    @torch.inference_mode()
    def run(self, batch: Sequence[tuple[TokenSequence, int]]) -> Tensor:
        """Run the sequences one after the other; logits (wanted, vocabulary).

        After its prompt a sequence continues token by token: not every cache takes several.
        """
        outputs = []
        for sequence, count in batch:
            end, wanted = sequence.computed + count, sequence.wanted_count(count)
            adapter = sequence.adapter
            if self._cache is None or sequence.computed == 0:
                ids = sequence.ids[:end]
                logits, sequence.state = self._forward(ids, 0, None, wanted, adapter)
                outputs.append(logits)
                continue
            for position in range(sequence.computed, end):
                token = sequence.ids[position : position + 1]
                logits, sequence.state = self._forward(token, position, sequence.state, 1, adapter)
                if position >= end - wanted:
                    outputs.append(logits)
        return torch.cat(outputs)

    def logits(self, hidden: Tensor) -> Tensor:
        return hidden.clone()

    def add_adapter(self, adapter: Adapter) -> None:
        self._lora.add_adapter(adapter)

    def find_leaks(self, running: Sequence[TokenSequence]) -> list[str]:
        if set(self._reserved) != {id(sequence) for sequence in running}:
            return [f"{len(self._reserved)} states are held, {len(running)} are used"]
        return []

    def _reserve(self, sequence: TokenSequence, tokens: int) -> bool:
        """Reserve memory for a state of so many tokens; a sequence alone always gets it."""
        others = sum(size for key, size in self._reserved.items() if key != id(sequence))
        size = self.state_bytes(tokens)
        if others and self.limit and others + size > self.limit:
            return False
        self._reserved[id(sequence)] = max(size, self._reserved.get(id(sequence), 0))
        return True

    def _forward(
        self, ids: Sequence[int], position: int, state: Any, wanted: int, adapter: str = ""
    ) -> tuple[Tensor, Any]:
        """Logits (wanted, vocabulary) behind the last of ``ids``, which begin at ``position``,
        and the state after them."""
        self._lora.set_rows(len(ids), row_groups([(adapter, len(ids))]))
        arguments: dict[str, Any] = {} if state is None else {str(self._cache): state}
        if "use_cache" in self._forward_arguments:
            arguments["use_cache"] = self._cache is not None
        if "position_ids" in self._forward_arguments:
            positions = torch.arange(position, position + len(ids), device=self._device)
            arguments["position_ids"] = positions[None]
        if self._limits_logits:
            arguments["logits_to_keep"] = max(1, wanted)
        output = self._model(input_ids=torch.tensor([list(ids)], device=self._device), **arguments)
        logits: Tensor = output.logits[0].float()
        return logits[len(logits) - wanted :], getattr(output, self._cache or "", None)


def _tensor_bytes(state: Any) -> int:
    if isinstance(state, Tensor):
        return state.nbytes
    if isinstance(state, Mapping):
        return sum(map(_tensor_bytes, state.values()))
    if isinstance(state, (list, tuple)):
        return sum(map(_tensor_bytes, state))
    return _tensor_bytes(vars(state)) if hasattr(state, "__dict__") else 0
