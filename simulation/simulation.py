"""The simulation: agents stepping together through a world, one transaction a tick."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from ..agents import Agent, AskRouter, ToolExecutor
from ..core import (
    Action,
    AgentId,
    Approval,
    ApprovalRequest,
    ApprovalRequired,
    Approver,
    AsksFailed,
    Body,
    BudgetExceeded,
    Clock,
    Event,
    Input,
    Json,
    Model,
    Observation,
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
from ..models import Usage
from ..store import Store
from ..tools import ProgressListener
from .action_sources import ActionSources
from .failures import Failure, FailureMonitor
from .journal import SNAPSHOT_EVERY, Journal
from .progress import ProgressMeter, ProgressReporter, to_stderr, to_terminal
from .recorder import Recorder
from .run_usage import TokenBudget, UsageCollector
from .visitors import Visitors


@dataclass(frozen=True, slots=True)
class Tick:
    """What happened in one step. ``hash_after`` is the run's hash chain up to and with it;
    ``asks`` counts the asks that were not on record, ``spent`` is what they cost; ``failed``
    are the asks of the step that got no usable answer."""

    step: int
    at: Time
    actions: Mapping[AgentId, Action]
    steps: Mapping[AgentId, Step]
    events: tuple[Event, ...]
    seen: Mapping[AgentId, Observation]
    hash: str
    asks: int
    spent: tuple[Usage, ...] = ()
    failed: tuple[Failure, ...] = ()


_INPUTS_FOR_AGENT = ("whisper", "line", "document", "memories")
Observer = Callable[[Tick], None]


class Simulation:
    """A world and its agents, stepped and recorded.

    All agents must keep their memories in ``store`` (None: the first agent's). A store that
    already holds steps is taken up where it ended. ``starts`` gives the tiles on which
    bodies enter; ``about`` is kept in the run's header. ``max_tokens_per_day`` (0: none) caps
    what a simulated day may cost. ``approver`` answers calls for which a person must give
    leave; without it the run waits for ``allow``. ``listener`` hears tools while they work.
    With ``keep_going`` ``run`` does not end when most asks of a role fail (see ``FailureMonitor``).
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
        if not agents:
            raise SettingError("a simulation needs at least one agent; give it some")
        self.world = world
        self.agents = {agent.id: agent for agent in agents}
        if len(self.agents) != len(agents):
            raise SettingError("two agents have the same name; rename one of them")
        self.seed = seed if isinstance(seed, Seed) else Seed.of(seed)
        self.clock = clock
        self.store = store or agents[0].memory.store
        for agent in agents:
            if agent.memory.store is not self.store:
                raise SettingError(
                    f"{agent.id}: its memory is in another store than the run's; "
                    "build it with Memory(store, name) on the store given to Simulation"
                )
            agent.step_seconds = clock.step_seconds
        self.observers = list(observers)
        self.stopping = False
        self.halted: BudgetExceeded | ApprovalRequired | AsksFailed | None = None
        """Why ``run`` ended before its end: the day's cap, calls that wait for a person, or asks
        most of which failed."""
        self.until: Time | None = None
        """Where ``run`` ends when it is told neither a time nor steps: the scenario's own."""
        self.seconds = 0.0
        self._spent = float(self.store.get("seconds", 0.0))
        self._replayed: Journal | None = None
        self._broken = False
        self._observations: dict[AgentId, Observation] = {}
        self._recorded_bodies: dict[AgentId, Json] = {}
        self._visitors = Visitors(world)
        self._action_sources = ActionSources()
        self._inputs_applied_step = -1
        self._initial_state: Json = None
        self.keep_going = keep_going
        self.approver = approver
        self.listener = listener
        self.journal = Journal(self.store)
        self.failures = FailureMonitor(self.journal)
        self.calls = ToolCallLog(self.store)
        self.budget = TokenBudget(self.journal.usage, clock, max_tokens_per_day)
        self._open(starts or {}, about)

    def _open(self, starts: Mapping[AgentId, tuple[int, int]], about: Json) -> None:
        for agent in self.agents.values():
            self.world.enter(_body_of(agent, starts.get(agent.id)))
        self.step = self.journal.steps
        if self.step == 0:
            self._initial_state = self._snapshot_state()
        start = {
            "seed": self.seed.key,
            "start": self.clock.start.isoformat(),
            "step_seconds": self.clock.step_seconds,
            "people": {name: to_json(agent.persona) for name, agent in self.agents.items()},
            "about": about,
        }
        kept = self.store.get("start")
        if kept is None and self.step == 0:
            self._write_header(start)
            return
        if kept != start:
            differing = [key for key in start if (kept or {}).get(key) != start[key]]
            raise RunError(
                f"{self.store.name}: holds a run that was begun otherwise (its "
                f"{', '.join(differing)} differ); take it up as it was begun, or use a new folder"
            )
        self.journal.check_ticks()
        if self.step > 0:
            self._restore()
            self.failures.load()

    def _write_header(self, start: Json) -> None:
        with self.store.transaction():
            self.store.put("start", start)
            self.record_models()
            self.store.put("steps", 0)
            self.store.put("seconds", 0.0)
            self.journal.snapshot(-1, self._initial_state)
            for name, agent in self.agents.items():
                if agent.memories:
                    self.journal.add_input(0, memories_input(agent.memories, name), planned=True)
                for fact in agent.persona.facts:
                    given = Input(kind="whisper", to=name, text=fact)
                    self.journal.add_input(0, given, planned=True)
                for path in agent.documents:
                    self.journal.add_input(0, document_input(path, name), planned=True)

    def record_models(self) -> None:
        """Write down what answers each agent; inside the caller's transaction."""
        models = {name: model.describe() for name, model in self._models().items()}
        self.store.put("models", models)

    def _restore(self) -> None:
        """Rebuild world and states as of the last committed step."""
        found = self.journal.last_snapshot(self.step - 1)
        if found is None:
            raise RunCorrupt(f"{self.store.name}: has no snapshot of its world; use a backup")
        at, saved = found
        self.world.load(saved["world"])
        self._visitors.load(saved["guests"])
        self._action_sources.load(saved.get("deeds", {}))
        self._recorded_bodies = saved["shown"]
        for entry in self.journal.entries(at + 1, self.step - 1):
            self._visitors.apply(self.journal.inputs(entry["step"]))
            self._visitors.actions()
            self._recorded_bodies.update(entry["bodies"])
            actions = {who: _action_from_json(parts) for who, parts in entry["actions"].items()}
            self._step_world(entry["step"], actions)
        for name, agent in self.agents.items():
            state = self.journal.state(name, self.step - 1)
            if state is not None:
                agent.state = state

    def _snapshot_state(self) -> Json:
        """Everything between the ticks that is not in an agent's state or memory."""
        shown = dict(self._recorded_bodies)
        return {
            "world": self.world.save(),
            "guests": self._visitors.save(),
            "deeds": self._action_sources.save(),
            "shown": shown,
        }

    def _save_snapshots(self, step: int) -> dict[str, str]:
        """Keep the world whole where that is due; the digests, which the tick's entry names."""
        kept = {}
        if step == 0:
            kept["-1"] = self.journal.snapshot(-1, self._initial_state)
        if (step + 1) % SNAPSHOT_EVERY == 0:
            kept[str(step)] = self.journal.snapshot(step, self._snapshot_state())
        return kept

    def replay_from(self, record: Journal) -> None:
        """From here on answer every ask from ``record`` and take its inputs (a replay)."""
        self._replayed = record
        self.journal.copy_inputs(record)

    @property
    def now(self) -> Time:
        """The world's time at the next step."""
        return self.clock.at(self.step)

    @property
    def hash(self) -> str:
        """The run's hash after the last committed step."""
        return self.journal.hash_after(self.step)

    def add(self, given: Input) -> None:
        """Give an input to the next step: a whisper, an event, a person's line.

        It is durable when this returns. A step that was begun, and waits for a person, is
        not the next one. Raises SettingError for what cannot happen: an agent that is not in
        the simulation, a place that is not in the world."""
        self.plan(self.step + self._step_has_begun, given)

    def plan(self, step: int, given: Input, *, planned: bool = False) -> None:
        """As ``add``, for a later step. ``planned``: it belongs to the scenario, so forks of
        earlier steps keep it. Raises SettingError."""
        if step < self.step:
            raise SettingError(f"input: step {step} is over; the next one is {self.step}")
        if step == self.step and self._step_has_begun:
            raise SettingError(f"input: step {step} has begun; the next one is {step + 1}")
        if given.kind in _INPUTS_FOR_AGENT and given.to not in self.agents:
            raise SettingError(f"input: no agent '{given.to}'; there are: {', '.join(self.agents)}")
        if given.kind == "line":
            # As in a chat: what is for a person, and whom one trusts, goes by this spelling.
            given = replace(given, who=validate_person_name(given.to, given.who))
            if any(same_name(given.who, name) for name in self.agents):
                raise SettingError(
                    f"input: '{given.who}' is an agent; a line needs a person's name"
                )
        elif given.kind in ("whisper", "event") and given.who:
            hears = (given.to,) if given.to else tuple(self.agents)
            if own := next((name for name in hears if same_name(given.who, name)), ""):
                raise SettingError(
                    f"input: a {given.kind} from '{given.who}' would pass for words of {own}'s "
                    "own; name who sends it, or leave 'who' out for the owner's"
                )
        self._visitors.check(given)
        self._observations.clear()
        self.journal.add_input(step, given, planned=planned)

    @property
    def _step_has_begun(self) -> bool:
        """Whether the step to be made was begun: what was answered in it rests on its inputs."""
        return self._inputs_applied_step >= self.step or self.journal.has_pending

    def end(self, *, until: Time | None = None, steps: int | None = None) -> int | None:
        """At how many steps ``run`` ends that is told the same; None where nothing says it."""
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
        """Step on, at most ``steps`` steps and not beyond ``until``; yields each tick. With
        neither it goes on until the scenario's own end.

        ``progress`` is told from time to time how far the run has come: a function, True for
        standard error, False for nobody; None: standard error if that is a terminal.

        Raises AsksFailed after a step with which most asks of a role have failed, unless the
        simulation keeps going. Setting ``stopping`` ends the run after the step under way. The
        cap on a day's tokens ends it too, and a call that waits for a person; ``halted`` then
        says so. Once all such calls were answered with ``allow``, here or in the file, the run
        goes on."""
        end = self.end(until=until, steps=steps)
        if end is None:
            raise SettingError(
                "run: say until when, or how many steps; the scenario has no 'until' of its own"
            )
        self.halted = None
        say = _progress_output(progress)
        report = ProgressReporter(ProgressMeter(self, end), say) if say else None
        while self.step < end and not self.stopping:
            try:
                tick = self.tick()
            except (BudgetExceeded, ApprovalRequired) as reached:
                self.halted = reached
                return
            if report:
                report(tick)
            yield tick
            failed = None if self.keep_going else self.failures.stop_reason()
            if failed is not None:
                self.halted = failed
                raise failed

    def tick(self) -> Tick:
        """One step: observe, think together, let the world answer, write all of it down.

        When it raises, nothing of the step was committed but the answers that had arrived,
        and the run must be taken up anew from its store. Raises BudgetExceeded, before the step
        or amidst it, and ApprovalRequired, after which the step can be made again once the call
        that
        waits is answered."""
        if self._broken:
            raise RunError(
                f"{self.store.name}: a step was broken off; take the run up anew (resume)"
            )
        step, now = self.step, self.now
        if self._replayed is None:
            self.budget.check(step)
        self._broken = True
        began = time.perf_counter()
        inputs = self.journal.inputs(step)
        # A step that waited for a person is made again; the world has noticed its inputs.
        if self._inputs_applied_step < step and self._visitors.apply(inputs):
            self._observations.clear()
        self._inputs_applied_step = step
        recorder = self._recorder(step, now)
        thoughts = {
            name: agent.tick(
                self._action_sources.add_sources(
                    self._observations.get(name) or self.world.observe(name)
                ),
                self.world.affordances(name),
                tuple(given for given in inputs if given.to == name),
                self.seed.child("live", step, name),
                now=now,
            )
            for name, agent in self.agents.items()
        }
        try:
            steps = drive(thoughts, recorder, step=step)
        except ApprovalRequired:
            # Nothing has happened but that answers were kept.
            self._broken = False
            raise
        recorder.finish()
        actions = {name: done.action for name, done in steps.items()}
        actions.update(self._visitors.actions())
        turn = self._step_world(step, actions)
        tick = self._commit(now, steps, actions, turn, recorder, began)
        self.seconds += time.perf_counter() - began
        self._broken = False
        for observer in self.observers:
            observer(tick)
        return tick

    def _recorder(self, step: int, now: Time) -> Recorder:
        """What answers the asks of a step: the record first, the models else (a replay has
        none)."""
        table = self._replayed or self.journal
        minds = self._ask_handler(now) if self._replayed is None else None
        return Recorder(
            minds,
            self.journal,
            table.answers(step, "asks" if self._replayed else "pending"),
            step=step,
            purse=UsageCollector(self._models() if minds else {}),
            budget=self.budget,
            failures=self.failures,
        )

    def _models(self) -> dict[AgentId, Model]:
        return {name: agent.model for name, agent in self.agents.items()}

    def _ask_handler(self, now: Time) -> AskRouter:
        caller = ToolExecutor(self.agents, now, self.calls, self.approver, self.listener)
        return AskRouter(self.agents, at=now, caller=caller)

    def requests(self) -> tuple[ApprovalRequest, ...]:
        """The calls that wait for a person."""
        return self.calls.pending_approvals()

    def allow(self, key: str, yes: bool = True, *, note: str = "", by: str = "") -> None:
        """Answer a call that waits, by its request's key; durable at once. The ``note`` is told
        to the agent when it is not allowed. Raises SettingError when none waits under it."""
        self.calls.record_approval(key, Approval(yes, note, by))

    def _step_world(self, step: int, actions: Mapping[AgentId, Action]) -> StepResult:
        order = sorted(actions)
        self.seed.child("order", step).rng().shuffle(order)
        turn = self.world.step(actions, self.clock.at(step), tuple(order))
        self._action_sources.record_step(actions, turn)
        self._observations = dict(turn.seen)
        return turn

    def _commit(
        self,
        now: Time,
        steps: Mapping[AgentId, Step],
        actions: Mapping[AgentId, Action],
        turn: StepResult,
        recorder: Recorder,
        began: float,
    ) -> Tick:
        step = self.step
        if self._replayed is not None:
            self.journal.copy_asks(self._replayed, step)
        with self.store.transaction():
            states, records = {}, {}
            for name, done in steps.items():
                agent = self.agents[name]
                if done.state != agent.state or step == 0:
                    states[name] = self.journal.save_state(step, name, done.state)
                agent.write_step(done, number=step, at=now)
                if done.records or done.used:
                    records[name] = agent.memory.digest
            entry = {
                "step": step,
                "at": now.isoformat(),
                "actions": {who: _action_to_json(one) for who, one in actions.items()},
                "whys": {name: done.why for name, done in steps.items() if done.why},
                "events": [to_json(event) for event in turn.events],
                "bodies": self._changed_bodies(turn),
                "states": states,
                "records": records,
                "asks": self.journal.asks_digest(step),
                "inputs": [to_json(given) for given in self.journal.inputs(step)],
            }
            if snapshots := self._save_snapshots(step):
                entry["snapshots"] = snapshots
            head = self.journal.commit(step, now.isoformat(), entry)
            self.calls.flush()
            costs = recorder.settle()
            spent = self._spent + self.seconds + time.perf_counter() - began
            self.store.put("seconds", round(spent, 3))
        self.step = step + 1
        failed = self.failures.record_step(recorder.answered, actions, turn.events)
        told = (turn.events, turn.seen, head, recorder.new, costs, failed)
        return Tick(step, now, dict(actions), dict(steps), *told)

    def _changed_bodies(self, turn: StepResult) -> dict[AgentId, Json]:
        """Where everybody is and what they do, where that changed: [x, y, place, doing,
        emoji, target]."""
        changed = {}
        for who, seen in turn.seen.items():
            x, y = seen.position or (None, None)
            agent = self.agents.get(who)
            slot = agent.state.doing if agent else None
            shown = [x, y, seen.place, seen.doing, slot.emoji if slot else "", seen.target]
            if self._recorded_bodies.get(who) != shown:
                changed[who] = self._recorded_bodies[who] = shown
        return changed


def _progress_output(progress: Callable[[str], None] | bool | None) -> Callable[[str], None] | None:
    if progress is None:
        return to_terminal()
    if isinstance(progress, bool):
        return to_stderr if progress else None
    return progress


def _body_of(agent: Agent, start: tuple[int, int] | None) -> Body:
    persona = agent.persona
    return Body(
        who=persona.name,
        home=persona.home,
        start=start,
        vision=persona.vision,
        attention=persona.attention,
        knows=persona.knows,
    )


def _action_to_json(action: Action) -> list[Json]:
    told: list[Json] = [action.verb, action.target, action.fields]
    if action.sources or action.audience:
        told += [list(action.sources), list(action.audience)]
    return told


def _action_from_json(parts: list[Json]) -> Action:
    verb, target, fields, *label = parts
    return Action(verb, target, fields, *map(tuple, label))
