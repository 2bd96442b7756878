"""Real runs as pages: one of our own, and Smallville's finished day."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from denizens.core import Choose, Json, RunError, WorldError
from denizens.interop import load_smallville_page
from denizens.models import model_from_name
from denizens.simulation import ConversationCollector, Run, begin, read_scenario
from denizens.viewer import (
    PageData,
    collect_page_data,
    unpack_page,
    write_page,
)

JULY = "July1_the_ville_isabella_maria_klaus-step-3-20"
STEPS = 150


def started(name: str, home: Path, steps: int) -> None:
    """A run of so many steps with the improvising double."""
    simulation = begin(read_scenario(name), home, model=model_from_name("improvised"))
    try:
        for _ in simulation.run(steps=steps):
            pass
    finally:
        simulation.store.close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A morning in Larkspur with the improvising double."""
    home = tmp_path_factory.mktemp("run") / "lark"
    started("larkspur-morning", home, STEPS)
    return home


@pytest.fixture(scope="module")
def page(folder: Path) -> PageData:
    """That run as page data."""
    return collect_page_data(folder)


def test_positions_are_those_of_the_journal(folder: Path, page: PageData) -> None:
    """At every step the track of everybody holds the tile that the journal recorded."""
    with Run(folder) as run:
        where: dict[str, tuple[int, int]] = {}
        tracks = {person.id: list(person.track) for person in page.people}
        for entry in run.entries():
            for who, (x, y, *_) in entry["bodies"].items():
                where[who] = (x, y)
            for who, tile in where.items():
                found = [row for row in tracks[who] if row[0] <= entry["step"]][-1]
                assert found[1:] == tile


def test_choices_keep_their_probabilities(folder: Path, page: PageData) -> None:
    """Each choice of the run is in the page, its options' probabilities adding up to one."""
    with Run(folder) as run:
        asked = sum(isinstance(row.ask, Choose) for row in run.asks())
    bodies = [a.body for p in page.people for a in p.asks if a.kind == "choose"]
    assert len(bodies) == asked > 20
    for body in bodies:
        assert sum(p for _, p in body["options"]) == pytest.approx(1, abs=0.01)
        assert 0 <= body["chosen"] < len(body["options"])


def test_recalled_memories_are_there_to_jump_to(page: PageData) -> None:
    """Every hit of a recall and every evidence names a memory of the same person."""
    hits = 0
    for person in page.people:
        known = {memory.id for memory in person.memories}
        for ask in person.asks:
            for hit in ask.body["hits"] if ask.kind == "recall" else ():
                assert hit[0] in known
                hits += 1
        assert all(set(memory.evidence) <= known for memory in person.memories)
    assert hits > 10


def test_prompts_are_stored_once(page: PageData) -> None:
    """No text stands twice among the prompts, though messages recur in many asks."""
    used = Counter(
        index
        for person in page.people
        for ask in person.asks
        for index in ask.body.get("prompt", ())
    )
    assert len(set(page.texts)) == len(page.texts) == len(used)
    assert max(used.values()) > 20


def test_everybody_has_a_plan_and_wakes(page: PageData) -> None:
    """Plans with slots, acts with reasons, sleepers who rise."""
    for person in page.people:
        assert person.plans[-1].slots
        assert any(act.asleep for act in person.acts)
        assert any(act.why for act in person.acts)
    assert any("gets up" in text for _, text in page.headlines)


def test_a_run_without_a_step_is_refused(tmp_path: Path) -> None:
    """There is nothing to show of it, and the message says what to do."""
    started("larkspur-morning", tmp_path / "r", 0)
    with pytest.raises(RunError, match="no committed step"):
        collect_page_data(tmp_path / "r")


def test_a_world_without_tiles_becomes_islands(tmp_path: Path) -> None:
    """The crossroads, a graph of places: everybody stands on the island of their place."""
    started("crossroads", tmp_path / "r", 30)
    page = collect_page_data(tmp_path / "r")
    assert len(page.map.links) == 5
    assert {area.name for area in page.map.sectors} >= {"tea house", "roadside"}
    for person in page.people:
        for _, x, y in person.track:
            assert page.map.ground[int(y) * page.map.width + int(x)] != "water"


def event(kind: str, subject: str, predicate: str, object_: str, text: str = "") -> Json:
    """An event as the journal keeps it."""
    row = {"kind": kind, "subject": subject, "predicate": predicate, "object": object_}
    return {**row, "text": text, "place": "t:inn"}


def test_somebody_who_joins_is_a_member() -> None:
    """Three talk, one leaves, the other two go on; a later talk is another one."""
    talks = ConversationCollector()
    talks.add_events(1, [event("talk", "A", "talks to", "B")])
    talks.add_events(2, [event("said", "A", "says", "B", 'A says to B: "He said: "no"."')])
    talks.add_events(3, [event("talk", "C", "joins", "A and B")])
    talks.add_events(4, [event("said", "C", "says", "A and B", 'C says to A and B: "Hm."')])
    talks.add_events(5, [event("talk", "A", "leaves", "B and C")])
    talks.add_events(6, [event("said", "B", "says", "C", 'B says to C: "Well."')])
    talks.add_events(7, [event("talk", who, "ends talking with", "B and C") for who in "BC"])
    talks.add_events(9, [event("talk", "A", "talks to", "B")])
    talks.add_events(9, [event("said", "B", "says", "A", 'B says to A: "You again."')])
    first, second = talks.all
    assert first.members == ("A", "B", "C")
    assert [line[2] for line in first.lines] == ['He said: "no".', "Hm.", "Well."]
    assert (first.start, first.end, second.start) == (1, 7, 9)


@pytest.mark.data
def test_smallvilles_day_fits_and_shows_its_conversations(data: Path, tmp_path: Path) -> None:
    """The published check values: 8 conversations, 4,519 moves of one tile, 8,655 steps; and
    the file stays below 3 MB (20 are allowed)."""
    page = load_smallville_page(data / "smallville" / JULY)
    path = write_page(page, tmp_path / "july.html")
    assert path.stat().st_size < 3_000_000
    assert len(page.talks) == 8
    assert page.talks[0].start == 3574
    assert page.steps == 8655
    moves = [
        abs(a[1] - b[1]) + abs(a[2] - b[2])
        for person in page.people
        for a, b in zip(person.track, person.track[1:])
    ]
    assert Counter(moves) == {1: 4519}
    stored = unpack_page(path.read_text("utf-8"))
    assert [person["id"] for person in stored["people"]] == [p.id for p in page.people]
    assert sum(len(talk["lines"]) for talk in stored["talks"]) == sum(
        len(talk.lines) for talk in page.talks
    )


@pytest.mark.data
def test_a_base_that_never_ran_is_refused(data: Path) -> None:
    """A base has no movement to show."""
    with pytest.raises(RunError, match="no finished run"):
        load_smallville_page(data / "smallville" / "base_the_ville_isabella_maria_klaus")


@pytest.mark.data
def test_a_run_whose_map_is_gone_is_refused(data: Path, tmp_path: Path) -> None:
    """The map's folder must lie beside the run; the message says where."""
    copy = tmp_path / JULY
    copy.symlink_to(data / "smallville" / JULY)
    (tmp_path / "alone").mkdir()
    lone = tmp_path / "alone" / JULY
    lone.mkdir()
    (lone / "meta.json").write_text((data / "smallville" / JULY / "meta.json").read_text())
    with pytest.raises(WorldError, match="the_ville"):
        load_smallville_page(lone)
