"""Weighing signals: what fitting finds, what a fold must not see, which method is picked."""

from __future__ import annotations

import numpy as np
import pytest
from denizens.models.decisions import (
    METHOD_NAMES,
    LabelledDecision,
    ScoringMethod,
    cross_validate,
    fit_method,
)
from denizens.models.decisions.calibrator import TIE_NATS, MethodResult, pick_method
from denizens.models.decisions.scoring_method import correct, nll_loss
from hypothesis import given, settings
from hypothesis import strategies as st

TRUE = ScoringMethod({"cosine": 0.6, "channel": 0.4}, temperature=0.05, none=0.3)


def made(
    count: int, seed: int, method: ScoringMethod = TRUE, none: bool = False
) -> list[LabelledDecision]:
    """Items whose right option is drawn by a method's probabilities."""
    rng = np.random.default_rng(seed)
    items = []
    for _ in range(count):
        size = int(rng.integers(2, 6))
        signals = {name: rng.normal(0.3, 0.15, size) for name in ("cosine", "channel", "direct")}
        place = size - 1 if none else None
        if none:
            for values in signals.values():
                values[size - 1] = 0.0
        scores = method.scores(signals, place)
        odds = np.exp(scores - scores.max())
        right = int(rng.choice(size, p=odds / odds.sum()))
        items.append(LabelledDecision(signals, right, place))
    return items


@pytest.mark.parametrize("none", [False, True])
def test_fitting_finds_the_weights_that_made_the_answers(none: bool) -> None:
    """From many answers drawn by a method, its shares, temperature and score of none."""
    found = fit_method("cosine+channel", made(4000, 1, none=none))
    assert found.weights["cosine"] == pytest.approx(0.6, abs=0.05)
    assert found.temperature == pytest.approx(0.05, rel=0.15)
    assert sum(found.weights.values()) == pytest.approx(1)
    if none:
        assert found.none == pytest.approx(0.3, abs=0.02)


def test_fitted_probabilities_are_calibrated() -> None:
    """Of new decisions with a probability near p, about p are right."""
    method = fit_method("cosine+channel", made(2000, 1))
    sure, right = [], []
    for item in made(4000, 2):
        scores = method.scores(item.features)
        odds = np.exp(scores - scores.max())
        sure.append(float((odds / odds.sum()).max()))
        right.append(int(np.argmax(scores)) == item.right)
    for low in (0.3, 0.5, 0.7, 0.9):
        inside = [hit for p, hit in zip(sure, right) if low <= p < low + 0.1]
        if len(inside) > 100:
            assert np.mean(inside) == pytest.approx(low + 0.05, abs=0.06)


def test_a_signal_that_misleads_gets_no_weight() -> None:
    """A signal that speaks against the right options is left out, not turned round."""
    items = made(500, 3)
    turned = [
        LabelledDecision({**one.features, "channel": -one.features["channel"]}, one.right)
        for one in items
    ]
    assert fit_method("cosine+channel", turned).weights == {"cosine": 1.0}


def test_a_useless_signal_alone_is_all_but_flat() -> None:
    """Alone it cannot be left out; its probabilities are then nearly equal."""
    method = fit_method("direct", made(2000, 4))
    assert float(nll_loss(method, made(500, 5)).mean()) < np.log(5)
    assert method.temperature > 0.5


@given(place=st.integers(0, 39))
@settings(max_examples=15, deadline=None)
def test_a_fold_is_judged_by_what_it_has_not_seen(place: int) -> None:
    """Another right option of an item changes nothing for the others of its fold."""
    items = made(40, 6)
    before, _ = cross_validate("cosine+channel", items)
    one = items[place]
    size = len(one.features["cosine"])
    items[place] = LabelledDecision(one.features, (one.right + 1) % size)
    after, _ = cross_validate("cosine+channel", items)
    same = [i for i in range(40) if i % 5 == place % 5 and i != place]
    assert np.array_equal(before[same], after[same])
    assert not np.array_equal(before, after)


def test_hits_and_losses_agree() -> None:
    """Where the right option has more than half of the probability, it is a hit."""
    items = made(300, 7)
    right, losses = correct(TRUE, items), nll_loss(TRUE, items)
    assert all(hit for hit, nats in zip(right, losses) if nats < np.log(2) - 1e-9)
    assert 0.3 < right.mean() < 1.0


def measured(name: str, nats: float) -> MethodResult:
    return MethodResult("other", name, 10, nats, 0.5, TRUE)


def test_the_least_loss_wins_and_a_tie_goes_to_the_cheaper() -> None:
    """Clearly better wins at any cost; as good within the tie, the cheap one is taken."""
    assert pick_method([measured("cosine", 0.9), measured("parts+channel", 0.8)]) == "parts+channel"
    near = [measured("parts+channel", 0.8), measured("cosine", 0.8 + TIE_NATS / 2)]
    assert pick_method(near) == "cosine"
    assert pick_method([measured(name, 1.0) for name in reversed(METHOD_NAMES)]) == "cosine"
