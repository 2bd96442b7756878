"""Agents behind the OpenAI API: what they remember of conversations that clients send whole."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import openai
import pytest
from denizens import Agent, Memory
from denizens.core import Choice, Choose, Completion, Generate, ModelAsk, Rate
from denizens.memory import Corrections
from denizens.models import ImprovisedModel
from denizens.testing import ScriptedModel
from denizens.testing.scripted_models import ScriptedAnswer
from denizens.tests.support.openai_server import (
    BO,
    WEATHER,
    bo,
    openai_client,
    openai_server,
    user,
)
from denizens.tools import tool


class Chat:
    """A client that sends its whole conversation with each message."""

    def __init__(self, client: Any, person: str = "Ada") -> None:
        self.client, self.person = client, person
        self.messages: list[dict[str, Any]] = []

    def answer(self, **fields: Any) -> str:
        """The answer to the conversation so far, which does not become part of it."""
        fields = {"user": self.person, "messages": self.messages, **fields}
        answer = self.client.chat.completions.create(model="bo-lind", **fields)
        return str(answer.choices[0].message.content)

    def say(self, text: str) -> str:
        """Say something; message and answer become part of the conversation."""
        self.messages.append(user(text))
        answer = self.answer()
        self.messages.append({"role": "assistant", "content": answer})
        return answer


@contextmanager
def serving(agent: Agent) -> Iterator[Any]:
    """The official client of a server with one agent."""
    with openai_server(agent.model, {"bo-lind": agent}) as url:
        yield openai_client(url)


def remembered(agent: Agent) -> list[str]:
    """The utterances that the agent recalls, in order."""
    withdrawn = Corrections(agent.memory).withdrawn
    records = [one for one in agent.memory.records() if one.kind == "utterance"]
    return [one.text for one in records if one.id not in withdrawn]


def lines(person: str, *texts: str) -> list[str]:
    """Texts of a talk as records have them; the person begins."""
    names = [f"{person} said to Bo Lind", f"Bo Lind said to {person}"]
    return [f'{names[place % 2]}: "{text}"' for place, text in enumerate(texts)]


def test_a_history_that_is_sent_again_is_not_remembered_again() -> None:
    """Of each request only the last message is new."""
    agent = bo(ImprovisedModel())
    with serving(agent) as client:
        chat = Chat(client)
        said = []
        for text in ("Hello!", "I bake too.", "I bake too.", "Good night."):
            said += [text, chat.say(text)]
    assert remembered(agent) == lines("Ada", *said)
    assert {one.episode for one in agent.memory.records() if one.kind == "utterance"}
    assert len({one.episode for one in agent.memory.records() if one.kind == "utterance"}) == 1


@pytest.mark.parametrize("turns", [1, 2])
def test_an_answer_asked_for_anew_replaces_the_one_before(turns: int) -> None:
    """The same conversation sent again: the message is remembered once, and the last answer."""
    agent = bo(ImprovisedModel())
    with serving(agent) as client:
        chat = Chat(client)
        said = []
        for number in range(turns):
            said += [f"Line {number}", chat.say(f"Line {number}")]
        chat.messages.pop()
        again = chat.answer()
        assert again != said[-1]
    assert remembered(agent) == lines("Ada", *said[:-1], again)


def test_an_edited_message_takes_the_place_of_the_earlier_one() -> None:
    """What the client went back behind is withdrawn; it comes back with the client."""
    agent = bo(ImprovisedModel())
    with serving(agent) as client:
        chat = Chat(client)
        hello = chat.say("Hello!")
        first = chat.say("I am 30.")
        before = list(chat.messages)
        chat.messages = chat.messages[:2]
        second = chat.say("I am 31.")
        assert remembered(agent) == lines("Ada", "Hello!", hello, "I am 31.", second)
        chat.messages = before
        third = chat.say("Or so.")
    told = lines("Ada", "Hello!", hello, "I am 30.", first, "Or so.", third)
    assert sorted(remembered(agent)) == sorted(told)


def test_clients_that_send_less_or_more_than_was_said() -> None:
    """A client may leave out old lines, fold blanks, and begin with a greeting of its own."""
    agent = bo(ImprovisedModel())
    greeting = {"role": "assistant", "content": "Welcome to the  bakery."}
    with serving(agent) as client:
        chat = Chat(client)
        chat.messages = [greeting]
        said = []
        for text in ("Hello!", "I bake\n too.", "And you?"):
            said += [text, chat.say(text)]
            chat.messages = chat.messages[-2:]
            chat.messages[0]["content"] = " ".join(chat.messages[0]["content"].split())
    assert remembered(agent) == lines("Ada", *said)


def test_conversations_of_one_person_are_remembered_side_by_side() -> None:
    """A new conversation withdraws nothing of another one, though it begins the same."""
    agent = bo(ImprovisedModel())
    with serving(agent) as client:
        first, second = Chat(client), Chat(client)
        said = ["Hello!", first.say("Hello!"), "I bake.", first.say("I bake.")]
        other = ["Hello!", second.say("Hello!"), "I sail.", second.say("I sail.")]
        said += ["More bread?", first.say("More bread?")]
    expected = lines("Ada", *said[:4], *other, *said[4:])
    assert remembered(agent) == expected


def test_persons_are_kept_apart_and_survive_a_restart(tmp_path: Path) -> None:
    """Each person's talk is theirs alone, and goes on with another process of the server."""
    model, file = ImprovisedModel(), tmp_path / "bo.db"
    agent = Agent(BO, model=model, memory=Memory(file, BO.name))
    with serving(agent) as client:
        ada, cy = Chat(client), Chat(client, "Cy")
        said = ["The code is 4711.", ada.say("The code is 4711.")]
        cy.say("Hello!")
        earlier = ada.messages
    agent.memory.store.close()
    agent = Agent(BO, model=model, memory=Memory(file, BO.name))
    with serving(agent) as client:
        ada = Chat(client)
        ada.messages = earlier
        said += ["And now?", ada.say("And now?")]
    records = [one for one in agent.memory.records() if one.kind == "utterance"]
    ours = [one for one in records if one.audience == ("Ada",)]
    assert [one.text for one in ours] == lines("Ada", *said)
    assert {one.audience for one in records} == {("Ada",), ("Cy",)}
    agent.memory.store.close()


