"""Choose and Rate on a tiny random model, then on the real one."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from denizens.core import (
    NONE_OF_THESE,
    Anchor,
    Choice,
    Choose,
    Done,
    Failed,
    Message,
    Model,
    ModelAsk,
    Option,
    Rate,
    Rating,
    tool_option,
)
from denizens.models import load_local, load_model
from denizens.models.decisions import Decider
from denizens.models.engine import ScoringPlan
from denizens.models.load import METHODS
from denizens.testing import write_tiny_embedder, write_tiny_model

PLACES = (
    Option("cafe", "a place for coffee and cake"),
    Option("park", "a green place with trees and a pond"),
    Option("bedroom", "where one sleeps"),
    Option("library", "a quiet house full of books"),
)
IMPORTANCE = (
    Anchor(1, "brushing teeth, making the bed, a table that stands there unused"),
    Anchor(2, "walking down the street, having an ordinary breakfast"),
    Anchor(4, "chatting with a neighbour about the weather and work"),
    Anchor(6, "being invited to a celebration, making plans with a friend"),
    Anchor(8, "confessing love, learning a friend's painful secret, losing one's work"),
    Anchor(10, "a break-up, a wedding, the death of somebody close"),
)
MUNDANE = (
    "Bo brushes his teeth",
    "The chair in the kitchen is idle",
    "Maria walks to the library",
    "Klaus is reading a book at his desk",
    "Ana waters her plants",
    "The stove is off",
    "Eva eats toast for breakfast",
    "Otto sweeps the floor",
    "Mia folds the laundry",
    "Rosa opens the shop as on every day",
)
POIGNANT = (
    "Bo's wife tells him that she is leaving him",
    "Maria's mother died last night",
    "Klaus asks Maria to marry him",
    "Isabella learns that her cafe will be closed for good",
    "Tom is arrested for a theft he did not commit",
    "Jan confesses that he has lied to Nora for ten years",
    "Nora is diagnosed with cancer",
    "Paul is fired from the job he loved",
    "Ida's best friend betrays her secret",
    "Eva breaks up with Jan in tears",
)


def answers(model: Model, asks: Sequence[ModelAsk]) -> list[Any]:
    client = model.client()
    tickets = [client.submit(one) for one in asks]
    found = {}
    while events := client.wait():
        found.update({event.ticket: event.answer for event in events if isinstance(event, Done)})
    return [found[ticket] for ticket in tickets]


def pick(about: str, options: Sequence[Option] = PLACES, **settings: Any) -> Choose:
    return Choose(messages=(), options=tuple(options), about=about, **settings)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny model and a tiny embedder."""
    path = tmp_path_factory.mktemp("tiny")
    write_tiny_model(path / "lm")
    write_tiny_embedder(path / "embedder")
    return path


@pytest.mark.parametrize("method", METHODS)
def test_shuffled_options_shuffle_the_probabilities(folder: Path, method: str) -> None:
    """Each permutation of the options permutes the probabilities to the last bit."""
    settings: Any = {"embedder": str(folder / "embedder"), "method": method}
    first = answers(load_model(str(folder / "lm"), **settings), [pick("he eats")])[0]
    by_name = {option.name: p for option, p in zip(PLACES, first.probabilities)}
    assert sum(first.probabilities) == pytest.approx(1)
    for number, order in enumerate(permutations(PLACES)):
        if number % 6 == 1:
            model = load_model(str(folder / "lm"), **settings)
            (found,) = answers(model, [pick("he eats", order)])
            assert {o.name: p for o, p in zip(order, found.probabilities)} == by_name
            assert order[found.index] == PLACES[first.index]


def test_equal_options_go_by_name(folder: Path) -> None:
    """Two options described alike tie, and the name decides, not the place."""
    model = load_model(str(folder / "lm"), embedder=str(folder / "embedder"))
    twins = (Option("b", "a house"), Option("a", "a house"))
    for order in (twins, twins[::-1]):
        (found,) = answers(model, [pick("home", order)])
        assert found.probabilities == (0.5, 0.5)
        assert order[found.index].name == "a"


