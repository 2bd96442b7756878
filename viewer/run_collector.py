"""Collects the page data of a recorded run: tracks, activities, plans, memories, asks, costs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from ..core import (
    AgentId,
    AgentState,
    Answer,
    Ask,
    Call,
    Choice,
    Choose,
    Clock,
    Completion,
    Failed,
    Generate,
    Hit,
    Json,
    Message,
    Persona,
    Rate,
    Rating,
    Recall,
    Recalled,
    RunError,
    ScheduleEntry,
    Time,
    ToolResult,
)
from ..memory import Memory
from ..models import Usage, sum_usage
from ..simulation import EMBEDDER_KINDS, AskRow, ConversationCollector, Run, Scenario
from .graph_map import GraphMap
from .headlines import select_headlines
from .page_data import (
    ActivityEntry,
    AskData,
    AskKind,
    CostData,
    MapData,
    MemoryEntry,
    PageData,
    PersonData,
    PlanEntry,
    PlanEntrySlot,
    TalkData,
    TextTable,
    memory_entry,
    persona_fields,
)
from .terrain import draw_map, map_layers

BodyRow = list[Json]

MAX_COLUMNS = 60
"""The most columns of the chart over time."""
_MINUTES = (1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720, 1440)
_DIGITS = 4
_ROWS = ("track", "acts", "plans", "memories", "asks")


def collect_page_data(run: Run | Path | str) -> PageData:
    """The page data of a finished or paused run; ``run`` is an open Run or its folder.

    Raises RunError when there is no run, or none of its steps is committed."""
    if not isinstance(run, Run):
        with Run(run) as opened:
            return collect_page_data(opened)
    if not run.steps:
        raise RunError("the run has no committed step yet, so there is nothing to show; resume it")
    collector = RunCollector(run)
    collector.advance()
    return collector.data()


class RunCollector:
    """Collects the page data of a run that goes on: ``advance`` reads the steps that were
    committed since the last call, and ``data`` is the page of all steps read so far."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.steps = 0
        self._scenario, self._clock = run.scenario, run.clock
        self._map, self._graph_map = _map_data(run, self._scenario)
        self._texts = TextTable()
        self._talks = ConversationCollector()
        self._sent_talks: dict[str, TalkData] = {}
        self._people = {
            name: _PersonRows(name, run.people.get(name), self._graph_map) for name in run.people
        }

    def data(self) -> PageData:
        """The page data of all steps read so far."""
        people, talks = self._shown(), tuple(map(TalkData.of, self._talks.all))
        heading = self._scenario.scenario
        return PageData(
            title=heading.title or heading.name,
            subtitle=heading.about,
            start=self._clock.start,
            step_seconds=self._clock.step_seconds,
            steps=self.steps,
            map=self._map,
            people=people,
            talks=talks,
            headlines=select_headlines(people, talks),
            figures=_figures(self.run),
            texts=self._texts.all,
            costs=cost_data(self.run.usage(), self._clock, self.steps),
        )

    def _shown(self) -> tuple[PersonData, ...]:
        return tuple(person.data for person in self._people.values() if person.data.track)

    def advance(self) -> Json:
        """Read the steps that are new. Returns what they add to the page, with the names of
        ``page_data``: ``steps``, and those of ``people`` (new people whole, of others the new
        rows under their names in ``rows``), ``talks`` (those that changed) and ``texts`` that are
        not empty."""
        first, last = self.steps, self.run.steps - 1
        if last < first:
            return {}
        before = {name: person.lengths() for name, person in self._people.items()}
        texts = len(self._texts)
        states = {
            name: dict(self.run.journal.states(name, first=first)) for name in self.run.people
        }
        for entry in self.run.entries(first, last):
            self._add_entry(entry, states)
        self._add_asks(first, last)
        for person in self._people.values():
            if person.is_agent:
                person.add_memories(self.run.memory(person.data.id), self._clock)
        self.steps = last + 1
        return self._delta(before, texts)

    def _add_entry(self, entry: Json, states: Mapping[AgentId, Mapping[int, AgentState]]) -> None:
        step = entry["step"]
        for given in entry["inputs"]:
            if given["kind"] in ("enter", "leave"):
                self._person(given["who"]).pass_gate(step, given)
        for name, body in entry["bodies"].items():
            self._person(name).add_body(step, body)
        for name, person in self._people.items():
            body, why = entry["bodies"].get(name), entry["whys"].get(name)
            state = states.get(name, {}).get(step)
            if body is not None or why is not None or state is not None:
                person.add_activity(step, body, why, state)
        self._talks.add_events(step, entry["events"])

    def _person(self, name: AgentId) -> _PersonRows:
        if name not in self._people:
            self._people[name] = _PersonRows(name, None, self._graph_map)
        return self._people[name]

    def _add_asks(self, first: int, last: int) -> None:
        """The asks of agents with their answers, in order: by step, round, and position in the
        round."""
        rows = self.run.journal.asks_of_tables(
            ("asks",), "WHERE step >= ? AND step <= ? AND kind <> 'embed'", (first, last)
        )
        by_agent: dict[AgentId, list[AskRow]] = {}
        for row in rows:
            by_agent.setdefault(row.where.agent, []).append(row)
        for name, asked in by_agent.items():
            asked.sort(key=lambda row: (row.where.step, *map(int, row.where.path.split("."))))
            shown = (ask_data(r.where.step, r.ask, r.answer, self._texts) for r in asked)
            self._people[name].asks.extend(row for row in shown if row is not None)

    def _delta(self, before: Mapping[AgentId, Mapping[str, int]], texts: int) -> Json:
        people: list[Json] = []
        rows: dict[str, Json] = {}
        for person in self._shown():
            lengths = before.get(person.id)
            if lengths is None or not lengths["track"]:
                people.append(person.as_json())
            elif added := self._people[person.id].rows_after(lengths):
                rows[person.id] = added
        talks = []
        for talk in map(TalkData.of, self._talks.all):
            if self._sent_talks.get(talk.id) != talk:
                self._sent_talks[talk.id] = talk
                talks.append(talk.as_json())
        new_texts = list(self._texts.all[texts:])
        parts = {"people": people, "rows": rows, "talks": talks, "texts": new_texts}
        return {"steps": self.steps, **{name: part for name, part in parts.items() if part}}

    def summary(self) -> Json:
        """What is computed over the whole run: ``figures``, ``headlines`` and ``costs``."""
        talks = tuple(map(TalkData.of, self._talks.all))
        costs = cost_data(self.run.usage(), self._clock, self.steps)
        return {
            "figures": _figures(self.run),
            "headlines": [list(line) for line in select_headlines(self._shown(), talks)],
            **({"costs": costs.as_json()} if costs else {}),
        }


