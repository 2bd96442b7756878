"""Runs a script: what was disclosed to whom, what was done, and on whose words."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from denizens.agents import (
    Agent,
    AskRouter,
    Maintenance,
    ThoughtGuard,
    ToolExecutor,
    fact_search_tool,
    run_tool,
)
from denizens.core import (
    EVERYBODY,
    Affordance,
    AnsweredAsk,
    Call,
    Clock,
    ConversationView,
    Cue,
    Embed,
    Event,
    Input,
    Observation,
    Persona,
    Recalled,
    Record,
    Reply,
    ToolResult,
    Utterance,
    VisibleAgent,
    drive,
    to_json,
)
from denizens.memory import (
    Compaction,
    CompactionBudget,
    Documents,
    Facts,
    Memory,
    Notes,
    ToolCallLog,
    export_lines,
    import_lines,
    memories_input,
)
from denizens.memory.erasure import erase_person
from denizens.models import hashed_vectors
from denizens.planners import Daily, Dialogue, GoalsInRoutine, Intent, React
from denizens.server import AgentService, HostedAgent
from denizens.simulation import RUN_FILE, Simulation, fork
from denizens.store import Store
from denizens.tests.support.leaking_agents import MARK, LeakingModel, LeakingPlanner
from denizens.tests.support.random_scripts import CONFIDENT, STRANGER, Script, ScriptEvent
from denizens.tools import Policy, Toolbox, knowledge_search, memory_search, note_tools, tool
from denizens.world import Places, load_places
from denizens.world.conversations import heard_by

START = datetime(2026, 5, 2, 9)
RULES = ("paper", "reverie", "recent", "hybrid", "paper-approx")
QUESTIONS = ("Where is the ring, and who lives in Leeds?", "What did Ada say?")
HOUSE = {
    "name": "house",
    "places": [
        {"name": "hall", "objects": ["stove", "board"], "ways": ["yard"]},
        {"name": "yard", "objects": ["well"]},
    ],
}
_DOING = {
    "type": "object",
    "properties": {"doing": {"type": "string"}, "emoji": {"type": "string"}},
    "required": ["doing"],
}
_TEXT = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}
ACTS = (
    Affordance("wait"),
    Affordance("act", "house:hall:stove", _DOING),
    Affordance("act", "house:yard", _DOING),
)
SPEAKS = (Affordance("say", "", _TEXT), Affordance("wait"))
WAITS = (Affordance("wait"), Affordance("continue"))


_PAPER: list[str] = ["The weather is fine."]
"""What stands in the town's paper, in the life under way at last."""


@tool(effect="acts")
def pay(to: str, amount: int = 10) -> str:
    """Pay somebody the rent, or whatever they are owed."""
    return f"{to} was paid {amount}"


@tool(effect="reads", outside=True)
def page(about: str) -> str:
    """Read a page of the town's paper."""
    return f"{about[:40]}: {_PAPER[-1]}"


@tool(effect="reads")
def purse() -> str:
    """Look how much money there is."""
    return "There are 300 coins."


@dataclass(frozen=True, slots=True)
class Disclosure:
    """What somebody was given: at which happening, by which way, and what."""

    place: int
    person: str
    way: str
    value: str


@dataclass(frozen=True, slots=True)
class ActingCall:
    """An acting call that ran in a thought: what, and with which arguments."""

    tool: str
    arguments: str


@dataclass
class ThoughtRecord:
    """What is known of a thought: the acting calls that ran, whose words it read that nobody
    vouches for, what was ``laundered`` into them, and what it recalled in which order."""

    place: int
    agent: str
    ran: list[ActingCall] = field(default_factory=list)
    strange: set[str] = field(default_factory=set)
    laundered: str = ""
    recalled: list[str] = field(default_factory=list)


class GuardedAgent(Agent):
    """An agent whose guards are kept."""

    guards: list[ThoughtGuard]

    def new_guard(self, **given: Any) -> ThoughtGuard:
        """As an agent's, and kept."""
        made = super().new_guard(**given)
        self.guards.append(made)
        return made


@dataclass
class ScriptResult:
    """What came of a life."""

    got: list[Disclosure] = field(default_factory=list)
    thoughts: list[ThoughtRecord] = field(default_factory=list)
    texts: dict[str, list[str]] = field(default_factory=dict)


