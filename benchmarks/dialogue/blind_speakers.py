"""Speakers of a blind comparison: the next line of a person in a given conversation.

A situation is plain data, so that different versions of the package can speak in the same ones.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from ...agents import Agent, AskRouter
from ...core import (
    Action,
    Affordance,
    Completion,
    ConversationView,
    DataError,
    Generate,
    Message,
    Model,
    Observation,
    Persona,
    Seed,
    Utterance,
    VisibleAgent,
    answer_all,
    drive,
)
from ...memory import Memory
from ...planners import Daily
from ...planners.text import clean_line
from ...store import Store

NINE = datetime(2026, 5, 2, 9)
SAY_SCHEMA = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}
CAN = (Affordance("say", "", SAY_SCHEMA), Affordance("wait"), Affordance("leave"))
SILENCE = "(says nothing)"
ATTEMPTS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class BlindSituation:
    """A person ``me`` talks with ``partner`` and is to say the next line. ``background``,
    ``currently`` and ``facts`` are sentences about ``me`` in the third person; ``lines`` are pairs
    of a name and a text, the last one the partner's; ``source`` is "town" or "talk"."""

    id: int
    source: str
    me: str
    partner: str
    place: str
    traits: str = ""
    background: str = ""
    currently: str = ""
    facts: tuple[str, ...] = ()
    doing: str = "talking"
    partner_doing: str = "talking"
    lines: tuple[tuple[str, str], ...] = ()


def write_situations(situations: Sequence[BlindSituation], file: Path) -> None:
    """Write situations, one a line."""
    text = "".join(json.dumps(asdict(one), ensure_ascii=False) + "\n" for one in situations)
    file.write_text(text, encoding="utf-8")


def read_situations(file: Path) -> list[BlindSituation]:
    """Read situations that ``write_situations`` has written. Raises DataError."""
    try:
        rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
        return [
            BlindSituation(
                **{
                    **row,
                    "facts": tuple(row["facts"]),
                    "lines": tuple((who, text) for who, text in row["lines"]),
                }
            )
            for row in rows
        ]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{file}: holds no situations ({error})") from error


def planner_lines(
    model: Model, situations: Sequence[BlindSituation], planner: Daily | None = None
) -> dict[int, str]:
    """The line that the planner (default: Daily, which ends no conversation by its length) says
    in each situation, by id. The person remembers its facts; people with different names speak
    side by side. Who says nothing is asked again, as at the next step of a run, up to ATTEMPTS
    times; then the line is SILENCE."""
    planner = planner or Daily(min_lines=99, max_lines=99)
    lines: dict[int, str] = {}
    waiting = [(one, attempt) for attempt in range(ATTEMPTS) for one in situations]
    while waiting := [pair for pair in waiting if lines.get(pair[0].id, SILENCE) == SILENCE]:
        batch = {pair[0].me: pair for pair in reversed(waiting)}
        waiting = [pair for pair in waiting if batch[pair[0].me] is not pair]
        with Store(":memory:") as store:
            agents = {who: _agent(one, model, store, planner) for who, (one, _) in batch.items()}
            thoughts = {
                who: agent.live(_seen(one), CAN, seed=Seed.of(one.id).child("attempt", attempt))
                for (who, agent), (one, attempt) in zip(agents.items(), batch.values())
            }
            steps = drive(thoughts, AskRouter(agents, at=NINE))
        lines |= {batch[who][0].id: _line_of(step.action) for who, step in steps.items()}
    return lines


def _agent(situation: BlindSituation, model: Model, store: Store, planner: Daily) -> Agent:
    persona = Persona(
        name=situation.me,
        traits=situation.traits,
        background=situation.background,
        currently=situation.currently,
        facts=situation.facts,
    )
    memory = Memory(store, situation.me)
    agent = Agent(persona, model=model, memory=memory, planner=planner)
    agent.bootstrap(at=NINE.replace(hour=6))
    return agent


def _seen(situation: BlindSituation) -> Observation:
    lines = tuple(Utterance(who, text, NINE) for who, text in situation.lines)
    talk = ConversationView("t1", (situation.me, situation.partner), situation.me, lines, False)
    partner = VisibleAgent(situation.partner, 1, situation.partner_doing, talking=True)
    return Observation(
        situation.me,
        NINE,
        situation.place,
        people=(partner,),
        doing=situation.doing,
        talk=talk,
    )


def _line_of(action: Action | None) -> str:
    text = action.fields.get("text", "") if action and action.verb == "say" else ""
    return text or SILENCE


def role_play_lines(model: Model, situations: Sequence[BlindSituation]) -> dict[int, str]:
    """The line of one ``Generate`` with the usual role-play prompt and the base weights."""
    asks = [
        Generate(
            messages=_role_play_prompt(one),
            max_tokens=64,
            temperature=0.7,
            top_p=0.9,
            seed=Seed.of(one.id).child("role play").number,
        )
        for one in situations
    ]
    lines = {}
    for one, answer in zip(situations, answer_all(model.client(), asks)):
        raw = answer.text if isinstance(answer, Completion) else ""
        lines[one.id] = clean_line(raw, one.me, [one.partner]) or " ".join(raw.split()) or SILENCE
    return lines


def _role_play_prompt(situation: BlindSituation) -> tuple[Message, ...]:
    facts = " ".join(situation.facts)
    about = f"{situation.background} {situation.currently} {facts}".strip()
    system = (
        f"You are {situation.me}. {about} You are talking with {situation.partner}. Stay in "
        f"character as {situation.me}. Answer in one or two short sentences."
    )
    turns = [
        Message.of("assistant" if who == situation.me else "user", text)
        for who, text in situation.lines
    ]
    if not turns or turns[0].role == "assistant":
        turns = [Message.of("user", f"Start the conversation with {situation.partner}."), *turns]
    return (Message.of("system", system), *turns)


def write_lines(lines: Mapping[int, str], file: Path) -> None:
    """Write lines by situation as one JSON object."""
    data = {str(number): lines[number] for number in sorted(lines)}
    file.write_text(json.dumps(data, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def read_lines(file: Path) -> dict[int, str]:
    """Read lines that ``write_lines`` has written. Raises DataError."""
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
        return {int(number): str(text) for number, text in data.items()}
    except (OSError, ValueError, AttributeError) as error:
        raise DataError(f"{file}: holds no lines by situation ({error})") from error
