"""What an agent begins with: its memories, facts and documents, each taken in once."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from denizens import Agent, Choose, Memory, Persona, Rate, Record
from denizens.core import Ask, SettingError
from denizens.memory import Documents, Facts
from denizens.memory.erasure import erase_person
from denizens.testing import ScriptedModel

NOON = datetime(2026, 5, 2, 12)
FACTS = ("Bo bakes bread.", "Bo has a cat.")
OLD = (Record(id=1, kind="observation", text="It rained.", created=NOON - timedelta(days=3)),)


def answering(breaks_at: int = 0, fault: BaseException | None = None) -> ScriptedModel:
    """A model whose ``breaks_at``-th answer is an exception."""
    asked = 0

    def answer(ask: Ask) -> str | int:
        nonlocal asked
        asked += 1
        if asked == breaks_at and fault:
            raise fault
        if isinstance(ask, Choose):
            return ask.options[-1].name
        return 3 if isinstance(ask, Rate) else "Fine."

    return ScriptedModel(answer)


def agent(memory: Memory, model: ScriptedModel, files: tuple[Path, ...] = ()) -> Agent:
    """Bo, with facts, memories and documents to begin with."""
    persona = Persona(name="Bo", facts=FACTS)
    return Agent(persona, model=model, memory=memory, documents=files, memories=OLD)


@pytest.mark.parametrize("fault", [RuntimeError("no memory left"), KeyboardInterrupt()])
@pytest.mark.parametrize("breaks_at", range(1, 6))
def test_a_start_that_breaks_is_gone_on_with(
    breaks_at: int, fault: BaseException, tmp_path: Path
) -> None:
    """Wherever the first start breaks, memories, facts and documents are each there once after
    the next one."""
    for name, text in (("a.md", "Holidays begin on 3 July."), ("b.md", "Shops open at nine.")):
        (tmp_path / name).write_text(text)
    files = (tmp_path / "a.md", tmp_path / "b.md")
    with_fault = answering(breaks_at, fault)
    for model in (with_fault, answering()):
        memory = Memory(tmp_path / "bo.db", "Bo")
        try:
            agent(memory, model, files).chat("Hello", "Ada", at=NOON)
        except (RuntimeError, KeyboardInterrupt):
            assert model is with_fault
        texts = [record.text for record in memory.records()]
        memory.close()
    for wanted in ("It rained", "bakes", "cat", "Holidays", "Shops"):
        assert sum(wanted in text for text in texts) == 1, (wanted, texts)


def write_record(memory: Memory, bo: Agent, file: Path) -> None:
    memory.remember("Ada came by.", at=NOON)


def read_file(memory: Memory, bo: Agent, file: Path) -> None:
    bo.read(file, at=NOON)


def add_document(memory: Memory, bo: Agent, file: Path) -> None:
    Documents(memory).add(file, at=NOON)


def tell_claim(memory: Memory, bo: Agent, file: Path) -> None:
    Facts(memory).assert_fact("Ada", "likes", "tea", at=NOON)


@pytest.mark.parametrize("before", [write_record, read_file, add_document, tell_claim])
def test_what_was_written_before_the_first_chat_hides_no_facts(
    before: Callable[[Memory, Agent, Path], None], tmp_path: Path
) -> None:
    """A record or a document added by public means before the first chat does not keep an agent
    from what it begins with."""
    (tmp_path / "a.md").write_text("Holidays begin on 3 July.")
    memory = Memory(":memory:", "Bo")
    bo = agent(memory, answering())
    before(memory, bo, tmp_path / "a.md")
    bo.chat("Hello", "Ada", at=NOON)
    texts = [record.text for record in memory.records()]
    assert all(texts.count(wanted) == 1 for wanted in (*FACTS, "It rained.")), texts


def test_a_start_that_is_rolled_back_is_made_again() -> None:
    """Where the caller's transaction is rolled back, the same agent begins again."""
    memory = Memory(":memory:", "Bo")
    bo = agent(memory, answering())

    def begin_and_fail() -> None:
        with memory.store.transaction():
            bo.bootstrap(at=NOON)
            raise KeyError

    with pytest.raises(KeyError):
        begin_and_fail()
    assert not len(memory)
    bo.chat("Hello", "Ada", at=NOON)
    assert {record.text for record in memory.records()} >= set(FACTS)


def test_what_was_erased_is_not_learned_again(tmp_path: Path) -> None:
    """A fact that went with a person stays away, in this file and where it is moved to."""
    memory = Memory(tmp_path / "bo.db", "Bo")
    agent(memory, answering()).chat("I have a cat too.", "Cat", at=NOON)
    memory.close()
    erase_person(tmp_path / "bo.db", "cat", now=NOON, mentions=True)
    memory = Memory(tmp_path / "bo.db", "Bo")
    memory.store.execute("DELETE FROM header WHERE key LIKE 'agent.begun%'")
    agent(memory, answering()).chat("Hello", "Ada", at=NOON)
    assert not any("cat" in record.text for record in memory.records())
    memory.close()


def test_two_documents_of_one_name_are_refused(tmp_path: Path) -> None:
    """A memory knows documents by their names: the second would never be read."""
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "readme.md").write_text(f"Shop {folder} opens at nine.")
    files = (tmp_path / "a" / "readme.md", tmp_path / "b" / "readme.md")
    with pytest.raises(SettingError, match="have one name"):
        agent(Memory(":memory:", "Bo"), answering(), files)
    twice = agent(Memory(":memory:", "Bo"), answering(), (files[0], files[0]))
    assert twice.documents == files[:1]
