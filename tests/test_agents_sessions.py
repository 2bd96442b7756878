"""Sessions: what is kept, regenerated, edited, branched and interrupted."""

from __future__ import annotations

import asyncio
import threading
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from denizens import Agent, Memory, Persona
from denizens.agents import (
    CancelToken,
    ChatMoment,
    ChatSettings,
    HookFailed,
    LineRefused,
    ModerationHooks,
    ReplyEnd,
    ReplyStopped,
    Session,
    TextPiece,
)
from denizens.core import Choose, Generate, ModelAsk, Rate, SettingError
from denizens.models import ImprovisedModel
from denizens.planners import Dialogue
from denizens.testing import ScriptedModel

NOON = datetime(2026, 5, 2, 12)


def replies(asks: list[ModelAsk] | None = None) -> ScriptedModel:
    """A model whose every draft is another, and which keeps the asks."""
    count, text = [0], "Rye is good today."

    def answer(ask: ModelAsk) -> Any:
        if asks is not None:
            asks.append(ask)
        if isinstance(ask, Choose):
            return ask.options[0].name
        if isinstance(ask, Generate):
            count[0] += 1
            return f"{text[:-1]}, loaf {count[0]}."
        return 3 if isinstance(ask, Rate) else None

    return ScriptedModel(answer)


def baker(path: Path | str = ":memory:", **settings: Any) -> Agent:
    """Bo, whose every reply is another."""
    settings.setdefault("dialogue", Dialogue(drafts=1, unknown=0))
    model = settings.pop("model", None) or replies()
    return Agent(Persona(name="Bo"), model=model, memory=Memory(path, "Bo"), **settings)


def shown(session: Session) -> list[tuple[str, str]]:
    return [(line.who, line.text) for line in session.lines]


def current_texts(agent: Agent) -> set[str]:
    """The utterances that the agent can recall."""
    hidden = hidden_of(agent)
    return {
        record.text
        for record in agent.memory.records(kinds=("utterance",))
        if record.id not in hidden
    }


def hidden_of(agent: Agent) -> set[int]:
    from denizens.memory.storage import hidden_ids

    return set(hidden_ids(agent.memory.store, "Bo"))


def remembered(agent: Agent, session: Session) -> None:
    """Every line has exactly its record, which is recalled, and nothing else is."""
    lines = session.lines
    texts = set()
    for line in lines:
        other = session.person if line.who == "Bo" else "Bo"
        text = f'{line.who} said to {other}: "{line.text}"'
        assert [agent.memory.record(number).text for number in line.records] == [text]
        texts.add(text)
    numbers = [number for line in lines for number in line.records]
    assert len(set(numbers)) == len(numbers)
    assert current_texts(agent) == texts


def test_a_session_survives_a_restart(tmp_path: Path) -> None:
    """Lines, their numbers and records are in the agent's file, apart for each person."""
    bo = baker(tmp_path / "bo.db")
    ada = bo.session("Ada")
    ada.say("Do you bake rye?", at=NOON)
    bo.session("Cy").say("Good day.", at=NOON)
    bo.session("Ada", "shop").say("Open today?", at=NOON)
    before = ada.lines
    bo.memory.close()
    again = baker(tmp_path / "bo.db")
    assert again.session("Ada").lines == before
    assert len(before) == 2
    assert again.sessions("Ada") == ("main", "shop")
    assert again.sessions("Eve") == ()
    assert again.session("Cy").lines[0].text == "Good day."
    assert not again.memory.store.verify()
    again.memory.close()


def test_regenerate_replaces_the_last_reply() -> None:
    """The message keeps its record; the former reply is a branch and is no longer recalled."""
    bo = baker()
    ada = bo.session("Ada")
    first = ada.say("Do you bake rye?", at=NOON)
    second = ada.regenerate(at=NOON)
    assert first.text != second.text
    assert [text for _, text in shown(ada)] == ["Do you bake rye?", second.text]
    remembered(bo, ada)
    assert [path[-1].text for path in ada.branches] == [first.text]