@dataclass
class ScriptRun:
    """One run of a script, with the words of one ``side`` (0 or 1)."""

    script: Script
    side: int
    folder: Path
    lived: ScriptResult = field(default_factory=ScriptResult)
    now: datetime = START
    place: int = 0
    step: int = 0
    files: int = 0
    agents: dict[str, GuardedAgent] = field(default_factory=dict)
    sessions: dict[tuple[str, str], list[Utterance]] = field(default_factory=dict)
    counters: dict[str, AgentService] = field(default_factory=dict)
    simulation: Simulation | None = None

    def __post_init__(self) -> None:
        self.path = self._fresh()
        self.store = self._opened()
        _PAPER[:] = [self.script.paper[self.side]]
        self._wake()

    def go(self) -> ScriptResult:
        """Live it, and look at what there is to be found at its end."""
        for place, one in enumerate(self.script.happenings):
            self.place = place
            self.now += timedelta(minutes=0 if self.script.town else one.minutes, seconds=1)
            getattr(self, f"_{one.kind}")(one)
        self.place += 1
        for name in self.agents:
            for person in (*self.script.persons, EVERYBODY):
                if person != CONFIDENT:
                    self._look(name, person, RULES)
            texts = [record.text for record in self.agents[name].memory.records()]
            self.lived.texts[name] = texts
        self.store.close()
        return self.lived

    # -- who there is -----------------------------------------------------------------------

    def _fresh(self) -> Path:
        self.files += 1
        folder = self.folder / f"run{self.files}"
        folder.mkdir()
        return folder / RUN_FILE

    def _opened(self) -> Store:
        return Store(self.path if self.script.kept else ":memory:")

    def _wake(self) -> None:
        """Make the agents anew on the store that is open, in the states they were in."""
        before = {name: agent.state for name, agent in self.agents.items()}
        script = self.script
        self.agents = {}
        for number, name in enumerate(script.agents):
            memory = Memory(self.store, name)
            agent = GuardedAgent(
                Persona(name=name, home="house:hall", currently=f"{name} looks after the house."),
                model=LeakingModel(),
                memory=memory,
                planner=_planner(script.planners[number], script.sort == "told"),
                dialogue=_responder(script.responders[number], script.sort == "told"),
                private_talk=script.private,
                tools=self._tools(memory),
                policy=Policy(
                    trusted=script.trusted,
                    own=("*_note",),
                    strangers=script.strangers,  # type: ignore[arg-type]
                ),
                maintenance=Maintenance(claims=True, budget=14, fresh_hours=6)
                if script.upkeep
                else None,
            )
            agent.guards = []
            if name in before and not script.town:
                agent.state = replace(before[name], records=len(memory))
            self.agents[name] = agent
        self.counters = {}
        if script.town:
            world = Places(load_places(HOUSE), start=START, step_seconds=900, sight=1)
            clock = Clock(START, step_seconds=900)
            minds = list(self.agents.values())
            made = Simulation(world, minds, seed=script.seed, clock=clock, keep_going=True)
            made.approver = _refuse
            self.simulation = made

    def _tools(self, memory: Memory) -> Toolbox:
        facts = fact_search_tool(memory)
        made: list[Any] = [page, purse, memory_search, knowledge_search, facts]
        made += note_tools(Notes(memory), outside=self.script.seed % 3 != 0)
        chosen = Random(self.script.seed).sample(made, 3) if self.script.seed % 2 else made
        return Toolbox([pay, *chosen])

    # -- what is told and done ----------------------------------------------------------------

    def _words(self, one: ScriptEvent) -> str:
        return one.words[self.side]

    def _tell(self, person: str, way: str, value: object) -> None:
        """Somebody is given something, of the persons whom Ada did not confide it to."""
        if person in (EVERYBODY, *self.script.persons) and person != CONFIDENT:
            self.lived.got.append(Disclosure(self.place, person, way, str(value)))

    def _tell_all(self, people: Iterable[str], way: str, value: object) -> None:
        for person in people:
            self._tell(person, way, value)

    def _keep(self, name: str, asks: Sequence[AnsweredAsk], *, guard: ThoughtGuard | None) -> None:
        """Keep what a thought did, and on whose words."""
        made = ThoughtRecord(self.place, name)
        if guard is not None:
            made.strange = set(guard.sources)
        read: list[str] = []
        for asked in asks:
            ask, answer = asked.ask, asked.answer
            if isinstance(answer, Recalled):
                made.recalled += [hit.record.text for hit in answer.hits]
            if not isinstance(ask, Call) or ask.tool != "pay":
                read += [repr(ask), repr(answer)]
                continue
            if isinstance(answer, ToolResult) and answer.receipt:
                made.ran.append(ActingCall(ask.tool, json.dumps(ask.arguments, sort_keys=True)))
                marks = MARK.findall(f"{ask.arguments} {read}")
                if marks and not made.laundered:
                    made.laundered = f"{sorted(set(marks))} before {ask.arguments}"
            read += [repr(ask), repr(answer)]
        self.lived.thoughts.append(made)

    def _guard_of(self, name: str) -> ThoughtGuard | None:
        guards = self.agents[name].guards
        last = guards[-1] if guards else None
        guards.clear()
        return last

    # -- chats and visits -----------------------------------------------------------------------

    def _chat(self, one: ScriptEvent) -> None:
        key = (one.agent, one.who)
        session = self.sessions.setdefault(key, []) if one.pick % 2 else []
        pieces: list[str] = []
        agent, text = self.agents[one.agent], self._words(one)
        reply = agent.chat(
            text, one.who, session=session, at=self.now, on_text=pieces.append, approve=_refuse
        )
        self._keep(one.agent, reply.step.asks, guard=self._guard_of(one.agent))
        session += [Utterance(one.who, text, self.now), Utterance(one.agent, reply.text, self.now)]
        self._tell(one.who, "reply", reply.text)
        self._tell(one.who, "pieces", [piece for piece in pieces if piece])
        self._tell(one.who, "sources", reply.sources)
        self._tell(one.who, "held", (reply.held, reply.resolve, _reason(reply)))
        self._tell(one.who, "calls", _calls(reply.step.asks))

    def _counter_of(self, name: str) -> AgentService:
        if name not in self.counters:
            host = HostedAgent(self.agents[name], True, lambda: self.now)
            self.counters[name] = AgentService(host, authenticated=True)
        return self.counters[name]

    def _counter(self, one: ScriptEvent) -> None:
        counter = self._counter_of(one.agent)
        if one.pick % 2:
            result = counter.call("recall", {"about": QUESTIONS[0]}, person=one.who)
        else:
            pieces: list[str] = []
            result = counter.call(
                "chat", {"text": self._words(one)}, person=one.who, on_text=pieces.append
            )
            self._tell(one.who, "mcp pieces", [piece for piece in pieces if piece])
            self._guard_of(one.agent)
        self._tell(one.who, "mcp", (result.value, result.error))

    def _counter_remember(self, one: ScriptEvent) -> None:
        text = self._words(one)[:3000]
        counter = self._counter_of(one.agent)
        result = counter.call("remember", {"text": text}, person=one.who)
        self._tell(
            one.who, "mcp remember", (dict(result.value or {}).get("remembered"), result.error)
        )
        self._guard_of(one.agent)

    def _use(self, one: ScriptEvent) -> None:
        tools: tuple[tuple[str, dict[str, Any]], ...] = (
            ("memory_search", {"query": "the ring of Ada"}),
            ("knowledge_search", {"query": "Ada lives in"}),
            ("fact_search", {"subject": "Ada"}),
            ("list_notes", {}),
            ("read_note", {"name": "list"}),
            ("page", {"about": self._words(one) or "rent"}),
            ("pay", {"to": self._words(one) or "Marta"}),
        )
        name, given = tools[one.pick % len(tools)]
        agent = self.agents[one.agent]
        result = run_tool(agent, name, given, at=self.now, person=one.who, approve=_refuse)
        self._guard_of(one.agent)
        self._tell(one.who, f"use {name}", (result.ok, result.value, result.error))

    def _probe(self, one: ScriptEvent) -> None:
        if one.who != CONFIDENT:
            self._look(one.agent, one.who, ("hybrid", "paper"))

    def _look(self, name: str, person: str, rules: Sequence[str]) -> None:
        """All that can be found for somebody in an agent's memory."""
        agent = self.agents[name]
        memory = agent.memory
        for about in QUESTIONS:
            vector = hashed_vectors(Embed(texts=(about,))).array()[0]
            for rule in rules:
                cue = Cue(text=about, at=self.now, limit=30, person=person, rules=rule, touch=False)
                found = [
                    (hit.record.text, hit.score, hit.recency, hit.relevance, hit.lexical, hit.why)
                    for hit in memory.recall(cue, vector)
                ]
                self._tell(person, f"recall {rule} of {name}", found)
            self._tell(person, f"held of {name}", memory.answer_probability(cue, vector))
            episodes = [(one.score, one.episode) for one in memory.episodes(cue, vector)]
            self._tell(person, f"episodes of {name}", episodes)
        if person == EVERYBODY:
            return
        file = self.folder / "export.jsonl"
        file.unlink(missing_ok=True)
        export_lines(memory, file, person=person)
        lines = [json.loads(line) for line in file.read_text("utf-8").split("\n") if line]
        shown = [
            {k: v for k, v in line["record"].items() if k not in ("id", "evidence")}
            for line in lines
        ]
        self._tell(person, f"export of {name}", shown)
        facts = [(str(c), c.who, c.confidence) for c in Facts(memory).find(person=person)]
        self._tell(person, f"claims of {name}", facts)
        book = Notes(memory)
        held = [(note, book.read(note, person)) for note in book.names(person)]
        self._tell(person, f"notes of {name}", held)
        counter = self._counter_of(name)
        told = counter.call("recall", {"about": "Ada", "limit": 50}, person=person)
        self._tell(person, f"mcp recall of {name}", (told.value, told.error))
        known = dict(counter.statistics())
        known.pop("memories")
        self._tell(person, f"statistics of {name}", (known, counter.persona()))

    # -- what is taken in -----------------------------------------------------------------------

    def _circle(self, one: ScriptEvent) -> tuple[str, ...]:
        return (CONFIDENT,) if self.script.sort == "told" and one.who == CONFIDENT else ()

    def _learn(self, one: ScriptEvent) -> None:
        said = f'{one.who} said to {one.agent}: "{self._words(one)}"'
        agent = self.agents[one.agent]
        agent.learn([said], at=self.now, who=one.who, audience=self._circle(one))

    def _remember(self, one: ScriptEvent) -> None:
        agent = self.agents[one.agent]
        memory, text = agent.memory, self._words(one)
        circle = self._circle(one)
        told = memory.remember(text, at=self.now, who=one.who, audience=circle, importance=5)
        if one.pick % 2:
            memory.remember(f"So {text}", at=self.now, kind="thought", evidence=[told.id])

    def _document(self, one: ScriptEvent) -> None:
        memory, text = self.agents[one.agent].memory, self._words(one)
        file = self.folder / f"paper{one.pick % 3}.txt"
        file.write_text(f"{text}\n\nThe house stands in Leeds.\n", encoding="utf-8")
        documents = Documents(memory, _rows)
        documents.add(file, at=self.now, who=one.who, audience=self._circle(one))

    def _memories(self, one: ScriptEvent) -> None:
        record = Record(
            id=1,
            kind="thought",
            text=self._words(one),
            created=self.now,
            who=one.who,
            importance=4,
            audience=self._circle(one),
        )
        given = memories_input((record,), one.agent)
        if self.simulation is not None:
            self.simulation.add(given)
        else:
            self._live_with(one.agent, (given,), (), (), WAITS)

    def _note(self, one: ScriptEvent) -> None:
        given = {"name": "list", "text": self._words(one)[:3000], "append": bool(one.pick % 2)}
        agent = self.agents[one.agent]
        result = run_tool(agent, "write_note", given, at=self.now, person=one.who, approve=_refuse)
        self._guard_of(one.agent)
        self._tell(one.who, "note", (result.value, result.error))

    def _claim(self, one: ScriptEvent) -> None:
        claims = Facts(self.agents[one.agent].memory)
        text = self._words(one)[:200]
        circle = self._circle(one)
        claims.assert_fact("Ada", "lives in", text, at=self.now, who=one.who, audience=circle)

    def _facts(self, one: ScriptEvent) -> None:
        claims = Facts(self.agents[one.agent].memory)
        claims.learn_between(self.now - timedelta(days=2), self.now)

    # -- a life of one's own --------------------------------------------------------------------

    def _live(self, one: ScriptEvent) -> None:
        """A step alone or among others, with a deed of somebody's and perhaps a goal."""
        text, way = self._words(one), one.pick % 5
        said = Event("said", one.who, "said", text, f"{one.who} says: {text}", "house:hall")
        deed = Event("doing", one.who, "is", text, f"{one.who} is writing: {text}", "house:hall")
        inputs: tuple[Input, ...] = ()
        if self.script.sort == "told" or one.who != STRANGER:
            asked = text if one.who != CONFIDENT else QUESTIONS[one.pick % 2]
            inputs = (Input(kind="whisper", to=one.agent, text=f"goal: {asked}"),)
        elif way == 4:
            inputs = (Input(kind="whisper", to=one.agent, who=one.who, text=text),)
        people = (VisibleAgent(one.who, 1, text[:100]),) if way in (2, 3) else ()
        events = ((said,), (deed,), (), (), ())[way]
        can = (ACTS, ACTS, WAITS, ())[one.pick // 5 % 4]
        self._live_with(one.agent, inputs, events, people, can)

    def _live_with(
        self,
        name: str,
        inputs: Sequence[Input],
        events: Sequence[Event],
        people: Sequence[VisibleAgent],
        can: Sequence[Affordance],
        talk: ConversationView | None = None,
        hearers: Sequence[str] = (),
    ) -> Utterance | None:
        """A step of an agent; the line that it says, if it does."""
        agent = self.agents[name]
        seen = Observation(
            name,
            self.now,
            "house:hall",
            events=tuple(events),
            people=tuple(people),
            talk=talk,
            hearers=tuple(hearers),
        )
        number = self._number(agent)
        book = ToolCallLog(self.store)
        caller = ToolExecutor({name: agent}, self.now, book, _refuse, scope=f"{number}")
        minds = AskRouter({name: agent}, at=self.now, executor=caller)
        step = drive({name: agent.tick(seen, can, tuple(inputs))}, minds)[name]
        self._keep(name, step.asks, guard=self._guard_of(name))
        with self.store.transaction():
            agent.commit(step, number=number, at=self.now)
            book.flush()
        action = step.action
        if action.verb in ("say", "interrupt"):
            text = str(action.fields.get("text", "")).strip() or "Hm."
            return Utterance(name, text, self.now, action.sources, action.audience)
        if can == ACTS:
            shown = (action.verb, action.target, action.fields)
            self._tell_all((*self.script.persons, EVERYBODY), f"deed of {name}", shown)
        return None

    def _number(self, agent: Agent) -> int:
        self.step = max(self.step + 1, agent.memory.index.last_step)
        return self.step

    def _talk(self, one: ScriptEvent) -> None:
        """A conversation of several rounds; somebody may join it, and somebody overhear it."""
        members = sorted({one.agent, one.who, *one.people[:3]})
        outside = [name for name in (*self.script.persons, *self.agents) if name not in members]
        hearers = outside[:1] if one.pick % 3 == 0 else []
        late = outside[-1:] if one.pick % 4 == 0 and outside[-1:] != hearers else []
        lines: tuple[Utterance, ...] = ()
        for turn in range(2 + one.pick % 2):
            self.now += timedelta(minutes=1)
            lines += (Utterance(one.who, self._words(one) or "Hm.", self.now),)
            if turn == 1:
                members = sorted({*members, *late})
            for name in [name for name in members if name in self.agents]:
                talk = ConversationView("talk", tuple(members), name, heard_by(name, lines))
                if one.who == name:
                    continue
                line = self._live_with(name, (), (), (), SPEAKS, talk, hearers)
                if line is not None:
                    lines += (line,)
                    for person in (*members, *hearers):
                        heard = heard_by(person, (line,))[0].text
                        self._tell(person, f"line of {name}", heard)
        for name in [name for name in members if name in self.agents]:
            talk = ConversationView("talk", tuple(members), "", heard_by(name, lines), ended=True)
            self._live_with(name, (), (), (), WAITS, talk)

    def _night(self, one: ScriptEvent) -> None:
        """Midnight passes: days are folded and facts learned."""
        self.now = datetime(self.now.year, self.now.month, self.now.day) + timedelta(days=1)
        for name in self.agents:
            self._live_with(name, (), (), (), WAITS)
        self.now += timedelta(hours=8)

    # -- a town ---------------------------------------------------------------------------------

    def _tick(self, one: ScriptEvent) -> None:
        simulation = self._running()
        for tick in simulation.run(steps=1 + one.pick % 4, progress=False):
            for name, step in tick.steps.items():
                self._keep(name, step.asks, guard=self._guard_of(name))
            shown = {
                name: (act.verb, act.target, act.fields)
                for name, act in tick.actions.items()
                if not act.audience
            }
            self._tell_all((EVERYBODY,), "deeds", shown)
            saved = simulation.world.save()
            for guest in simulation._session.visitors.save():
                seen = simulation.world.observe(guest)
                self._tell(guest, "seen", json.dumps(to_json(seen), sort_keys=True))
            assert saved == simulation.world.save()
        self.now = max(self.now, simulation.now)

    def _running(self) -> Simulation:
        assert self.simulation is not None
        return self.simulation

    def _line(self, one: ScriptEvent) -> None:
        text = self._words(one) or "Hm."
        self._running().add(Input(kind="line", to=one.agent, who=one.who, text=text))

    def _event(self, one: ScriptEvent) -> None:
        fields = {"subject": one.who, "predicate": "shouts", "object": "aloud"}
        text = f"{one.who} shouts: {self._words(one)}"
        given = Input(kind="event", text=text, place="house:hall", fields=fields)
        self._running().add(given)

    def _fork(self, one: ScriptEvent) -> None:
        """Go on in a copy of the run, as it stood some steps ago."""
        simulation = self._running()
        back = max(0, simulation.step - one.pick % 2)
        old = self.path
        simulation.store.close()
        self.path = self._fresh()
        fork(old.parent, back, self.path.parent)
        self.store = self._opened()
        self._wake()

    # -- files ----------------------------------------------------------------------------------

    def _restart(self, one: ScriptEvent) -> None:
        self.store.close()
        self.store = self._opened()
        self._wake()

    def _forget(self, one: ScriptEvent) -> None:
        self.store.close()
        # What only names somebody is found by its words, and that it is gone shows.
        mentions = self.script.sort == "done" and bool(one.pick % 2)
        erase_person(self.path, one.who, now=self.now, mentions=mentions)
        self.store = self._opened()
        self._wake()

    def _exported(self, one: ScriptEvent) -> None:
        """All memories written as lines, and read into a new file."""
        files = {}
        for name, agent in self.agents.items():
            files[name] = self.folder / f"{name}{self.files}.jsonl"
            export_lines(agent.memory, files[name])
        self.store.close()
        self.path = self._fresh()
        self.store = self._opened()
        for name, file in files.items():
            import_lines(Memory(self.store, name), file)
        self._wake()

    def _quarantine(self, one: ScriptEvent) -> None:
        self.agents[one.agent].memory.quarantine(one.who)

    def _release(self, one: ScriptEvent) -> None:
        memory = self.agents[one.agent].memory
        if one.who in memory.quarantined:
            memory.release(one.who)

    def _fold(self, one: ScriptEvent) -> None:
        agent = self.agents[one.agent]
        bounds = CompactionBudget(records=10, fresh_hours=0)
        Compaction(agent.memory, embed=_rows).compact(bounds, at=self.now)


def run_script(script: Script, side: int) -> ScriptResult:
    """Live a script once, with the words of one side."""
    # In memory where there is such a folder: a life writes thousands of small transactions.
    fast = "/dev/shm" if Path("/dev/shm").is_dir() else None
    with tempfile.TemporaryDirectory(prefix="lives-", dir=fast) as folder:
        return ScriptRun(script, side, Path(folder)).go()


def _rows(texts: Sequence[str]) -> np.ndarray[Any, np.dtype[np.float32]]:
    return hashed_vectors(Embed(texts=tuple(texts))).array()


def _refuse(request: object) -> bool:
    return False


def _reason(reply: Reply) -> str:
    return reply.failure.detail if reply.failure else ""


def _calls(asks: Sequence[AnsweredAsk]) -> list[tuple[Any, ...]]:
    return [
        (one.ask.tool, one.ask.arguments, one.answer.ok, one.answer.value, one.answer.error)
        for one in asks
        if isinstance(one.ask, Call) and isinstance(one.answer, ToolResult)
    ]


def _planner(name: str, numbers: bool) -> Any:
    made: dict[str, Callable[[], Any]] = {
        "daily": Daily,
        "dialogue": Dialogue,
        "react": lambda: React(check=False),
        "errands": GoalsInRoutine,
        "everything": lambda: LeakingPlanner(numbers=numbers),
    }
    return made[name]()


def _responder(name: str, numbers: bool) -> Any:
    pays = Intent(name="pay", about="Pay the rent.", tool="pay")
    chats = Intent(name="chat", about="Talk about something.")
    made: dict[str, Callable[[], Any]] = {
        "dialogue": Dialogue,
        "one draft": lambda: Dialogue(drafts=1, cite=True),
        "few": lambda: Dialogue(recalled=2, drafts=2, unknown=0.3),
        "understands": lambda: Dialogue(intents=(pays, chats), drafts=1),
        "everything": lambda: LeakingPlanner(numbers=numbers),
    }
    return made[name]()
