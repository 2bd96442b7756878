"""Drawing tokens, held against a plain reference; what may not be drawn, against loops."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from random import Random

import numpy as np
import pytest
import torch
from denizens.core import uniform
from denizens.models.engine import SamplingParams, sample_tokens
from denizens.models.engine.sampling import (
    MAX_CANDIDATES,
    NGramIndex,
    TokenPenalties,
    apply_penalties,
    top_k_indices,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor

SLACK = 1e-5  # of probability; where rounding decides, either token is right


def candidates(
    row: NDArray[np.float64], draw: SamplingParams, top_p: float
) -> tuple[list[int], list[float]]:
    """Candidates from the likeliest down, by a whole sort in double precision, and the sums of
    their probabilities."""
    order = np.lexsort((np.arange(len(row)), -row))
    if draw.temperature <= 0:
        return [int(order[0])], [1.0]
    heated = (row[order] - row[order[0]]) / draw.temperature
    shares = np.exp(heated) / np.exp(heated).sum()
    kept: list[int] = []
    sums: list[float] = []
    for place, token in enumerate(order):
        few = draw.top_k == 0 or place < draw.top_k
        full = bool(sums) and sums[-1] >= top_p
        if full or not few or place == MAX_CANDIDATES or shares[place] < draw.min_p * shares[0]:
            break
        if shares[place] == 0:
            break
        kept.append(int(token))
        sums.append((sums[-1] if sums else 0.0) + float(shares[place]))
    return kept, sums


def allowed(row: Tensor, draw: SamplingParams) -> set[int | None]:
    """What may be drawn: one token, more only where rounding decides."""
    values = row.double().numpy()
    if np.isnan(values).any() or not np.isfinite(values).any():
        return {None}
    found: set[int | None] = set()
    for top_p in (draw.top_p - SLACK, draw.top_p, draw.top_p + SLACK):
        kept, sums = candidates(values, draw, top_p)
        for shift in (-SLACK, 0.0, SLACK):
            target = uniform(draw.seed, draw.position) * sums[-1] + shift
            place = sum(1 for one in sums if one <= target)
            found.add(kept[min(place, len(kept) - 1)])
    return found


@st.composite
def rows(draws: st.DrawFn) -> tuple[Tensor, list[SamplingParams]]:
    """Logits of some rows, flat or steep, with ties and minus infinities; how each is drawn."""
    count = draws(st.integers(1, 6))
    columns = draws(st.sampled_from([1, 2, 17, 400, 3000, 64 * 300]))
    generator = torch.Generator().manual_seed(draws(st.integers(0, 10**6)))
    logits = torch.randn((count, columns), generator=generator)
    logits *= draws(st.sampled_from([0.0, 0.01, 1.0, 8.0]))
    if draws(st.booleans()):
        logits = (logits * 2).round() / 2  # ties
    if draws(st.booleans()):
        hidden = torch.rand((count, columns), generator=generator) < 0.5
        logits[hidden] = -torch.inf
    some = [
        SamplingParams(
            draws(st.sampled_from([0.0, 0.0, 0.3, 1.0, 4.0])),
            draws(st.sampled_from([1.0, 0.95, 0.5, 0.0])),
            draws(st.integers(0, 99)),
            draws(st.integers(0, 99)),
            draws(st.sampled_from([0, 0, 1, 5, 63, 64, 65, 2000])),
            draws(st.sampled_from([0.0, 0.0, 0.05, 1.0])),
        )
        for _ in range(count)
    ]
    return logits, some


@settings(max_examples=300, deadline=None, derandomize=True)
@given(rows())
def test_a_draw_is_that_of_a_whole_sort(given_rows: tuple[Tensor, list[SamplingParams]]) -> None:
    """For any temperature, top-p, top-k and min-p together, flat rows and steep, ties and
    forbidden tokens: the token of a whole sort in double precision, ties by the lower id."""
    logits, draws = given_rows
    for token, row, draw in zip(sample_tokens(logits.clone(), draws), logits, draws):
        assert token in allowed(row, draw)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(rows())
def test_rows_are_drawn_apart(given_rows: tuple[Tensor, list[SamplingParams]]) -> None:
    """A row's token does not depend on the rows beside it, nor on their order."""
    logits, draws = given_rows
    together = sample_tokens(logits, draws)
    assert together == [sample_tokens(logits[i : i + 1], [draw])[0] for i, draw in enumerate(draws)]
    assert together[::-1] == sample_tokens(logits.flip(0), draws[::-1])


