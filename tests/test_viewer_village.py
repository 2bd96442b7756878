"""A run in Smallville's format, read back: the same positions, talks, minds and map."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from denizens.core import AgentId, Input, Json, Persona
from denizens.interop import export_smallville, load_scenario, load_smallville_page
from denizens.interop.smallville_folder import SmallvilleFolder, read_smallville_folder
from denizens.memory import load_smallville_memories
from denizens.memory.storage import read_records
from denizens.models import model_from_name
from denizens.simulation import Run, begin, read_scenario
from denizens.viewer import collect_page_data
from denizens.world import TownMap, load_smallville_map
from denizens.world.geometry import knows_place

STEPS = 150


def live(name: str | Path, home: Path, steps: int, *inputs: tuple[int, Input]) -> None:
    """A run with the improvising double; ``inputs`` come in at their steps."""
    simulation = begin(read_scenario(name), home, model=model_from_name("improvised"))
    with simulation.store:
        for tick in simulation.run(steps=steps):
            for step, given in inputs:
                if tick.step == step:
                    simulation.add(given)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """A morning in Larkspur, with a visitor and an awkward whisper."""
    home = tmp_path_factory.mktemp("run") / "lark"
    whisper = Input(kind="whisper", to="Felix Moor", text='=HYPERLINK("x"), \'tis;\nlate 💤')
    hello = Input(kind="line", who="A visitor", to="Tobias Reed", text="-1+2, they say.")
    live("larkspur", home, STEPS, (60, whisper), (70, hello))
    with Run(home) as opened:
        yield opened


@pytest.fixture(scope="module")
def village(run: Run, tmp_path_factory: pytest.TempPathFactory) -> SmallvilleFolder:
    """That run in Smallville's format, read back."""
    folder, maze = export_smallville(run, tmp_path_factory.mktemp("village") / "out")
    assert (folder.parent, maze.name) == (maze.parent, "larkspur")
    return read_smallville_folder(folder)


def bodies(run: Run) -> Iterator[tuple[int, dict[AgentId, list[Json]]]]:
    """Everybody's body as of every step."""
    now: dict[AgentId, list[Json]] = {}
    for entry in run.entries():
        now.update(entry["bodies"])
        yield entry["step"], dict(now)


def test_village_positions_and_doings(run: Run, village: SmallvilleFolder) -> None:
    """At every step everybody stands on the same tile, does the same with the same emoji."""
    moves = list(village.movements())
    assert (village.steps, village.step_seconds) == (STEPS, 60)
    assert village.start == run.time(0)
    now = {}
    for step, there in bodies(run):
        now.update({one.who: one for one in moves if one.step == step})
        assert now.keys() == run.people.keys()
        for who, one in now.items():
            x, y, place, doing, emoji, target = there[who]
            assert (one.at, one.doing, one.emoji) == ((x, y), doing, emoji)
            assert one.description.endswith(f" @ {target or place}")


def test_village_page_has_the_same_tracks_and_talks(run: Run, village: SmallvilleFolder) -> None:
    """The page of the export: same tracks; same conversations, members, words, beginning and
    end. A visitor is in the words only."""
    ours, theirs = collect_page_data(run), load_smallville_page(village.folder)
    tracks = {person.id: tuple(person.track) for person in ours.people}
    assert {person.id: tuple(person.track) for person in theirs.people} == {
        name: tracks[name] for name in run.people
    }
    last = run.steps - 1

    def told(page: Json) -> list[Json]:
        return [
            (
                *(talk.start, set(talk.members) & run.people.keys()),
                [(who, text) for _, who, text in talk.lines],
            )
            for talk in page.talks
        ]

    assert told(theirs) == told(ours)
    assert len(ours.talks) > 1
    for a, b in zip(ours.talks, theirs.talks):
        assert a.end == b.end or a.end >= last - 20
    assert any("A visitor" in {who for _, who, _ in talk.lines} for talk in theirs.talks)


def test_village_personas(run: Run, village: SmallvilleFolder) -> None:
    """The same people: identity, home, senses, facts, and the places they know."""
    town = village.map
    assert [one.name for one in village.personas] == list(run.people)
    for one in village.personas:
        mine = run.people[one.name]
        assert replace(one, knows=(), routine=()) == replace(mine, knows=(), routine=())
        assert {a for a in town.addresses if knows_place(one.knows, a)} == {
            a for a in town.addresses if knows_place(mine.knows, a)
        }


