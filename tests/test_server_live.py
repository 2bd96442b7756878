"""The live town over HTTP: what a page gets, what people do, and who is kept out."""

from __future__ import annotations

import asyncio
import copy
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from denizens.cli.view_commands import LiveOptions, require_serving
from denizens.core import Done, Json, ModelAsk, SettingError
from denizens.models import ImprovisedModel
from denizens.server.hosting import add_key
from denizens.server.live import LiveFeed
from denizens.server.live import event_stream as streams
from denizens.simulation import Run, begin, read_scenario, replay
from denizens.testing import ScriptedModel
from denizens.tests.support.served_town import (
    PATIENT,
    ServedTown,
    served_run,
    served_town,
)
from denizens.viewer import RunCollector, collect_page_data

HANNA = "Hanna Brook"


@pytest.fixture(scope="module")
def crossroads(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedTown]:
    """The crossroads, paused, all awake and following their routine."""
    folder = tmp_path_factory.mktemp("live") / "r"
    with served_town(folder, planner="routine", warm_up=70) as town:
        yield town


def grown(run: Json, delta: Json) -> Json:
    """A run's page data with the rows of an event, as the page's script adds them."""
    run = copy.deepcopy(run)
    run["steps"] = delta["steps"]
    run["texts"] += delta.get("texts", [])
    known = {person["id"]: person for person in run["people"]}
    for person in delta.get("people", ()):
        if person["id"] not in known:
            run["people"].append(person)
    for name, rows in delta.get("rows", {}).items():
        for kind, values in rows.items():
            if kind in ("presence", "look"):
                known[name][kind] = values
            else:
                known[name][kind] += values
    talks = {talk["id"]: talk for talk in [*run["talks"], *delta.get("talks", ())]}
    run["talks"] = sorted(talks.values(), key=lambda talk: talk["start"])
    for kind in ("figures", "headlines", "costs"):
        if kind in delta:
            run[kind] = delta[kind]
    return run


def without_texts(run: Json) -> Json:
    """Page data with prompts in place of their indices, which depend on the order of reading."""
    run = copy.deepcopy(run)
    texts = run.pop("texts")
    for person in run["people"]:
        for ask in person["asks"]:
            if "prompt" in ask[3]:
                ask[3]["prompt"] = [texts[at] for at in ask[3]["prompt"]]
    return run


def test_the_first_paint_and_the_events_make_the_whole_run(tmp_path: Path) -> None:
    """A page that was opened early knows at the end what one knows that is opened then, and what
    the page as a file holds."""
    with served_town(tmp_path / "r", scenario="larkspur-morning") as town:
        town.step(20)
        first = town.get("/live/run").json()
        town.enter("Sam")
        town.step(45)
        assert town.act("Sam", "leave").json()["recorded"]
        town.step(1)
        run, steps = first["run"], []
        with town.events(first["id"]) as events:
            for kind, value, _ in events:
                if kind == "steps":
                    steps.append(value["steps"])
                    run = grown(run, value)
                if run["steps"] == 66 and "figures" in value:
                    break
        assert steps == sorted(steps)
        assert set(steps) == set(range(21, 67))
        assert without_texts(run) == without_texts(town.get("/live/run").json()["run"])
    whole = collect_page_data(tmp_path / "r").as_json()
    assert without_texts(run) == without_texts(whole)
    sam = next(person for person in whole["people"] if person["id"] == "Sam")
    assert sam["presence"] == [[20, 64]]


def test_a_reader_that_reconnects_goes_on(crossroads: ServedTown) -> None:
    """After a Last-Event-ID come exactly the events that were missed; after an id of another
    process, or one that is not kept any longer, "reset"."""
    id = crossroads.get("/live/run").json()["id"]
    crossroads.step(3)
    numbers: list[str] = []
    for _ in range(2):
        with crossroads.events(last_id=numbers[-1] if numbers else id) as events:
            for kind, _value, number in events:
                assert kind != "reset"
                if number:
                    numbers.append(number)
                    break
    first, second = (int(number.partition(".")[2]) for number in numbers)
    assert second == first + 1
    for stale in ("other.3", f"{id}000", "", "x"):
        with crossroads.events(last_id=stale) as events:
            assert next(events)[0] == "reset"


