"""Training data: what is read from each kind of file, what is left out, what is refused."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from denizens.agents import Agent
from denizens.core import Action, Clock, DataError, Json, Persona, Record, RunError
from denizens.memory import Memory
from denizens.memory.erasure import erase_person
from denizens.models import ImprovisedModel
from denizens.planners import Scripted
from denizens.simulation import Run, Simulation
from denizens.store import Store
from denizens.training import DialogueLine
from denizens.training.sources import read_training_data
from denizens.world import Town, ascii_map

NOW = datetime(2026, 5, 2, 9)
COLUMNS = ["user 1 personas", "user 2 personas", "conversation"]
TALK = "\n".join(f"User {1 + n % 2}: Line number {n}." for n in range(12))


def csv_file(path: Path, *talks: str) -> Path:
    """A CSV with one row for each conversation."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        writer.writerows(["i bake bread.\nI have a dog", "I sail.", talk] for talk in talks)
    return path


def chat(*texts: str, system: str = "I am Bo. I bake.") -> str:
    """One line of a file of chats: the user speaks first."""
    roles = ("user", "assistant")
    messages = [{"role": "system", "content": system}] if system else []
    messages += [{"role": roles[n % 2], "content": text} for n, text in enumerate(texts)]
    return json.dumps({"messages": messages})


def chat_file(path: Path, *lines: str) -> Path:
    """A file of JSON Lines."""
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def memory_file(path: Path, private: bool = True, agent: str = "Bo") -> Path:
    """A memory with a session with Ada and one with Eve, each of six lines."""
    with Memory(path, agent) as memory:
        for hour, person in enumerate(("Ada", "Eve")):
            for n in range(6):
                own = n % 2 == 1
                text = f"{person} line {n}"
                said = f'{agent} said to {person}: "{text}"' if own else ""
                record = Record(
                    id=memory.next_id,
                    kind="utterance",
                    text=said or f'{person} said to {agent}: "{text}"',
                    created=NOW + timedelta(hours=hour, minutes=n),
                    who=agent if own else person,
                    audience=(person,) if private else (),
                )
                memory.add([record])
    return path


def test_csv_facts_are_sentences_and_both_sides_learn(tmp_path: Path) -> None:
    """A CSV gives the lines of both people, and their facts with a capital and a full stop."""
    data = read_training_data([csv_file(tmp_path / "a.csv", TALK, TALK)])
    (first, _) = data.dialogues
    assert first.lines[:2] == (
        DialogueLine(0, "Line number 0."),
        DialogueLine(1, "Line number 1."),
    )
    assert first.facts == (("I bake bread.", "I have a dog."), ("I sail.",))
    assert first.learned == (True, True)
    assert data.lines == 24
    assert [source.kind for source in data.sources] == ["csv"]


def test_chat_lines_teach_the_assistant_only(tmp_path: Path) -> None:
    """In JSON Lines the assistant's lines are learned, and its facts are the system message."""
    lines = [chat("Hello!", "Good morning.", "What is new?", "I baked rye.") for _ in range(12)]
    (dialogue, *_) = read_training_data([chat_file(tmp_path / "a.jsonl", *lines)]).dialogues
    assert dialogue.learned == (True, False)
    assert dialogue.facts == (("I am Bo.", "I bake."), ())
    assert [line.speaker for line in dialogue.lines] == [1, 0, 1, 0]
    assert dialogue.learned_lines == 2


def test_chat_lines_leave_out_tools_and_monologues(tmp_path: Path) -> None:
    """Calls of tools are no speech, and a dialogue needs both sides; both are counted."""
    tool = json.dumps({"messages": [{"role": "tool", "content": "7"}]})
    alone = json.dumps({"messages": [{"role": "user", "content": "Hello?"}]})
    good = [chat("Hello!", "Good morning.") for _ in range(20)]
    (source,) = read_training_data([chat_file(tmp_path / "a.jsonl", tool, alone, *good)]).sources
    assert source.dialogues == 20
    assert sorted(source.left_out.values()) == [1, 1]


