"""The asks of a recorded run, asked again: when they came and what waited for what is kept.

A step's asks of an agent come in rounds, each once the round before is answered; agents
run side by side; a step begins when everybody is done with the one before.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias, TypeVar, cast

from ...core import Ask, Call, Delta, Embed, Json, Model, ModelAsk, Recall, SettingError
from ...models import LocalModel
from ...simulation import Run

T = TypeVar("T")

Rounds: TypeAlias = list[list[ModelAsk]]
"""One agent's step: what it asked at once, and then at once again."""

SPARE_NAMES = tuple(
    """
    Abigail Chen, Adam Smith, Arthur Burton, Ayesha Khan, Carlos Gomez, Carmen Ortiz,
    Eddy Lin, Francisco Lopez, Giorgio Rossi, Hailey Johnson, Jane Moreno, Jennifer Moore,
    John Lin, Latoya Williams, Mei Lin, Rajiv Patel, Ryan Park, Sam Moore, Tamara Taylor,
    Tom Moreno, Wolfgang Schulz, Yuriko Yamamoto, Nadia Berg, Oskar Holm
    """.replace("\n", " ")
    .strip()
    .replace(",     ", ", ")
    .split(", ")
)


@dataclass(frozen=True, slots=True)
class AskTrace:
    """Steps in which somebody asked something, in order: agent to its rounds."""

    steps: tuple[Mapping[str, Rounds], ...]

    @property
    def asks(self) -> int:
        """How many asks."""
        return sum(len(one) for step in self.steps for rounds in step.values() for one in rounds)

    @property
    def decisions(self) -> int:
        """How many times an agent thought with the model in a step."""
        return sum(len(step) for step in self.steps)

    def tiled(self, agents: int) -> AskTrace:
        """The same lives led by ``agents`` people, under names of their own, so that their
        prompts differ from the name on."""
        people = sorted({who for step in self.steps for who in step})
        spare = [name for name in SPARE_NAMES if name not in people]
        casts: list[dict[str, str]] = [{who: who for who in people}]
        while sum(map(len, casts)) < agents and spare:
            cast = {}
            for who in people[: agents - sum(map(len, casts))]:
                cast[who] = spare.pop(0)
            casts.append(cast)
        return AskTrace(
            tuple(
                {
                    cast[who]: _renamed(rounds, cast)
                    for cast in casts
                    for who, rounds in step.items()
                    if who in cast
                }
                for step in self.steps
            )
        )


def read_trace(folder: Path) -> AskTrace:
    """The trace of a recorded run. What is recalled is embedded, as living minds do it."""
    steps: dict[int, dict[str, dict[int, list[ModelAsk]]]] = {}
    with Run(folder) as run:
        for row in run.asks():
            ask = _model_ask(row.ask)
            if ask is not None:
                turn = int(row.where.path.partition(".")[0])
                rounds = steps.setdefault(row.where.step, {}).setdefault(row.where.agent, {})
                rounds.setdefault(turn, []).append(ask)
    return AskTrace(
        tuple(
            {who: [rounds[turn] for turn in sorted(rounds)] for who, rounds in step.items()}
            for _, step in sorted(steps.items())
        )
    )


def replay_trace(model: Model, trace: AskTrace) -> float:
    """Seconds that a model takes for a trace."""
    began = time.perf_counter()
    client = model.client()
    for step in trace.steps:
        left = {who: list(rounds) for who, rounds in step.items()}
        open_asks: dict[int, str] = {}
        count = dict.fromkeys(left, 0)
        for who in left:
            _submit(client, who, left, open_asks, count)
        while open_asks:
            for event in client.wait():
                if isinstance(event, Delta):
                    continue
                who = open_asks.pop(event.ticket)
                count[who] -= 1
                if not count[who]:
                    _submit(client, who, left, open_asks, count)
    return time.perf_counter() - began


def replay_sequentially(model: Model, trace: AskTrace, share: int = 1) -> float:
    """Seconds when every ask waits for the one before, measured on each ``share``-th step."""
    some = trace.steps[::share]
    asks = [ask for step in some for rounds in step.values() for one in rounds for ask in one]
    began = time.perf_counter()
    client = model.client()
    for ask in asks:
        client.submit(ask)
        while not any(not isinstance(event, Delta) for event in client.wait()):
            pass
    return (time.perf_counter() - began) * trace.asks / max(1, len(asks))


def measure_trace(load: Callable[[], Model], folder: Path) -> dict[str, Json]:
    """How a model fares with the trace of a run, as it was and led by 25 people, each time
    freshly loaded, so that nothing is remembered; beside it one ask at a time."""
    trace = read_trace(folder)
    if not trace.asks:
        raise SettingError(f"{folder}: nobody asked a model in this run; give another")
    found = {"trace": _figures(load(), trace), "trace_25": _figures(load(), trace.tiled(25))}
    alone = replay_sequentially(load(), trace, 4)
    found["trace"]["vs_one_by_one"] = round(alone / float(found["trace"]["seconds"]), 2)
    return dict(found)


def _figures(model: Model, trace: AskTrace) -> dict[str, Any]:
    if not isinstance(model, LocalModel):
        raise SettingError("a trace measures the engine of this process; name a local model")
    spent = replay_trace(model, trace)
    counts, ledger = model.engine.stats, model.ledger.take()
    return {
        "agents": len({who for step in trace.steps for who in step}),
        "asks": trace.asks,
        "decisions": trace.decisions,
        "seconds": round(spent, 2),
        "decisions_per_s": round(trace.decisions / spent, 2),
        "mean_rows_a_pass": round(counts.sequences / max(1, counts.passes), 2),
        "tokens_in": sum(one.tokens_in for one in ledger),
        "tokens_reused": sum(one.tokens_reused for one in ledger),
        "tokens_out": sum(one.tokens_out for one in ledger),
    }


def _submit(
    client: Any, who: str, left: dict[str, Rounds], open_asks: dict[int, str], count: dict[str, int]
) -> None:
    if left[who]:
        asks: Sequence[ModelAsk] = left[who].pop(0)
        count[who] = len(asks)
        for ask in asks:
            open_asks[client.submit(ask, who)] = who


def _model_ask(ask: Ask) -> ModelAsk | None:
    if isinstance(ask, Recall):
        return Embed(texts=(ask.cue.text,))
    return None if isinstance(ask, Call) else ask


def _renamed(rounds: Rounds, cast: Mapping[str, str]) -> Rounds:
    words = dict(cast)
    words |= {who.split()[0]: other.split()[0] for who, other in cast.items()}
    return [[_rename_in(ask, words) for ask in one] for one in rounds]


def _rename_in(value: T, words: Mapping[str, str]) -> T:
    """The value with names replaced in every text of it."""
    found: Any = value  # whose type is that of the value throughout
    if isinstance(value, str):
        for old, new in words.items():
            found = found.replace(old, new)
    elif isinstance(value, tuple):
        found = tuple(_rename_in(one, words) for one in value)
    elif is_dataclass(value) and not isinstance(value, type):
        names = [field.name for field in fields(value) if field.name not in ("kind", "role")]
        found = replace(found, **{name: _rename_in(getattr(value, name), words) for name in names})
    return cast(T, found)
