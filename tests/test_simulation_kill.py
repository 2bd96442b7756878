"""A run killed at any moment loses no committed step and ends as if it had not been."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest
from denizens.core import Answer, Done, ModelAsk, RunError
from denizens.models import ImprovisedModel
from denizens.simulation import Run, begin, build_simulation, check_run, read_scenario, resume
from denizens.store import Store
from denizens.testing import ScriptedModel

STEPS = 100
KILLS = 30

# One warm process, of which each life is a fork. A life says when it is up, when it is
# about to wait for answers, and which step it has committed; the kill comes a random moment
# after a given number of such lines, so that a slow machine is hit at the same places.
LIVES = """
import os, signal, sys, time
from pathlib import Path
from denizens.core import RunError
from denizens.models import ImprovisedModel
from denizens.simulation import begin, read_scenario, resume

class Telling:
    def __init__(self, inner): self.inner = inner
    def submit(self, *given, **more): return self.inner.submit(*given, **more)
    def cancel(self, ticket): self.inner.cancel(ticket)
    def wait(self, timeout=None):
        print("wait", flush=True)
        return self.inner.wait(timeout)

class Model(ImprovisedModel):
    def client(self): return Telling(super().client())

def live(folder, steps):
    try:
        made = resume(folder, model=Model())
    except RunError:
        if (folder / "run.db").exists() and not (folder / "run.db").stat().st_size:
            (folder / "run.db").unlink()
        made = begin(scenario, folder, model=Model())
    print("up", flush=True)
    for tick in made.run(steps=steps - made.step):
        print(tick.step, tick.hash, flush=True)
    made.store.close()

scenario = read_scenario("larkspur-morning")
for line in sys.stdin:
    folder, steps, lines, delay = line.split()
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        os.dup2(writer, 1)
        live(Path(folder), int(steps))
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as said:
        heard = []
        if int(lines) >= 0:
            while len(heard) < int(lines) and (one := said.readline()):
                heard.append(one)
            time.sleep(float(delay))
            os.kill(child, signal.SIGKILL)
        heard.extend(said)
    os.waitpid(child, 0)
    print(sum(one.endswith("\\n") for one in heard))
    # The kill may have cut the last line off.
    print(*(one for one in heard if one.endswith("\\n")), sep="", end="", flush=True)
"""


class Lives:
    """Lets a run live for a while in a process of its own."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", LIVES], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def live(self, folder: Path, lines: int, delay: float) -> dict[int, str]:
        """The steps one life acknowledged, with their hashes. It is killed ``delay`` seconds
        after its ``lines``-th line; -1: it lives to the end."""
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(f"{folder} {STEPS} {lines} {delay}\n")
        self.process.stdin.flush()
        count = int(self.process.stdout.readline())
        said = [self.process.stdout.readline().split() for _ in range(count)]
        return {int(one[0]): one[1] for one in said if len(one) == 2}

    def close(self) -> None:
        """End the process."""
        assert self.process.stdin
        self.process.stdin.close()
        self.process.wait(timeout=20)


def test_kill_at_thirty_moments(tmp_path: Path) -> None:
    """After each of 30 kills every acknowledged step is there with its hash, the file
    passes its checks, and each run ends on the hash of the uninterrupted one. Some kills
    fall into a start, some between the answers of a step."""
    scenario = read_scenario("larkspur-morning")
    whole = build_simulation(scenario, store=Store(":memory:"), model=ImprovisedModel())
    hashes = [whole.hash, *(tick.hash for tick in whole.run(steps=STEPS))]
    chance = random.Random(7)
    lives = Lives()
    number = starting = inside = kills = 0
    places = set()
    try:
        # How often a kill falls between the answers of a step depends on how busy the machine
        # is; so more are tried until some have.
        while kills < KILLS or (inside < 5 and kills < 20 * KILLS):
            kills += 1
            folder = tmp_path / f"run{number}"
            lines = chance.choice([0, *([chance.randrange(1, 60)] * 5)])
            said = lives.live(folder, lines, chance.uniform(0, 0.004 if lines else 0.1))
            if not (folder / "run.db").exists() or _vacant(folder):
                assert not said
                starting += 1
                continue
            with Run(folder) as run:
                assert all(head == hashes[step + 1] for step, head in said.items())
                assert run.steps > max(said, default=-1)
                assert run.hash == hashes[run.steps]
                assert check_run(run.store) == ()
                inside += bool(run.store.rows("SELECT 1 FROM pending"))
                places.add(run.steps)
                number += run.steps == STEPS
        lives.live(tmp_path / f"run{number}", -1, 0)
    finally:
        lives.close()
    for done in sorted(tmp_path.iterdir()):
        with Run(done) as run:
            assert (run.steps, run.hash) == (STEPS, hashes[-1])
            assert check_run(run.store) == ()
    assert starting < kills / 3
    assert inside >= 5
    assert len(places) >= 10


def _vacant(folder: Path) -> bool:
    """Whether a start was killed before it wrote what is begun."""
    file = folder / "run.db"
    if not file.stat().st_size:
        return True
    with Store(file, write=False) as store:
        return store.get("start") is None


def test_answers_of_a_broken_step_are_not_asked_again(tmp_path: Path) -> None:
    """What a model had answered in a step that was broken off is used after the resume;
    the broken simulation itself does not go on."""

    class Stop(Exception):
        pass

    improvised = ImprovisedModel()
    asked: list[str] = []

    def answer(ask: ModelAsk) -> Answer:
        asked.append(repr(ask))
        if len(asked) == 12:
            raise Stop
        client = improvised.client()
        client.submit(ask)
        (done,) = (one for one in client.wait() if isinstance(one, Done))
        return done.answer

    scenario = read_scenario("crossroads")
    simulation = begin(scenario, tmp_path, model=ScriptedModel(answer))
    with pytest.raises(Stop):
        list(simulation.run(steps=50))
    with pytest.raises(RunError, match="broken off"):
        simulation.tick()
    step = simulation.step
    kept = int(simulation.store.rows("SELECT COUNT(*) FROM pending")[0][0])
    assert kept > 0
    simulation.store.close()
    simulation = resume(tmp_path, model=ScriptedModel(answer))
    with simulation.store:
        assert simulation.step == step
        tick = simulation.tick()
        assert tick.asks == sum(len(one.asks) for one in tick.steps.values()) - kept
