"""Verification of a run's file: the hash chain of steps and everything that it covers."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from functools import partial

from ..core import (
    DenizensError,
    Json,
    Model,
    ModelError,
    RunCorrupt,
    SettingError,
    ToolError,
    digest,
    digest_text,
    to_json,
)
from ..memory import Documents, Facts, Memory, ToolCallLog, agents_in, prepare_store
from ..store import Damage, Store
from .builder import allow_run_code, assemble_simulation, make_world
from .lazy_model import LazyModel
from .record import (
    ASK_COLUMNS,
    SNAPSHOT_EVERY,
    Journal,
    ask_label,
    checksum_fits,
    decode_answer,
    decode_ask,
)
from .run_header import stored_map, stored_scenario

_REQUIRED_KEYS = ("start", "models", "steps", "seconds", "store.schema")


def check_run(store: Store, *, allow_code: bool = False) -> tuple[Damage, ...]:
    """All damage of a run: file, texts, memories, hash chain, asks, states, snapshots, costs, and
    whether it can be resumed. A world, planner or tool that is not the package's own is loaded
    only with ``allow_code``."""
    damage: list[Damage] = []
    checks: tuple[Callable[[Store], Iterator[Damage]], ...] = (
        *(_check_file, _check_header, _check_ticks, _check_states, _check_snapshots),
        *(_check_memories, _check_asks, _check_usage),
        partial(_check_resumes, allow_code=allow_code),
    )
    for check in checks:
        try:
            damage.extend(check(store))
        # Code that reads a damaged file may raise any exception; here, and only here, each is
        # reported as damage.
        except (DenizensError, sqlite3.Error, ValueError, LookupError, TypeError) as error:
            damage.append(Damage("journal", str(error)))
        except (AttributeError, OverflowError, RecursionError) as error:
            damage.append(Damage("journal", f"cannot be read: {error}"))
        if damage:
            # What is built on a damaged layer cannot be read safely.
            break
    return tuple(damage)


def _check_file(store: Store) -> Iterator[Damage]:
    Journal(store)
    prepare_store(store)
    ToolCallLog(store)
    yield from store.verify()


def _check_header(store: Store) -> Iterator[Damage]:
    for key in _REQUIRED_KEYS:
        if store.get(key) is None:
            yield Damage(f"header '{key}'", "is missing")
    about = (store.get("start") or {}).get("about")
    if about:
        stored_scenario(store)
        if about.get("map") != store.get("map"):
            yield Damage("header 'map'", "is not the map the run was begun with")
        stored_map(store)


def _check_ticks(store: Store) -> Iterator[Damage]:
    journal = Journal(store)
    journal.check_ticks()
    for (step, at), entry in zip(
        store.rows("SELECT step, at FROM ticks ORDER BY step"), journal.entries()
    ):
        if entry["at"] != at or entry["step"] != step:
            yield Damage(f"step {step}", "its time was changed")
        if entry["asks"] != journal.asks_digest(step, "asks"):
            yield Damage(f"asks of step {step}", "were changed or removed")
        if entry["inputs"] != [to_json(given) for given in journal.inputs(step)]:
            yield Damage(f"inputs of step {step}", "were changed or removed")


def _check_states(store: Store) -> Iterator[Damage]:
    stored = {
        (step, agent): _digest(state)
        for step, agent, state in store.rows("SELECT step, agent, state FROM states")
    }
    recorded = {
        (entry["step"], agent): digest
        for entry in Journal(store).entries()
        for agent, digest in entry["states"].items()
    }
    for where in sorted(set(stored) | set(recorded)):
        if stored.get(where) != recorded.get(where):
            step, agent = where
            yield Damage(f"state of {agent} at step {step}", "was changed or removed")


def _check_snapshots(store: Store) -> Iterator[Damage]:
    journal = Journal(store)
    steps = journal.steps
    missing = {-1, *range(SNAPSHOT_EVERY - 1, steps, SNAPSHOT_EVERY)}
    for step, world, key in store.rows("SELECT step, world, digest FROM snapshots"):
        missing.discard(step)
        if _digest(world) != key:
            yield Damage(f"snapshot after step {step}", "does not fit its checksum")
        elif steps and key != journal.snapshot_digest(step):
            yield Damage(f"snapshot after step {step}", "does not fit the hash chain")
    for step in sorted(missing):
        yield Damage(f"snapshot after step {step}", "is missing")


def _digest(text: Json) -> str:
    # A damaged row may have values of any type.
    return digest_text(text) if isinstance(text, str) else "no text"


def _check_memories(store: Store) -> Iterator[Damage]:
    """Compare the end of each memory's hash chain with the journal, so that the memories of one
    run cannot replace those of another. The chains themselves were verified with the file."""
    ends: dict[str, str] = {}
    for entry in Journal(store).entries():
        ends.update(entry["records"])
    for agent in sorted({*agents_in(store), *ends}):
        memory = Memory(store, agent)
        if ends.get(agent) != memory.digest:
            yield Damage(f"memory of {agent}", "does not end where the journal says")
        # Reads everything: a record may be unreadable although its hash fits.
        memory.records()
        Facts(memory).find(past=True)
        for name in (documents := Documents(memory, None)).names():
            documents.passages(name)


def _check_asks(store: Store) -> Iterator[Damage]:
    steps = Journal(store).steps
    for table, first, last in (("asks", 0, steps - 1), ("pending", steps, steps)):
        for row in store.rows(f"SELECT {ASK_COLUMNS} FROM {table} ORDER BY step, agent, path"):
            name = ask_label(*row[:3])
            if not checksum_fits(row):
                yield Damage(name, "does not fit its checksum")
            elif not first <= row[0] <= last:
                yield Damage(name, "belongs to no step")
            elif not _columns_match(store, row):
                yield Damage(name, "was changed")


def _check_usage(store: Store) -> Iterator[Damage]:
    journal = Journal(store)
    yield from journal.usage.damage(journal.steps)


def _check_resumes(store: Store, allow_code: bool) -> Iterator[Damage]:
    """Load world, states and memories as ``resume`` does.

    Skipped when the run names code that is not the package's own, unless ``allow_code`` is set:
    verifying a file must not run code that it names. What is missing on this machine is no
    damage."""
    if not (store.get("start") or {}).get("about"):
        return
    scenario = stored_scenario(store)
    try:
        with allow_run_code(store.name, allow_code):
            world = make_world(scenario, store)
            assemble_simulation(scenario, world, store, LazyModel(scenario.model.name, _no_model))
    except (SettingError, ToolError):
        return
    except RunCorrupt:
        raise
    except DenizensError as error:
        yield Damage("the run", f"cannot be resumed: {error}")


def _no_model() -> Model:
    raise ModelError("a check asks no model")


def _columns_match(store: Store, row: tuple[Json, ...]) -> bool:
    """Whether the other columns of a row agree with its ask and answer."""
    _, _, _, kind, role, ask_digest, ask_text, answer_text, *tokens, _ = row
    ask, answer = to_json(decode_ask(store, ask_text)), to_json(decode_answer(store, answer_text))
    return bool(
        digest(ask) == ask_digest
        and ask["kind"] == kind
        and ask.get("role", "") == role
        and [answer.get("tokens_in", 0), answer.get("tokens_out", 0)] == tokens
    )
