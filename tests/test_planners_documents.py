"""What a chat tells of documents: passages without headings, rows field by field, with the place
that the answer is from; questions that order nothing; and an agent that makes nothing up."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from denizens import Agent, Memory, Persona, tool
from denizens.core import Choice, Choose, Generate, ModelAsk, Rate, Reply, Utterance
from denizens.planners import Dialogue
from denizens.planners.dialogue.document_sentences import document_sentences, split_heading
from denizens.planners.dialogue.questions import fits_kind
from denizens.testing import ScriptedModel
from hypothesis import given
from hypothesis import strategies as st

AT = datetime(2026, 5, 4, 10)
HANDBOOK = """# Returns

You can return a lamp within 30 days.
Opened bulbs cannot be returned.

## Shops

| shop | address | open |
| --- | --- | --- |
| Hull | 4 Lake Road | daily from 9am |
| Leeds | 7 Quay Lane | Monday to Friday |
"""
LOOKED_UP: list[int] = []
SENT_BACK: list[int] = []


@tool(effect="reads")
def order_state(number: int) -> str:
    """Look up where an order is."""
    LOOKED_UP.append(number)
    return f"Order {number} is on its way and will arrive at your door before the end of the week"


@tool(effect="acts")
def send_back(number: int) -> str:
    """Send an order back."""
    SENT_BACK.append(number)
    raise ValueError(f"order {number} was eaten by a dog")


def answers(wanted: str, draft: str) -> Callable[[ModelAsk], Any]:
    """A model that wants one tool, makes numbers up and writes one draft."""

    def answer(ask: ModelAsk) -> Any:
        if isinstance(ask, Choose):
            names = [option.name for option in ask.options]
            place = names.index(wanted) if wanted in names else 0
            sure = tuple(float(at == place) * 0.9 + 0.1 / len(names) for at in range(len(names)))
            return Choice(index=place, probabilities=sure)
        if isinstance(ask, Rate):
            return 3
        assert isinstance(ask, Generate)
        return '{"number": 77}' if ask.schema else draft

    return answer


def clerk(tmp_path: Path, wanted: str = "", draft: str = "Well.", **settings: Any) -> Agent:
    LOOKED_UP.clear()
    SENT_BACK.clear()
    (tmp_path / "handbook.md").write_text(HANDBOOK, encoding="utf-8")
    return Agent(
        Persona(name="Bo Li", background="Bo Li sells lamps."),
        model=ScriptedModel(answers(wanted, draft)),
        memory=Memory(":memory:", "Bo Li"),
        documents=[tmp_path / "handbook.md"],
        dialogue=Dialogue(**settings),
        tools=[order_state, send_back],
        trusted=["*"],
    )


def ask(agent: Agent, text: str, *before: Utterance) -> Reply:
    return agent.chat(text, "Ada", at=AT, session=before)


@pytest.mark.parametrize(
    ("question", "told", "place"),
    [
        (
            "Within how many days can I return a lamp?",
            "You can return a lamp within 30 days.",
            "lines 3-4",
        ),
        ("Where is the shop in Leeds?", "Leeds, address: 7 Quay Lane.", "lines 10-11"),
        ("When is the shop in Hull open?", "Hull, open: daily from 9am.", "lines 10-11"),
    ],
)
def test_an_answer_is_the_sentence_and_its_place(
    tmp_path: Path, question: str, told: str, place: str
) -> None:
    """Neither the heading nor the rest of the row is told, and nothing else is cited."""
    reply = ask(clerk(tmp_path), question)
    assert (reply.text, reply.sources) == (told, (f"handbook.md, {place}",))


def test_a_passage_is_not_said_to_be_a_yes(tmp_path: Path) -> None:
    """A draft that contradicts the passage is refused."""
    bo = clerk(tmp_path, draft="Yes, you can definitely return opened bulbs.")
    assert "Opened bulbs cannot be returned." in ask(bo, "Can I return opened bulbs?").text


@pytest.mark.parametrize("wanted", ["send_back", "order_state"])
def test_a_question_that_lacks_the_number_orders_nothing(tmp_path: Path, wanted: str) -> None:
    """What the handbook answers is answered, though the model would call a tool with a number
    that nobody said."""
    reply = ask(clerk(tmp_path, wanted), "Within how many days can I return a lamp?")
    assert reply.text == "You can return a lamp within 30 days."
    assert LOOKED_UP == SENT_BACK == []


def test_a_number_is_asked_for_and_taken_from_the_next_line(tmp_path: Path) -> None:
    """An order number is not made up for a tool that reads, and the line that names it makes the
    call; a question in between does not."""
    bo = clerk(tmp_path, "order_state")
    first = Utterance("Ada", "Please look up my order.", AT)
    question = ask(bo, first.text)
    assert (question.resolve, question.text) == ("ask", "For order state: which number?")
    asked = Utterance("Bo Li", question.text, AT)
    assert "on its way" in ask(bo, "It is 1002.", first, asked).text
    assert LOOKED_UP == [1002]


def test_what_failed_is_told_with_its_reason(tmp_path: Path) -> None:
    """The tool's own words for it, and no source."""
    reply = ask(clerk(tmp_path, "send_back"), "Send back 1002, please.")
    assert reply.text == "That did not work: order 1002 was eaten by a dog."
    assert reply.sources == ()


@pytest.mark.parametrize(
    "question", ["Do you sell bicycles?", "Is there a car park?", "Who founded the firm?"]
)
def test_nothing_is_made_up_where_only_what_is_known_counts(tmp_path: Path, question: str) -> None:
    """With known_only a question that nothing answers is not answered, also one for yes or no."""
    bo = clerk(tmp_path, draft="Yes, there is one, and we sell them too.", known_only=True)
    reply = ask(bo, question)
    assert reply.resolve == "unknown"
    assert "Yes" not in reply.text


def test_results_are_told_as_they_are_where_only_what_is_known_counts(tmp_path: Path) -> None:
    """A draft with most of a long result's words, and a wrong one, does not replace it."""
    wrong = "Order 1002 is on its way and will arrive at your door before the end of the year."
    bo = clerk(tmp_path, "order_state", wrong, known_only=True)
    assert ask(bo, "Look up order 1002.").text.endswith("before the end of the week")


def test_headings_are_told_from_text() -> None:
    """The first of several lines, unless it is a sentence or goes on in the next line."""
    assert split_heading("Delivery > Abroad\nWe deliver.") == ("Delivery > Abroad", ["We deliver."])
    assert split_heading("What is free?\nReturns are.")[0] == "What is free?"
    for whole in ("It is free.\nAsk us.", "We deliver\nto France.", "Alone", "a: 1; b: 2\nc"):
        assert split_heading(whole) == ("", whole.split("\n"))


@given(st.text(alphabet="aB.;: \n-|?", max_size=60))
def test_no_passage_breaks_it(passage: str) -> None:
    """Each sentence is text, whatever a passage is."""
    for sentence in document_sentences(passage):
        assert sentence.text.strip()


def test_how_long_asks_for_hours_too() -> None:
    """Durations answer "how long"."""
    assert fits_kind("It shines for 40 hours.", "when")
    assert fits_kind("It shines.", "when") is False
