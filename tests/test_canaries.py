"""Two people talk with one agent: each is remembered, and nothing of one reaches the other."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from denizens.core import Cue, Model
from denizens.memory import Facts
from denizens.server.hosting import AgentHosts, HostingSettings
from denizens.server.web import create_app
from denizens.tests.support.canary_talk import (
    CANARIES,
    START,
    RecordingEcho,
    assert_apart,
    leaks,
    line_of,
    listener,
    remembered,
    seen_by,
    talk,
)
from denizens.tests.support.chat_server import keyed_app

TURNS = range(20)
PLACES = ("recall", "records", "export", "sessions")


def test_two_people_in_two_threads_are_kept_apart(tmp_path: Path) -> None:
    """20 turns each at once with a model that leaks its whole prompt: no reply, no prompt, no
    recall, no export and no list of sessions of one has a word of the other; each is remembered,
    also after a restart."""
    path, model = tmp_path / "bo.db", RecordingEcho()
    bo = listener(path, model)
    with ThreadPoolExecutor(2) as pool:
        futures = {person: pool.submit(talk, bo, person, TURNS) for person in CANARIES}
        replies = {person: future.result(120) for person, future in futures.items()}
    assert model.crossings() == []
    for person, texts in replies.items():
        assert len(texts) == len(TURNS)
        assert leaks({"replies": repr(texts)}, person) == []
        assert CANARIES[person] in repr(texts)  # The model does leak: the test can fail.
    Facts(bo.memory).learn(bo.memory.records())
    turns = dict.fromkeys(CANARIES, TURNS)
    assert_apart(lambda person: seen_by(bo, person, tmp_path), turns, PLACES)
    bo.memory.close()
    again = listener(path, RecordingEcho())
    assert_apart(lambda person: seen_by(again, person, tmp_path), turns, PLACES)
    assert leaks({"reply": repr(talk(again, "Ada", [23]))}, "Ada") == []
    assert leaks({"reply": repr(talk(again, "Eve", [3]))}, "Eve") == []
    assert again.memory.store.verify() == ()
    again.memory.close()


_TALKER = """
import sys, threading
from denizens.tests.support.canary_talk import CANARIES, RecordingEcho, listener, talk
bo = listener(sys.argv[1], RecordingEcho())
def run(person):
    for turn in range(400):
        talk(bo, person, [turn])
        print(person, turn, flush=True)
for person in CANARIES:
    threading.Thread(target=run, args=(person,)).start()
