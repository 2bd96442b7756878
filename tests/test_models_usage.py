"""What the engine enters in its ledger."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from denizens.core import Choose, Delta, Generate, Message, ModelAsk, Option
from denizens.models import LocalModel, load_model
from denizens.testing import write_tiny_embedder, write_tiny_model


@pytest.fixture
def model(tmp_path: Path) -> LocalModel:
    """A tiny model that nobody has asked anything."""
    write_tiny_model(tmp_path / "lm")
    write_tiny_embedder(tmp_path / "embedder")
    loaded: Any = load_model(
        str(tmp_path / "lm"), embedder=str(tmp_path / "embedder"), dtype="float32"
    )
    assert isinstance(loaded, LocalModel)
    return loaded


def answer(model: LocalModel, asks: list[tuple[str, ModelAsk]]) -> dict[str, Any]:
    """The answers by owner."""
    client = model.client()
    owners = {client.submit(ask, owner): owner for owner, ask in asks}
    found: dict[str, Any] = {}
    while client.open:
        for event in client.wait():
            if not isinstance(event, Delta):
                found[owners[event.ticket]] = event.answer
    return found


def test_all_of_the_engines_time_is_charged(model: LocalModel) -> None:
    """What the ledger says of all asks adds up to the time of all passes, last ones too."""
    say = Generate(messages=(Message.of("user", "the town baker " * 8),), max_tokens=9)
    pick = Choose(messages=(), options=(Option("a", "bread"), Option("b", "a town")), about="he")
    found = answer(model, [("Ada", say), ("Bo", pick), ("Cid", say)])
    spent = {(one.agent, one.kind): one for one in model.ledger.take()}
    assert set(spent) == {("Ada", "generate"), ("Bo", "choose"), ("Cid", "generate")}
    assert spent["Bo", "choose"].seconds > 0
    total = sum(one.seconds for one in spent.values())
    assert total >= model.engine.stats.seconds * 0.999
    assert spent["Ada", "generate"].tokens_in == found["Ada"].tokens_in
    assert spent["Ada", "generate"].tokens_out == 9


def test_reused_tokens_are_those_of_the_common_beginning(model: LocalModel) -> None:
    """The second prompt reads only what the first did not: the ledger says how much."""
    system = Message.of("system", "the town of bread and water " * 6)

    def ask(text: str) -> Generate:
        return Generate(messages=(system, Message.of("user", text)), max_tokens=3)

    first = answer(model, [("Ada", ask("bread"))])["Ada"]
    assert [one.tokens_reused for one in model.ledger.take()] == [0]
    answer(model, [("Ada", ask("she went by"))])
    (second,) = model.ledger.take()
    shared = len(model.prompt_builder.ids((system,), reply=False))
    assert shared - 2 <= second.tokens_reused < first.tokens_in
