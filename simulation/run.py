"""A run's folder: begin, resume and read a run."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from ..core import (
    AgentId,
    AgentState,
    Approver,
    AskId,
    Call,
    Clock,
    Json,
    Model,
    Persona,
    RunError,
    RunExists,
    Time,
    ToolResult,
    canonical,
    check_arguments,
    from_json,
)
from ..memory import Memory, ToolCallEntry, ToolCallLog
from ..store import Store, database_files
from ..world import TownMap
from .builder import allow_run_code, build_simulation
from .progress import to_terminal
from .record import (
    AskRow,
    ConversationCollector,
    Journal,
    RecordedConversation,
    StepUsage,
    decode_json,
    failure_stats,
    usage_summary,
)
from .run_header import stored_map, stored_scenario
from .scenario import Scenario
from .simulation import Simulation

RUN_FILE = "run.db"


@check_arguments
def begin(
    scenario: Scenario,
    folder: Path | str,
    *,
    model: Model | None = None,
    progress: Callable[[str], None] | None = None,
    approver: Approver | None = None,
    keep_going: bool = False,
) -> Simulation:
    """Start a run in ``folder`` (created if absent), with the scenario's model or with ``model``.
    ``progress`` receives lines while the model loads. ``approver`` and ``keep_going`` are as in
    ``Simulation``. Raises RunExists when the folder holds a run."""
    path = Path(folder)
    is_new = not path.exists()
    files_before = {file for file in database_files(path / RUN_FILE) if file.exists()}
    if (path / RUN_FILE).exists():
        with open_store(path) as existing:
            _require_vacant(existing, path)
    make_folder(path)
    store = Store(path / RUN_FILE)
    try:
        # Again under the lock: another process may have started a run in the meantime.
        _require_vacant(store, path)
    except RunError:
        store.close()
        raise
    try:
        return build_simulation(
            scenario,
            store=store,
            model=model,
            progress=progress or to_terminal(),
            approver=approver,
            keep_going=keep_going,
        )
    except BaseException:
        store.close()
        _undo_start(path, files_before, is_new)
        raise


def _undo_start(path: Path, files_before: Container[Path], is_new: bool) -> None:
    """Remove the files that a failed start created, and the folder if it is new and empty."""
    for file in database_files(path / RUN_FILE):
        if file not in files_before:
            file.unlink(missing_ok=True)
    if is_new:
        with suppress(OSError):  # another process has put a file there in the meantime
            path.rmdir()


def _require_vacant(store: Store, path: Path) -> None:
    """Raises RunExists for a store with a run; a store that a killed start left empty is vacant."""
    if store.get("start") is not None:
        raise RunExists(
            f"{path}: already holds a run; resume it with resume({str(path)!r}), or begin the "
            "new one in another folder"
        )


def make_folder(path: Path) -> None:
    """Create a folder and its parents where they are missing. Raises RunError."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(
            f"{path}: cannot be made a folder ({error.strerror}); give another one"
        ) from error


@check_arguments
def resume(
    folder: Path | str,
    *,
    model: Model | None = None,
    max_tokens_per_day: int | None = None,
    approver: Approver | None = None,
    progress: Callable[[str], None] | None = None,
    keep_going: bool = False,
    allow_code: bool = False,
) -> Simulation:
    """Resume the run in ``folder`` after its last committed step. ``max_tokens_per_day`` replaces
    the cap on a day's tokens (0: none). A world, planner or tool that is not the package's own is
    loaded only with ``allow_code``, since the file names code to run and may come from anybody;
    raises CodeNotAllowed without it. The other arguments are as in ``begin``."""
    store = open_store(folder, write=True)
    try:
        scenario = stored_scenario(store).with_overrides(max_tokens_per_day=max_tokens_per_day)
        with allow_run_code(folder, allow_code):
            return build_simulation(
                scenario,
                store=store,
                model=model,
                progress=progress or to_terminal(),
                approver=approver,
                keep_going=keep_going,
            )
    except BaseException:
        store.close()
        raise


def open_store(folder: Path | str, *, write: bool = False) -> Store:
    """The store of a run, given its folder or its ``run.db``. Raises RunError."""
    path = Path(folder)
    file = path / RUN_FILE if path.is_dir() else path
    if not file.is_file():
        raise RunError(f"{folder}: holds no run ({RUN_FILE} is missing); check the path")
    return Store(file, write=write, create=False)


