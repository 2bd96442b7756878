"""What visitors are handed: their own confidences alone, and nothing that acts in a run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from denizens.agents import Agent
from denizens.core import Call, Completion, ModelAsk, Persona, ToolResult, call
from denizens.memory import Documents, Memory
from denizens.models import ImprovisedModel
from denizens.server import AgentService, HostedAgent, open_hosted_agent
from denizens.simulation import begin, read_scenario
from denizens.testing import ScriptedModel
from denizens.tools import Toolbox, ToolContext, memory_search, skill, tool

NINE = datetime(2023, 2, 13, 9)
CANARY = "xylograph"
SEARCHES = (
    ("memory_search", {"query": f"the {CANARY} of Ada", "limit": 10}),
    ("memory_search", {"query": "Ada", "who": "Ada", "since": "2023-01-01"}),
    ("knowledge_search", {"query": f"the {CANARY}", "limit": 10_000}),
    ("answer_from_documents", {"question": f"What is the {CANARY}?"}),
    ("twice", {"query": CANARY}),
)


@skill(effect="reads")
def twice(context: ToolContext, query: str) -> Any:
    """Search one's memory by another skill.

    Args:
        query: what to look for
    """
    found = yield from call(Call(tool="memory_search", arguments={"query": query}))
    return found.value if isinstance(found, ToolResult) else None


@pytest.fixture
def bo(tmp_path: Path) -> Agent:
    """Bo, whom Ada told something in confidence, and gave a document of hers."""
    memory = Memory(":memory:", "Bo")
    told = NINE - timedelta(days=1)
    memory.remember("Ada asked for a loaf of rye", at=told, who="Ada", kind="utterance")
    secret = f"Ada hides the {CANARY} under the oven"
    memory.remember(secret, at=told, who="Ada", kind="utterance", audience=("Ada",))
    page = tmp_path / "ada.md"
    page.write_text(f"# Hidden\n\nThe {CANARY} is what Ada prints with.\n", encoding="utf-8")
    Documents(memory).add(page, at=told, audience=("Ada",))
    tools = Toolbox([memory_search, "knowledge_search", "answer_from_documents", twice])
    return Agent(Persona(name="Bo"), model=ImprovisedModel(), memory=memory, tools=tools)


def shown(agent: Agent, person: str) -> Iterator[str]:
    """All that the searches give somebody."""
    counter = AgentService(HostedAgent(agent, True, lambda: NINE), authenticated=bool(person))
    for name, given in SEARCHES:
        yield str(counter.call(name, given, person=person))


def test_no_search_shows_a_canary_of_somebody_else(bo: Agent) -> None:
    """Words told in confidence come out of no search, and of no skill that searches by another,
    for anybody but the person who said them; what is for everybody does."""
    for person in ("Eve", "ada", "Ada Lund", "a visitor", "nobody", ""):
        found = list(shown(bo, person))
        assert not any(CANARY in one for one in found), person
        assert "a loaf of rye" in found[1]
    found = list(shown(bo, "Ada"))
    assert [CANARY in one for one in found] == [True, True, True, False, True]


HOUSE = """
[scenario]
name = "house"
start = "2026-05-02 08:00"

[world]
kind = "places"
places = [{ name = "hall", objects = ["stove"] }]
paths = []

[model]
name = "improvised"

[minds]
planner = "routine"
tools = ["denizens.tests.support.letter_writers:fake_post", "clock"]
policy = { trusted = ["*"] }

[[people]]
name = "Ann Wood"
home = "house:hall"
"""


def test_a_visited_run_acts_on_nothing(tmp_path: Path) -> None:
    """Who visits somebody of a run moves no tool that acts: not by calling it, and not by a
    chat with a mind that would call it, however far the visitor is trusted."""
    (tmp_path / "house.toml").write_text(HOUSE, encoding="utf-8")
    simulation = begin(read_scenario(str(tmp_path / "house.toml")), tmp_path / "run")
    assert len(list(simulation.run(steps=2))) == 2
    simulation.store.close()
    offered: list[str] = []

    def eager(ask: ModelAsk) -> Any:
        if ask.kind == "choose":
            names = [option.name for option in ask.options]
            offered.extend(names)
            return "post" if "post" in names else names[0]
        return 3 if ask.kind == "rate" else Completion(text="Posted.", data={"text": "hello"})

    model = ScriptedModel(eager)
    with open_hosted_agent(tmp_path / "run", "Ann", trusted=["Ada"], loaded=model) as host:
        counter = AgentService(host, authenticated=True)
        assert [spec.name for spec in counter.specs()] == ["chat", "recall", "clock"]
        assert not counter.call("post", {"text": "hello"}, person="Ada").ok
        assert counter.call("chat", {"text": "Post a letter."}, person="Ada").ok
        assert "clock" in offered
        assert "post" not in offered


def test_what_a_tool_says_late_is_for_whose_call_it_was() -> None:
    """Eve, who is served meanwhile, hears nothing of what Ada asked for."""
    late: list[Callable[[], None]] = []

    @tool(effect="reads")
    def look(context: ToolContext, about: str) -> str:
        """Look something up, slowly.

        Args:
            about: what
        """
        late.append(lambda: context.report_progress(f"found {about}"))
        return "it takes a while"

    memory, model = Memory(":memory:", "Bo"), ImprovisedModel()
    bo = Agent(Persona(name="Bo"), model=model, memory=memory, tools=[look])
    counter = AgentService(HostedAgent(bo, True, lambda: NINE), authenticated=True)
    heard: dict[str, list[str]] = {"Ada": [], "Eve": []}
    counter.call("look", {"about": CANARY}, person="Ada", on_text=heard["Ada"].append)
    counter.call("recall", {"about": "rye"}, person="Eve", on_text=heard["Eve"].append)
    late[0]()
    assert heard == {"Ada": [f"[look] found {CANARY}"], "Eve": []}
