"""How fast the parts are, as ratios to a plain reference on the same machine: `make bench`.

A ratio says more than seconds do on somebody else's machine. Each figure is the best of
several rounds; nothing here decides a test.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

import numpy as np
from denizens import Cue, Memory, Record, Seed, load_scenario
from denizens.simulation import begin
from denizens.testing import ScriptedModel

NOON = datetime(2026, 5, 2, 12)
COLUMNS = 384
ROUNDS = 5


def best(work: Callable[[], object], times: int) -> float:
    """Seconds of one call, in the fastest of ROUNDS rounds of ``times`` calls."""
    found = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        for _ in range(times):
            work()
        found.append((time.perf_counter() - start) / times)
    return min(found)


def recall(size: int) -> dict[str, float]:
    """Recall by the paper's rules among ``size`` records, against a bare numpy scan: one
    matrix product and a sort, without recency, importance or records."""
    rng = np.random.default_rng(Seed.of(1).child("bench", size).number)
    rows = rng.standard_normal((size, COLUMNS)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    with Memory(":memory:", "Bo") as memory:
        records = [
            Record(
                id=number,
                kind="observation",
                text=f"Bo saw thing {number}",
                created=NOON - timedelta(minutes=size - number),
                importance=float(rng.integers(1, 11)),
            )
            for number in range(1, size + 1)
        ]
        memory.add(records, dict(enumerate(rows, 1)))
        cue = Cue(text="a thing", at=NOON)
        ours = best(lambda: memory.recall(cue, rows[0]), 100)
    plain = best(lambda: np.argsort(rows @ rows[0])[::-1][:10], 100)
    return {
        "records": size,
        "recalls_per_s": round(1 / ours),
        "times_a_numpy_scan": round(ours / plain, 2),
    }


def routine(steps: int) -> dict[str, float]:
    """Larkspur's people following their routines, all written to the disk, against the same
    world given the same actions by itself: what minds, journal and disk add."""
    scenario = load_scenario("larkspur").with_overrides(planner="routine")
    model = ScriptedModel([])
    with tempfile.TemporaryDirectory() as first, tempfile.TemporaryDirectory() as second:
        simulation, other = (
            begin(scenario, first, model=model),
            begin(scenario, second, model=model),
        )
        start = time.perf_counter()
        ticks = list(simulation.run(steps=steps))
        whole = time.perf_counter() - start
        start = time.perf_counter()
        for tick in ticks:
            for who in tick.actions:
                other.world.observe(who)
                other.world.affordances(who)
            other.world.step(tick.actions, tick.at, tuple(tick.actions))
        bare = time.perf_counter() - start
        simulation.store.close()
        other.store.close()
    count = sum(len(tick.actions) for tick in ticks)
    return {
        "agent_steps": count,
        "agent_steps_per_s": round(count / whole),
        "times_the_bare_world": round(whole / bare, 2),
    }


def figures() -> Iterator[tuple[str, dict[str, float]]]:
    """Each part's name with its figures, as they are measured."""
    for size in (1_000, 10_000):
        yield f"memory, {size} records", recall(size)
    yield "routine in Larkspur", routine(600)


def main() -> None:
    """Print the figures, as one JSON object with --json."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    as_json = parser.parse_args().json
    found = {}
    for name, values in figures():
        found[name] = values
        if not as_json:
            print(f"{name}: " + ", ".join(f"{key} {value}" for key, value in values.items()))
    if as_json:
        print(json.dumps(found))


if __name__ == "__main__":
    main()
