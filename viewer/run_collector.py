"""One of our own runs as page data.

An ask and its answer, as the page explains them.

What a run cost, as the page shows it: whole sums, and sums over simulated time.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
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
from ..simulation import EMBEDDER_KINDS, Run
from .conversations import ConversationCollector
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
    TextTable,
    memory_entry,
    persona_fields,
)
from .terrain import draw_map, map_layers

BodyRow = list[Json]


def collect_page_data(run: Run | Path | str) -> PageData:
    """A run, finished or paused, as page data; ``run`` is an open Run or its folder.

    Raises RunError when there is no run, or none of its steps is committed.
    """
    if not isinstance(run, Run):
        with Run(run) as opened:
            return collect_page_data(opened)
    if not run.steps:
        raise RunError("the run has no committed step yet, so there is nothing to show; resume it")
    heading = run.scenario.scenario
    clock = Clock(run.scenario.start, heading.step_seconds)
    islands = None if run.town else GraphMap.of(run.scenario.world.places, run.scenario.world.paths)
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
        _person(run, clock, texts, name, shown, whys.get(name, []), islands)
        for name, shown in bodies.items()
        if shown
    )
    told = talks.all
    return PageData(
        title=heading.title or heading.name,
        subtitle=heading.about,
        start=clock.start,
        step_seconds=clock.step_seconds,
        steps=run.steps,
        map=_map_data(run, islands),
        people=people,
        talks=told,
        headlines=select_headlines(people, told),
        figures=_figures(run),
        texts=texts.all,
        costs=cost_data(run.usage(), clock, run.steps),
    )


def _map_data(run: Run, islands: GraphMap | None) -> MapData:
    town = run.town
    if town is not None:
        return draw_map(map_layers(town))
    return islands.map if islands is not None else GraphMap.of([], []).map


def _figures(run: Run) -> dict[str, Json]:
    counted = run.stats()
    shown = ("model_calls", "prompt_tokens", "generated_tokens")
    figures = {name: counted[name] for name in shown if counted.get(name)}
    failures = counted["failures"]
    if failures["failed"]:
        figures["failed"] = f"{failures['failed']} of {failures['asks']}"
    searches = [one for one in failures["kinds"] if one["kind"] in EMBEDDER_KINDS]
    if searches:
        figures["failed_recalls"] = sum(one["count"] for one in searches)
    if failures["refused"]:
        figures["refused"] = sum(failures["refused"].values())
    models = run.store.get("models") or {}
    names = sorted({str(one["name"]) for one in models.values() if one.get("name")})
    if names:
        figures["model"] = ", ".join(names)
    return figures


def _person(
    run: Run,
    clock: Clock,
    texts: TextTable,
    name: AgentId,
    shown: list[tuple[int, BodyRow]],
    whys: list[tuple[int, str]],
    islands: GraphMap | None,
) -> PersonData:
    persona = run.people.get(name)
    states = list(run.states(name)) if persona else []
    return PersonData(
        id=name,
        persona=persona_fields(persona) if persona else {"traits": "a person"},
        track=tuple(_track(name, shown, islands)),
        acts=tuple(_activities(shown, whys, states)),
        plans=tuple(_plans(states)),
        memories=tuple(memory_entry(record, clock) for record in run.memory(name).records())
        if persona
        else (),
        asks=tuple(_asks(run, name, texts)) if persona else (),
    )


def _track(
    name: AgentId, shown: list[tuple[int, BodyRow]], islands: GraphMap | None
) -> Iterator[tuple[float, float, float]]:
    last = None
    for step, (x, y, place, *_) in shown:
        spot = (x, y) if x is not None else islands.position(place, name) if islands else (0, 0)
        if spot != last:
            last = spot
            yield step, spot[0], spot[1]


def _activities(
    shown: list[tuple[int, BodyRow]],
    whys: list[tuple[int, str]],
    states: list[tuple[int, AgentState]],
) -> Iterator[ActivityEntry]:
    """An act for every change of what somebody does, where to, and why."""
    bodies, said, minds = dict(shown), dict(whys), dict(states)
    doing, place, emoji, why, asleep, last = "", "", "", "", False, None
    for step in sorted(bodies.keys() | said.keys() | minds.keys()):
        why = said.get(step, why)
        asleep = minds[step].asleep if step in minds else asleep
        if step in bodies:
            _, _, here, doing, emoji, target = bodies[step]
            place = target or here
        now = (doing, emoji, place, why, asleep)
        if doing and now != last:
            last = now
            yield ActivityEntry(step, *now)


def _plans(states: list[tuple[int, AgentState]]) -> Iterator[PlanEntry]:
    """A plan whenever it changes; a block that was split shows its finer actions."""
    last = None
    for step, state in states:
        if state.plan or state.schedule:
            now = (state.plan, tuple(_slot(slot) for slot in state.schedule))
            if now != last:
                last = now
                yield PlanEntry(step, *now)


def _slot(slot: ScheduleEntry) -> PlanEntrySlot:
    return PlanEntrySlot(
        slot.start.hour * 60 + slot.start.minute, slot.minutes, slot.doing, slot.place
    )


def _asks(run: Run, name: AgentId, texts: TextTable) -> Iterator[AskData]:
    """In the order in which they were asked: by step, round and place in the round."""
    rows = [row for row in run.asks(agent=name) if row.kind != "embed"]
    rows.sort(key=lambda row: (row.where.step, *map(int, row.where.path.split("."))))
    for row in rows:
        found = ask_data(row.where.step, row.ask, row.answer, texts)
        if found is not None:
            yield found


_DIGITS = 4


def ask_data(step: int, ask: Ask, answer: Answer, texts: TextTable) -> AskData | None:
    """What the page shows of an ask; None for embeddings, which say nothing to a reader."""
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
    said = answer.value if answer.ok else answer.error
    return {
        "tool": ask.tool,
        "arguments": json.dumps(ask.arguments, ensure_ascii=False),
        "ok": answer.ok,
        "value": said if isinstance(said, str) else json.dumps(said, ensure_ascii=False),
    }


def _prompt_indexes(ask: Ask, texts: TextTable) -> list[int]:
    """A number for every message: a persona's own message recurs in thousands of asks."""
    messages = ask.messages if isinstance(ask, Generate | Choose | Rate) else ()
    return [texts.add(_message_text(message)) for message in messages]


def _message_text(message: Message) -> str:
    return f"[{message.role}{f' {message.who}' if message.who else ''}]\n{message.text}"


MAX_COLUMNS = 60
"""About so many columns the chart over time has at most."""

_MINUTES = (1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720, 1440)


def cost_data(costs: Iterable[tuple[int, Usage]], clock: Clock, steps: int) -> CostData | None:
    """A ledger's rows summed for the page; None where nothing was asked."""
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
    """Minutes of a column of the chart, so that there are not too many for ``length``."""
    fitting = (minutes for minutes in _MINUTES if length / minutes <= MAX_COLUMNS)
    return next(fitting, _MINUTES[-1])


def _column_start(at: Time, minutes: int) -> Time:
    """The beginning of the column in which a moment lies; columns begin at full hours."""
    midnight = at.replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight + (at - midnight) // timedelta(minutes=minutes) * timedelta(minutes=minutes)
