"""A run's folder: begin, take up, read.

Every tool call of a run: what was asked for, what came of it, when and how long.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from ..core import (
    AgentId,
    AgentState,
    Approver,
    AskId,
    Call,
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
from .builder import allow_run_code, build_simulation, clock_of, stored_map, stored_scenario
from .failures import failure_stats
from .journal import AskTable, Journal
from .progress import to_terminal
from .row_codec import AskRow, decode_answer, decode_ask, decode_json
from .run_usage import StepUsage, usage_summary
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
    """Start a run in ``folder`` (made if absent). Raises RunExists when one is there
    already. ``keep_going``: see Simulation."""
    place = Path(folder)
    made = not place.exists()
    before = {file for file in database_files(place / RUN_FILE) if file.exists()}
    if (place / RUN_FILE).exists():
        with open_store(place) as found:
            _require_vacant(found, place)
    make_folder(place)
    store = Store(place / RUN_FILE)
    try:
        # Again under the lock: somebody else may have begun in the meantime.
        _require_vacant(store, place)
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
        _undo_start(place, before, made)
        raise


def _undo_start(place: Path, before: Container[Path], made: bool) -> None:
    """Remove what a failed start has made, and nothing else: other files in the folder, a
    backup of an earlier run above all, are somebody's own."""
    for file in database_files(place / RUN_FILE):
        if file not in before:
            file.unlink(missing_ok=True)
    if made:
        with suppress(OSError):  # somebody else has put a file there in the meantime
            place.rmdir()


def _require_vacant(store: Store, place: Path) -> None:
    """Let pass a file into which a start that was killed wrote nothing yet."""
    if store.get("start") is not None:
        raise RunExists(
            f"{place}: already holds a run; take it up with resume({str(place)!r}), or begin the "
            "new one in another folder"
        )


