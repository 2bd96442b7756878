"""The doubles: scripted, improvised, replayed; and the router."""

from __future__ import annotations

import subprocess
import sys
from time import perf_counter

import numpy as np
import pytest
from denizens.core import (
    Choice,
    Choose,
    Completion,
    Delta,
    Done,
    Embed,
    Failed,
    Generate,
    Message,
    Model,
    ModelAsk,
    ModelError,
    Option,
    Rate,
    Rating,
    ReplayDiverged,
    SettingError,
    Vectors,
    answer_from_json,
    digest,
    to_json,
)
from denizens.models import ImprovisedModel, Router, model_from_name
from denizens.testing import ReplayModel, ScriptedModel

OPTIONS = (Option("cafe", "a place for coffee"), Option("park", "a green place"))


def say(text: str = "hello", **settings: object) -> Generate:
    return Generate(messages=(Message.of("user", text),), **settings)  # type: ignore[arg-type]


def pick(about: str = "coffee", **settings: object) -> Choose:
    return Choose(messages=(), options=OPTIONS, about=about, **settings)  # type: ignore[arg-type]


def ask(model: Model, *asks: ModelAsk) -> list[object]:
    client = model.client()
    tickets = [client.submit(one) for one in asks]
    answers = {event.ticket: event.answer for event in client.wait() if isinstance(event, Done)}
    return [answers[ticket] for ticket in tickets]


def test_script_answers_by_kind() -> None:
    """A string is a line or an option's name, a number a rating, an answer itself."""
    failed = Failed(reason="limit", detail="too long")
    with ScriptedModel(["good day", "park", 2.25, failed]) as model:
        line, choice, rating, given = ask(
            model, say(), pick(), Rate(messages=(), about="rain"), say()
        )
    assert isinstance(line, Completion)
    assert line.text == "good day"
    assert choice == Choice(index=1, probabilities=(0.0, 1.0))
    assert isinstance(rating, Rating)
    assert rating.value == 2.25
    assert sum(p * i for i, p in enumerate(rating.probabilities, 1)) == pytest.approx(2.25)
    assert given is failed


def test_script_ran_out_names_the_ask() -> None:
    """One ask too many fails and says which."""
    model = ScriptedModel(["one"])
    ask(model, say())
    with pytest.raises(ModelError, match=r"ask 2, a choose of role 'decide' \('coffee'\)"):
        ask(model, pick())


def test_left_over_answers_fail() -> None:
    """A script not used up fails at the end of its block, unless another error comes out."""
    with pytest.raises(ModelError, match="1 answer"), ScriptedModel(["one"]):
        pass
    with pytest.raises(ZeroDivisionError), ScriptedModel(["one"]):
        raise ZeroDivisionError


def test_script_by_role_and_by_function() -> None:
    """Roles have lists of their own; a function sees the ask."""
    by_role = ScriptedModel({"plan": ["plan it"], "speech": ["say it"]})
    spoken, planned = ask(by_role, say(), say(role="plan"))
    assert isinstance(spoken, Completion)
    assert isinstance(planned, Completion)
    assert (spoken.text, planned.text) == ("say it", "plan it")
    with pytest.raises(ModelError, match="role 'rate'"):
        ask(by_role, Rate(messages=(), about="x"))
    by_function = ScriptedModel(lambda one: one.kind)
    (answer,) = ask(by_function, say())
    assert isinstance(answer, Completion)
    assert answer.text == "generate"


@pytest.mark.parametrize(
    ("given", "one", "message"),
    [
        ("parc", pick(), "did you mean 'park'"),
        (3, pick(), "numbers answer Rate"),
        ("x", Rate(messages=(), about="x"), "text answers Generate and Choose"),
        (11, Rate(messages=(), about="x"), "not between 1 and 10"),
    ],
)
def test_script_that_does_not_fit(given: str | int, one: ModelAsk, message: str) -> None:
    """An answer of the wrong kind is an error at once, not a strange run later."""
    with pytest.raises(ModelError, match=message):
        ask(ScriptedModel([given]), one)


def test_doubles_embed_without_the_script() -> None:
    """Embeddings cost no answer, have length 1, and shared words bring texts near."""
    with ScriptedModel([]) as model:
        (found,) = ask(model, Embed(texts=("bread and butter", "butter and bread!", "a red boat")))
    assert isinstance(found, Vectors)
    rows = found.array()
    assert rows.shape == (3, 64)
    assert np.allclose(np.linalg.norm(rows, axis=1), 1)
    assert rows[0] @ rows[1] == pytest.approx(1)
    assert rows[0] @ rows[2] < 0.7


def test_improvised_is_a_function_of_the_ask() -> None:
    """Neither order nor company nor a new model changes an answer; seed and ask do."""
    asks: list[ModelAsk] = [
        say("a"),
        pick(temperature=1.0, seed=4),
        Rate(messages=(), about="x"),
        say("b"),
    ]
    together = ask(ImprovisedModel(), *asks)
    alone = [ask(ImprovisedModel(), one)[0] for one in reversed(asks)][::-1]
    assert together == alone
    assert together[0] != together[3]
    assert ask(ImprovisedModel(seed=1), say("a"))[0] != together[0]


