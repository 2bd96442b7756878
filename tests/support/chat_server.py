"""A server with three agents whose words are fixed, for tests of the own API and its page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from denizens.agents import Agent
from denizens.core import (
    Action,
    Answer,
    Call,
    Choose,
    Decision,
    Generate,
    ModelAsk,
    Persona,
    Rate,
    RecordKind,
    Situation,
    Thought,
    ToolResult,
    call,
)
from denizens.memory import Memory
from denizens.planners import Dialogue, DialogueInput, DialogueReply, StepBuilder
from denizens.server.hosting import AgentHosts, HostingSettings, add_key
from denizens.server.web import create_app
from denizens.store import Store
from denizens.tests.support.slow_speaker import SlowSpeaker
from denizens.tools import Policy, tool

SAID = "The rye is warm and waits for you."
YESTERDAY = datetime(2026, 5, 3, 9)
PEOPLE = (
    ("Bo Lind", 34, "warm, patient, proud of his bread"),
    ("Ada Rehn", 29, "curious, quick"),
    ("Cyril Olsson", 71, "gentle, forgetful"),
)
CANARY = "xylograph"
Memories = Sequence[tuple[str, str, RecordKind, tuple[str, ...]]]


def said_by(person: str, text: str) -> tuple[str, str, RecordKind, tuple[str, ...]]:
    """What a person told Bo Lind in confidence."""
    return f'{person} said to Bo Lind: "{text}"', person, "utterance", (person,)


REMEMBERED: Memories = (
    ("The oven was mended in April", "Bo Lind", "thought", ()),
    ("The market is on Saturday", "Bo Lind", "observation", ()),
    said_by("a visitor", "My daughter is called Runa"),
    said_by("a visitor", "I cannot eat nuts"),
    said_by("Eve", f"I hide the {CANARY} in the barn"),
)


def others(ask: ModelAsk) -> Answer | str | float | int:
    """Answers to everything but speech."""
    if isinstance(ask, Choose):
        return ask.options[0].name
    return 3 if isinstance(ask, Rate) else "fine"


class LetterWriter:
    """A dialogue that sends a letter if the line has that word, and else does what it does."""

    reads_state = False

    def __init__(self) -> None:
        self._else = Dialogue(drafts=1)

    def reply(
        self, situation: Situation, heard: DialogueInput
    ) -> Thought[tuple[DialogueReply, Decision]]:
        """Send it, or talk."""
        if "letter" not in heard.line.text:
            return (yield from self._else.reply(situation, heard))
        arguments = {"to": "the mill", "text": heard.line.text}
        result = yield from call(Call(tool="send", arguments=arguments, why="was asked to"))
        assert isinstance(result, ToolResult)
        text = f"It is {result.value}." if result.ok else "Then I will not send it."
        step = StepBuilder(situation)
        audience = (heard.line.who,)
        step.add_record("utterance", heard.line.text, who=heard.line.who, audience=audience)
        step.add_record("utterance", text, who=situation.persona.name, audience=audience)
        yield from step.finalize()
        return DialogueReply(text=text), step.build(Action("wait"))


LETTERS: list[str] = []
"""What was sent, in this process."""


@tool(effect="acts")
def send(to: str, text: str) -> str:
    """Send a letter.

    Args:
        to: to whom
        text: what it says
    """
    LETTERS.append(f"{to}: {text}")
    return "sent"


def chat_hosts(
    path: Path,
    *,
    speak: Callable[[Generate], str] = lambda ask: SAID,
    others: Callable[[ModelAsk], Answer | str | float | int] = others,
    seconds: float = 0.0,
    remembered: Memories = REMEMBERED,
    writes: bool = False,
) -> AgentHosts:
    """The agents ``bo``, ``ada`` and ``cyril`` in one file; Bo has the memories, and if it
    ``writes``, a tool that somebody has to approve."""
    model = SlowSpeaker(speak, others, seconds=seconds)
    store = Store(path)
    agents = {
        name.split()[0].lower(): Agent(
            Persona(name=name, age=age, traits=traits),
            model=model,
            memory=Memory(store, name),
            dialogue=LetterWriter() if writes else Dialogue(drafts=1),
            tools=[send] if writes else (),
            policy=Policy(ask=("@acts",), trusted=("a visitor", "Cy", "Ada Holm")),
        )
        for name, age, traits in PEOPLE
    }
    bo = agents["bo"].memory
    if not len(bo):
        for text, who, kind, audience in remembered:
            bo.remember(text, at=YESTERDAY, who=who, kind=kind, audience=audience, importance=4)
    return AgentHosts(agents, model, "scripted")


def keyed_app(
    hosts: AgentHosts, folder: Path, people: dict[str, str]
) -> tuple[Any, dict[str, str]]:
    """An application with an API key for each name in ``people``, bound to a person or (empty) an
    application's; returns it and the keys by name."""
    file = folder / "keys"
    keys = {name: add_key(file, name, person) for name, person in people.items()}
    settings = HostingSettings(keys=file, people=folder / "people")
    return create_app(hosts, settings), keys
