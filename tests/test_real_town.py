"""A morning of Larkspur on the real model: what the minds must show, with generous bounds."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from denizens import (
    Choice,
    Choose,
    Completion,
    Generate,
    Recall,
    Run,
    begin,
    load_model,
    load_scenario,
    replay,
)
from denizens.core import (
    DEFAULT_VOICE,
    NEXT_LINE_ROLE,
    Answer,
    Delta,
    Done,
    Model,
    ModelAsk,
    Recalled,
)
from denizens.planners.speech import is_farewell
from denizens.planners.text import repeats
from denizens.simulation import AskRow, Simulation

pytestmark = pytest.mark.real

STEPS = 110
"""From 06:20 until after breakfast, the first meetings."""


@pytest.fixture(scope="module")
def folder(smollm2: Model, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A morning of three people, run once for all tests here."""
    place = tmp_path_factory.mktemp("town") / "run"
    town = begin(load_scenario("larkspur-morning"), place, model=smollm2)
    for _ in town.run(steps=STEPS):
        pass
    town.store.close()
    return place


@pytest.fixture(scope="module")
def run(folder: Path) -> Iterator[Run]:
    """The morning's run, opened for reading."""
    with Run(folder) as opened:
        yield opened


@pytest.fixture(scope="module")
def rows(run: Run) -> list[AskRow]:
    """All its asks."""
    return list(run.asks())


def answers(model: Model, asks: list[ModelAsk]) -> list[Answer]:
    """What the model answers to asks put side by side."""
    client = model.client()
    tickets = [client.submit(ask) for ask in asks]
    found: dict[int, Answer] = {}
    while len(found) < len(tickets):
        for item in client.wait():
            assert isinstance(item, Done | Delta)
            if isinstance(item, Done):
                found[item.ticket] = item.answer
    return [found[ticket] for ticket in tickets]


def lines(run: Run) -> list[tuple[str, str]]:
    """(speaker, text) of every line said."""
    said = []
    for entry in run.entries():
        for who, (verb, _, fields, *_) in entry["actions"].items():
            if verb in ("say", "interrupt"):
                said.append((who, fields["text"]))
    return said


def test_everybody_planned_the_day(run: Run) -> None:
    """Each of the three has a plan, in words of the model, that fills the day to bed time."""
    for name in run.people:
        state = run.journal.state(name, run.steps - 1)
        assert state is not None
        assert len(state.plan) >= 4, f"{name}: {state.plan}"
        assert sum(slot.minutes for slot in state.schedule) > 10 * 60
        made = {
            row.answer.text for row in run.asks(agent=name) if isinstance(row.answer, Completion)
        }
        written = [
            slot.doing for slot in state.schedule if any(slot.doing in text for text in made)
        ]
        assert written, f"{name} only kept habits: {state.schedule}"


def test_they_met_and_talked(run: Run) -> None:
    """There is a conversation of four lines or more."""
    from denizens.viewer import collect_page_data

    assert max((len(talk.lines) for talk in collect_page_data(run).talks), default=0) >= 4


def test_every_line_came_from_the_model(run: Run, rows: list[AskRow]) -> None:
    """Every line is a draft that the critic chose, or a farewell where no draft was fit; and most
    of what was not remembered word for word was written by the speaker's model."""
    said = lines(run)
    assert said
    written = 0
    for who, text in said:
        own = [row for row in rows if row.where.agent == who]
        spoken = [
            " ".join(row.answer.text.split())
            for row in own
            if row.role == "speech" and isinstance(row.answer, Completion)
        ]
        judged = {
            option.name
            for row in own
            if row.role == NEXT_LINE_ROLE and isinstance(row.ask, Choose)
            for option in row.ask.options
        }
        written += any(" ".join(text.split()) in whole for whole in spoken)
        assert text in judged or is_farewell(text), f"{who}: {text}"
    assert written >= len(said) // 4, f"{written} of {len(said)} lines"


