"""What answering cost: tokens and seconds, by agent and kind of ask."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from threading import Lock

from ...core import (
    Answer,
    ModelAsk,
)


@dataclass(frozen=True, slots=True)
class Usage:
    """The cost of some asks of one agent, kind and role.

    ``tokens_in`` counts whole prompts, ``tokens_reused`` the part of them that was cached;
    ``seconds`` is the engine's time, shared out among the asks that ran together."""

    agent: str
    kind: str
    role: str
    calls: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    tokens_reused: int = 0
    seconds: float = 0.0

    @property
    def key(self) -> tuple[str, str, str]:
        """Whose and of what kind it is."""
        return (self.agent, self.kind, self.role)

    @property
    def tokens(self) -> int:
        """Tokens read and written; those reused were read too."""
        return self.tokens_in + self.tokens_out

    def __add__(self, other: Usage) -> Usage:
        """Both costs, under the first one's agent, kind and role."""
        return Usage(
            *self.key,
            self.calls + other.calls,
            self.tokens_in + other.tokens_in,
            self.tokens_out + other.tokens_out,
            self.tokens_reused + other.tokens_reused,
            self.seconds + other.seconds,
        )

    @classmethod
    def from_answer(cls, agent: str, ask: ModelAsk, answer: Answer) -> Usage:
        """One call, as far as its answer tells: of what was reused and of time it says nothing.

        >>> from denizens.core import Completion, Generate
        >>> Usage.from_answer("Bo", Generate(messages=()), Completion(text="Hm.",
        tokens_out=2)).tokens
        2
        """
        read = int(getattr(answer, "tokens_in", 0))
        written = int(getattr(answer, "tokens_out", 0))
        return cls(agent, ask.kind, ask.role, 1, read, written)


def sum_usage(costs: Iterable[Usage]) -> tuple[Usage, ...]:
    """One cost for each agent, kind and role, sorted by them.

    >>> [cost.calls for cost in sum_usage([Usage("Bo", "rate", "rate", 1)] * 3)]
    [3]
    """
    sums: dict[tuple[str, str, str], Usage] = {}
    for cost in costs:
        old = sums.get(cost.key)
        sums[cost.key] = cost if old is None else old + cost
    return tuple(sums[key] for key in sorted(sums))


class UsageLedger:
    """Adds up costs; ``take`` hands out what came in since it was last called.

    ``parts`` are ledgers of other models, taken with this one: a router's is the union of
    its models'. May be filled by one thread and taken by another."""

    def __init__(self, parts: Sequence[UsageLedger] = ()) -> None:
        self._parts = tuple(parts)
        self._new: dict[tuple[str, str, str], Usage] = {}
        self._lock = Lock()

    def add(
        self,
        agent: str,
        kind: str,
        role: str,
        *,
        calls: int = 1,
        tokens_in: int = 0,
        tokens_out: int = 0,
        tokens_reused: int = 0,
        seconds: float = 0.0,
    ) -> None:
        """Enter the cost of an ask."""
        self.enter(Usage(agent, kind, role, calls, tokens_in, tokens_out, tokens_reused, seconds))

    def enter(self, cost: Usage) -> None:
        """Enter a cost."""
        with self._lock:
            old = self._new.get(cost.key)
            self._new[cost.key] = cost if old is None else old + cost

    def take(self, agents: Collection[str] | None = None) -> tuple[Usage, ...]:
        """Everything entered since the last ``take``, sorted by agent, kind and role; with
        ``agents`` theirs only, and what others spent stays for whoever takes it."""
        with self._lock:
            keys = [key for key in self._new if agents is None or key[0] in agents]
            taken = [self._new.pop(key) for key in keys]
        for part in self._parts:
            taken.extend(part.take(agents))
        return sum_usage(taken)
