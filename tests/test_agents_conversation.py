"""Conversations of agents: a line is heard and remembered by all, persons step in, secrets stay."""

from __future__ import annotations

import threading
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from denizens import Agent, Memory, Persona
from denizens.agents import Conversation
from denizens.core import (
    Choice,
    Choose,
    Failed,
    Generate,
    ModelAsk,
    ModelError,
    Rate,
    SettingError,
    Utterance,
)
from denizens.planners import DailySettings
from denizens.store import Store
from denizens.testing import ScriptedModel

TEN = datetime(2026, 5, 2, 10)
ADA = Persona(
    name="Ada Ek",
    background="Ada Ek keeps the inn by the river. Ada Ek has known Bo Lind for years.",
    currently="Ada Ek is looking for a fiddler for the harvest dance.",
    facts=("The harvest dance is on Friday.", "Ada Ek has a secret. She cannot dance."),
)
BO = Persona(
    name="Bo Lind",
    background="Bo Lind bakes bread in the mill. Bo Lind has known Ada Ek for years.",
    currently="Bo Lind is repairing the old oven of the mill.",
    facts=("The oven of the mill has a crack.",),
)


def answer(ask: ModelAsk) -> Any:
    if isinstance(ask, Choose):
        shares = [0.0] * len(ask.options)
        shares[0] = 1.0
        return Choice(index=0, probabilities=tuple(shares))
    return 3 if isinstance(ask, Rate) else "I am glad to hear it."


def agents(store: Store, model: Any = None) -> tuple[Agent, Agent]:
    model = model or ScriptedModel(answer)
    ada, bo = (Agent(p, model=model, memory=Memory(store, p.name)) for p in (ADA, BO))
    return ada, bo


def conversation(store: Store, about: str = "", **settings: Any) -> Conversation:
    ada, bo = agents(store, settings.pop("model", None))
    return Conversation([ada, bo], about, clock=lambda: TEN, **settings)


def heard(agent: Any) -> list[str]:
    """The utterances that an agent remembers."""
    return [record.text for record in agent.memory.records(kinds=("utterance",))]


def said(line: Utterance, to: str) -> str:
    return f'{line.who} said to {to}: "{line.text}"'


def test_two_agents_talk_until_they_are_done() -> None:
    """They speak in turn, from what they know; each remembers every line once, its own and the
    other's, and the conversation ends by itself."""
    with Store(":memory:") as store:
        talk = conversation(store)
        lines = list(talk)
        assert talk.ended
        assert talk.next_speaker == ""
        assert 4 <= len(lines) <= 16
        assert tuple(lines) == talk.lines
        assert [line.who for line in lines[:3]] == ["Ada Ek", "Bo Lind", "Ada Ek"]
        assert any("looking for a fiddler" in line.text for line in lines)
        ada, bo = talk.agents
        to = {"Ada Ek": "Bo Lind", "Bo Lind": "Ada Ek"}
        expected = [said(line, to[line.who]) for line in lines]
        assert heard(ada) == heard(bo) == expected
        assert talk.next_line() is None


def test_the_first_line_is_about_the_subject() -> None:
    """A sentence is told in the speaker's words; of a topic is told what is known of it; of an
    unknown topic is asked."""
    for about, text in (
        ("Ada Ek has bought a piano.", "I have bought a piano."),
        ("the harvest dance", "The harvest dance is on Friday."),
        ("the price of salt", "What do you think about the price of salt?"),
    ):
        with Store(":memory:") as store:
            line = conversation(store, about).next_line()
            assert line is not None
            assert (line.who, line.text) == ("Ada Ek", text)


def test_a_person_steps_in_and_is_answered() -> None:
    """What a person says is heard by all; the agent called by name answers; the person's name is
    that of no agent; after leaving it hears nothing."""
    with Store(":memory:") as store:
        talk = conversation(store, "The mill is closed on Sunday.")
        first = talk.next_line()
        mine = talk.say("Kim", "Ada, when is the harvest dance?")
        assert list(talk.members) == ["Ada Ek", "Bo Lind", "Kim"]
        assert talk.next_speaker == "Ada Ek"
        reply = talk.next_line()
        assert first is not None
        assert reply is not None
        assert (reply.who, reply.text) == ("Ada Ek", "The harvest dance is on Friday.")
        ada, bo = talk.agents
        assert heard(bo) == [said(first, "Bo Lind"), said(mine, "Bo Lind"), said(reply, "Bo Lind")]
        assert said(mine, "Ada Ek") in heard(ada)
        talk.leave("Kim")
        assert list(talk.members) == ["Ada Ek", "Bo Lind"]
        for person, text in (("ada ek", "Hi"), ("Kim", "  "), ("a:b", "Hi"), ("", "Hi")):
            with pytest.raises(SettingError):
                talk.say(person, text)
        talk.close()
        with pytest.raises(SettingError, match="is over"):
            talk.say("Kim", "Wait!")


def test_closing_early_keeps_what_was_said() -> None:
    """A conversation that is closed after two lines is remembered so far, once; closing again
    adds nothing."""
    with Store(":memory:") as store:
        with conversation(store) as talk:
            lines = [talk.next_line(), talk.next_line()]
        ada, bo = talk.agents
        counts = len(ada.memory), len(bo.memory)
        assert len(heard(ada)) == len(heard(bo)) == len(lines) == 2
        talk.close()
        assert (len(ada.memory), len(bo.memory)) == counts
        again = Conversation([ada, bo], clock=lambda: TEN)
        assert next(iter(again)).who == "Bo Lind"
        assert len(heard(bo)) == 3