def test_few_lines_repeat_an_earlier_one(run: Run) -> None:
    """Under a tenth of the lines say again what the same person said before."""
    told: dict[str, list[str]] = {}
    again = 0
    said = lines(run)
    for who, text in said:
        again += repeats(text, told.setdefault(who, []), share=0.9)
        told[who].append(text)
    assert again <= max(1, len(said) // 10), f"{again} of {len(said)}"


def test_choices_do_not_hang_on_the_order_of_options(smollm2: Model, rows: list[AskRow]) -> None:
    """Shuffling the options changes under a tenth of the choices."""
    rng = random.Random(5)
    chosen = [
        (row.ask, row.answer)
        for row in rows
        if isinstance(row.ask, Choose) and isinstance(row.answer, Choice)
    ]
    sample = rng.sample(chosen, min(30, len(chosen)))
    shuffled = [
        replace(ask, options=tuple(rng.sample(ask.options, len(ask.options)))) for ask, _ in sample
    ]
    changed = 0
    for (ask, before), mixed, after in zip(sample, shuffled, answers(smollm2, list(shuffled))):
        assert isinstance(after, Choice)
        changed += ask.options[before.index].name != mixed.options[after.index].name
    assert changed <= len(sample) // 10, f"{changed} of {len(sample)}"


def test_places_agree_with_the_plan(run: Run, rows: list[AskRow]) -> None:
    """The place chosen for an activity is nearer to it in meaning than places chosen for
    other activities: more of its words stand in the activity's own place."""
    pairs = [
        (row.ask.about, row.ask.options[row.answer.index].description)
        for row in rows
        if row.role == "place" and isinstance(row.ask, Choose) and isinstance(row.answer, Choice)
    ]
    assert len(pairs) >= 8
    own = sum(_shared(doing, place) for doing, place in pairs) / len(pairs)
    others = [
        _shared(doing, place)
        for at, (doing, _) in enumerate(pairs)
        for other, (_, place) in enumerate(pairs)
        if at != other and doing != pairs[other][0]
    ]
    assert own > 1.5 * sum(others) / len(others)


def _shared(doing: str, place: str) -> float:
    """The share of an activity's longer words that a place's description holds (by stem)."""
    words = [word[:5] for word in doing.lower().split() if len(word) > 3]
    known = " ".join(word[:5] for word in place.lower().replace(",", " ").split())
    return sum(word in known for word in words) / max(1, len(words))


def test_memories_are_recalled_with_their_parts(rows: list[AskRow]) -> None:
    """Talks rest on recalled memories, each with the parts of its score."""
    hits = [
        hit
        for row in rows
        # Reflection starts from the newest memories, whatever else they weigh.
        if isinstance(row.ask, Recall) and row.ask.cue.rules == ""
        if isinstance(row.answer, Recalled)
        for hit in row.answer.hits
    ]
    assert hits
    for hit in hits:
        assert hit.score == pytest.approx(hit.recency + hit.importance + hit.relevance)


def test_replay_agrees_and_calls_no_model(folder: Path, run: Run) -> None:
    """The morning lived again from its record ends on the same hash."""
    again = replay(folder)
    assert (again.steps, again.hash) == (STEPS, run.hash)


def test_exact_runs_are_equal(tmp_path: Path) -> None:
    """Two fresh runs of the real model under ``exact`` end on the same hash."""
    model = load_model("smollm2", exact=True)
    scenario = load_scenario("crossroads")
    scenario = replace(
        scenario,
        people=scenario.people[:1],
        inputs=(),
        minds=replace(scenario.minds, daily={"candidates": 1}),
    )
    hashes = []
    for name in ("a", "b"):
        town: Simulation = begin(scenario, tmp_path / name, model=model)
        for _ in town.run(steps=2):
            pass
        assert any(row.kind == "generate" for row in town.journal.asks())
        hashes.append(town.hash)
        town.store.close()
    assert hashes[0] == hashes[1]


def test_an_agent_answers_in_a_chat(smollm2: Model) -> None:
    """The agent of the README answers a person from its memory, beside drafts in its voice,
    and remembers both."""
    from denizens import Agent, Memory, Persona

    persona = Persona(
        name="Bo Lind",
        background="Bo Lind is the baker of a small town.",
        facts=("Bo Lind's oven broke last winter.",),
    )
    bo = Agent(persona, model=smollm2, memory=Memory(":memory:", "Bo Lind"), tools=["calculator"])
    reply = bo.chat("What happened to your oven?", person="Ada")
    drafted = [one.ask for one in reply.step.asks if isinstance(one.ask, Generate)]
    assert {ask.voice for ask in drafted} == {DEFAULT_VOICE}
    assert "oven" in reply.text
    assert "broke" in reply.text
    assert {record.who for record in bo.memory.records(kinds=("utterance",))} == {"Ada", "Bo Lind"}
