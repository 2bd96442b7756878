"""Servers by name: addresses, keys, absent servers, and the end of a connection."""

from __future__ import annotations

import gc
import json
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from denizens.core import Done, Failed, ModelError, ModelNotFound, SettingError
from denizens.models.remote import connect
from denizens.simulation import begin, read_scenario, replay, run_stats
from denizens.tests.support.fake_openai_server import FakeOpenAIServer, answers, say, wait_until

pytest.importorskip("openai")


def test_the_key_stays_secret(server: FakeOpenAIServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The key goes from the environment to the server and nowhere else."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret-1")
    model = connect(f"openai:{server.url}", embedder="server")
    server.moods = [401]
    (found,) = answers(model, [say()])
    assert server.seen[0][2]["authorization"] == "Bearer sk-secret-1"
    assert "sk-secret-1" not in json.dumps(model.describe()) + found.detail
    assert "Bearer ***" in found.detail
    model.close()
    monkeypatch.delenv("OPENAI_API_KEY")
    other = connect(f"openai:{server.url}", embedder="server")
    answers(other, [say()])
    assert server.seen[1][2]["authorization"] == "Bearer none"
    other.close()


def test_names(server: FakeOpenAIServer) -> None:
    """A name says server, model and settings; what is wrong with it is told with a remedy."""
    model = connect(f"openai:{server.url}/?timeout=5", embedder="server:other")
    about = model.describe()
    assert (about["name"], about["server"]) == (f"openai:{server.url}#toy", "vllm")
    model.close()
    server.models = [
        {"id": "toy", "max_model_len": 77},
        {"id": "big:latest", "owned_by": "library"},
    ]
    model = connect(f"openai:{server.url}#big")
    assert (model.describe()["name"], model.describe()["server"]) == (
        f"openai:{server.url}#big:latest",
        "ollama",
    )
    model.close()
    for name, error, said in [
        (server.url + "#tox", ModelNotFound, "did you mean 'toy'"),
        (server.url, ModelNotFound, "several models .toy, big:latest.; name one"),
        (server.url + "?retrys=1", SettingError, "did you mean 'retries'"),
        (server.url + "?timeout=soon", SettingError, "must be a number"),
        (server.url + "?concurrency=0", SettingError, "at least 1"),
        ("ftp://here", SettingError, "names no server"),
        ("http://\u2603.invalid/v1", SettingError, "correct its address"),
        ("http://me:pw@here/v1", SettingError, "OPENAI_API_KEY"),
    ]:
        with pytest.raises(error, match=said) as found:
            connect(f"openai:{name}")
        assert "pw" not in str(found.value)


def test_no_server(server: FakeOpenAIServer) -> None:
    """Nobody at the address, or somebody else: a ModelError that says what to do."""
    with pytest.raises(ModelError, match=r"cannot be reached.*start the server"):
        connect("openai:http://127.0.0.1:9/v1?retries=0")
    server.status = 404
    with pytest.raises(ModelError, match=r"end in /v1"):
        connect(f"openai:{server.url}")
    server.status = 401
    with pytest.raises(ModelError, match="OPENAI_API_KEY"):
        connect(f"openai:{server.url}")


def test_closing_ends_everything(server: FakeOpenAIServer) -> None:
    """What is open becomes Failed, nothing can be asked any more, and no thread is left,
    also when the model is merely forgotten."""
    before = threading.active_count()
    model = connect(f"openai:{server.url}?concurrency=1", embedder="server")
    server.moods = ["hang"]
    client = model.client()
    for text in "ab":
        client.submit(say(text))
    wait_until(lambda: len(server.seen) == 1)
    model.close()
    model.close()
    found = [event.answer for event in client.wait() if isinstance(event, Done)]
    assert [one.reason for one in found if isinstance(one, Failed)] == ["engine", "engine"]
    with pytest.raises(ModelError, match="closed"):
        client.submit(say())
    forgotten = connect(f"openai:{server.url}", embedder="server")
    del forgotten
    gc.collect()
    server.release.set()
    wait_until(lambda: not any(t.name == "denizens-server" for t in threading.enumerate()))
    wait_until(lambda: threading.active_count() <= before)


def test_a_town_lives_by_a_server(
    server: FakeOpenAIServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A scenario whose model is a server's is run, recorded whole with its ledger, and its
    file holds no key."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret-2")
    server.reply = lambda said: "Good morning, shall we look at the market?"
    server.delay = 0.02
    found = read_scenario("crossroads").with_overrides(model=f"openai:{server.url}#toy", seed=1)
    with_server = replace(found, model=replace(found.model, embedder="server"))
    town = begin(with_server, tmp_path / "run")
    with town.store:
        for _ in town.run(steps=2):
            pass
        spent = run_stats(town.store)["ledger"]["total"]
    assert spent["calls"] > 10
    assert spent["tokens_out"] > 0
    assert server.most > 1  # independent asks went side by side
    assert replay(tmp_path / "run").steps == 2
    files = [path for path in (tmp_path / "run").rglob("*") if path.is_file()]
    assert files
    assert not any(b"sk-secret-2" in path.read_bytes() for path in files)
    assert server.seen[0][2]["authorization"] == "Bearer sk-secret-2"
    town.agents["Hanna Brook"].model.close()  # type: ignore[attr-defined]
