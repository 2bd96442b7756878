"""The page of a live town in a real browser: it moves, and one walks in and talks."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from denizens.server.live import LiveTown
from denizens.server.live.live_page import LIVE_SCRIPTS
from denizens.simulation import replay
from denizens.tests.support.browser import PHONE, NewPage, axe_faults, screenshots
from denizens.tests.support.served_town import PATIENT, ServedTown, served_run, served_town

if TYPE_CHECKING:
    from playwright.sync_api import Page

SCRIPTS = Path(__file__).resolve().parent.parent / "server" / "live" / "page"
LINES = ("Good morning! What is new?", "What do you do today?", "Do you know Nora?", "Is it late?")


def until(page: Page, condition: str) -> Any:
    """Wait until an expression of the page is true; returns its value. (The page's policy forbids
    the browser's own waiting, which evaluates texts.)"""
    end = time.monotonic() + PATIENT
    while not (value := page.evaluate(condition)):
        assert time.monotonic() < end, f"never came true: {condition}"
        page.wait_for_timeout(30)
    return value


def opened(new_page: NewPage, town: ServedTown, **options: Any) -> Page:
    """The page of a town, painted."""
    page = new_page(town.url, **options)
    page.wait_for_selector("#veil", state="detached", timeout=PATIENT * 1000)
    until(page, "town.town.live !== undefined && !town.link.lost")
    return page


def walk_in(page: Page, name: str, near: str) -> None:
    """Walk in through the dialog, beside somebody."""
    page.click(".walk-in")
    page.fill("#gate-name", name)
    page.select_option("#gate-where", near)
    page.get_by_label("Coat 3").check(force=True)
    page.click("#gate .send")
    until(page, f"town.walker.name === '{name}' && !document.getElementById('gate').open")


def steps(page: Page, count: int = 1) -> None:
    """Make steps with the button of the bar, and wait until the page has got them."""
    for _ in range(count):
        before = page.evaluate("town.run.steps")
        page.get_by_role("button", name="One step on").click()
        until(page, f"town.run.steps > {before} && town.town.state !== 'playing'")


def test_one_walks_in_talks_and_is_answered(new_page: NewPage, tmp_path: Path) -> None:
    """Walk in, say a line, be answered, take leave, walk by keys and by a click; a reload goes on
    where one was; all of it replays. No error in the console, no serious fault for axe."""
    with served_town(tmp_path / "r", scenario="larkspur-morning", warm_up=75) as town:
        page = opened(new_page, town)
        assert axe_faults(page) == []
        agent = page.evaluate("town.run.people[0].id")
        walk_in(page, "Sam", agent)
        steps(page)
        until(page, "town.walker.view && town.run.present(town.walker.person, town.state.t)")
        page.get_by_role("button", name=agent).first.click()
        answered = "(() => { const t = town.walker.talk; if (!t) return false; const who ="
        answered += " t.lines.map((l) => l[0]); const me = who.indexOf('Sam');"
        answered += " return me >= 0 && who.slice(me).some((name) => name !== 'Sam'); })()"
        for line in LINES:
            page.fill(".say", line)
            page.press(".say", "Enter")
            until(page, f"town.dock.saidLast === {json.dumps(line)}")
            steps(page, 8)
            if page.evaluate(answered):
                break
        assert page.evaluate(answered)
        assert LINES[0] in page.inner_text("#dock .lines")
        assert axe_faults(page) == []
        screenshots(page, "live-talk")
        page.get_by_role("button", name="Take leave").click()
        steps(page)
        until(page, "!town.walker.talk")
        before = page.evaluate("town.walker.tile()")
        page.locator("#land").focus()
        key = _free_way(page)
        page.keyboard.press(key)
        until(page, "town.walker.moves === 1 && town.state.goal")
        steps(page, 2)
        assert until(page, "town.walker.tile()") != before
        page.reload()
        page.wait_for_selector("#veil", state="detached", timeout=PATIENT * 1000)
        until(page, "town.walker.view && town.dock.mode === 'here'")
        page.get_by_role("button", name="Leave town").click()
        steps(page)
        until(page, "!town.walker.here && !town.run.present(town.run.byName.get('Sam'), 1e9)")
        assert page.locator(".walk-in").is_visible()
        hash = town.town.simulation.hash
    assert replay(tmp_path / "r").hash == hash


def _free_way(page: Page) -> str:
    """An arrow key that leads from the person's tile to a free one."""
    script = "([dx, dy]) => { const [x, y] = town.walker.tile();"
    script += " return !town.run.town.blocked(x + dx, y + dy); }"
    ways = {"ArrowLeft": (-1, 0), "ArrowRight": (1, 0), "ArrowUp": (0, -1), "ArrowDown": (0, 1)}
    return next(key for key, way in ways.items() if page.evaluate(script, list(way)))


def test_the_page_moves_while_the_town_plays(new_page: NewPage, tmp_path: Path) -> None:
    """Played from the page, its people move and its clock goes on; pause stops it; one can look
    back while it goes on, and return to now."""
    with served_town(tmp_path / "r", scenario="larkspur-morning", warm_up=25, pace=0.02) as town:
        page = opened(new_page, town)
        places = "JSON.stringify(town.stage.figures.map((f) => [f.x, f.y]))"
        before, clock = page.evaluate(places), page.inner_text("#when")
        page.get_by_role("button", name="Let the town go on").click()
        until(page, "town.run.steps > 60")
        assert until(page, places) != before
        assert page.inner_text("#when") != clock
        page.get_by_role("slider", name="Step").fill("10")
        until(page, "!town.state.live && Math.floor(town.state.t) === 10")
        page.get_by_role("button", name="To now").click()
        until(page, "town.state.live && town.state.t > 50")
        assert isinstance(town.hosts.town, LiveTown)
        page.get_by_role("button", name="Pause the town").click()
        until(page, "!town.town.playing && town.town.state === 'paused'")
        made = page.evaluate("town.run.steps")
        assert town.town.simulation.step == made


def test_an_interview_and_a_whisper_from_the_panel(new_page: NewPage, tmp_path: Path) -> None:
    """In somebody's panel: a question is answered beside the run, a whisper becomes part of it;
    what is typed survives the steps that are made meanwhile."""
    with served_town(tmp_path / "r", scenario="larkspur-morning", warm_up=30) as town:
        page = opened(new_page, town)
        page.keyboard.press("1")
        page.get_by_role("tab", name="Ask").click()
        question = page.locator(".speak input").first
        question.fill("What will you do")
        steps(page)
        assert question.input_value() == "What will you do"
        question.fill("What will you do today?")
        question.press("Enter")
        until(page, "document.querySelectorAll('.interview li').length === 2")
        until(page, "!document.querySelector('.interview li:last-child').innerText.endsWith('…')")
        whisper = page.locator(".speak input").last
        whisper.fill("The bakery smells of smoke.")
        whisper.press("Enter")
        until(page, "document.querySelector('#notices').innerText.includes('at the next step')")
        assert axe_faults(page) == []
        screenshots(page, "live-ask")
        simulation = town.town.simulation
        (given,) = simulation.journal.inputs(simulation.step)
        assert (given.kind, given.text) == ("whisper", "The bakery smells of smoke.")


def test_a_phone_shows_the_gate_and_the_dock(new_page: NewPage, tmp_path: Path) -> None:
    """On a phone, in the dark: the dialog and the dock fit into the window."""
    with served_town(tmp_path / "r", scenario="larkspur-morning", warm_up=75) as town:
        page = opened(new_page, town, size=PHONE, dark=True)
        page.click(".walk-in")
        width = page.evaluate("document.getElementById('gate').getBoundingClientRect().width")
        assert width <= PHONE[0]
        assert axe_faults(page) == []
        screenshots(page, "live-gate")
        page.get_by_role("button", name="Not now").click()
        walk_in(page, "Sam", page.evaluate("town.run.people[0].id"))
        steps_of_town(town, page)
        box = page.evaluate("document.getElementById('dock').getBoundingClientRect().toJSON()")
        assert box["left"] >= 0
        assert box["right"] <= PHONE[0]
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE[0]
        screenshots(page, "live-dock")


def steps_of_town(town: ServedTown, page: Page) -> None:
    """A step, on a page whose bar has no button for it."""
    town.step()
    until(page, "town.walker.view")


def test_a_recorded_run_is_for_reading(new_page: NewPage, tmp_path: Path) -> None:
    """The page of a run that is only read has all of it, and no way in."""
    with served_town(tmp_path / "r", scenario="larkspur-morning", warm_up=40):
        pass
    with served_run(tmp_path / "r") as town:
        page = opened(new_page, town)
        until(page, "town.town.state === 'recorded'")
        assert page.locator(".walk-in").count() == 0
        assert page.evaluate("town.run.steps") == 40
        page.keyboard.press("1")
        assert page.locator("#panel h2").is_visible()


@pytest.mark.parametrize("name", LIVE_SCRIPTS)
def test_live_scripts_write_text_as_text(name: str) -> None:
    """No script makes markup out of strings, or code; none is left out of the list."""
    code = (SCRIPTS / name).read_text("utf-8")
    forbidden = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function"
    assert not re.search(forbidden, code)
    assert sorted(LIVE_SCRIPTS) == sorted(path.name for path in SCRIPTS.glob("*.js"))