def test_temperature_draws_by_seed(folder: Path) -> None:
    """Above 0 the draw follows the probabilities, belongs to the seed and not to the order."""
    model = load_model(str(folder / "lm"), embedder=str(folder / "embedder"), method="cosine")
    asks = [pick("bread", temperature=1.0, seed=seed) for seed in range(300)]
    found = answers(model, asks)
    assert found == answers(model, asks)
    turned = [pick("bread", PLACES[::-1], temperature=1.0, seed=seed) for seed in range(300)]
    assert [3 - one.index for one in answers(model, turned)] == [one.index for one in found]
    for place, wanted in enumerate(found[0].probabilities):
        share = sum(one.index == place for one in found) / 300
        assert share == pytest.approx(wanted, abs=0.1)


def test_many_options_are_scored_by_finalists(folder: Path) -> None:
    """With forty options only the nearest go through the language model; all get a share."""
    model = load_model(str(folder / "lm"), embedder=str(folder / "embedder"))
    options = [Option(f"place {i}", "town " * (i + 1)) for i in range(40)]
    (found,) = answers(model, [pick("the town", options)])
    (turned,) = answers(model, [pick("the town", options[::-1])])
    assert turned.probabilities == found.probabilities[::-1]
    assert min(found.probabilities) > 0
    (few,) = answers(model, [pick("the town", options[:8])])
    assert found.tokens_in < 5 * few.tokens_in


def test_a_value_is_chosen_by_the_likelihood_of_the_whole_reply(folder: Path) -> None:
    """With the role "value" the odds are p(name, end of the reply | messages), nothing else:
    those of any method that reads the model, so that "sea" does not count for "sea town"."""
    model = load_local(str(folder / "lm"), embedder=str(folder / "embedder"), method="channel")
    options = (Option("sea"), Option("sea town"), Option("bread"))
    message = Message.of("user", "Where?")
    ask = Choose(messages=(message,), options=options, about="x", role="value")
    decider = model.decider
    plan = prepared(decider, ask)
    assert {len(pair.target) for pair in plan.pairs} != {1}
    ends = {pair.target[-1:] for pair in plan.pairs}
    assert ends == {model.prompt_builder.closing_ids()}
    scores = {pair: tuple(-0.5 * (i + 1) for _ in pair[1]) for i, pair in enumerate(plan.pairs)}
    choice = plan.finish(scores)
    assert isinstance(choice, Choice)
    by_target = {target[:-1]: sum(scores[pair]) for pair in plan.pairs for target in (pair[1],)}
    sums = np.array([by_target[model.prompt_builder.text_ids(one.name)] for one in options])
    assert np.allclose(choice.probabilities, np.exp(sums) / np.exp(sums).sum())


def test_of_a_thousand_options_only_finalists_are_read(folder: Path) -> None:
    """The language model is given no more pairs for a thousand tools than for a few."""
    decider = decider_of(folder)
    options = tools(*(f"tool {i}" for i in range(1000)))
    many = prepared(decider, Choose(messages=(), options=options, about="the town", role="tool"))
    few = prepared(decider, Choose(messages=(), options=options[:8], about="the sea", role="tool"))
    assert len(many.pairs) == len(few.pairs)


def tools(*names: str) -> tuple[Option, ...]:
    schema = {"properties": {"town": {"description": "Where."}}}
    return tuple(tool_option(name, f"Tells of {name}. Or so.", schema) for name in names)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("role", ["tool", "place"])
def test_other_options_change_no_odds(folder: Path, method: str, role: str) -> None:
    """The odds of two options are the same whichever others are on offer: each is scored
    apart. (Direct shows the options in a question, unless the messages end with one.)"""
    model = load_model(str(folder / "lm"), embedder=str(folder / "embedder"), method=method)
    message = Message.of("user", "Which one?")
    options = tools("bread", "the_sea", "weather")
    few, many = answers(
        model,
        [
            Choose(messages=(message,), options=one, about="the baker", role=role)
            for one in (options[:2], (options[2], NONE_OF_THESE, *options[:2]))
        ],
    )
    a, b = few.probabilities
    *_, c, d = many.probabilities
    assert a / b == pytest.approx(c / d, rel=1e-6)


