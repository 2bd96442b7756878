"""Choosing among a thousand tools, synthetic and from BFCL: accuracy and latency."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from ...core import Choose, Json, Option, Seed, tool_option
from ...models import LocalModel
from ..bfcl import bfcl_files, load_bfcl
from ..data_files import packaged_data
from ..models import choices

FEW, MANY = 10, 1000
TIMED = 24  # requests whose choice is timed among few and among many
SYNTHETIC_REQUESTS = 200  # of the generated requests


def synthetic_tools() -> list[tuple[Option, str]]:
    """1,000 tools, each with a request that paraphrases its action."""
    data = packaged_data("synthetic_tools")
    tools = []
    for business, things in data["things"].items():
        for thing in things:
            for action, description, request in data["actions"]:
                name = f"{business}.{action}_{thing.replace(' ', '_').replace(chr(39), '')}"
                tools.append((tool_option(name, description.format(thing)), request.format(thing)))
    return tools


def measure_search(
    model: LocalModel, data: Path, *, quick: bool, progress: Callable[[str], None]
) -> dict[str, Json]:
    """Accuracy (first, and among the best eight) on the synthetic tools and on all functions of
    BFCL; the time of a choice among 1,000 tools divided by that among 10."""
    tools = synthetic_tools()
    # Sampled at random, because every fifth tool has the same action.
    sample = Seed.of(1).child("asked").rng().sample(tools, 20 if quick else SYNTHETIC_REQUESTS)
    progress(f"search: {len(sample)} requests among {len(tools)} synthetic tools")
    figures: dict[str, Json] = {
        "made": search_accuracy(
            model,
            [option for option, _ in tools],
            [(request, option.name) for option, request in sample],
        )
    }
    if any(bfcl_files(data, part) for part in POOLED):
        pool, requests = pooled_functions(data, 20 if quick else None)
        progress(f"search: {len(requests)} requests among {len(pool)} functions of BFCL")
        figures["bfcl"] = search_accuracy(model, pool, requests)
    progress("search: seconds among 10 and among 1,000")
    return figures | search_latency(model, tools)


POOLED = ("multiple", "live_multiple", "simple_python")


def pooled_functions(data: Path, limit: int | None) -> tuple[list[Option], list[tuple[str, str]]]:
    """All functions of BFCL by name, and the requests with their right function. Of functions that
    share a name only the first is kept, and requests for the others are left out."""
    known: dict[str, Option] = {}
    requests = []
    for part in (part for part in POOLED if bfcl_files(data, part)):
        items = load_bfcl(data, part)
        for item in items:
            for option in item.options():
                known.setdefault(option.name, option)
        requests += [
            (item.request, item.right)
            for item in items[:limit]
            if any(known[item.right] == option for option in item.options())
        ]
    return [*known.values()], requests


def search_accuracy(
    model: LocalModel, options: Sequence[Option], requests: Sequence[tuple[str, str]]
) -> dict[str, Json]:
    """How often the right tool is first, and among the eight likeliest."""
    asks = [_ask(options, request) for request, _ in requests]
    first, in_best_eight = [], []
    for choice, (_, right) in zip(choices(model, asks, "auto"), requests):
        ranked = np.argsort(-np.array(choice.probabilities), kind="stable")
        first.append(options[choice.index].name == right)
        in_best_eight.append(right in {options[index].name for index in ranked[:8]})
    return {
        "tools": len(options),
        "requests": len(requests),
        "top_1": float(np.mean(first)),
        "top_8": float(np.mean(in_best_eight)),
    }


def search_latency(model: LocalModel, tools: Sequence[tuple[Option, str]]) -> dict[str, Json]:
    """Median seconds of one choice among few and among all tools, in alternation, each with a new
    request; embeddings of tools are cached before."""
    options = [option for option, _ in tools]
    rng = Seed.of(1).child("search").rng()
    seconds: dict[int, list[float]] = {FEW: [], MANY: []}
    indexes = rng.sample(range(len(tools)), 2 * TIMED + 2)
    for number, index in enumerate(indexes):
        size = (FEW, MANY)[number % 2]
        others = rng.sample(options, FEW - 1)
        small_set = [options[index], *(one for one in others if one != options[index])]
        ask = _ask(small_set if size == FEW else options, tools[index][1] + " Thank you.")
        start = time.perf_counter()
        choices(model, [ask], "auto")
        if number > 1:  # the first of each warms up
            seconds[size].append(time.perf_counter() - start)
    few_s, many_s = (statistics.median(seconds[size]) for size in (FEW, MANY))
    return {
        "seconds": {"among_10": round(few_s, 4), "among_1000": round(many_s, 4)},
        "times_as_long": round(many_s / few_s, 2),
    }


def _ask(options: Sequence[Option], request: str) -> Choose:
    return Choose(messages=(), options=tuple(options), about=request, role="tool")
