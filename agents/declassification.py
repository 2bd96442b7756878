"""Releases: what makes a memory be for more people, or of fewer sources, than it was made of.

A label only ever grows narrower by itself. A person may say otherwise of one record (see
``release_record``), or a rule in the policy of all that is written (``Policy.releases``). Either is
written down in the book of calls: by whom or by which rule, and what was released.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

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
from ..memory import ToolCallLog, read_vector
from ..tools import is_trusted, validate_patterns, validate_source_patterns
from .thought_guard import SPOKEN_LINE, ReleasedRecord

if TYPE_CHECKING:
    from .agent import Agent

RELEASE_LOG = "releases"
"""Among the lines beside a step's records: one that was released by rules."""


def release_record(
    agent: Agent,
    number: RecordId,
    *,
    audience: AgentId | Sequence[AgentId] | None = None,
    clear: Sequence[str] = (),
    by: str,
    why: str = "",
) -> Record:
    """Write a memory anew with a wider label, on the word of ``by``, and return the new record;
    the old one stays as it is.

    It is for ``audience`` then (EVERYBODY or empty: for everybody; None: for whom it was), all
    of whom it was for before among them; the sources that the patterns ``clear`` match are
    taken off (as in ``Policy.trusted``). Words whose speaker is cleared count as the agent's
    own. Raises SettingError for what releases nothing, MemoryFault for no such record.
    """
    if not isinstance(by, str) or not by.strip():
        raise SettingError(f"{agent.id}: a release is made by somebody; say by whom: by='Olga'")
    import numpy as np

    memory, book = agent.memory, ToolCallLog(agent.memory.store)
    old = memory.record(number)
    before = Label(memory.sources(number), old.audience)
    after = Label(
        _cleared_sources(agent, before, clear), _widened_audience(agent, before, audience)
    )
    if after == before:
        raise SettingError(
            f"{agent.id}: nothing to release: record {number} is for "
            f"{' and '.join(before.audience) or 'everybody'}, of the words of "
            f"{', '.join(before.sources) or 'nobody else'}; give another audience, or clear a "
            "source"
        )
    with memory.store.transaction():
        step = memory.index.last_step
        record = _relabelled_copy(agent, old, after)
        kept = read_vector(memory.store, agent.id, number)
        vectors = None if kept is None else {record.id: np.frombuffer(kept, "<f4")}
        memory.add([record], vectors, step=step)
        _write_release(book, agent.id, step, record.id, before, after, {"of": number}, why, by)
    return memory.record(record.id)


def log_release(agent: Agent, records: Sequence[Record], line: Json, step: int) -> None:
    """Write down, inside the caller's transaction, that a record of a step, or its line (kept
    as of record 0), was released by rules: ``line`` is the JSON of a ``ReleasedRecord``."""
    one = from_json(ReleasedRecord, line)
    book = ToolCallLog(agent.memory.store)
    told: dict[str, Json] = {"rules": list(one.rules)}
    if one.place == SPOKEN_LINE:
        after, _ = agent.tools.policy.apply_releases(one.before, kind="utterance", owner=agent.id)
        _write_release(book, agent.id, step, 0, one.before, after, told)
        return
    record = records[one.place]
    after = Label(agent.memory.sources(record.id), record.audience)
    told |= {"rested_on": list(one.evidence)}
    _write_release(book, agent.id, step, record.id, one.before, after, told)


def _write_release(
    book: ToolCallLog,
    who: AgentId,
    step: int,
    number: RecordId,
    before: Label,
    after: Label,
    told: dict[str, Json],
    why: str = "",
    by: str = "",
) -> None:
    cleared = [source for source in before.sources if source not in after.sources]
    arguments: dict[str, Json] = {
        "record": number,
        "audience": list(after.audience) or EVERYBODY,
        "was_for": list(before.audience) or EVERYBODY,
        "cleared": cleared,
        **told,
    }
    approval = Approval(True, why, by) if by else None
    where = AskId(step, who, "")
    book.record_label_release(where, arguments, sources=before.sources, why=why, approval=approval)


def _cleared_sources(agent: Agent, before: Label, clear: Sequence[str]) -> tuple[str, ...]:
    """The sources that are left. Raises SettingError for a pattern that matches none."""
    known = validate_patterns(clear, f"{agent.id}: 'clear'")
    validate_source_patterns(known, f"{agent.id}: 'clear'")
    for pattern in known:
        if not any(is_trusted(source, (pattern,)) for source in before.sources):
            raise SettingError(
                f"{agent.id}: no source of the record is meant by '{pattern}'; it rests on the "
                f"words of {', '.join(before.sources) or 'nobody else'}"
            )
    return tuple(source for source in before.sources if not is_trusted(source, known))


def _widened_audience(
    agent: Agent, before: Label, audience: AgentId | Sequence[AgentId] | None
) -> tuple[AgentId, ...]:
    """For whom it is then. Raises SettingError where somebody would lose what was for them."""
    if audience is None:
        return before.audience
    if audience == EVERYBODY or tuple(audience) in ((), (EVERYBODY,)):
        return ()
    people = tuple(sorted(set(map(normalize_name, parse_audience(audience)))))
    missing = [name for name in before.audience if name not in (*people, agent.id)]
    if not before.audience or missing:
        whom = " and ".join(missing) or "everybody"
        raise SettingError(
            f"{agent.id}: a release only widens, and the record is for {whom} too; name all for "
            "whom it is, or write another record"
        )
    return people


def _relabelled_copy(agent: Agent, old: Record, label: Label) -> Record:
    """The new record: it rests on no other, from which it would take the old label again."""
    record = replace(
        old,
        id=agent.memory.next_id,
        evidence=(),
        depth=0,
        audience=label.audience,
        sources=label.sources,
    )
    if set(implied_sources(record, agent.id)) <= set(label.sources):
        return record
    # Its speaker, or its document, is cleared: on the word of who releases it is its own now.
    return replace(record, kind="thought", who=agent.id)
