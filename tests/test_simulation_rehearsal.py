"""What a forecast is made of: rehearsals by meaning, and the probe of an engine."""

from __future__ import annotations

import time
from datetime import datetime
from itertools import pairwise

import pytest
from denizens.core import (
    Anchor,
    Answer,
    Choice,
    Choose,
    Embed,
    Failed,
    Generate,
    Message,
    ModelAsk,
    Option,
    Rate,
    Rating,
    Vectors,
    answer_all,
)
from denizens.models import ImprovisedModel, InstantClient, UsageLedger
from denizens.simulation import parse_scenario_time, read_scenario
from denizens.simulation.forecast.engine_probe import (
    OWNER,
    CostModel,
    _bit_reversed_order,
    probe_engine,
)
from denizens.simulation.forecast.rehearsal import rehearse
from denizens.simulation.forecast.rehearsal_model import (
    BLOCK_ROUNDS,
    MAX_BLOCKS,
    AskStats,
    EmbeddingCache,
    RehearsalModel,
    RoundSample,
)

END = parse_scenario_time("2026-05-02 09:30", "")
KEY = ("rate", "importance")


class Priced(ImprovisedModel):
    """An engine with a ledger: four tokens read, two of them reused, nine written."""

    def __init__(self) -> None:
        super().__init__()
        self.ledger = UsageLedger()

    def client(self) -> InstantClient:
        """A mailbox that enters what it takes in."""
        return PricedClient(self)


class PricedClient(InstantClient):
    """The client of such an engine."""

    def __init__(self, model: Priced) -> None:
        super().__init__(model._answer)
        self.ledger = model.ledger

    def submit(self, ask: ModelAsk, owner: str = "", priority: int = 0) -> int:
        """Enter and queue an ask."""
        written = 9 if isinstance(ask, Generate) else 0
        counts = {"tokens_in": 4, "tokens_out": written, "tokens_reused": 2}
        self.ledger.add(owner, ask.kind, ask.role, **counts, seconds=0.001)
        return super().submit(ask, owner, priority)


def test_rehearsals_repeat() -> None:
    """The same seed rehearses the same life; another seed another one."""
    scenario = read_scenario("crossroads")
    lives = []
    for seed in (1, 1, 2):
        player = RehearsalModel(EmbeddingCache(ImprovisedModel(), 60.0))
        far = time.perf_counter() + 600
        life = rehearse(scenario.with_overrides(seed=seed), END, player, far)
        asked = {at: {k: (t.calls, t.size) for k, t in h.items()} for at, h in life.hours.items()}
        lives.append((life.steps, life.rounds, asked))
    assert lives[0] == lives[1] != lives[2]
    assert lives[0][0] == 150
    assert lives[0][1] > 20


def test_a_rehearsal_ends_when_time_is_over() -> None:
    """With no time at all one step is lived and its hour kept, though it is not whole."""
    player = RehearsalModel(EmbeddingCache(ImprovisedModel(), 60.0))
    life = rehearse(read_scenario("crossroads"), END, player, 0.0)
    assert life.steps == 1
    assert list(life.hours) == [datetime(2026, 5, 2, 7)]


def test_blocks_stay_few_and_even() -> None:
    """However many rounds: a bounded number of blocks of rounds in a row, evenly spread."""
    blocks = RoundSample()
    rounds = 40 * BLOCK_ROUNDS * MAX_BLOCKS + 3
    for number in range(rounds):
        blocks.add([(str(number), Embed(texts=()))])
    kept = [[int(one[0][0]) for one in block] for block in blocks.kept]
    assert MAX_BLOCKS // 2 <= len(kept) <= MAX_BLOCKS
    assert all(block == list(range(block[0], block[0] + len(block))) for block in kept)
    gaps = {b[0] - a[0] for a, b in pairwise(kept)}
    assert len(gaps) == 1
    assert kept[0][0] == 0
    assert kept[-1][-1] > rounds - max(gaps) - BLOCK_ROUNDS