def test_mixed_kinds_are_read_together(tmp_path: Path) -> None:
    """Files of several kinds give one list of dialogues, in the order of the files."""
    first = csv_file(tmp_path / "a.csv", TALK, TALK)
    second = chat_file(tmp_path / "b.jsonl", *[chat("Hi!", "Ho!")] * 3)
    third = memory_file(tmp_path / "c.db", private=False)
    data = read_training_data([first, second, third])
    assert [source.kind for source in data.sources] == ["csv", "messages", "memory"]
    assert [source.dialogues for source in data.sources] == [2, 3, 2]
    assert len({source.digest for source in data.sources}) == 3


def test_private_chats_need_a_name(tmp_path: Path) -> None:
    """What was said in private is learned only for the people who are named."""
    file = memory_file(tmp_path / "bo.db")
    with pytest.raises(DataError, match="private chats"):
        read_training_data([file], least_lines=1)
    data = read_training_data([file], people=["Ada"], least_lines=1)
    assert {text for one in data.dialogues for text in one.names} == {"Bo", "Ada"}
    assert data.dialogues[0].lines[1] == DialogueLine(0, "Ada line 1")
    assert data.dialogues[0].learned == (True, False)


def test_erased_people_are_not_learned(tmp_path: Path) -> None:
    """After Ada was erased no line of her chats is read; Eve's are still there."""
    file = memory_file(tmp_path / "bo.db")
    erase_person(file, "Ada", now=NOW)
    data = read_training_data([file], people=["Ada", "Eve"], least_lines=1)
    assert "Ada" not in str(data.dialogues)
    assert [one.names for one in data.dialogues] == [("Bo", "Eve")]


def test_quarantined_sources_are_not_learned(tmp_path: Path) -> None:
    """A session with somebody whose words are quarantined is left out."""
    file = memory_file(tmp_path / "bo.db", private=False)
    with Memory(file, "Bo") as memory:
        memory.quarantine("Eve")
    (dialogue,) = read_training_data([file], least_lines=1).dialogues
    assert dialogue.names == ("Bo", "Ada")


MAP = ascii_map("######\n#aaaa#\n#aaaa#\n######", {"a": "house:hall:table"})
SAID = ("Good morning, Ben.", "Good morning. Is there tea?", "There is mint tea.", "I like mint.")


def talks(folder: Path, third: str = "") -> Path:
    """A run in which Ann and Ben talk: four lines by turns, and a third person who may join."""
    lines = [[Action("say", "", {"text": text})] for text in SAID]
    listen = [Action("listen")]
    scripts = {
        "Ann Wood": [Action("talk", "Ben Hill"), *lines[0], *listen, *lines[2], *listen],
        "Ben Hill": [Action("wait"), *listen, *lines[1], *listen, *lines[3]],
    }
    if third:
        scripts[third] = [Action("wait"), Action("join", "Ann Wood")]
    folder.mkdir()
    with Store(folder / "run.db") as store:
        agents = [
            Agent(
                Persona(name=name, home="town:house:hall", facts=(f"{name} grows mint.",)),
                model=ImprovisedModel(),
                memory=Memory(store, name),
                planner=Scripted(actions),
            )
            for name, actions in scripts.items()
        ]
        world = Town(MAP, start=NOW, step_seconds=60)
        simulation = Simulation(world, agents, seed=1, clock=Clock(NOW), store=store)
        for _ in simulation.run(steps=8, progress=False):
            pass
    return folder


def test_a_run_teaches_with_its_personas(tmp_path: Path) -> None:
    """The talks of a run are read with names, and the facts of the personas in the first person:
    what a run with a large model has said can be learned by a small one."""
    data = read_training_data([talks(tmp_path / "run")], least_lines=2)
    (dialogue,) = data.dialogues
    assert dialogue.names == ("Ann Wood", "Ben Hill")
    assert dialogue.facts == (("I grow mint.",), ("I grow mint.",))
    assert tuple(line.text for line in dialogue.lines) == SAID
    assert [line.speaker for line in dialogue.lines] == [0, 1, 0, 1]
    assert dialogue.learned == (True, True)
    assert data.sources[0].kind == "run"


