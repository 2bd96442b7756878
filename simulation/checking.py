"""Whether a run's file still tells the truth: the chain of ticks and all it covers."""

from __future__ import annotations

import json
from collections.abc import Iterator

from ..core import DenizensError, digest, digest_text, to_json
from ..memory import Memory, agents, prepare
from ..store import Damage, Store, chain
from .journal import Journal, genesis


def check_run(store: Store) -> tuple[Damage, ...]:
    """Everything wrong with a run: file, texts, memories, chain, asks, states, snapshots."""
    journal = Journal(store)
    prepare(store)
    damage = list(store.verify())
    if damage:
        # Where the file itself is broken, what is built on it cannot be read safely.
        return tuple(damage)
    try:
        damage.extend(_chain(store, journal))
        damage.extend(_states(store, journal))
        damage.extend(_memories(store, journal))
        damage.extend(_asks(journal))
    except (DenizensError, ValueError, KeyError, TypeError) as error:
        damage.append(Damage("journal", f"cannot be read: {error}"))
    return tuple(damage)


def _chain(store: Store, journal: Journal) -> Iterator[Damage]:
    head = genesis(store)
    rows = store.rows("SELECT step, at, hash, entry FROM ticks ORDER BY step")
    for expected, (step, at, link, text) in enumerate(rows):
        if step != expected:
            yield Damage(f"tick {expected}", "is missing")
            return
        head = chain(head, text)
        if head != link:
            yield Damage(f"tick {step}", "does not fit the hash chain")
            return
        entry = json.loads(text)
        if entry["at"] != at:
            yield Damage(f"tick {step}", "its time was changed")
        if entry["asks"] != journal.asks_digest(step, "asks"):
            yield Damage(f"asks of tick {step}", "were changed or removed")
        if entry["inputs"] != [to_json(given) for given in journal.inputs(step)]:
            yield Damage(f"inputs of tick {step}", "were changed or removed")
    noted = store.get("steps")
    if noted is not None and noted != len(rows):
        yield Damage("ticks", f"{noted} were written, {len(rows)} are there")
    for step, world, key in store.rows("SELECT step, world, digest FROM snapshots"):
        if digest_text(world) != key:
            yield Damage(f"snapshot after tick {step}", "does not fit its checksum")


def _states(store: Store, journal: Journal) -> Iterator[Damage]:
    kept = {
        (step, agent): digest_text(state)
        for step, agent, state in store.rows("SELECT step, agent, state FROM states")
    }
    named = {
        (entry["step"], agent): key
        for entry in journal.entries()
        for agent, key in entry["states"].items()
    }
    for where in sorted(set(kept) | set(named)):
        if kept.get(where) != named.get(where):
            step, agent = where
            yield Damage(f"state of {agent} at tick {step}", "was changed or removed")


def _memories(store: Store, journal: Journal) -> Iterator[Damage]:
    """Each memory's own chain was checked with the file; here its end is held against the
    journal, so that memories of one run cannot stand beside the ticks of another."""
    ends: dict[str, str] = {}
    for entry in journal.entries():
        ends.update(entry["records"])
    for agent in agents(store):
        if ends.get(agent) != Memory(store, agent).digest:
            yield Damage(f"memory of {agent}", "does not end where the journal says")


def _asks(journal: Journal) -> Iterator[Damage]:
    for row in journal.asks():
        if digest(to_json(row.ask)) != row.digest:
            where = row.where
            yield Damage(f"ask {where.path} of {where.agent} at tick {where.step}", "was changed")
