"""The chat page in a real browser."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest
from denizens.agents import Agent
from denizens.core import Answer, Choose, ModelAsk, Persona, Rate, RecordKind
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
YESTERDAY = datetime(2026, 5, 3, 9)
SAID_BY_VISITOR: tuple[str, RecordKind, tuple[str, ...]] = (
    "a visitor",
    "utterance",
    ("a visitor",),
)
REMEMBERED: tuple[tuple[str, str, RecordKind, tuple[str, ...]], ...] = (
    ("The oven was mended in April", "Bo Lind", "thought", ()),
    ("The market is on Saturday", "Bo Lind", "observation", ()),
    (
        'a visitor said to Bo Lind: "My daughter is called Runa"',
        "a visitor",
        "utterance",
        ("a visitor",),
    ),
    ('a visitor said to Bo Lind: "I cannot eat nuts"', "a visitor", "utterance", ("a visitor",)),
    ('Eve said to Bo Lind: "I hide the xylograph in the barn"', "Eve", "utterance", ("Eve",)),
)
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
def address(speaker: SlowSpeaker, tmp_path: Path) -> Iterator[str]:
    """The address of a server with three agents."""
    store = Store(tmp_path / "town.db")
    agents = {
        name.split()[0].lower(): Agent(
            Persona(name=name, age=age, traits=traits),
            model=speaker,
            memory=Memory(store, name),
            dialogue=Dialogue(drafts=1),
        )
        for name, age, traits in PEOPLE
    }
    bo = agents["bo"].memory
    for text, who, kind, audience in REMEMBERED:
        bo.remember(text, at=YESTERDAY, who=who, kind=kind, audience=audience, importance=4)
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


def test_memory_is_corrected_and_forgotten(new_page: NewPage, address: str) -> None:
    """The person sees what is for them or for everybody, finds it, corrects it and forgets it;
    what somebody else confided never reaches the page."""
    page = new_page(f"{address}/#bo/main")
    page.get_by_role("button", name="Memory").click()
    rows = page.locator(".memory")
    expect(rows).to_have_count(2)
    screenshots(page, "chat-memory")
    rows.filter(has_text="Runa").get_by_role("button", name="Correct").click()
    page.get_by_label("What is right").fill("My daughter is called Runa Maj")
    screenshots(page, "chat-correct")
    page.get_by_role("button", name="Correct", exact=True).last.click()
    expect(rows.filter(has_text='"My daughter is called Runa Maj"')).to_have_count(1)
    rows.filter(has_text="nuts").get_by_role("button", name="Forget").click()
    assert axe_faults(page) == []
    page.get_by_role("button", name="Erase for good").click()
    expect(page.locator(".gone")).to_have_text("Forgotten.")
    page.get_by_role("button", name="All you may see").click()
    expect(rows).to_have_count(3)
    page.get_by_label("Search what Bo Lind remembers").fill("daughter")
    expect(page.locator(".memories li").first).to_contain_text("Runa Maj")
    assert "xylograph" not in page.content()
    assert axe_faults(page) == []
