"""Plans as graphs: steps that wait for others, mended by code where a model wrote nonsense."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal, TypeAlias

from ..core import Json

if TYPE_CHECKING:
    from networkx import DiGraph

MAX_STEPS = 8
"""Steps of a plan, at most."""

StepStatus: TypeAlias = Literal["open", "acting", "done", "lost"]

PLAN_SCHEMA: Json = {
    "type": "object",
    "properties": {
        "steps": {
            "type": "array",
            "minItems": 1,
            "maxItems": MAX_STEPS,
            "items": {
                "type": "object",
                "properties": {
                    "id": {"type": "string", "minLength": 1, "maxLength": 12},
                    "do": {"type": "string", "minLength": 1, "maxLength": 160},
                    "after": {"type": "array", "items": {"type": "string"}, "maxItems": MAX_STEPS},
                },
                "required": ["id", "do", "after"],
                "additionalProperties": False,
            },
        }
    },
    "required": ["steps"],
    "additionalProperties": False,
}
"""What a plan is written under."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanStep:
    """One step: what to do once the steps in ``after`` are done, how it stands, and its
    result; ``progress`` is its worker's."""

    id: str
    do: str
    after: tuple[str, ...] = ()
    stand: StepStatus = "open"
    result: str = ""
    progress: Json = field(default=None, hash=False)


def step_graph(steps: Iterable[PlanStep]) -> DiGraph[str]:
    """Steps as a directed graph; an edge leads from a step to one that waits for it."""
    import networkx as nx

    graph: DiGraph[str] = nx.DiGraph()
    for step in steps:
        graph.add_node(step.id)
        graph.add_edges_from((before, step.id) for before in step.after)
    return graph


def parse_plan(data: Json) -> tuple[tuple[PlanStep, ...], tuple[str, ...]]:
    """A plan read from what a model wrote, and what had to be mended in it.

    A step without words is left out, an id used twice is renamed, what waits for itself or
    for an unknown step waits for it no more, and of a circle of steps the last written goes
    first free. No steps at all: an empty plan.

    >>> loop = [{"id": "a", "do": "x", "after": ["b"]}, {"id": "b", "do": "y", "after": ["a"]}]
    >>> [(step.id, step.after) for step in parse_plan({"steps": loop})[0]]
    [('a', ()), ('b', ('a',))]
    """
    rows = data.get("steps") if isinstance(data, dict) else None
    mended: list[str] = []
    steps: list[PlanStep] = []
    for row in rows if isinstance(rows, list) else ():
        if not isinstance(row, dict) or not str(row.get("do") or "").strip():
            mended.append("a step without words was left out")
            continue
        name = str(row.get("id") or f"step {len(steps) + 1}").strip()
        if name in {step.id for step in steps}:
            mended.append(f"two steps are called '{name}'")
            name = _unused_id(name, steps)
        after = row.get("after")
        before = tuple(dict.fromkeys(map(str, after))) if isinstance(after, list) else ()
        steps.append(PlanStep(id=name, do=str(row["do"]).strip(), after=before))
        if len(steps) == MAX_STEPS:
            break
    known = {step.id for step in steps}
    for place, step in enumerate(steps):
        kept = tuple(one for one in step.after if one in known and one != step.id)
        mended += [f"'{step.id}' waits for no '{one}'" for one in step.after if one not in kept]
        steps[place] = replace(step, after=kept)
    return _break_cycles(steps, mended), tuple(mended)


def _unused_id(name: str, steps: Sequence[PlanStep]) -> str:
    taken, number = {step.id for step in steps}, 2
    while f"{name} {number}" in taken:
        number += 1
    return f"{name} {number}"


def _break_cycles(steps: list[PlanStep], mended: list[str]) -> tuple[PlanStep, ...]:
    """In each circle the step written first no longer waits for the one written last."""
    import networkx as nx

    places = {step.id: place for place, step in enumerate(steps)}
    while True:
        try:
            circle = nx.find_cycle(step_graph(steps))
        except nx.NetworkXNoCycle:
            return tuple(steps)
        before, after = max(circle, key=lambda edge: places[edge[0]] - places[edge[1]])
        step = steps[places[after]]
        steps[places[after]] = replace(step, after=tuple(x for x in step.after if x != before))
        mended.append(f"'{after}' and '{before}' waited for each other")


def ready_steps(steps: Sequence[PlanStep]) -> list[PlanStep]:
    """The steps to do now: not done, and all that they wait for done."""
    done = {step.id for step in steps if step.stand == "done"}
    return [step for step in steps if step.stand in ("open", "acting") and set(step.after) <= done]


def upstream_results(steps: Sequence[PlanStep], step: PlanStep) -> list[str]:
    """What the steps found that a step rests on, directly or not, in the plan's order."""
    import networkx as nx

    above = nx.ancestors(step_graph(steps), step.id)
    return [f"{one.do}: {one.result}" for one in steps if one.id in above and one.result]


def final_steps(steps: Sequence[PlanStep]) -> list[PlanStep]:
    """The steps that no other waits for."""
    waited = {one for step in steps for one in step.after}
    return [step for step in steps if step.id not in waited]