class _PersonRows:
    """The rows of one person, which grow with the run."""

    def __init__(self, name: AgentId, persona: Persona | None, graph_map: GraphMap | None) -> None:
        self.is_agent = persona is not None
        self._graph_map = graph_map
        self._track: list[tuple[float, float, float]] = []
        self._acts: list[ActivityEntry] = []
        self._plans: list[PlanEntry] = []
        self._memories: list[MemoryEntry] = []
        self._presence: list[tuple[int, int]] = []
        self._look: dict[str, Json] = {}
        self.asks: list[AskData] = []
        self.data = PersonData(
            id=name,
            persona=persona_fields(persona) if persona else {"traits": "a person"},
            track=self._track,
            acts=self._acts,
            plans=self._plans,
            memories=self._memories,
            asks=self.asks,
            presence=self._presence,
            look=self._look,
        )
        self._known_records = 0
        self._gates = 0  # how often the person came or left
        self._activity = ActivityEntry(-1, "")

    def pass_gate(self, step: int, given: Json) -> None:
        """Take over the "enter" or "leave" of a person."""
        self._gates += 1
        if given["kind"] == "enter":
            self._presence.append((step, -1))
            self._look.update(given.get("fields", {}).get("look") or {})
        elif self._presence and self._presence[-1][1] < 0:
            self._presence[-1] = (self._presence[-1][0], step - 1)

    def add_body(self, step: int, body: BodyRow) -> None:
        """Add a row of the journal: x, y, place, doing, emoji, target."""
        x, y, place, *_ = body
        if not self.is_agent and not self._presence:
            self._presence.append((step, -1))
        graph_map, name = self._graph_map, self.data.id
        spot = (x, y) if x is not None else graph_map.position(place, name) if graph_map else (0, 0)
        if not self._track or self._track[-1][1:] != spot:
            self._track.append((step, spot[0], spot[1]))

    def add_activity(
        self, step: int, body: BodyRow | None, why: str | None, state: AgentState | None
    ) -> None:
        """Add an entry if the activity, the place, the reason or sleep has changed; and one if the
        plan or the schedule has."""
        now = replace(self._activity, step=step)
        if why is not None:
            now = replace(now, why=why)
        if state is not None:
            now = replace(now, asleep=state.asleep)
        if body is not None:
            _, _, here, doing, emoji, target = body
            now = replace(now, doing=doing, emoji=emoji, place=target or here)
        last = self._acts[-1] if self._acts else None
        if now.doing and (last is None or replace(now, step=last.step) != last):
            self._acts.append(now)
        self._activity = now
        if state is not None and (state.plan or state.schedule):
            plan = PlanEntry(step, state.plan, tuple(map(_slot, state.schedule)))
            if not self._plans or replace(plan, step=self._plans[-1].step) != self._plans[-1]:
                self._plans.append(plan)

    def add_memories(self, memory: Memory, clock: Clock) -> None:
        """Add the records that are new."""
        count = len(memory)
        new = memory.existing_records(range(self._known_records + 1, count + 1))
        self._known_records = count
        self._memories.extend(memory_entry(record, clock) for record in new)

    def lengths(self) -> dict[str, int]:
        """How many rows there are of each kind."""
        lengths = {name: len(getattr(self.data, name)) for name in _ROWS}
        return {**lengths, "gates": self._gates}

    def rows_after(self, lengths: Mapping[str, int]) -> dict[str, Json]:
        """The rows that are new since ``lengths`` were taken."""
        tails = {name: getattr(self.data, name)[lengths[name] :] for name in _ROWS}
        rows = replace(self.data, **tails).as_json()
        new = {name: rows[name] for name in _ROWS if rows[name]}
        if lengths["gates"] != self._gates:
            new |= {name: rows[name] for name in ("presence", "look") if name in rows}
        return new


