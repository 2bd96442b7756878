"""A goal whose call waits for a person: the run is left, answered, and goes on as if never."""

from __future__ import annotations

from pathlib import Path

import pytest
from denizens.agents import Agent
from denizens.core import (
    Answer,
    Approval,
    ApprovalRequired,
    Approver,
    Choose,
    Clock,
    Generate,
    Input,
    ModelAsk,
    Persona,
    Planner,
)
from denizens.memory import Memory, ToolCallLog
from denizens.planners import PlanAndExecute, React, Reflexion, TreeOfThoughts, goals_of
from denizens.simulation import Simulation
from denizens.store import Store
from denizens.testing import ScriptedModel
from denizens.tests.support.letter_writers import MAP, START, postbox
from denizens.tools import Policy
from denizens.world import Town

STEPS = 4
REACT = React(way="whole", borne=0.0)
PLANNERS: dict[str, Planner] = {
    "react": REACT,
    "plan and execute": PlanAndExecute(worker=REACT, borne=0.0),
    "reflexion": Reflexion(worker=REACT),
    "deliberate": TreeOfThoughts(branch=1, depth=1, then=REACT),
}


def knows(ask: ModelAsk) -> Answer | str | float:
    """Posts the letter, and then says so."""
    said = "\n".join(message.text for message in ask.messages) if hasattr(ask, "messages") else ""
    if isinstance(ask, Choose):
        names = [option.name for option in ask.options]
        if "right" in names:
            return "right"
        return "answer" if "post (" in said else "post"
    if not isinstance(ask, Generate):
        return 3
    if ask.role == "plan":
        return '{"steps": [{"id": "a", "do": "Post it.", "after": []}]}'
    return '{"text": "supper at seven"}' if ask.schema else "It is posted."


def life(folder: Path, planner: Planner, approver: Approver | None) -> tuple[str, int]:
    """The hash of a run with one goal, left and taken up whenever it waits, and how often it
    waited. Without an approver a person answers in the run's file, while nobody runs it."""
    waits = 0
    while True:
        with Store(folder / "run.db") as store:
            ann = Agent(
                Persona(name="Ann", home="town:house:hall"),
                model=ScriptedModel(knows),
                memory=Memory(store, "Ann"),
                planner=planner,
                tools=[postbox(folder / "letters")],
                policy=Policy(ask=("post",)),
            )
            town = Town(MAP, start=START, step_seconds=60)
            run = Simulation(
                town, [ann], seed=3, clock=Clock(START), store=store, approver=approver
            )
            if run.step == 0 and not waits:
                run.add(
                    Input(kind="whisper", to="Ann", text="goal: Write that supper is at seven.")
                )
            list(run.run(steps=STEPS - run.step))
            if run.halted is None:
                assert goals_of(ann.state) == ()
                assert any("It is posted." in one.text for one in ann.memory.records())
                return run.hash, waits
            assert isinstance(run.halted, ApprovalRequired)
        waits += 1
        assert waits < 5
        with Store(folder / "run.db") as store:
            book = ToolCallLog(store)
            for request in book.pending_approvals():
                assert (request.tool, request.who) == ("post", "Ann")
                book.record_approval(request.key, Approval(yes=True))


@pytest.mark.parametrize("name", PLANNERS)
def test_a_goal_waits_for_leave(name: str, tmp_path: Path) -> None:
    """Whether a person answers at once or after the process ended: one letter, one hash."""
    hashes = {}
    for how, approver in (("at once", lambda request: True), ("later", None)):
        folder = tmp_path / how
        folder.mkdir()
        hashes[how], waits = life(folder, PLANNERS[name], approver)
        assert waits == (how == "later")
        assert len((folder / "letters").read_text().splitlines()) == 1
    assert hashes["at once"] == hashes["later"]
