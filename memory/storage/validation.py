"""Validation of what is written to a memory.

Functions named ``..._fault`` return an error text (fault and remedy), empty for a valid value.
Everything that writes to a memory is checked here or in ``auxiliary_logs`` before anything is
written, by the rules of reading, so that it can be read again.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from ...core import (
    EVERYBODY,
    RECORD_KINDS,
    AgentId,
    Cue,
    MemoryFault,
    Record,
    RecordId,
    SettingError,
    atomic_path,
    did_you_mean,
    replace_surrogates,
    time_error,
    time_zone,
)
from ...store import is_database

MAX_INTEGER = (1 << 63) - 1
"""The largest integer of an SQLite column."""
_KINDS = frozenset(RECORD_KINDS)
TEXT_FIELDS = ("text", "who", "place", "subject", "predicate", "object", "episode", "source")
"""The text fields of a record."""


def record_fault(record: Record, expected: RecordId) -> str:
    """Why a record is invalid or not number ``expected``."""
    if not isinstance(record, Record):
        return f"{record!r:.60} is no Record"
    if type(record.id) is not int or record.id != expected:
        return f"record {record.id!r} should be number {expected}; use next_id"
    fault = "" if _is_plain_record(record) else _field_fault(record)
    return f"record {record.id}: {fault}" if fault else ""


def _is_plain_record(record: Record) -> bool:
    """A fast test that nearly all valid records pass; the others need ``_field_fault``."""
    at, weight, kind = record.created, record.importance, record.kind
    return (
        type(record.text) is type(record.who) is type(record.place) is type(kind) is str
        and type(record.subject) is type(record.predicate) is type(record.object) is str
        and type(record.episode) is type(record.source) is str
        and kind in _KINDS
        and type(at) is datetime
        and at.tzinfo is None
        and type(weight) is float
        and 1 <= weight < math.inf
        and record.evidence == record.audience == ()
        and type(record.depth) is int
        and record.depth == 0
        and record.until is None
        and record.pinned is False
        and record.sources is None
        and record.zone == ""
    )


def _field_fault(record: Record) -> str:
    kind = record.kind
    if not isinstance(kind, str) or kind not in _KINDS:
        hint = did_you_mean(str(kind), RECORD_KINDS)
        return f"unknown kind {kind!r}{hint}; known: {', '.join(RECORD_KINDS)}"
    for name in TEXT_FIELDS:
        if not isinstance(getattr(record, name), str):
            return text_fault(name, getattr(record, name))
    if isinstance(record.importance, bool) or not isinstance(record.importance, int | float):
        return f"importance {record.importance!r} is no number; use float(...)"
    if isinstance(record.importance, int) and record.importance > MAX_INTEGER:
        return "importance is a whole number above 2**63; use a float"
    if not 1 <= record.importance < math.inf:
        return f"importance {record.importance} must be 1 or more"
    if not isinstance(record.evidence, tuple) or any(type(i) is not int for i in record.evidence):
        return f"evidence {record.evidence!r} is no tuple of record numbers"
    if wrong := [i for i in record.evidence if not 1 <= i < record.id]:
        return f"evidence {wrong} is not older than it"
    if type(record.depth) is not int or not 0 <= record.depth <= MAX_INTEGER:
        return f"depth {record.depth!r} is no whole number from 0"
    if not isinstance(record.audience, tuple) or not all(
        isinstance(name, str) for name in record.audience
    ):
        return f"audience {record.audience!r} is no tuple of names; write ('Ada',) for one person"
    if EVERYBODY in record.audience:
        return f"audience {record.audience!r} names nobody; write () for everybody"
    if fault := _sources_fault(record.sources):
        return fault
    if not isinstance(record.pinned, bool):
        return f"pinned {record.pinned!r} is neither True nor False"
    fault = time_error(record.created, "created") or zone_fault(record.zone)
    return fault or ("" if record.until is None else time_error(record.until, "until"))


def _sources_fault(sources: object) -> str:
    if sources is None:
        return ""
    names = sources if isinstance(sources, tuple) else (None,)
    if all(isinstance(one, str) and one for one in names) and list(names) == sorted(set(names)):
        return ""
    return (
        f"sources {sources!r} are no tuple of names in order, each once; write "
        "tuple(sorted({...})), or None for those of the speaker"
    )


def numbers_fault(name: str, values: object) -> str:
    """Why a value is no sequence of record or line numbers."""
    if isinstance(values, Iterable) and not isinstance(values, str | bytes | Mapping):
        return ""
    return f"{name} {values!r:.60} are no sequence of numbers; write [number]"


@contextmanager
def atomic_export(path: object) -> Iterator[Path]:
    """A temporary file for an export, moved to ``path`` at the end if no error occurs. Raises
    MemoryFault for an invalid path, for a database, and if it cannot be written."""
    target = _export_target(path)
    try:
        with atomic_path(target) as part:
            yield part
    except OSError as error:
        raise MemoryFault(f"{target}: cannot be written ({error.strerror})") from error


def _export_target(path: object) -> Path:
    if not isinstance(path, str | Path) or not str(path) or "\x00" in str(path):
        raise MemoryFault(f"{path!r:.60} is no path; name the file to write")
    target = Path(path)
    if is_database(target):
        raise MemoryFault(
            f"{target}: is a memory or a run, which the export would replace; choose another name"
        )
    return target


def text_fault(name: str, value: object) -> str:
    """Why a value is no text."""
    return "" if isinstance(value, str) else f"{name} {value!r:.60} is no text"


def number_fault(value: object, count: int) -> str:
    """Why a value is not the number of one of ``count`` records."""
    if type(value) is not int:
        return f"{value!r:.60} is no record number"
    return "" if 1 <= value <= count else f"has no record {value}; it has {count}"


def step_fault(step: object) -> str:
    """Why a value is no step number."""
    if type(step) is int and 0 <= step <= MAX_INTEGER:
        return ""
    return f"step {step!r:.60} is no whole number from 0 to {MAX_INTEGER}"


def name_fault(agent: object) -> str:
    """Why a value is no name of a memory's owner."""
    if not isinstance(agent, str) or not agent.strip():
        return f"{agent!r:.60} is nobody's name; name whose memory it is"
    if replace_surrogates(agent) != agent or "\x00" in agent:
        return f"the name {agent!r} has an invalid character; correct it"
    return ""


