"""Voices of people and of the model in scenarios, runs, routers and remote engines."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from denizens.core import (
    DEFAULT_VOICE,
    Choose,
    Completion,
    Failed,
    Generate,
    Message,
    ModelNotFound,
    Option,
    Persona,
    SettingError,
    answer_all,
)
from denizens.models import (
    LocalModel,
    ReplicaModel,
    Router,
    load_local,
    load_model,
    load_voice,
    model_from_name,
)
from denizens.models.files import read_adapter
from denizens.planners.speech import speaking_voice
from denizens.server import open_hosted_agent
from denizens.simulation import Run, begin, read_scenario, resume
from denizens.testing import (
    ScriptedModel,
    write_tiny_embedder,
    write_tiny_model,
    write_tiny_voice,
)
from denizens.tests.support.fake_openai_server import FakeOpenAIServer

TOWN = """
[scenario]
name = "small"
start = "2026-05-02 06:00"
until = "2026-05-02 06:05"
[world]
kind = "places"
places = [{ name = "kitchen" }, { name = "garden" }]
paths = [["kitchen", "garden"]]
[model]
name = "../lm"
embedder = "EMBEDDER"
MODEL
[[people]]
name = "Ada Lund"
home = "small:kitchen"
voice = "VOICE"
[[people]]
persona = "people/bo.toml"
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model, an embedder and two voices."""
    folder = tmp_path_factory.mktemp("voices")
    write_tiny_model(folder / "lm")
    write_tiny_embedder(folder / "embedder")
    for seed, name in enumerate(("ada", "bo"), 1):
        write_tiny_voice(folder / name, folder / "lm", seed=seed)
    return folder


@pytest.fixture(scope="module")
def model(home: Path) -> LocalModel:
    """The tiny model without a voice."""
    return load_local(str(home / "lm"), embedder=str(home / "embedder"), dtype="float32")


def town(home: Path, folder: Path, voice: str = "voices/ada", bo: str = "../voices/bo") -> Path:
    """A scenario in a folder with voices beside it, one named by a persona's file."""
    (folder / "people").mkdir(parents=True)
    for name in ("ada", "bo"):
        shutil.copytree(home / name, folder / "voices" / name)
    persona = f'name = "Bo Berg"\nhome = "small:garden"\nvoice = "{bo}"\n'
    (folder / "people" / "bo.toml").write_text(persona, encoding="utf-8")
    text = TOWN.replace("EMBEDDER", str(home / "embedder")).replace("VOICE", voice)
    text = text.replace("../lm", str(home / "lm")).replace("MODEL", 'dtype = "float32"')
    (folder / "town.toml").write_text(text, encoding="utf-8")
    return folder / "town.toml"


def test_voices_are_found_beside_the_files_that_name_them(
    home: Path, tmp_path: Path, model: LocalModel
) -> None:
    """Relative to the scenario, or to the persona's file; asks keep the name as it is written,
    and the run's header has the digests."""
    scenario = read_scenario(town(home, tmp_path / "town"))
    with begin(scenario, tmp_path / "run", model=model).store as store:
        voices = store.get("models")["Ada Lund"]["voices"]
    assert voices["voices/ada"] == read_adapter(home / "ada").digest
    assert voices["../voices/bo"] == read_adapter(home / "bo").digest
    ada, bo = (person.persona for person in scenario.people)
    assert (speaking_voice(ada), speaking_voice(bo)) == ("voices/ada", "../voices/bo")
    ask = Generate(messages=(Message.of("user", "Hello"),), temperature=0.0)
    plain, one, other = (
        answer_all(model.client(), [replace(ask, voice=voice)])[0]
        for voice in ("", speaking_voice(ada), speaking_voice(bo))
    )
    assert isinstance(one, Completion)
    assert len({repr(answer) for answer in (plain, one, other)}) == 3


