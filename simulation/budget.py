"""The cap on what a simulated day may cost."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

from ..core import BudgetExceeded, Clock, Json
from ..models.ledger import Usage
from .costs import UsageTable

CAP_KEY = "max_tokens_per_day"


class TokenBudget:
    """How many tokens, read and written by all agents, a simulated day has cost and may cost.

    ``cap`` 0 lets it cost any number. A step belongs to the day on which it begins."""

    def __init__(self, costs: UsageTable, clock: Clock, cap: int = 0) -> None:
        self.cap = cap
        self._clock = clock
        self._steps = costs.by_step() if cap else {}
        self._days: dict[date, int] = {}
        self.largest = max(self._steps.values(), default=0)
        """Tokens of the step that cost most, in the whole run."""
        for step, tokens in self._steps.items():
            self._days[self._day(step)] = self.spent(step) + tokens

    def spent(self, step: int) -> int:
        """Tokens that the day of ``step`` has cost so far."""
        return self._days.get(self._day(step), 0)

    def add(self, step: int, costs: Iterable[Usage]) -> None:
        """Take in what a step has cost."""
        tokens = sum(cost.tokens for cost in costs)
        if self.cap and tokens:
            self._steps[step] = self._steps.get(step, 0) + tokens
            self._days[self._day(step)] = self.spent(step) + tokens
            self.largest = max(self.largest, self._steps[step])

    def is_spent(self, step: int) -> bool:
        """Whether the day of ``step`` has reached the cap."""
        return bool(self.cap) and self.spent(step) >= self.cap

    def check(self, step: int) -> None:
        """Raises BudgetExceeded when ``step`` must not begin: its day has reached the cap, or
        would pass it if the step cost as much as the largest so far."""
        spent, largest = self.spent(step), self.largest
        if self.is_spent(step):
            raise BudgetExceeded(f"{self._status_text(step)}; {self._remedy}")
        if self.cap and spent + largest > self.cap:
            raise BudgetExceeded(
                f"{self._status_text(step)}, and a step has cost up to {largest:,}; {self._remedy}"
            )

    def interrupted_error(self, step: int) -> BudgetExceeded:
        """The error of a step that reached the cap on its way."""
        return BudgetExceeded(
            f"{self._status_text(step)}; step {step} was broken off, its answers are kept; "
            f"{self._remedy}"
        )

    def stats(self, step: int) -> dict[str, Json]:
        """Cap, day, tokens spent on it, and the largest step, for a run that ends at ``step``."""
        day = self._day(step).isoformat()
        return {
            CAP_KEY: self.cap,
            "day": day,
            "spent": self.spent(step),
            "largest_step": self.largest,
        }

    def _day(self, step: int) -> date:
        return self._clock.at(step).date()

    def _status_text(self, step: int) -> str:
        return f"{self._day(step)} has cost {self.spent(step):,} of {self.cap:,} tokens ({CAP_KEY})"

    @property
    def _remedy(self) -> str:
        return "resume the run with a higher cap"
