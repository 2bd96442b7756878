"""A simulation of two agents who write letters, for tests of approvals, intents and receipts.

``python -m denizens.tests.support.letter_writers FOLDER STEPS SPOT ask|free`` runs it in a
process of its own, which kills itself at SPOT.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from denizens.agents import Agent
from denizens.core import (
    Action,
    Answer,
    Approver,
    AskId,
    Call,
    Clock,
    Decision,
    Generate,
    Persona,
    Seed,
    Situation,
    Thought,
    ToolResult,
    call,
    generate,
)
from denizens.memory import Memory, ToolCallLog
from denizens.models import ImprovisedModel
from denizens.planners import StepBuilder, render_prompt
from denizens.simulation import Simulation
from denizens.simulation.record import Recorder
from denizens.store import Store
from denizens.tools import AnyTool, Policy, ProgressListener, ToolContext, tool
from denizens.world import Town, ascii_map

START = datetime(2026, 5, 2, 8, 0)
MAP = ascii_map("######\n#aa..#\n######", {"a": "house:hall:bed"})
SPOTS = ("", "intent", "act", "acted", "receipt", "answer", "leave")
"""Where a process may end: before the intent, before the tool, after it, after the receipt,
after the answer is in the journal; or as soon as it waits."""


def die() -> None:
    """End this process like ``kill -9``."""
    os.kill(os.getpid(), signal.SIGKILL)


def postbox(letters: Path, spot: str = "") -> AnyTool:
    """A tool that acts: a letter is a line in the file, which nobody can take back."""

    @tool(effect="acts")
    def post(context: ToolContext, text: str) -> int:
        """Post a letter."""
        context.report_progress("walking to the post", 0.5)
        if spot == "act":
            die()
        with letters.open("a") as file:
            file.write(f"{context.key} {text}\n")
        if spot == "acted":
            die()
        return len(text)

    return post


@tool(effect="acts", name="post")
def fake_post(text: str) -> int:
    """A tool that only claims to post a letter."""
    return len(text)


@dataclass(frozen=True)
class LetterPlanner:
    """Generates a line each step, and posts a letter in every third one."""

    every: int = 3

    def decide(self, situation: Situation) -> Thought[Decision]:
        """Think a line, perhaps post it, remember what came of it."""
        draft = StepBuilder(situation)
        name = situation.persona.name
        ask = Generate(
            messages=render_prompt("importance", identity=name, memory=f"{situation.now}"),
            seed=Seed.of(3).child(name, situation.now.isoformat()).number,
        )
        line = yield from generate(ask)
        if situation.now.minute % self.every == self.every - 1:
            text = getattr(line, "text", "")
            result = yield from call(Call(tool="post", arguments={"text": text}, why="to write"))
            assert isinstance(result, ToolResult)
            outcome = f"sent {result.value} letters" if result.ok else result.error
            draft.add_record("thought", f"{name}: {outcome}", importance=2.0)
        yield from generate(ask)
        draft.finalize_without_asks()
        heard = len(situation.seen.notices)
        return draft.build(Action("wait"), f"{getattr(line, 'text', '')} {heard} heard.")


def make_run(
    store: Store,
    letters: Path,
    *,
    ask: bool = True,
    spot: str = "",
    approver: Approver | None = None,
    listener: ProgressListener | None = None,
) -> Simulation:
    """The simulation in ``store``; with ``ask`` each letter needs approval."""
    agents = [
        Agent(
            Persona(name=name, home="town:house:hall"),
            model=ImprovisedModel(),
            memory=Memory(store, name),
            planner=LetterPlanner(every),
            tools=[postbox(letters, spot)],
            policy=Policy(ask=("@acts",) if ask else (), trusted=("*",)),
        )
        for name, every in (("Ann", 3), ("Ben", 4))
    ]
    town = Town(MAP, start=START, step_seconds=60)
    return Simulation(
        town, agents, seed=3, clock=Clock(START), store=store, approver=approver, listener=listener
    )


def _dying(method: Callable[..., object], *, before: bool) -> Callable[..., object]:
    def wrapped(*given: object, **more: object) -> object:
        if before:
            die()
        done = method(*given, **more)
        die()
        return done

    return wrapped


def _arm(spot: str) -> None:
    """Have the process end at a spot that lies outside the tool."""
    if spot == "intent":
        ToolCallLog.record_start = _dying(ToolCallLog.record_start, before=True)  # type: ignore[method-assign,assignment]
    if spot == "receipt":
        ToolCallLog.record_result = _dying(ToolCallLog.record_result, before=False)  # type: ignore[method-assign,assignment]
    if spot == "leave":
        ToolCallLog.request_approval = _dying(ToolCallLog.request_approval, before=False)  # type: ignore[method-assign,assignment]
    if spot == "answer":
        wait = Recorder.wait

        def waited(recorder: Recorder) -> Sequence[tuple[AskId, Answer]]:
            """End once the answer of a call is in the journal."""
            answers = wait(recorder)
            if any(isinstance(answer, ToolResult) for _, answer in answers):
                die()
            return answers

        Recorder.wait = waited  # type: ignore[method-assign,assignment]


def main(folder: Path, steps: int, spot: str, ask: bool) -> None:
    """Run in a folder until step ``steps``, or as far as it goes."""
    _arm(spot)
    with Store(folder / "run.db") as store:
        made = make_run(store, folder / "letters", ask=ask, spot=spot)
        for _ in made.run(steps=steps - made.step):
            pass


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4] == "ask")
