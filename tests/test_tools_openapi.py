"""Tools of an OpenAPI document: what is sent is what the operation says, and goes only where
it may."""

from __future__ import annotations

import json
import logging
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from denizens.core import Json, ToolError
from denizens.tools import Toolbox, ToolContext, tools_from_openapi
from denizens.tools.external.openapi import OperationRequest
from hypothesis import given
from hypothesis import strategies as st

BO = ToolContext("Bo", datetime(2023, 2, 13))
WORDS = """/a get post parameters requestBody content schema $ref name in application/json
servers url required"""
API = "https://api.example.org/v1"


def document(paths: Json, **more: Json) -> dict[str, Json]:
    """A document of some paths."""
    return {"openapi": "3.1.0", "servers": [{"url": API}], "paths": paths, **more}


PETS = document(
    {
        "/pets/{id}": {
            "parameters": [{"$ref": "#/components/parameters/id"}],
            "get": {"operationId": "getPet", "summary": "One pet."},
            "delete": {"operationId": "dropPet"},
        },
        "/pets": {
            "get": {
                "operationId": "find pets",
                "parameters": [
                    {"name": "tag", "in": "query", "schema": {"type": "array"}},
                    {"name": "of", "in": "query", "explode": False, "schema": {"type": "array"}},
                    {
                        "name": "where",
                        "in": "query",
                        "style": "deepObject",
                        "schema": {"type": "object"},
                    },
                    {"name": "X-Trace", "in": "header", "schema": {"type": "string"}},
                    {"name": "Authorization", "in": "header", "required": True},
                ],
            },
            "post": {
                "requestBody": {
                    "required": True,
                    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/P"}}},
                }
            },
            "put": {
                "operationId": "load",
                "requestBody": {"required": True, "content": {"image/png": {}}},
            },
            "patch": {
                "operationId": "list",
                "requestBody": {"content": {"application/json": {"schema": {"type": "array"}}}},
            },
        },
    },
    components={
        "parameters": {"id": {"name": "id", "in": "path", "schema": {"type": "string"}}},
        "schemas": {
            "P": {
                "type": "object",
                "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
                "required": ["name"],
            }
        },
    },
)


def sent(name: str, arguments: Json, root: Json = PETS) -> tuple[OperationRequest | None, Any]:
    """The request that a call makes, and its result."""
    requests: list[OperationRequest] = []

    def send(request: OperationRequest) -> Json:
        requests.append(request)
        return '{"ok": true}'

    box = Toolbox(tools_from_openapi(root, send=send, allow=[API]))
    result = box.call(name, arguments, context=BO, key="1")
    return (requests[0] if requests else None), result


def test_operations_become_tools(caplog: pytest.LogCaptureFixture) -> None:
    """Each operation is a tool by its operationId or its path, that reads or acts by its
    method; what needs a file is left out with a warning."""
    box = Toolbox(tools_from_openapi(PETS, send=lambda _: None, allow=[API], namespace="pets"))
    assert box.names() == (
        *("pets.getPet", "pets.dropPet", "pets.find_pets", "pets.post_pets", "pets.list"),
    )
    assert [spec.effect for spec in box.specs()] == ["reads", "acts", "reads", "acts", "acts"]
    assert all(spec.outside for spec in box.specs())
    assert box.spec("pets.getPet").description == "One pet."
    assert box.spec("pets.post_pets").parameters == {
        "type": "object",
        "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
        "required": ["name"],
        "additionalProperties": False,
    }
    assert "Authorization" not in box.spec("pets.find_pets").parameters["properties"]
    assert "PUT /pets is left out: its body is image/png" in caplog.text


def test_requests_are_built() -> None:
    """Path, query, header and body parameters stand where the document says, escaped."""
    request, result = sent("getPet", {"id": "a/b?c=ü"})
    assert request == OperationRequest(
        "GET", f"{API}/pets/a%2Fb%3Fc%3D%C3%BC", {"Accept": "application/json"}
    )
    assert result.value == {"ok": True}
    given = {"tag": ["a b", 2], "of": [1, True], "where": {"age": 3}, "X-Trace": "t1"}
    request, _ = sent("find_pets", given)
    assert request is not None
    assert request.url == f"{API}/pets?tag=a%20b&tag=2&of=1%2Ctrue&where%5Bage%5D=3"
    assert request.headers["X-Trace"] == "t1"
    request, _ = sent("post_pets", {"name": "Rex", "age": 3})
    assert request is not None
    assert json.loads(request.body) == {"name": "Rex", "age": 3}
    assert request.headers["Content-Type"] == "application/json"
    request, _ = sent("list", {"body": [1]})
    assert request is not None
    assert request.body == "[1]"


@given(word=st.text(max_size=12))
def test_no_argument_leaves_its_place(word: str) -> None:
    """Whatever stands in a path parameter, the request stays below the path."""
    request, result = sent("getPet", {"id": word})
    if word.strip(".") == "" and len(word) < 3:
        assert result.reason == "failed"
        assert request is None
    else:
        assert request is not None
        rest = request.url.removeprefix(f"{API}/pets/")
        assert rest != request.url
        assert not set(rest) & set("/?#\\ ")


def test_headers_take_no_line_breaks() -> None:
    """A header cannot smuggle in another one."""
    request, result = sent("find_pets", {"X-Trace": "a\r\nHost: evil"})
    assert request is None
    assert result.reason == "failed"


