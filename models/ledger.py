"""What answering cost: tokens and seconds, by agent and kind of ask."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Spent:
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


class Ledger:
    """Adds up costs; ``take`` hands out what came in since it was last called."""

    def __init__(self) -> None:
        self._new: dict[tuple[str, str, str], Spent] = {}

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
        key = (agent, kind, role)
        old = self._new.get(key, Spent(*key))
        self._new[key] = Spent(
            *key,
            old.calls + calls,
            old.tokens_in + tokens_in,
            old.tokens_out + tokens_out,
            old.tokens_reused + tokens_reused,
            old.seconds + seconds,
        )

    def take(self) -> tuple[Spent, ...]:
        """Everything entered since the last ``take``, sorted by agent, kind and role."""
        taken = tuple(self._new[key] for key in sorted(self._new))
        self._new.clear()
        return taken
