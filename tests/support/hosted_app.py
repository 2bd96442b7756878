"""An application of the web server with two agents on a hash model, in RAM, and its API keys."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from denizens import Agent, Memory, Persona
from denizens.core import Model
from denizens.models import ImprovisedModel
from denizens.server.hosting import AgentHosts, HostingSettings, add_key
from denizens.server.web import create_app
from denizens.store import Store
from starlette.testclient import TestClient

URL = "http://127.0.0.1"


@dataclass(frozen=True)
class HostedApp:
    """The application, a client of it, and its keys by name: ``shop``, ``other``, and ``ada``,
    which is bound to Ada; all empty without keys."""

    app: Any
    client: TestClient
    keys: dict[str, str]

    def bearer(self, key: str) -> dict[str, str]:
        """The header of a key by its name."""
        return {"Authorization": f"Bearer {self.keys[key]}"}


@contextmanager
def hosted_app(
    folder: Path | None = None, model: Model | None = None, **settings: Any
) -> Iterator[HostedApp]:
    """An application without keys, or with keys in ``folder``."""
    model = model or ImprovisedModel()
    keys: dict[str, str] = {}
    if folder is not None:
        file = folder / "keys.json"
        keys = {"shop": add_key(file, "shop"), "other": add_key(file, "other")}
        keys["ada"] = add_key(file, "ada", "Ada")
        settings = {"keys": file, "people": folder / "people.log", **settings}
    with Store(":memory:") as store:
        agents = {
            model_id: Agent(
                Persona(name=name, age=40, background=f"{name} lives in Larkspur."),
                model=model,
                memory=Memory(store, name),
            )
            for model_id, name in (("bo-lind", "Bo Lind"), ("zoe-ek", "Zoe Ek"))
        }
        app = create_app(AgentHosts(agents, model, "plain"), HostingSettings(**settings))
        with TestClient(app, base_url=URL, raise_server_exceptions=False) as client:
            yield HostedApp(app, client, keys)