def test_none_of_these_is_no_text(folder: Path) -> None:
    """Its place changes nothing, and it is scored by what was fitted, not by its words."""
    model = load_model(str(folder / "lm"), embedder=str(folder / "embedder"))
    options = tools("bread", "the_sea")
    orders = [
        (*options, NONE_OF_THESE),
        (NONE_OF_THESE, *options),
        (options[1], NONE_OF_THESE, options[0]),
    ]
    found = []
    for order in orders:
        (one,) = answers(model, [Choose(messages=(), options=order, about="bread", role="tool")])
        found.append({option.name: p for option, p in zip(order, one.probabilities)})
    assert found[0] == found[1] == found[2]
    other = Option(NONE_OF_THESE.name, "none of all these")
    (said,) = answers(
        model, [Choose(messages=(), options=(*options, other), about="bread", role="tool")]
    )
    assert said.probabilities[2] != found[0][NONE_OF_THESE.name]


def decider_of(folder: Path, **settings: Any) -> Decider:
    return load_local(str(folder / "lm"), embedder=str(folder / "embedder"), **settings).decider


def prepared(decider: Decider, ask: Choose | Rate) -> ScoringPlan:
    plan = decider.prepare(ask)
    assert isinstance(plan, ScoringPlan)
    return plan


@pytest.mark.parametrize("method", ["channel", "direct", "pmi", "auto"])
def test_what_was_scored_is_not_scored_again(folder: Path, method: str) -> None:
    """Pairs learnt are listed no more, the answer is the same; a stranger's pairs are listed."""
    decider = decider_of(folder, method=method)
    plan = prepared(decider, pick("he eats bread"))
    scores = {pair: tuple(-0.1 * i for i, _ in enumerate(pair[1], 1)) for pair in plan.pairs}
    first = plan.finish(scores)
    decider.cache_scores(scores)
    again = prepared(decider, pick("he eats bread"))
    assert again.pairs == ()
    assert again.finish({}) == first
    assert prepared(decider, pick("she reads")).pairs


def test_exact_remembers_nothing(folder: Path) -> None:
    """Under exact the same ask lists the same pairs for ever."""
    decider = decider_of(folder, exact=True)
    plan = prepared(decider, pick("he eats bread"))
    decider.cache_scores(dict.fromkeys(plan.pairs, (-1.0,)))
    assert prepared(decider, pick("he eats bread")).pairs == plan.pairs != ()


def test_direct_has_one_prompt_for_all_options(folder: Path) -> None:
    """All contexts are one, so that its keys are computed once: the messages as they are
    where they end with a question, else with one put after them."""
    decider = decider_of(folder, method="direct")
    asked = Message.of("user", "Where does he go?")
    told = Message.of("system", "He is hungry.")
    prompter = decider_of(folder)._prompts._builder
    for messages in ((asked,), (told,), ()):
        plan = prepared(decider, Choose(messages=messages, options=PLACES, about="he eats"))
        contexts = {pair.context for pair in plan.pairs}
        assert len(contexts) == 1
        assert len(plan.pairs) == len(PLACES)
        (context,) = contexts
        assert (context == prompter.ids((asked,))) == (messages == (asked,))


def test_a_small_window_shortens_what_channel_reads(folder: Path) -> None:
    """Texts longer than the window are cut, no pair is longer than it."""
    decider = decider_of(folder, window=96, method="channel")
    options = (Option("a", "bread " * 200), Option("b", "the sea " * 200))
    plan = prepared(decider, pick("town " * 300, options))
    assert all(0 < len(pair.context) <= 96 - len(pair.target) for pair in plan.pairs)
    assert all(pair.target for pair in plan.pairs)


