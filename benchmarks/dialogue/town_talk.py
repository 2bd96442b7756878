"""The conversations of a town over several seeds: their lines, prompts and text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from ...core import (
    NEXT_LINE_ROLE,
    AgentId,
    Choose,
    Completion,
    Generate,
    Message,
    Model,
    Persona,
    Time,
    to_json,
)
from ...interop import load_scenario
from ...planners.text import clean_line
from ...simulation import Run, begin

SCENARIO = "larkspur-morning"
SEEDS = (1, 2, 3, 4, 5)
SPEECH_ROLE = "speech"  # of the requests that generate lines

_Draft: TypeAlias = tuple[str, tuple[Message, ...]]
"""A draft of a line and its prompt."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TownLine:
    """A line of a run. ``prompt`` are the messages that its drafts were made and judged by, empty
    if none is recorded."""

    step: int
    who: AgentId
    text: str
    prompt: tuple[Message, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TownConversation:
    """A conversation of a run. ``people`` are the personas of its run by name."""

    seed: int
    at: Time
    place: str
    members: tuple[AgentId, ...]
    lines: tuple[TownLine, ...]
    people: dict[AgentId, Persona]

    @property
    def heading(self) -> str:
        """Seed, time, place and members in one line."""
        place = self.place.rpartition(":")[2] or self.place
        return f"seed {self.seed}, {self.at:%H:%M}, {place}: {', '.join(self.members)}"


def run_mornings(
    model: Model,
    folder: Path,
    seeds: Sequence[int] = SEEDS,
    *,
    scenario: str = SCENARIO,
    until: Time | None = None,
    progress: Callable[[str], None] = lambda line: None,
) -> list[Path]:
    """Run a scenario with each seed, at the same time and with one model, which answers the asks
    of all runs in the same batches. Returns the folders of the runs in ``folder``; a seed whose
    folder holds a run already is not run again."""

    def run_seed(seed: int) -> Path:
        target = folder / f"{scenario}-{seed}"
        if (target / "run.db").exists():
            return target
        settings = load_scenario(scenario).with_overrides(seed=seed)
        simulation = begin(settings, target, model=model, keep_going=True, progress=lambda _: None)
        with simulation.store:
            for _ in simulation.run(until=until, progress=False):
                pass
        progress(f"seed {seed}: {simulation.step} steps")
        return target

    with ThreadPoolExecutor(len(seeds)) as pool:
        return list(pool.map(run_seed, seeds))


def read_conversations(folder: Path) -> list[TownConversation]:
    """The conversations of a run, in order of their start."""
    with Run(folder) as run:
        drafts: dict[tuple[int, AgentId], list[_Draft]] = {}
        for row in run.asks():
            made = drafts.setdefault((row.where.step, row.where.agent), [])
            if isinstance(row.ask, Choose) and row.ask.role == NEXT_LINE_ROLE:
                made += [(option.name, row.ask.messages) for option in row.ask.options]
            elif isinstance(row.ask, Generate) and row.ask.role == SPEECH_ROLE:
                text = row.answer.text if isinstance(row.answer, Completion) else ""
                made.append((text, row.ask.messages))
        return [
            TownConversation(
                seed=run.scenario.scenario.seed,
                at=run.time(talk.start),
                place=talk.place,
                members=talk.members,
                people=run.people,
                lines=tuple(
                    TownLine(
                        step=step,
                        who=who,
                        text=text,
                        prompt=_prompt_of(text, who, drafts.get((step, who), [])),
                    )
                    for step, who, text in talk.lines
                ),
            )
            for talk in run.conversations()
        ]


def _prompt_of(text: str, who: AgentId, drafts: Sequence[_Draft]) -> tuple[Message, ...]:
    """The prompt of the draft that became ``text``, or of another draft in its place."""
    for raw, messages in drafts:
        if raw == text or clean_line(raw, who) == text or text in " ".join(raw.split()):
            return messages
    return drafts[0][1] if drafts else ()


def scenario_text(conversation: TownConversation) -> str:
    """All that a scenario says of its people: names in it are not invented."""
    return " ".join(_texts(to_json(persona)) for persona in conversation.people.values())


def _texts(value: object) -> str:
    if isinstance(value, dict):
        return " ".join(_texts(one) for one in value.values())
    if isinstance(value, list):
        return " ".join(_texts(one) for one in value)
    return str(value)


def conversation_text(conversation: TownConversation) -> str:
    """A conversation as text: a heading, then a line for each line.

    A line whose prompt is recorded is printed as it was said, without marks of any judgement."""
    lines = [f"{line.who}: {line.text}" for line in conversation.lines]
    return "\n".join([f"== {conversation.heading}", *lines, ""])
