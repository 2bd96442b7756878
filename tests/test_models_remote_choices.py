"""Deciding, rating and embedding by a server's model, with and without its probabilities."""

from __future__ import annotations

from collections.abc import Iterator
from math import exp
from pathlib import Path
from typing import Any

import pytest
from denizens.core import NONE_OF_THESE, Anchor, Choose, Embed, Message, Option, Part, Rate
from denizens.models.decisions import shipped_calibration
from denizens.models.remote import connect
from denizens.models.remote.client import RemoteModel
from denizens.models.remote.logprobs import TokenStep, guided_probabilities, suffix_logprobs
from denizens.testing import write_tiny_embedder
from denizens.tests.support.fake_openai_server import FakeOpenAIServer, answers

pytest.importorskip("openai")

TRADES = (
    Option("baker", "bakes bread and cakes in the oven"),
    Option("smith", "forges iron and shoes horses"),
    Option("waits", "does nothing at all"),
)


@pytest.fixture
def model(server: FakeOpenAIServer) -> Iterator[RemoteModel]:
    """Connected to it, with the server's embeddings."""
    made = connect(f"openai:{server.url}?retries=2", embedder="server")
    yield made
    made.close()


def pick(about: str, options: tuple[Option, ...] = TRADES, **settings: Any) -> Choose:
    return Choose(messages=(), options=options, about=about, **settings)


def by(server: FakeOpenAIServer, method: str) -> RemoteModel:
    return connect(f"openai:{server.url}?retries=0", embedder="server", method=method)


def test_channel_by_echo(server: FakeOpenAIServer) -> None:
    """With echoed probabilities an option is as likely as it explains what it is about, by
    the mean over the tokens of ``about`` alone; the probe is made once."""
    server.echo = True
    model = by(server, "channel")
    first, second = answers(model, [pick("iron and horses"), pick("cakes, in the oven, bread")])
    assert (first.index, second.index) == (1, 0)
    # Known words cost 0.5 and others 5. Of the surprise of 15 without an option the baker's
    # "and" takes away 4.5, the smith's words 13.5, the idler's nothing.
    heat = shipped_calibration().methods["other"]["channel"].temperature
    odds = [exp(share / heat) for share in (4.5 / 15, 13.5 / 15, 0.0)]
    assert first.probabilities == pytest.approx([odd / sum(odds) for odd in odds], rel=1e-6)
    prompts = [body["prompt"] for body in server.bodies("/completions")]
    assert len(prompts) == 1 + 2 * (1 + 3)
    wanted = {f"System: {one.description}\nUser: iron and horses" for one in TRADES}
    assert wanted < set(prompts)
    assert server.bodies("/chat/completions") == []
    model.close()


def test_channel_by_prompt_logprobs(server: FakeOpenAIServer) -> None:
    """vLLM's own form gives the same numbers as echo."""
    server.echo = True
    model = by(server, "channel")
    (echoed,) = answers(model, [pick("iron and horses")])
    model.close()
    server.echo, server.prompt_logprobs = False, True
    model = by(server, "channel")
    (told,) = answers(model, [pick("iron and horses")])
    assert told.probabilities == pytest.approx(echoed.probabilities)
    assert server.bodies("/completions")[-1]["prompt_logprobs"] == 0
    model.close()


def test_auto_adds_the_cosine(server: FakeOpenAIServer, tmp_path: Path) -> None:
    """By default language model and embedder decide together, whatever the order; of many
    options only the nearest are scored by the language model."""
    server.echo = True
    model = connect(
        f"openai:{server.url}", embedder=str(write_tiny_embedder(tmp_path)), device="cpu"
    )
    there, back = answers(model, [pick("iron and horses"), pick("iron and horses", TRADES[::-1])])
    assert there.probabilities == pytest.approx(back.probabilities[::-1], rel=1e-9)
    assert (there.index, back.index) == (1, 1)
    many = (*TRADES, *(Option(f"other {place}") for place in range(20)), NONE_OF_THESE)
    before = len(server.bodies("/completions"))
    (found,) = answers(model, [pick("iron and horses", many)])
    # Of the finalists and of none: names as replies, to nothing too; descriptions, and none.
    assert len(server.bodies("/completions")) - before == 2 * 9 + 8 + 1
    assert sum(found.probabilities) == pytest.approx(1)
    model.close()


def test_direct_by_echo(server: FakeOpenAIServer) -> None:
    """Method direct scores the names as the reply to the messages."""
    server.echo = True
    model = by(server, "direct")
    ask = Choose(
        messages=(Message.of("system", "The smith is near."), Message.of("user", "Whom to ask?")),
        options=TRADES,
        about="a horse",
    )
    (found,) = answers(model, [ask])
    assert found.index == 1
    assert server.bodies("/completions")[-1]["prompt"].startswith(
        "System: The smith is near.\nUser: Whom to ask?\nAssistant: "
    )
    model.close()


