"""Going back in a run: replay it without a model, fork it, interview its agents as of any step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

from ..agents import AskRouter
from ..core import (
    AgentId,
    Client,
    Json,
    Model,
    ReplayDiverged,
    Reply,
    RunError,
    RunExists,
    SettingError,
    Utterance,
    canonical,
    check_arguments,
    drive,
)
from ..memory import ToolCallLog, rewind_memories
from ..store import Store, database_files
from .agent_loader import agent_from_run, match_name
from .builder import allow_run_code, build_simulation
from .record import Journal, failure_stats, ledger_of
from .run import RUN_FILE, Run, make_folder, open_store
from .tick import Tick


@dataclass(frozen=True, slots=True)
class Replay:
    """The result of a replay: the number of steps, the final hash (equal to the run's), how many
    asks were answered from the record, and ``failures`` as in ``Run.stats``."""

    steps: int
    hash: str
    asks: int
    failures: dict[str, Json] = field(default_factory=dict)


@check_arguments
def replay(
    folder: Path | str, *, on_tick: Callable[[Tick], None] | None = None, allow_code: bool = False
) -> Replay:
    """Run the steps of a run again from its record: in memory, without a model. ``allow_code`` is
    as in ``resume``.

    Raises ReplayDiverged, which names the first ask or the first step that differs."""
    with Run(folder) as run:
        store = Store(":memory:")
        if run.store.get("map"):
            store.put("map", store.intern_text(run.store.interned_text(run.store.get("map"))))
        with allow_run_code(folder, allow_code):
            simulation = build_simulation(run.scenario, store=store, model=_NoModel(), read=False)
        simulation.replay_from(run.journal)
        for entry in run.entries():
            tick = simulation.tick()
            if tick.hash != run.journal.hash_after(tick.step + 1):
                replayed = next(iter(simulation.journal.entries(tick.step, tick.step)))
                keys = [key for key in entry if canonical(entry[key]) != canonical(replayed[key])]
                raise ReplayDiverged(
                    f"step {tick.step} ({entry['at']}) differs in {', '.join(keys) or 'its past'}"
                    "; the run was made by other code: use the version that made it"
                )
            if on_tick:
                on_tick(tick)
        asks = int(run.store.rows("SELECT COUNT(*) FROM asks")[0][0])
        return Replay(run.steps, simulation.hash, asks, failure_stats(run.store))


class _NoModel:
    """The model of a replay, which must not be asked."""

    def client(self) -> Client:
        self._refuse()

    def describe(self) -> dict[str, Json]:
        return {"name": "none: a replay"}

    def _refuse(self) -> NoReturn:
        raise ReplayDiverged("a replay asked a model; the run was made by other code")


@check_arguments
def fork(folder: Path | str, step: int, new: Path | str) -> Path:
    """Copy a run as it was after ``step`` steps into the folder ``new``; returns the copy's file.

    Later inputs are copied if they are part of the scenario, not if they were added to the run.
    The original is not changed. Raises RunError when ``new`` already holds a run, and
    SettingError when the run has fewer steps."""
    target = Path(new)
    if (target / RUN_FILE).exists():
        raise RunExists(f"{target}: already holds a run; give another folder")
    leftovers = [file for file in database_files(target / RUN_FILE)[1:-1] if file.exists()]
    if leftovers:
        raise RunError(
            f"{leftovers[0]}: is left of a run that lay here, and would be read as part of the "
            "copy; move it away, or give another folder"
        )
    partial = target / f"{RUN_FILE}.part"
    with open_store(folder) as store:
        steps = Journal(store).steps
        if not 0 <= step <= steps:
            raise SettingError(f"{folder}@{step}: the run has {steps} steps; choose one of them")
        make_folder(target)
        _remove_files(partial)
        store.copy_to(partial)
    try:
        with Store(partial) as copy, copy.transaction():
            Journal(copy).truncate(step)
            rewind_memories(copy, step - 1)
            ToolCallLog(copy).truncate(step)
            seconds = float(copy.get("seconds", 0.0))
            copy.put("seconds", round(seconds * step / max(steps, 1), 3))
            copy.put("forked", {"from": str(folder), "step": step})
        partial.rename(target / RUN_FILE)
    finally:
        _remove_files(partial)
    return target / RUN_FILE


def _remove_files(database: Path) -> None:
    """Remove a database with SQLite's side files, which would be read as part of a new one."""
    for file in database_files(database):
        file.unlink(missing_ok=True)


@check_arguments
def interview(
    folder: Path | str,
    agent: AgentId,
    question: str,
    *,
    at: int | None = None,
    model: Model | str | None = None,
    voice: str | None = None,
    person: str = "an interviewer",
    session: Sequence[Utterance] = (),
    allow_code: bool = False,
) -> Reply:
    """Ask an agent of a run (full or first name) a question, as it was after ``at`` steps
    (default: all).

    ``model``, loaded or a name, replaces the run's model; ``voice`` the one that it is loaded
    with; ``session`` is what was said in the interview before. The run is opened for reading and
    not changed, also while it goes on with the same model. ``allow_code`` is as in ``resume``.
    Raises SettingError for an unknown agent or step."""
    with Run(folder) as run:
        agent = match_name(agent, list(run.people))
        step = run.steps - 1 if at is None else at - 1
        if not -1 <= step < run.steps:
            raise SettingError(f"interview: the run has {run.steps} steps, not {at}")
        scenario = run.scenario.with_overrides(voice=voice)
        if isinstance(model, str):
            scenario = scenario.with_overrides(model=model)
            model = None
        interviewee = agent_from_run(
            run, folder, agent, step, scenario=scenario, model=model, allow_code=allow_code
        )
        now = run.time(max(step, 0))
        # Under another name, so that a run with the same model is not charged for the answers.
        asked = f"{agent} (interview)"
        thought = interviewee.reply(Utterance(person, question, now), session)
        try:
            return drive({asked: thought}, AskRouter({asked: interviewee}, at=now))[asked]
        finally:
            if ledger := ledger_of(interviewee.model):
                ledger.take((asked,))