class Run:
    """A run opened for reading: finished, paused, or being written by another process.

    ``with Run("runs/town") as run: print(run.steps, run.hash, list(run.people))``. Raises
    RunError when there is none, RunCorrupt when its file is damaged.
    """

    @check_arguments
    def __init__(self, folder: Path | str | Store) -> None:
        """Open the run in ``folder``, or read the run in an open store."""
        self.store = folder if isinstance(folder, Store) else open_store(folder)
        self._owns_store = self.store is not folder
        try:
            start = self.store.get("start")
            if not start:
                name = self.store.name
                raise RunError(f"{name}: the run was never begun; delete the folder and run anew")
            self.journal = Journal(self.store)
            self.start: Json = start
            self.people: dict[AgentId, Persona] = decode_json(
                self.store, "its people", _personas, canonical(start.get("people"))
            )
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Run:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file, unless it was open before."""
        if self._owns_store:
            self.store.close()

    @property
    def scenario(self) -> Scenario:
        """The scenario that the run was started with."""
        return stored_scenario(self.store)

    @property
    def steps(self) -> int:
        """The number of committed steps."""
        return self.journal.steps

    @property
    def hash(self) -> str:
        """The head of the hash chain."""
        return self.journal.hash_after()

    @cached_property
    def clock(self) -> Clock:
        """The clock of the run's scenario."""
        return self.scenario.clock

    def time(self, step: int) -> Time:
        """The simulated time of a step."""
        return self.clock.at(step)

    @property
    def town(self) -> TownMap | None:
        """The map of a town; None in other worlds."""
        return stored_map(self.store)

    def entries(self, first: int = 0, last: int | None = None) -> Iterator[Json]:
        """The journal entries of steps ``first`` .. ``last``, with the keys step, at, actions,
        whys, events, bodies (changes only: [x, y, place, doing, emoji, target]), states, records,
        asks, inputs."""
        return self.journal.entries(first, last)

    def conversations(self) -> tuple[RecordedConversation, ...]:
        """The conversations in which somebody said something, in order of their start."""
        collector = ConversationCollector()
        for entry in self.entries():
            collector.add_events(entry["step"], entry["events"])
        return collector.all

    def asks(self, *, agent: AgentId | None = None, step: int | None = None) -> Iterator[AskRow]:
        """Asks with their answers; of one agent, of one step, or all."""
        return self.journal.asks(agent=agent, step=step)

    def states(self, agent: AgentId) -> Iterator[tuple[int, AgentState]]:
        """An agent's state after each step that changed it, as (step, state)."""
        return self.journal.states(agent)

    def memory(self, agent: AgentId) -> Memory:
        """An agent's memory after the last step. Raises RunError for an unknown agent."""
        if agent not in self.people:
            raise RunError(f"no agent '{agent}' in this run; there are: {', '.join(self.people)}")
        return Memory(self.store, agent)

    def usage(self) -> Iterator[StepUsage]:
        """What asks cost, by step, agent, kind and role, as (step, Usage)."""
        return self.journal.usage.rows()

    def stats(self) -> dict[str, Json]:
        """Counts over the whole run (``run_stats``)."""
        return run_stats(self.store)


def _personas(data: Json) -> dict[AgentId, Persona]:
    return {name: from_json(Persona, persona) for name, persona in data.items()}


@check_arguments
def run_stats(store: Store) -> dict[str, Json]:
    """Counts over a run: steps, agents, model calls by kind, tokens, agent steps a second, the
    sums of ``usage_summary`` and ``failure_stats``, and the head of the hash chain."""
    journal = Journal(store)
    kinds = dict(store.rows("SELECT kind, COUNT(*) FROM asks GROUP BY kind"))
    tokens = store.rows("SELECT IFNULL(SUM(tokens_in), 0), IFNULL(SUM(tokens_out), 0) FROM asks")
    model_calls = sum(kinds.get(kind, 0) for kind in ("generate", "choose", "rate", "embed"))
    seconds = float(store.get("seconds", 0.0))
    agents = len(store.get("start", {}).get("people", ()))
    steps = journal.steps
    return {
        "steps": steps,
        "agents": agents,
        "hash": journal.hash_after(),
        "seconds": round(seconds, 3),
        "agent_steps_per_s": round(agents * steps / seconds, 2) if seconds else 0.0,
        "model_calls": model_calls,
        "asks": kinds,
        "prompt_tokens": int(tokens[0][0]),
        "generated_tokens": int(tokens[0][1]),
        "ledger": usage_summary(journal.usage.rows()),
        "failures": failure_stats(store),
    }


@dataclass(frozen=True, slots=True)
class CallReceipt:
    """A tool call of a run. ``result`` is None while the call waits for approval, or when its
    process ended before the call; ``entry`` is its entry in the tool call log, if any."""

    where: AskId
    at: Time
    call: Call
    result: ToolResult | None
    entry: ToolCallEntry | None = None

    @property
    def state(self) -> str:
        """``done``, ``refused`` (not executed), ``waits``, ``began`` or ``allowed``."""
        if self.result is not None:
            return "done" if self.result.receipt else "refused"
        return (self.entry.state if self.entry else "") or "allowed"


def call_receipts(run: Run) -> Iterator[CallReceipt]:
    """The tool calls of a run by step, agent and path, those of the step under way included."""
    entries = dict(ToolCallLog(run.store).entries())
    receipts: list[CallReceipt] = []
    for row in run.journal.asks_of_tables(("asks", "pending"), "WHERE kind = 'call'"):
        call, result = row.ask, row.answer
        if isinstance(call, Call) and isinstance(result, ToolResult):
            entry = entries.pop(row.where, None)
            receipts.append(CallReceipt(row.where, run.time(row.where.step), call, result, entry))
    for where, entry in entries.items():
        if request := entry.request:
            names = ("tool", "arguments", "why", "sources")
            call = Call(**{name: getattr(request, name) for name in names})
            receipts.append(CallReceipt(where, run.time(where.step), call, entry.result, entry))
    yield from sorted(receipts, key=lambda receipt: receipt.where)