def test_a_run_is_found_by_its_file_too(tmp_path: Path) -> None:
    """run.db is the run: the same dialogues, and the digest is the head of its hash chain."""
    folder = talks(tmp_path / "run")
    by_folder = read_training_data([folder], least_lines=2)
    by_file = read_training_data([folder / "run.db"], least_lines=2)
    assert by_folder.dialogues == by_file.dialogues
    with Run(folder) as run:
        assert by_folder.sources[0].digest == by_file.sources[0].digest == run.hash


def test_confidential_lines_of_a_run_are_not_learned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A talk with a line that was for some people only is left out."""
    folder = talks(tmp_path / "run")
    entries = Run.entries

    def labelled(run: Run) -> Iterator[Json]:
        for entry in entries(run):
            for action in entry["actions"].values():
                if action[0] == "say":
                    action[3:] = [[], ["Ben Hill"]]
            yield entry

    monkeypatch.setattr(Run, "entries", labelled)
    with pytest.raises(DataError, match="a line is confidential"):
        read_training_data([folder], least_lines=1)


def test_group_talks_of_a_run_are_left_out(tmp_path: Path) -> None:
    """A conversation of three has no two sides."""
    folder = talks(tmp_path / "run", third="Cy Moor")
    with pytest.raises(DataError, match="more than two talk"):
        read_training_data([folder], least_lines=1)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """A path that does not exist is named."""
    with pytest.raises(DataError, match=r"nowhere\.csv: there is no such file"):
        read_training_data([tmp_path / "nowhere.csv"])


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.csv", b"", "is empty"),
        ("a.csv", b"name,age\nBo,3\n", "has no column 'user 1 personas'"),
        ("a.csv", b'user 1 personas,user 2 personas,conversation\na,b,"\xff"\n', "UTF-8|utf-8"),
        ("a.jsonl", b"{not json}\n", r"line 1: is no JSON"),
        ("a.jsonl", b'{"text": "x"}\n', r"line 1: has no list 'messages'"),
        ("a.jsonl", b'{"messages": [{"role": "bot", "content": "x"}]}\n', r"message 1: its role"),
        ("a.jsonl", b'{"messages": [{"role": "user", "content": 3}]}\n', r"its content is no text"),
        ("a.jsonl", b"\xff\xfe\x00", "is not UTF-16"),
        ("a.txt", b"Hello!\n", "is of no known kind"),
        ("a.db", b"SQLite format 3\0" + b"x" * 100, "a.db"),
    ],
)
def test_broken_files_are_refused(tmp_path: Path, name: str, content: bytes, words: str) -> None:
    """Each kind of broken file gives an error that names the file and what is wrong."""
    file = tmp_path / name
    file.write_bytes(content)
    with pytest.raises((DataError, RunError), match=words) as caught:
        read_training_data([file])
    assert name in str(caught.value)


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    """A folder without run.db is named, and what to give."""
    with pytest.raises(DataError, match=r"without run\.db, so no run"):
        read_training_data([tmp_path])


def test_too_little_data_is_refused(tmp_path: Path) -> None:
    """A handful of lines cannot be learned from; the error says how many there are."""
    with pytest.raises(DataError, match="12 lines to learn; at least 20"):
        read_training_data([csv_file(tmp_path / "a.csv", TALK)])


def test_the_same_file_twice_is_refused(tmp_path: Path) -> None:
    """A file given twice would count twice."""
    file = csv_file(tmp_path / "a.csv", TALK, TALK)
    with pytest.raises(DataError, match="given twice"):
        read_training_data([file, tmp_path / "." / "a.csv"])


def test_no_data_is_refused() -> None:
    """Nothing to learn from is an error that lists what can be given."""
    with pytest.raises(DataError, match="JSON Lines of chat messages"):
        read_training_data([])
