"""Keys and values of beginnings that prompts share, in a radix tree over token ids.

As in SGLang's RadixAttention (Zheng et al. 2024): a node holds the stretch of tokens
between two branchings, so what many prompts have in common is held once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from torch import Tensor

MIN_NODE_TOKENS = 8  # tokens; a shorter common stretch saves less than it costs to keep apart


@dataclass(slots=True, eq=False)
class PrefixNode:
    """A stretch of cached tokens. ``kv``: (layers, 2 * kv_heads, tokens, head size), never
    changed, only replaced. ``users`` counts the running sequences that attend to it."""

    ids: tuple[int, ...]
    kv: Tensor
    parent: PrefixNode | None = None
    children: dict[int, PrefixNode] = field(default_factory=dict)
    users: int = 0
    last_used: int = 0

    def __len__(self) -> int:
        return len(self.ids)


class PrefixCache:
    """The tree. ``tokens`` counts what it holds; callers evict to keep it bounded."""

    def __init__(self) -> None:
        self._roots: dict[int, PrefixNode] = {}
        self._clock = 0
        self.tokens = 0

    def match(self, ids: Sequence[int], least: int = MIN_NODE_TOKENS) -> list[PrefixNode]:
        """The spans that ``ids`` begins with, from the root; a span that ``ids`` leaves half
        way is split there, so that all who share its first half share one span. One left
        after less than ``least`` tokens does not count."""
        self._clock += 1
        path: list[PrefixNode] = []
        at = 0
        while at < len(ids):
            span = self._children(path).get(ids[at])
            if span is None:
                break
            shared = common_prefix_length(span.ids, ids[at : at + len(span)])
            if shared < len(span):
                if shared < least:
                    break
                span = self._split(span, shared)
            span.last_used = self._clock
            path.append(span)
            at += len(span)
        return path

    def match_length(self, ids: Sequence[int]) -> int:
        """How many leading tokens of ``ids`` are held; changes nothing."""
        at, below = 0, self._roots
        while at < len(ids) and (span := below.get(ids[at])) is not None:
            shared = common_prefix_length(span.ids, ids[at : at + len(span)])
            at += shared
            if shared < len(span):
                break
            below = span.children
        return at

    def insert(self, ids: Sequence[int], read: Callable[[int, int], Tensor]) -> int:
        """Hold ``ids``; ``read(start, end)`` gives copies of the keys and values of what is
        missing. Returns the number of tokens added."""
        if len(ids) - self.match_length(ids) < MIN_NODE_TOKENS:
            return 0
        # Down to a single token, or two prompts that share the template's first words could
        # not both be held.
        path = self.match(ids, least=1)
        at = sum(len(span) for span in path)
        parent = path[-1] if path else None
        span = PrefixNode(tuple(ids[at:]), read(at, len(ids)), parent, last_used=self._clock)
        self._children(path)[ids[at]] = span
        self.tokens += len(span)
        return len(span)

    def evict(self, tokens: int) -> int:
        """Let go of the least recently used leaves that nobody uses, until ``tokens`` are
        free or none is left; the number freed."""
        freed = 0
        while freed < tokens:
            leaves = [span for span in self if not span.children and not span.users]
            if not leaves:
                break
            leaves.sort(key=lambda span: span.last_used)
            for span in leaves:
                freed += self._drop(span)
                if freed >= tokens:
                    break
        return freed

    def clear(self) -> None:
        """Let go of everything that nobody uses."""
        self.evict(self.tokens + 1)

    def __iter__(self) -> Iterator[PrefixNode]:
        stack = [*self._roots.values()]
        while stack:
            span = stack.pop()
            stack.extend(span.children.values())
            yield span

    def _children(self, path: Sequence[PrefixNode]) -> dict[int, PrefixNode]:
        return path[-1].children if path else self._roots

    def _drop(self, span: PrefixNode) -> int:
        below = span.parent.children if span.parent else self._roots
        del below[span.ids[0]]
        self.tokens -= len(span)
        return len(span)

    def _split(self, span: PrefixNode, at: int) -> PrefixNode:
        """Cut a span in two; the first half. Who attends to the whole keeps its tensor. The
        second half stays the same object, so its users protect both: only leaves go."""
        first = PrefixNode(
            span.ids[:at], span.kv[:, :, :at].clone(), span.parent, last_used=span.last_used
        )
        below = span.parent.children if span.parent else self._roots
        below[first.ids[0]] = first
        first.children[span.ids[at]] = span
        span.ids, span.parent = span.ids[at:], first
        span.kv = span.kv[:, :, at:].clone()
        return first


def common_prefix_length(a: Sequence[int], b: Sequence[int]) -> int:
    """How many leading ids two sequences share.

    >>> common([1, 2, 3], [1, 2, 4, 5])
    2
    """
    shortest = min(len(a), len(b))
    if tuple(a[:shortest]) == tuple(b[:shortest]):
        return shortest
    low, high = 0, shortest
    while low < high:
        middle = (low + high + 1) // 2
        if tuple(a[:middle]) == tuple(b[:middle]):
            low = middle
        else:
            high = middle - 1
    return low
