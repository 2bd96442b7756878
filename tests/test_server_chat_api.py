"""The own API: whose memory it shows, sessions and their variants, approvals, interviews."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from denizens.agents.chat import LineRefused, ModerationHooks
from denizens.server.hosting import AgentHosts
from denizens.server.web import create_app
from denizens.tests.support.chat_server import CANARY, LETTERS, SAID, chat_hosts, keyed_app
from denizens.tests.support.running_app import running_app

testclient = pytest.importorskip("fastapi.testclient")
BASE = "http://127.0.0.1"
MAIN = "/api/agents/bo/sessions/main"
MEMORY = "/api/agents/bo/memory"


@pytest.fixture
def hosts(tmp_path: Path) -> AgentHosts:
    """Three agents; Bo writes letters."""
    return chat_hosts(tmp_path / "town.db", writes=True)


@pytest.fixture
def client(hosts: AgentHosts) -> Iterator[Any]:
    """A client of a server without keys."""
    with testclient.TestClient(create_app(hosts), base_url=BASE) as client:
        yield client


def said(client: Any, text: str, **headers: str) -> Any:
    """The reply to a line."""
    answer = client.post(f"{MAIN}/messages", json={"text": text}, headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.json()


def lines_of(client: Any, **headers: str) -> list[str]:
    """The texts of the main session."""
    content = client.get(MAIN, headers=headers).json()
    return [line["text"] for line in content["lines"]]


def events_of(text: str) -> list[tuple[str, Any]]:
    """The events of a text/event-stream."""
    blocks = [block.split("\n") for block in text.strip().split("\n\n")]
    return [(name.removeprefix("event: "), json.loads(data[6:])) for name, data in blocks]


def test_a_reply_is_streamed_and_kept(client: Any) -> None:
    """The pieces of the text, then the reply with what it rests on and the numbers of its lines;
    the session has both lines, with why."""
    answer = client.post(f"{MAIN}/messages", json={"text": "Any nuts in it?", "stream": True})
    assert answer.headers["content-type"].startswith("text/event-stream")
    events = events_of(answer.text)
    assert "".join(data["text"] for name, data in events if name == "text") == SAID
    name, reply = events[-1]
    assert (name, reply["text"], reply["resolve"]) == ("end", SAID, "answer")
    assert any("nuts" in hit["text"] for hit in reply["why"]["recalled"])
    content = client.get(MAIN).json()
    assert [line["number"] for line in content["lines"]] == [reply["said"], reply["line"]]
    assert any("nuts" in hit["text"] for hit in content["lines"][1]["why"]["recalled"])
    assert client.get("/api/agents/bo/sessions").json()[0]["title"] == "Any nuts in it?"


def test_a_reply_is_made_anew_a_line_edited_and_each_variant_taken_up(client: Any) -> None:
    """Variants of one place are listed with it; going to one shows the talk after it."""
    said(client, "Hello!")
    first = said(client, "Is there rye?")
    again = client.post(f"{MAIN}/replies", json={}).json()
    assert again["said"] == first["said"]
    lines = client.get(MAIN).json()["lines"]
    assert lines[-1]["variants"] == [first["line"], again["line"]]
    edited = client.put(f"{MAIN}/lines/{first['said']}", json={"text": "Is there wheat?"}).json()
    assert lines_of(client) == ["Hello!", SAID, "Is there wheat?", SAID]
    place = client.get(MAIN).json()["lines"][2]
    assert place["variants"] == [first["said"], edited["said"]]
    going = {"line": first["said"], "to_end": True}
    content = client.post(f"{MAIN}/branch", json=going).json()
    assert content["lines"][-1]["number"] == again["line"]
    assert lines_of(client) == ["Hello!", SAID, "Is there rye?", SAID]


def test_an_interview_leaves_no_trace(client: Any) -> None:
    """The answer rests on the memory and nothing is written: no line, no record, no call."""
    before = client.get(f"{MEMORY}?scope=all").content
    body = {"text": "Do you know Runa?", "lines": [{"own": True, "text": "Hello!"}]}
    answer = client.post("/api/agents/bo/interview", json=body).json()
    assert answer["text"] == SAID
    assert any("Runa" in hit["text"] for hit in answer["why"]["recalled"])
    refused = client.post("/api/agents/bo/interview", json={"text": "Send a letter!"}).json()
    assert refused["text"] == "Then I will not send it."
    assert client.get(f"{MEMORY}?scope=all").content == before
    assert client.get("/api/approvals").json() == []
    assert lines_of(client) == []


def test_moderation_holds_in_an_interview(hosts: AgentHosts, client: Any) -> None:
    """A line that a hook refuses is not asked, and what a hook takes out of a reply is not
    shown."""
    bo = hosts.agent("bo")
    assert bo is not None

    def heard(text: str, moment: object) -> str:
        if "rude" in text:
            raise LineRefused("not here")
        return text

    bo.hooks = ModerationHooks(heard=heard, shown=lambda text, _: text.replace("rye", "***"))
    url = "/api/agents/bo/interview"
    refused = client.post(url, json={"text": "rude"}).json()
    assert (refused["resolve"], refused["failure"]["detail"]) == ("failed", "not here")
    shown = client.post(url, json={"text": "What do you have?"}).json()["text"]
    assert shown == SAID.replace("rye", "***")


def test_a_session_is_deleted_with_what_is_remembered_of_it(client: Any) -> None:
    """Its lines, on all branches, and their records are gone from every answer; others stay."""
    said(client, "The kestrel is ill")
    client.post(f"{MAIN}/replies", json={})
    other = "/api/agents/bo/sessions/other"
    client.post(f"{other}/messages", json={"text": "The heron is well"})
    assert client.delete(MAIN).status_code == 204
    names = [one["name"] for one in client.get("/api/agents/bo/sessions").json()]
    assert names == ["other"]
    assert client.get(MAIN).json()["lines"] == []
    everything = client.get(f"{MEMORY}/export?scope=all").text
    assert "kestrel" not in everything
    assert "heron" in everything
    assert client.delete(MAIN).status_code == 404


def test_memory_is_corrected_and_forgotten_with_or_without_history(client: Any) -> None:
    """A correction is a new record with a history; what is erased stands in no export."""
    found = client.get(f"{MEMORY}/search", params={"text": "daughter"}).json()[0]
    assert "Runa" in found["text"]
    new = client.patch(f"{MEMORY}/{found['id']}", json={"text": "My daughter is Maj"}).json()
    texts = [one["text"] for one in client.get(MEMORY).json()["records"]]
    assert not any("Runa" in text for text in texts)
    assert any("Maj" in text for text in texts)
    history = client.get(f"{MEMORY}/{new['id']}/history").json()
    assert ["Runa" in history[0]["text"], "Maj" in history[1]["text"]] == [True, True]
    report = client.delete(f"{MEMORY}/{new['id']}").json()
    assert report["found"] == 0
    everything = client.get(f"{MEMORY}/export?scope=all").text
    assert "Runa" not in everything
    assert "Maj" not in everything
    assert client.patch(f"{MEMORY}/{new['id']}", json={"text": "x"}).status_code == 404


def test_the_list_of_memories_has_pages(client: Any) -> None:
    """Pages join to the whole list, and a filter counts only its own."""
    numbers, before = [], None
    while True:
        page = client.get(MEMORY, params={"limit": 1, **({"before": before} if before else {})})
        numbers += [one["id"] for one in page.json()["records"]]
        before = page.json()["before"]
        if before is None:
            break
    assert numbers == [4, 3]
    everything = {"scope": "all", "limit": 1}
    assert client.get(MEMORY, params=everything).json()["total"] == 4
    assert client.get(MEMORY, params={"kind": "thought"}).json()["total"] == 0
    assert client.get(MEMORY, params={"kind": "thought", **everything}).json()["total"] == 1


def test_a_call_waits_until_it_is_approved(client: Any) -> None:
    """The reply waits, the approval lists it, yes sends it once, and the session goes on."""
    LETTERS.clear()
    reply = said(client, "Send a letter!")
    assert (reply["resolve"], reply["text"]) == ("waiting", "")
    (request,) = client.get("/api/approvals").json()
    assert (request["tool"], request["person"]) == ("send", "a visitor")
    assert client.get(MAIN).json()["waiting"][0]["key"] == request["key"]
    answer = client.post(f"/api/approvals/{request['key']}", json={"yes": True})
    assert answer.json()["text"] == "It is sent."
    assert LETTERS == ["the mill: Send a letter!"]
    assert client.post(f"/api/approvals/{request['key']}", json={"yes": True}).status_code == 404
    assert lines_of(client) == ["Send a letter!", "It is sent."]
    assert client.post("/api/approvals/nothing", json={"yes": "no"}).status_code == 422


def test_who_may_approve(hosts: AgentHosts, tmp_path: Path) -> None:
    """A person's own key may not approve what is done for the person, and sees no request; an
    application may, for its own persons only."""
    LETTERS.clear()
    people = {"shop": "", "other": "", "ada": "Ada Holm"}
    app, keys = keyed_app(hosts, tmp_path, people)
    bearer = {name: {"Authorization": f"Bearer {key}"} for name, key in keys.items()}
    with testclient.TestClient(app, base_url=BASE) as client:
        said(client, "Send a letter!", **bearer["ada"])
        said(client, "Send a letter!", **bearer["shop"], **{"X-Denizens-Person": "Cy"})
        assert client.get("/api/approvals", headers=bearer["ada"]).status_code == 403
        assert client.get("/api/approvals", headers=bearer["other"]).json() == []
        (request,) = client.get("/api/approvals", headers=bearer["shop"]).json()
        assert request["person"] == "Cy"
        url = f"/api/approvals/{request['key']}"
        statuses = [
            client.post(url, json={"yes": True}, headers=headers).status_code
            for headers in ({}, bearer["ada"], bearer["other"])
        ]
        assert (statuses, LETTERS) == ([401, 403, 404], [])
        assert client.post(url, json={"yes": False}, headers=bearer["shop"]).status_code == 200
        assert LETTERS == []


ROUTES = (
    ("GET", "/api/agents/bo"),
    ("GET", "/api/agents/bo/sessions"),
    ("GET", MAIN),
    ("GET", f"{MEMORY}?limit=500"),
    ("GET", f"{MEMORY}/search?text={CANARY}"),
    ("GET", f"{MEMORY}/search?text=the+barn"),
    ("GET", f"{MEMORY}/export"),
    *(("GET", f"{MEMORY}/{number}/history") for number in range(1, 12)),
)


def test_nothing_of_one_person_reaches_another(hosts: AgentHosts, tmp_path: Path) -> None:
    """Two people talk with one agent; no route shows one what the other said, what was derived
    from it or how much of it there is; neither may change it."""
    app, keys = keyed_app(hosts, tmp_path, {"eve": "Eve", "mallory": "Mallory"})
    with testclient.TestClient(app, base_url=BASE) as client:
        eve, mallory = ({"Authorization": f"Bearer {keys[name]}"} for name in ("eve", "mallory"))
        for turn in range(3):
            said(client, f"The {CANARY} is number {turn}", **eve)
            reply = said(client, f"What of the barn? {turn}", **mallory)
            assert CANARY not in json.dumps(reply)
        seen = {url: client.get(url, headers=mallory).text for _, url in ROUTES}
        assert [url for url, text in seen.items() if CANARY in text] == []
        assert CANARY in client.get(f"{MEMORY}/export", headers=eve).text
        own = [one["id"] for one in client.get(f"{MEMORY}", headers=eve).json()["records"]]
        for number in own:
            for answer in (
                client.patch(f"{MEMORY}/{number}", json={"text": "gone"}, headers=mallory),
                client.delete(f"{MEMORY}/{number}", headers=mallory),
                client.get(f"{MEMORY}/{number}/history", headers=mallory),
            ):
                assert answer.status_code == 404
                assert CANARY not in answer.text
        line = client.get(MAIN, headers=eve).json()["lines"][0]["number"]
        stolen = client.put(f"{MAIN}/lines/{line}", json={"text": "mine"}, headers=mallory)
        assert stolen.status_code in (400, 404)
        assert (
            client.post(f"{MAIN}/branch", json={"line": line}, headers=mallory).status_code == 400
        )


def test_the_thoughts_of_an_agent_are_its_own(hosts: AgentHosts, tmp_path: Path) -> None:
    """What the agent itself thinks and saw, though for everybody, is in no list, search, export,
    history and why of a person with a key, who may not change it; the owner sees it on a wish."""
    own = ("oven", "market")
    app, keys = keyed_app(hosts, tmp_path, {"mallory": "Mallory", "shop": ""})
    with testclient.TestClient(app, base_url=BASE) as client:
        for key in keys.values():
            headers = {"Authorization": f"Bearer {key}"}
            reply = said(client, "Was the oven mended before the market?", **headers)
            assert reply["why"]["withheld"] > 0
            seen = json.dumps(reply["why"]["recalled"])
            for url in (MEMORY, f"{MEMORY}/search?text=oven", f"{MEMORY}/1/history", MAIN):
                seen += client.get(url, headers=headers).text
            seen += client.get(f"{MEMORY}/export", headers=headers).text
            assert [word for word in own if f"{word} was mended in" in seen] == []
            assert "on Saturday" not in seen
            assert client.get(f"{MEMORY}?scope=all", headers=headers).status_code == 403
            assert client.delete(f"{MEMORY}/1", headers=headers).status_code == 404
    with testclient.TestClient(create_app(hosts), base_url=BASE) as client:
        assert "oven" not in client.get(MEMORY).text
        assert client.delete(f"{MEMORY}/1").status_code == 404
        assert "oven" in client.get(f"{MEMORY}?scope=all").text
        assert client.delete(f"{MEMORY}/1?scope=all").status_code == 200


def test_every_route_is_in_the_document_with_its_types(client: Any) -> None:
    """Each route of the own API says what it answers."""
    document = client.get("/openapi.json").json()
    own = {path: item for path, item in document["paths"].items() if path.startswith("/api")}
    assert len(own) >= 16
    for path, item in own.items():
        for method, operation in item.items():
            answers = {code: one for code, one in operation["responses"].items() if code[0] == "2"}
            (answer,) = answers.values()
            typed = "204" in answers or answer["content"]
            assert typed, (method, path)
            assert operation["description"], (method, path)


@pytest.mark.parametrize(
    ("method", "url", "status"),
    [
        ("GET", "/api/agents/zoe", 404),
        ("GET", "/api/agents/zoe/memory", 404),
        ("POST", "/api/agents/bo/sessions/main/messages", 422),
        ("PUT", f"{MAIN}/lines/999", 400),
        ("POST", f"{MAIN}/replies", 400),
        ("POST", f"{MAIN}/branch", 422),
        ("GET", f"{MEMORY}/search?text=", 422),
        ("GET", f"{MEMORY}?limit=0", 422),
        ("GET", f"{MEMORY}/99999/history", 404),
        ("GET", f"{MEMORY}/0/history", 422),
        ("GET", "/api/agents/bo/portrait", 404),
        ("DELETE", "/api/agents/bo/sessions/never", 404),
        ("GET", "/page/../../pyproject.toml", 404),
        ("GET", "/page/%2e%2e%2fpyproject.toml", 404),
        ("GET", "/page/nothing.js", 404),
    ],
)
def test_what_there_is_not_is_refused(client: Any, method: str, url: str, status: int) -> None:
    """One clear line and the right status."""
    body = {"text": "Hi"} if method == "PUT" else {}
    answer = client.request(method, url, json=body if method != "GET" else None)
    assert answer.status_code == status, answer.text
    assert answer.json()["detail"]


def test_who_hangs_up_stops_the_reply(tmp_path: Path) -> None:
    """A client that is gone after the first words: they are kept, marked as cut, and no reply is in
    progress any more."""
    httpx = pytest.importorskip("httpx")
    hosts = chat_hosts(tmp_path / "town.db", seconds=0.15)
    with running_app(create_app(hosts)) as address, httpx.Client(base_url=address) as client:
        body = {"text": "Hello!", "stream": True}
        with client.stream("POST", f"{MAIN}/messages", json=body) as answer:
            for line in answer.iter_lines():
                if "rye" in line:
                    break
        end = time.monotonic() + 10
        while not (lines := client.get(MAIN).json()["lines"]):
            assert time.monotonic() < end
            time.sleep(0.05)
        assert [lines[0]["text"], lines[1]["cut"]] == ["Hello!", True]
        assert SAID.startswith(lines[1]["text"])
        assert len(lines[1]["text"]) < len(SAID)
        assert client.get(MAIN).json()["answering"] is False


def test_a_reply_is_cancelled_from_another_request(tmp_path: Path) -> None:
    """The stream ends by itself, as cancelled, with the text that was shown."""
    httpx = pytest.importorskip("httpx")
    hosts = chat_hosts(tmp_path / "town.db", seconds=0.15)
    with running_app(create_app(hosts)) as address, httpx.Client(base_url=address) as client:
        body = {"text": "Hello!", "stream": True}
        with client.stream("POST", f"{MAIN}/messages", json=body) as answer:
            text = ""
            for line in answer.iter_lines():
                text += line + "\n"
                if "rye" in line and "cancel" not in text:
                    assert client.get(MAIN).json()["answering"] is True
                    assert client.post(f"{MAIN}/cancel").json() == {"cancelled": True}
        name, reply = events_of(text)[-1]
        assert (name, reply["resolve"]) == ("end", "cancelled")
        assert SAID.startswith(reply["text"])
        assert client.post(f"{MAIN}/cancel").json() == {"cancelled": False}
