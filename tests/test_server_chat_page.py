"""The chat page in a real browser."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from denizens.interop.cards import CharacterCard
from denizens.server.hosting import AgentHosts
from denizens.server.web import create_app
from denizens.tests.support.browser import PHONE, NewPage, axe_faults, screenshots
from denizens.tests.support.chat_server import (
    CANARY,
    LETTERS,
    SAID,
    Memories,
    chat_hosts,
    keyed_app,
)
from denizens.tests.support.running_app import running_app

pytest.importorskip("fastapi")
PICTURE = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGM4EqAPAAMfAUTxyAepAAAAAElFTkSuQmCC"
)
"""A PNG of one pixel."""
expect = pytest.importorskip("playwright.sync_api").expect


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    """The address of a server whose agents say a word each 120 ms."""
    with running_app(create_app(chat_hosts(tmp_path / "town.db", seconds=0.12))) as address:
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
    begun = re.compile(r"^The( rye( is( warm( and( waits)?)?)?)?)?$")
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
    page.get_by_role("button", name="And Bo Lind’s own").click()
    expect(rows).to_have_count(3)
    page.get_by_label("Search what Bo Lind remembers").fill("daughter")
    expect(page.locator(".memories li").first).to_contain_text("Runa Maj")
    assert CANARY not in page.content()
    assert axe_faults(page) == []


def test_a_reply_is_stopped_made_anew_and_a_line_edited(new_page: NewPage, address: str) -> None:
    """What was shown of a stopped reply stays, marked; another reply and an edited line become
    versions that one can go back to; all of it survives a reload."""
    page = new_page(f"{address}/#bo/main")
    field = page.get_by_label("Say something to Bo Lind")
    field.fill("Good morning!")
    field.press("Enter")
    expect(page.locator(".line.coming .bubble")).to_contain_text("The rye")
    page.keyboard.press("Escape")
    stopped = page.locator(".line.cut .bubble")
    expect(stopped).to_contain_text("The rye")
    assert len(stopped.text_content() or "") < len(SAID)
    page.get_by_role("button", name="Say it differently").click()
    expect(page.get_by_text("2 of 2")).to_be_visible()
    expect(page.locator(".line:not(.mine) .bubble")).to_have_text(SAID)
    page.get_by_role("button", name="The version before").click()
    expect(page.locator(".line.cut .bubble")).to_contain_text("The rye")
    page.get_by_role("button", name="Edit").click()
    page.get_by_label("Say this instead").fill("Good evening!")
    screenshots(page, "chat-edit")
    assert axe_faults(page) == []
    page.get_by_role("button", name="Say this instead").click()
    expect(page.locator(".line:not(.mine) .bubble")).to_have_text(SAID)
    page.reload()
    expect(page.locator(".mine .bubble")).to_have_text("Good evening!")
    expect(page.locator(".line:not(.mine) .bubble")).to_have_text(SAID)
    page.locator(".foot").get_by_role("button", name="Why").click()
    expect(page.locator(".hits")).to_contain_text("Runa")
    page.get_by_role("button", name="New talk").click()
    expect(page.locator(".opening")).to_be_visible()
    page.get_by_role("button", name="Good evening! 2 lines").click()
    page.get_by_role("button", name="Delete this talk").click()
    screenshots(page, "chat-delete")
    page.get_by_role("button", name="Delete it").click()
    expect(page.locator(".opening")).to_be_visible()
    expect(page.get_by_role("button", name="Good evening!")).to_have_count(0)


def test_a_question_without_a_trace(new_page: NewPage, address: str) -> None:
    """What is asked off the record is shown, and gone after a reload."""
    page = new_page(f"{address}/#bo/main")
    page.get_by_role("button", name="Ask without a trace").click()
    page.get_by_label("Say something to Bo Lind").fill("Who is Runa?")
    page.keyboard.press("Enter")
    expect(page.locator(".line.secret:not(.mine) .bubble")).to_have_text(SAID)
    screenshots(page, "chat-secret")
    page.reload()
    expect(page.locator(".opening")).to_be_visible()


def test_a_tool_call_is_approved(new_page: NewPage, tmp_path: Path) -> None:
    """The reply waits in the talk, the request shows what would be done, and yes does it."""
    LETTERS.clear()
    app = create_app(chat_hosts(tmp_path / "town.db", writes=True))
    with running_app(app) as address:
        page = new_page(f"{address}/#bo/main")
        page.get_by_label("Say something to Bo Lind").fill("Send a letter!")
        page.keyboard.press("Enter")
        page.get_by_role("button", name="Look at it").click()
        expect(page.locator(".approval")).to_contain_text("Bo Lind wants to use send")
        screenshots(page, "chat-approval")
        assert axe_faults(page) == []
        assert LETTERS == []
        page.get_by_role("button", name="Approve", exact=True).click()
        expect(page.locator(".line:not(.mine) .bubble")).to_have_text("It is sent.")
        expect(page.locator("#side-body")).to_contain_text("Nothing waits")
        assert LETTERS == ["the mill: Send a letter!"]


HOSTILE = "<img src=x onerror=\"document.title='hacked'\"></script><script>alert(1)</script>"


def test_hostile_texts_stay_texts(new_page: NewPage, tmp_path: Path) -> None:
    """Markup in what people and agents say, in memories and in names makes no element."""
    remembered: Memories = ((HOSTILE, "", "thought", ()), (f"{HOSTILE} Runa", "", "plan", ()))
    hosts = chat_hosts(tmp_path / "town.db", speak=lambda ask: HOSTILE, remembered=remembered)
    bo = hosts.agent("bo")
    assert bo is not None
    object.__setattr__(bo.persona, "traits", HOSTILE)
    with running_app(create_app(hosts)) as address:
        page = new_page(address)
        page.get_by_role("button", name="You are").click()
        page.get_by_label("Your name").fill("<b onmouseover='alert(1)'>Ada</b>")
        page.get_by_role("button", name="Continue").click()
        page.get_by_role("button", name="Bo Lind").click()
        page.get_by_label("Say something to Bo Lind").fill(HOSTILE)
        page.keyboard.press("Enter")
        page.locator(".foot").get_by_role("button", name="Why").click()
        page.get_by_role("tab", name="Memory").click()
        page.get_by_role("button", name="And Bo Lind’s own").click()
        expect(page.locator(".memory").first).to_contain_text("onerror")
        assert (
            page.locator("#chat-app img, #chat-app script, #chat-app b[onmouseover]").count() == 0
        )
        assert page.title() == "Bo Lind · Denizens"


def test_a_key_is_asked_for_and_kept_in_the_tab(new_page: NewPage, tmp_path: Path) -> None:
    """Without a key the page shows nobody; a wrong one is refused; with a person's key the person
    is known and may not approve; a reload keeps it."""
    app, keys = keyed_app(chat_hosts(tmp_path / "town.db"), tmp_path, {"eve": "Eve"})
    with running_app(app) as address:
        page = new_page(address, allowed="401")
        key = page.get_by_role("textbox", name="Key")
        expect(key).to_be_visible()
        screenshots(page, "chat-key")
        assert axe_faults(page) == []
        assert page.locator(".agent").count() == 0
        key.fill("wrong")
        page.get_by_role("button", name="Continue").click()
        expect(page.locator("dialog .wrong")).to_contain_text("not valid")
        key.fill(keys["eve"])
        page.get_by_role("button", name="Continue").click()
        page.get_by_role("button", name="Bo Lind").click()
        expect(page.locator(".you")).to_have_text("You are Eve")
        page.get_by_role("button", name="Memory").click()
        expect(page.locator(".memory")).to_contain_text([CANARY])
        assert page.get_by_role("tab", name="Approvals").count() == 0
        page.reload()
        expect(page.locator(".you")).to_have_text("You are Eve")
        assert keys["eve"] not in str(page.evaluate("JSON.stringify({...localStorage})"))


def test_the_page_works_by_keyboard_on_a_phone(new_page: NewPage, address: str) -> None:
    """From the first key to the reply without a pointer; the way back leads to the people."""
    page = new_page(address, size=PHONE)
    expect(page.get_by_role("button", name="Bo Lind")).to_be_visible()
    for _ in range(12):
        page.keyboard.press("Tab")
        if "Bo Lind" in str(page.evaluate("document.activeElement.textContent")):
            break
    page.keyboard.press("Enter")
    expect(page.get_by_label("Say something to Bo Lind")).to_be_visible()
    assert page.locator("#people").is_hidden()
    page.get_by_label("Say something to Bo Lind").focus()
    page.keyboard.type("Good morning!")
    page.keyboard.press("Enter")
    expect(page.locator("#announce")).to_have_text(f"Bo Lind: {SAID}")
    assert page.evaluate("document.activeElement.id") == "say"
    screenshots(page, "chat-phone")
    assert axe_faults(page) == []
    page.get_by_role("button", name="Whom to talk to").click()
    expect(page.get_by_role("button", name="Ada Rehn")).to_be_visible()


def test_nothing_of_one_person_reaches_the_page_of_another(new_page: NewPage, address: str) -> None:
    """Mallory talks, looks at everything and searches: no word of Eve is on the page."""
    page = new_page(address)
    page.get_by_role("button", name="You are").click()
    page.get_by_label("Your name").fill("Mallory")
    page.get_by_role("button", name="Continue").click()
    page.get_by_role("button", name="Bo Lind").click()
    page.get_by_label("Say something to Bo Lind").fill("What is hidden in the barn?")
    page.keyboard.press("Enter")
    page.locator(".foot").get_by_role("button", name="Why").click()
    seen = page.content()
    page.get_by_role("tab", name="Memory").click()
    page.get_by_role("button", name="And Bo Lind’s own").click()
    expect(page.locator(".memory").first).to_be_visible()
    seen += page.content()
    page.get_by_label("Search what Bo Lind remembers").fill("barn")
    expect(page.get_by_text("the best first")).to_be_visible()
    seen += page.content()
    assert CANARY not in seen
    assert not re.search(r"\bEve\b", seen)


def test_an_agent_of_a_card_greets_and_has_its_picture(new_page: NewPage, tmp_path: Path) -> None:
    """The greeting of the card opens the talk, with the person's name, and is its first line once
    the person has answered; the picture of the card is the face."""
    hosts = chat_hosts(tmp_path / "town.db")
    bo = hosts.agent("bo")
    assert bo is not None
    card = CharacterCard(
        persona=bo.persona, greetings=("Come in, {{user}}, I am {{char}}!",), look=PICTURE
    )
    agents = {"bo": bo}
    with running_app(create_app(AgentHosts(agents, hosts.model, "m", cards={"bo": card}))) as at:
        page = new_page(at)
        page.get_by_role("button", name="Bo Lind").click()
        expect(page.locator(".opening .lead")).to_have_text("Come in, a visitor, I am Bo Lind!")
        expect(page.locator("img.portrait").first).to_be_visible()
        page.get_by_label("Say something to Bo Lind").fill("Good morning!")
        page.keyboard.press("Enter")
        expect(page.locator(".line:not(.mine) .bubble").last).to_have_text(SAID)
        page.reload()
        texts = page.locator(".bubble")
        expect(texts).to_have_text(["Come in, a visitor, I am Bo Lind!", "Good morning!", SAID])