@pytest.mark.parametrize("columns", [500, 64 * 800])
def test_equal_logits_go_by_id(columns: int) -> None:
    """Of many equals the lowest ids are the candidates, however many equals there are and
    wherever among them the candidates end."""
    flat = torch.zeros((1, columns))
    assert sample_tokens(flat, [SamplingParams(0.0, 1.0, 1, 1)]) == [0]
    flat[0, :7] = -1.0
    assert sample_tokens(flat, [SamplingParams(0.0, 1.0, 1, 1)]) == [7]
    for top_k in (1, 10, 70, 300):
        drawn = {sample_tokens(flat, [SamplingParams(1.0, 1.0, s, 0, top_k)])[0] for s in range(40)}
        assert drawn <= set(range(7, 7 + top_k))
    mixed = torch.zeros((1, columns))
    mixed[0, 100:160] = 1.0
    for seed in range(40):
        (token,) = sample_tokens(mixed, [SamplingParams(1.0, 1.0, seed, 0, 64)])
        assert token in {*range(100, 160), 0, 1, 2, 3}


def test_frequencies_are_the_probabilities() -> None:
    """Over 20,000 positions each token comes as often as it is likely, within five standard
    deviations; with top-k those left share the whole."""
    logits = torch.tensor([[2.0, 1.0, 0.5, 0.0, -1.0, -torch.inf]])
    count = 20_000
    for draw, kept in ((SamplingParams(1.0, 1.0, 7, 0), 5), (SamplingParams(0.7, 1.0, 8, 0, 3), 3)):
        draws = [
            SamplingParams(draw.temperature, 1.0, draw.seed, i, draw.top_k) for i in range(count)
        ]
        found = Counter(sample_tokens(logits.expand(count, -1), draws))
        shares = torch.softmax(logits[0, :kept] / draw.temperature, 0).tolist()
        assert set(found) == set(range(kept))
        for token, share in enumerate(shares):
            sigma = (share * (1 - share) * count) ** 0.5
            assert abs(found[token] - share * count) < 5 * sigma


def test_uniform_numbers_are_uniform() -> None:
    """Over seeds and over positions, in tenths; never 1."""
    for numbers in (
        [uniform(1, position) for position in range(10_000)],
        [uniform(seed, 1) for seed in range(10_000)],
    ):
        assert 0 <= min(numbers) < max(numbers) < 1
        tenths = Counter(int(10 * number) for number in numbers)
        assert all(abs(tenths[i] - 1000) < 150 for i in range(10))


@pytest.mark.parametrize("temperature", [0.0, -1.0, 1e-12, 1e-40])
def test_no_heat_takes_the_likeliest(temperature: float) -> None:
    """At temperature 0, below and as good as 0 the likeliest token is taken."""
    logits = torch.tensor([[0.0, 3.0, 2.9, -50.0]])
    assert sample_tokens(logits, [SamplingParams(temperature, 1.0, 5, 5)]) == [1]


def test_what_is_no_number_draws_nothing() -> None:
    """A row with a NaN, with a plus infinity, with nothing allowed or without a temperature gives
    None; others draw."""
    logits = torch.zeros((5, 200))
    logits[1, 150] = torch.nan
    logits[2] = -torch.inf
    logits[3, 4] = torch.inf
    logits[4, 9] = 1.0
    assert sample_tokens(logits[:1], [SamplingParams(float("nan"), 0.9, 1, 1)]) == [None]
    for temperature in (0.0, 1.0):
        draws = [SamplingParams(temperature, 0.9, 1, 1, 3) for _ in range(5)]
        found = sample_tokens(logits, draws)
        assert found[1:4] == [None] * 3
        assert found[0] is not None
        assert found[4] in (0, 1, 9)


