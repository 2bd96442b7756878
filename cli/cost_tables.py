"""Tables of what a run cost, and of what it would cost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

from ..core import Json

if TYPE_CHECKING:
    from ..simulation.forecast import Forecast

LISTED_AGENTS = 5
"""Number of agents listed, those with the highest usage first."""

TableRow: TypeAlias = tuple[str, tuple[str, ...]]

_USAGE_HEADS = ("calls", "read", "reused", "written", "seconds")


def usage_lines(ledger: Json) -> Iterator[str]:
    """The lines of a usage table: by kind of ask, by agent, and in total; none for a run without
    model calls. ``ledger`` is the summary of a usage ledger."""
    if not ledger["total"]["calls"]:
        return
    kinds = [(name, _usage_cells(sums)) for name, sums in ledger["by_kind"].items()]
    listed = list(ledger["by_agent"].items())
    people = [(name, _usage_cells(sums)) for name, sums in listed[:LISTED_AGENTS]]
    rest = [sums for _, sums in listed[LISTED_AGENTS:]]
    if rest:
        whole = {key: sum(sums[key] for sums in rest) for key in rest[0]}
        people.append((f"{len(rest)} more", _usage_cells(whole)))
    yield from table_lines(
        _USAGE_HEADS, [kinds, people, [("in all", _usage_cells(ledger["total"]))]]
    )


def table_lines(heads: Sequence[str], groups: Sequence[Sequence[TableRow]]) -> Iterator[str]:
    """Lines of aligned columns under their heads, with an empty line between groups of rows."""
    rows = [row for group in groups for row in group]
    first = max(len(name) for name, _ in rows)
    widths = [max(len(head), *(len(row[1][at]) for row in rows)) for at, head in enumerate(heads)]

    def line(name: str, cells: Sequence[str]) -> str:
        return "  ".join([name.ljust(first), *(c.rjust(w) for c, w in zip(cells, widths))])

    yield line("", heads)
    for place, group in enumerate(groups):
        if place:
            yield ""
        for name, cells in group:
            yield line(name, cells)


def _usage_cells(sums: Json) -> tuple[str, ...]:
    share = sums["tokens_reused"] / max(1, sums["tokens_in"])
    return (
        f"{sums['calls']:,}",
        f"{sums['tokens_in']:,}",
        f"{share:.0%}",
        f"{sums['tokens_out']:,}",
        f"{sums['seconds']:,.1f}",
    )


_FORECAST_HEADS = ("calls", "read", "reused", "written", "time")


def forecast_lines(forecast: Forecast) -> Iterator[str]:
    """The lines of a forecast: a row for each hour or day (``~``: not rehearsed), the range, and
    the assumptions."""
    yield (
        f"Forecast: {forecast.steps} steps of {forecast.agents} people, "
        f"{forecast.start:%Y-%m-%d %H:%M} to {forecast.end:%Y-%m-%d %H:%M}"
    )
    spans = forecast.spans()
    days = len(spans) > 1 and all(at.hour == 0 for at, _, _ in spans[1:])
    names = [
        ("" if rehearsed else "~") + (f"{at:%a %d}" if days else f"{at:%a %H:%M}")
        for at, rehearsed, _ in spans
    ]
    cells = [_forecast_cells(row) for _, _, row in spans]
    yield from table_lines(
        _FORECAST_HEADS, [list(zip(names, cells)), [("in all", _forecast_cells(forecast.total))]]
    )
    low, high = forecast.low, forecast.high
    yield (
        f"likely {_rounded_count(low['calls'])} to {_rounded_count(high['calls'])} calls, "
        f"{_rounded_count(low['tokens_in'])} to {_rounded_count(high['tokens_in'])} tokens read, "
        f"{_rounded_count(low['tokens_out'])} to {_rounded_count(high['tokens_out'])} written, "
        f"{format_duration(low['seconds'])} to {format_duration(high['seconds'])}"
    )
    effort = forecast.timings
    yield (
        f"({effort['lives']:.0f} rehearsal(s) of {effort['rehearsed_steps']:.0f} steps in "
        f"{effort['rehearsing']:.0f} s, {effort['probed_calls']:.0f} asks probed in "
        f"{effort['probing']:.0f} s)"
    )
    yield "It assumes:"
    for one in forecast.assumptions:
        yield f"- {one}"


def _forecast_cells(row: Mapping[str, float]) -> tuple[str, ...]:
    reused = row["tokens_reused"] / max(1.0, row["tokens_in"])
    return (
        _rounded_count(row["calls"]),
        _rounded_count(row["tokens_in"]),
        f"{reused:.0%}",
        _rounded_count(row["tokens_out"]),
        format_duration(row["seconds"]),
    )


def _rounded_count(value: float) -> str:
    """A count with three significant digits.

    >>> _rounded_count(104_731), _rounded_count(87)
    ('105,000', '87')
    """
    digits = max(0, len(str(int(value))) - 3)
    return f"{round(value, -digits):,.0f}"


def format_duration(seconds: float) -> str:
    """Minutes and seconds, or hours and minutes.

    >>> format_duration(97), format_duration(7300)
    ('1:37 min', '2:01 h')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{whole} s"
    if whole < 3600:
        return f"{whole // 60}:{whole % 60:02d} min"
    return f"{whole // 3600}:{whole % 3600 // 60:02d} h"