def test_edit_goes_on_from_a_line() -> None:
    """What was said after the edited line is kept as a branch, and can be taken up again."""
    bo = baker()
    ada = bo.session("Ada")
    for text in ("Do you bake rye?", "And buns?"):
        ada.say(text, at=NOON)
    old = ada.lines
    ada.edit(old[2].id, "And cake?", at=NOON)
    assert [text for _, text in shown(ada)][::2] == ["Do you bake rye?", "And cake?"]
    remembered(bo, ada)
    ada.branch(old[-1].id)
    assert ada.lines == old
    remembered(bo, ada)
    ada.branch(0)
    assert ada.lines == ()
    remembered(bo, ada)
    with pytest.raises(SettingError, match="none of Ada's"):
        ada.edit(old[1].id, "I never said that.")
    with pytest.raises(SettingError, match="no line 99"):
        ada.branch(99)


def test_a_cancelled_reply_keeps_what_was_shown() -> None:
    """Cancelled in the middle of the text: message and shown text are lines and records."""
    bo = baker(dialogue=Dialogue(drafts=2, unknown=0))
    ada, cancel = bo.session("Ada"), CancelToken()
    pieces: list[str] = []

    def hear(piece: str) -> None:
        cancel.check()
        pieces.append(piece)
        if len([piece for piece in pieces if piece]) == 2:
            cancel.cancel()

    reply = ada.say("Do you bake rye?", at=NOON, on_text=hear, cancel=cancel)
    assert reply.resolve == "cancelled"
    assert reply.text == "Rye is"
    assert shown(ada) == [("Ada", "Do you bake rye?"), ("Bo", "Rye is")]
    remembered(bo, ada)
    assert ada.say("Go on.", at=NOON).resolve == "answer"


def test_cancelled_before_the_first_word() -> None:
    """What was heard is remembered; nothing else."""
    bo = baker()
    ada, cancel = bo.session("Ada"), CancelToken()
    cancel.cancel()
    reply = ada.say("Do you bake rye?", at=NOON, cancel=cancel)
    assert (reply.resolve, reply.text) == ("cancelled", "")
    assert shown(ada) == [("Ada", "Do you bake rye?")]
    remembered(bo, ada)


def test_an_error_after_the_first_piece_keeps_what_was_shown() -> None:
    """It is raised all the same."""
    bo = baker()
    ada = bo.session("Ada")

    def hear(piece: str) -> None:
        if piece and pieces:
            raise ConnectionError("gone")
        pieces.extend([piece] if piece else [])

    pieces: list[str] = []
    bo.dialogue = Dialogue(drafts=2, unknown=0)
    with pytest.raises(ConnectionError):
        ada.say("Do you bake rye?", at=NOON, on_text=hear)
    assert shown(ada) == [("Ada", "Do you bake rye?"), ("Bo", "Rye")]
    remembered(bo, ada)


def test_hooks_change_refuse_and_stop() -> None:
    """What was let through is what is remembered."""

    def heard(text: str, moment: ChatMoment) -> str:
        if "secret" in text:
            raise LineRefused("no secrets")
        return text.replace("damn", "dear")

    def show(piece: str, moment: ChatMoment) -> str:
        if "loaf" in piece:
            raise ReplyStopped("no loaves")
        return piece.replace("Rye", "R**")

    bo = baker(
        hooks=ModerationHooks(heard=heard, shown=show), dialogue=Dialogue(drafts=2, unknown=0)
    )
    ada = bo.session("Ada")
    refused = ada.say("A secret!", at=NOON)
    assert refused.failure
    assert (refused.resolve, refused.failure.detail) == ("failed", "no secrets")
    assert ada.lines == ()
    assert len(bo.memory) == 0
    reply = ada.say("A damn loaf?", at=NOON)
    assert (reply.resolve, reply.text) == ("cancelled", "R** is good today,")
    assert shown(ada)[0] == ("Ada", "A dear loaf?")
    remembered(bo, ada)


