"""What the asks of a run cost, and the cap on what a simulated day may cost."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date

from ...core import (
    AgentId,
    Answer,
    Ask,
    AskId,
    BudgetExceeded,
    Choose,
    Clock,
    Embed,
    Generate,
    Json,
    Model,
    Rate,
    RunCorrupt,
)
from ...models import Usage, UsageLedger, sum_usage
from ...store import Damage, Store
from .row_codec import row_checksum

USAGE_PART = "ledger"

USAGE_SCHEMA = (
    """
    CREATE TABLE ledger(step INTEGER, agent TEXT, kind TEXT, role TEXT, calls INTEGER,
        tokens_in INTEGER, tokens_out INTEGER, tokens_reused INTEGER, seconds REAL, mark TEXT,
        PRIMARY KEY(step, agent, kind, role)) WITHOUT ROWID;
    """,
)

_COLUMNS = "step, agent, kind, role, calls, tokens_in, tokens_out, tokens_reused, seconds, mark"
CAP_KEY = "max_tokens_per_day"
_MODULUS = 1 << 128
_REMEDY = "resume the run with a higher cap"

StepUsage = tuple[int, Usage]  # A step, and what one agent's asks of one kind and role cost in it


class UsageTable:
    """The ledger of a run: what asks cost by step, agent, kind and role. No hash covers it.

    Each row has its checksum, and the header holds the sum of the checksums, so that damage is
    detected.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        if not store.version(USAGE_PART) and store.has_table("ledger"):
            raise RunCorrupt(f"{store.name}: 'parts' lacks the ledger; restore it from a backup")
        store.migrate(USAGE_PART, len(USAGE_SCHEMA), USAGE_SCHEMA)

    def add(self, step: int, costs: Iterable[Usage]) -> None:
        """Add to what a step has cost, inside the caller's transaction."""
        total = self._checksum()
        for cost in costs:
            key = (step, *cost.key)
            row = self.store.first_row(
                f"SELECT {_COLUMNS} FROM ledger "
                "WHERE step = ? AND agent = ? AND kind = ? AND role = ?",
                key,
            )
            if row is not None:
                total -= int(row[-1], 16)
                cost = self._read_row(row)[1] + cost
            values = (step, *_column_values(cost))
            checksum = row_checksum(values)
            total += int(checksum, 16)
            self.store.execute(
                f"INSERT OR REPLACE INTO ledger({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (*values, checksum),
            )
        self._save_checksum(total)

    def rows(self, first: int = 0) -> Iterator[StepUsage]:
        """All costs from step ``first`` on, by step, agent, kind and role. Those of a step that
        was broken off are included, since its answers are kept. Raises RunCorrupt."""
        for row in self.store.rows(
            f"SELECT {_COLUMNS} FROM ledger WHERE step >= ? ORDER BY step, agent, kind, role",
            (first,),
        ):
            yield self._read_row(row)

    def by_step(self) -> dict[int, int]:
        """The tokens read and written in each step that cost any."""
        steps: dict[int, int] = {}
        for step, cost in self.rows():
            steps[step] = steps.get(step, 0) + cost.tokens
        return steps

    def truncate(self, steps: int) -> None:
        """Delete what came after ``steps`` steps, inside the caller's transaction."""
        self.store.execute("DELETE FROM ledger WHERE step >= ?", (steps,))
        checksums = self.store.rows("SELECT mark FROM ledger")
        self._save_checksum(sum(int(checksum, 16) for (checksum,) in checksums))

    def damage(self, steps: int) -> Iterator[Damage]:
        """What is wrong with the ledger of a run of ``steps`` steps."""
        total = 0
        for row in self.store.rows(f"SELECT {_COLUMNS} FROM ledger"):
            step, _ = self._read_row(row)
            total += int(row[-1], 16)
            if not 0 <= step <= steps:
                yield Damage(f"costs of step {step}", "belong to no step")
        if total % _MODULUS != self._checksum():
            yield Damage("costs", "rows were changed or removed")

    def _read_row(self, row: tuple[Json, ...]) -> StepUsage:
        if any(isinstance(value, bytes) for value in row) or row_checksum(row[:-1]) != row[-1]:
            raise RunCorrupt(
                f"{self.store.name}: the costs of step {row[0]!r} do not fit their checksum; "
                "restore the file from a backup, or fork the run before the damage"
            )
        step, *values, _ = row
        return int(step), Usage(*values)

    def _checksum(self) -> int:
        return int(self.store.get(USAGE_PART, "0"), 16)

    def _save_checksum(self, total: int) -> None:
        self.store.put(USAGE_PART, f"{total % _MODULUS:032x}")


def _column_values(cost: Usage) -> tuple[Json, ...]:
    counts = (cost.calls, cost.tokens_in, cost.tokens_out, cost.tokens_reused)
    return (*cost.key, *counts, round(float(cost.seconds), 6))


