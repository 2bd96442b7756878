"""What a run cost, as a small table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeAlias

from ..core import Json

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