def test_a_person_talks_and_is_answered_and_the_run_replays(tmp_path: Path) -> None:
    """Over HTTP: walk in beside somebody, talk, be answered, leave; the run has it all, and
    ``replay`` agrees with its hash."""
    with served_town(tmp_path / "r", scenario="larkspur-morning", warm_up=60) as town:
        run = town.get("/live/run").json()["run"]
        x, y = run["people"][0]["track"][-1][1:]
        agent = run["people"][0]["id"]
        look = {"color": "#336699", "skin": 2, "hair": 1, "style": 3}
        assert town.enter("Sam", x=x, y=y, look=look)["recorded"]
        town.step()
        lines: list[Json] = []
        for text in ("Good  morning!\n What is new?", "What do you do today?", "Is there news?"):
            assert town.act("Sam", "say", text=text, to=agent).json() == {"recorded": True}
            for _ in range(4):
                town.step()
                lines = town.visitor("Sam").get("talk", {}).get("lines", lines)
        speakers = [who for who, *_ in lines]
        assert agent in speakers[speakers.index("Sam") :]
        assert "Good morning! What is new?" in [text for _, text, _ in lines]
        town.act("Sam", "end-talk")
        town.step()
        assert "talk" not in town.visitor("Sam")
        hash = town.town.simulation.hash
        shown = town.get("/live/run").json()["run"]["people"]
    assert next(person for person in shown if person["id"] == "Sam")["look"]["hair"] == 1
    assert replay(tmp_path / "r").hash == hash


def test_nobody_acts_for_somebody_else(crossroads: ServedTown) -> None:
    """Without the secret, with a wrong one or with another person's every act is refused; a name
    in use cannot be taken, in no spelling, and is free once its person has left."""
    crossroads.enter("Ada", place="crossroads:roadside")
    crossroads.enter("Bo", place="crossroads:roadside")
    crossroads.step()
    for headers in ({}, {"X-Visitor": "x"}, {"X-Visitor": crossroads.secrets["Bo"]}):
        for path, fields in (
            ("move", {"place": "crossroads:well"}),
            ("say", {"text": "I am not Ada."}),
            ("talk", {"to": "Bo"}),
            ("end-talk", {}),
            ("leave", {}),
            ("whisper", {"to": HANNA, "text": "I am not Ada."}),
        ):
            answer = crossroads.post(path, {"name": "Ada", **fields}, headers=headers)
            assert answer.status_code == 403, path
    for name in ("Ada", "ADA", " ada ", HANNA, HANNA.lower()):
        assert crossroads.post("enter", {"name": name}).status_code == 409, name
    assert crossroads.act("Ada", "leave").status_code == 200
    assert crossroads.post("enter", {"name": "Ada"}).status_code == 409
    crossroads.step()
    assert crossroads.act("Ada", "say", text="Still here?").status_code == 409
    crossroads.enter("Ada", place="crossroads:roadside")
    crossroads.step()
    for name in ("Ada", "Bo"):
        assert crossroads.act(name, "leave").status_code == 200
    crossroads.step()


REFUSED = (
    ("enter", {"name": "Cy", "place": "nowhere"}, 409, "no place"),
    ("enter", {"name": "a:b"}, 400, "':'"),
    ("enter", {"name": "Cy", "look": {"color": "url(x)"}}, 422, "color"),
    ("enter", {"name": "Cy", "nonsense": 1}, 422, "nonsense"),
    ("whisper", {"to": "Nobody", "text": "Hm."}, 409, "no agent"),
    ("whisper", {"to": HANNA, "text": "  "}, 422, "text"),
    ("control", {"action": "fly"}, 422, "action"),
    ("control", {"action": "pace"}, 409, "pace"),
    ("interview", {"agent": "Nobody", "question": "Who?"}, 409, "nobody is called"),
    ("approval", {"key": "none", "yes": True}, 409, "none"),
)


@pytest.mark.parametrize(("path", "body", "status", "words"), REFUSED)
def test_what_is_wrong_is_refused_in_words(
    crossroads: ServedTown, path: str, body: Json, status: int, words: str
) -> None:
    """A refusal says what is wrong; nothing breaks, and a name that could not enter is free."""
    answer = crossroads.post(path, body)
    assert answer.status_code == status
    assert words in answer.text
    assert crossroads.get("/live/status").json()["state"] == "paused"


def test_a_stranger_is_kept_out(crossroads: ServedTown) -> None:
    """Another host's name, another site's page, and a body that is too long are refused before
    any route; the pages allow no script but the server's own."""
    for headers, status in (
        ({"Host": "evil.example"}, 403),
        ({"Host": "127.0.0.1.evil.example"}, 403),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": crossroads.url}, 200),
    ):
        assert crossroads.get("/live/status", headers=headers).status_code == status, headers
    long = b'{"action": "' + b"x" * 1_100_000 + b'"}'
    url = f"{crossroads.url}/live/control"
    assert httpx.post(url, content=long).status_code == 413
    assert httpx.post(url, content=iter([long])).status_code in (400, 413)
    page = crossroads.get("/")
    assert "script-src 'self';" in page.headers["content-security-policy"]
    assert re.findall(r"<script(?![^>]*src=)", page.text) == []


