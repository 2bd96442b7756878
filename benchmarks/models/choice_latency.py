"""Latency of one Choose among eight options, compared with eight full forward passes of
transformers."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ...core import Answer, Choice, Choose, Json, Message, ModelError, Option, Seed, answer_all
from ...models import LocalModel, load_local, pick_device
from ...models.decisions import ScoringMethod
from ...models.engine import TokenPair
from ..workloads import text_of_tokens
from .engine_throughput import TransformersBaseline, baseline_source, left_padded

PROMPT, OPTION, OPTIONS, ROUNDS = 550, 5, 8, 5


def measure_choose_8(name: str, *, device: str, dtype: str) -> dict[str, Json]:
    """Times and differences in ``dtype``, and in float32 for exactness.

    ``vs_full_passes``: the time of eight rows of prompt and option in one batch of transformers,
    divided by that of one Choose by ``direct``; the median of alternating rounds, each with a new
    prompt. ``channel_vs_full_passes``: the same for ``channel``, which reads at most 160 tokens of
    a text."""
    figures = measure_choice_latency(name, device=device, dtype=dtype)
    exact = (
        figures
        if dtype == "float32"
        else measure_choice_latency(name, device=device, dtype="float32")
    )
    return {
        "prompt_tokens": PROMPT,
        "dtype": dtype,
        **figures,
        "max_abs_difference": exact["max_abs_difference"],
        "float32": exact,
    }


def measure_choice_latency(
    name: str, *, device: str, dtype: str, rounds: int = ROUNDS
) -> dict[str, Any]:
    """The figures in one dtype."""
    model = load_local(name, device=device, dtype=dtype)
    place = str(pick_device(device))
    kind = torch.float32 if dtype == "int8" else getattr(torch, dtype)
    plain = TransformersBaseline(baseline_source(name), kind, place, model.prompt_builder)
    decider = model.decider
    # Uncalibrated: calibration for a small model makes direct's probabilities nearly equal.
    uncalibrated = ScoringMethod({"direct": 1.0}, 1.0)
    methods = {
        kind: {**found, "direct": uncalibrated}
        for kind, found in decider.calibration.methods.items()
    }
    decider.calibration = replace(decider.calibration, methods=methods)
    seconds_by_method: dict[str, list[float]] = {"full": [], "direct": [], "channel": []}
    differences = []
    for number in range(rounds + 1):
        ask = choose_ask(model, number)
        decider.method = "direct"
        seconds, choice = timed_choice(model, ask)
        start = time.perf_counter()
        expected = full_pass_probabilities(plain.model, place, pairs_of(model, ask))
        full = time.perf_counter() - start
        decider.method = "channel"
        by_channel, _ = timed_choice(model, ask)
        differences.append(float(np.abs(expected - np.array(choice.probabilities)).max()))
        if number:  # the first warms up
            seconds_by_method["direct"].append(seconds)
            seconds_by_method["full"].append(full)
            seconds_by_method["channel"].append(by_channel)
    medians = {key: statistics.median(found) for key, found in seconds_by_method.items()}
    return {
        "vs_full_passes": round(medians["full"] / medians["direct"], 2),
        "channel_vs_full_passes": round(medians["full"] / medians["channel"], 2),
        "max_abs_difference": max(differences),
        "seconds": {key: round(value, 4) for key, value in medians.items()},
    }


def choose_ask(model: LocalModel, number: int) -> Choose:
    """A Choose whose prompt has PROMPT tokens and is unique."""
    rng = Seed.of(1).child("choose 8", number).rng()
    prompter = model.prompt_builder
    frame = len(prompter.ids((Message.of("user", ""),)))
    text = text_of_tokens(prompter, PROMPT - frame, rng)
    names: set[str] = set()
    while len(names) < OPTIONS:
        names.add(text_of_tokens(prompter, OPTION, rng))
    return Choose(
        messages=(Message.of("user", text),),
        options=tuple(Option(one) for one in sorted(names)),
        about=text,
    )


def timed_choice(model: LocalModel, ask: Choose) -> tuple[float, Choice]:
    """Seconds from submission to the answer, and the answer."""
    start = time.perf_counter()
    (answer,) = answer_all(model.client(), [ask])
    return time.perf_counter() - start, require_choice(answer)


def require_choice(answer: Answer) -> Choice:
    """The answer to a Choose. Raises ModelError when the ask failed."""
    if not isinstance(answer, Choice):
        raise ModelError(f"a choice failed: {answer}")
    return answer


def pairs_of(model: LocalModel, ask: Choose) -> list[TokenPair]:
    """(prompt ids, option ids) for each option."""
    context = model.prompt_builder.ids(ask.messages)
    builder = model.prompt_builder
    return [TokenPair(context, builder.text_ids(option.name)) for option in ask.options]


@torch.inference_mode()
def full_pass_probabilities(
    model: Any, device: str, pairs: Sequence[TokenPair]
) -> NDArray[np.float64]:
    """softmax over the mean log-probability of each option's tokens, shape (pairs,), computed by a
    transformers model with all rows in one batch."""
    ids, mask = left_padded([pair.context + pair.target for pair in pairs])
    keep = max(len(pair.target) for pair in pairs)
    out = model(
        input_ids=ids.to(device),
        attention_mask=mask.to(device),
        logits_to_keep=keep + 1,
        use_cache=False,
    )
    logs = out.logits.float().log_softmax(dim=-1).cpu()
    means = np.zeros(len(pairs))
    for place, (_, target, *_) in enumerate(pairs):
        figures = logs[place, -len(target) - 1 : -1]
        means[place] = float(figures.gather(1, torch.tensor(target).unsqueeze(1)).mean())
    raised = np.exp(means - means.max())
    return np.asarray(raised / raised.sum(), dtype=np.float64)
