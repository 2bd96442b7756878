"""What a run cost, as a small table."""

from __future__ import annotations

from collections.abc import Iterator

from ..core import Json

AGENTS = 5
"""How many of the people are listed, those who cost most first."""

_HEADS = ("calls", "read", "reused", "written", "seconds")


def spending(ledger: Json) -> Iterator[str]:
    """Lines of a table: by kind of ask, by the dearest people, in total; none for a run
    that asked no model. ``ledger`` is what ``summary`` gives."""
    if not ledger["total"]["calls"]:
        return
    people = list(ledger["by_agent"].items())
    rows = [(name, _cells(sums)) for name, sums in ledger["by_kind"].items()]
    rows += [(name, _cells(sums)) for name, sums in people[:AGENTS]]
    if len(people) > AGENTS:
        rows.append(
            (f"{len(people) - AGENTS} more", _cells(_added([s for _, s in people[AGENTS:]])))
        )
    rows.append(("in all", _cells(ledger["total"])))
    breaks = {len(ledger["by_kind"]), len(rows) - 1}
    first = max(len(name) for name, _ in rows)
    widths = [
        max(len(head), *(len(cells[at]) for _, cells in rows)) for at, head in enumerate(_HEADS)
    ]
    yield _line("", _HEADS, first, widths)
    for place, (name, cells) in enumerate(rows):
        if place in breaks:
            yield ""
        yield _line(name, cells, first, widths)


def _line(name: str, cells: tuple[str, ...], first: int, widths: list[int]) -> str:
    return "  ".join([name.ljust(first), *(cell.rjust(w) for cell, w in zip(cells, widths))])


def _cells(sums: Json) -> tuple[str, ...]:
    share = sums["tokens_reused"] / max(1, sums["tokens_in"])
    return (
        f"{sums['calls']:,}",
        f"{sums['tokens_in']:,}",
        f"{share:.0%}",
        f"{sums['tokens_out']:,}",
        f"{sums['seconds']:,.1f}",
    )


def _added(many: list[Json]) -> Json:
    return {key: sum(one[key] for one in many) for key in many[0]}
