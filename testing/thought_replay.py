"""Recorded runs as tests: a thought thought again from the answers on record."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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
    """The result of a thought that is given the answers it was given before.

    Every ask must be the one on record, and none may be left over. Raises ReplayDiverged
    naming the first that differs."""
    at = 0
    try:
        asks = next(thought)
        while True:
            for ask in asks:
                if at == len(asked):
                    raise ReplayDiverged(
                        f"{where}: ask {at + 1} ({_describe(ask)}) is not on record"
                    )
                if digest(to_json(ask)) != digest(to_json(asked[at].ask)):
                    raise ReplayDiverged(
                        f"{where}: ask {at + 1} is {_describe(ask)}; on record is "
                        f"{_describe(asked[at].ask)}"
                    )
                at += 1
            asks = thought.send(tuple(one.answer for one in asked[at - len(asks) : at]))
    except StopIteration as end:
        if at < len(asked):
            raise ReplayDiverged(
                f"{where}: ended after {at} asks; on record are {len(asked)}, the next "
                f"{_describe(asked[at].ask)}"
            ) from None
        result: T = end.value
        return result
    finally:
        thought.close()


@check_arguments
def retrace_step(planner: Planner, situation: Situation, asked: Sequence[AnsweredAsk]) -> object:
    """A planner's decision in a situation, from the answers of a recorded step.

    ``Step.asks`` of an agent's step has them, and ``recorded_asks`` those of a recorded run."""
    return retrace(planner.decide(situation), asked, f"{situation.persona.name}'s step")


def recorded_asks(
    folder: Path | str, who: AgentId
) -> Iterator[tuple[int, tuple[AnsweredAsk, ...]]]:
    """What somebody asked in each step of a recorded run, with the answers, in order."""
    with Run(folder) as run:
        step = -1
        found: list[AnsweredAsk] = []
        rows = sorted(
            run.asks(agent=who), key=lambda row: (row.where.step, _path_order(row.where.path))
        )
        for row in rows:
            if row.where.step != step and found:
                yield step, tuple(found)
                found = []
            step = row.where.step
            found.append(AnsweredAsk(row.ask, row.answer))
        if found:
            yield step, tuple(found)


def _path_order(path: str) -> tuple[int, ...]:
    return tuple(map(int, path.split(".")))


def _describe(ask: Ask) -> str:
    role = getattr(ask, "role", "")
    about = getattr(ask, "about", "") or getattr(ask, "tool", "")
    of = f" of role '{role}'" if role else ""
    return f"a {ask.kind}{of} {about!r}" if about else f"a {ask.kind}{of}"