def _map_data(run: Run, scenario: Scenario) -> tuple[MapData, GraphMap | None]:
    """The map of the page, and where it puts the places of a world without tiles."""
    town = run.town
    if town is not None:
        return draw_map(map_layers(town)), None
    graph_map = GraphMap.of(scenario.world.places, scenario.world.paths)
    return graph_map.map, graph_map


def _figures(run: Run) -> dict[str, Json]:
    stats = run.stats()
    names = ("model_calls", "prompt_tokens", "generated_tokens")
    figures = {name: stats[name] for name in names if stats.get(name)}
    failures = stats["failures"]
    if failures["failed"]:
        figures["failed"] = f"{failures['failed']} of {failures['asks']}"
    recalls = [row["count"] for row in failures["kinds"] if row["kind"] in EMBEDDER_KINDS]
    if recalls:
        figures["failed_recalls"] = sum(recalls)
    if failures["refused"]:
        figures["refused"] = sum(failures["refused"].values())
    models = run.store.get("models") or {}
    model_names = sorted({str(one["name"]) for one in models.values() if one.get("name")})
    if model_names:
        figures["model"] = ", ".join(model_names)
    return figures


def _slot(slot: ScheduleEntry) -> PlanEntrySlot:
    return PlanEntrySlot(
        slot.start.hour * 60 + slot.start.minute, slot.minutes, slot.doing, slot.place
    )


