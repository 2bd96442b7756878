"""Smallville folders as people have them: copied, edited, saved amidst, of other editors."""

from __future__ import annotations

import json
import logging
from datetime import datetime
from pathlib import Path

import pytest
from denizens.core import Cue, Json, MapError, MemoryFault, SettingError
from denizens.interop import load_scenario
from denizens.models import ImprovisedModel
from denizens.simulation import agent_from_scenario, begin, replay
from denizens.store import Store

BLOCKS = {
    "world_blocks": "1, Fen",
    "sector_blocks": "2, Fen, barn",
    "arena_blocks": "3, Fen, barn, loft",
    "game_object_blocks": "4, Fen, barn, cot",
    "spawning_location_blocks": "5, Fen, barn, loft, sp-A",
}
MAZES = {
    "collision_maze": [0] * 8,
    "sector_maze": [2] * 8,
    "arena_maze": [3] * 8,
    "game_object_maze": [4] + [0] * 7,
    "spawning_location_maze": [0] * 8,
}
SCRATCH = {
    "age": 30,
    "innate": "calm",
    "learned": "keeps geese",
    "currently": "mends a fence",
    "lifestyle": "sleeps from 10pm to 6am",
    "living_area": "Fen:barn:loft",
}


def thought(text: str, **fields: Json) -> Json:
    """A node of somebody's memory."""
    common = {"type": "thought", "depth": 1, "created": "2023-02-12 18:00:00", "poignancy": 14}
    parts = {"subject": "Ina Roe", "predicate": "owes", "object": "money", "filling": None}
    return common | parts | {"description": text, "embedding_key": text} | fields


def put(file: Path, data: Json, encoding: str = "utf-8") -> None:
    """A file with its folders."""
    file.parent.mkdir(parents=True, exist_ok=True)
    text = data if isinstance(data, str) else json.dumps(data, ensure_ascii=False)
    file.write_bytes(text.encode(encoding))


def fen(
    home: Path,
    names: tuple[str, ...] = ("Ina Roe", "Ole Roe"),
    *,
    maps: Path | None = None,
    encoding: str = "utf-8",
    **meta: Json,
) -> Path:
    """A village of one barn, 4 x 2 tiles, and a base simulation in it."""
    matrix = (maps or home.parent) / "fen" / "matrix"
    put(matrix / "maze_meta_info.json", {"maze_width": 4, "maze_height": 2, "sq_tile_size": 32})
    for name, row in BLOCKS.items():
        put(matrix / "special_blocks" / f"{name}.csv", row, encoding)
    for name, ids in MAZES.items():
        put(matrix / "maze" / f"{name}.csv", ", ".join(map(str, ids)), encoding)
    about = {"curr_time": "February 13, 2023, 06:00:00", "sec_per_step": 10, "step": 0}
    put(
        home / "reverie" / "meta.json",
        about | {"maze_name": "fen", "persona_names": names} | meta,
        encoding,
    )
    tiles = {name: {"maze": "fen", "x": place, "y": 0} for place, name in enumerate(names)}
    put(home / "environment" / "0.json", tiles, encoding)
    for name in names:
        memory = home / "personas" / name / "bootstrap_memory"
        put(memory / "scratch.json", SCRATCH | {"name": name}, encoding)
        put(memory / "spatial_memory.json", {"Fen": {"barn": {"loft": ["cot"]}}}, encoding)
        put(memory / "associative_memory" / "nodes.json", {}, encoding)
        put(memory / "associative_memory" / "embeddings.json", {}, encoding)
    return home


def nodes(home: Path, name: str) -> Path:
    """The file of somebody's memories."""
    return home / "personas" / name / "bootstrap_memory" / "associative_memory" / "nodes.json"


