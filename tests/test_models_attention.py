"""A pass over pieces of many sequences gives each the logits of a plain forward pass."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch
from denizens.models.engine import make_backend
from denizens.models.engine.attention import ForwardPass, TokenChunk
from denizens.models.engine.backends import PrefixCacheBackend
from denizens.models.engine.decoder import Decoder, FusedDecoder, TransformersDecoder
from denizens.models.engine.kv_cache import CacheSlot, KVCache
from denizens.tests.support.tiny_models import TOLERANCE, WINDOW, load_transformers, write
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

KINDS = {
    "llama": FusedDecoder,
    "qwen2": FusedDecoder,
    "qwen3": FusedDecoder,
    "gpt_neox": TransformersDecoder,
    "phi3": TransformersDecoder,
}
VOCABULARY = 290


@dataclass
class Both:
    """A trunk, and the module that says what it must give."""

    trunk: Decoder
    module: Any
    known: dict[tuple[int, ...], Tensor] = field(default_factory=dict)

    def wanted(self, ids: list[int]) -> Tensor:
        key = tuple(ids)
        if key not in self.known:
            with torch.no_grad():
                self.known[key] = self.module(torch.tensor([ids]), use_cache=False).logits[0]
        return self.known[key]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Both]:
    """A trunk and a plain module of each kind."""
    folder: Path = write(tmp_path_factory.mktemp("tiny"), *KINDS)
    found = {}
    for kind, trunk in KINDS.items():
        keeper = make_backend(kind, load_transformers(folder, kind), torch.device("cpu"), WINDOW)
        assert isinstance(keeper, PrefixCacheBackend)
        assert type(keeper.decoder) is trunk
        found[kind] = Both(keeper.decoder, load_transformers(folder, kind))
    return found


@dataclass
class Sequence:
    """One sequence on its way: its ids, the spans it attends to, its slot."""

    ids: list[int]
    kvs: tuple[Tensor, ...]
    shared: int
    done: int
    slot: CacheSlot | None
    left: list[int]


@dataclass
class Scene:
    """Random sequences over shared beginnings, run in random mixes of pieces."""

    both: Both
    random: Random
    slots: KVCache
    kinds: set[str] = field(default_factory=set)

    def numbers(self, count: int) -> list[int]:
        return [self.random.randrange(VOCABULARY) for _ in range(count)]

    def chain(self) -> tuple[list[int], list[Tensor]]:
        """A beginning of one to three spans, and their keys."""
        lengths = [self.random.choice([1, 16, 33, 70]) for _ in range(self.random.randint(1, 3))]
        ids = self.numbers(sum(lengths))
        slot = self.slots.allocate(len(ids), 1 << 20)
        ForwardPass([TokenChunk(ids, (), 0, slot, 0)], self.slots, self.both.trunk.shape).run(
            self.both.trunk
        )
        spans, at = [], 0
        for length in lengths:
            spans.append(self.slots.read(slot, at, at + length))
            at += length
        self.slots.free(slot)
        return ids, spans

    def sequence(self, ids: list[int], spans: list[Tensor], own: int) -> Sequence:
        """One that begins with some spans, attends to some of them and copies the rest."""
        random = self.random
        count = random.randint(0, len(spans))
        length = sum(kv.shape[2] for kv in spans[:count])
        lone = random.random() < 0.2
        visited = [kv for kv in spans[:count] if lone or random.random() < 0.7]
        copied = [kv for kv in spans[:count] if not any(kv is one for one in visited)]
        slot = None
        if not lone:
            slot = self.slots.allocate(length + own, 1 << 20)
            at = 0
            for kv in copied:
                self.slots.write(slot, at, kv)
                at += kv.shape[2]
        left = []
        while own:
            part = own if lone else min(own, random.choice([1, 1, 1, 2, 5, 30, 100]))
            left.append(part)
            own -= part
        shared = sum(kv.shape[2] for kv in visited)
        return Sequence(
            ids[:length] + self.numbers(sum(left)), tuple(visited), shared, length, slot, left
        )

    def run(self, rows: list[Sequence]) -> float:
        """One pass over the next piece of each row; the largest difference of a logit."""
        pieces = []
        for row in rows:
            count = row.left[0]
            piece = TokenChunk(
                row.ids[row.done : row.done + count],
                row.kvs,
                row.done - row.shared,
                row.slot,
                self.random.choice([count, 1, 0, min(3, count)]),
            )
            assert piece.start == row.done
            pieces.append(piece)
        made = ForwardPass(pieces, self.slots, self.both.trunk.shape)
        self.kinds |= {type(job).__name__ for job in [*made._kernels, *made._prefix_kernels]}
        logits = self.both.trunk.logits(made.run(self.both.trunk))
        assert len(logits) == sum(piece.wanted for piece in pieces)
        worst, at = 0.0, 0
        for row, piece in zip(rows, pieces):
            row.done += row.left.pop(0)
            own = logits[at : at + piece.wanted]
            wanted = self.both.wanted(row.ids)[row.done - piece.wanted : row.done]
            if piece.wanted:
                worst = max(worst, float((own - wanted).abs().max()))
            at += piece.wanted
        return worst

    def play(self, count: int) -> float:
        """All sequences to their ends; the largest difference of a logit."""
        chains = [self.chain() for _ in range(self.random.randint(1, 2))]
        rows = [
            self.sequence(*self.random.choice(chains), self.random.choice([1, 2, 7, 40, 100]))
            for _ in range(count)
        ]
        worst = 0.0
        while open_ := [row for row in rows if row.left]:
            some = [row for row in open_ if self.random.random() < 0.7] or open_
            worst = max(worst, self.run(self.random.sample(some, len(some))))
            for row in [row for row in open_ if not row.left]:
                # A free slot moves another into its place in the midst of it all.
                if row.slot is not None:
                    self.slots.free(row.slot)
        assert self.slots.used_slots == 0
        return worst


@torch.inference_mode()
def play(both: Both, seed: int, count: int) -> tuple[float, set[str]]:
    scene = Scene(both, Random(seed), KVCache(both.trunk.shape))
    return scene.play(count), scene.kinds


@pytest.mark.parametrize("kind", KINDS)
def test_any_mix_of_pieces_gives_the_plain_logits(models: dict[str, Both], kind: str) -> None:
    """Crowds and few at a span, tokens held or none, slots or none, chunks of any length: in
    float32 every wanted logit is the plain forward pass's within 1e-4."""
    kinds: set[str] = set()

    @settings(max_examples=25, deadline=None, derandomize=True)
    @given(st.integers(0, 10**6), st.integers(1, 14))
    def mixes(seed: int, count: int) -> None:
        worst, used = play(models[kind], seed, count)
        assert worst < TOLERANCE
        kinds.update(used)

    mixes()
    assert kinds == {"DecodeAttention", "PrefillAttention", "ChunkAttention", "PrefixAttention"}