def test_a_guided_choice(server: FakeOpenAIServer, model: RemoteModel) -> None:
    """Without probabilities of prompts the reply is bound to the names, and the candidates
    for its tokens say how likely each was."""
    asks = [pick("iron and horses"), pick("iron and horses", TRADES[::-1])]
    one, two = answers(model, asks)
    (spent,) = model.ledger.take()
    assert (one.index, two.index) == (1, 1)
    # The server's candidates are e times as likely for each word that fits.
    odds = [exp(score) for score in (1, 3, 0)]
    assert one.probabilities == pytest.approx([odd / sum(odds) for odd in odds], rel=1e-6)
    assert two.probabilities == pytest.approx(one.probabilities[::-1])
    body = server.bodies("/chat/completions")[0]
    rule = body["response_format"]["json_schema"]["schema"]["properties"]["choice"]
    assert sorted(rule["enum"]) == ["baker", "smith", "waits"]
    assert (body["logprobs"], body["temperature"]) == (True, 0.0)
    assert len(server.bodies("/completions")) == 2  # both probes, once
    assert (spent.kind, spent.calls, spent.tokens_out > 0) == ("choose", 2, True)


def test_a_guided_choice_without_probabilities(
    server: FakeOpenAIServer, model: RemoteModel
) -> None:
    """Where the server tells none at all the chosen option has all; asked for once only.
    Long names get numbers."""
    server.logprobs = False
    (found,) = answers(model, [pick("iron and horses")])
    assert found.probabilities == (0.0, 1.0, 0.0)
    long = tuple(Option(f"{one.name}, who {one.description} all day long") for one in TRADES)
    (found,) = answers(model, [pick("iron and horses", long)])
    assert found.index == 1
    bodies = server.bodies("/chat/completions")
    assert ["logprobs" in body for body in bodies] == [True, False, False]
    rule = bodies[-1]["response_format"]["json_schema"]["schema"]["properties"]["choice"]
    assert sorted(rule["enum"]) == ["1", "2", "3"]