def test_another_address_needs_keys() -> None:
    """What other machines can reach is refused before a model is loaded, unless keys are given."""
    options = LiveOptions("0.0.0.0", 0, None)
    with pytest.raises(SettingError, match="no API key is set"):
        require_serving(options, None, False)
    with pytest.raises(SettingError, match="not with --steps"):
        require_serving(LiveOptions("127.0.0.1", 0, None), 5, False)


def test_with_keys_nobody_comes_without_one(tmp_path: Path) -> None:
    """Everything but the empty page needs a key; a person belongs to the key that named it, and
    no other key may act for it, with its secret or without."""
    keys = tmp_path / "keys.json"
    ada, eve = (add_key(keys, name) for name in ("ada", "eve"))
    with served_town(tmp_path / "r", planner="routine", warm_up=70, keys=keys) as town:
        walked = [("GET", p) for p in ("run", "events", "status")]
        walked += [("POST", p) for p in ("control", "enter", "move", "talk", "say", "end-talk")]
        walked += [("POST", p) for p in ("leave", "whisper", "interview", "approval")]
        for wrong in ({}, {"Authorization": "Bearer wrong"}):
            for method, path in walked:
                url = f"{town.url}/live/{path}"
                answer = httpx.request(method, url, json={}, headers=wrong)
                assert answer.status_code == 401, path
            assert town.get("/").status_code == 200
        assert "Larkspur" not in town.get("/").text + town.get("/live/page.js").text
        hers, others = ({"Authorization": f"Bearer {key}"} for key in (ada, eve))
        body = {"name": "Ada", "place": "crossroads:roadside"}
        secret = town.post("enter", body, headers=hers).json()["secret"]
        for headers in (others, {**others, "X-Visitor": secret}):
            assert town.post("leave", {"name": "Ada"}, headers=headers).status_code == 403
        assert town.post("enter", {"name": "Ada"}, headers=others).status_code in (403, 409)
        whisper = {"to": HANNA, "text": "Psst."}
        assert town.post("whisper", whisper, headers=others).status_code == 403
        assert town.post("leave", {"name": "Ada"}, headers={**hers, "X-Visitor": secret}).json()


def test_time_waits_for_slow_minds_and_says_so(tmp_path: Path) -> None:
    """While a mind thinks, the status says how long already; what a person does in the meantime
    is taken after the step and not lost."""
    go_on, improvised = threading.Event(), ImprovisedModel()
    slow = threading.Event()

    def answer(ask: ModelAsk) -> Any:
        if slow.is_set():
            assert go_on.wait(PATIENT)
        client = improvised.client()
        client.submit(ask)
        (done,) = client.wait()
        assert isinstance(done, Done)
        return done.answer

    model = ScriptedModel(answer)
    with served_town(tmp_path / "r", scenario="larkspur-morning", model=model) as town:
        slow.set()
        town.post("control", {"action": "step"})
        status = town.wait_for(lambda status: status["state"] == "thinking")
        assert status["thinking"] >= 1
        answer_of_enter = town.post("enter", {"name": "Sam"})
        assert (answer_of_enter.status_code, answer_of_enter.json()["recorded"]) == (202, False)
        late = town.post("whisper", {"to": "Nobody at all", "text": "Psst."})
        assert late.status_code == 202
        go_on.set()
        town.wait_for(lambda status: status["step"] == 1 and status["state"] == "paused")
        with town.events(f"{town.hosts.feed.epoch}.0") as events:
            notice = next(value for kind, value, _ in events if kind == "notice")
        assert "no agent 'Nobody at all'" in notice["text"]
        town.step()
        assert town.visitor("Sam")["place"]


def test_an_interview_leaves_no_trace(tmp_path: Path) -> None:
    """Questions, also a second one in the same interview, are answered as of the last step; the
    tables of the run are the same after it, and the next step charges nobody for it."""
    with served_town(tmp_path / "r", scenario="larkspur-morning", warm_up=30) as town:

        def tables() -> dict[str, list[Any]]:
            with Run(tmp_path / "r") as run:
                rows = run.store.rows("SELECT name FROM sqlite_master WHERE type = 'table'")
                return {name: run.store.rows(f"SELECT * FROM {name}") for (name,) in rows}

        before = tables()
        body = {"agent": "Nora Vale", "question": "What do you do today?"}
        first = town.post("interview", body).json()
        second = town.post("interview", {**body, "id": first["id"], "question": "Why?"}).json()
        assert first["answer"]
        assert second["id"] == first["id"]
        assert tables() == before
        town.step()
        with Run(tmp_path / "r") as run:
            asked = {row.role for row in run.asks(step=30)}
            charged = {usage.role for step, usage in run.usage() if step == 30}
        assert charged <= asked | {"", "embed"}
    assert replay(tmp_path / "r").steps == 31