def test_village_memories(run: Run, village: SmallvilleFolder) -> None:
    """The same memories with evidence, depth and importance, and embeddings to the bit."""
    embedded = 0
    for who in run.people:
        records, vectors = load_smallville_memories(village.folder / "personas" / who)
        mine = run.memory(who).records()
        keys = ("id", "kind", "text", "created", "importance", "evidence", "depth")
        assert [[getattr(r, k) for k in keys] for r in records] == [
            [getattr(r, k) for k in keys] for r in mine
        ]
        for row in read_records(run.store, who):
            if row.vector is not None:
                assert vectors[row.record.id].astype("<f4").tobytes() == row.vector
                embedded += 1
    assert embedded > 50


def test_village_minds(village: SmallvilleFolder) -> None:
    """The files the original loads have its fields: nodes numbered without a gap, an
    embedding for each, a schedule that fills the day."""
    for one in village.personas:
        home = village.folder / "personas" / one.name / "bootstrap_memory"
        scratch = json.loads((home / "scratch.json").read_text("utf-8"))
        assert sum(minutes for _, minutes in scratch["f_daily_schedule"]) == 24 * 60
        assert scratch["f_daily_schedule"][0][0] == "sleeping"
        assert scratch["curr_time"] == "May 02, 2026, 08:50:00"
        minds = home / "associative_memory"
        nodes = json.loads((minds / "nodes.json").read_text("utf-8"))
        vectors = json.loads((minds / "embeddings.json").read_text("utf-8"))
        assert set(nodes) == {f"node_{number}" for number in range(1, len(nodes) + 1)}
        assert all(node["embedding_key"] in vectors for node in nodes.values())
        assert json.loads((minds / "kw_strength.json").read_text("utf-8")).keys() == {
            *("kw_strength_event", "kw_strength_thought")
        }


def same_map(ours: TownMap, theirs: TownMap) -> bool:
    """Whether two maps block the same tiles, name them alike and spawn in the same places."""
    layers = ("world", "width", "height", "tile", "blocked", "sectors", "arenas", "objects")
    return all(getattr(ours, one) == getattr(theirs, one) for one in layers) and (
        sorted((s.name, s.at, s.place) for s in ours.spawns)
        == sorted((s.name, s.at, s.place) for s in theirs.spawns)
    )


def test_village_map(run: Run, village: SmallvilleFolder) -> None:
    """Blocked tiles, addresses and spawn points of the original map."""
    assert run.town is not None
    assert same_map(run.town, village.map)
    assert village.map.addresses == run.town.addresses


def settled(persona: Persona) -> Persona:
    """A persona without what a day changes, and what it knows in one order."""
    return replace(persona, currently="", knows=tuple(sorted(persona.knows)))


@pytest.mark.data
def test_a_smallville_base_goes_round(data: Path, tmp_path: Path) -> None:
    """Their own base, run here and exported: their map and people again."""
    source = data / "smallville" / "base_the_ville_isabella_maria_klaus"
    simulation = begin(
        load_scenario(source).with_overrides(planner="routine"),
        tmp_path / "run",
        model=model_from_name("improvised"),
    )
    with simulation.store:
        list(simulation.run(steps=5))
    with Run(tmp_path / "run") as run:
        folder, maze = export_smallville(run, tmp_path / "out")
    before, after = read_smallville_folder(source), read_smallville_folder(folder)
    assert same_map(load_smallville_map(data / "smallville" / "the_ville"), after.map)
    assert maze.name == before.map.name
    assert {settled(p) for p in after.personas} == {settled(p) for p in before.personas}
    assert after.starts == before.starts


def test_people_without_bounds_and_home(tmp_path: Path) -> None:
    """Who knows all places knows them all again; who has no home lives where it woke; a
    semicolon does not split a fact; a name may look like the map's."""
    (tmp_path / "a.toml").write_text(
        '[scenario]\nname = "larkspur"\nextends = "larkspur"\n[[people]]\n'
        'name = "Larkspur-1"\nfacts = ["One; and two.", "Rain, they say."]\n'
    )
    live(tmp_path / "a.toml", tmp_path / "run", 3)
    with Run(tmp_path / "run") as run:
        folder, maze = export_smallville(run, tmp_path / "out")
        (one,) = read_smallville_folder(folder).personas
        first = next(iter(run.entries()))["bodies"]["Larkspur-1"]
        assert run.town is not None
        assert all(knows_place(one.knows, address) for address in run.town.addresses)
        assert run.town.find_address(one.home) == run.town.find_address(first[2])
        assert one.facts == ("One, and two.", "Rain, they say.")
        assert folder.name != maze.name
