"""What goes wrong with one ask is answered to it, and its neighbours do not notice."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

import pytest
import torch
from denizens.core import Choose, Failed, Message, ModelAsk, Option, Rate
from denizens.models.engine.backends import PrefixCacheBackend
from denizens.models.engine.decoder import FusedDecoder, TransformersDecoder
from denizens.models.engine.scheduler import BatchLimits
from denizens.tests.support.engine_fuzzer import (
    SCHEMA,
    FuzzedEngine,
    IsolatedAnswers,
    resize,
    words,
)
from denizens.tests.support.tiny_models import answers, forgetful, generate_ask, load_engine, write
from hypothesis import given, settings
from hypothesis import strategies as st

if TYPE_CHECKING:
    from denizens.models import LocalModel

POISON = "Q"  # a token of its own that no other prompt holds
WINDOW = 256


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lean model, one that runs as its module, one that runs with its own cache."""
    path = write(tmp_path_factory.mktemp("tiny"), "llama", "mistral")
    return write(path, "gpt_neox", "qwen3", tie_word_embeddings=False)


def token(model: LocalModel) -> int:
    (found,) = model.prompt_builder.text_ids(POISON)
    return found


def load(folder: Path, kind: str) -> LocalModel:
    """A model that does not write the poison by itself."""
    model = forgetful(load_engine(folder, kind, method="direct", window=WINDOW))
    model.engine.set_generation_config(
        replace(
            model.generation_config,
            suppressed_tokens=(*model.generation_config.suppressed_tokens, token(model)),
        )
    )
    return model


def poisoned(folder: Path, kind: str) -> LocalModel:
    """A model to which one token is no number."""
    model = load(folder, kind)
    keeper: Any = model.engine.backend
    bad = token(model)
    if isinstance(keeper, PrefixCacheBackend) and isinstance(keeper.decoder, FusedDecoder):
        keeper.decoder._embedding = keeper.decoder._embedding.clone()
        keeper.decoder._embedding[bad] = torch.nan
    else:
        with torch.no_grad():
            keeper.decoder._model.get_input_embeddings().weight[bad] = torch.nan
    return model


def fine(random: Random, seed: int) -> ModelAsk:
    """An ask of any kind over a few shared beginnings, without the poison."""
    text = words(Random(random.randrange(3)), 50)[: random.choice([30, 150, 999])]
    text += " " + words(random, random.randint(1, 20))
    message = (Message.of("user", text),)
    kind = random.randrange(6)
    if kind == 0:
        options = tuple(Option(words(Random(i), 2) + str(i)) for i in range(3))
        return Choose(messages=message, options=options, about="so")
    if kind == 1:
        return Rate(messages=message, about="so", low=1, high=4)
    return generate_ask(
        text,
        seed=seed,
        max_tokens=60 if kind == 2 else random.choice([1, 3, 20, 60]),
        schema=SCHEMA if kind == 2 else None,
        temperature=0.0 if kind == 3 else 1.0,
    )


def bad(random: Random, seed: int) -> ModelAsk:
    """The same kinds with the poison somewhere: early, in the middle, last, in an option."""
    text = words(Random(random.randrange(3)), 50)
    cut = random.choice([0, 30, 150, len(text)])
    text = text[:cut] + POISON + text[cut:] + random.choice(["", words(random, 40)])
    message = (Message.of("user", text),)
    kind = random.randrange(5)
    if kind == 0:
        return Choose(messages=message, options=(Option("one"), Option("two")), about="so")
    if kind == 1:
        return Rate(messages=message, about="so", low=1, high=4)
    if kind == 2:
        clean = (Message.of("user", text.replace(POISON, "")),)
        options = (Option("one"), Option(f"two {POISON} three"), Option("four"))
        return Choose(messages=clean, options=options, about="so")
    return generate_ask(text, seed=seed, max_tokens=40, schema=SCHEMA if kind == 3 else None)