def test_nothing_private_is_said_before_others() -> None:
    """What a person told an agent in private is not said while others are in the conversation or
    near; what is for all may be said."""
    for near in (["Cy"], []):
        with Store(":memory:") as store:
            talk = conversation(store, near=near)
            ada = talk.agents[0]
            assert isinstance(ada, Agent)
            ada.learn(["Kim has hidden a ring under the bridge."], at=TEN, audience="Kim")
            assert not any("bridge" in line.text for line in talk)
            assert not any("bridge" in text for text in heard(talk.agents[1]))


class SlowModel:
    """A scripted model whose texts wait for ``go``."""

    def __init__(self) -> None:
        self.go, self.asked = threading.Event(), threading.Event()
        self._inner = ScriptedModel(answer)

    def client(self) -> Any:
        client: Any = self._inner.client()
        inner, model = client.wait, self

        def wait(*arguments: Any, **named: Any) -> Any:
            model.asked.set()
            if not model.go.wait(0.05):
                return []
            return inner(*arguments, **named)

        client.wait = wait
        return client

    def describe(self) -> dict[str, Any]:
        return {"name": "slow"}


def test_a_line_is_polled_in_a_loop() -> None:
    """``begin_line`` returns at once; the loop polls it; at its end the line is said and heard."""
    with Store(":memory:") as store:
        model = SlowModel()
        talk = conversation(store, "The mill is closed on Sunday.", model=model)
        stream = talk.begin_line()
        assert stream.poll() == []
        assert not talk.lines
        model.go.set()
        reply = stream.result(10)
        assert reply.text == talk.lines[0].text == "The mill is closed on Sunday."
        assert stream.poll()


def test_a_cancelled_line_is_not_said() -> None:
    """A line that is cancelled while it is made is in nobody's memory; a person who speaks
    meanwhile cancels it, and is answered by the next one."""
    with Store(":memory:") as store:
        model = SlowModel()
        talk = conversation(store, "The mill is closed on Sunday.", model=model)
        ada, bo = talk.agents
        model.go.set()
        for agent in talk.agents:
            agent.bootstrap(at=TEN)
        model.go.clear()
        model.asked.clear()
        stream = talk.begin_line()
        assert model.asked.wait(10)
        mine = talk.say("Kim", "Bo, is the oven of the mill old?")
        reply = stream.result(10)
        assert (reply.resolve, reply.text) == ("cancelled", "")
        assert heard(ada) == heard(bo) == []
        assert talk.lines == (mine,)
        model.go.set()
        reply = talk.begin_line().result(10)
        assert [line.who for line in talk.lines] == ["Kim", "Bo Lind"]
        assert heard(bo)[0] == said(mine, "Bo Lind")
        assert reply.text


def test_a_savegame_that_is_loaded_cancels_a_line() -> None:
    """A line that was thought before a restore is not said after it, since it may rest on what is
    gone; the next one is."""
    with Store(":memory:") as store:
        model = SlowModel()
        model.go.set()
        talk = conversation(store, "The mill is closed on Sunday.", model=model)
        ada, bo = talk.agents
        for agent in talk.agents:
            agent.bootstrap(at=TEN)
        snapshot = ada.memory.snapshot("before")
        assert isinstance(ada, Agent)
        ada.learn(["The mill burned down."], at=TEN)
        model.go.clear()
        model.asked.clear()
        stream = talk.begin_line()
        assert model.asked.wait(10)
        ada.memory.restore(snapshot)
        model.go.set()
        assert stream.result(10).resolve == "cancelled"
        assert heard(ada) == heard(bo) == []
        assert talk.begin_line().result(10).text == "The mill is closed on Sunday."
        assert len(heard(ada)) == len(heard(bo)) == 1


def test_a_failing_model_is_reported() -> None:
    """If the model makes no line, that is an error, or a failed reply of the stream; the turn
    stays with the agent."""

    def failing(ask: ModelAsk) -> Any:
        if isinstance(ask, Generate):
            return Failed(reason="model", detail="the server is down")
        return answer(ask)

    with Store(":memory:") as store:
        ada, bo = agents(store, ScriptedModel(failing))
        ada.persona = Persona(name="Ada Ek")
        talk = Conversation([ada, bo], "Ленин", clock=lambda: TEN)
        with pytest.raises(ModelError, match="Ada Ek: no line could be made: the server is down"):
            talk.next_line()
        reply = talk.begin_line().result(10)
        assert (reply.resolve, reply.text) == ("failed", "")
        assert talk.next_speaker == "Ada Ek"


def test_limits_and_wrong_members() -> None:
    """A conversation ends after the most lines; it needs two agents of different names."""
    with Store(":memory:") as store:
        ada, bo = agents(store)
        for wrong in ([ada], [ada, ada]):
            with pytest.raises(SettingError):
                Conversation(wrong)
        talk = Conversation([ada, bo], settings=DailySettings(max_lines=5), clock=lambda: TEN)
        assert len(list(talk)) <= 5


def test_a_chat_goes_on_beside_a_conversation(tmp_path: Path) -> None:
    """An agent answers a person while it talks with another agent; all is remembered in order,
    in a file that is whole."""
    with Store(tmp_path / "town.db") as store:
        talk = conversation(store)
        ada, bo = talk.agents
        assert isinstance(bo, Agent)
        errors: list[BaseException] = []

        def chat() -> None:
            try:
                for number in range(6):
                    bo.chat(f"Question {number}?", "Kim", at=TEN)
            except BaseException as error:  # noqa: BLE001
                errors.append(error)

        thread = threading.Thread(target=chat)
        thread.start()
        lines = list(talk)
        thread.join(60)
        assert errors == []
        texts = heard(bo)
        assert sum("Kim said" in text for text in texts) == 6
        assert [text for text in texts if "Kim" not in text] == heard(ada)
        assert len(heard(ada)) == len(lines)
        assert not store.verify()
