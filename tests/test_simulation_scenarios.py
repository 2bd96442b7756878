"""Scenario files: what they may say, and what is said about those that are wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from denizens.core import MapError, SettingError
from denizens.interop import load_scenario
from denizens.models import ImprovisedModel
from denizens.simulation import (
    Scenario,
    begin,
    build_simulation,
    built_in_scenarios,
    read_scenario,
    replay,
    run_stats,
)
from denizens.store import Store

SMALL = """
[scenario]
name = "small"
start = "2026-05-02 06:00"
{scenario}
[world]
kind = "places"
places = [{{ name = "kitchen", objects = ["stove"] }}, {{ name = "garden" }}]
paths = [["kitchen", "garden"]]
{world}
[minds]
planner = "routine"
{minds}
[[people]]
name = "Ada Lund"
home = "small:kitchen"
{people}
"""


def written(folder: Path, name: str = "small.toml", **parts: str) -> Path:
    """A small scenario with lines of one's own in its tables."""
    keys = ("scenario", "world", "minds", "people")
    path = folder / name
    path.write_text(SMALL.format(**{key: parts.get(key, "") for key in keys}), encoding="utf-8")
    return path


def started(path: Path) -> Scenario:
    """Load a scenario and build it, as ``run`` does; the scenario."""
    scenario = read_scenario(path)
    with Store(":memory:") as store:
        build_simulation(scenario, store=store, model=ImprovisedModel()).tick()
    return scenario


def test_built_in_scenarios_can_be_lived() -> None:
    """Every scenario of the package loads and lives its first steps."""
    assert {"crossroads", "larkspur", "larkspur-morning"} <= set(built_in_scenarios())
    for name in built_in_scenarios():
        scenario = read_scenario(name)
        with Store(":memory:") as store:
            simulation = build_simulation(scenario, store=store, model=ImprovisedModel())
            assert len([tick.step for tick in simulation.run(steps=3)]) == 3


def test_crossroads_until_its_end() -> None:
    """The world of words runs to its end with two tools at hand, and people talk in it."""
    scenario = read_scenario("crossroads")
    with Store(":memory:") as store:
        simulation = build_simulation(scenario, store=store, model=ImprovisedModel())
        kinds = {
            event.kind
            for tick in simulation.run(until=scenario.start.replace(hour=12))
            for event in tick.events
        }
        assert simulation.step == 300
        assert {"said", "talk", "moved", "doing"} <= kinds


def test_small_scenario_has_defaults(tmp_path: Path) -> None:
    """What a file does not say has a default."""
    scenario = started(written(tmp_path))
    assert (scenario.scenario.seed, scenario.scenario.step_seconds) == (1, 60)
    assert (scenario.model.name, scenario.minds.rules) == ("smollm2", "paper")


def test_extends_and_cast(tmp_path: Path) -> None:
    """Own keys win over inherited ones, people and inputs are inherited whole, a cast picks
    people, and what was planned for those left out is left out."""
    path = tmp_path / "short.toml"
    path.write_text(
        '[scenario]\nextends = "crossroads"\nname = "crossroads"\ncast = ["Hanna Brook"]\n'
        'title = "Alone"\n[minds]\nplanner = "routine"\n',
        encoding="utf-8",
    )
    scenario = started(path)
    assert [member.persona.name for member in scenario.people] == ["Hanna Brook"]
    assert scenario.scenario.title == "Alone"
    assert scenario.scenario.start == "2026-05-02 07:00"
    assert scenario.minds.tools == ("calculator", "clock")
    assert [given.kind for given in scenario.inputs] == ["event"]


def test_persona_files(tmp_path: Path) -> None:
    """A persona may stand in a file beside the scenario, TOML or JSON."""
    (tmp_path / "ada.toml").write_text('name = "Ada Lund"\nhome = "small:garden"\n')
    (tmp_path / "bo.json").write_text(json.dumps({"name": "Bo Lund", "home": "small:kitchen"}))
    path = written(tmp_path)
    text = path.read_text().partition("[[people]]")[0]
    path.write_text(
        text + '[[people]]\npersona = "ada.toml"\n[[people]]\npersona = "bo.json"\ntools = []\n'
    )
    scenario = started(path)
    assert [member.persona.name for member in scenario.people] == ["Ada Lund", "Bo Lund"]
    assert scenario.people[1].tools == ()


def test_planned_inputs_come_at_their_time(tmp_path: Path) -> None:
    """An input comes at the first step that begins at or after its time."""
    path = written(tmp_path)
    text = path.read_text() + (
        '[[inputs]]\nat = "2026-05-02 06:02:30"\nto = "Ada Lund"\ntext = "Rain is coming."\n'
    )
    path.write_text(text)
    with Store(":memory:") as store:
        simulation = build_simulation(read_scenario(path), store=store, model=ImprovisedModel())
        given = [
            tick.step for tick in simulation.run(steps=6) if simulation.journal.inputs(tick.step)
        ]
    assert given == [3]