def equal(one: Any, other: Any) -> bool:
    """Whether two answers are equal, decisions within 1e-4."""
    if hasattr(one, "probabilities") and hasattr(other, "probabilities"):
        return bool(one.probabilities == pytest.approx(other.probabilities, abs=1e-4))
    return bool(one == other)


def crowd_of(model: LocalModel, alone: IsolatedAnswers, number: int) -> tuple[int, int]:
    """A random crowd, bad asks among it; how many of those failed, how many were cancelled."""
    random = Random(number)
    resize(random, model)
    asks = [fine(random, seed) for seed in range(8)]
    beside = [bad(random, 1000 + i) for i in range(8)]
    beside += [
        generate_ask("fine " + words(random, 5), seed=2000 + i, max_tokens=2) for i in range(8)
    ]
    crowd = FuzzedEngine(model.engine, random)
    tickets = crowd.play(asks, random.sample(beside, len(beside)))
    for ticket, ask in zip(tickets, asks):
        assert equal(crowd.done[ticket], alone.of(ask)[1]), ask
    failed = [answer for answer in crowd.done.values() if isinstance(answer, Failed)]
    assert all(answer.reason == "engine" for answer in failed)
    assert 8 - len(crowd.cancelled) <= len(failed) <= 8
    return len(failed), len(crowd.cancelled)


@pytest.mark.parametrize(
    ("kind", "trunk", "examples"),
    [("llama", FusedDecoder, 10), ("qwen3", FusedDecoder, 3), ("gpt_neox", TransformersDecoder, 4)],
)
def test_numbers_that_are_none_stay_with_their_ask(
    folder: Path, kind: str, trunk: type, examples: int
) -> None:
    """Prompts that hold a token of which the model makes no numbers: read in chunks, shared,
    cancelled half way, moved about while others come and go. They fail, and all others are
    answered as if alone, in slots that held no numbers before and over common beginnings."""
    model, alone = poisoned(folder, kind), IsolatedAnswers(load(folder, kind))
    assert type(model.engine.backend.decoder) is trunk  # type: ignore[attr-defined]
    counts = [0, 0]

    @settings(max_examples=examples, deadline=None, derandomize=True)
    @given(st.integers(0, 10**6))
    def crowds(number: int) -> None:
        failed, cancelled = crowd_of(model, alone, number)
        counts[0] += failed
        counts[1] += cancelled

    crowds()
    assert counts[0] > 4 * examples
    assert counts[1] > 0
    keeper: Any = model.engine.backend
    assert all(bool(span.kv.isfinite().all()) for span in keeper.prefix_cache)


def test_a_place_left_by_a_half_read_prompt_is_clean(folder: Path) -> None:
    """A prompt without numbers is moved into another's place while it is being read; whoever
    is seated where it was, in one class with longer rows, is answered as if alone."""
    model, alone = poisoned(folder, "llama"), IsolatedAnswers(load(folder, "llama"))
    limits = BatchLimits(rows=3, pass_tokens=20)
    model.engine.limits = model.engine.scheduler.limits = limits
    late = generate_ask(words(Random(9), 18), seed=4, max_tokens=20)
    moved = 0
    for count in range(1, 16):
        first = generate_ask("a " + words(Random(6), 18), seed=1, max_tokens=count)
        long = generate_ask(words(Random(7), 40), seed=2, max_tokens=60)
        evil = generate_ask(f"{POISON} {words(Random(8), 40)}", seed=3)
        done: dict[int, Any] = {}
        places: list[int] = []
        for ticket, ask in enumerate((long, first, evil, late)):
            model.engine.submit(ticket, ask, "", 0)
        while len(model.engine):
            for event in model.engine.step():
                done.update({event.ticket: getattr(event, "answer", None)})
            places += [
                r.slot.index for r in model.engine.scheduler.running if r.key[-1] == 2 and r.slot
            ]
        moved += len(set(places)) > 1
        assert done[3] == alone.of(late)[1]
        assert done[2].reason == "engine"
    assert moved > 0


