"""What a run cost, as a small table.

run --forecast: what a run would cost, as a table.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

from ..core import Json

if TYPE_CHECKING:
    from ..simulation.forecast import Forecast

LISTED_AGENTS = 5
"""How many of the people are listed, those who cost most first."""

TableRow: TypeAlias = tuple[str, tuple[str, ...]]

_USAGE_HEADS = ("calls", "read", "reused", "written", "seconds")


def usage_lines(ledger: Json) -> Iterator[str]:
    """Lines of a table: by kind of ask, by the dearest people, in total; none for a run
    that asked no model. ``ledger`` is what ``summary`` gives."""
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
    """Lines of aligned columns under their heads; an empty line between groups of rows."""
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


def forecast_lines(found: Forecast) -> Iterator[str]:
    """Lines about a forecast: a row for every hour or day (with a tilde where it was not
    rehearsed), the range, what it assumes."""
    yield (
        f"Forecast: {found.steps} steps of {found.agents} people, "
        f"{found.start:%Y-%m-%d %H:%M} to {found.end:%Y-%m-%d %H:%M}"
    )
    spans = found.spans()
    days = len(spans) > 1 and all(at.hour == 0 for at, _, _ in spans[1:])
    names = [
        ("" if lived else "~") + (f"{at:%a %d}" if days else f"{at:%a %H:%M}")
        for at, lived, _ in spans
    ]
    cells = [_forecast_cells(row) for _, _, row in spans]
    yield from table_lines(
        _FORECAST_HEADS, [list(zip(names, cells)), [("in all", _forecast_cells(found.total))]]
    )
    low, high = found.low, found.high
    yield (
        f"likely {_rounded_count(low['calls'])} to {_rounded_count(high['calls'])} calls, "
        f"{_rounded_count(low['tokens_in'])} to {_rounded_count(high['tokens_in'])} tokens read, "
        f"{_rounded_count(low['tokens_out'])} to {_rounded_count(high['tokens_out'])} written, "
        f"{format_duration(low['seconds'])} to {format_duration(high['seconds'])}"
    )
    took = found.timings
    yield (
        f"({took['lives']:.0f} rehearsal(s) of {took['rehearsed_steps']:.0f} steps in "
        f"{took['rehearsing']:.0f} s, {took['probed_calls']:.0f} asks probed in "
        f"{took['probing']:.0f} s)"
    )
    yield "It assumes:"
    for one in found.assumptions:
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
    """Two or three digits are all that an estimate has.

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
