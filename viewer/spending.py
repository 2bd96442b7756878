"""What a run cost, as the page shows it: whole sums, and sums over simulated time."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from ..core import Clock, Time
from ..models.ledger import Usage, sum_usage
from .data import CostData

MAX_COLUMNS = 60
"""About so many columns the chart over time has at most."""

_MINUTES = (1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720, 1440)


def cost_data(costs: Iterable[tuple[int, Usage]], clock: Clock, steps: int) -> CostData | None:
    """A ledger's rows summed for the page; None where nothing was asked."""
    rows = [(step, cost) for step, cost in costs if step < steps]
    if not rows:
        return None
    minutes = _column_minutes(steps * clock.step_seconds / 60)
    columns: dict[int, list[Usage]] = {}
    for step, cost in rows:
        first = clock.steps_until(_column_start(clock.at(step), minutes))
        columns.setdefault(first, []).append(Usage(cost.agent, cost.kind, "") + cost)
    return CostData(
        minutes=minutes,
        sums=sum_usage(cost for _, cost in rows),
        times=tuple(
            (first, cost) for first in sorted(columns) for cost in sum_usage(columns[first])
        ),
    )


def _column_minutes(length: float) -> int:
    """Minutes of a column of the chart, so that there are not too many for ``length``."""
    fitting = (minutes for minutes in _MINUTES if length / minutes <= MAX_COLUMNS)
    return next(fitting, _MINUTES[-1])


def _column_start(at: Time, minutes: int) -> Time:
    """The beginning of the column in which a moment lies; columns begin at full hours."""
    midnight = at.replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight + (at - midnight) // timedelta(minutes=minutes) * timedelta(minutes=minutes)
