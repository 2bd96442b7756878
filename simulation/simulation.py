"""The simulation: agents that step together through a world, one transaction for each step."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from ..agents import Agent, AskRouter, ToolExecutor
from ..core import (
    PERSON_INPUT_KINDS,
    Action,
    AgentId,
    Approval,
    ApprovalRequest,
    ApprovalRequired,
    Approver,
    AsksFailed,
    BudgetExceeded,
    Clock,
    Input,
    Json,
    RunCorrupt,
    RunError,
    Seed,
    SettingError,
    Step,
    StepResult,
    Time,
    World,
    check_arguments,
    drive,
    same_name,
    to_json,
    validate_person_name,
)
from ..memory import ToolCallLog, document_input, memories_input
from ..store import Store
from ..tools import ProgressListener
from .progress import ProgressMeter, ProgressReporter, to_stderr, to_terminal
from .record import SNAPSHOT_EVERY, FailureMonitor, Journal, Recorder, TokenBudget, UsageCollector
from .run_header import is_started, record_models, start_of_run
from .tick import Tick
from .walk_ins import PersonIntent
from .world_session import WorldSession, action_to_json

_INPUTS_FOR_AGENT = ("whisper", "line", "document", "memories")
Observer = Callable[[Tick], None]


class Simulation:
    """A world and its agents, stepped and recorded.

    All agents must keep their memories in ``store`` (None: the first agent's). A store that
    already holds steps is resumed after the last of them. ``starts`` gives the tiles on which
    bodies enter; ``about`` is kept in the run's header. ``max_tokens_per_day`` (0: none) caps
    what a simulated day may cost. ``approver`` answers tool calls that need approval; without it
    the run waits for ``allow``. ``listener`` receives the progress of tools. With ``keep_going``
    a run does not end when most asks of a role fail (``FailureMonitor``).
    """

    @check_arguments
    def __init__(
        self,
        world: World,
        agents: Sequence[Agent],
        *,
        seed: Seed | int,
        clock: Clock,
        store: Store | None = None,
        observers: Sequence[Observer] = (),
        starts: Mapping[AgentId, tuple[int, int]] | None = None,
        about: Json = None,
        max_tokens_per_day: int = 0,
        approver: Approver | None = None,
        listener: ProgressListener | None = None,
        keep_going: bool = False,
    ) -> None:
        self.store = _store_of(agents, store)
        self.agents = {agent.id: agent for agent in agents}
        self.world = world
        self.seed = seed if isinstance(seed, Seed) else Seed.of(seed)
        self.clock = clock
        self.observers = list(observers)
        self.stopping = False
        self.halted: BudgetExceeded | ApprovalRequired | AsksFailed | None = None
        """Why ``run`` ended early: the day's cap, tool calls that wait for approval, or asks most
        of which failed."""
        self.until: Time | None = None
        """The end of the scenario: where ``run`` ends when it is given neither time nor steps."""
        self.seconds = 0.0
        self.keep_going = keep_going
        self.approver = approver
        self.listener = listener
        self.journal = Journal(self.store)
        self.failures = FailureMonitor(self.journal)
        self.calls = ToolCallLog(self.store)
        self.budget = TokenBudget(self.journal.usage, clock, max_tokens_per_day)
        self.step = self.journal.steps
        self._earlier_seconds = float(self.store.get("seconds", 0.0))
        self._replayed: Journal | None = None
        self._recorder: Recorder | None = None
        self._broken = False
        self._session = WorldSession(world, clock, self.seed)
        for agent in agents:
            agent.step_seconds = clock.step_seconds
            self._session.enter(agent.persona, (starts or {}).get(agent.id))
        self._initial_state = self._session.save() if self.step == 0 else None
        self._open(start_of_run(self.seed, clock, self.agents, about))

    def _open(self, start: Json) -> None:
        if not is_started(self.store, start, self.step):
            with self.store.transaction():
                self.store.put("start", start)
                record_models(self.store, self.agents)
                self.store.put("steps", 0)
                self.store.put("seconds", 0.0)
                self.journal.snapshot(-1, self._initial_state)
                for given in _initial_inputs(self.agents.values()):
                    self.journal.add_input(0, given, planned=True)
            return
        self.journal.check_ticks()
        if self.step > 0:
            self._restore()
            self.failures.load()

    def _restore(self) -> None:
        """Rebuild world and agent states as of the last committed step."""
        snapshot = self.journal.last_snapshot(self.step - 1)
        if snapshot is None:
            raise RunCorrupt(f"{self.store.name}: has no snapshot of its world; use a backup")
        at, saved = snapshot
        self._session.load(saved)
        for entry in self.journal.entries(at + 1, self.step - 1):
            self._session.redo(entry, self.journal.inputs(entry["step"]))
        for name, agent in self.agents.items():
            state = self.journal.state(name, self.step - 1)
            if state is not None:
                agent.state = state

    def _save_snapshots(self, step: int) -> dict[str, str]:
        """Write the snapshots that are due after a step; returns their digests by step."""
        digests = {}
        if step == 0:
            digests["-1"] = self.journal.snapshot(-1, self._initial_state)
        if (step + 1) % SNAPSHOT_EVERY == 0:
            digests[str(step)] = self.journal.snapshot(step, self._session.save())
        return digests

    def replay_from(self, record: Journal) -> None:
        """From now on take all answers and inputs from the journal ``record``."""
        self._replayed = record
        self.journal.copy_inputs(record)

    @property
    def now(self) -> Time:
        """The simulated time of the next step."""
        return self.clock.at(self.step)

    @property
    def answers(self) -> int:
        """How many asks of the step under way were answered by models."""
        return self._recorder.new if self._recorder else 0

    @property
    def hash(self) -> str:
        """The run's hash after the last committed step."""
        return self.journal.hash_after(self.step)

    # -- inputs ----------------------------------------------------------------------------

    def add(self, given: Input) -> None:
        """Add an input to the next step: a whisper, an event, a person's line.

        It is durable when this returns. A step that has begun and waits for approval is not
        the next one. Raises SettingError for an input that cannot happen: an unknown agent or
        place."""
        self.plan(self.step + self._step_has_begun, given)

    def plan(self, step: int, given: Input, *, planned: bool = False) -> None:
        """Add an input to a later step. ``planned`` marks it as part of the scenario, which forks
        of earlier steps keep. Raises SettingError."""
        if step < self.step:
            raise SettingError(f"input: step {step} is over; the next one is {self.step}")
        if step == self.step and self._step_has_begun:
            raise SettingError(f"input: step {step} has begun; the next one is {step + 1}")
        given = self._checked_input(given)
        self._session.check_input(given, self._inputs_before(step, given))
        self.journal.add_input(step, given, planned=planned)

    def _inputs_before(self, step: int, given: Input) -> tuple[Input, ...]:
        """The inputs of people that come before ``given``: it may follow on "enter"."""
        if given.kind not in PERSON_INPUT_KINDS:
            return ()
        steps = range(max(self.step, self._session.applied_step + 1), step + 1)
        return tuple(
            earlier
            for later_step in steps
            for earlier in self.journal.inputs(later_step)
            if earlier.kind in PERSON_INPUT_KINDS
        )

    def _checked_input(self, given: Input) -> Input:
        """The input with its person's name normalized. Raises SettingError for wrong names."""
        if given.kind in _INPUTS_FOR_AGENT and given.to not in self.agents:
            raise SettingError(f"input: no agent '{given.to}'; there are: {', '.join(self.agents)}")
        if given.kind == "line" or given.kind in PERSON_INPUT_KINDS:
            # As in a chat, since audiences and trust are decided by this spelling.
            agent = given.to if given.to in self.agents else next(iter(self.agents))
            given = replace(given, who=validate_person_name(agent, given.who))
            if any(same_name(given.who, name) for name in self.agents):
                raise SettingError(f"input: '{given.who}' is an agent; name a person")
        elif given.kind in ("whisper", "event") and given.who:
            hearers = (given.to,) if given.to else tuple(self.agents)
            if agent := next((name for name in hearers if same_name(given.who, name)), ""):
                raise SettingError(
                    f"input: a {given.kind} from '{given.who}' would pass for words of {agent}'s "
                    "own; name who sends it, or leave 'who' out for the owner's"
                )
        return given

    @property
    def _step_has_begun(self) -> bool:
        """Whether answers of the next step may already rest on its inputs."""
        return self._session.applied_step >= self.step or self.journal.has_pending

    @property
    def people(self) -> Mapping[AgentId, PersonIntent]:
        """What each person who walked in wants to do next."""
        return self._session.visitors.walk_ins.intents

    @property
    def unsaid(self) -> Mapping[AgentId, Sequence[tuple[str, str]]]:
        """The lines, with the reason, that people can no longer say since the last step."""
        return self._session.visitors.walk_ins.unsaid

    # -- approvals -------------------------------------------------------------------------

    def requests(self) -> tuple[ApprovalRequest, ...]:
        """The tool calls that wait for approval."""
        return self.calls.pending_approvals()

    def allow(self, key: str, yes: bool = True, *, note: str = "", by: str = "") -> None:
        """Approve or deny a waiting tool call by the key of its request; durable when this returns.
        The ``note`` of a denial is given to the agent. Raises SettingError when no call waits under
        that key."""
        self.calls.record_approval(key, Approval(yes, note, by))

    # -- steps -----------------------------------------------------------------------------

    def end(self, *, until: Time | None = None, steps: int | None = None) -> int | None:
        """The step before which ``run`` ends with the same arguments; None if there is no end."""
        if until is None and steps is None:
            until = self.until
        ends = [] if until is None else [self.clock.steps_until(until)]
        if steps is not None:
            ends.append(self.step + steps)
        return min(ends, default=None)

    def run(
        self,
        *,
        until: Time | None = None,
        steps: int | None = None,
        progress: Callable[[str], None] | bool | None = None,
    ) -> Iterator[Tick]:
        """Step on, at most ``steps`` steps and not beyond ``until`` (default: the scenario's
        own end); yields each Tick.

        ``progress`` receives a line from time to time: a function, True for standard error,
        False for no output, None for standard error if it is a terminal.

        Raises AsksFailed after a step with which most asks of a role have failed, unless
        ``keep_going`` is set. Setting ``stopping`` ends the run after the step under way. The cap
        on a day's tokens and a tool call that waits for approval end it too; ``halted`` is then the
        reason. Once all such calls were answered with ``allow``, here or in the file, the run can
        go on."""
        end = self.end(until=until, steps=steps)
        if end is None:
            raise SettingError("run: give until or steps; the scenario has no 'until' of its own")
        self.halted = None
        print_line = _progress_output(progress)
        report = ProgressReporter(ProgressMeter(self, end), print_line) if print_line else None
        while self.step < end and not self.stopping:
            try:
                tick = self.tick()
            except (BudgetExceeded, ApprovalRequired) as reason:
                self.halted = reason
                return
            if report:
                report(tick)
            yield tick
            failed = None if self.keep_going else self.failures.stop_reason()
            if failed is not None:
                self.halted = failed
                raise failed

    def tick(self) -> Tick:
        """One step: agents observe and decide together, the world changes, all is committed.

        When it raises, only the answers that had arrived were written, and the run must be
        resumed from its store. Raises BudgetExceeded before or within the step, and
        ApprovalRequired, after which the step can be made again once the call is answered."""
        if self._broken:
            raise RunError(f"{self.store.name}: a step was broken off; resume the run")
        step, now = self.step, self.now
        if self._replayed is None:
            self.budget.check(step)
        self._broken = True
        began = time.perf_counter()
        inputs = self.journal.inputs(step)
        self._session.apply_inputs(step, inputs)
        recorder = self._recorder = self._new_recorder(step, now)
        thoughts = {
            name: agent.tick(
                self._session.observe(name),
                self.world.affordances(name),
                _inputs_of_agent(name, inputs),
                self.seed.child("live", step, name),
                now=now,
            )
            for name, agent in self.agents.items()
        }
        try:
            steps = drive(thoughts, recorder, step=step)
        except ApprovalRequired:
            # Nothing was changed but the pending answers.
            self._broken = False
            raise
        recorder.finish()
        actions = {name: done.action for name, done in steps.items()}
        actions.update(self._session.visitors.actions())
        result = self._session.step(step, actions)
        tick = self._commit(now, steps, actions, result, recorder, began)
        self._recorder = None
        self.seconds += time.perf_counter() - began
        self._broken = False
        for observer in self.observers:
            observer(tick)
        return tick

    def _new_recorder(self, step: int, now: Time) -> Recorder:
        """What answers a step's asks: the record, then models; in a replay the record alone."""
        is_replay, handler, models = self._replayed is not None, None, {}
        if not is_replay:
            models = {name: agent.model for name, agent in self.agents.items()}
            caller = ToolExecutor(self.agents, now, self.calls, self.approver, self.listener)
            handler = AskRouter(self.agents, at=now, executor=caller)
        return Recorder(
            handler,
            self.journal,
            (self._replayed or self.journal).answers(step, "asks" if is_replay else "pending"),
            step=step,
            usage=UsageCollector(models),
            budget=self.budget,
            failures=self.failures,
        )

    def _commit(
        self,
        now: Time,
        steps: Mapping[AgentId, Step],
        actions: Mapping[AgentId, Action],
        result: StepResult,
        recorder: Recorder,
        began: float,
    ) -> Tick:
        step = self.step
        if self._replayed is not None:
            self.journal.copy_asks(self._replayed, step)
        with self.store.transaction():
            states, records = self._write_agents(steps, now)
            entry = {
                "step": step,
                "at": now.isoformat(),
                "actions": {who: action_to_json(action) for who, action in actions.items()},
                "whys": {name: done.why for name, done in steps.items() if done.why},
                "events": [to_json(event) for event in result.events],
                "bodies": self._session.changed_bodies(
                    result, {name: agent.state for name, agent in self.agents.items()}
                ),
                "states": states,
                "records": records,
                "asks": self.journal.asks_digest(step),
                "inputs": [to_json(given) for given in self.journal.inputs(step)],
            }
            if snapshots := self._save_snapshots(step):
                entry["snapshots"] = snapshots
            head = self.journal.commit(step, now.isoformat(), entry)
            self.calls.flush()
            usage = recorder.settle()
            seconds = self._earlier_seconds + self.seconds + time.perf_counter() - began
            self.store.put("seconds", round(seconds, 3))
        self.step = step + 1
        failed = self.failures.record_step(recorder.answered, actions, result.events)
        outcome = (result.events, result.seen, head, recorder.new, usage, failed)
        return Tick(step, now, dict(actions), dict(steps), *outcome)

    def _write_agents(
        self, steps: Mapping[AgentId, Step], now: Time
    ) -> tuple[dict[AgentId, str], dict[AgentId, str]]:
        """Write states and memories that a step changed; returns both digests by agent."""
        states, records = {}, {}
        for name, done in steps.items():
            agent = self.agents[name]
            if done.state != agent.state or self.step == 0:
                states[name] = self.journal.save_state(self.step, name, done.state)
            agent.write_step(done, number=self.step, at=now)
            if done.records or done.used:
                records[name] = agent.memory.digest
        return states, records


def _inputs_of_agent(name: AgentId, inputs: Sequence[Input]) -> tuple[Input, ...]:
    """The inputs that an agent's thought is given; what people do it perceives in the world."""
    return tuple(
        given for given in inputs if given.to == name and given.kind not in PERSON_INPUT_KINDS
    )


def _store_of(agents: Sequence[Agent], store: Store | None) -> Store:
    if not agents:
        raise SettingError("a simulation needs at least one agent; give it some")
    if len({agent.id for agent in agents}) != len(agents):
        raise SettingError("two agents have the same name; rename one of them")
    store = store or agents[0].memory.store
    for agent in agents:
        if agent.memory.store is not store:
            raise SettingError(
                f"{agent.id}: its memory is in another store than the run's; "
                "build it with Memory(store, name) on the store given to Simulation"
            )
    return store


def _initial_inputs(agents: Iterable[Agent]) -> Iterator[Input]:
    """What agents are given before the first step: memories, facts, documents."""
    for agent in agents:
        if agent.memories:
            yield memories_input(agent.memories, agent.id)
        for fact in agent.persona.facts:
            yield Input(kind="whisper", to=agent.id, text=fact)
        for path in agent.documents:
            yield document_input(path, agent.id)


def _progress_output(progress: Callable[[str], None] | bool | None) -> Callable[[str], None] | None:
    if progress is None:
        return to_terminal()
    if isinstance(progress, bool):
        return to_stderr if progress else None
    return progress
