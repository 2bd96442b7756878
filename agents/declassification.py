"""Declassification: giving a record a wider audience or fewer sources than it was derived from.

Labels only get narrower by themselves. A person may release one record (``release_record``), and
a rule of the policy may release every new record that it matches (``Policy.releases``). Both are
recorded in the tool-call log: by whom or by which rule, and what was released.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ..core import (
    EVERYBODY,
    AgentId,
    Approval,
    AskId,
    Json,
    Label,
    Record,
    RecordId,
    SettingError,
    from_json,
    implied_sources,
    normalize_name,
    parse_audience,
)
from ..memory import Memory, ToolCallLog, read_vector
from ..tools import Policy, is_trusted, validate_patterns, validate_source_patterns
from .thoughts import SPOKEN_LINE, ReleasedRecord

RELEASE_LOG = "releases"
"""The log in ``Step.beside`` for records that were released by rules of the policy."""


def release_record(
    memory: Memory,
    number: RecordId,
    *,
    audience: AgentId | Sequence[AgentId] | None = None,
    clear: Sequence[str] = (),
    by: str,
    why: str = "",
) -> Record:
    """Copy a record under a wider label, on the authority of ``by``, and return the copy.

    ``audience`` is the new audience and must include the old one (EVERYBODY or empty: everybody;
    None: unchanged). Sources that match a pattern of ``clear`` are removed (patterns as in
    ``Policy.trusted``). If the speaker or document of the record is removed, the copy is a
    thought of the agent's own. Raises SettingError if nothing would be released, MemoryFault for
    an unknown record.
    """
    owner = memory.agent
    if not isinstance(by, str) or not by.strip():
        raise SettingError(f"{owner}: a release is made by somebody; say by whom: by='Olga'")
    import numpy as np

    record = memory.record(number)
    before = Label(memory.sources(number), record.audience)
    after = Label(
        _cleared_sources(owner, before, clear), _widened_audience(owner, before, audience)
    )
    if after == before:
        raise SettingError(
            f"{owner}: nothing to release: record {number} is for "
            f"{' and '.join(before.audience) or 'everybody'}, of the words of "
            f"{', '.join(before.sources) or 'nobody else'}; give another audience, or clear a "
            "source"
        )
    with memory.store.transaction():
        step = memory.index.last_step
        copy = _relabelled_copy(record, memory.next_id, after, owner)
        vector = read_vector(memory.store, owner, number)
        vectors = None if vector is None else {copy.id: np.frombuffer(vector, "<f4")}
        memory.add([copy], vectors, step=step)
        _write_release(memory, step, copy.id, before, after, {"of": number}, why, by)
    return memory.record(copy.id)


def log_release(
    memory: Memory, policy: Policy, records: Sequence[Record], line: Json, step: int
) -> None:
    """Log, in the caller's transaction, that rules of the policy released a record of a step, or
    its spoken line (logged as record 0). ``line`` is the JSON of a ``ReleasedRecord``."""
    released = from_json(ReleasedRecord, line)
    details: dict[str, Json] = {"rules": list(released.rules)}
    if released.place == SPOKEN_LINE:
        after, _ = policy.apply_releases(released.before, kind="utterance", owner=memory.agent)
        _write_release(memory, step, 0, released.before, after, details)
        return
    record = records[released.place]
    after = Label(memory.sources(record.id), record.audience)
    details |= {"rested_on": list(released.evidence)}
    _write_release(memory, step, record.id, released.before, after, details)


def _write_release(
    memory: Memory,
    step: int,
    number: RecordId,
    before: Label,
    after: Label,
    details: dict[str, Json],
    why: str = "",
    by: str = "",
) -> None:
    arguments: dict[str, Json] = {
        "record": number,
        "audience": list(after.audience) or EVERYBODY,
        "was_for": list(before.audience) or EVERYBODY,
        "cleared": [source for source in before.sources if source not in after.sources],
        **details,
    }
    ToolCallLog(memory.store).record_label_release(
        AskId(step, memory.agent, ""),
        arguments,
        sources=before.sources,
        why=why,
        approval=Approval(True, why, by) if by else None,
    )


def _cleared_sources(owner: AgentId, before: Label, clear: Sequence[str]) -> tuple[str, ...]:
    """The sources without those that a pattern matches. Raises SettingError for a pattern that
    matches none."""
    patterns = validate_patterns(clear, f"{owner}: 'clear'")
    validate_source_patterns(patterns, f"{owner}: 'clear'")
    for pattern in patterns:
        if not any(is_trusted(source, (pattern,)) for source in before.sources):
            raise SettingError(
                f"{owner}: no source of the record is meant by '{pattern}'; it rests on the "
                f"words of {', '.join(before.sources) or 'nobody else'}"
            )
    return tuple(source for source in before.sources if not is_trusted(source, patterns))


def _widened_audience(
    owner: AgentId, before: Label, audience: AgentId | Sequence[AgentId] | None
) -> tuple[AgentId, ...]:
    """The new audience. Raises SettingError if it leaves out somebody of the old one."""
    if audience is None:
        return before.audience
    if audience == EVERYBODY or tuple(audience) in ((), (EVERYBODY,)):
        return ()
    people = tuple(sorted(set(map(normalize_name, parse_audience(audience)))))
    missing = [name for name in before.audience if name not in (*people, owner)]
    if not before.audience or missing:
        names = " and ".join(missing) or "everybody"
        raise SettingError(
            f"{owner}: a release only widens, and the record is for {names} too; name all for "
            "whom it is, or write another record"
        )
    return people


def _relabelled_copy(record: Record, number: RecordId, label: Label, owner: AgentId) -> Record:
    """The record under a new number and label, without its evidence: from that it would take the
    old label again."""
    copy = replace(
        record, id=number, evidence=(), depth=0, audience=label.audience, sources=label.sources
    )
    if set(implied_sources(copy, owner)) <= set(label.sources):
        return copy
    # Its speaker or document is cleared: it becomes a thought of the owner.
    return replace(copy, kind="thought", who=owner)