def test_settings_of_a_request_reach_the_reply() -> None:
    """System messages are the manner, max_tokens and temperature those of the reply."""
    asks: list[Generate] = []

    def answering(ask: ModelAsk) -> ScriptedAnswer:
        if isinstance(ask, Generate):
            asks.append(ask)
            return "Good morning."
        return 3 if isinstance(ask, Rate) else ask.options[0].name  # type: ignore[union-attr]

    agent = bo(ScriptedModel(answering))
    with serving(agent) as client:
        chat = Chat(client)
        chat.messages = [
            {"role": "system", "content": "Speak like\na pirate."},
            {"role": "developer", "content": "Be brief."},
            user("Hello!"),
        ]
        chat.answer(max_tokens=17, temperature=0.2)
    spoken = next(ask for ask in asks if ask.max_tokens == 17)
    assert spoken.temperature == 0.2
    prompt = "\n".join(message.text for message in spoken.messages)
    assert "Speak like a pirate. Be brief." in prompt


@pytest.mark.parametrize(
    "field",
    [
        {"n": 2},
        {"stop": ["x"]},
        {"seed": 1},
        {"top_p": 0.5},
        {"logprobs": True},
        {"response_format": {"type": "json_object"}},
        {"tools": [WEATHER], "tool_choice": "required"},
        {"messages": [user("a"), {"role": "assistant", "content": "b"}]},
        {"messages": [{"role": "system", "content": "long " * 500}, user("a")]},
    ],
)
def test_what_an_agent_cannot_be_asked_is_refused(field: dict[str, Any]) -> None:
    """Nothing is ignored, and nothing remembered of a refused request."""
    agent = bo(ImprovisedModel())
    with serving(agent) as client:
        chat = Chat(client)
        chat.messages = [user("Hello!")]
        with pytest.raises(openai.BadRequestError) as error:
            chat.answer(**field)
    assert str(error.value.param).partition(".")[0] in {*field, "tool_choice"}
    assert remembered(agent) == []