def test_a_wrong_voice_stops_the_start(home: Path, tmp_path: Path, model: LocalModel) -> None:
    """The message names scenario, person and folder; no run is left."""
    scenario = read_scenario(town(home, tmp_path / "town", voice="voices/adda"))
    with pytest.raises(SettingError, match=r"Ada Lund: voice: .*adda: no such folder") as caught:
        begin(scenario, tmp_path / "run", model=model)
    assert "town.toml" in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_a_model_without_voices_ignores_them(home: Path, tmp_path: Path) -> None:
    """A scripted model takes a scenario whose people have voices, also wrong ones."""
    scenario = read_scenario(town(home, tmp_path / "town", voice="voices/adda"))
    begin(scenario, tmp_path / "run", model=ScriptedModel([])).store.close()


def test_the_hash_depends_on_no_folder(home: Path, tmp_path: Path, model: LocalModel) -> None:
    """The same scenario in two folders begins with the same hash; its record has no path."""
    hashes = []
    for name in ("one", "two"):
        scenario = read_scenario(town(home, tmp_path / name))
        begin(scenario, tmp_path / f"run-{name}", model=model).store.close()
        with Run(tmp_path / f"run-{name}") as run:
            hashes.append(run.hash)
            assert str(tmp_path) not in json.dumps(run.start)
    assert hashes[0] == hashes[1]


def test_a_run_resumes_with_its_voices(home: Path, tmp_path: Path) -> None:
    """The folders are found again from anywhere; when a voice was trained anew in the meantime,
    a warning says so; when it is gone, the resume is refused."""
    path = town(home, tmp_path / "town")
    scenario = read_scenario(path).with_overrides(voice=str(home / "bo"))
    begin(scenario, tmp_path / "run").store.close()
    simulation = resume(tmp_path / "run")
    described: Any = simulation.agents["Ada Lund"].model.describe()
    simulation.store.close()
    assert described["voice"] == {"name": "bo", "digest": read_adapter(home / "bo").digest}
    assert set(described["voices"]) == {"voices/ada", "../voices/bo"}
    write_tiny_voice(path.parent / "voices" / "ada", home / "lm", seed=9)
    with pytest.warns(UserWarning, match="Ada Lund's model has another voices"):
        resume(tmp_path / "run").store.close()
    shutil.rmtree(path.parent / "voices" / "ada")
    with pytest.raises(SettingError, match="Ada Lund: voice"):
        resume(tmp_path / "run")


def test_the_scenario_names_the_models_voice(home: Path, tmp_path: Path) -> None:
    """[model] voice is relative to the file, the user's to the working folder; "none" and unset
    mean the base weights of a model that has no default voice."""
    path = town(home, tmp_path / "town")
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("[model]", '[model]\nvoice = "voices/bo"'), encoding="utf-8")
    scenario = read_scenario(path)
    assert scenario.model.voice == str((tmp_path / "town" / "voices" / "bo").resolve())
    assert scenario.without_local_paths().model.voice == "bo"
    assert scenario.with_overrides(voice="none").model.voice == "none"
    assert scenario.with_overrides(voice=str(home / "ada")).model.voice == str(home / "ada")
    assert scenario.with_overrides(voice=None).model.voice == scenario.model.voice


def test_a_persona_file_is_served_with_its_voice(
    home: Path, tmp_path: Path, model: LocalModel
) -> None:
    """Its voice is relative to the file; a wrong one is refused, naming the file."""
    path = town(home, tmp_path / "town").parent / "people" / "bo.toml"
    with open_hosted_agent(path, loaded=model) as hosted:
        assert "../voices/bo" in hosted.agent.model.describe()["voices"]
    path.write_text('name = "Bo"\nvoice = "nowhere"\n', encoding="utf-8")
    with (
        pytest.raises(SettingError, match=r"bo\.toml: voice: .*no such folder"),
        open_hosted_agent(path, loaded=model),
    ):
        pass


# -- routers, replicas, other engines --------------------------------------------------------


def test_a_router_sets_the_voice_of_a_role(home: Path, model: LocalModel) -> None:
    """Asks of the role that name no voice get it; others keep theirs or none."""
    ask = Generate(messages=(Message.of("user", "Hello"),), temperature=0.0, role="line")
    ada, bo = str(home / "ada"), str(home / "bo")
    router = Router({}, default=model, voices={"line": ada})
    load_voice(router, ada)
    (routed,) = answer_all(router.client(), [ask])
    assert [routed] == answer_all(model.client(), [replace(ask, voice=ada)])
    for same in (replace(ask, voice=bo), replace(ask, role="plan")):
        assert answer_all(router.client(), [same]) == answer_all(model.client(), [same])
    assert router.describe()["role_voices"] == {"line": ada}


