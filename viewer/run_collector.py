"""Collects the page data of a recorded run: tracks, activities, plans, memories, asks, costs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
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
    Rate,
    Rating,
    Recall,
    Recalled,
    RunError,
    ScheduleEntry,
    Time,
    ToolResult,
)
from ..models import Usage, sum_usage
from ..simulation import EMBEDDER_KINDS, ConversationCollector, Run, Scenario
from .graph_map import GraphMap
from .headlines import select_headlines
from .page_data import (
    ActivityEntry,
    AskData,
    AskKind,
    CostData,
    MapData,
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


def collect_page_data(run: Run | Path | str) -> PageData:
    """The page data of a finished or paused run; ``run`` is an open Run or its folder.

    Raises RunError when there is no run, or none of its steps is committed."""
    if not isinstance(run, Run):
        with Run(run) as opened:
            return collect_page_data(opened)
    if not run.steps:
        raise RunError("the run has no committed step yet, so there is nothing to show; resume it")
    scenario, clock = run.scenario, run.clock
    heading = scenario.scenario
    map_data, graph_map = _map_data(run, scenario)
    bodies: dict[AgentId, list[tuple[int, BodyRow]]] = {name: [] for name in run.people}
    whys: dict[AgentId, list[tuple[int, str]]] = {name: [] for name in run.people}
    talks = ConversationCollector()
    for entry in run.entries():
        for who, body in entry["bodies"].items():
            bodies.setdefault(who, []).append((entry["step"], body))
        for who, why in entry["whys"].items():
            whys.setdefault(who, []).append((entry["step"], why))
        talks.add_events(entry["step"], entry["events"])
    texts = TextTable()
    people = tuple(
        _person(run, clock, texts, name, shown, whys.get(name, []), graph_map)
        for name, shown in bodies.items()
        if shown
    )
    conversations = tuple(map(TalkData.of, talks.all))
    return PageData(
        title=heading.title or heading.name,
        subtitle=heading.about,
        start=clock.start,
        step_seconds=clock.step_seconds,
        steps=run.steps,
        map=map_data,
        people=people,
        talks=conversations,
        headlines=select_headlines(people, conversations),
        figures=_figures(run),
        texts=texts.all,
        costs=cost_data(run.usage(), clock, run.steps),
    )


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


def _person(
    run: Run,
    clock: Clock,
    texts: TextTable,
    name: AgentId,
    shown: list[tuple[int, BodyRow]],
    whys: list[tuple[int, str]],
    graph_map: GraphMap | None,
) -> PersonData:
    persona = run.people.get(name)
    states = list(run.states(name)) if persona else []
    return PersonData(
        id=name,
        persona=persona_fields(persona) if persona else {"traits": "a person"},
        track=tuple(_track(name, shown, graph_map)),
        acts=tuple(_activities(shown, whys, states)),
        plans=tuple(_plans(states)),
        memories=tuple(memory_entry(record, clock) for record in run.memory(name).records())
        if persona
        else (),
        asks=tuple(_asks(run, name, texts)) if persona else (),
    )


def _track(
    name: AgentId, shown: list[tuple[int, BodyRow]], graph_map: GraphMap | None
) -> Iterator[tuple[float, float, float]]:
    last = None
    for step, (x, y, place, *_) in shown:
        spot = (x, y) if x is not None else graph_map.position(place, name) if graph_map else (0, 0)
        if spot != last:
            last = spot
            yield step, spot[0], spot[1]


def _activities(
    shown: list[tuple[int, BodyRow]],
    whys: list[tuple[int, str]],
    states: list[tuple[int, AgentState]],
) -> Iterator[ActivityEntry]:
    """An entry for each change of activity, place, reason or sleep."""
    bodies, reasons, states_by_step = dict(shown), dict(whys), dict(states)
    doing = place = emoji = why = ""
    asleep, last = False, None
    for step in sorted(bodies.keys() | reasons.keys() | states_by_step.keys()):
        why = reasons.get(step, why)
        asleep = states_by_step[step].asleep if step in states_by_step else asleep
        if step in bodies:
            _, _, here, doing, emoji, target = bodies[step]
            place = target or here
        entry = ActivityEntry(step, doing, emoji, place, why, asleep)
        if doing and (last is None or replace(entry, step=last.step) != last):
            last = entry
            yield entry


def _plans(states: list[tuple[int, AgentState]]) -> Iterator[PlanEntry]:
    """An entry for each change of the plan or the schedule."""
    last = None
    for step, state in states:
        if state.plan or state.schedule:
            plan = (state.plan, tuple(_slot(slot) for slot in state.schedule))
            if plan != last:
                last = plan
                yield PlanEntry(step, *plan)


def _slot(slot: ScheduleEntry) -> PlanEntrySlot:
    return PlanEntrySlot(
        slot.start.hour * 60 + slot.start.minute, slot.minutes, slot.doing, slot.place
    )


def _asks(run: Run, name: AgentId, texts: TextTable) -> Iterator[AskData]:
    """The asks of an agent with their answers, in order: by step, round, and position in the
    round."""
    rows = [row for row in run.asks(agent=name) if row.kind != "embed"]
    rows.sort(key=lambda row: (row.where.step, *map(int, row.where.path.split("."))))
    for row in rows:
        shown = ask_data(row.where.step, row.ask, row.answer, texts)
        if shown is not None:
            yield shown


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
