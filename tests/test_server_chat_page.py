"""The chat page in a real browser."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from denizens.agents import Agent
from denizens.core import Answer, Choose, ModelAsk, Persona, Rate
from denizens.memory import Memory
from denizens.planners import Dialogue
from denizens.server.hosting import AgentHosts
from denizens.server.web import create_app
from denizens.store import Store
from denizens.tests.support.browser import NewPage, axe_faults, screenshots
from denizens.tests.support.running_app import running_app
from denizens.tests.support.slow_speaker import SlowSpeaker

pytest.importorskip("fastapi")
expect = pytest.importorskip("playwright.sync_api").expect
SAID = "The rye is warm and waits for you."
PEOPLE = (
    ("Bo Lind", 34, "warm, patient, proud of his bread"),
    ("Ada Rehn", 29, "curious, quick"),
    ("Cyril Olsson", 71, "gentle, forgetful"),
)


def others(ask: ModelAsk) -> Answer | str | float | int:
    """Answers to everything but speech."""
    if isinstance(ask, Choose):
        return ask.options[0].name
    return 3 if isinstance(ask, Rate) else "fine"


@pytest.fixture
def speaker() -> SlowSpeaker:
    """A model that always says the same, a word each 30 ms."""
    return SlowSpeaker(lambda ask: SAID, others, seconds=0.03)


@pytest.fixture
def address(speaker: SlowSpeaker) -> Iterator[str]:
    """The address of a server with three agents."""
    store = Store(":memory:")
    agents = {
        name.split()[0].lower(): Agent(
            Persona(name=name, age=age, traits=traits),
            model=speaker,
            memory=Memory(store, name),
            dialogue=Dialogue(drafts=1),
        )
        for name, age, traits in PEOPLE
    }
    with running_app(create_app(AgentHosts(agents, speaker, "scripted"))) as address:
        yield address


def test_the_page_answers_and_streams(new_page: NewPage, address: str) -> None:
    """Whoever chooses somebody and says something sees the reply grow, and then why."""
    page = new_page(address)
    screenshots(page, "chat-welcome")
    page.get_by_role("button", name="Bo Lind").click()
    field = page.get_by_label("Say something to Bo Lind")
    field.fill("Good morning! Is there rye?")
    field.press("Enter")
    page.get_by_role("button", name="Stop").wait_for()
    bubble = page.locator(".line:not(.mine) .bubble")
    begun = re.compile(r"^The rye( is( warm)?)?$")
    expect(page.locator(".line.coming .bubble")).to_have_text(begun)
    page.locator(".foot").get_by_role("button", name="Why").wait_for()
    assert bubble.text_content() == SAID
    assert page.locator("#announce").text_content() == f"Bo Lind: {SAID}"
    page.locator(".foot").get_by_role("button", name="Why").click()
    screenshots(page, "chat-why")
    assert axe_faults(page) == []
