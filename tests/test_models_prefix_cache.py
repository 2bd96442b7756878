"""The trie of shared beginnings, held against a plain set of prefixes."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

import pytest
import torch
from denizens.models.engine.kv_cache import (
    MIN_NODE_TOKENS,
    PrefixCache,
    PrefixNode,
    common_prefix_length,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

Ids = tuple[int, ...]


def kv_of(ids: Sequence[int], start: int, end: int) -> Tensor:
    """Made-up keys of tokens ``start`` to ``end``, each a function of all ids up to it."""
    numbers = []
    state = 7
    for at, token in enumerate(ids[:end]):
        state = (state * 31 + token * 17 + at + 1) % 100_003
        if at >= start:
            numbers.append(float(state))
    return torch.tensor(numbers).view(1, 1, -1, 1).expand(2, 2, -1, 3).contiguous()


def paths(trie: PrefixCache) -> dict[int, Ids]:
    """All ids from the root to each span's end, by the span's identity."""
    parents = {id(child): span for span in trie for child in span.children.values()}
    found: dict[int, Ids] = {}
    for span in trie:
        ids: Ids = ()
        at: PrefixNode | None = span
        while at is not None:
            ids, at = at.ids + ids, parents.get(id(at))
        found[id(span)] = ids
    return found


def held(trie: PrefixCache) -> set[Ids]:
    """Every prefix that is held."""
    return {ids[: at + 1] for ids in paths(trie).values() for at in range(len(ids))}


class Against:
    """A trie, the set of prefixes it must hold, and what some users attend to."""

    def __init__(self) -> None:
        self.trie = PrefixCache()
        self.known: set[Ids] = set()
        self.users: list[tuple[Ids, list[PrefixNode], list[Tensor]]] = []

    def longest(self, ids: Ids) -> int:
        return max((at + 1 for at in range(len(ids)) if ids[: at + 1] in self.known), default=0)

    def add(self, ids: Ids) -> None:
        there = self.longest(ids)
        added = self.trie.insert(ids, lambda start, end: kv_of(ids, start, end))
        if added:
            assert added == len(ids) - there
            self.known |= {ids[: at + 1] for at in range(len(ids))}
        else:
            assert len(ids) - there < MIN_NODE_TOKENS  # too little to be kept apart

    def find(self, ids: Ids) -> list[PrefixNode]:
        there = self.longest(ids)
        assert self.trie.match_length(ids) == there
        path = self.trie.match(ids)
        length = sum(map(len, path))
        assert there - MIN_NODE_TOKENS < length <= there
        assert tuple(token for span in path for token in span.ids) == ids[:length]
        if path:
            both = torch.cat([span.kv for span in path], dim=2)
            assert torch.equal(both, kv_of(ids, 0, length))
        return path

    def use(self, ids: Ids) -> None:
        path = self.find(ids)
        for span in path:
            span.users += 1
        length = sum(map(len, path))
        self.users.append((ids[:length], path, [span.kv for span in path]))

    def leave(self, place: int) -> None:
        if self.users:
            _, path, _ = self.users.pop(place % len(self.users))
            for span in path:
                span.users -= 1

    def evict(self, tokens: int) -> None:
        leaves = [span for span in self.trie if not span.children and not span.users]
        count = self.trie.tokens
        freed = self.trie.evict(tokens)
        assert count - self.trie.tokens == freed
        there = {id(span) for span in self.trie}
        gone = [span.last_used for span in leaves if id(span) not in there]
        left = [span.last_used for span in leaves if id(span) in there]
        if freed < tokens:
            assert all(span.users or span.children for span in self.trie)
        elif gone and left:
            assert max(gone) <= min(left)
        self.known &= held(self.trie)

    def check(self) -> None:
        assert held(self.trie) == self.known
        assert self.trie.tokens == len(self.known) == sum(map(len, self.trie))
        whole = paths(self.trie)
        for span in self.trie:
            ids = whole[id(span)]
            assert torch.equal(span.kv, kv_of(ids, len(ids) - len(span), len(ids)))
            assert all(child.siblings is span.children for child in span.children.values())
            assert all(child.ids[0] == first for first, child in span.children.items())
        for ids, path, kvs in self.users:
            # What a running row attends to is what it was, whatever was split or evicted.
            assert self.longest(ids) == len(ids)
            if kvs:
                assert torch.equal(torch.cat(kvs, dim=2), kv_of(ids, 0, len(ids)))
            assert all(id(span) in whole for span in path)
        counted = {id(span): 0 for span in self.trie}
        for _, path, _ in self.users:
            for span in path:
                counted[id(span)] += 1
        assert all(span.users == counted[id(span)] for span in self.trie)


def sequences() -> st.SearchStrategy[Ids]:
    """Ids that share beginnings of all lengths: runs of few tokens, cut anywhere."""
    run = st.tuples(st.integers(0, 2), st.integers(1, 40)).map(lambda pair: (pair[0],) * pair[1])
    return st.lists(run, min_size=1, max_size=4).map(lambda runs: sum(runs, ()))


OPERATION = st.one_of(
    st.tuples(st.just("add"), sequences()),
    st.tuples(st.just("find"), sequences()),
    st.tuples(st.just("use"), sequences()),
    st.tuples(st.just("leave"), st.integers(0, 5)),
    st.tuples(st.just("evict"), st.integers(1, 120)),
)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.lists(OPERATION, max_size=40))
def test_any_operations_hold_what_a_set_of_prefixes_holds(operations: list[Any]) -> None:
    """After any finds, adds, uses and evictions the trie knows exactly the prefixes added and
    not evicted, its keys are those added, and users keep theirs."""
    both = Against()
    for name, argument in operations:
        getattr(both, name)(argument)
        both.check()
    both.users.clear()


def test_many_long_operations() -> None:
    """The same over 3,000 operations on one trie, which reach deep trees: more than 20 spans
    at a time, splits under users and evictions among them."""
    random = Random(5)
    both = Against()
    most, splits = 0, 0
    for count in range(3000):
        runs = [(random.randrange(3),) * random.randint(1, 30) for _ in range(random.randint(1, 5))]
        ids: Ids = sum(runs, ())
        name = random.choice(["add", "add", "find", "use", "leave", "evict"])
        spans = sum(1 for _ in both.trie)
        getattr(both, name)(random.randint(1, 60) if name in ("leave", "evict") else ids)
        if len(both.users) > 12:
            both.leave(0)
        most = max(most, spans)
        splits += name in ("find", "use") and sum(1 for _ in both.trie) > spans
        if count % 25 == 0:
            both.check()
    both.check()
    assert most > 20
    assert splits > 20
    while both.users:
        both.leave(0)
    both.trie.clear()
    assert (both.trie.tokens, list(both.trie)) == (0, [])


def test_a_split_leaves_the_running_row_its_tensor() -> None:
    """A row that attends to a span goes on with the tensor it has; both halves are protected
    by it, and its users are counted on the half that stayed the same object."""
    both = Against()
    both.add((1,) * 40)
    both.use((1,) * 40)
    _, (span,), (kv,) = both.users[0]
    both.find((1,) * 20 + (2,) * 20)
    assert span.ids == (1,) * 20
    assert kv.shape[2] == 40
    assert span.kv.untyped_storage().nbytes() == kv.untyped_storage().nbytes() // 2
    both.check()
    assert both.trie.evict(1000) == 0
    both.leave(0)
    assert both.trie.evict(1000) == 40


def test_the_least_recently_used_leaf_goes_first() -> None:
    """A beginning found again outlives one added after it."""
    trie = PrefixCache()
    old, new = (1,) * 20, (2,) * 20
    for ids in (old, new):
        trie.insert(ids, lambda start, end, ids=ids: kv_of(ids, start, end))  # type: ignore[misc]
    trie.match(old)
    assert trie.evict(1) == 20
    assert (trie.match_length(old), trie.match_length(new)) == (20, 0)


def test_to_look_is_not_to_use() -> None:
    """``common`` changes neither the order of eviction nor the spans."""
    trie = PrefixCache()
    for ids in ((1,) * 20, (2,) * 20):
        trie.insert(ids, lambda start, end, ids=ids: kv_of(ids, start, end))  # type: ignore[misc]
    assert trie.match_length((1,) * 18 + (3,)) == 18
    assert [len(span) for span in trie] == [20, 20]
    trie.evict(1)
    assert trie.match_length((1,) * 20) == 0


@pytest.mark.parametrize("size", [0, 1, 2, 17, 64])
def test_common_counts_leading_ids(size: int) -> None:
    """Lists and tuples of any lengths; what follows the first difference does not count."""
    one, other = [*range(size), -1, 5], (*range(size), -2, 5)
    assert common_prefix_length(one, other) == size
    assert common_prefix_length(one, one[:size]) == size
    assert common_prefix_length((), one) == 0
