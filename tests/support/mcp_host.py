"""An agent served over MCP with a scripted model: ``python mcp_host.py MEMORY [WORD...]``.

Words: ``slow`` (its model speaks for seconds), ``http`` (else standard input and output),
``trust=NAME``, ``person=NAME``, ``tokens=FILE``.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from denizens.agents import Agent
from denizens.core import Completion, Delta, Done, Generate, ModelAsk, Persona
from denizens.memory import Memory
from denizens.server import HostedAgent, read_tokens, serve_http, serve_stdio
from denizens.server.hosted_agent import _now, _with_trusted
from denizens.store import Store
from denizens.testing import ScriptedModel
from denizens.tools import ToolContext, tool

WORDS = 60
PAUSE = 0.1


def answer(ask: ModelAsk) -> Any:
    """Speaks of what it sees in its prompt; chooses no tool; rates everything alike."""
    if ask.kind == "choose":
        return ask.options[0].name
    if ask.kind == "rate":
        return 3
    prompt = "\n".join(message.text for message in ask.messages) if ask.kind == "generate" else ""
    known = [word for word in ("May", "oven", "first line") if word in prompt]
    return f"I know of {', '.join(known) or 'nothing'}."


class Slow:
    """Speaks a word at a time, for seconds; all else it leaves to a scripted model."""

    def client(self) -> Slow:
        self._inner = ScriptedModel(answer).client()
        self._words: list[str] = []
        self._tickets: list[int] = []
        return self

    def describe(self) -> dict[str, str]:
        return {"name": "slow"}

    def submit(self, ask: ModelAsk, owner: str = "", priority: int = 0) -> int:
        ticket = self._inner.submit(ask, owner=owner, priority=priority)
        if isinstance(ask, Generate) and ask.stream:
            self._words = [f"word{n} " for n in range(WORDS)]
            self._tickets.append(ticket)
        return ticket

    def cancel(self, ticket: int) -> None:
        raise AssertionError("nothing is cancelled here")

    def wait(self, timeout: float | None = None) -> Sequence[Delta | Done]:
        if self._words:
            time.sleep(PAUSE)
            word, tickets = self._words.pop(0), self._tickets
            spoken = [Delta(ticket, word) for ticket in tickets]
            if self._words:
                return spoken
            self._inner.wait()
            self._tickets = []
            return [*spoken, *(Done(ticket, Completion(text="Many words.")) for ticket in tickets)]
        return self._inner.wait()


@tool
def chatter() -> str:
    """Say something, and write to standard output, which is for the protocol."""
    print("chatter on standard output")
    return "said"


@tool
def number() -> int:
    """The number of this process."""
    return os.getpid()


@tool
def whom(context: ToolContext) -> str:
    """For whom this is called."""
    return context.person


def rings(file: Path) -> Any:
    @tool(effect="acts")
    def ring(times: int) -> int:
        """Ring a bell so many times."""
        file.write_text("ring " * times, encoding="utf-8")
        return times

    return ring


@contextmanager
def bo(file: str, words: Sequence[str]) -> Iterator[HostedAgent]:
    """Bo, who has a bell, a memory in a file, and an opinion of whom to trust."""
    settings = dict(word.split("=", 1) for word in words if "=" in word)
    with Store(file) as store:
        persona = Persona(name="Bo Lind", facts=("Bo Lind's oven broke last winter.",))
        model: Any = Slow() if "slow" in words else ScriptedModel(answer)
        memory = Memory(store, persona.name)
        bell = rings(Path(f"{file}.bell"))
        agent = Agent(
            persona,
            model=model,
            memory=memory,
            tools=["clock", "memory_search", chatter, bell, number, whom],
        )
        agent.learn(persona.facts if not len(memory) else ())
        yield _with_trusted(HostedAgent(agent, True, _now), [settings.get("trust", "nobody")])


if __name__ == "__main__":
    given = sys.argv[2:]
    wanted = dict(word.split("=", 1) for word in given if "=" in word)

    def make() -> Any:
        return bo(sys.argv[1], given)

    person = wanted.get("person")
    if "http" in given:
        tokens = read_tokens(wanted["tokens"]) if "tokens" in wanted else None
        serve_http(
            make, person=person, tokens=tokens, announce=lambda url: print(url, file=sys.stderr)
        )
    else:
        serve_stdio(make, person=person)
