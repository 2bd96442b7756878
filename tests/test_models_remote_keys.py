"""Whose key goes to which server: the user names it, or agrees; no file does."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from denizens.cli import main
from denizens.core import ModelError, SettingError
from denizens.memory import Memory
from denizens.models import ImprovisedModel
from denizens.models.remote import UserModelName, connect
from denizens.models.remote.endpoint import resolve_credential
from denizens.server import open_hosted_agent
from denizens.simulation import (
    Run,
    Scenario,
    agent_from_scenario,
    begin,
    interview,
    load_scenario_model,
    read_scenario,
    resume,
)
from denizens.store import Store
from denizens.tests.support.fake_openai_server import FakeOpenAIServer, answers, chunks, say

pytest.importorskip("openai")

SECRET = "sk-mine-4711"


@pytest.fixture
def server(server: FakeOpenAIServer, monkeypatch: pytest.MonkeyPatch) -> FakeOpenAIServer:
    """Beside a key in the environment and an organisation's name."""
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    monkeypatch.setenv("OPENAI_ORG_ID", "org-mine")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", f"X-Pass: {SECRET}\nAuthorization: Bearer {SECRET}")
    return server


def from_file(server: FakeOpenAIServer, folder: Path) -> Scenario:
    """A scenario whose file names the server."""
    file = folder / "theirs.toml"
    file.write_text(
        f'[scenario]\nextends = "crossroads"\n[model]\nname = "openai:{server.url}#toy"\n'
        'embedder = "server"\n'
    )
    return read_scenario(file)


def leaked(server: FakeOpenAIServer) -> bool:
    """Whether anything of the user's came with any request; there must have been some."""
    assert server.seen
    sent = json.dumps([headers for _, _, headers in server.seen])
    return SECRET in sent or "org-mine" in sent


def test_a_run_from_others_gets_no_key(server: FakeOpenAIServer, tmp_path: Path) -> None:
    """Asking, hosting or taking up a run sends nothing of the user's to the server that its
    file names, also where the same process once named it; naming it anew does."""
    given = read_scenario("crossroads").with_overrides(model=f"openai:{server.url}#toy")
    scenario = replace(given, model=replace(given.model, embedder="server"))
    assert isinstance(scenario.model.name, UserModelName)
    with begin(scenario, tmp_path / "run", model=ImprovisedModel()).store:
        pass
    server.moods = [chunks("Hello.")] * 20
    with Run(tmp_path / "run") as run:
        assert not isinstance(run.scenario.model.name, UserModelName)
    interview(tmp_path / "run", "Otto", "Who are you?")
    with open_hosted_agent(tmp_path / "run", "Otto") as host:
        answers(host.agent.model, [say()])
    with resume(tmp_path / "run").store:
        pass
    assert not leaked(server)
    interview(tmp_path / "run", "Otto", "Who are you?", model=scenario.model.name)
    assert leaked(server)