def test_a_token_that_makes_no_numbers_ends_the_answer_that_wrote_it(folder: Path) -> None:
    """An answer that comes to write such a token fails then; what it shared is still good."""
    model, clean = poisoned(folder, "llama"), load_engine(folder, "llama")
    model.engine.set_generation_config(clean.generation_config)
    text = words(Random(1), 50)
    forced = {"type": "object", "properties": {"a": {"const": POISON}, "b": {"type": "integer"}}}
    asks = [
        generate_ask(text, schema={**forced, "required": ["a", "b"]}, max_tokens=40),
        generate_ask(text, seed=3),
    ]
    for _ in range(2):
        failed, good = answers(model, asks)
        assert (failed.reason, good) == ("engine", answers(clean, asks[1:])[0])
        assert "no token has a likelihood" in failed.detail


def raising(model: LocalModel, where: str) -> None:
    """Let the passes raise that run the poison, at some depth of the engine."""
    keeper: Any = model.engine.backend
    bad_token = token(model)
    real = keeper.run

    def run(pieces: Any) -> Any:
        hit = [bad_token in row.ids[: row.computed + count] for row, count in pieces]
        if any(hit) and where == "run":
            raise RuntimeError("poison in a pass")
        hidden = real(pieces)
        if any(hit):
            wants = [row.wanted_count(count) for row, count in pieces]
            marks = torch.tensor([h for h, want in zip(hit, wants) for _ in range(want)])
            hidden[marks.bool()] = torch.inf
        return hidden

    keeper.run = run
    logits = keeper.logits

    def failing(hidden: Any) -> Any:
        if where == "logits" and bool(hidden.isinf().any()):
            raise ValueError("poison in the logits")
        return logits(hidden)

    keeper.logits = failing


@pytest.mark.parametrize("kind", ["llama", "gpt_neox", "mistral"])
@pytest.mark.parametrize("where", ["run", "logits"])
def test_an_exception_in_a_pass_stays_with_its_ask(folder: Path, kind: str, where: str) -> None:
    """A pass that raises for one row is done again for each row alone: that row's ask is told
    the error, all others are answered as if alone."""
    model, alone = load(folder, kind), IsolatedAnswers(load(folder, kind))
    raising(model, where)
    asks: list[ModelAsk] = [fine(Random(i), i) for i in range(6)]
    evil: list[ModelAsk] = [
        generate_ask(f"short {POISON}", seed=50),
        generate_ask(words(Random(1), 150) + POISON, seed=51),
        Rate(messages=(Message.of("user", f"rate {POISON}"),), about="x", low=1, high=3),
    ]
    for _ in range(2):
        found = answers(model, [*asks[:3], *evil, *asks[3:]])
        for answer, ask in zip(found[:3] + found[6:], asks):
            assert equal(answer, alone.of(ask)[1])
        assert [answer.reason for answer in found[3:6]] == ["engine"] * 3
        assert all("poison in" in answer.detail for answer in found[3:6])
        assert model.engine.check_invariants() == []


def test_a_passing_fault_costs_nobody_an_answer(folder: Path) -> None:
    """Where a pass raises once and its rows run alone, all are answered, as ever."""
    model = load(folder, "llama")
    asks: list[ModelAsk] = [fine(Random(i), i) for i in range(8)]
    wanted = answers(load(folder, "llama"), asks)
    keeper: Any = model.engine.backend
    real, calls = keeper.run, [0]

    def run(pieces: Any) -> Any:
        calls[0] += 1
        if calls[0] % 3 == 0 and len(pieces) > 1:
            raise RuntimeError("out of memory, say")
        return real(pieces)

    keeper.run = run
    for one, other in zip(answers(model, asks), wanted):
        assert equal(one, other)
    assert calls[0] > 6