WRONG = {
    "unknown table": ({"people": "[modle]\n"}, r"unknown table 'modle' \(did you mean 'model'\?\)"),
    "unknown key": ({"minds": 'plannr = "x"'}, "unknown key 'plannr'"),
    "unknown persona key": ({"people": "agee = 5"}, "unknown key 'agee'"),
    "wrong type": ({"scenario": 'seed = "many"'}, "field 'seed'"),
    "unknown planner": ({"people": 'planner = "dayly"'}, "planner 'dayly'"),
    "planner of no module": ({"people": 'planner = "nowhere.at:All"'}, "cannot import nowhere"),
    "unknown tool": ({"minds": 'tools = ["calculater"]'}, "no built-in tool 'calculater'"),
    "unknown rules": ({"minds": 'rules = "papre"'}, "papre"),
    "daily's settings": ({"people": 'planner = "daily"\n[minds.daily]\nmaxlines = 3'}, "maxlines"),
    "daily is no table": ({"minds": "daily = 3"}, "must be a table"),
    "bad start": ({"world": "", "scenario": 'until = "noon"'}, "'noon' is no time"),
    "zone": ({"scenario": 'until = "2026-05-02 12:00+02:00"'}, "time zone"),
    "step of nothing": ({"scenario": "step_seconds = 0"}, "step_seconds must be at least 1"),
    "speed": ({"world": "speed = 0"}, "speed is 0"),
    "unknown cast": ({"scenario": 'cast = ["Ada Lunt"]'}, r"'Ada Lunt' \(did you mean 'Ada Lund"),
    "extends nothing": ({"scenario": 'extends = "nothing"'}, "extends: scenario 'nothing'"),
    "extends itself": ({"scenario": 'extends = "small.toml"'}, "goes in a circle"),
    "two of one name": (
        {"people": '[[people]]\nname = "Ada Lund"\nhome = "small:garden"'},
        "two people are called 'Ada Lund'",
    ),
    "no name": ({"people": '[[people]]\nhome = "small:garden"'}, "field 'name'"),
    "empty name": ({"people": '[[people]]\nname = " "'}, "give words"),
    "no such home": (
        {"people": '[[people]]\nname = "Bo"\nhome = "small:gaden"'},
        r"no place 'small:gaden' \(did you mean",
    ),
    "bad routine": ({"people": 'routine = [{ at = "noon", doing = "x" }]'}, "at = 'noon'"),
    "bad decay": ({"people": "recency_decay = 2.0"}, "recency_decay must lie"),
    "persona file missing": ({"people": '[[people]]\npersona = "no.toml"'}, r"no\.toml: cannot be"),
    "persona and more": (
        {"people": '[[people]]\npersona = "no.toml"\nage = 3'},
        "may not also set age",
    ),
    "persona is a table": (
        {"people": "[[people]]\npersona = { age = 3 }"},
        "must be a file's name",
    ),
    "input without a time": ({"people": "[[inputs]]\ntext = 'x'"}, "field 'at'"),
    "input at no time": ({"people": "[[inputs]]\nat = 'x'\nto = 'Ada Lund'"}, "'x' is no time"),
    "input of no kind": (
        {"people": "[[inputs]]\nat = '2026-05-02 07:00'\nkind = 'song'"},
        "field 'kind'",
    ),
    "input to nobody": (
        {"people": "[[inputs]]\nat = '2026-05-02 07:00'\nto = 'Bo'"},
        "to = 'Bo' is nobody here",
    ),
    "line of nobody": (
        {"people": "[[inputs]]\nat = '2026-05-02 07:00'\nto = 'Ada Lund'\nkind = 'line'"},
        "a line needs who",
    ),
    "event nowhere": (
        {"people": "[[inputs]]\nat = '2026-05-02 07:00'\nkind = 'event'\nplace = 'small:moon'"},
        "no place 'small:moon'",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_named(tmp_path: Path, name: str) -> None:
    """Each wrong scenario is refused with its file, the key or name, and a remedy, before
    anything is written."""
    parts, reason = WRONG[name]
    path = written(tmp_path, **parts)
    with pytest.raises(SettingError, match=reason) as caught:
        begin(read_scenario(path), tmp_path / "run", model=ImprovisedModel())
    assert "small.toml" in str(caught.value) or "no.toml" in str(caught.value)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("world", "reason"),
    [
        ('kind = "town"', "needs a map"),
        ('kind = "town"\nmap = "no.json"', r"no\.json"),
        ('kind = "town"\nmap = "small.toml"', r"small\.toml"),
        ('kind = "places"\nplaces = ["kitchen"]', "'kitchen' is no table"),
        ('kind = "places"\nplaces = []', "list of tables"),
        ('kind = "places"\nplaces = [{ name = "a" }]\npaths = [["a", "b"]]', "no place 'b'"),
        ('kind = "places"\nplaces = [{ name = "a" }]\npaths = ["a"]', "pair of places"),
        ('kind = "places"\nplaces = [{ name = "a" }, { name = "a" }]', "there twice"),
        ('kind = "places"\nplaces = [{ name = "a", object = [] }]', "unknown key 'object'"),
    ],
)
def test_bad_maps(tmp_path: Path, world: str, reason: str) -> None:
    """A map that is missing or wrong is a MapError that names the file."""
    path = tmp_path / "small.toml"
    path.write_text(
        f'[scenario]\nname = "small"\n[world]\n{world}\n[[people]]\nname = "Ada Lund"\n'
    )
    with pytest.raises(MapError, match=reason) as caught:
        begin(read_scenario(path), tmp_path / "run", model=ImprovisedModel())
    assert "small.toml" in str(caught.value) or "no.json" in str(caught.value)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("twon", r"unknown \(did you mean 'town'\?\)"),
        ("nowhere.at:all", "No module named 'nowhere'"),
        ("denizens.world:Twon", "has no 'Twon'"),
        (":Town", "write it as"),
        ("denizens.world:Town", "missing"),
    ],
)
def test_bad_worlds(tmp_path: Path, kind: str, reason: str) -> None:
    """A world of one's own that cannot be made is refused with file and name."""
    path = tmp_path / "small.toml"
    path.write_text(f'[world]\nkind = "{kind}"\n[[people]]\nname = "Ada Lund"\n')
    with pytest.raises(SettingError, match=reason) as caught:
        started(path)
    assert "small.toml" in str(caught.value)