def test_a_person_more_takes_nobodys_history(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The history that names most people is given to them, under any spelling of their names
    and from all of their rows; whom it does not name has none, and that is said."""
    home = fen(tmp_path / "base", ("Ina Roe", "Ole Roe", "Pia Lund"))
    rows = "Name,Whisper\nina  roe,You keep geese; You know Ole Roe\nOle Roe,You mow\nIna Roe,More"
    put(tmp_path / "fen" / "agent_history_init_n2.csv", rows)
    put(tmp_path / "fen" / "agent_history_init_n1.csv", "Name,Whisper\nOle Roe,You sing\n")
    people = {one.persona.name: one.persona.facts for one in load_scenario(home).people}
    assert people == {
        "Ina Roe": ("You keep geese", "You know Ole Roe", "More"),
        "Ole Roe": ("You mow",),
        "Pia Lund": (),
    }
    assert "agent_history_init_n2.csv: names no Pia Lund" in caplog.text


def test_who_is_left_out_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A history in which all names are misspelled, and a persona's folder that meta.json does
    not name, are warned of."""
    home = fen(tmp_path / "base", ("Ina Roe", "Ole Roe"))
    put(tmp_path / "fen" / "agent_history_init_n2.csv", "Name,Whisper\nIna Row,You keep geese\n")
    load_scenario(home)
    assert "agent_history_init_n2.csv: names nobody of the people" in caplog.text
    assert "persona_names" not in caplog.text
    (home / "personas" / "Pia Lund" / "bootstrap_memory").mkdir(parents=True)
    load_scenario(home)
    assert "Pia Lund: is not among the persona_names of meta.json" in caplog.text


def test_memories_of_a_base_are_first_memories(tmp_path: Path) -> None:
    """What nodes.json holds is taken over in the first step, as important as it says, with its
    evidence, and the run replays without the folder."""
    home = fen(tmp_path / "base")
    held = {"node_1": thought("Ole owes me ten"), "node_2": thought("So", filling=["node_1"])}
    put(nodes(home, "Ina Roe"), held)
    put(tmp_path / "fen" / "agent_history_init_n2.csv", "n,w\nIna Roe,You keep geese\nOle Roe,Mow")
    run = tmp_path / "run"
    simulation = begin(load_scenario(home), run, model=ImprovisedModel())
    list(simulation.run(steps=2))
    mine = simulation.agents["Ina Roe"].memory.records()
    first, second = (next(one for one in mine if one.text == text) for text in (
        "Ole owes me ten", "So"
    ))  # fmt: skip
    assert (first.importance, first.created) == (14, datetime(2023, 2, 12, 18))
    assert second.evidence == (first.id,)
    assert {"You keep geese", "Ole owes me ten"} <= {one.text for one in mine}
    texts = {one.text for one in simulation.agents["Ole Roe"].memory.records()}
    assert "Ole owes me ten" not in texts
    head = simulation.hash
    simulation.store.close()
    nodes(home, "Ina Roe").unlink()
    assert replay(run).hash == head


def test_a_saved_run_goes_on(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """At the time and on the tiles at which it was saved, with its memories and without a
    second telling of its history; that plans are made anew is said."""
    home = fen(tmp_path / "mine", step=360, curr_time="February 13, 2023, 07:00:00")
    put(nodes(home, "Ina Roe"), {"node_1": thought("Ole owes me ten")})
    put(tmp_path / "fen" / "agent_history_init_n2.csv", "n,w\nIna Roe,You keep geese\nOle Roe,Mow")
    stood = {"Ina Roe": {"x": 2, "y": 1}, "Ole Roe": {"x": 3, "y": 1}}
    put(home / "environment" / "360.json", stood)
    scenario = load_scenario(home)
    assert scenario.start == datetime(2023, 2, 13, 7)
    assert [one.start for one in scenario.people] == [(2, 1), (3, 1)]
    assert "360 steps; current plans and conversations are not taken over" in caplog.text
    simulation = begin(
        scenario.with_overrides(planner="routine"), tmp_path / "run", model=ImprovisedModel()
    )
    (tick,) = simulation.run(steps=1)
    assert tick.at == datetime(2023, 2, 13, 7)
    texts = [one.text for one in simulation.agents["Ina Roe"].memory.records()]
    assert "Ole owes me ten" in texts
    assert "You keep geese" not in texts


def test_a_saved_run_without_its_places_is_refused(tmp_path: Path) -> None:
    """The last moves stand in for the last tiles; without either, or without its memories, a
    saved run is refused with the reason."""
    home = fen(tmp_path / "mine", step=3)
    with pytest.raises(SettingError, match=r"environment/3\.json nor movement/2\.json says where"):
        load_scenario(home)
    moves = {"Ina Roe": {"movement": [1, 1]}, "Ole Roe": {"movement": [2, 1]}}
    put(home / "movement" / "2.json", {"persona": moves})
    assert [one.start for one in load_scenario(home).people] == [(1, 1), (2, 1)]
    nodes(home, "Ole Roe").unlink()
    with pytest.raises(SettingError, match="Ole Roe would continue without memories"):
        load_scenario(home)
    put(nodes(home, "Ole Roe"), {"node_1": thought("x", poignancy=None)})
    with pytest.raises(MemoryFault, match=r"nodes\.json: node_1 cannot be read"):
        load_scenario(home)


def test_the_layout_of_a_checkout(tmp_path: Path) -> None:
    """The map lies where the original keeps it, two folders up; the error names both places."""
    server = tmp_path / "frontend_server"
    home = fen(server / "storage" / "base", maps=server / "static_dirs" / "assets")
    assert Path(load_scenario(home).world.map).parent.name == "assets"
    (server / "static_dirs").rename(server / "elsewhere")
    with pytest.raises(MapError, match=r"storage/fen nor at .*static_dirs/assets/fen; put"):
        load_scenario(home)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_files_of_other_editors(tmp_path: Path, encoding: str) -> None:
    """A byte order mark in every file of the folder changes nothing."""
    home = fen(tmp_path / "base", encoding=encoding)
    put(tmp_path / "fen" / "agent_history_init_n2.csv", "n,w\nIna Roe,Gå\nOle Roe,Mow", encoding)
    assert [one.persona.facts for one in load_scenario(home).people] == [("Gå",), ("Mow",)]


def test_latin_1_is_refused_with_the_remedy(tmp_path: Path) -> None:
    """Wherever it is found, the error names the file and says to save it as UTF-8."""
    home = fen(tmp_path / "base", ("Zoë Roe",))
    history = tmp_path / "fen" / "agent_history_init_n1.csv"
    scratch = home / "personas" / "Zoë Roe" / "bootstrap_memory" / "scratch.json"
    put(history, "n,w\nZoë Roe,Mow", "latin-1")
    with pytest.raises(MapError, match=r"n1\.csv: is not UTF-8 .*save the file as UTF-8") as caught:
        load_scenario(home)
    assert "once more" not in str(caught.value)
    history.unlink()
    put(scratch, SCRATCH | {"name": "Zoë Roe"}, "latin-1")
    with pytest.raises(SettingError, match=r"scratch\.json: is not UTF-8 .*save the file as UTF-8"):
        load_scenario(home)


@pytest.mark.parametrize(
    ("meta", "words"),
    [
        ({"step": None}, "step is None"),
        ({"step": True}, "step is True"),
        ({"persona_names": ["Ina Roe", "Ina Roe"]}, "names somebody twice"),
        ({"persona_names": ["../Ina Roe"]}, "names those of folders"),
        ({"persona_names": [3]}, "not a Smallville meta file"),
        ({"maze_name": ".."}, "names those of folders"),
        ({"maze_name": None}, "maze_name is None"),
    ],
)
def test_meta_files_that_mislead(tmp_path: Path, meta: Json, words: str) -> None:
    """Nulls, truth values, names twice and names that lead elsewhere are refused."""
    with pytest.raises((SettingError, MapError), match=words):
        load_scenario(fen(tmp_path / "base", **({"names": ("Ina Roe",)} | meta)))


def test_memories_of_a_scenario_file(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A TOML scenario names a persona's folder; a folder without memories is refused, and
    memories cannot be given at a moment."""
    caplog.set_level(logging.ERROR)
    home = fen(tmp_path / "base")
    put(nodes(home, "Ina Roe"), {"node_1": thought("Ole owes me ten")})
    head = '[scenario]\nname = "barn"\n[world]\nkind = "places"\nplaces = [{ name = "barn" }]\n'
    person = '[[people]]\nname = "Ina Roe"\nhome = "barn:barn"\nmemories = "{}"\n'
    file = tmp_path / "barn.toml"
    file.write_text(head + person.format("base/personas/Ina Roe"))
    simulation = begin(load_scenario(file), tmp_path / "run", model=ImprovisedModel())
    list(simulation.run(steps=1))
    assert "Ole owes me ten" in [r.text for r in simulation.agents["Ina Roe"].memory.records()]
    file.write_text(head + person.format("base/fen"))
    with pytest.raises(SettingError, match="holds no Smallville memories"):
        begin(load_scenario(file), tmp_path / "other", model=ImprovisedModel())
    given = '[[inputs]]\nat = "2026-05-02 07:00"\nkind = "memories"\nto = "Ina Roe"\n'
    file.write_text(head + person.format("base/personas/Ina Roe") + given)
    with pytest.raises(SettingError, match="memories are given to somebody with"):
        load_scenario(file)


def test_names_in_another_unicode_form(tmp_path: Path) -> None:
    """Folders, tiles and scratch files that spell a name with combining marks, as some systems
    unpack them, are those of the person."""
    whole, parts = "Zo\u00eb Roe", "Zoe\u0308 Roe"
    home = fen(tmp_path / "base", (parts,), persona_names=[whole])
    (member,) = load_scenario(home).people
    assert (member.persona.name, member.start) == (whole, (0, 0))
    put(nodes(home, parts), {"node_1": thought("Ole owes me ten")})
    scenario = load_scenario(home)
    assert scenario.people[0].memories
    with begin(scenario, tmp_path / "run", model=ImprovisedModel()).store as store:
        assert "Ole owes me ten" in str(store.rows("SELECT input FROM inputs"))


def test_files_that_contradict_each_other(tmp_path: Path) -> None:
    """Another name in the scratch file, memories resting on later ones, objects that are no
    list, colons in names and times beyond the calendar are named."""
    home = fen(tmp_path / "base", ("Ina Roe",))
    memory = home / "personas" / "Ina Roe" / "bootstrap_memory"
    held = {"node_1": thought("x", filling=["node_2"]), "node_2": thought("y")}
    spoilt: list[tuple[Path, Json, str]] = [
        (memory / "scratch.json", SCRATCH | {"name": "Ada"}, "its name is 'Ada', but the folder"),
        (memory / "scratch.json", SCRATCH | {"name": "Ina Roe", "vision_r": -1}, "vision must not"),
        (memory / "spatial_memory.json", {"Fen": {"barn": {"loft": "cot"}}}, "no list of objects"),
        (nodes(home, "Ina Roe"), held, "node_1 cannot be read .*not older than itself"),
        (nodes(home, "Ina Roe"), {"node_1": thought("x", description=3)}, "no text"),
        (tmp_path / "fen" / "matrix" / "special_blocks" / "arena_blocks.csv", "3, a, b:c", "colon"),
    ]
    for file, data, words in spoilt:
        kept = file.read_bytes()
        put(file, data)
        with pytest.raises((SettingError, MapError, MemoryFault), match=words):
            load_scenario(home)
        file.write_bytes(kept)
    with pytest.raises(SettingError, match="beyond all calendars"):
        load_scenario(fen(tmp_path / "late", ("Ina Roe",), step=10**14))
    with pytest.raises(SettingError, match="not like 'February 13, 2023, 06:00:00'"):
        load_scenario(fen(tmp_path / "odd", ("Ina Roe",), curr_time="13.2.2023"))


def test_a_persona_of_a_folder_chats_with_its_memories(tmp_path: Path) -> None:
    """Woken for a chat it has them once, embedded and recalled, those dated later too."""
    home = fen(tmp_path / "base")
    late = thought("The mill burns", created="2023-02-14 10:00:00", filling=["node_1"])
    put(nodes(home, "Ina Roe"), {"node_1": thought("Ole owes me ten"), "node_2": late})
    at = datetime(2023, 2, 13, 7)
    with Store(tmp_path / "ina.db") as store:
        for _ in range(2):
            agent = agent_from_scenario(
                load_scenario(home), "Ina", store, model=ImprovisedModel(), at=at
            )
            texts = [record.text for record in agent.memory.records()]
            assert texts == ["Ole owes me ten", "The mill burns"]
            assert agent.memory.record(2).evidence == (1,)
        assert {hit.record.id for hit in agent.memory.recall(Cue(text="mill", at=at))} == {1, 2}