def test_a_scenario_from_others_gets_no_key(
    server: FakeOpenAIServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A scenario's file names no server that gets the key; the user's word or the environment's
    agreement does, for that host alone."""
    scenario = from_file(server, tmp_path)
    answers(load_scenario_model(scenario), [say()])
    with Store(":memory:") as store:
        answers(agent_from_scenario(scenario, "Otto", store).model, [say()])
    monkeypatch.setenv("DENIZENS_KEY_HOSTS", "example.org, 127.0.0.1:1")
    answers(load_scenario_model(scenario), [say()])
    assert not leaked(server)
    monkeypatch.setenv("DENIZENS_KEY_HOSTS", "example.org,127.0.0.1")
    answers(load_scenario_model(scenario), [say()])
    assert leaked(server)


def test_no_file_says_that_the_user_named_it(server: FakeOpenAIServer, tmp_path: Path) -> None:
    """A file that claims to be the user's own word is refused."""
    file = tmp_path / "theirs.toml"
    file.write_text('[scenario]\nextends = "crossroads"\n[model]\nsend_key = true\n')
    with pytest.raises(SettingError, match="send_key"):
        read_scenario(file)


def test_a_server_that_wants_the_key_is_told_of(server: FakeOpenAIServer, tmp_path: Path) -> None:
    """Where the key was kept back the refusal says so, and how to agree; the key is in none."""
    server.status = 401
    with pytest.raises(ModelError, match=r"DENIZENS_KEY_HOSTS=127\.0\.0\.1") as found:
        load_scenario_model(from_file(server, tmp_path))
    assert SECRET not in str(found.value)
    server.status = 200
    model = connect(f"openai:{server.url}", embedder="server", send_key=False)
    server.moods = [401]
    (failed,) = answers(model, [say()])
    assert (failed.reason, "was not sent" in failed.detail) == ("denied", True)
    model.close()


def test_plain_http_carries_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """To another machine a key goes over https alone, whoever named it, unless the environment
    agrees to plain http by name."""
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    for url, sent in [
        ("https://example.org/v1", True),
        ("http://127.0.0.2:8000/v1", True),
        ("http://[::1]:8000/v1", True),
        ("http://localhost/v1", True),
        ("http://example.org/v1", False),
        ("http://10.0.0.5:8000/v1", False),
        ("http://127.0.0.1.example.org/v1", False),
        ("http://localhost.example.org/v1", False),
    ]:
        found = resolve_credential(url)
        assert (found.key == SECRET, found.ambient, not found.withheld) == (sent, sent, sent)
        assert SECRET not in repr(found)
        assert resolve_credential(url, send_key=False).key == ""
    with pytest.raises(SettingError, match="plain http"):
        resolve_credential("http://10.0.0.5:8000/v1", "made-for-it")
    monkeypatch.setenv("DENIZENS_KEY_HOSTS", "10.0.0.5")
    assert resolve_credential("http://10.0.0.5:8000/v1").withheld
    monkeypatch.setenv("DENIZENS_KEY_HOSTS", "http://10.0.0.5")
    assert resolve_credential("http://10.0.0.5:8000/v1", send_key=False).key == SECRET
    assert resolve_credential("http://10.0.0.6:8000/v1").withheld


def test_the_sdks_own_address_is_agreement(monkeypatch: pytest.MonkeyPatch) -> None:
    """OPENAI_BASE_URL names the server that the key of the environment is for, and its port."""
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    monkeypatch.setenv("OPENAI_BASE_URL", "https://example.org/api/v1")
    for url, sent in [
        ("https://example.org:443/v1", True),
        ("https://example.org:8443/v1", False),
        ("http://example.org/v1", False),
        ("https://example.org.evil/v1", False),
    ]:
        assert (resolve_credential(url, send_key=False).key == SECRET) is sent


def test_a_named_model_needs_no_list(server: FakeOpenAIServer) -> None:
    """Where a server lists nothing the name given is used; without one it is asked for, and an
    address at which nothing answers is told at once."""
    forms: list[tuple[int, Any]] = [(404, None), (405, None), (200, {"data": []}), (200, {})]
    for status, listed in [*forms, (200, [])]:
        server.status, server.listed = status, listed
        model = connect(f"openai:{server.url}#toy", embedder="server")
        (found,) = answers(model, [say()])
        assert found.text == "You said: hello"
        assert model.describe()["name"] == f"openai:{server.url}#toy"
        model.close()
        with pytest.raises(ModelError, match="#NAME"):
            connect(f"openai:{server.url}")
    server.status, server.listed = 404, None
    server.moods = [404]
    with pytest.raises(ModelError, match="mostly ends in /v1"):
        connect(f"openai:{server.url}#toy")


def test_lists_of_other_forms(server: FakeOpenAIServer) -> None:
    """A bare list, names alone and counts as floats are read."""
    forms: list[Any] = [[{"id": "toy"}], ["toy"], {"data": ["toy", None, {}]}]
    for listed in forms:
        server.listed = listed
        model = connect(f"openai:{server.url}", embedder="server")
        assert model.describe()["name"] == f"openai:{server.url}#toy"
        model.close()
    server.listed = {"data": [{"id": "toy", "max_model_len": 8192.0, "meta": None}]}
    model = connect(f"openai:{server.url}", embedder="server")
    assert model.describe()["window"] == 8192
    model.close()
    with pytest.raises(SettingError, match="write it like"):
        connect("openai:http://127.0.0.1:many/v1")


def test_a_cap_holds_without_counts(server: FakeOpenAIServer, tmp_path: Path) -> None:
    """A run by a server that tells no counts stops at its day's cap all the same."""
    server.reply = lambda said: "Good morning!"
    server.tells_usage = False
    scenario = read_scenario("crossroads").with_overrides(
        model=f"openai:{server.url}#toy", max_tokens_per_day=500
    )
    scenario = replace(scenario, model=replace(scenario.model, embedder="server"))
    town = begin(scenario, tmp_path / "run")
    with town.store:
        assert len(list(town.run(steps=20))) < 20
        assert town.halted is not None
        assert "of 500 tokens" in str(town.halted)


def test_a_broken_answer_is_told_in_a_chat(
    server: FakeOpenAIServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Whoever reads an answer that breaks off is told that it is none, and nothing of it is
    remembered; a whole one is shown once."""
    scenario = tmp_path / "theirs.toml"
    from_file(server, tmp_path)
    memory = tmp_path / "otto.db"
    words = ["chat", str(scenario), "Otto", "--memory", str(memory)]

    def chat(stream: bytes) -> str:
        # One for each draft of the answer, and for each that is asked again.
        server.streams = [stream] * 20
        monkeypatch.setattr("sys.stdin", io.StringIO("Hello Otto\n\n"))
        with pytest.raises(SystemExit) as ended:
            main(words)
        said = capsys.readouterr()
        assert ended.value.code == (3 if "no answer" in said.err else 0)
        return said.out + said.err

    with Store(memory):
        pass
    broken = chat(chunks("The oven is ", end=b""))
    assert "no answer: " in broken
    assert "ended its answer early" in broken
    with Store(memory) as store:
        before = len(Memory(store, "Otto Lind"))
    assert chat(chunks("Good day.")).startswith("Good day.\n")
    with Store(memory) as store:
        assert len(Memory(store, "Otto Lind")) > before
