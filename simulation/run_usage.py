"""What a run's asks cost: rows beside the journal, in no hash. See docs/run-files.md.

The cap on what a simulated day may cost.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date

from ..core import (
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
from ..models import Usage, UsageLedger, sum_usage
from ..store import Damage, Store
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
_FROM_ASKS = """SELECT step, agent, kind, role, COUNT(*), SUM(tokens_in), SUM(tokens_out), 0, 0.0
    FROM asks WHERE kind IN ('generate', 'choose', 'rate', 'embed') AND step >= ?
    GROUP BY step, agent, kind, role ORDER BY step, agent, kind, role"""
_MODULUS = 1 << 128

StepUsage = tuple[int, Usage]
"""What was spent in a step by one agent on one kind and role of ask."""


class UsageTable:
    """The ledger of a run: a row for each step, agent, kind and role that cost something.

    Each row has its checksum and the header holds their sum, so that damage is found; no
    life depends on it. A run recorded before there were ledgers has one made of its asks,
    without seconds: at once when it is opened for writing, else whenever it is looked at.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        if store.version(USAGE_PART):
            store.migrate(USAGE_PART, len(USAGE_SCHEMA), USAGE_SCHEMA)
            return
        if store.first_row("SELECT 1 FROM sqlite_master WHERE name = 'ledger'"):
            raise RunCorrupt(f"{store.name}: 'parts' has lost its row; restore it from a backup")
        if store.write:
            with store.transaction():
                store.migrate(USAGE_PART, len(USAGE_SCHEMA), USAGE_SCHEMA)
                for step, cost in list(self._of_asks(0)):
                    self.add(step, (cost,))

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
            link = row_checksum(values)
            total += int(link, 16)
            self.store.execute(
                f"INSERT OR REPLACE INTO ledger({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (*values, link),
            )
        self._save_checksum(total)

    def rows(self, first: int = 0) -> Iterator[StepUsage]:
        """All costs from step ``first`` on, by step, agent, kind and role; those of a step
        that was broken off too, for its answers are kept. Raises RunCorrupt."""
        if not self.store.version(USAGE_PART):
            yield from self._of_asks(first)
            return
        for row in self.store.rows(
            f"SELECT {_COLUMNS} FROM ledger WHERE step >= ? ORDER BY step, agent, kind, role",
            (first,),
        ):
            yield self._read_row(row)

    def by_step(self) -> dict[int, int]:
        """Tokens read and written in each step that cost some."""
        steps: dict[int, int] = {}
        for step, cost in self.rows():
            steps[step] = steps.get(step, 0) + cost.tokens
        return steps

    def truncate(self, steps: int) -> None:
        """Forget what came after ``steps`` steps, inside the caller's transaction."""
        self.store.execute("DELETE FROM ledger WHERE step >= ?", (steps,))
        self._save_checksum(
            sum(int(row[0], 16) for row in self.store.rows("SELECT mark FROM ledger"))
        )

    def damage(self, steps: int) -> Iterator[Damage]:
        """What is wrong with the ledger of a run of so many steps."""
        total = 0
        if not self.store.version(USAGE_PART):
            return
        for row in self.store.rows(f"SELECT {_COLUMNS} FROM ledger"):
            step, _ = self._read_row(row)
            total += int(row[-1], 16)
            if not 0 <= step <= steps:
                yield Damage(f"costs of tick {step}", "belong to no tick")
        if total % _MODULUS != self._checksum():
            yield Damage("costs", "rows were changed or removed")

    def _of_asks(self, first: int) -> Iterator[StepUsage]:
        for step, agent, kind, role, *counts in self.store.rows(_FROM_ASKS, (first,)):
            if not isinstance(agent, str) or not isinstance(role, str):
                raise RunCorrupt(f"{self.store.name}: asks of tick {step} are damaged")
            yield int(step), Usage(agent, kind, role, *counts)

    def _read_row(self, row: tuple[Json, ...]) -> StepUsage:
        if any(isinstance(value, bytes) for value in row) or row_checksum(row[:-1]) != row[-1]:
            raise RunCorrupt(
                f"{self.store.name}: what tick {row[0]!r} cost does not fit its checksum; "
                "restore the file from a backup, or fork the run before the damage"
            )
        step, *rest, _ = row
        return int(step), Usage(*rest)

    def _checksum(self) -> int:
        return int(self.store.get(USAGE_PART, "0"), 16)

    def _save_checksum(self, total: int) -> None:
        self.store.put(USAGE_PART, f"{total % _MODULUS:032x}")


def _column_values(cost: Usage) -> tuple[Json, ...]:
    counts = (cost.calls, cost.tokens_in, cost.tokens_out, cost.tokens_reused)
    return (*cost.key, *counts, round(float(cost.seconds), 6))


class UsageCollector:
    """Collects what the asks of one tick cost: from the models' ledgers, and of a model
    without one from the asks and answers themselves.

    Made before the tick, for then it empties the ledgers of what other runs and talks with
    the same model have cost in the meantime."""

    def __init__(self, models: Mapping[AgentId, Model]) -> None:
        kept = {name: getattr(model, "ledger", None) for name, model in models.items()}
        self._agents = frozenset(models)
        self._told = {name for name, ledger in kept.items() if isinstance(ledger, UsageLedger)}
        ledgers = {
            id(ledger): ledger for ledger in kept.values() if isinstance(ledger, UsageLedger)
        }
        self._ledgers = tuple(ledgers.values())
        self.take(())

    def take(self, answered: Sequence[tuple[AskId, Ask, Answer]]) -> tuple[Usage, ...]:
        """What was spent since the last call, ``answered`` having been answered since."""
        costs = [cost for ledger in self._ledgers for cost in ledger.take(self._agents)]
        for where, ask, answer in answered:
            if where.agent not in self._told and isinstance(ask, Generate | Choose | Rate | Embed):
                costs.append(Usage.from_answer(where.agent, ask, answer))
        return sum_usage(costs)


def usage_summary(costs: Iterable[StepUsage]) -> dict[str, Json]:
    """Sums ``by_kind``, ``by_role``, ``by_agent`` and in ``total``, the dearest first: calls,
    tokens_in, tokens_out, tokens_reused, seconds."""
    sums = sum_usage(cost for _, cost in costs)
    whole = Usage("", "", "")
    for cost in sums:
        whole += cost
    parts = {
        "by_kind": [Usage(one.kind, "", "") + one for one in sums],
        "by_role": [Usage(one.role, "", "") + one for one in sums],
        "by_agent": [Usage(one.agent, "", "") + one for one in sums],
    }
    found: dict[str, Json] = {}
    for name, costs_of in parts.items():
        ordered = sorted(
            sum_usage(costs_of), key=lambda one: (-one.seconds, -one.tokens, one.agent)
        )
        found[name] = {one.agent: _sums(one) for one in ordered}
    return {**found, "total": _sums(whole)}


def _sums(cost: Usage) -> Json:
    return {
        "calls": cost.calls,
        "tokens_in": cost.tokens_in,
        "tokens_out": cost.tokens_out,
        "tokens_reused": cost.tokens_reused,
        "seconds": round(cost.seconds, 3),
    }


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