@pytest.mark.parametrize("length", [1, 2, 63, 64, 65, 100])
def test_one_piece_of_any_length(models: dict[str, Both], length: int) -> None:
    """A lone prompt, with and without a slot, all its logits wanted."""
    both = models["llama"]
    slots = KVCache(both.trunk.shape)
    ids = [(7 * i) % VOCABULARY for i in range(length)]
    for slot in (None, slots.allocate(length, 1 << 20)):
        made = ForwardPass([TokenChunk(ids, (), 0, slot, length)], slots, both.trunk.shape)
        logits = both.trunk.logits(made.run(both.trunk))
        assert float((logits - both.wanted(ids)).abs().max()) < TOLERANCE


def test_a_pass_nobody_wants_anything_of(models: dict[str, Both]) -> None:
    """A chunk in the middle of a prompt gives no hidden states, but writes its keys."""
    for both in models.values():
        slots = KVCache(both.trunk.shape)
        slot = slots.allocate(60, 1 << 20)
        ids = [(5 * i) % VOCABULARY for i in range(60)]
        for start, end, want in ((0, 30, 0), (30, 59, 0), (59, 60, 1)):
            made = ForwardPass(
                [TokenChunk(ids[start:end], (), start, slot, want)], slots, both.trunk.shape
            )
            hidden = made.run(both.trunk)
            assert len(hidden) == want
        apart = both.trunk.logits(hidden)[0] - both.wanted(ids)[-1]
        assert float(apart.abs().max()) < TOLERANCE


def test_rows_of_a_pass_do_not_mix(models: dict[str, Both]) -> None:
    """A sequence of numbers that are none leaves its neighbours' logits alone, in one span's
    crowd, in one class of slots, in one padded group."""
    both = models["llama"]
    shape = both.trunk.shape
    slots = KVCache(shape)
    good = [3, 5, 8, 13, 21]
    rows = [slots.allocate(10, 1 << 20) for _ in range(4)]
    bad = rows[1]
    fresh = [TokenChunk(good, (), 0, slot, 1) for slot in rows]
    ForwardPass(fresh, slots, shape).run(both.trunk)
    slots.write(
        bad, 0, torch.full((shape.layers, 2 * shape.kv_heads, 5, shape.head_size), torch.nan)
    )
    steps = [TokenChunk([34], (), 5, slot, 1) for slot in rows]
    logits = both.trunk.logits(ForwardPass(steps, slots, shape).run(both.trunk))
    assert logits[1].isnan().all()
    wanted = both.wanted([*good, 34])[-1]
    for place in (0, 2, 3):
        assert float((logits[place] - wanted).abs().max()) < TOLERANCE
    lone = [TokenChunk([34], (), 5, rows[place], 1) for place in (3, 0)]
    logits = both.trunk.logits(ForwardPass(lone, slots, shape).run(both.trunk))
    assert float((logits - both.wanted([*good, 34])[-1]).abs().max()) < TOLERANCE
