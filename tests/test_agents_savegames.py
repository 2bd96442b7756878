"""Savegames of an agent: memory, state and sessions; corrections by its own model."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from denizens import Agent, Memory, Persona
from denizens.core import Generate, ModelAsk
from denizens.memory.erasure import erase_person
from denizens.models import ImprovisedModel
from denizens.planners import Dialogue
from denizens.testing import ScriptedModel

NOON = datetime(2026, 5, 2, 12)


def baker(path: Path, model: Any = None) -> Agent:
    """Bo, who improvises."""
    persona = Persona(name="Bo", facts=("Bo bakes rye.",))
    dialogue = Dialogue(drafts=1, unknown=0)
    return Agent(
        persona, model=model or ImprovisedModel(), memory=Memory(path, "Bo"), dialogue=dialogue
    )


def lines(agent: Agent, person: str = "Ada") -> list[str]:
    """What was said in the person's session."""
    return [line.text for line in agent.session(person).lines]


def test_a_savegame_has_memory_state_and_sessions(tmp_path: Path) -> None:
    """Loading a save gives the talk, the memory and the state of then, also in a new process and
    back to a later save."""
    bo = baker(tmp_path / "bo.db")
    bo.session("Ada").say("Good morning!", at=NOON)
    bo.state = replace(bo.state, currently="waiting for Ada")
    early, talk, count = bo.snapshot("early", at=NOON), lines(bo), len(bo.memory)
    bo.session("Ada").say("The mill burned.", at=NOON + timedelta(minutes=1))
    bo.session("Cem").say("Hello!", at=NOON + timedelta(minutes=2))
    bo.state = replace(bo.state, currently="afraid")
    late, longer = bo.snapshot("late", at=NOON), lines(bo)
    bo.restore(early)
    assert (lines(bo), len(bo.memory), bo.state.currently) == (talk, count, "waiting for Ada")
    assert bo.sessions("Cem") == ()
    bo.session("Ada").say("The mill stands.", at=NOON + timedelta(minutes=3))
    assert len(lines(bo)) == len(talk) + 2
    bo.memory.close()
    bo = baker(tmp_path / "bo.db")
    bo.restore(late.id)
    assert (lines(bo), bo.state.currently) == (longer, "afraid")
    assert bo.sessions("Cem") == ("main",)
    assert bo.memory.store.verify() == ()
    bo.memory.close()


def test_a_save_before_the_first_chat_learns_the_facts_again(tmp_path: Path) -> None:
    """The persona's facts are added once in each branch."""
    bo = baker(tmp_path / "bo.db")
    start = bo.snapshot()
    for _ in range(2):
        bo.chat("Hello!", "Ada", at=NOON)
        texts = [record.text for record in bo.memory.records()]
        assert texts.count("Bo bakes rye.") == 1
        bo.restore(start)
        assert len(bo.memory) == 0
    bo.memory.close()


def test_an_erased_person_is_in_no_savegame(tmp_path: Path) -> None:
    """After erasing Ada, the save with her talk has neither her lines nor her state."""
    path = tmp_path / "bo.db"
    bo = baker(path)
    bo.session("Ada").say("My canary is XYZZY-77.", at=NOON)
    bo.session("Cem").say("Hello!", at=NOON)
    bo.state = replace(bo.state, currently="thinking of Ada")
    bo.snapshot("with Ada")
    bo.memory.close()
    assert erase_person(path, "Ada", now=NOON, mentions=True).found == 0
    bo = baker(path)
    restored = bo.restore(1)
    assert (restored.label, restored.state, bo.state.currently) == ("", None, "")
    assert (bo.sessions("Ada"), len(lines(bo, "Cem"))) == ((), 2)
    bo.memory.close()
    assert b"XYZZY" not in path.read_bytes()


def test_a_reply_over_a_restore_rests_on_nothing_gone(tmp_path: Path) -> None:
    """A save loaded while a reply is thought out leaves no record with evidence that is gone."""
    asked, go_on = threading.Event(), threading.Event()

    def answer(ask: ModelAsk) -> Any:
        if isinstance(ask, Generate) and not go_on.is_set():
            asked.set()
            go_on.wait(10)
        return "Rye." if isinstance(ask, Generate) else None

    bo = baker(tmp_path / "bo.db", ScriptedModel(answer))
    start = bo.snapshot()
    go_on.set()
    bo.session("Ada").say("Hello!", at=NOON)
    go_on.clear()
    reply = bo.session("Ada").stream("What do you bake?", at=NOON)
    assert asked.wait(10)
    bo.restore(start)
    go_on.set()
    ended = reply.result(30)
    # What was shown before the restore cannot be made again: it is not remembered.
    assert ended.text or (ended.failure is not None and ended.failure.reason == "forgotten")
    assert bo.memory.store.verify() == ()
    bo.memory.close()


@pytest.mark.parametrize("keep", [True, False])
def test_an_agent_corrects_with_its_own_embedding(tmp_path: Path, keep: bool) -> None:
    """The corrected record has an embedding of the agent's model, and the session's prompt no
    longer has the old words."""
    asks: list[ModelAsk] = []

    def answer(ask: ModelAsk) -> Any:
        asks.append(ask)
        return "I see." if isinstance(ask, Generate) else None

    bo = baker(tmp_path / "bo.db", ScriptedModel(answer))
    bo.session("Ada").say("My dog is called Rexanus.", at=NOON)
    (old,) = (record for record in bo.memory.records() if "Rexanus" in record.text)
    new = bo.corrections.correct(
        old.id, "My dog is called Max.", keep_history=keep, by="Ada", at=NOON
    )
    assert new.text == 'Ada said to Bo: "My dog is called Max."'
    asks.clear()
    bo.session("Ada").say("What is my dog called?", at=NOON + timedelta(minutes=1))
    assert "Rexanus" not in repr(asks)
    assert bo.memory.store.verify() == ()
    bo.memory.close()
    assert (b"Rexanus" in (tmp_path / "bo.db").read_bytes()) is keep