MADE: list[str] = []


@tool
def bake(what: str) -> str:
    """Bake something in the oven."""
    MADE.append(what)
    return f"one {what}"


def calling(ask: ModelAsk) -> ScriptedAnswer:
    """Chooses the tool that the request names; tells what the results are."""
    if isinstance(ask, Choose):
        names = [option.name for option in ask.options]
        wanted = "get_weather" if "weather" in ask.about else "bake" if "Bake" in ask.about else ""
        best = names.index(wanted) if wanted in names else 0
        shares = tuple(0.9 if i == best else 0.1 / (len(names) - 1 or 1) for i in range(len(names)))
        return Choice(index=best, probabilities=shares, tokens_in=7)
    if isinstance(ask, Rate):
        return 3
    assert isinstance(ask, Generate)
    if ask.schema is not None:
        name = next(iter(ask.schema["properties"]))
        value = "Paris" if name == "city" else "bread"
        return Completion(text=json.dumps({name: value}), data={name: value})
    shown = ask.messages[-1].text
    said = "18 degrees there." if "18 degrees" in str(ask.messages) else "Well, well."
    return Completion(text=f"{said}", tokens_in=len(shown), tokens_out=3)


def test_a_client_s_tool_beside_the_agent_s_own() -> None:
    """The client makes the call of its tool and sends the result; then the agent replies, and
    remembers one message and one reply. Its own tools are called as ever."""
    agent = bo(ScriptedModel(calling), tools=[bake])
    with serving(agent) as client:
        chat = Chat(client)
        chat.messages = [user("What is the weather in Paris?")]
        fields = {"model": "bo-lind", "user": "Ada", "tools": [WEATHER]}
        first = client.chat.completions.create(messages=chat.messages, **fields)
        (call,) = first.choices[0].message.tool_calls
        assert first.choices[0].finish_reason == "tool_calls"
        assert (call.function.name, json.loads(call.function.arguments)) == (
            "get_weather",
            {"city": "Paris"},
        )
        assert remembered(agent) == []
        result = {"role": "tool", "tool_call_id": call.id, "content": "18 degrees"}
        chat.messages += [first.choices[0].message.model_dump(), result]
        second = client.chat.completions.create(messages=chat.messages, **fields)
        assert second.choices[0].finish_reason == "stop"
        assert "18 degrees" in second.choices[0].message.content
        assert second.usage.prompt_tokens > 0
        chat.messages.append({"role": "assistant", "content": second.choices[0].message.content})
        chat.messages.append(user("Bake some bread!"))
        third = client.chat.completions.create(messages=chat.messages, **fields)
        assert third.choices[0].finish_reason == "stop"
    assert MADE == ["bread"]
    said = ["What is the weather in Paris?", second.choices[0].message.content]
    said += ["Bake some bread!", third.choices[0].message.content]
    assert remembered(agent) == lines("Ada", *said)


def test_a_client_s_tool_of_a_name_that_the_agent_has() -> None:
    """Two tools of one name are refused."""
    agent = bo(ScriptedModel(calling), tools=[bake])
    named = {"type": "function", "function": {"name": "bake", "description": "Bake."}}
    with serving(agent) as client:
        chat = Chat(client)
        chat.messages = [user("Hello!")]
        with pytest.raises(openai.BadRequestError) as error:
            chat.answer(tools=[named])
    assert error.value.param == "tools"
