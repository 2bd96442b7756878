"""Append-only tables whose rows are chained by digests, agent by agent."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeAlias

from ..core import AgentId, RunCorrupt, canonical
from .checksums import chain_digest
from .sqlite_store import Store

Row: TypeAlias = tuple[Any, ...]
"""The number, the step and the content of a row; a digest after it where the log has one."""


class ChainedLog:
    """Rows of one table by agent, numbered from 1 and written at steps that never decrease.

    The table's columns are ``agent``, the number, ``step``, the ``content`` columns, ``digest``
    (where the log has a ``digest`` function of the content) and ``link``: the chain digest of the
    row before and this row, so that a changed or missing row is found. The head, how many rows an
    agent has and the last link, is kept in another table (``heads``: its name and the columns of
    the count and of the link). A digest lets content be emptied while the chain stays whole:
    ``digest`` returns None for emptied content, which is not checked.

    ``row_name`` is a format for error messages with the row's number in it.

    >>> log = ChainedLog("lines", ("body",), heads=("ends", "count", "link"), row_name="line {}")
    >>> with Store(":memory:") as store:
    ...     _ = store.execute("CREATE TABLE lines (agent, n, step, body, link)")
    ...     _ = store.execute("CREATE TABLE ends (agent PRIMARY KEY, count, link)")
    ...     log.append(store, "Bo", [(3, "rye"), (4, "wheat")])
    ...     list(log.read(store, "Bo"))
    2
    [(1, 3, 'rye'), (2, 4, 'wheat')]
    """

    def __init__(
        self,
        table: str,
        content: tuple[str, ...],
        *,
        heads: tuple[str, str, str],
        row_name: str,
        number: str = "n",
        digest: Callable[..., str | None] | None = None,
    ) -> None:
        self.table = table
        self.number = number
        self.digest = digest
        self.columns = (number, "step", *content, *(("digest",) if digest else ()), "link")
        self._heads, self._count_column, self._link_column = heads
        self._row_name = row_name

    def fault(self, store: Store, agent: AgentId, what: str) -> Exception:
        """The error to raise for damage."""
        return RunCorrupt(f"{store.name}: {self.table} of {agent}: {what}")

    # -- heads ----------------------------------------------------------------------

    def agents(self, store: Store) -> tuple[AgentId, ...]:
        """The agents that have a head, in order of name."""
        return tuple(row[0] for row in store.rows(f"SELECT agent FROM {self._heads} ORDER BY 1"))

    def orphans(self, store: Store, known: Iterable[AgentId]) -> list[AgentId]:
        """The names in the table that are not ``known``, in order."""
        names = {str(row[0]) for row in store.rows(f"SELECT DISTINCT agent FROM {self.table}")}
        return sorted(names.difference(known))

    def head(self, store: Store, agent: AgentId) -> tuple[int, str]:
        """How many rows an agent has, and the last link; (0, "") without any."""
        row = store.first_row(
            f"SELECT {self._count_column}, {self._link_column} FROM {self._heads} WHERE agent = ?",
            (agent,),
        )
        return (int(row[0]), str(row[1])) if row else (0, "")

    def set_head(self, store: Store, agent: AgentId, count: int, link: str) -> None:
        """Write an agent's head."""
        store.execute(
            f"INSERT OR REPLACE INTO {self._heads} (agent, {self._count_column}, "
            f"{self._link_column}) VALUES (?, ?, ?)",
            (agent, count, link),
        )

    # -- rows -----------------------------------------------------------------------

    def link(self, previous: str, agent: AgentId, row: Row) -> str:
        """The link of a row (number, step, content, digest) after the link ``previous``."""
        if self.digest:
            # Unambiguous without the cost of JSON: only the last part may hold a space.
            return chain_digest(previous, f"{row[0]} {row[1]} {row[-1]} {agent}")
        return chain_digest(previous, canonical([agent, *row[:2], *map(str, row[2:])]))

    def row_damage(self, previous: str, agent: AgentId, row: Row) -> str:
        """What is wrong with a row (number, step, content, digest, link) that follows the link
        ``previous``; empty: nothing."""
        if self.digest and self.digest(*row[2:-2]) not in (None, row[-2]):
            return "does not hash to its digest"
        if self.link(previous, agent, row[:-1]) != row[-1]:
            return "does not fit the chain of digests"
        return ""

    def append(self, store: Store, agent: AgentId, rows: Iterable[Row]) -> int:
        """Write rows (step, content) inside the caller's transaction (its own without one);
        returns the number of the last one."""
        return self.replace(store, agent, rows, after=None)

    def replace(
        self, store: Store, agent: AgentId, rows: Iterable[Row], *, after: int | None
    ) -> int:
        """Write rows (step, content) in place of all after number ``after`` (None: behind all);
        returns the number of the last one."""
        with store.transaction():
            if after is None:
                after, link = self.head(store, agent)
            else:
                link = self.link_of(store, agent, after)
                store.execute(
                    f"DELETE FROM {self.table} WHERE agent = ? AND {self.number} > ?",
                    (agent, after),
                )
            count, written = after, []
            for count, (step, *content) in enumerate(rows, after + 1):
                if self.digest:
                    content.append(self.digest(*content))
                link = self.link(link, agent, (count, step, *content))
                written.append((agent, count, step, *content, link))
            marks = ", ".join("?" * (len(self.columns) + 1))
            store.executemany(f"INSERT INTO {self.table} VALUES ({marks})", written)
            self.set_head(store, agent, count, link)
        return count

    def read(self, store: Store, agent: AgentId, *, after: int = 0) -> Iterator[Row]:
        """An agent's rows (number, step, content) in order, checked against digests, links and
        the head. Raises ``fault`` naming the first row that does not fit.

        ``after`` skips rows that were read before.
        """
        count, link = after, self.link_of(store, agent, after)
        for row in store.iter_rows(
            f"SELECT {', '.join(self.columns)} FROM {self.table} "
            f"WHERE agent = ? AND {self.number} > ? ORDER BY {self.number}",
            (agent, after),
        ):
            count += 1
            if row[0] != count:
                raise self.fault(store, agent, f"{self._name(count)} is missing")
            if wrong := self.row_damage(link, agent, row):
                raise self.fault(store, agent, f"{self._name(count)} {wrong}")
            link = row[-1]
            yield row[: -2 if self.digest else -1]
        written, end = self.head(store, agent)
        if count < written:
            raise self.fault(store, agent, f"{self._name(count + 1)} is missing")
        if (written, end) != (count, link):
            raise self.fault(store, agent, f"{self._name(written)} should be the last one")

    def truncate(self, store: Store, step: int) -> None:
        """Delete every agent's rows later than ``step``."""
        with store.transaction():
            for agent in self.agents(store):
                store.execute(
                    f"DELETE FROM {self.table} WHERE agent = ? AND step > ?", (agent, step)
                )
                row = store.first_row(
                    f"SELECT {self.number}, link FROM {self.table} WHERE agent = ? "
                    f"ORDER BY {self.number} DESC LIMIT 1",
                    (agent,),
                )
                count, link = row or (0, "")
                self.set_head(store, agent, int(count), str(link))

    def link_of(self, store: Store, agent: AgentId, number: int) -> str:
        """The link of an agent's row; empty if there is none."""
        row = store.first_row(
            f"SELECT link FROM {self.table} WHERE agent = ? AND {self.number} = ?", (agent, number)
        )
        return str(row[0]) if row else ""

    def _name(self, number: object) -> str:
        return self._row_name.format(number)
