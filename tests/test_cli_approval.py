"""Policies in scenario files, and the commands that list calls and answer them."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from denizens.cli import main
from denizens.cli.chat_commands import ask_approval
from denizens.core import ApprovalRequest, SettingError
from denizens.models import ImprovisedModel
from denizens.simulation import (
    Run,
    Scenario,
    build_simulation,
    fork,
    interview,
    read_scenario,
    replay,
)
from denizens.simulation.builder import policy_of
from denizens.store import Store
from denizens.tools import Policy, UsageLimits

SCENARIO = """
[scenario]
name = "house"
start = "2026-05-02 08:00"

[world]
kind = "places"
places = [{ name = "hall", objects = ["stove"] }]
paths = []

[model]
name = "improvised"

[minds]
planner = "denizens.tests.support.letter_writers:LetterPlanner"
tools = ["denizens.tests.support.letter_writers:fake_post"]

[minds.policy]
ask = ["@acts"]
trusted = ["Ada"]
thought = { calls = 4 }

[[people]]
name = "Ann Wood"
home = "house:hall"

[[people]]
name = "Ben Wood"
home = "house:hall"
tools = []
policy = { ask = [], deny = ["post"] }
"""


class Said(NamedTuple):
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def figures(self) -> dict[str, Any]:
        """The JSON object on the last line."""
        found: dict[str, Any] = json.loads(self.out.splitlines()[-1])
        return found


@pytest.fixture
def denizens(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[..., Said]:
    """Runs a command in a folder that holds the scenario."""
    monkeypatch.chdir(tmp_path)
    Path("house.toml").write_text(SCENARIO, encoding="utf-8")

    def command(*words: str) -> Said:
        monkeypatch.setattr(sys, "stdin", StringIO())
        with pytest.raises(SystemExit) as ended:
            main(list(words))
        out, err = capsys.readouterr()
        return Said(int(ended.value.code or 0), out, err)

    return command


def scenario(tmp_path: Path, change: Callable[[str], str] = str) -> Scenario:
    """The scenario, changed."""
    file = tmp_path / "house.toml"
    file.write_text(change(SCENARIO), encoding="utf-8")
    return read_scenario(file)


def test_a_policy_is_of_all_with_a_persons_own_keys_laid_over(tmp_path: Path) -> None:
    """[minds.policy] holds for all; a person's own keys replace those alone."""
    made = scenario(tmp_path)
    ann, ben = made.people
    assert policy_of(made, ann) == Policy(
        ask=("@acts",), trusted=("Ada",), thought=UsageLimits(calls=4)
    )
    assert policy_of(made, ben).deny == ("post",)
    assert policy_of(made, ben).trusted == ("Ada",)
    simulation = build_simulation(made, store=Store(":memory:"), model=ImprovisedModel())
    assert simulation.agents["Ann Wood"].tools.policy == policy_of(made, ann)
    assert simulation.agents["Ben Wood"].tools.specs() == ()


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('ask = ["@acts"]', 'aks = ["@acts"]', "unknown key 'aks' (did you mean 'ask'?)"),
        ('ask = ["@acts"]', 'ask = ["@act"]', "'@act' is none of @pure"),
        ("{ calls = 4 }", "{ call = 4 }", "unknown key 'thought.call'"),
        ("{ calls = 4 }", "{ calls = -4 }", "must not be negative"),
        ("[minds.policy]", "policy = 3\n[minds.daily]", "must be a table"),
        ('deny = ["post"]', 'deny = "post"', "field 'deny'"),
        (
            'policy = { ask = [], deny = ["post"] }',
            "policy = []",
            "Ben Wood: policy must be a table",
        ),
    ],
)
def test_a_wrong_policy_is_refused(tmp_path: Path, old: str, new: str, words: str) -> None:
    """A slip in a policy is an error that names the file and the key, before anything runs."""
    with pytest.raises(SettingError) as caught:
        build_simulation(
            scenario(tmp_path, lambda text: text.replace(old, new)),
            store=Store(":memory:"),
            model=ImprovisedModel(),
        )
    assert words in str(caught.value)
    assert "house.toml" in str(caught.value)