@pytest.mark.parametrize("name", ["sample_tokens", "apply_grammar_masks", "apply_penalties"])
def test_an_exception_in_drawing_stays_with_its_ask(
    folder: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What raises while a token is drawn is told to the ask for which it is, alone."""
    from denizens.models.engine import engine

    model = load(folder, "llama")
    real: Callable[..., Any] = getattr(engine, name)
    kinds = [SCHEMA if i % 2 else None for i in range(6)] + [
        SCHEMA if name == "apply_grammar_masks" else None
    ]
    asks = [generate_ask(f"line {i}", seed=i, schema=kinds[i], max_tokens=40) for i in range(6)]
    asks.append(generate_ask("evil", seed=666, schema=kinds[6], max_tokens=40))
    wanted = answers(load(folder, "llama"), asks[:6])
    odd = len(model.prompt_builder.ids(asks[6].messages))

    def broken(logits: Any, rows: Any) -> Any:
        writers = [
            order.generation for order in model.engine._requests.values() if order.generation
        ]
        evil = [one for one in writers if len(one.prompt.ids) == odd and one.ask.seed == 666]
        hit = {
            "sample_tokens": lambda: any(draw.seed == 666 for draw in rows),
            "apply_grammar_masks": lambda: any(m is one.matcher for _, m in rows for one in evil),
            "apply_penalties": lambda: any(len(rows) == 1 or len(logits) > 1 for _ in evil),
        }[name]()
        if hit:
            raise ValueError(f"{name} cannot")
        return real(logits, rows)

    monkeypatch.setattr(engine, name, broken)
    if name == "apply_penalties":
        found = answers(model, asks[6:])
    else:
        found = answers(model, asks)
        assert found[:6] == wanted
    assert (found[-1].reason, found[-1].detail) == ("engine", f"ValueError: {name} cannot")
    assert model.engine.check_invariants() == []


def test_a_broken_grammar_and_a_broken_decision_are_told(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A matcher that raises on a token, and a decision that cannot be finished, fail their own
    asks; those beside them are answered."""
    from denizens.models.engine.request import PendingDecision
    from denizens.models.grammar import GrammarMatcher

    model = load(folder, "llama")
    good: list[ModelAsk] = [
        generate_ask("fine", seed=1),
        Rate(messages=(Message.of("user", "x"),), about="x", high=3),
    ]
    wanted = answers(model, [good[0]])
    real = GrammarMatcher.accept_token

    def take(self: Any, token: int) -> bool:
        if len(self.tokens) == 3:
            raise ValueError("the grammar gave up")
        return real(self, token)

    monkeypatch.setattr(GrammarMatcher, "accept_token", take)
    failed, fine_one = answers(model, [generate_ask("evil", schema=SCHEMA, max_tokens=30), good[0]])
    assert (failed.detail, fine_one) == ("ValueError: the grammar gave up", wanted[0])

    def answer(self: Any, decider: Any) -> Any:
        raise ValueError("no decision")

    monkeypatch.setattr(PendingDecision, "answer", answer)
    fine_one, failed = answers(model, good)
    assert (failed.detail, fine_one) == ("ValueError: no decision", wanted[0])
    assert model.engine.check_invariants() == []


def test_each_bad_ask_gets_its_own_reason(folder: Path) -> None:
    """Impossible schemas, contexts that are too long, nothing to write, nothing to choose
    among: typed answers for those, text for the rest."""
    model = load(folder, "llama")
    message = (Message.of("user", "x"),)
    long = (Message.of("user", words(Random(2), 400)),)
    asks: list[ModelAsk] = [
        generate_ask(schema={"type": "banana"}),
        generate_ask(words(Random(1), 400)),
        generate_ask(max_tokens=0),
        Choose(messages=message, options=(), about="x"),
        Choose(messages=long, options=(Option("a"),), about="x"),
        Rate(messages=message, about="x", low=3, high=2),
        generate_ask(schema=SCHEMA, max_tokens=2),
    ]
    good: list[ModelAsk] = [generate_ask(seed=i) for i in range(4)]
    wanted = answers(model, good)
    found = answers(model, [*good[:2], *asks, *good[2:]])
    reasons = [answer.reason for answer in found[2:-2]]
    assert reasons == [
        "schema",
        "context_too_long",
        "context_too_long",
        "refused",
        "context_too_long",
        "refused",
        "limit",
    ]
    assert found[:2] + found[-2:] == wanted
    assert model.engine.check_invariants() == []