def test_files_that_are_no_scenarios(tmp_path: Path) -> None:
    """A missing file, a folder of nothing, a run, and broken TOML."""
    with pytest.raises(SettingError, match="did you mean 'larkspur'"):
        read_scenario("larkspurr")
    with pytest.raises((SettingError, MapError), match=str(tmp_path)):
        read_scenario(tmp_path)
    (tmp_path / "broken.toml").write_text("[scenario\n")
    with pytest.raises(SettingError, match=r"broken\.toml: is not well-formed TOML.*line 1"):
        read_scenario(tmp_path / "broken.toml")
    (tmp_path / "empty.toml").write_text("")
    with pytest.raises(SettingError, match="at least one person"):
        read_scenario(tmp_path / "empty.toml")
    for text in ("people = 3", "people = [3]", "inputs = [3]", "scenario = 3"):
        (tmp_path / "wrong.toml").write_text(text)
        with pytest.raises(SettingError, match=r"wrong\.toml: '\w+' must be a"):
            read_scenario(tmp_path / "wrong.toml")
    with begin(read_scenario("crossroads"), tmp_path / "run", model=ImprovisedModel()).store:
        pass
    with pytest.raises(SettingError, match="is a run, not a scenario"):
        read_scenario(tmp_path / "run")


def test_circle_of_scenarios(tmp_path: Path) -> None:
    """Two scenarios that extend each other are refused."""
    for one, other in (("a", "b"), ("b", "a")):
        (tmp_path / f"{one}.toml").write_text(f'[scenario]\nextends = "./{other}.toml"\n')
    with pytest.raises(SettingError, match="goes in a circle"):
        read_scenario(tmp_path / "a.toml")


def test_a_folder_does_not_hide_a_built_in_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Runs kept in a folder called larkspur leave ``larkspur`` the built-in scenario."""
    (tmp_path / "larkspur").mkdir()
    monkeypatch.chdir(tmp_path)
    assert read_scenario("larkspur").scenario.name == "larkspur"


@pytest.mark.data
def test_smallville_folder(data: Path, tmp_path: Path) -> None:
    """The base with three people runs on its own map with its own start, step and
    histories, and replays without the folder's help."""
    scenario = load_scenario(data / "smallville" / "base_the_ville_isabella_maria_klaus")
    assert (len(scenario.people), scenario.scenario.step_seconds) == (3, 10)
    assert f"{scenario.start:%Y-%m-%d %H:%M}" == "2023-02-13 00:00"
    simulation = begin(scenario, tmp_path, model=ImprovisedModel())
    list(simulation.run(steps=40))
    head = simulation.hash
    for member in scenario.people:
        memory = simulation.agents[member.persona.name].memory
        assert {record.text for record in memory.records(kinds=("thought",))} >= set(
            member.persona.facts
        )
    simulation.store.close()
    assert replay(tmp_path).hash == head


@pytest.mark.data
def test_smallville_by_routine_asks_no_model(data: Path) -> None:
    """The town of 25 by routine makes no model call, and people perceive: they remember."""
    scenario = load_scenario(data / "smallville" / "base_the_ville_n25").with_overrides(
        planner="routine"
    )
    with Store(":memory:") as store:
        simulation = build_simulation(scenario, store=store, model=ImprovisedModel())
        list(simulation.run(steps=150))
        found = run_stats(store)
        assert (found["agents"], found["steps"], found["model_calls"]) == (25, 150, 0)
        assert found["asks"] == {}
