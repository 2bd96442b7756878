"""Whatever runs beside an ask, it is answered as if it were alone."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

import pytest
from denizens.core import (
    Choice,
    Choose,
    Completion,
    Done,
    Generate,
    Message,
    ModelAsk,
    Option,
    Rate,
    Rating,
)
from denizens.models.engine.backends import min_cache_tokens
from denizens.tests.support.engine_fuzzer import (
    FuzzedEngine,
    IsolatedAnswers,
    random_ask,
    resize,
    words,
)
from denizens.tests.support.tiny_models import (
    WINDOW,
    agree,
    answers,
    forgetful,
    generate_ask,
    load_engine,
    record_draws,
    write,
)
from hypothesis import given, settings
from hypothesis import strategies as st

KINDS = {"llama": 8, "gpt_neox": 5, "mistral": 3}  # and how many crowds each is tried with


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lean model, one that runs as its module, one whose cache cannot be cut."""
    return write(tmp_path_factory.mktemp("tiny"), *KINDS)


def same(one: Any, other: Any) -> None:
    """Fail unless two decisions are equal within 1e-4."""
    assert type(one) is type(other)
    assert one.probabilities == pytest.approx(other.probabilities, abs=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_no_neighbour_changes_an_answer(folder: Path, kind: str) -> None:
    """Over random neighbours, orders of arrival, priorities, cancellations, sizes of the cache
    and of a pass: the same logits within 1e-4 and the same tokens up to the first near-tie,
    for free text and for text by a schema; the same probabilities within 1e-4."""
    model, alone = (
        load_engine(folder, kind, method="direct", window=256),
        IsolatedAnswers(load_engine(folder, kind, method="direct", window=256)),
    )
    counts = {"tokens": 0, "preempted": 0, "cancelled": 0}

    @settings(max_examples=KINDS[kind], deadline=None, derandomize=True)
    @given(st.integers(0, 10**6))
    def crowds(number: int) -> None:
        random = Random(number)
        resize(random, model)
        asks = [random_ask(random, seed) for seed in range(4)]
        beside = [random_ask(random, 1000 + i) for i in range(random.randint(0, 24))]
        before = model.engine.scheduler.preempted
        crowd = FuzzedEngine(model.engine, random)
        with record_draws() as seen:
            tickets = crowd.play(asks, beside)
        for seed, (ticket, ask) in enumerate(zip(tickets, asks)):
            there, answer = alone.of(ask)
            if isinstance(answer, Choice | Rating):
                same(crowd.done[ticket], answer)
                continue
            count = agree(there, seen, seed)
            counts["tokens"] += count
            if count == sum(1 for s, _ in there.logits if s == seed):
                assert crowd.done[ticket] == answer
        assert set(crowd.done) | crowd.cancelled == set(range(1, crowd.tickets + 1))
        counts["preempted"] += model.engine.scheduler.preempted - before
        counts["cancelled"] += len(crowd.cancelled)

    crowds()
    assert counts["tokens"] > 100
    assert counts["cancelled"] > 0
    if kind != "mistral":
        assert counts["preempted"] > 5
        assert model.engine.stats.reused > 1000


@pytest.mark.parametrize("kind", ["llama", "gpt_neox"])
def test_the_prefix_cache_changes_no_logit(folder: Path, kind: str) -> None:
    """With beginnings reused, whole, in part, attended to by a crowd or copied for one, the
    logits are those without within 1e-4."""
    model = load_engine(folder, kind)
    base = words(Random(1), 90)
    asks = [generate_ask(base[: 40 * i] + " " + words(Random(i), 8), seed=i) for i in range(9)]
    with record_draws() as cold:
        for one in asks:
            model.engine.backend.clear_cache()
            answers(model, [one])
    before = model.engine.stats.reused
    with record_draws() as together:
        answers(model, asks)
    with record_draws() as warm:
        for one in asks:
            answers(model, [one])
    with record_draws() as crowded:
        answers(model, [one for one in asks for _ in range(4)])
    assert model.engine.stats.reused - before > 1000
    for one in asks:
        for seen in (together, warm, crowded):
            assert agree(cold, seen, one.seed) > 0


def test_choices_do_not_depend_on_the_cache(folder: Path) -> None:
    """Probabilities and ratings are equal within 1e-4 with the shared beginning run once, with
    all of it kept from before, and with each option run as a prompt of its own."""
    asks: list[ModelAsk] = [
        Choose(
            messages=(Message.of("user", words(Random(3), 60)),),
            options=tuple(Option(words(Random(i), 1 + i)) for i in range(6)),
            about="what to do",
        ),
        Rate(messages=(Message.of("user", words(Random(4), 60)),), about="that", low=1, high=10),
    ]
    found = []
    for whole, times in ((False, 1), (False, 2), (True, 1)):
        model = forgetful(load_engine(folder, method="direct"))
        model.engine.backend.whole_prompts = whole
        for _ in range(times):
            found.append(answers(model, asks))
    for other in found[1:]:
        for one, two in zip(found[0], other):
            same(one, two)
    assert len({round(p, 6) for p in found[0][0].probabilities}) > 3


def test_exact_runs_are_equal_to_the_bit(folder: Path) -> None:
    """Under exact every logit is bit-equal whatever was asked before, beside, in what order,
    by what priority, and with what was cancelled in between."""
    asks = [random_ask(Random(i), i) for i in range(8)]
    found = []
    for number in range(3):
        random = Random(number)
        crowd = FuzzedEngine(load_engine(folder, exact=True, method="direct").engine, random)
        beside = [random_ask(random, 1000 + i) for i in range(6)]
        shuffled = random.sample(range(8), 8)
        with record_draws() as seen:
            tickets = crowd.play([asks[i] for i in shuffled], beside if number else [])
        in_order = [crowd.done[tickets[shuffled.index(i)]] for i in range(8)]
        found.append((seen, in_order))
    for seen, in_order in found[1:]:
        assert in_order == found[0][1]
        for seed, one in enumerate(asks):
            if isinstance(one, Generate):
                assert agree(found[0][0], seen, seed, exact=True) > 0
    assert sum(isinstance(one, Completion) for one in found[0][1]) >= 4
    assert any(isinstance(one, Choice | Rating) for one in found[0][1])


def test_exact_passes_do_not_show_what_was_asked_before(folder: Path) -> None:
    """Under exact the very passes of an ask are the same after any history: the same tokens in
    the same order, also of prompts that begin like one answered before."""
    options = tuple(Option(f"n{i}", words(Random(i % 2), 50) + f" {i}") for i in range(4))
    ask = Choose(messages=(Message.of("user", "x"),), options=options, about="bread")
    earlier = Choose(messages=ask.messages, options=options[1:2], about="town")
    found: list[list[list[int]]] = []
    for history in ([], [earlier]):
        model = load_engine(folder, exact=True, method="channel")
        answers(model, history)
        passes: list[list[int]] = []
        keeper: Any = model.engine.backend
        real = keeper.run

        def run(pieces: Any, passes: Any = passes, real: Any = real) -> Any:
            passes.extend(row.ids[row.computed : row.computed + count] for row, count in pieces)
            return real(pieces)

        keeper.run = run
        answers(model, [ask])
        found.append(passes)
    assert found[0] == found[1]
    assert len(found[0]) >= 4


@pytest.mark.parametrize("kind", ["llama", "gpt_neox"])
def test_chunks_of_a_prompt_change_nothing(folder: Path, kind: str) -> None:
    """A long prompt read 16 tokens at a time, between the tokens of others, is the same as one
    read at once."""
    long = generate_ask(words(Random(9), 300), seed=1, max_tokens=10)
    assert 250 < len(load_engine(folder, kind).prompt_builder.ids(long.messages)) < WINDOW
    found = []
    for tokens in (16, 4096):
        model = load_engine(folder, kind, pass_tokens=tokens)
        with record_draws() as seen:
            answers(model, [long, *(generate_ask(f"short {i}", seed=2 + i) for i in range(5))])
        found.append((seen, model.engine.stats.passes))
    assert found[0][1] > found[1][1] + 10
    for seed in range(1, 7):
        agree(found[0][0], found[1][0], seed)


def test_a_row_sent_back_counts_what_it_reused_once(folder: Path) -> None:
    """However often an ask is preempted, the tokens it is said to have reused are part of its
    prompt."""
    model = load_engine(folder, window=256, pass_tokens=64)
    keeper: Any = model.engine.backend
    keeper.limit = min_cache_tokens(256)
    base = words(Random(1), 40)
    for i in range(30):
        model.engine.submit(
            i, generate_ask(f"{base} {i}", seed=i, max_tokens=100, temperature=0.0), f"who {i}", 0
        )
    while len(model.engine):
        model.engine.step()
    assert model.engine.scheduler.preempted > 5
    for spent in model.ledger.take():
        assert spent.tokens_reused < spent.tokens_in


def test_nothing_runs_for_a_decision_that_is_answered(folder: Path) -> None:
    """Two asks with the same pairs share them; what the second would have run first goes with
    its answer, though its turn never came."""
    model = load_engine(folder, method="direct", rows=1)
    ask = Rate(messages=(Message.of("user", words(Random(4), 60)),), about="that", low=1, high=3)
    for ticket in (1, 2):
        model.engine.submit(ticket, ask, "", 0)
    done: list[int] = []
    while len(model.engine):
        done += [event.ticket for event in model.engine.step() if isinstance(event, Done)]
        assert model.engine.check_invariants() == []
    assert sorted(done) == [1, 2]
