"""Calls that wait for a person, and calls that act: killed at any moment, done once."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from denizens.core import (
    Approval,
    ApprovalRequest,
    ApprovalRequired,
    Input,
    RunError,
    SettingError,
    canonical,
)
from denizens.memory import ToolCallLog
from denizens.simulation import Journal, check_run
from denizens.store import Store
from denizens.tests.support.letter_writers import SPOTS, make_run
from denizens.tools import ToolProgress

STEPS = 6


def lived(folder: Path, steps: int = STEPS, *, ask: bool = True) -> ApprovalRequired | None:
    """Live on in a folder to a step, as far as it goes; what it waits for."""
    with Store(folder / "run.db") as store:
        made = make_run(store, folder / "letters", ask=ask)
        list(made.run(steps=steps - made.step))
        assert check_run(store) == ()
        assert made.halted is None or isinstance(made.halted, ApprovalRequired)
        return made.halted


def killed(folder: Path, spot: str, *, ask: bool) -> bool:
    """Live on in a process that ends itself at a spot; whether it got there."""
    mode = "ask" if ask else "free"
    command = [
        sys.executable,
        "-m",
        "denizens.tests.support.letter_writers",
        str(folder),
        str(STEPS),
        spot,
        mode,
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode in (0, -signal.SIGKILL), done.stderr
    return done.returncode != 0


def letters(folder: Path) -> list[str]:
    """What was posted, line by line."""
    file = folder / "letters"
    return file.read_text().splitlines() if file.exists() else []


def head(folder: Path) -> tuple[int, str]:
    """Steps and hash of the run in a folder."""
    if not (folder / "run.db").exists():
        return 0, ""
    with Store(folder / "run.db", write=False) as store:
        journal = Journal(store)
        return journal.steps, journal.hash_after()


def answers(request: ApprovalRequest) -> Approval:
    """Ann may write, Ben may not."""
    return Approval(request.who == "Ann", "" if request.who == "Ann" else "no stamps")


@pytest.fixture(scope="module")
def at_once(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, list[str]]:
    """Hash and letters of a run whose person answers at once, and that never stopped."""
    folder = tmp_path_factory.mktemp("at_once")
    with Store(folder / "run.db") as store:
        made = make_run(store, folder / "letters", approver=answers)
        assert len(list(made.run(steps=STEPS))) == STEPS
        assert made.halted is None
        return made.hash, letters(folder)


def answered(folder: Path) -> int:
    """Answer all that waits in a run, in its file alone; how many."""
    with Store(folder / "run.db") as store:
        book = ToolCallLog(store)
        waiting = book.pending_approvals()
        for request in waiting:
            book.record_approval(request.key, answers(request))
        return len(waiting)


def test_a_run_waits_and_ends_on_the_same_hash(
    tmp_path: Path, at_once: tuple[str, list[str]]
) -> None:
    """Taken up anew after each answer it has waited for, a run posts the same letters and
    ends on the hash of one that was answered at once."""
    waits = 0
    while halted := lived(tmp_path):
        waits += 1
        assert all(request.tool == "post" for request in halted.requests)
        before = letters(tmp_path)
        again = lived(tmp_path)
        assert again is not None
        assert (again.requests, letters(tmp_path)) == (halted.requests, before)
        assert answered(tmp_path) == len(halted.requests)
    assert waits == 3
    assert (head(tmp_path), letters(tmp_path)) == ((STEPS, at_once[0]), at_once[1])
    assert len(at_once[1]) == 2


def test_a_run_goes_on_in_place(tmp_path: Path, at_once: tuple[str, list[str]]) -> None:
    """``allow`` and another ``run`` go on in the same process, to the same hash."""
    with Store(tmp_path / "run.db") as store:
        made = make_run(store, tmp_path / "letters")
        while made.step < STEPS:
            list(made.run(steps=STEPS - made.step))
            for request in made.requests():
                given = answers(request)
                made.allow(request.key, given.yes, note=given.note, by="Cleo")
        assert made.hash == at_once[0]
        with pytest.raises(SettingError, match=r"no call 'Ann/2/2\.0' waits"):
            made.allow("Ann/2/2.0")


def test_what_comes_from_outside_happens_once_while_a_run_waits(tmp_path: Path) -> None:
    """A visitor's line that falls into a step which waits is said once, however often the step
    is made: in place, taken up anew, or at once, the run ends on one hash."""

    def visited(folder: Path, way: str) -> tuple[str, str]:
        folder.mkdir()
        store = Store(folder / "run.db")
        made = make_run(store, folder / "letters", approver=answers if way == "once" else None)
        list(made.run(steps=2))
        made.add(Input(kind="line", who="Cleo", to="Ann", text="Good morning!"))
        made.plan(5, Input(kind="event", place="town:house:hall", text="A bell rings."))
        while made.step < STEPS + 3:
            list(made.run(steps=STEPS + 3 - made.step))
            list(made.run(steps=STEPS + 3 - made.step))
            for request in made.requests():
                made.calls.record_approval(request.key, answers(request))
            if way == "anew":
                store.close()
                store = Store(folder / "run.db")
                made = make_run(store, folder / "letters")
        with store:
            lines = [
                event
                for entry in made.journal.entries()
                for event in entry["events"]
                if event["kind"] == "said" and event["subject"] == "Cleo"
            ]
            assert len(lines) == 1
            assert check_run(store) == ()
            # What is left to be said is in no hash yet.
            return made.hash, canonical(made._session.save())

    heads = {visited(tmp_path / way, way) for way in ("once", "place", "anew")}
    assert len(heads) == 1


def test_what_is_given_while_a_step_waits_is_for_the_next(tmp_path: Path) -> None:
    """What was answered in a step rests on its inputs: one given while the step waits, in place
    or in another process, falls into the next, so the run goes on and is taken up alike."""
    for place in (True, False):
        folder = tmp_path / str(place)
        folder.mkdir()
        line = Input(kind="line", who="Cleo", to="Ann", text="Good morning!")
        with Store(folder / "run.db") as store:
            made = make_run(store, folder / "letters")
            list(made.run(steps=STEPS))
            assert isinstance(made.halted, ApprovalRequired)
            waits = made.step
            if place:
                made.add(line)
        with Store(folder / "run.db") as store:
            made = make_run(store, folder / "letters")
            with pytest.raises(SettingError, match=f"step {waits} has begun"):
                made.plan(waits, line)
            if not place:
                made.add(line)
            assert made.journal.inputs(waits) == ()
            assert made.journal.inputs(waits + 1) == (line,)
            made.approver = answers
            list(made.run(steps=3))
            saved = canonical(made._session.save())
        with Store(folder / "run.db") as store:
            assert canonical(make_run(store, folder / "letters")._session.save()) == saved
            assert check_run(store) == ()


def test_a_runs_tools_are_heard(tmp_path: Path) -> None:
    """The listener of a run hears what tools say, with who called and under which key."""
    heard: list[ToolProgress] = []
    with Store(tmp_path / "run.db") as store:
        made = make_run(store, tmp_path / "letters", ask=False, listener=heard.append)
        list(made.run(steps=4))
    assert heard == [
        ToolProgress("post", "Ann", "Ann/2/2.0", "walking to the post", 0.5),
        ToolProgress("post", "Ben", "Ben/3/2.0", "walking to the post", 0.5),
    ]


def test_two_who_ask_in_one_step_wait_together(tmp_path: Path) -> None:
    """Everybody is thought for as far as it goes before a run waits, so all that a step
    needs is asked at once; half of the answers do not make the step."""
    with Store(tmp_path / "run.db") as store:
        made = make_run(store, tmp_path / "letters")
        made.approver = lambda request: True if made.step < 11 else None
        list(made.run(steps=20))
        assert isinstance(made.halted, ApprovalRequired)
        first, second = made.halted.requests
        assert (first.who, second.who, made.step) == ("Ann", "Ben", 11)
        made.allow(second.key)
        list(made.run(steps=20))
        assert isinstance(made.halted, ApprovalRequired)
        assert made.halted.requests == (first,)
        assert made.step == 11


def test_a_no_is_told_and_changes_nothing(tmp_path: Path) -> None:
    """Who is not allowed learns so, with the note; nothing was posted and no receipt is made."""
    with Store(tmp_path / "run.db") as store:
        made = make_run(
            store, tmp_path / "letters", approver=lambda request: Approval(False, "wait")
        )
        list(made.run(steps=3))
        (told,) = made.agents["Ann"].memory.records()
        assert told.text == "Ann: a person did not allow 'post': wait"
        ((_, entry),) = ToolCallLog(store).entries()
        assert (entry.state, entry.began) == ("done", "")
        assert entry.result is not None
        assert (entry.result.reason, entry.result.receipt) == ("denied", "")
    assert letters(tmp_path) == []


# Leave or not, what follows the leave is the same; the longest way is gone for three spots.
CASES = [(spot, spot in ("acted", "answer", "leave")) for spot in SPOTS[1:]]
CASES += [("acted", False), ("answer", False)]


@pytest.mark.parametrize(("spot", "ask"), CASES)
def test_killed_at_the_worst_moments_nothing_is_done_twice(
    tmp_path: Path, at_once: tuple[str, list[str]], spot: str, ask: bool
) -> None:
    """Killed again and again around an act, a run asks a person only where nobody can know
    whether it was done. No letter is posted twice or lost, and the run ends on the hash of one
    that was never killed, but where an act that was done had to be left without its receipt."""
    free, folder = tmp_path / "free", tmp_path / "killed"
    free.mkdir()
    folder.mkdir()
    whole, sent = at_once
    if not ask:
        lived(free, ask=False)
        whole, sent = head(free)[1], letters(free)
    kills = doubts = 0
    while head(folder)[0] < STEPS:
        kills += killed(folder, spot, ask=ask)
        waiting = open_requests(folder)
        if not waiting and head(folder)[0] < STEPS:
            # It was killed at its spot, and goes on in peace from there.
            halted = lived(folder, head(folder)[0] + 1, ask=ask)
            waiting = halted.requests if halted else ()
        doubts += sum(request.doubt for request in waiting)
        for request in waiting:
            decide(folder, request)
        if any(request.doubt for request in waiting):
            lived(folder, head(folder)[0] + 1, ask=ask)
        assert kills + doubts < 20
    assert sorted(letters(folder)) == sorted(sent)
    assert kills == len(sent) + (spot in ("receipt", "answer", "leave") and ask)
    assert doubts == (len(sent) if spot in ("act", "acted") else 0)
    assert (head(folder)[1] == whole) == (spot != "acted")


def open_requests(folder: Path) -> tuple[ApprovalRequest, ...]:
    """What waits in a run's file."""
    with Store(folder / "run.db", write=False) as store:
        return ToolCallLog(store).pending_approvals()


def decide(folder: Path, request: ApprovalRequest) -> None:
    """Answer as ever; what is in doubt is done if it is not in the file of letters."""
    with Store(folder / "run.db") as store:
        given = answers(request)
        if request.doubt:
            done = any(line.startswith(f"{request.key} ") for line in letters(folder))
            given = Approval(not done)
        ToolCallLog(store).record_approval(request.key, given)


def test_what_acts_is_not_called_in_a_transaction(tmp_path: Path) -> None:
    """An intent that a rollback could take back would be none: the call is refused."""
    with Store(tmp_path / "run.db") as store:
        made = make_run(store, tmp_path / "letters", ask=False)
        list(made.run(steps=2))
        with store.transaction(), pytest.raises(RunError, match="inside a transaction"):
            made.tick()
    assert letters(tmp_path) == []
