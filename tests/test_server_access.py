"""Who may use the web server: keys, persons, hosts, pages of others, and the caps on requests."""

from __future__ import annotations

import json
import os
import stat
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from denizens.core import SettingError
from denizens.server.hosting import (
    AccessDenied,
    ApiKeys,
    Caller,
    HostingSettings,
    PersonDirectory,
    RequestRefused,
    add_key,
    check_json_depth,
    check_schema_depth,
    hash_key,
    revoke_key,
)
from denizens.tests.support.hosted_app import URL, HostedApp, hosted_app

OPEN = {"/", "/healthz", "/readyz", "/page/{name}"}
"""Routes that need no key."""

HELLO = {"model": "bo-lind", "messages": [{"role": "user", "content": "Hello!"}]}


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HostedApp]:
    """A server with keys."""
    with hosted_app(tmp_path_factory.mktemp("keys"), requests_per_minute=0) as app:
        yield app


@pytest.fixture(scope="module")
def local() -> Iterator[HostedApp]:
    """A server without keys."""
    with hosted_app(max_body=5_000) as app:
        yield app


def routes(app: HostedApp) -> list[tuple[str, str]]:
    """Every method and path of the OpenAPI document, so that new ones are covered."""
    paths = app.app.openapi()["paths"]
    return [(method.upper(), path) for path, methods in paths.items() for method in methods]


def filled(path: str, **parts: str) -> str:
    """A path with its parameters filled in."""
    values = {"agent": "bo-lind", "session": "main", "model": "bo-lind", **parts}
    for name in ("record", "line", "key:path", "key", "name", "response_id", "model:path"):
        values.setdefault(name, "1")
    for name, value in values.items():
        path = path.replace("{" + name + "}", value)
    return path


def test_every_route_needs_a_key(kept: HostedApp) -> None:
    """Without a key, and with a wrong one, every route answers 401, and says nothing else."""
    walked = routes(kept)
    assert len(walked) > 20
    for headers in ({}, {"Authorization": "Bearer dz-wrong"}, {"Authorization": "Basic Zm9v"}):
        for method, path in walked:
            if path in OPEN:
                continue
            response = kept.client.request(method, filled(path), headers=headers, json={})
            assert response.status_code == 401, (method, path)
            assert "Bearer" in response.headers["WWW-Authenticate"]
    assert kept.client.get("/nothing/here").status_code == 401
    assert kept.client.get("/openapi.json").status_code == 401
    for path in ("/healthz", "/readyz"):
        assert kept.client.get(path).status_code == 200


def test_another_keys_person(kept: HostedApp) -> None:
    """A person whom one key has named is refused to another, on every route that takes one; who
    is named nowhere is unknown."""
    shop, other = kept.bearer("shop"), kept.bearer("other")
    said = kept.client.post("/v1/chat/completions", json={**HELLO, "user": "Nina"}, headers=shop)
    assert said.status_code == 200
    for named in ("Nina", "NINA", " nina "):
        body = {**HELLO, "user": named}
        taken = kept.client.post("/v1/chat/completions", json=body, headers=other)
        assert taken.status_code == 403
        assert taken.json()["error"]["type"] == "permission_error"
    for method, path in routes(kept):
        if not path.startswith("/api/agents/{agent}/") or path.endswith("/picture"):
            continue
        for key in (other, kept.bearer("ada")):
            headers = {**key, "X-Denizens-Person": "Nina"}
            response = kept.client.request(method, filled(path), headers=headers, json={})
            # Before the person is looked at, a body may be found invalid.
            assert response.status_code in (403, 404, 422), (method, path, response.text)


def test_a_bound_key_speaks_for_its_person(kept: HostedApp) -> None:
    """A key with a person names nobody else, and nobody else names its person."""
    bound, shop = kept.bearer("ada"), kept.bearer("shop")
    post = kept.client.post
    for person, status in ((None, 200), ("ada", 200), ("Nina", 403)):
        body = {**HELLO, "user": person}
        answer = post("/v1/chat/completions", json=body, headers=bound)
        assert answer.status_code == status
    body = {**HELLO, "user": "Ada"}
    assert post("/v1/chat/completions", json=body, headers=shop).status_code == 403