def test_a_hook_that_changes_pieces_and_one_that_raises() -> None:
    """Changed pieces are the reply; an error in a hook ends it and says so."""
    calls: list[bool] = []

    def show(piece: str, moment: ChatMoment) -> str:
        calls.append(moment.last)
        return piece.upper()

    for drafts in (1, 2):
        bo = baker(hooks=ModerationHooks(shown=show), dialogue=Dialogue(drafts=drafts, unknown=0))
        ada = bo.session("Ada")
        reply = ada.say("Rye?", at=NOON)
        assert reply.text.startswith("RYE IS GOOD TODAY, LOAF")
        assert calls[-1]
        remembered(bo, ada)

    def broken(piece: str, moment: ChatMoment) -> str:
        raise ValueError("oops")

    bo = baker(hooks=ModerationHooks(shown=broken))
    with pytest.raises(HookFailed, match="'shown' raised ValueError: oops"):
        bo.session("Ada").say("Rye?", at=NOON)
    assert len(bo.memory) == 0


def test_a_stream_that_is_cancelled_ends_normally() -> None:
    """The end of the stream has what was shown; leaving the iteration cancels too."""
    gate = threading.Event()

    def answer(ask: ModelAsk) -> Any:
        gate.wait(10)
        return (
            ask.options[0].name
            if isinstance(ask, Choose)
            else "Rye."
            if isinstance(ask, Generate)
            else 3
        )

    bo = baker(model=ScriptedModel(answer))
    ada = bo.session("Ada")
    stream = ada.stream("Rye?", at=NOON)
    stream.cancel()
    gate.set()
    end = list(stream)[-1]
    assert isinstance(end, ReplyEnd)
    assert end.reply.resolve == "cancelled"
    assert stream.reply is end.reply
    assert shown(ada) == [("Ada", "Rye?")]


def test_async_twins() -> None:
    """``achat`` and ``astream`` in an event loop, several persons at once."""
    bo = Agent(Persona(name="Bo"), model=ImprovisedModel(), memory=Memory(":memory:", "Bo"))

    async def talk() -> None:
        answers = await asyncio.gather(*(bo.achat("Hello!", who) for who in ("Ada", "Cy", "Eve")))
        assert all(reply.text for reply in answers)
        events = [event async for event in bo.astream("And now?", "Ada")]
        assert isinstance(events[-1], ReplyEnd)
        assert events[-1].why.recalled
        assert any(isinstance(event, TextPiece) for event in events)

    asyncio.run(talk())
    assert len(bo.session("Ada").lines) == 4


def test_a_greeting_is_the_first_line() -> None:
    """It is kept and remembered as the agent's own."""
    bo = baker()
    ada = bo.session("Ada")
    line = ada.greet("Good morning!", at=NOON)
    assert (line.who, ada.lines) == ("Bo", (line,))
    remembered(bo, ada)
    with pytest.raises(SettingError, match="first line"):
        ada.greet("Again!")
    ada.say("Hello!", at=NOON)
    assert len(ada.lines) == 3
    remembered(bo, ada)


def test_older_lines_are_summarised() -> None:
    """Of a long session the last lines stand in the prompt, the others as a summary."""
    asks: list[ModelAsk] = []
    bo = baker(model=replies(asks), chat=ChatSettings(window=4, drafts=1, manner="like a pirate"))
    ada = bo.session("Ada")
    for number in range(6):
        ada.say(f"I have {number + 2} red hens.", at=NOON + timedelta(minutes=number))
    drafts = [ask for ask in asks if isinstance(ask, Generate)]
    prompts = ["\n".join(message.text for message in ask.messages) for ask in drafts]
    assert "Earlier we said:" not in prompts[1]
    assert "Earlier we said:" in prompts[-1]
    assert "How I talk: like a pirate" in prompts[-1]
    assert prompts[-1].count("red hens") <= 9
    assert drafts[0].temperature == 0.6


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("max_tokens", 0),
        ("temperature", 3),
        ("manner", "two\nlines"),
        ("time_zone", "Mars/Olympus"),
        ("window", None),
        ("drafts", True),
    ],
)
def test_settings_are_checked(field: str, value: Any) -> None:
    """A wrong value is named."""
    with pytest.raises(SettingError, match=field):
        ChatSettings(**{field: value})