def make_folder(place: Path) -> None:
    """Make a folder where there is none. Raises RunError."""
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(
            f"{place}: cannot be made a folder ({error.strerror}); give another one"
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
    """Take up the run in ``folder`` after its last committed step, with another cap on a
    day's tokens where one is given (0: none). ``keep_going``: see Simulation. A world, planner
    or tool of one's own is loaded with ``allow_code`` only, since a run may come from anybody;
    raises CodeNotAllowed without."""
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
    """The store of a run's folder (or of a ``run.db`` given itself). Raises RunError."""
    path = Path(folder)
    file = path / RUN_FILE if path.is_dir() else path
    if not file.is_file():
        raise RunError(f"{folder}: holds no run ({RUN_FILE} is missing); check the path")
    return Store(file, write=write, create=False)


class Run:
    """A finished or paused run, read only; also one that another process is writing.

    ``with Run("runs/town") as run: print(run.steps, run.hash_after, list(run.people))``. Raises
    RunError when there is none, RunCorrupt when its file is damaged.
    """

    @check_arguments
    def __init__(self, folder: Path | str) -> None:
        self.store = open_store(folder)
        try:
            start = self.store.get("start")
            if not start:
                raise RunError(f"{folder}: the run was never begun; delete the folder and run anew")
            self.journal = Journal(self.store)
            self.start: Json = start
            self.people: dict[AgentId, Persona] = decode_json(
                self.store, "its people", _personas, canonical(start.get("people"))
            )
        except BaseException:
            self.store.close()
            raise

    def __enter__(self) -> Run:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file."""
        self.store.close()

    @property
    def scenario(self) -> Scenario:
        """The scenario the run was started with."""
        return stored_scenario(self.store)

    @property
    def steps(self) -> int:
        """How many steps are committed."""
        return self.journal.steps

    @property
    def hash(self) -> str:
        """The hash chain's head."""
        return self.journal.hash_after()

    def time(self, step: int) -> Time:
        """The simulated time at which a step began."""
        return clock_of(self.scenario).at(step)

    @property
    def town(self) -> TownMap | None:
        """The map, where the world is a town."""
        return stored_map(self.store)

    def entries(self, first: int = 0, last: int | None = None) -> Iterator[Json]:
        """The journal's entries: step, at, actions, whys, events, bodies (changes only:
        [x, y, place, doing, emoji, target]), states, records, asks, inputs."""
        return self.journal.entries(first, last)

    def asks(self, *, agent: AgentId | None = None, step: int | None = None) -> Iterator[AskRow]:
        """Asks with their answers, of one agent or step where given."""
        return self.journal.asks(agent=agent, step=step)

    def states(self, agent: AgentId) -> Iterator[tuple[int, AgentState]]:
        """Every change of an agent's state: (step, state at its end)."""
        return self.journal.states(agent)

    def memory(self, agent: AgentId) -> Memory:
        """An agent's memory at the end of the run."""
        if agent not in self.people:
            raise RunError(f"no agent '{agent}' in this run; there are: {', '.join(self.people)}")
        return Memory(self.store, agent)

    def usage(self) -> Iterator[StepUsage]:
        """What was spent, by step, agent, kind and role: (step, Spent)."""
        return self.journal.usage.rows()

    def stats(self) -> dict[str, Json]:
        """Counts over the whole run; see ``figures``."""
        return run_stats(self.store)


def _personas(data: Json) -> dict[AgentId, Persona]:
    return {name: from_json(Persona, one) for name, one in data.items()}


@check_arguments
def run_stats(store: Store) -> dict[str, Json]:
    """Steps, hash, model calls by kind, tokens, agent steps a second, and the sums of the
    ledger (see ``usage_summary``) and the failures (see ``failure_stats``) of a run."""
    journal = Journal(store)
    kinds = dict(store.rows("SELECT kind, COUNT(*) FROM asks GROUP BY kind"))
    tokens = store.rows(
        "SELECT COALESCE(SUM(tokens_in), 0), COALESCE(SUM(tokens_out), 0) FROM asks"
    )
    model = sum(kinds.get(kind, 0) for kind in ("generate", "choose", "rate", "embed"))
    seconds = float(store.get("seconds", 0.0))
    agents = len(store.get("start", {}).get("people", ()))
    steps = journal.steps
    return {
        "steps": steps,
        "agents": agents,
        "hash": journal.hash_after(),
        "seconds": round(seconds, 3),
        "agent_steps_per_s": round(agents * steps / seconds, 2) if seconds else 0.0,
        "model_calls": model,
        "asks": kinds,
        "prompt_tokens": int(tokens[0][0]),
        "generated_tokens": int(tokens[0][1]),
        "ledger": usage_summary(journal.usage.rows()),
        "failures": failure_stats(store),
    }


@dataclass(frozen=True, slots=True)
class CallReceipt:
    """One call. ``result`` is None while it waits for a person, or where it began and its
    process ended; ``entry`` is what the book of calls knows of it beside the journal."""

    where: AskId
    at: Time
    call: Call
    result: ToolResult | None
    entry: ToolCallEntry | None = None

    @property
    def state(self) -> str:
        """``done``, ``refused`` (it never ran), ``waits``, ``began``, or ``allowed`` (and not
        yet run)."""
        if self.result is not None:
            return "done" if self.result.receipt else "refused"
        return (self.entry.state if self.entry else "") or "allowed"


def call_receipts(run: Run) -> Iterator[CallReceipt]:
    """The calls of a run by step, agent and path; those of the step under way too."""
    known = dict(ToolCallLog(run.store).entries())
    made: list[CallReceipt] = []
    tables: tuple[AskTable, ...] = ("asks", "pending")
    for table in tables:
        for row in run.journal.checked_rows(table, "WHERE kind = 'call'"):
            where = AskId(int(row[0]), row[1], row[2])
            call, result = decode_ask(run.store, row[6]), decode_answer(run.store, row[7])
            if isinstance(call, Call) and isinstance(result, ToolResult):
                entry = known.pop(where, None)
                made.append(CallReceipt(where, run.time(where.step), call, result, entry))
    for where, entry in known.items():
        if asked := entry.request:
            call = Call(
                tool=asked.tool, arguments=asked.arguments, why=asked.why, sources=asked.sources
            )
            made.append(CallReceipt(where, run.time(where.step), call, entry.result, entry))
    yield from sorted(made, key=lambda one: one.where)