def test_replicas_have_the_voices_of_one(home: Path) -> None:
    """Each copy is loaded with the voice, and loads further ones."""
    settings: dict[str, Any] = {"embedder": str(home / "embedder"), "dtype": "float32"}
    model = load_model(str(home / "lm"), device="cpu,cpu", voice=str(home / "ada"), **settings)
    assert isinstance(model, ReplicaModel)
    alone = load_local(str(home / "lm"), voice=str(home / "ada"), **settings)
    load_voice(model, str(home / "bo"))
    assert model.describe()["voice"] == alone.describe()["voice"]
    assert set(model.describe()["voices"]) == {str(home / "bo")}
    asks = [
        Generate(messages=(Message.of("user", "Hello"),), temperature=0.0, seed=i, voice=voice)
        for i, voice in enumerate(["", DEFAULT_VOICE, str(home / "bo")] * 2)
    ]
    assert answer_all(model.client(), asks) == answer_all(alone.client(), asks)
    model.close()


@pytest.fixture
def server() -> Iterator[FakeOpenAIServer]:
    fake = FakeOpenAIServer()
    fake.models = [{"id": "toy", "owned_by": "vllm"}, {"id": "bo", "owned_by": "vllm"}]
    yield fake
    fake.close()


def test_a_server_gets_the_voice_as_the_models_name(server: FakeOpenAIServer) -> None:
    """As vLLM names adapters; decisions and asks without a voice go to the base model."""
    pytest.importorskip("openai")
    model: Any = load_model(f"openai:{server.url}#toy", voice="bo", method="direct")
    hello = Message.of("user", "Hello")
    ask = Generate(messages=(hello,))
    asks = [replace(ask, voice=voice) for voice in ("", DEFAULT_VOICE, "ada")]
    for one in asks:
        answer_all(model.client(), [one])
    names = [body["model"] for body in server.bodies("/chat/completions")]
    assert names == ["toy", "bo", "ada"]
    choose = Choose(messages=(hello,), options=(Option("a"), Option("b")), about="x")
    answer_all(model.client(), [replace(choose, voice=DEFAULT_VOICE)])
    assert {body["model"] for _, body, _ in server.seen[3:] if "model" in body} == {"toy"}
    assert model.describe()["voice"] == {"name": "bo"}
    model.close()


def test_a_server_cannot_read_a_folder(server: FakeOpenAIServer, home: Path) -> None:
    """A folder is left out with a warning; a name that the server does not list is refused."""
    pytest.importorskip("openai")
    with pytest.warns(UserWarning, match="lora-modules"):
        model: Any = load_model(f"openai:{server.url}#toy", voice=str(home / "bo"))
    assert model.describe()["voice"] is None
    with pytest.warns(UserWarning, match="is a folder"):
        load_voice(model, "voices/bo", home / "bo")
    model.close()
    with pytest.raises(ModelNotFound, match=r"offers no voice 'bob' .did you mean 'bo'"):
        load_model(f"openai:{server.url}#toy", voice="bob")


def test_engines_without_voices_say_so() -> None:
    """llama.cpp refuses a voice; the model without weights ignores it."""
    with pytest.raises(SettingError, match="has no voices"):
        load_model("llamacpp:nothing.gguf", voice="bo")
    improvised = model_from_name("improvised", voice="bo")
    ask = Generate(messages=(Message.of("user", "Hello"),), voice="bo")
    assert not isinstance(answer_all(improvised.client(), [ask])[0], Failed)


def test_a_personas_voice_is_a_field_of_its_card() -> None:
    """Empty, "none" or a folder; the asks get the names that models know."""
    assert speaking_voice(Persona(name="Bo")) == DEFAULT_VOICE
    assert speaking_voice(Persona(name="Bo", voice="none")) == ""
    assert speaking_voice(Persona(name="Bo", voice="voices/bo")) == "voices/bo"
