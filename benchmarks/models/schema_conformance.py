"""``denizens bench schemas``: schema-constrained answers compared with free ones in one run."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from json import loads
from typing import Any

from ...core import Completion, Failed, Generate, Json, Message, Seed, answer_all, schema_validator
from ...models import LocalModel
from ..data_files import packaged_data
from ..workloads import without_stops

MAX_TOKENS = 256  # tokens of an answer
BATCH_SIZE = 50  # asks of each arm in turn, so that both meet the same disturbances


@dataclass(frozen=True, slots=True)
class SchemaCase:
    """A schema and a question that suits it. ``nested``: it has objects inside objects or lists."""

    name: str
    prompt: str
    schema: Json
    nested: bool

    def ask(self, seed: int) -> Generate:
        """The question, constrained to the schema."""
        return Generate(
            messages=(Message.of("user", f"{self.prompt} Answer in JSON."),),
            max_tokens=MAX_TOKENS,
            schema=self.schema,
            seed=seed,
        )


def schema_cases() -> list[SchemaCase]:
    """The fifty schemas of the benchmark."""
    return [SchemaCase(**case) for case in packaged_data("schemas")]


@dataclass(slots=True)
class SchemaResults:
    """Counts over the constrained answers."""

    answers: int = 0
    complete: int = 0
    invalid: int = 0
    tokens: int = 0
    longest: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    wrong: Counter[str] = field(default_factory=Counter)

    def add(self, case: SchemaCase, judge: Any, answer: object) -> None:
        """Count an answer."""
        self.answers += 1
        if not isinstance(answer, Completion):
            reason = answer.reason if isinstance(answer, Failed) else type(answer).__name__
            self.failed[f"{case.name}: {reason}"] += 1
            return
        self.complete += 1
        self.tokens += answer.tokens_out
        self.longest = max(self.longest, answer.tokens_out)
        if loads(answer.text) != answer.data or not judge.is_valid(answer.data):
            self.invalid += 1
            self.wrong[case.name] += 1


def measure_schemas(
    model: LocalModel,
    *,
    generations: int = 1000,
    seed: int = 1,
    progress: Callable[[str], None] = lambda line: None,
) -> dict[str, Json]:
    """Constrained and free answers to the same prompts with the same numbers of tokens, in
    alternation.

    ``cost_ratio``: seconds per token of the constrained answers over those of the free ones, which
    are sampled equally, from cached prompts, without repetition limits. ``forced_share``: the share
    of tokens that the grammar forced. ``closed_by_limit``: the share of answers that were completed
    early because of the token limit."""
    cases = schema_cases()
    validators = [schema_validator(case.schema, formats=True) for case in cases]
    rng = Seed.of(seed)
    seeds = [rng.child("schemas", n).number for n in range(generations)]
    asks = [(n % len(cases), cases[n % len(cases)].ask(own)) for n, own in enumerate(seeds)]
    config = model.engine.generation_config
    answer_all(model.client(), [replace(case.ask(0), max_tokens=1, schema=None) for case in cases])
    stats = config.grammars.stats
    before = stats.tokens, stats.forced, stats.steered
    results = SchemaResults()
    seconds = [0.0, 0.0]
    free_tokens = 0
    for start in range(0, len(asks), BATCH_SIZE):
        batch = asks[start : start + BATCH_SIZE]
        began = time.perf_counter()
        answers = answer_all(model.client(), [ask for _, ask in batch])
        seconds[0] += time.perf_counter() - began
        for (place, _), answer in zip(batch, answers):
            results.add(cases[place], validators[place], answer)
        free = _unconstrained([ask for _, ask in batch], answers)
        free_tokens += sum(ask.max_tokens for ask in free)
        without_stops(model)
        began = time.perf_counter()
        answer_all(model.client(), free)
        seconds[1] += time.perf_counter() - began
        model.engine.set_generation_config(config)
        progress(f"{start + len(batch)} of {len(asks)} answers, {results.invalid} invalid")
    tokens = stats.tokens - before[0]
    costs = [seconds[0] / max(1, results.tokens), seconds[1] / max(1, free_tokens)]
    return {
        "answers": results.answers,
        "schemas": len(cases),
        "nested": sum(case.nested for case in cases),
        "invalid": results.invalid,
        "complete": round(results.complete / max(1, results.answers), 4),
        "closed_by_limit": round((stats.steered - before[2]) / max(1, results.answers), 4),
        "cost_ratio": round(costs[0] / max(1e-12, costs[1]), 3),
        "forced_share": round((stats.forced - before[1]) / max(1, tokens), 3),
        "tokens": results.tokens,
        "longest": results.longest,
        "ms_per_token": round(costs[0] * 1000, 3),
        "free_ms_per_token": round(costs[1] * 1000, 3),
        "failed": dict(results.failed),
        "wrong": dict(results.wrong),
    }


def _unconstrained(asks: Sequence[Generate], answers: Sequence[object]) -> list[Generate]:
    """The same prompts without a schema, with as many tokens as the constrained answers took."""
    return [
        replace(ask, schema=None, max_tokens=answer.tokens_out)
        for ask, answer in zip(asks, answers)
        if isinstance(answer, Completion) and answer.tokens_out
    ]