@pytest.mark.parametrize("columns", [64, 1000, 64 * 257, 49_152])
def test_the_largest_are_found_by_blocks(columns: int) -> None:
    """The values found are those of topk, at places that differ."""
    generator = torch.Generator().manual_seed(1)
    values = torch.randn((5, columns), generator=generator)
    for count in (1, 63, 64):
        places = top_k_indices(values, count)
        found = values.gather(1, places).sort(dim=1, descending=True).values
        assert torch.equal(found, torch.topk(values, count, dim=1).values)
        assert all(len(set(row)) == count for row in places.tolist())


def banned(history: Sequence[int], size: int, source: Sequence[int]) -> set[int]:
    """Tokens that would complete a run of ``size`` tokens already standing in ``source``."""
    if len(history) < size - 1:
        return set()
    tail = tuple(history[-(size - 1) :]) if size > 1 else ()
    return {
        source[i + size - 1]
        for i in range(len(source) - size + 1)
        if tuple(source[i : i + size - 1]) == tail
    }


RESTRAINT = st.builds(
    TokenPenalties,
    st.sets(st.integers(0, 19), max_size=6),
    st.sets(st.integers(0, 19), max_size=12),
    st.sampled_from([1.0, 1.1, 2.0, 0.5]),
)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.lists(st.none() | RESTRAINT, min_size=1, max_size=6), st.integers(0, 1000))
def test_restraints_are_those_of_a_loop(held: list[TokenPenalties | None], seed: int) -> None:
    """Penalties divide what is positive and multiply what is negative, of each row's own
    tokens; what is forbidden is minus infinity; all else is untouched."""
    logits = torch.randn((len(held), 20), generator=torch.Generator().manual_seed(seed))
    logits[:, 3] = -torch.inf
    wanted = logits.clone()
    for row, one in enumerate(held):
        for token in one.penalized if one else ():
            value = float(wanted[row, token])
            assert one is not None
            wanted[row, token] = value / one.penalty if value > 0 else value * one.penalty
        for token in one.banned if one else ():
            wanted[row, token] = -torch.inf
    apply_penalties(logits, [(row, one) for row, one in enumerate(held) if one is not None])
    assert torch.allclose(logits, wanted, rtol=1e-6)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.lists(st.integers(0, 3), max_size=40), st.integers(1, 6))
def test_runs_are_those_of_a_search(tokens: list[int], size: int) -> None:
    """What may not follow a second time, at each place of a sequence, is what a search through
    all of it finds."""
    runs = NGramIndex(size)
    for at, token in enumerate(tokens):
        assert runs.repeats() == banned(tokens[:at], size, tokens[:at])
        runs.add(token)
    assert runs.repeats() == banned(tokens, size, tokens)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(
    st.lists(st.integers(0, 2), max_size=60),
    st.lists(st.integers(0, 2), max_size=20),
    st.integers(1, 5),
)
def test_copies_are_those_of_a_search(source: list[int], written: list[int], size: int) -> None:
    """What would complete a copy from another text is found without searching it again."""
    runs = NGramIndex(size, source)
    assert runs.repeats_after(written) == banned(written, size, source)


def test_a_seed_of_any_size_draws() -> None:
    """Negative and huge seeds are numbers like any other."""
    random = Random(1)
    logits = torch.randn((1, 300), generator=torch.Generator().manual_seed(1))
    for seed in (-1, 2**70, -(2**90), random.getrandbits(200)):
        assert sample_tokens(logits, [SamplingParams(1.0, 1.0, seed, 0)])[0] in range(300)