def test_any_beginning_of_the_probe_is_spread() -> None:
    """Blocks are probed each once; half of the time reaches all quarters of the rehearsal."""
    for count in (1, 2, 7, 100):
        assert sorted(_bit_reversed_order(count)) == list(range(count))
    first = list(_bit_reversed_order(100))[:8]
    assert {place // 25 for place in first} == {0, 1, 2, 3}


def test_a_probe_pays_from_the_ledger() -> None:
    """Each kind and role has the calls and tokens that the engine entered, and time has
    passed; without time only the first block is asked."""
    message = Message.of("user", "one two three four")
    asks: list[tuple[str, ModelAsk]] = [
        ("Bo", Generate(messages=(message,), role="plan")),
        ("Ann", Rate(messages=(message,), about="x", role="importance")),
    ]
    engine = Priced()
    engine.ledger.add(OWNER + "Bo", "generate", "plan", tokens_in=999)
    found = probe_engine(engine, [[asks, asks], [asks]], 60.0)
    assert found.keys() == [("generate", "plan"), KEY]
    sums = found.sums(found.keys()).sum(axis=0)
    assert sums[:, [0, 2, 3, 4]].tolist() == [[3, 12, 27, 6], [3, 12, 0, 6]]
    assert (sums[:, 5] > 0).all()
    assert len(probe_engine(Priced(), [[asks], [asks], [asks]], 0.0).blocks) == 1
    assert probe_engine(Priced(), [], 60.0).blocks == []


def test_a_probe_without_a_ledger_shares_the_time_by_tokens() -> None:
    """A model that keeps none: tokens as the answers tell, seconds for every role."""
    asks: list[tuple[str, ModelAsk]] = [
        ("Bo", Generate(messages=(), role="plan")),
        ("Bo", Choose(messages=(), options=(Option("a"),), about="a", role="place")),
    ]
    found = probe_engine(ImprovisedModel(), [[asks]], 60.0)
    plan, place = found.blocks[0]["generate", "plan"], found.blocks[0]["choose", "place"]
    assert plan[3] > 0 == place[3]
    assert plan[5] > place[5] > 0


def test_prices_by_role_then_by_kind() -> None:
    """A probed role costs as probed, by what there is to read and by call; another role as
    its kind; what no ask of its kind tells costs nothing."""
    import numpy as np

    prices = CostModel([KEY], np.array([[2.0, 200.0, 50.0, 6.0, 20.0, 1.0]]))
    cost = prices.usage_of(KEY, AskStats(calls=4, size=800))
    assert (cost.calls, cost.tokens_in, cost.tokens_out, cost.tokens_reused) == (4, 200, 12, 80)
    assert cost.seconds == 2.0
    other = prices.usage_of(("rate", "other"), AskStats(calls=4, size=800))
    assert (other.role, other.tokens_in) == ("other", 200)
    assert prices.usage_of(("choose", "place"), AskStats(calls=4, size=800)).tokens_in == 0


def test_decisions_follow_meanings() -> None:
    """The option that shares most words with the matter is chosen, the example near to it
    sets the rating; a temperature draws, by seed."""
    player = RehearsalModel(EmbeddingCache(ImprovisedModel(), 60.0))
    options = (Option("1", "the bakery with its ovens"), Option("2", "the boat shed by the river"))
    ask = Choose(messages=(), options=options, about="mending a boat in the shed", seed=3)
    rate = Rate(
        messages=(),
        about="an ordinary breakfast",
        anchors=(Anchor(2, "having an ordinary breakfast"), Anchor(9, "the death of a friend")),
    )
    choice, rating = answer_all(player.client(), [ask, rate], ["Bo", "Bo"])
    assert isinstance(choice, Choice)
    assert choice.index == 1
    assert sum(choice.probabilities) == pytest.approx(1)
    assert isinstance(rating, Rating)
    assert 2 <= rating.value < 3.5
    drawn = set()
    for seed in range(30):
        hot = Choose(messages=(), options=options, about="boat", temperature=20.0, seed=seed)
        (answer,) = answer_all(player.client(), [hot], ["Bo"])
        drawn.add(answer.index if isinstance(answer, Choice) else -1)
    assert drawn == {0, 1}


class Deaf(ImprovisedModel):
    """A model without an embedder."""

    def client(self) -> InstantClient:
        """Refuses to embed."""
        return InstantClient(self._refuse)

    def _refuse(self, ask: ModelAsk) -> Answer:
        if isinstance(ask, Embed):
            return Failed(reason="refused", detail="no embedder")
        return self._answer(ask)


def test_meanings_without_time_are_means_of_words() -> None:
    """When the time for embedding is over, a text is the mean of its words, one of no known
    word something of its own; all have length 1 and the embedder's width."""
    for model in (ImprovisedModel(), Deaf()):
        rich = EmbeddingCache(model, 60.0)
        assert rich.embed_new(["a boat", "a boat", "a shed"]) == 2
        assert rich.embed_new(["a boat"]) == 0
        poor = EmbeddingCache(model, 60.0)
        poor.embed_new(["something else"])
        poor._left = 0.0
        poor.seconds = 60.0
        assert poor.embed_new(["mending the boat", "the boat", "?!"]) == 3
        near = float(poor.vector("mending the boat") @ poor.vector("the boat"))
        assert 0.5 < near < 1
        rows = poor.vectors(["mending the boat", "?!"])
        assert isinstance(rows, Vectors)
        assert rows.columns == len(rich.vector("a boat"))
        assert [float(row @ row) for row in rows.array()] == pytest.approx([1, 1])
