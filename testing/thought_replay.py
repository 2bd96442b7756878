"""Recorded runs as tests: a thought is run again with its recorded answers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import TypeVar

from ..core import (
    AgentId,
    AnsweredAsk,
    Ask,
    Planner,
    ReplayDiverged,
    Situation,
    Thought,
    check_arguments,
    digest,
    to_json,
)
from ..simulation import Run

T = TypeVar("T")


@check_arguments
def retrace(thought: Thought[T], asked: Sequence[AnsweredAsk], where: str = "the thought") -> T:
    """The result of a thought that receives recorded answers.

    Each ask must equal the recorded one, and none may be left over. Raises ReplayDiverged
    naming the first that differs."""
    count = 0
    try:
        asks = next(thought)
        while True:
            for ask in asks:
                if count == len(asked):
                    raise ReplayDiverged(
                        f"{where}: ask {count + 1} ({_describe(ask)}) is not on record"
                    )
                if digest(to_json(ask)) != digest(to_json(asked[count].ask)):
                    raise ReplayDiverged(
                        f"{where}: ask {count + 1} is {_describe(ask)}; on record is "
                        f"{_describe(asked[count].ask)}"
                    )
                count += 1
            asks = thought.send(tuple(pair.answer for pair in asked[count - len(asks) : count]))
    except StopIteration as end:
        if count < len(asked):
            raise ReplayDiverged(
                f"{where}: ended after {count} asks; on record are {len(asked)}, the next "
                f"{_describe(asked[count].ask)}"
            ) from None
        result: T = end.value
        return result
    finally:
        thought.close()


@check_arguments
def retrace_step(planner: Planner, situation: Situation, asked: Sequence[AnsweredAsk]) -> object:
    """A planner's decision in a situation with recorded answers.

    ``asked`` comes from ``Step.asks`` of an agent, or from ``recorded_asks`` of a run."""
    return retrace(planner.decide(situation), asked, f"{situation.persona.name}'s step")


def recorded_asks(
    folder: Path | str, who: AgentId
) -> Iterator[tuple[int, tuple[AnsweredAsk, ...]]]:
    """For each step of a recorded run the asks of an agent with their answers, in order."""
    with Run(folder) as run:
        rows = sorted(
            run.asks(agent=who),
            key=lambda row: (row.where.step, *map(int, row.where.path.split("."))),
        )
        for step, group in groupby(rows, key=lambda row: row.where.step):
            yield step, tuple(AnsweredAsk(row.ask, row.answer) for row in group)


def _describe(ask: Ask) -> str:
    role = getattr(ask, "role", "")
    about = getattr(ask, "about", "") or getattr(ask, "tool", "")
    of = f" of role '{role}'" if role else ""
    return f"a {ask.kind}{of} {about!r}" if about else f"a {ask.kind}{of}"