@pytest.mark.parametrize(
    ("server", "allow", "fits"),
    [
        (API, API, True),
        (f"{API}/", "https://API.example.org:443", True),
        (f"{API}2", API, False),
        ("https://api.example.org.evil.org/v1", "https://api.example.org", False),
        ("https://api.example.org@evil.org/v1", "https://api.example.org", False),
        ("http://api.example.org/v1", API, False),
        (f"{API}/../admin", API, False),
        (f"{API}/%2e%2e/admin", API, False),
        ("file:///etc", "file:///etc", False),
        ("/v1", API, False),
        ("https://{host}/v1", API, True),
        ("https://api.example.org:99999/v1", API, False),
    ],
)
def test_only_allowed_servers(server: str, allow: str, fits: bool) -> None:
    """A document cannot send an agent to a server that nobody allowed."""
    root = document({"/x": {"get": {"operationId": "x"}}})
    root["servers"] = [{"url": server, "variables": {"host": {"default": "api.example.org"}}}]
    if fits:
        assert len(tools_from_openapi(root, send=lambda _: None, allow=[allow])) == 1
    else:
        with pytest.raises(ToolError, match="not below any of"):
            tools_from_openapi(root, send=lambda _: None, allow=[allow])
        found = tools_from_openapi(root, send=lambda _: None, allow=[API], base=API)
        assert len(found) == 1


@pytest.mark.parametrize("path", ["/a/../b", "/a/%2E%2e/b", "/a?b=c", "/a#b", "/a\\b", "/a\nb"])
def test_odd_paths_are_left_out(path: str, caplog: pytest.LogCaptureFixture) -> None:
    """A path that could lead elsewhere makes no tool."""
    root = document({path: {"get": {"operationId": "x"}}})
    with caplog.at_level(logging.WARNING):
        assert tools_from_openapi(root, send=lambda _: None, allow=[API]) == ()
    assert "left out" in caplog.text


def test_wrong_documents_are_told(tmp_path: Path) -> None:
    """What is no OpenAPI 3 document, or lacks a wanted operation, is an error."""
    wrong: list[Json] = [{}, [], {"swagger": "2.0"}, {"openapi": "2"}]
    for root in wrong:
        with pytest.raises(ToolError, match="no OpenAPI 3 document"):
            tools_from_openapi(root, send=lambda _: None, allow=[API])
    with pytest.raises(ToolError, match="no operation nope"):
        tools_from_openapi(PETS, send=lambda _: None, allow=[API], only=["getPet", "nope"])
    file = tmp_path / "api.yaml"
    file.write_text("openapi: [", encoding="utf-8")
    with pytest.raises(ToolError, match="cannot be read as YAML"):
        tools_from_openapi(file, send=lambda _: None, allow=[API])
    file.write_text("openapi: 3.0.3\npaths:\n  /x: {get: {operationId: x}}\n", encoding="utf-8")
    (made,) = tools_from_openapi(file, send=lambda _: None, allow=[API], base=API)
    assert made.name == "x"


@given(
    paths=st.recursive(
        st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=5), st.just({})),
        lambda inner: st.one_of(
            st.lists(inner, max_size=3),
            st.dictionaries(st.sampled_from(WORDS.split()), inner, max_size=5),
        ),
        max_leaves=20,
    )
)
def test_any_document_is_survived(paths: Json) -> None:
    """Junk for paths gives tools or nothing, never another error than ToolError."""
    tools_from_openapi(document(paths), send=lambda _: None, allow=[API], base=API)


@contextmanager
def service() -> Iterator[str]:
    """A small HTTP service on this machine that tells what it was asked."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            size = int(self.headers["Content-Length"])
            told = {"path": self.path, "body": json.loads(self.rfile.read(size))}
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(told).encode())

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_real_service_is_called() -> None:
    """The whole way: a model's arguments, a request over a socket, the answer as a value."""

    def send(request: OperationRequest) -> Json:
        body = request.body.encode() or None
        asked = urllib.request.Request(
            request.url, body, dict(request.headers), method=request.method
        )
        with urllib.request.urlopen(asked, timeout=5) as answer:
            return str(answer.read().decode())

    with service() as url:
        box = Toolbox(tools_from_openapi(PETS, send=send, allow=[url], base=url))
        result = box.call("post_pets", {"name": "Rex"}, context=BO, key="1")
        assert result.value == {"path": "/pets", "body": {"name": "Rex"}}
        missing = box.call("getPet", {"id": "7"}, context=BO, key="2")
        assert missing.reason in ("failed", "gone")
        assert not missing.ok


def test_documents_of_other_editors(tmp_path: Path) -> None:
    """A byte order mark changes nothing in YAML; Latin-1 is refused by name with the remedy."""
    pytest.importorskip("yaml")
    text = "openapi: 3.0.0\ninfo: {title: Gås, version: '1'}\npaths: {}\n"
    for encoding in ("utf-8-sig", "utf-16"):
        (tmp_path / "a.yaml").write_bytes(text.encode(encoding))
        assert tools_from_openapi(tmp_path / "a.yaml", send=lambda _: None, allow=[API]) == ()
    (tmp_path / "a.yaml").write_bytes(text.encode("latin-1"))
    with pytest.raises(ToolError, match=r"a\.yaml: is not UTF-8 .*save the file as UTF-8"):
        tools_from_openapi(tmp_path / "a.yaml", send=lambda _: None, allow=[API])