def test_the_run_waits_is_answered_and_goes_on(denizens: Callable[..., Said]) -> None:
    """Each command by itself: run says what it waits for, approve lists and answers, resume
    goes on, calls shows what came of it, and the file replays and verifies."""
    ran = denizens("run", "house.toml", "--steps", "6", "--run", "r")
    assert ran.code == 0
    assert "waits: Ann Wood: post(text=" in ran.out
    assert "denizens approve r 'Ann Wood/2/2.0' --yes" in ran.out
    assert "denizens resume r" in ran.out
    listed = denizens("approve", "r", "--list", "--json").figures["waiting"]
    assert [one["key"] for one in listed] == ["Ann Wood/2/2.0"]
    assert "say --yes or --no" in denizens("approve", "r", "Ann Wood/2/2.0").err
    wrong = denizens("approve", "r", "Ann Wood/2/2.1", "--yes")
    assert (wrong.code, "did you mean 'Ann Wood/2/2.0'" in wrong.err) == (2, True)
    assert "waits" in denizens("calls", "r").out
    no = denizens("approve", "r", "Ann Wood/2/2.0", "--no", "--note", "too wet", "--by", "Cleo")
    assert "Ann Wood/2/2.0: not allowed" in no.out
    assert "nothing waits" in denizens("approve", "r").out
    on = denizens("resume", "r", "--steps", "4", "--json").figures
    assert (on["stopped"], on["steps"]) == ("waiting", 5)
    assert denizens("approve", "r", on["requests"][0]["key"], "--yes", "--json").code == 0
    assert denizens("resume", "r", "--steps", "1", "--json").figures["stopped"] is False
    refused, done = denizens("calls", "r", "--agent", "Ann Wood", "--json").figures["calls"]
    assert (refused["state"], refused["result"]["reason"]) == ("refused", "denied")
    assert refused["approval"] == {"yes": False, "note": "too wet", "by": "Cleo"}
    assert (done["state"], done["call"]["why"], done["agent"]) == ("done", "to write", "Ann Wood")
    assert done["result"]["receipt"].startswith("post-")
    assert done["seconds"] > 0
    assert done["began"].endswith("+00:00")
    assert "denied: a person did not allow 'post': too wet" in denizens("calls", "r").out
    bens = denizens("calls", "r", "--agent", "Ben Wood").out
    assert "-> unknown: there is no tool 'post'" in bens
    assert bens.endswith("2 calls\n")
    for command in ("verify", "replay"):
        assert denizens(command, "r").code == 0


def test_forks_and_interviews_of_a_run_that_acts(tmp_path: Path) -> None:
    """A fork keeps the receipts of its past and none of the time it cut off; an interview
    cannot act; a replay needs nobody's leave."""
    made = scenario(tmp_path)
    with Store(tmp_path / "run.db") as store:
        whole = build_simulation(
            made, store=store, model=ImprovisedModel(), approver=lambda request: True
        )
        list(whole.run(steps=7))
        heads = whole.hash
    assert replay(tmp_path).hash == heads
    fork(tmp_path, 4, tmp_path / "new")
    with Store(tmp_path / "new" / "run.db") as store:
        again = build_simulation(
            made, store=store, model=ImprovisedModel(), approver=lambda request: True
        )
        assert [where.step for where, _ in again.calls.entries()] == [2]
        list(again.run(steps=3))
        assert again.hash == heads
        assert store.verify() == ()
    with Run(tmp_path) as run:
        before = list(run.store.rows("SELECT * FROM calls"))
    reply = interview(tmp_path, "Ann", "Will you post it?", model=ImprovisedModel())
    assert reply.waits == ()
    with Run(tmp_path) as run:
        assert list(run.store.rows("SELECT * FROM calls")) == before


@pytest.mark.parametrize(
    ("typed", "given"), [("y\n", True), ("Yes\n", True), ("\n", False), ("", False)]
)
def test_chat_asks_on_the_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], typed: str, given: bool
) -> None:
    """Whoever types is shown the call and allows it with a clear yes only."""
    request = ApprovalRequest(
        key="k", who="Ann", tool="post", arguments={"text": "hi"}, because="it needs your leave"
    )
    monkeypatch.setattr(sys, "stdin", StringIO(typed))
    assert ask_approval(request) is given
    assert "Ann: post(text='hi'); it needs your leave" in capsys.readouterr().out