"""


def test_a_kill_loses_no_turn_that_was_answered(tmp_path: Path) -> None:
    """After a kill -9 in the middle of the talk, all that was answered is remembered for its
    person, nothing of it by the other, and the file is whole."""
    path = tmp_path / "bo.db"
    command = [sys.executable, "-c", _TALKER, str(path)]
    answered: dict[str, list[int]] = {person: [] for person in CANARIES}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ) as process:
        assert process.stdout is not None
        guard = threading.Timer(90, process.kill)
        guard.start()
        for line in process.stdout:
            person, turn = line.split()
            answered[person].append(int(turn))
            if all(len(turns) >= 8 for turns in answered.values()):
                process.send_signal(signal.SIGKILL)
                break
        guard.cancel()
        process.wait(30)
    assert process.returncode == -signal.SIGKILL
    bo = listener(path, RecordingEcho())
    assert bo.memory.store.verify() == ()
    assert_apart(lambda person: seen_by(bo, person, tmp_path), answered, PLACES)
    assert leaks({"reply": repr(talk(bo, "Cem", [403]))}, "Cem") == []
    bo.memory.close()


def test_corrections_and_restores_keep_them_apart(tmp_path: Path) -> None:
    """Forgetting a line of one, and loading a save, changes nothing for the other, and the save
    has no word of what was forgotten."""
    bo = listener(tmp_path / "bo.db", RecordingEcho())
    for person in CANARIES:
        talk(bo, person, range(6))
    save = bo.snapshot("six")
    own = [record for record in bo.memory.records(person="Ada") if "quixotry2" in record.text]
    report = bo.corrections.forget([record.id for record in own], by="Ada")
    assert report.found == 0
    bo.restore(save)
    assert b"quixotry2" not in (tmp_path / "bo.db").read_bytes()
    seen = {person: seen_by(bo, person, tmp_path) for person in CANARIES}
    assert remembered(seen["Cem"]["recall"], "Cem", range(6)) == [0, 1, 2, 4, 5]
    for person in CANARIES:
        assert leaks(seen[person], person) == []
    bo.memory.close()


@pytest.mark.real
def test_a_small_model_keeps_two_people_apart(smollm2: Model, tmp_path: Path) -> None:
    """The packaged model, a few turns each in turns, and again after a restart."""
    path = tmp_path / "bo.db"
    bo = listener(path, smollm2)
    for turn in range(3):
        for person in CANARIES:
            assert leaks({"reply": repr(talk(bo, person, [turn]))}, person) == []
    bo.memory.close()
    bo = listener(path, smollm2)
    for person in CANARIES:
        assert leaks({"reply": repr(talk(bo, person, [3]))}, person) == []
        cue = Cue(text="What do I keep in box 1?", at=START, rules="hybrid", person=person)
        texts = repr(bo.memory.recall(cue))
        assert f"{CANARIES[person]}1 " in texts
    turns = dict.fromkeys(CANARIES, range(3))
    assert_apart(lambda person: seen_by(bo, person, tmp_path), turns, ("records", "sessions"))
    bo.memory.close()


BASE = "http://127.0.0.1"
_LOOKS = (
    "/api/caller",
    "/api/agents",
    "/api/agents/bo",
    "/api/agents/bo/sessions",
    "/api/agents/bo/sessions/main",
    "/api/agents/bo/memory?limit=500",
    "/api/agents/bo/memory/search?text=secret+box",
    "/api/agents/bo/memory/export",
    "/api/approvals",
    "/v1/models",
)


def test_two_people_over_the_api_are_kept_apart(tmp_path: Path) -> None:
    """Ada by the own API, Cem by the OpenAI API, 20 turns each in turns, with keys of their own:
    no answer, no route and no prompt has a word of the other, also after a restart of the
    server; each is remembered."""
    testclient = pytest.importorskip("fastapi.testclient")
    model = RecordingEcho()
    bo = listener(tmp_path / "bo.db", model)
    app, keys = keyed_app(AgentHosts({"bo": bo}, model, "plain"), tmp_path, KEY_OWNERS)
    headers = {name: {"Authorization": f"Bearer {keys[name.lower()]}"} for name in CANARIES}
    with testclient.TestClient(app, base_url=BASE) as client:
        history: list[dict[str, str]] = []
        for turn in TURNS:
            text = {"text": line_of("Ada", turn)}
            url = "/api/agents/bo/sessions/main/messages"
            answer = client.post(url, json=text, headers=headers["Ada"])
            assert answer.status_code == 200, answer.text
            assert leaks({"reply": answer.text}, "Ada") == []
            history.append({"role": "user", "content": line_of("Cem", turn)})
            body = {"model": "bo", "messages": history[-5:]}
            answer = client.post("/v1/chat/completions", json=body, headers=headers["Cem"])
            assert answer.status_code == 200, answer.text
            assert leaks({"reply": answer.text}, "Cem") == []
            said = answer.json()["choices"][0]["message"]["content"]
            history.append({"role": "assistant", "content": said})
        assert_no_route_leaks(client, headers)
    assert model.crossings() == []
    bo.memory.close()
    again = listener(tmp_path / "bo.db", model)
    settings = HostingSettings(keys=tmp_path / "keys", people=tmp_path / "people")
    app = create_app(AgentHosts({"bo": again}, model, "plain"), settings)
    with testclient.TestClient(app, base_url=BASE) as client:
        assert_no_route_leaks(client, headers)
    again.memory.close()


KEY_OWNERS = {"ada": "Ada", "cem": "Cem"}


def assert_no_route_leaks(client: Any, headers: dict[str, dict[str, str]]) -> None:
    """No route shows a person what the other said; each finds their own."""
    for person, own in headers.items():
        seen = {url: client.get(url, headers=own).text for url in _LOOKS}
        assert leaks(seen, person) == []
        assert remembered(seen[_LOOKS[7]], person, TURNS) == [n for n in TURNS if n % 4 != 3]