def ask_data(step: int, ask: Ask, answer: Answer, texts: TextTable) -> AskData | None:
    """An ask as the page shows it; None for embeddings."""
    role = ask.role if isinstance(ask, Generate | Choose | Rate) else ""
    prompt = _prompt_indexes(ask, texts)
    body: Json
    kind: AskKind
    if isinstance(answer, Failed):
        kind, body = "failed", {"reason": answer.reason, "detail": answer.detail}
    elif isinstance(ask, Choose) and isinstance(answer, Choice):
        names = [option.name for option in ask.options]
        options = [[n, round(p, _DIGITS)] for n, p in zip(names, answer.probabilities)]
        kind, body = "choose", {"about": ask.about, "options": options, "chosen": answer.index}
    elif isinstance(ask, Generate) and isinstance(answer, Completion):
        kind, body = "generate", {"text": answer.text}
    elif isinstance(ask, Rate) and isinstance(answer, Rating):
        value = round(answer.value, 2)
        kind, body = (
            "rate",
            {"about": ask.about, "value": value, "low": ask.low, "high": ask.high},
        )
    elif isinstance(ask, Recall) and isinstance(answer, Recalled):
        kind, body = "recall", {"cue": ask.cue.text, "hits": [_hit(hit) for hit in answer.hits]}
    elif isinstance(ask, Call) and isinstance(answer, ToolResult):
        kind, body = "call", _call_body(ask, answer)
    else:
        return None
    return AskData(step, kind, role, {**body, "prompt": prompt} if prompt else body)


def _hit(hit: Hit) -> list[Json]:
    parts = (hit.score, hit.recency, hit.importance, hit.relevance)
    return [hit.record.id, *(round(part, _DIGITS) for part in parts)]


def _call_body(ask: Call, answer: ToolResult) -> Json:
    result = answer.value if answer.ok else answer.error
    return {
        "tool": ask.tool,
        "arguments": json.dumps(ask.arguments, ensure_ascii=False),
        "ok": answer.ok,
        "value": result if isinstance(result, str) else json.dumps(result, ensure_ascii=False),
    }


def _prompt_indexes(ask: Ask, texts: TextTable) -> list[int]:
    """The index of each message in the text table: most messages recur in many asks."""
    messages = ask.messages if isinstance(ask, Generate | Choose | Rate) else ()
    return [texts.add(_message_text(message)) for message in messages]


def _message_text(message: Message) -> str:
    return f"[{message.role}{f' {message.who}' if message.who else ''}]\n{message.text}"


def cost_data(costs: Iterable[tuple[int, Usage]], clock: Clock, steps: int) -> CostData | None:
    """Usage summed for the page; None if nothing was asked."""
    rows = [(step, cost) for step, cost in costs if step < steps]
    if not rows:
        return None
    minutes = _column_minutes(steps * clock.step_seconds / 60)
    columns: dict[int, list[Usage]] = {}
    for step, cost in rows:
        first = clock.steps_until(_column_start(clock.at(step), minutes))
        columns.setdefault(first, []).append(Usage(cost.agent, cost.kind, "") + cost)
    return CostData(
        minutes=minutes,
        sums=sum_usage(cost for _, cost in rows),
        times=tuple(
            (first, cost) for first in sorted(columns) for cost in sum_usage(columns[first])
        ),
    )


def _column_minutes(length: float) -> int:
    """Minutes of a column of the chart for a run of ``length`` minutes."""
    fitting = (minutes for minutes in _MINUTES if length / minutes <= MAX_COLUMNS)
    return next(fitting, _MINUTES[-1])


def _column_start(at: Time, minutes: int) -> Time:
    """The start of the column that contains a time; columns are aligned to midnight."""
    midnight = at.replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight + (at - midnight) // timedelta(minutes=minutes) * timedelta(minutes=minutes)
