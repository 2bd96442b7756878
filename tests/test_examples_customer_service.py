"""The customer service of examples/: citations, orders of one's own only, memory over a restart,
no refund without approval, and a ticket for what it does not know."""

from __future__ import annotations

import csv
import sqlite3
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from denizens.core import Approval, ApprovalRequest, Choice, Choose, Generate, Model, ModelAsk, Rate
from denizens.memory import Documents, Memory
from denizens.testing import ScriptedModel
from denizens.tests.support.example_programs import EXAMPLES, load_example

app: Any = load_example("customer_service")
AT = datetime(2026, 5, 4, 10)
REFUND = "Please refund order 1001, the tent is torn."


def answers(ask: ModelAsk) -> Any:
    """A model that wants a refund whenever one is offered, approved or not."""
    if isinstance(ask, Choose):
        names = [option.name for option in ask.options]
        place = names.index("refund") if "refund" in names else 0
        return Choice(
            index=place, probabilities=tuple(float(at == place) for at in range(len(names)))
        )
    if isinstance(ask, Rate):
        return 3
    assert isinstance(ask, Generate)
    return '{"number": 1001}' if ask.schema else "Your money is on its way."


@pytest.fixture
def shop() -> sqlite3.Connection:
    opened: sqlite3.Connection = app.open_shop(":memory:")
    return opened


def refunds(shop: sqlite3.Connection) -> list[int]:
    return [number for (number,) in shop.execute("SELECT number FROM refunds")]


def test_nothing_is_refunded_without_approval(shop: sqlite3.Connection) -> None:
    """Unasked, and after a no, no money moves; after a yes it moves once, and not again."""
    clerk = app.make_clerk(ScriptedModel(answers), ":memory:", shop)
    (first,) = clerk.chat(REFUND, "Ada Lund", at=AT).waits
    assert (first.tool, first.arguments) == ("refund", {"number": 1001})
    assert refunds(shop) == []
    refused = clerk.answer(first.key, False, by="staff")
    assert refused.text == "I may not do that: it was not approved, and nothing was done."
    assert refunds(shop) == []
    (second,) = clerk.chat(REFUND, "Ada Lund", at=AT).waits
    assert clerk.answer(second.key, True, by="staff").text.startswith("289.00 pounds")
    assert refunds(shop) == [1001]
    (third,) = clerk.chat(REFUND, "Ada Lund", at=AT).waits
    assert "did not work" in clerk.answer(third.key, True, by="staff").text
    assert refunds(shop) == [1001]


@pytest.mark.parametrize("verdict", [None, False, Approval(False, "no receipt")])
def test_no_verdict_but_yes_pays(shop: sqlite3.Connection, verdict: object) -> None:
    """A member of staff who says nothing, or no, at the terminal pays nothing."""
    clerk = app.make_clerk(ScriptedModel(answers), ":memory:", shop)
    requests: list[ApprovalRequest] = []

    def approve(request: ApprovalRequest) -> Any:
        requests.append(request)
        return verdict

    clerk.chat(REFUND, "Ada Lund", at=AT, approve=approve)
    assert [one.arguments for one in requests] == [{"number": 1001}]
    assert refunds(shop) == []


def test_nobody_gets_the_money_of_another(shop: sqlite3.Connection) -> None:
    """Even with approval an order is refunded to its own customer only."""
    clerk = app.make_clerk(ScriptedModel(answers), ":memory:", shop)
    (request,) = clerk.chat(REFUND, "Ben Ito", at=AT).waits
    reply = clerk.answer(request.key, True, by="staff")
    assert reply.text == "That did not work: Ben Ito has no order 1001."
    assert refunds(shop) == []


def test_the_questions_have_their_sources() -> None:
    """Each place of questions.csv exists, in the document that it names."""
    memory = Memory(":memory:", "Robin Vale")
    documents = Documents(memory)
    texts: dict[str, str] = {}
    for path in (EXAMPLES / "customer_service" / "handbook").iterdir():
        for number in documents.add(path, at=AT).added:
            record = memory.record(number)
            texts[documents.cite(record)] = record.text
    rows = questions()
    assert len(rows) == 20
    for row in rows:
        assert row["words"] in texts[f"{row['document']}, {row['place']}"]


def questions() -> list[dict[str, str]]:
    with (EXAMPLES / "customer_service" / "questions.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.mark.real
def test_questions_are_answered_with_the_right_citation(smollm2: Model) -> None:
    """Of the first ten questions at least nine cite the right place and nothing else, and have
    the words of the answer. (The other ten: ``app.py --check``.)"""
    clerk = app.make_clerk(smollm2, ":memory:", app.open_shop(":memory:"))
    cited, told = [], []
    for number, row in enumerate(questions()[:10]):
        reply = clerk.chat(row["question"], f"Customer {number}", at=AT)
        cited.append(reply.sources == (f"{row['document']}, {row['place']}",))
        told.append(row["words"] in reply.text)
    print(f"cited: {sum(cited)} of 10; words: {sum(told)} of 10")
    assert sum(cited) >= 9
    assert sum(told) >= 9


@pytest.mark.real
def test_a_day_at_the_counter(smollm2: Model, tmp_path: Path) -> None:
    """Orders are looked up, a customer is remembered after a restart and kept apart from others,
    and what is not known becomes a ticket instead of an invention."""

    def opened() -> tuple[Any, sqlite3.Connection]:
        shop = app.open_shop(tmp_path / "shop.db")
        return app.make_clerk(smollm2, tmp_path / "clerk.db", shop), shop

    clerk, shop = opened()
    assert "arrives on Friday" in app.serve(clerk, shop, "Where is my order 1002?", "Ada Lund").text
    stranger = app.serve(clerk, shop, "Where is my order 1002?", "Ben Ito")
    assert stranger.text == "That did not work: Ben Ito has no order 1002."
    app.serve(clerk, shop, "I have a Kestrel 2 tent and I love it.", "Ada Lund")
    waiting = app.serve(clerk, shop, REFUND, "Ada Lund")
    assert [one.tool for one in waiting.waits] == ["refund"]
    clerk.memory.store.close()
    shop.close()

    clerk, shop = opened()
    assert [one.key for one in clerk.pending_requests()] == [waiting.waits[0].key]
    assert refunds(shop) == []
    assert "Kestrel 2" in app.serve(clerk, shop, "Which tent do I have?", "Ada Lund").text
    assert "Kestrel" not in app.serve(clerk, shop, "Which tent do I have?", "Ben Ito").text
    for question in ("Do you sell bicycles?", "Who founded the company?", "Can I rent a kayak?"):
        assert app.serve(clerk, shop, question, "Ada Lund").resolve == "unknown"
    tickets = shop.execute("SELECT question FROM tickets WHERE customer = 'Ada Lund'").fetchall()
    assert ("Do you sell bicycles?",) in tickets
    clerk.memory.store.close()
