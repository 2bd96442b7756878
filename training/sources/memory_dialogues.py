"""Dialogues from a memory file: the chats of its agents with people."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path

from ...core import AgentId, Record
from ...memory import Memory, agents_in, prepare_store
from ...store import Store
from ..dialogues import DialogueLine, PersonaDialogue

SESSION_GAP = timedelta(minutes=30)
"""A longer silence between lines that name no session begins a new dialogue."""

PRIVATE = "lines of private chats (allow a person's with --chats-with NAME)"

_UTTERANCE = re.compile(r'(?P<who>.+?) said to (?P<whom>.+?): "(?P<text>.*)"', re.DOTALL)


def read_memory(
    file: Path, left_out: Counter[str] | None = None, people: Sequence[AgentId] = ()
) -> list[PersonaDialogue]:
    """The chats in a memory file, a dialogue for each session of an agent with one person.

    The agent's lines are learned; the person's are only answered. A private chat is left out
    unless its person is one of ``people``: a voice may repeat to anybody what it was trained on.
    What was erased is not in the file any more; what rests on a quarantined source is left out.
    ``left_out`` counts by reason. Raises MemoryFault.
    """
    counts = Counter[str]() if left_out is None else left_out
    with Store(file, write=False) as store:
        prepare_store(store)
        return [
            dialogue
            for agent in agents_in(store)
            for session in _sessions(Memory(store, agent), people, counts)
            if (dialogue := _dialogue(agent, session, counts))
        ]


def _sessions(
    memory: Memory, people: Sequence[AgentId], left_out: Counter[str]
) -> Iterator[list[tuple[Record, AgentId, str]]]:
    """The sessions of a memory, each as (record, partner, text) of its lines."""
    sessions: dict[str, list[tuple[Record, AgentId, str]]] = {}
    closed: set[str] = set()
    last: dict[AgentId, tuple[str, Record]] = {}
    for record in memory.records(kinds=("utterance",)):
        match = _UTTERANCE.fullmatch(record.text)
        own = match is not None and match["who"] == memory.agent
        partner = (match["whom"] if own else match["who"]) if match else ""
        if not match or (not own and match["whom"] != memory.agent):
            continue  # a line that was overheard, or said to several
        key, before = last.get(partner, ("", record))
        if record.episode:
            key = record.episode
        elif not key or record.created - before.created > SESSION_GAP:
            key = f"{partner}, {record.created.isoformat()}"
        last[partner] = (key, record)
        if record.audience and not set(record.audience) <= {*people, memory.agent}:
            closed.add(key)
            left_out[PRIVATE] += 1
        elif memory.quarantined & {record.who, *memory.sources(record.id)}:
            closed.add(key)
            left_out["lines that rest on a quarantined source"] += 1
        else:
            sessions.setdefault(key, []).append((record, partner, match["text"]))
    yield from (lines for key, lines in sessions.items() if key not in closed)


def _dialogue(
    agent: AgentId, session: list[tuple[Record, AgentId, str]], left_out: Counter[str]
) -> PersonaDialogue | None:
    """A session as a dialogue; None if it is left out."""
    partner = session[0][1]
    lines = tuple(
        DialogueLine(int(record.who not in ("", agent)), " ".join(text.split()))
        for record, _, text in session
        if text.strip()
    )
    if {line.speaker for line in lines} != {0, 1}:
        left_out["only one side speaks"] += 1
        return None
    return PersonaDialogue(
        lines=lines,
        names=(agent, partner),
        source=f"{agent} and {partner}, {session[0][0].created.isoformat()}",
        learned=(True, False),
    )