@pytest.mark.parametrize(
    ("ask", "reason", "detail"),
    [
        (pick("x", ()), "refused", "at least one option"),
        (pick("x", (Option("a"), Option("a", "again"))), "refused", "share the name 'a'"),
        (pick("x", (Option(" "), Option("a"))), "refused", "empty name"),
        (pick("  "), "refused", "'about'"),
        (Rate(messages=(), about="x", low=5, high=4), "refused", "no values"),
        (
            Rate(messages=(Message.of("user", "bread " * 900),), about="x"),
            "context_too_long",
            "512",
        ),
    ],
)
def test_bad_decisions_fail_alone(folder: Path, ask: ModelAsk, reason: str, detail: str) -> None:
    """An ask that makes no sense is Failed with its reason; the one beside it is answered."""
    model = load_model(str(folder / "lm"), embedder=str(folder / "embedder"))
    bad, choice, rating = answers(model, [ask, pick("bread"), Rate(messages=(), about="bread")])
    assert isinstance(bad, Failed)
    assert bad.reason == reason
    assert detail in bad.detail
    assert isinstance(choice, Choice)
    assert isinstance(rating, Rating)


def test_a_rating_is_the_mean_of_its_probabilities(folder: Path) -> None:
    """With anchors and without: probabilities of all values, summing to 1, and their mean."""
    model = load_model(str(folder / "lm"), embedder=str(folder / "embedder"))
    plain = Rate(messages=(), about="bread", low=0, high=4)
    near = Rate(messages=(), about="bread", anchors=(Anchor(2, "bread"), Anchor(9, "death")))
    for ask, found in zip((plain, near), answers(model, [plain, near])):
        assert len(found.probabilities) == ask.high - ask.low + 1
        assert sum(found.probabilities) == pytest.approx(1)
        mean = sum(p * i for i, p in enumerate(found.probabilities, ask.low))
        assert found.value == pytest.approx(mean)


@pytest.mark.real
def test_everyday_and_grave_events_are_told_apart(smollm2: Model) -> None:
    """Importance uses its range: everyday events lie low, grave ones high, nearly all apart."""
    asks = [
        Rate(messages=(), about=text, anchors=IMPORTANCE, role="importance")
        for text in (*MUNDANE, *POIGNANT)
    ]
    values = [found.value for found in answers(smollm2, asks)]
    low, high = values[: len(MUNDANE)], values[len(MUNDANE) :]
    auroc = sum(a < b for a in low for b in high) / (len(low) * len(high))
    assert auroc > 0.95
    assert sorted(low)[len(low) // 2] < 4
    assert sorted(high)[len(high) // 2] > 7


@pytest.mark.real
def test_places_that_fit_are_chosen(smollm2: Model) -> None:
    """The real model sends people where their activity belongs."""
    wanted = {
        "Bo is drinking an espresso": "cafe",
        "Bo is going to bed": "bedroom",
        "Bo is reading a novel": "library",
        "Bo is feeding the ducks": "park",
    }
    found = answers(smollm2, [pick(about) for about in wanted])
    right = sum(PLACES[one.index].name == name for one, name in zip(found, wanted.values()))
    assert right >= 3


@pytest.mark.real
def test_small_talk_wants_no_tool(smollm2: Model) -> None:
    """With a calculator and a clock on offer, sums and hours go to them, the rest to none."""
    schema = {"properties": {"expression": {"description": "numbers and signs"}}}
    options = (
        NONE_OF_THESE,
        tool_option("calculator", "Work out an arithmetic expression.", schema),
        tool_option("clock", "Tell the present date, time and weekday."),
    )
    wanted = {
        "What is 480 divided by 6?": 1,
        "Add 12, 40 and 7 for me, please.": 1,
        "What time is it?": 2,
        "Which day is today?": 2,
        "Tell me about your sister.": 0,
        "What do you think of the new mayor?": 0,
        "My cat has run away.": 0,
        "I dreamt of my mother again.": 0,
    }
    asks = [Choose(messages=(), options=options, about=one, role="tool") for one in wanted]
    found = [one.index for one in answers(smollm2, asks)]
    assert sum(a == b for a, b in zip(found, wanted.values())) >= 7
