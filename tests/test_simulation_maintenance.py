"""Documents read, days folded and facts learned as part of a run: recorded, replayed, forked."""

from __future__ import annotations

from pathlib import Path

import pytest
from denizens.agents import Agent, Maintenance
from denizens.agents.maintenance import cited_places
from denizens.core import Persona, Recalled, SettingError
from denizens.memory import Compaction, Documents, Facts, Memory
from denizens.models import ImprovisedModel
from denizens.simulation import Run, begin, fork, read_scenario, replay, resume
from denizens.store import Store
from denizens.tests.support.maintained_scenario import KEPT, scenario


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four days in steps of an hour, with a budget, facts and a handbook for Ada."""
    folder = tmp_path_factory.mktemp("upkeep")
    made = read_scenario(scenario(folder, KEPT, 'documents = ["handbook.md"]'))
    simulation = begin(made, folder / "run", model=ImprovisedModel())
    for _ in simulation.run(steps=90):
        pass
    simulation.store.close()
    (folder / "handbook.md").unlink()
    return folder / "run"


def test_a_run_reads_folds_and_learns(lived: Path) -> None:
    """Ada's memory holds the handbook's pieces, cited by their place, with embeddings; at dawn
    old records were folded down to about the budget, and facts were learned by rule."""
    with Run(lived) as run:
        memory = run.memory("Ada Lund")
        known = Documents(memory)
        assert [known.cite(piece) for piece in known.passages("handbook.md")] == [
            "handbook.md, line 3",
            "handbook.md, line 7",
        ]
        folds = Compaction(memory).history()
        assert folds
        assert {fold.at.hour for fold in folds} == {0}
        assert all(memory.record(fold.summary).kind == "summary" for fold in folds)
        shelf = memory.index
        assert len(shelf.records) < len(memory)
        home = Facts(memory).lookup("Ada Lund", "lives in")
        assert home is not None
        assert home.object == "Leeds"
        assert not Documents(run.memory("Bo Lund")).names()


def test_it_replays_forks_and_goes_on(lived: Path, tmp_path: Path) -> None:
    """Without its files and without a model the run replays to its hash; a fork of a step
    before the folds has none, and lived on it comes to the same hash."""
    done = replay(lived)
    with Run(lived) as run:
        assert (done.steps, done.hash) == (90, run.hash)
        first = min(fold.at for fold in Compaction(run.memory("Ada Lund")).history())
        step = next(n for n in range(90) if run.time(n) == first)
        whole = run.hash
    fork(lived, step, tmp_path / "fork")
    with Run(tmp_path / "fork") as early:
        assert Compaction(early.memory("Ada Lund")).history() == ()
        assert Documents(early.memory("Ada Lund")).names() == ("handbook.md",)
    simulation = resume(tmp_path / "fork", model=ImprovisedModel())
    for _ in simulation.run(steps=90 - step):
        pass
    assert simulation.hash == whole
    simulation.store.close()
    with Store(tmp_path / "fork" / "run.db", write=False) as store:
        assert store.verify() == ()


def test_options_that_are_off_leave_no_trace(tmp_path: Path) -> None:
    """A scenario without them has nothing of them in a run's record, as before there were any."""
    made = read_scenario(scenario(tmp_path)).without_local_paths().as_json()
    assert "memory" not in made["minds"]
    assert not any({"memory", "documents"} & set(member) for member in made["people"])


@pytest.mark.parametrize(
    ("minds", "ada", "words"),
    [
        ("memory.budgets = 3", "", "budget"),
        ("memory.budget = 3", "", "at least 10"),
        ("memory = 3", "", "must be a table"),
        ("", 'documents = ["hand.md"]', "hand.md"),
        ("", 'documents = ["small.toml"]', "small.toml"),
        ("", "memory.fresh_hours = -1\nmemory.budget = 20", "not negative"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, minds: str, ada: str, words: str) -> None:
    """What is misspelt, out of range or missing is said before the run is begun."""
    with pytest.raises(SettingError, match=words):
        begin(
            read_scenario(scenario(tmp_path, minds, ada)), tmp_path / "run", model=ImprovisedModel()
        )
    assert not (tmp_path / "run").exists()


def test_own_keys_win(tmp_path: Path) -> None:
    """A person's memory settings are laid over those of [minds]."""
    made = read_scenario(scenario(tmp_path, KEPT, "memory.budget = 40"))
    simulation = begin(made, tmp_path / "run", model=ImprovisedModel())
    ada, bo = (simulation.agents[name].maintenance for name in ("Ada Lund", "Bo Lund"))
    assert ada == Maintenance(budget=40, fresh_hours=6, claims=True)
    assert bo == Maintenance(budget=12, fresh_hours=6, claims=True)
    simulation.store.close()


def test_a_chat_cites_its_documents(tmp_path: Path) -> None:
    """An agent reads its documents before its first chat; a reply that takes words from a
    piece says where they stand (a single word is none), one that takes them from the question or
    from other memories says nothing."""
    scenario(tmp_path)
    bo = Agent(
        Persona(name="Bo", facts=("Bo bakes on Mondays.",)),
        model=ImprovisedModel(),
        memory=Memory(":memory:", "Bo"),
        documents=[tmp_path / "handbook.md"],
    )
    question = "When is the bakery closed?"
    reply = bo.chat(question, "Ada")
    assert Documents(bo.memory).names() == ("handbook.md",)
    assert "Bo bakes on Mondays." in [record.text for record in bo.memory.records()]
    answers = [one.answer for one in reply.step.asks if isinstance(one.answer, Recalled)]
    kinds = {hit.record.kind for answer in answers for hit in answer.hits}
    assert kinds == {"document", "thought"}

    def cited(text: str) -> tuple[str, ...]:
        return cited_places(reply.step.asks, text, question, bo.memory)

    assert cited("In the second week of August.") == ("handbook.md, line 3",)
    assert cited("The left oven runs hot in August.") == ("handbook.md, line 7",)
    assert cited("The bakery is closed on Mondays.") == ()
    assert reply.sources == ("handbook.md, line 3",)