def test_a_whisper_reaches_one_mind_and_is_recorded(crossroads: ServedTown) -> None:
    """A whisper from the page is an input of the run."""
    body = {"to": HANNA, "text": "The mill is on fire."}
    assert crossroads.post("whisper", body).json() == {"recorded": True}
    simulation = crossroads.town.simulation
    (given,) = simulation.journal.inputs(simulation.step)
    assert (given.kind, given.to, given.text, given.who) == ("whisper", *body.values(), "")
    crossroads.step()


def test_the_town_plays_pauses_and_goes_on_after_its_end(tmp_path: Path) -> None:
    """Play runs to the end and says so; "extend" lets it go on; pause stops it between steps."""
    with served_town(tmp_path / "r", planner="routine", warm_up=5) as town:
        town.town._end = 8
        town.post("control", {"action": "play"})
        assert town.wait_for(lambda status: status["state"] == "ended")["step"] == 8
        town.post("control", {"action": "extend", "value": 2})
        assert town.wait_for(lambda status: status["state"] == "ended")["step"] == 10
        town.post("control", {"action": "pause"})
        town.post("control", {"action": "extend", "value": 60})
        status = town.get("/live/status").json()
        assert (status["state"], status["step"]) == ("paused", 10)
        assert town.post("control", {"action": "pace", "value": 2}).json()["pace"] == 2.0


def test_a_run_is_followed_while_somebody_else_writes_it(tmp_path: Path) -> None:
    """A run that is only read: its new steps come as events, and nothing can be done in it."""
    scenario = read_scenario("crossroads").with_overrides(planner="routine")
    simulation = begin(scenario, tmp_path / "r", model=ImprovisedModel())
    list(simulation.run(steps=3, progress=False))
    with served_run(tmp_path / "r") as town:
        first = town.get("/live/run").json()
        assert first["run"]["steps"] == 3
        list(simulation.run(steps=2, progress=False))
        with town.events(first["id"]) as events:
            steps = next(value["steps"] for kind, value, _ in events if kind == "steps")
        assert steps in (4, 5)
        assert town.get("/live/status").json()["live"] is False
        for path, body in (("enter", {"name": "Sam"}), ("control", {"action": "play"})):
            answer = town.post(path, body)
            assert (answer.status_code, "--resume" in answer.text) == (409, True)
    simulation.store.close()


def test_a_person_is_still_there_when_the_server_starts_anew(tmp_path: Path) -> None:
    """The old secret is void; whoever enters under the name takes the body over."""
    with served_town(tmp_path / "r", planner="routine", warm_up=70) as town:
        town.enter("Sam", place="crossroads:roadside")
        town.step()
        old = town.secrets["Sam"]
    with served_town(tmp_path / "r") as town:
        town.secrets["Sam"] = old
        assert town.act("Sam", "say", text="Hello?").status_code == 403
        answer = town.enter("Sam")
        assert answer["back"]
        assert answer["visitors"]["Sam"]["place"] == "crossroads:roadside"
        assert town.act("Sam", "leave").status_code == 200
        town.step()


def test_a_reader_that_stalls_is_cut_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader that takes no byte any more ends its stream, and the feed forgets it."""
    monkeypatch.setattr(streams, "STALLED_SECONDS", 0.05)
    simulation = begin(read_scenario("crossroads"), tmp_path / "r", model=ImprovisedModel())
    simulation.tick()
    feed = LiveFeed(RunCollector(Run(simulation.store)))
    feed.advance()
    taken: list[Any] = []

    async def receive() -> Any:
        await asyncio.Event().wait()

    async def send(message: Any) -> None:
        taken.append(message["type"])
        if message["type"] == "http.response.body":
            await asyncio.Event().wait()

    stream = streams.EventStream(feed, 0, lambda: {})
    asyncio.run(stream({"type": "http"}, receive, send))
    assert taken == ["http.response.start", "http.response.body"]
    assert feed.readers == 0
    simulation.store.close()


def test_the_feed_keeps_a_bounded_past(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Old events are dropped by count and by size; who needs them gets None."""
    from denizens.server.live import live_feed

    monkeypatch.setattr(live_feed, "KEPT_EVENTS", 10)
    monkeypatch.setattr(live_feed, "KEPT_BYTES", 2000)
    simulation = begin(read_scenario("crossroads"), tmp_path / "r", model=ImprovisedModel())
    feed = LiveFeed(RunCollector(Run(simulation.store)))
    for number in range(30):
        feed.publish("notice", {"text": "x" * 100, "n": number})
    kept = feed.events_after(feed.number - 8)
    assert kept is not None
    assert [event.number for event in kept] == list(range(23, 31))
    assert feed.events_after(1) is None
    assert feed.number_of(f"{feed.epoch}.1") is None
    assert feed.number_of(feed.last_id) == 30
    assert feed.events_after(30) == []
    simulation.store.close()
