"""Replays the asks of a recorded run with their timing dependencies.

In a step the asks of an agent come in rounds, each after the answers of the round before; agents
run side by side; a step begins when all agents have finished the one before."""

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
"""The asks of one agent in one step: rounds of asks that are submitted together."""

_SPARE_TEXT = """
Abigail Chen, Adam Smith, Arthur Burton, Ayesha Khan, Carlos Gomez, Carmen Ortiz,
Eddy Lin, Francisco Lopez, Giorgio Rossi, Hailey Johnson, Jane Moreno, Jennifer Moore,
John Lin, Latoya Williams, Mei Lin, Rajiv Patel, Ryan Park, Sam Moore, Tamara Taylor,
Tom Moreno, Wolfgang Schulz, Yuriko Yamamoto, Nadia Berg, Oskar Holm
"""
SPARE_NAMES = tuple(name.strip() for name in _SPARE_TEXT.split(","))


@dataclass(frozen=True, slots=True)
class AskTrace:
    """The steps in which agents asked something, in order; each maps agents to their rounds."""

    steps: tuple[Mapping[str, Rounds], ...]

    @property
    def asks(self) -> int:
        """The number of asks."""
        return sum(len(one) for step in self.steps for rounds in step.values() for one in rounds)

    @property
    def decisions(self) -> int:
        """The number of (agent, step) pairs with asks."""
        return sum(len(step) for step in self.steps)

    def tiled(self, agents: int) -> AskTrace:
        """The same trace for ``agents`` agents: copies have other names, so that their prompts
        differ from the first name on."""
        people = sorted({who for step in self.steps for who in step})
        unused_names = [name for name in SPARE_NAMES if name not in people]
        name_maps: list[dict[str, str]] = [{who: who for who in people}]
        while sum(map(len, name_maps)) < agents and unused_names:
            cast = {}
            for who in people[: agents - sum(map(len, name_maps))]:
                cast[who] = unused_names.pop(0)
            name_maps.append(cast)
        return AskTrace(
            tuple(
                {
                    cast[who]: _renamed(rounds, cast)
                    for cast in name_maps
                    for who, rounds in step.items()
                    if who in cast
                }
                for step in self.steps
            )
        )


def read_trace(folder: Path) -> AskTrace:
    """The trace of a recorded run; recalls become the embedding of their query."""
    steps: dict[int, dict[str, dict[int, list[ModelAsk]]]] = {}
    with Run(folder) as run:
        for row in run.asks():
            ask = _model_ask(row.ask)
            if ask is not None:
                round_number = int(row.where.path.partition(".")[0])
                rounds = steps.setdefault(row.where.step, {}).setdefault(row.where.agent, {})
                rounds.setdefault(round_number, []).append(ask)
    return AskTrace(
        tuple(
            {
                who: [rounds[round_number] for round_number in sorted(rounds)]
                for who, rounds in step.items()
            }
            for _, step in sorted(steps.items())
        )
    )


def replay_trace(model: Model, trace: AskTrace) -> float:
    """Seconds that a model takes for a trace."""
    start = time.perf_counter()
    client = model.client()
    for step in trace.steps:
        remaining = {who: list(rounds) for who, rounds in step.items()}
        open_asks: dict[int, str] = {}
        count = dict.fromkeys(remaining, 0)
        for who in remaining:
            _submit(client, who, remaining, open_asks, count)
        while open_asks:
            for event in client.wait():
                if isinstance(event, Delta):
                    continue
                who = open_asks.pop(event.ticket)
                count[who] -= 1
                if not count[who]:
                    _submit(client, who, remaining, open_asks, count)
    return time.perf_counter() - start


def replay_sequentially(model: Model, trace: AskTrace, share: int = 1) -> float:
    """Seconds when each ask waits for the one before, extrapolated from each ``share``-th step."""
    steps_measured = trace.steps[::share]
    asks = [
        ask for step in steps_measured for rounds in step.values() for one in rounds for ask in one
    ]
    start = time.perf_counter()
    client = model.client()
    for ask in asks:
        client.submit(ask)
        while not any(not isinstance(event, Delta) for event in client.wait()):
            pass
    return (time.perf_counter() - start) * trace.asks / max(1, len(asks))


def measure_trace(
    load: Callable[[], Model], folder: Path, *, progress: Callable[[str], None] = lambda line: None
) -> dict[str, Json]:
    """The trace of a run as it was, then tiled to 25 agents, each time with a freshly loaded model
    and an empty cache; and the ratio to one ask at a time."""
    trace = read_trace(folder)
    if not trace.asks:
        raise SettingError(f"{folder}: nobody asked a model in this run; give another")
    progress(f"replaying the asks of {folder}")
    figures = {"trace": _figures(load(), trace)}
    progress("replaying them for 25 agents")
    figures["trace_25"] = _figures(load(), trace.tiled(25))
    progress("replaying a sample one by one")
    alone = replay_sequentially(load(), trace, 4)
    figures["trace"]["vs_one_by_one"] = round(alone / float(figures["trace"]["seconds"]), 2)
    return dict(figures)


def _figures(model: Model, trace: AskTrace) -> dict[str, Any]:
    if not isinstance(model, LocalModel):
        raise SettingError("a trace measures the engine of this process; name a local model")
    seconds = replay_trace(model, trace)
    counts, ledger = model.engine.stats, model.ledger.take()
    return {
        "agents": len({who for step in trace.steps for who in step}),
        "asks": trace.asks,
        "decisions": trace.decisions,
        "seconds": round(seconds, 2),
        "decisions_per_s": round(trace.decisions / seconds, 2),
        "mean_rows_a_pass": round(counts.sequences / max(1, counts.passes), 2),
        "tokens_in": sum(one.tokens_in for one in ledger),
        "tokens_reused": sum(one.tokens_reused for one in ledger),
        "tokens_out": sum(one.tokens_out for one in ledger),
    }


def _submit(
    client: Any,
    who: str,
    remaining: dict[str, Rounds],
    open_asks: dict[int, str],
    count: dict[str, int],
) -> None:
    if remaining[who]:
        asks: Sequence[ModelAsk] = remaining[who].pop(0)
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
    """A value with names replaced in all of its texts."""
    renamed: Any = value  # of the same type throughout
    if isinstance(value, str):
        for old, new in words.items():
            renamed = renamed.replace(old, new)
    elif isinstance(value, tuple):
        renamed = tuple(_rename_in(one, words) for one in value)
    elif is_dataclass(value) and not isinstance(value, type):
        names = [field.name for field in fields(value) if field.name not in ("kind", "role")]
        renamed = replace(
            renamed, **{name: _rename_in(getattr(value, name), words) for name in names}
        )
    return cast(T, renamed)