def test_a_guided_choice_that_fails(
    server: FakeOpenAIServer, model: RemoteModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reply that is none of the options decides nothing: nearness of meaning does, or with
    method direct the ask is Failed; one that cannot be asked is refused; too long messages are
    trimmed here too."""
    server.window = 110
    long = Message("user", (Part("word " * 60, drop=1), Part("Choose.")))
    (found,) = answers(model, [Choose(messages=(long,), options=TRADES, about="iron")])
    assert found.index == 1
    monkeypatch.setattr(server, "bound", lambda body, said, choice: ("neither", choice))
    (near,) = answers(model, [pick("iron")])
    assert near.index == 0  # the vectors of this server lean towards the first
    assert 0.0 < near.probabilities[1] < near.probabilities[0]
    wrong = [pick("iron", ()), pick(" "), pick("iron", (TRADES[0], TRADES[0]))]
    assert [one.reason for one in answers(model, wrong)] == ["refused"] * 3
    direct = by(server, "direct")
    assert [one.reason for one in answers(direct, [pick("iron")])] == ["schema"]
    direct.close()


def test_temperature_draws(server: FakeOpenAIServer, model: RemoteModel) -> None:
    """Above temperature 0 the seed draws among the options, by their probabilities."""
    asks = [pick("iron and horses", temperature=1.0, seed=seed) for seed in range(40)]
    drawn = [one.index for one in answers(model, asks)]
    assert {0, 1} <= set(drawn)
    assert drawn.count(1) > 20
    assert drawn == [one.index for one in answers(model, asks)]


def test_methods_by_what_there_is(server: FakeOpenAIServer) -> None:
    """cosine asks no language model, nor does auto with one known to be small; what needs
    the server's probabilities is refused without them, not replaced."""
    for method, meta in (("cosine", {}), ("auto", {"n_params": 135_000_000})):
        server.models = [{"id": "toy", "owned_by": "llamacpp", "meta": meta}]
        model = by(server, method)
        (found,) = answers(model, [pick("iron")])
        assert found.index == 0  # the vectors of this server lean towards the first
        assert server.bodies("/chat/completions") == []
        model.close()
    for method in ("channel", "pmi", "cosine+channel"):
        model = by(server, method)
        (found,) = answers(model, [pick("iron")])
        assert found.reason == "refused"
        assert f"method '{method}'" in found.detail
        model.close()


def test_none_of_these(server: FakeOpenAIServer) -> None:
    """The option that all others are wrong wins when nothing explains what it is about."""
    server.echo = True
    model = by(server, "channel")
    options = (*TRADES, NONE_OF_THESE)
    asks = [
        pick("iron and horses", options, role="tool"),
        pick("quantum gravity", options, role="tool"),
    ]
    assert [one.index for one in answers(model, asks)] == [1, 3]
    model.close()


@pytest.mark.parametrize("echo", [True, False])
def test_ratings(server: FakeOpenAIServer, model: RemoteModel, echo: bool) -> None:
    """A rating is the expected value of its probabilities, by echo or by a guided reply."""
    server.echo = echo
    asks = [
        Rate(messages=(Message.of("user", "Between 3 and 5, say 4, of ten?"),), about="the soup"),
        Rate(messages=(), about="worth 9", low=8, high=12),
        Rate(messages=(), about="x", low=3, high=2),
    ]
    four, nine, none = answers(model, asks)
    assert (len(four.probabilities), len(nine.probabilities)) == (10, 5)
    for rating, low in ((four, 1), (nine, 8)):
        assert sum(rating.probabilities) == pytest.approx(1)
        expected = sum(p * value for value, p in enumerate(rating.probabilities, low))
        assert rating.value == pytest.approx(expected)
    assert max(four.probabilities) in four.probabilities[2:5]
    assert max(nine.probabilities) == nine.probabilities[1] if not echo else True
    assert none.reason == "refused"
    assert bool(server.bodies("/chat/completions")) is not echo


def test_anchors_pull_a_rating(server: FakeOpenAIServer, model: RemoteModel) -> None:
    """Half of an anchored rating is nearness to the anchors, all of it for a small model."""
    ask = Rate(messages=(), about="soup", anchors=(Anchor(2, "stew"), Anchor(9, "a war")))
    (mixed,) = answers(model, [ask])
    server.models = [{"id": "toy", "owned_by": "llamacpp", "meta": {"n_params": 1e8}}]
    small = by(server, "auto")
    (near,) = answers(small, [ask])
    small.close()
    assert [place for place, p in enumerate(near.probabilities, 1) if p > 0] == [2, 9]
    for place in (1, 8):
        assert mixed.probabilities[place] >= 0.5 * near.probabilities[place]
    assert sum(mixed.probabilities) - mixed.probabilities[1] - mixed.probabilities[8] > 0.1


def test_spread_of_a_guided_reply() -> None:
    """Tokens shared by options count for each alike until they part; one that no
    candidate leads to gets a share of what the candidates leave."""
    labels = ("talk to Ann", "talk to Bo", "wait")
    steps = [
        TokenStep('{"choice": "', (('{"choice": "', -0.1),)),
        TokenStep("talk", (("talk", -0.2231435513), ("wait", -1.6094379124))),  # 0.8, 0.2
        TokenStep(" to ", ((" to ", 0.0),)),
        TokenStep("Bo", (("Bo", -0.2876820724), ("Ann", -1.3862943611))),  # 0.75, 0.25
        TokenStep('"}', (('"}', -0.1), (".", -3.0))),
    ]
    text = '{"choice": "talk to Bo"}'
    assert guided_probabilities("choice", text, steps, labels) == pytest.approx([0.2, 0.6, 0.2])
    assert guided_probabilities("choice", text, [], labels) == [0.0, 1.0, 0.0]
    fenced = [TokenStep("```json\n", (("```json\n", -1.0), ("{", -1.0))), *steps]
    assert guided_probabilities("choice", text, fenced, labels) == pytest.approx([0.2, 0.6, 0.2])
    ten = [TokenStep('{"r":"1', (('{"r":"1', 0.0),)), TokenStep('"}', (('"}', -0.5), ("0", -1.5)))]
    shares = guided_probabilities("r", '{"r":"1"}', ten, ["1", "2", "10"])
    assert shares == pytest.approx([0.7310586, 0.0, 0.2689414], abs=1e-6)
    hidden = [
        steps[0],
        TokenStep("talk", (("talk", -0.2231435513), ("no", -2.302585093))),
    ]  # 0.8, 0.1
    spread = guided_probabilities("choice", text, hidden, labels)
    assert spread == pytest.approx([4 / 9, 4 / 9, 1 / 9])


def test_tail_of_a_prompt() -> None:
    """The end of a prompt is found whatever stands before it, and not where tokens differ."""
    told = [("<s>", -9.0), ("Hi", -3.0), (" the", -1.0), ("re", -2.0)]
    assert suffix_logprobs(told, " there") == [-1.0, -2.0]
    assert suffix_logprobs(told, "re") == [-2.0]
    assert suffix_logprobs(told, "e") == []


def test_embeddings(server: FakeOpenAIServer, model: RemoteModel, tmp_path: Path) -> None:
    """By the server: in the order of the texts, of length 1. By the local embedder: the
    server is not asked, and each ask gets its own rows."""
    (found,) = answers(model, [Embed(texts=("a", "b"))])
    assert found.array().ravel().tolist() == pytest.approx([1.0, 0.0, 0.6, 0.8])
    assert found.tokens_in == 5
    local = connect(
        f"openai:{server.url}", embedder=str(write_tiny_embedder(tmp_path)), device="cpu"
    )
    before = len(server.seen)
    one, two, both = answers(
        local, [Embed(texts=("a",)), Embed(texts=("b c",)), Embed(texts=("b c", "a"))]
    )
    assert (both.rows, both.columns, len(server.seen)) == (2, 32, before)
    assert both.array()[0].tolist() == pytest.approx(two.array()[0].tolist(), abs=1e-5)
    assert both.array()[1].tolist() == pytest.approx(one.array()[0].tolist(), abs=1e-5)
    local.close()