def test_names_that_no_person_may_have(kept: HostedApp) -> None:
    """Agents, everybody and other keys' unnamed persons are nobody's names."""
    for name, status in (
        ("Zoe Ek", 403),
        ("zoe  ek", 403),
        ("*", 400),
        ("tool:bank", 400),
        ("a visitor of other", 403),
        ("\u202eadA", 400),
        ("x" * 500, 400),
    ):
        body = {**HELLO, "user": name}
        answer = kept.client.post("/v1/chat/completions", json=body, headers=kept.bearer("shop"))
        assert answer.status_code == status, name


def test_hosts_and_pages(local: HostedApp) -> None:
    """A rebound name, a page of another server and a form that it sends are refused."""
    get = local.client.get
    for headers in (
        {"Host": "evil.example"},
        {"Host": "127.0.0.1.evil.example"},
        {"Host": "evil.example:8000"},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "https://127.0.0.1.evil.example"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"},
    ):
        assert get("/v1/models", headers=headers).status_code == 403, headers
    for headers in (
        {"Host": "localhost:8000"},
        {"Host": "[::1]:8000"},
        {"Origin": URL},
        {"Origin": "http://localhost:1", "Host": "localhost:1"},
        {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors"},
    ):
        response = get("/v1/models", headers=headers)
        assert response.status_code == 200, headers
        assert "access-control-allow-origin" not in response.headers
    two = [("Host", "127.0.0.1"), ("Host", "evil.example")]
    assert get("/v1/models", headers=two).status_code == 403


def test_a_page_that_is_let_in() -> None:
    """A page of ``origins`` gets the headers that its browser wants, no other does."""
    with hosted_app(origins=("https://shop.example",)) as app:
        asked = {"Origin": "https://shop.example", "Access-Control-Request-Method": "POST"}
        response = app.client.options("/v1/chat/completions", headers=asked)
        assert response.status_code == 204
        assert response.headers["access-control-allow-origin"] == "https://shop.example"
        assert "access-control-allow-credentials" not in response.headers
        assert app.client.get("/v1/models", headers={"Origin": "http://b"}).status_code == 403
    with pytest.raises(SettingError):
        HostingSettings(origins=("*",))


def test_caps(local: HostedApp) -> None:
    """Bodies that are too long, announced or not, and JSON that is too deep, are refused."""

    def pieces() -> Iterator[bytes]:
        for _ in range(100):
            yield b"x" * 1000

    post = local.client.post
    assert post("/v1/chat/completions", content=b"x" * 6_000).status_code == 413
    assert post("/v1/chat/completions", content=pieces()).status_code == 413
    assert post("/api/agents/bo-lind/interview", content=b"x" * 6_000).json()["detail"]
    deep = b'{"messages": ' + b"[" * 100 + b"]" * 100 + b"}"
    response = post("/v1/chat/completions", content=deep)
    assert (response.status_code, response.json()["error"]["code"]) == (400, "too_deep")
    with pytest.raises(RequestRefused):
        check_schema_depth({"a": {"b": [{"c": {}}]}}, 4)
    check_schema_depth({"a": {"b": [{"c": {}}]}}, 5)
    check_json_depth(b'"[[[[[[[[" ', 1)


def test_errors_have_the_form_of_the_api(local: HostedApp) -> None:
    """OpenAI's form under /v1, ``detail`` elsewhere, and a request id everywhere."""
    for path, key in (("/v1/none", "error"), ("/api/none", "detail"), ("/none", "detail")):
        response = local.client.get(path)
        assert response.status_code == 404
        assert key in response.json()
        assert response.headers["x-request-id"]
        assert response.headers["x-content-type-options"] == "nosniff"


def test_faults_say_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """A fault of the server tells neither client nor log what it was about, but where it was."""

    class Broken:
        def client(self) -> Any:
            raise RuntimeError("SECRET words of a prompt")

        def describe(self) -> dict[str, Any]:
            return {"name": "broken"}

    with hosted_app(model=Broken()) as app:
        body = {"model": "bo-lind", "messages": [{"role": "user", "content": "SECRET"}]}
        response = app.client.post("/v1/chat/completions", json=body)
        assert response.status_code == 500
        assert "SECRET" not in response.text
        assert "SECRET" not in caplog.text
        assert response.headers["x-request-id"] in caplog.text
        assert "RuntimeError at " in caplog.text


def test_metrics_name_nobody(kept: HostedApp) -> None:
    """Figures by route pattern; no person, key, path or text is in them."""
    headers = kept.bearer("shop")
    kept.client.post("/v1/chat/completions", json={**HELLO, "user": "Nina"}, headers=headers)
    kept.client.get("/api/agents/bo-lind/Wilhelmina", headers=headers)
    text = kept.client.get("/metrics", headers=headers).text
    assert (
        'denizens_requests_total{method="POST",route="/v1/chat/completions",status="200"}' in text
    )
    assert "denizens_running 0.0" in text
    assert not any(word in text for word in ("Nina", "Wilhelmina", "shop", "Hello"))


def test_keys_are_kept_as_hashes(tmp_path: Path) -> None:
    """A file has the hash of a key, opens to its owner only, and is read again when it changes."""
    file = tmp_path / "keys.json"
    key = add_key(file, "shop")
    assert key not in file.read_text()
    assert hash_key(key) in file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    keys = ApiKeys(file)
    found = keys.find(key)
    assert found is not None
    assert found.name == "shop"
    assert keys.find(key[:-1]) is None
    assert keys.find("") is None
    with pytest.raises(SettingError, match="has a key 'shop'"):
        add_key(file, "shop")
    for name in ("", "a b", "../x", "x" * 65):
        with pytest.raises(SettingError):
            add_key(file, name)
    revoke_key(file, "shop")
    assert keys.find(key) is None
    again = add_key(file, "shop")
    assert keys.find(again) is not None
    file.unlink()
    assert keys.find(again) is None
    file.write_text("{}")
    file.chmod(0o644)
    if os.name == "posix":
        with pytest.raises(SettingError, match="chmod 600"):
            ApiKeys(file)
    file.chmod(0o600)
    with pytest.raises(SettingError, match="no file of API keys"):
        ApiKeys(file)


def test_an_address_that_others_reach_needs_a_key(tmp_path: Path) -> None:
    """Without keys only this machine is served."""
    for host in ("0.0.0.0", "::", "192.168.1.5", "shop.example"):
        with pytest.raises(SettingError, match="no API key"):
            HostingSettings(host=host).require_keys()
        HostingSettings(host=host, keys=tmp_path / "keys.json").require_keys()
    for host in ("127.0.0.1", "::1", "[::1]", "localhost"):
        HostingSettings(host=host).require_keys()


def test_persons_belong_to_the_first_key(tmp_path: Path) -> None:
    """Who named a person first has it, also after a restart and a torn line; the file names
    nobody; two threads cannot both be first."""
    file = tmp_path / "people.log"
    people = PersonDirectory(file, agents=["Bo Lind"])
    assert people.claim("Ada Lund", "shop")
    assert not people.claim("ada lund", "other")
    assert "ada" not in file.read_text().lower().replace("shop", "")
    with file.open("a") as torn:
        torn.write("0123")
    again = PersonDirectory(file)
    assert (again.owner("Ada Lund"), again.owner("Cy")) == ("shop", None)
    assert again.claim("Cy", "other")
    assert PersonDirectory(file).owner("Cy") == "other"
    won: list[str] = []

    def claim(key: str) -> None:
        if again.claim("Dora", key):
            won.append(key)

    threads = [threading.Thread(target=claim, args=(f"key{n}",)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    file.write_text("salt zz\n")
    with pytest.raises(SettingError):
        PersonDirectory(file)


def test_reading_claims_nobody() -> None:
    """A request that reads does not make a person the key's."""
    people = PersonDirectory()
    caller = Caller("shop", people=people)
    with pytest.raises(AccessDenied) as unknown:
        caller.known_person("Ada")
    assert unknown.value.status == 404
    assert caller.person("Ada") == "Ada"
    assert caller.known_person("ADA") == "ADA"
    with pytest.raises(AccessDenied) as taken:
        Caller("other", people=people).known_person("Ada")
    assert taken.value.status == 403
    assert Caller().person(None) == "a visitor"
    assert Caller("shop", people=people).person(None) == "a visitor of shop"


def test_the_document_is_whole(local: HostedApp) -> None:
    """The OpenAPI document is JSON and has the routes of all APIs."""
    document = json.loads(local.client.get("/openapi.json").text)
    assert {"/v1/models", "/healthz", "/metrics", "/api/agents"} <= set(document["paths"])
