"""Tiny models for engine tests: loading, asking, recording their logits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from denizens.core import Delta, Done, Generate, Message, ModelAsk, answer_all
from denizens.models import load_model
from denizens.testing import write_tiny_embedder, write_tiny_model

if TYPE_CHECKING:
    import torch
    from denizens.models import LocalModel
    from denizens.models.engine import SamplingParams

WINDOW = 512
TOLERANCE = 1e-4  # between logits in float32


def write(folder: Path, *kinds: str, **settings: Any) -> Path:
    """Models of some kinds and an embedder; the folder."""
    for kind in kinds:
        write_tiny_model(folder / kind, kind=kind, **settings)
    write_tiny_embedder(folder / "embedder")
    return folder


def load_engine(folder: Path, kind: str = "llama", **settings: Any) -> LocalModel:
    """An engine in float32."""
    from denizens.models import LocalModel

    settings = {"dtype": "auto" if settings.get("exact") else "float32", **settings}
    model = load_model(str(folder / kind), embedder=str(folder / "embedder"), **settings)
    assert isinstance(model, LocalModel)
    return model


def load_transformers(folder: Path, kind: str = "llama") -> Any:
    """The transformers model itself, in float32."""
    import torch
    import transformers

    library: Any = transformers
    model = library.AutoModelForCausalLM.from_pretrained(str(folder / kind), dtype=torch.float32)
    model.train(False)
    return model


def generate_ask(text: str = "the baker", **settings: Any) -> Generate:
    """A line of free text."""
    settings = {"max_tokens": 12, "temperature": 1.0, **settings}
    return Generate(messages=(Message.of("user", text),), **settings)


def answers(model: LocalModel, asks: Sequence[ModelAsk]) -> list[Any]:
    """What some asks are answered, asked together."""
    return answer_all(model.client(), asks)


def unguarded(model: LocalModel) -> LocalModel:
    """The same model, with nothing that keeps it from looping."""
    from dataclasses import replace

    from denizens.models.engine import RepetitionLimits

    model.engine.set_generation_config(
        replace(model.generation_config, repetition_limits=RepetitionLimits())
    )
    return model


def forgetful(model: LocalModel) -> LocalModel:
    """The same model, which scores a pair anew whenever it is asked."""
    decider: Any = model.decider
    assert decider._remember
    decider._remember = False
    return model


@dataclass
class DrawRecorder:
    """Logits and tokens of every draw, by the ask's seed and the token's position."""

    logits: dict[tuple[int, int], torch.Tensor] = field(default_factory=dict)
    tokens: dict[tuple[int, int], int | None] = field(default_factory=dict)
    draws: dict[tuple[int, int], SamplingParams] = field(default_factory=dict)


@contextmanager
def record_draws() -> Iterator[DrawRecorder]:
    """See what the engine draws from. Give each ask a seed of its own."""
    import torch
    from denizens.models.engine import engine as module

    engine: Any = module
    seen = DrawRecorder()
    real = engine.sample_tokens

    def sample(logits: torch.Tensor, draws: Sequence[SamplingParams]) -> list[int | None]:
        tokens: list[int | None] = real(logits, draws)
        for row, draw, token in zip(logits, draws, tokens):
            key = (draw.seed, draw.position)
            seen.logits[key], seen.tokens[key], seen.draws[key] = row.clone(), token, draw
        return tokens

    engine.sample_tokens = sample
    try:
        yield seen
    finally:
        engine.sample_tokens = real
        assert all(torch.is_tensor(one) for one in seen.logits.values())


def agree(one: DrawRecorder, other: DrawRecorder, seed: int, *, exact: bool = False) -> int:
    """Fail unless both drew alike for an ask: logits within the tolerance and equal tokens, up
    to the first near-tie; the number of tokens compared."""
    import torch

    position = 0
    while (key := (seed, position)) in one.logits:
        assert key in other.logits, f"{key} was drawn by one only"
        first, second = one.logits[key], other.logits[key]
        assert torch.equal(first.isfinite(), second.isfinite())
        apart = (first - second)[first.isfinite()].abs()
        assert float(apart.max()) <= (0.0 if exact else TOLERANCE), f"{key}: {apart.max()}"
        if one.tokens[key] != other.tokens[key]:
            assert not exact
            assert is_near_tie(first, one.draws[key]), f"{key}: other tokens without a near-tie"
            return position
        position = min((at for s, at in one.logits if s == seed and at > position), default=-1)
        if position < 0:
            break
    drawn = sum(1 for s, _ in one.logits if s == seed)
    assert drawn == sum(1 for s, _ in other.logits if s == seed)
    return drawn


def is_near_tie(logits: torch.Tensor, draw: SamplingParams) -> bool:
    """Whether a change of a thousandth could change what is drawn."""
    import torch
    from denizens.core import uniform

    if draw.temperature <= 0:
        top = torch.topk(logits, 2).values
        return float(top[0] - top[1]) < 1e-3
    shares = torch.softmax(logits.double() / draw.temperature, 0).sort(descending=True).values
    mass = np.cumsum(shares.numpy())
    place = uniform(draw.seed, draw.position)
    # The nucleus's edge may move too; then all that is drawn moves with it.
    edge = float(np.abs(mass - draw.top_p).min())
    whole = float(mass[int(np.searchsorted(mass, draw.top_p).clip(0, len(mass) - 1))])
    return min(edge, float(np.abs(mass - place * whole).min())) < 1e-3


def deltas(events: Sequence[Delta | Done], ticket: int) -> str:
    """What was streamed of an ask."""
    return "".join(e.text for e in events if isinstance(e, Delta) and e.ticket == ticket)
