"""The short chat programs of examples/: terminal, FastAPI, Gradio (a stand-in of it), callbacks."""

from __future__ import annotations

import asyncio
import runpy
import sys
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import denizens
import httpx
import pytest
from denizens.models import ImprovisedModel
from denizens.tests.support.example_programs import EXAMPLES


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs an example in an empty folder, on a model that needs no weights."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(denizens, "load_model", lambda name: ImprovisedModel(), raising=False)
    loaded: list[dict[str, Any]] = []

    def run(name: str) -> dict[str, Any]:
        path = EXAMPLES / f"{name}.py"
        assert len(path.read_text().splitlines()) <= 34
        loaded.append(runpy.run_path(str(path)))
        return loaded[-1]

    yield run
    for module in loaded:
        module["bo"].memory.close()


def test_terminal(load: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """The reply is printed, and the session kept."""
    module = load("chat_terminal")
    module["answer"]("Good morning!")
    lines = module["bo"].session("Ada").lines
    assert capsys.readouterr().out.strip() == lines[-1].text


def test_fastapi(load: Any) -> None:
    """The route streams events; two visitors are apart."""
    module = load("chat_fastapi")

    async def ask() -> list[str]:
        transport = httpx.ASGITransport(app=module["app"])
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            calls = (client.post(f"/chat/{who}", params={"text": "Hello!"}) for who in "AB")
            return [answer.text for answer in await asyncio.gather(*calls)]

    for text in asyncio.run(ask()):
        events = [line for line in text.splitlines() if line]
        assert all(line.startswith("data: {") for line in events)
        assert '"why"' in events[-1]
        assert len(events) > 1


def test_gradio(load: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The function of the page yields the text so far, as Gradio's documentation wants it."""
    gradio: Any = ModuleType("gradio")
    gradio.Request, gradio.made = object, []
    gradio.ChatInterface = lambda function, **settings: gradio.made.append((function, settings))
    monkeypatch.setitem(sys.modules, "gradio", gradio)
    module = load("chat_gradio")
    ((function, settings),) = gradio.made
    texts = list(function("Hello!", [], SimpleNamespace(session_hash="x1")))
    assert settings["title"] == "Bo Lind"
    assert texts[-1].strip() == module["bo"].session("Visitor x1").lines[-1].text
    assert all(later.startswith(text) for text, later in pairwise(texts))


def test_callbacks(load: Any) -> None:
    """Each message is answered in its channel; messages of bots are not."""
    module = load("chat_callbacks")
    sent: list[tuple[str, str]] = []

    class Channel:
        def __init__(self, name: str) -> None:
            self.name = name

        @asynccontextmanager
        async def typing(self) -> Any:
            yield

        async def send(self, text: str) -> None:
            sent.append((self.name, text))

    async def run() -> None:
        messages: asyncio.Queue[Any] = asyncio.Queue()
        for name, bot in (("Ada", False), ("Cy", False), ("Robot", True)):
            author = SimpleNamespace(name=name, bot=bot)
            messages.put_nowait(
                SimpleNamespace(author=author, content="Hello!", channel=Channel(name))
            )
        messages.put_nowait(None)
        await module["serve"](messages)

    asyncio.run(run())
    assert sorted(name for name, _ in sent) == ["Ada", "Cy"]
    assert all(text for _, text in sent)