def test_improvised_is_the_same_everywhere() -> None:
    """A process with another hash seed gives the same line."""
    code = (
        "from denizens.models import ImprovisedModel; from denizens.core import Generate, Message;"
        "c = ImprovisedModel().client(); c.submit(Generate(messages=(Message.of('user', 'hi'),)));"
        "print(c.wait()[0].answer.text)"
    )
    lines = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for seed in ("1", "2")
    }
    (here,) = ask(ImprovisedModel(), say("hi"))
    assert isinstance(here, Completion)
    assert lines == {here.text}


def test_improvised_probabilities_are_proper() -> None:
    """They sum to 1, the rating is their mean, temperature 0 takes the likeliest."""
    for number in range(50):
        choice, rating = ask(
            ImprovisedModel(), pick(f"{number}"), Rate(messages=(), about=f"{number}")
        )
        assert isinstance(choice, Choice)
        assert isinstance(rating, Rating)
        assert sum(choice.probabilities) == pytest.approx(1)
        assert choice.probabilities[choice.index] == max(choice.probabilities)
        mean = sum(p * i for i, p in enumerate(rating.probabilities, 1))
        assert rating.value == pytest.approx(mean)
        assert 1 <= rating.value <= 10


def test_improvised_fits_a_schema() -> None:
    """With a schema its text is JSON that fits."""
    schema = {
        "type": "object",
        "properties": {
            "mood": {"enum": ["glad", "sad"]},
            "hours": {"type": "integer", "minimum": 3, "maximum": 5},
            "names": {"type": "array", "items": {"type": "string"}, "minItems": 1},
        },
    }
    for number in range(20):
        (answer,) = ask(ImprovisedModel(), say(str(number), schema=schema))
        assert isinstance(answer, Completion)
        assert answer.data["mood"] in ("glad", "sad")
        assert 3 <= answer.data["hours"] <= 5
        assert all(isinstance(name, str) for name in answer.data["names"])


def test_improvised_is_fast() -> None:
    """Thousands of asks a second, so that long runs in tests are cheap."""
    client = ImprovisedModel().client()
    for number in range(3000):
        client.submit(pick(f"event {number}"))
    start = perf_counter()
    assert len(client.wait()) == 3000
    assert perf_counter() - start < 1.5


def test_replay_answers_from_the_record_or_diverges() -> None:
    """Recorded asks get their answers; another one is named in the error."""
    recorded = Completion(text="as it was")
    model = ReplayModel({digest(to_json(say("a"))): recorded})
    assert ask(model, say("a")) == [recorded]
    with pytest.raises(ReplayDiverged, match=r"generate of role 'speech' \('b'; digest [0-9a-f]+"):
        ask(model, say("b"))
    with pytest.raises(ReplayDiverged):
        ask(ReplayModel(lambda one: None), say("a"))


def test_answers_survive_the_codec() -> None:
    """What the doubles answer can be recorded and read back."""
    asks = (say(), pick(), Rate(messages=(), about="x"), Embed(texts=("x",)))
    for answer in ask(ImprovisedModel(), *asks):
        assert answer_from_json(to_json(answer)) == answer


def test_queue_order_cancel_and_stream() -> None:
    """Lower priority numbers go first, a cancelled ask is forgotten, a stream has a delta."""
    seen: list[str] = []
    model = ScriptedModel(lambda one: seen.append(one.role) or "x")  # type: ignore[func-returns-value]
    client = model.client()
    client.submit(say(role="late"), priority=1)
    gone = client.submit(say(role="gone"))
    client.submit(say(role="early", stream=True))
    client.cancel(gone)
    client.cancel(999)
    events = client.wait()
    assert seen == ["early", "late"]
    assert [type(event) for event in events] == [Delta, Done, Done]
    assert client.wait() == []


def test_router_sends_by_role() -> None:
    """Each role reaches its model, others the default; without one it is an error."""
    big, small = ScriptedModel(["big"]), ScriptedModel(["small", "one more"])
    router = Router({"speech": big}, default=small)
    client = router.client()
    tickets = [client.submit(say(role=role)) for role in ("speech", "plan", "memo")]
    client.cancel(tickets[2])
    answers = {event.ticket: event.answer for event in client.wait() if isinstance(event, Done)}
    texts = [getattr(answers.get(ticket), "text", None) for ticket in tickets]
    assert texts == ["big", "small", None]
    assert client.wait() == []
    assert router.describe()["name"] == "router(scripted)"
    with pytest.raises(SettingError, match="no model for role 'plan'"):
        Router({"speech": big}).client().submit(say(role="plan"))


def test_names_for_the_command_line() -> None:
    """``improvised`` is a model by name."""
    model = model_from_name("improvised", seed=3)
    assert ask(model, say()) == ask(ImprovisedModel(3), say())


def test_nothing_heavy_is_imported() -> None:
    """The package and its doubles run without torch, transformers and pydantic's weight."""
    code = (
        "import sys; from denizens.core import Generate;"
        "from denizens.models import ImprovisedModel;"
        "c = ImprovisedModel().client(); c.submit(Generate(messages=())); c.wait();"
        "print([m for m in ('torch', 'transformers', 'sentence_transformers') if m in sys.modules])"
    )
    out = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout
    assert out.strip() == "[]"