def ledger_of(model: Model | None) -> UsageLedger | None:
    """The usage ledger of a model; None if it has none."""
    ledger = getattr(model, "ledger", None)
    return ledger if isinstance(ledger, UsageLedger) else None


class UsageCollector:
    """Collects what the asks of one step cost: from the ledgers of the models, and for a model
    without a ledger from its asks and answers.

    It is created before the step, to discard what other users of the same models have cost
    since the last step."""

    def __init__(self, models: Mapping[AgentId, Model]) -> None:
        ledgers = {name: ledger_of(model) for name, model in models.items()}
        found = {name: ledger for name, ledger in ledgers.items() if ledger is not None}
        self._agents = frozenset(models)
        self._with_ledger = frozenset(found)
        self._ledgers = tuple({id(ledger): ledger for ledger in found.values()}.values())
        self.take(())

    def take(self, answered: Sequence[tuple[AskId, Ask, Answer]]) -> tuple[Usage, ...]:
        """What was spent since the last call; ``answered`` are the asks answered since then."""
        costs = [cost for ledger in self._ledgers for cost in ledger.take(self._agents)]
        for where, ask, answer in answered:
            has_ledger = where.agent in self._with_ledger
            if isinstance(ask, Generate | Choose | Rate | Embed) and not has_ledger:
                costs.append(Usage.from_answer(where.agent, ask, answer))
        return sum_usage(costs)


def usage_summary(costs: Iterable[StepUsage]) -> dict[str, Json]:
    """The sums ``by_kind``, ``by_role`` and ``by_agent`` and the ``total``, the most expensive
    first: calls, tokens_in, tokens_out, tokens_reused, seconds."""
    by_key = sum_usage(cost for _, cost in costs)
    summary: dict[str, Json] = {}
    for name in ("kind", "role", "agent"):
        group = sum_usage(Usage(getattr(cost, name), "", "") + cost for cost in by_key)
        ordered = sorted(group, key=lambda cost: (-cost.seconds, -cost.tokens, cost.agent))
        summary[f"by_{name}"] = {cost.agent: _usage_to_json(cost) for cost in ordered}
    return {**summary, "total": _usage_to_json(sum(by_key, start=Usage("", "", "")))}


def _usage_to_json(cost: Usage) -> Json:
    names = ("calls", "tokens_in", "tokens_out", "tokens_reused")
    return {name: getattr(cost, name) for name in names} | {"seconds": round(cost.seconds, 3)}


class TokenBudget:
    """The tokens, read and written by all agents, that each simulated day has cost, and the cap on
    them (0: no cap). A step belongs to the day on which it begins."""

    def __init__(self, usage: UsageTable, clock: Clock, cap: int = 0) -> None:
        self.cap = cap
        self._clock = clock
        self._steps = usage.by_step() if cap else {}
        self._days: dict[date, int] = {}
        self.largest = max(self._steps.values(), default=0)
        """The tokens of the most expensive step of the run."""
        for step, tokens in self._steps.items():
            self._days[self._day(step)] = self.spent(step) + tokens

    def spent(self, step: int) -> int:
        """The tokens that the day of ``step`` has cost so far."""
        return self._days.get(self._day(step), 0)

    def add(self, step: int, costs: Iterable[Usage]) -> None:
        """Add what a step has cost."""
        tokens = sum(cost.tokens for cost in costs)
        if self.cap and tokens:
            self._steps[step] = self._steps.get(step, 0) + tokens
            self._days[self._day(step)] = self.spent(step) + tokens
            self.largest = max(self.largest, self._steps[step])

    def is_spent(self, step: int) -> bool:
        """Whether the day of ``step`` has reached the cap."""
        return bool(self.cap) and self.spent(step) >= self.cap

    def check(self, step: int) -> None:
        """Raises BudgetExceeded when the day of ``step`` has reached the cap, or would pass it if
        the step cost as much as the most expensive one so far."""
        spent, largest = self.spent(step), self.largest
        if self.is_spent(step):
            raise BudgetExceeded(f"{self._status_text(step)}; {_REMEDY}")
        if self.cap and spent + largest > self.cap:
            raise BudgetExceeded(
                f"{self._status_text(step)}, and a step has cost up to {largest:,}; {_REMEDY}"
            )

    def interrupted_error(self, step: int) -> BudgetExceeded:
        """The error for a step that reached the cap before it was complete."""
        return BudgetExceeded(
            f"{self._status_text(step)}; step {step} was broken off, its answers are kept; "
            f"{_REMEDY}"
        )

    def stats(self, step: int) -> dict[str, Json]:
        """The cap, the day of ``step``, the tokens spent on it, and the most expensive step."""
        day, spent = self._day(step).isoformat(), self.spent(step)
        return {CAP_KEY: self.cap, "day": day, "spent": spent, "largest_step": self.largest}

    def _day(self, step: int) -> date:
        return self._clock.at(step).date()

    def _status_text(self, step: int) -> str:
        return f"{self._day(step)} has cost {self.spent(step):,} of {self.cap:,} tokens ({CAP_KEY})"
