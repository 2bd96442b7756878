"""What answers cost: tokens and seconds, by agent and kind of ask."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from threading import Lock

from ...core import Answer, ModelAsk


@dataclass(frozen=True, slots=True)
class Usage:
    """The cost of asks of one agent, kind and role.

    ``tokens_in`` counts whole prompts, ``tokens_reused`` their cached part; ``seconds`` is the
    engine's time, divided among the asks of a batch.
    """

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
        return (self.agent, self.kind, self.role)

    @property
    def tokens(self) -> int:
        """Tokens of prompts and answers, cached ones included."""
        return self.tokens_in + self.tokens_out

    def __add__(self, other: Usage) -> Usage:
        """The sum, with the agent, kind and role of the first."""
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
        """The usage of one call as its answer states it: without cached tokens and time.

        >>> from denizens.core import Completion, Generate
        >>> answer = Completion(text="Hm.", tokens_out=2)
        >>> Usage.from_answer("Bo", Generate(messages=()), answer).tokens
        2
        """
        tokens_in = int(getattr(answer, "tokens_in", 0))
        tokens_out = int(getattr(answer, "tokens_out", 0))
        return cls(agent, ask.kind, ask.role, 1, tokens_in, tokens_out)


def sum_usage(usages: Iterable[Usage]) -> tuple[Usage, ...]:
    """One sum for each agent, kind and role, in their order.

    >>> [usage.calls for usage in sum_usage([Usage("Bo", "rate", "rate", 1)] * 3)]
    [3]
    """
    sums: dict[tuple[str, str, str], Usage] = {}
    for usage in usages:
        known = sums.get(usage.key)
        sums[usage.key] = usage if known is None else known + usage
    return tuple(sums[key] for key in sorted(sums))


class UsageLedger:
    """Sums usage until it is taken. Thread-safe.

    ``parts`` are ledgers of other models that are taken together with this one, as of the models
    behind a router.
    """

    def __init__(self, parts: Sequence[UsageLedger] = ()) -> None:
        self._parts = tuple(parts)
        self._sums: dict[tuple[str, str, str], Usage] = {}
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
        """Add the usage of an ask."""
        self.enter(Usage(agent, kind, role, calls, tokens_in, tokens_out, tokens_reused, seconds))

    def enter(self, usage: Usage) -> None:
        """Add a usage."""
        with self._lock:
            known = self._sums.get(usage.key)
            self._sums[usage.key] = usage if known is None else known + usage

    def take(self, agents: Collection[str] | None = None) -> tuple[Usage, ...]:
        """Remove and return all usage, by agent, kind and role; with ``agents`` only theirs."""
        with self._lock:
            keys = [key for key in self._sums if agents is None or key[0] in agents]
            taken = [self._sums.pop(key) for key in keys]
        for part in self._parts:
            taken.extend(part.take(agents))
        return sum_usage(taken)