def check_cue(cue: Cue) -> None:
    """Raises MemoryFault naming the first invalid field of a cue."""
    fault = text_fault("text", cue.text) or time_error(cue.at, "at")
    for name in ("since", "before"):
        if (bound := getattr(cue, name)) is not None:
            fault = fault or time_error(bound, name)
    fault = fault or kinds_fault(cue.kinds)
    for name in ("limit", "tokens", "around"):
        if type(getattr(cue, name)) is not int:
            fault = fault or f"{name} {getattr(cue, name)!r:.60} is no whole number"
    fault = fault or text_fault("person", cue.person) or zone_fault(cue.zone)
    if not isinstance(cue.listeners, tuple):
        fault = fault or f"listeners {cue.listeners!r:.60} are no tuple of names"
    elif cue.listeners:
        faults = (text_fault("listeners", name) for name in cue.listeners)
        fault = fault or next(filter(None, faults), "")
    if fault:
        raise MemoryFault(f"cue: {fault}")


def zone_fault(zone: object) -> str:
    """Why a value is no time zone's name."""
    if not isinstance(zone, str):
        return text_fault("zone", zone)
    try:
        time_zone(zone)
    except SettingError as error:
        return str(error)
    return ""


def kinds_fault(kinds: Sequence[str]) -> str:
    """Why a value is no selection of record kinds."""
    if isinstance(kinds, list | tuple | set | frozenset) and all(
        kind in RECORD_KINDS for kind in kinds
    ):
        return ""
    return f"kinds {kinds!r:.60}; known: {', '.join(RECORD_KINDS)}, in a tuple"


def validated_trust(
    agent: AgentId, trust: Mapping[AgentId, float]
) -> tuple[tuple[AgentId, float], ...]:
    """The trust weights in order of name. Raises SettingError for one not in [0, 1]."""
    for who, weight in trust.items():
        if not isinstance(weight, int | float) or not 0 <= weight <= 1:
            raise SettingError(f"memory of {agent}: trust in '{who}' is {weight}, not in [0, 1]")
    return tuple(sorted(trust.items()))
