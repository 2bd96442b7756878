"""Chats that wait for somebody's leave: answered at once, later, or in another process."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest
from denizens.agents import Agent, run_tool
from denizens.core import (
    Action,
    Approval,
    ApprovalRequest,
    Call,
    Decision,
    ModelAsk,
    Persona,
    SettingError,
    Situation,
    Thought,
    ToolResult,
    call,
)
from denizens.memory import Memory, ToolCallLog
from denizens.memory.erasure import erase_person
from denizens.models import ImprovisedModel
from denizens.planners import DialogueInput, DialogueReply
from denizens.store import Store
from denizens.testing import ScriptedModel
from denizens.tests.support.guarded_agent import NINE, calls
from denizens.tests.support.mcp_clients import PATHS
from denizens.tools import Policy, ToolContext, ToolProgress, UsageLimits, tool

ASKING = Policy(ask=("@acts",), trusted=("Ada",))


def baker(store: Store, letters: Path, policy: Policy = ASKING) -> tuple[Agent, list[ModelAsk]]:
    """Bo, who sends a letter whenever it is asked to, and the asks its model got."""
    asked: list[ModelAsk] = []

    def answer(ask: ModelAsk) -> object:
        asked.append(ask)
        if ask.role == "value":
            return next((o.name for o in getattr(ask, "options", ()) if o.name != "send"), "rye")
        if ask.kind == "choose":
            return "send" if "send" in ask.about else "chat"
        if ask.kind == "rate":
            return 3
        return '{"text": "rye"}' if ask.role == "arguments" else "Done."

    @tool(effect="acts")
    def send(context: ToolContext, text: str) -> str:
        """Send a letter."""
        context.report_progress("at the post")
        with letters.open("a") as file:
            file.write(f"{context.key} {text}\n")
        return f"sent {text}"

    model = ScriptedModel(answer)  # type: ignore[arg-type]
    memory = Memory(store, "Bo Li")
    return Agent(
        Persona(name="Bo Li"), model=model, memory=memory, tools=[send], policy=policy
    ), asked


def lines(letters: Path) -> list[str]:
    """What was sent."""
    return letters.read_text().splitlines() if letters.exists() else []


def test_a_callback_answers_at_once(tmp_path: Path) -> None:
    """The callback sees who wants to call what and why; its yes lets it, its no is told."""
    seen: list[ApprovalRequest] = []
    heard: list[ToolProgress] = []

    def leave(request: ApprovalRequest) -> Approval:
        seen.append(request)
        return Approval(len(seen) == 1, "not today")

    with Store(tmp_path / "bo.db") as store:
        bo, _ = baker(store, tmp_path / "letters")
        first = bo.chat("send rye", "Ada", at=NINE, approve=leave, listener=heard.append)
        second = bo.chat("send rye", "Ada", at=NINE, approve=leave)
    assert (first.text, first.waits, second.waits) == ("sent send rye", (), ())
    assert (seen[0].tool, seen[0].arguments, seen[0].why) == (
        "send",
        {"text": "send rye"},
        "send rye",
    )
    assert seen[0].because == "'send' needs a person's approval"
    assert [done.ok for _, done in (*calls(first.step), *calls(second.step))] == [True, False]
    ((_, refused),) = calls(second.step)
    assert (refused.reason, refused.error) == ("denied", "a person did not allow 'send': not today")
    assert len(lines(tmp_path / "letters")) == 1
    assert [said.text for said in heard] == ["at the post"]


def test_a_reply_waits_and_goes_on_in_another_life(tmp_path: Path) -> None:
    """Without a callback the reply says that it waits and nothing is written; with the answer,
    given to another agent on the same file, it goes on from there: nothing is asked twice, and
    both lines are remembered as if it had never waited."""
    with Store(tmp_path / "bo.db") as store:
        bo, asked = baker(store, tmp_path / "letters")
        reply = bo.chat("send rye", "Ada", at=NINE)
        (request,) = reply.waits
        assert (reply.text, reply.resolve) == ("", "waiting")
        assert (len(bo.memory), lines(tmp_path / "letters")) == (0, [])
        assert bo.pending_requests() == (request,)
    with Store(tmp_path / "bo.db") as store:
        bo, again = baker(store, tmp_path / "letters")
        assert bo.pending_requests() == (request,)
        done = bo.answer(request.key, True, by="Cleo")
        assert (done.text, done.waits, bo.pending_requests()) == ("sent send rye", (), ())
        assert [record.created for record in bo.memory.records()] == [NINE, NINE]
        assert not {ask.kind for ask in again if ask in asked} & {"choose", "generate"}
        with pytest.raises(SettingError, match="no reply waits"):
            bo.answer(request.key, True)
        ((_, entry),) = ToolCallLog(store).entries()
        assert entry.approval == Approval(True, "", "Cleo")
        assert store.verify() == ()
    assert lines(tmp_path / "letters") == [f"{request.key} send rye"]
    with Store(tmp_path / "other.db") as store:
        bo, _ = baker(store, tmp_path / "others")
        at_once = bo.chat("send rye", "Ada", at=NINE, approve=lambda request: True)
    assert (at_once.text, at_once.step.records) == (done.text, done.step.records)


def test_talks_that_wait_are_kept_apart(tmp_path: Path) -> None:
    """The same words said twice are two requests; other talk goes on in between, and a waiting
    reply takes its place after it."""
    with Store(tmp_path / "bo.db") as store:
        bo, _ = baker(store, tmp_path / "letters")
        (first,) = bo.chat("send rye", "Ada", at=NINE).waits
        (second,) = bo.chat("send rye", "Ada", at=NINE).waits
        assert first.key != second.key
        assert bo.chat("hello", "Ada", at=NINE + timedelta(minutes=1)).waits == ()
        denied = bo.answer(second.key, False, note="once is enough").text
        assert denied == "I may not do that: it was not approved, and nothing was done."
        assert bo.answer(first.key, True).text == "sent send rye"
        assert len(bo.memory) == 6
        assert store.verify() == ()
    assert lines(tmp_path / "letters") == [f"{first.key} send rye"]


def test_a_stranger_may_be_let_act_by_a_person(tmp_path: Path) -> None:
    """With strangers="ask" the request names whose words were read."""
    with Store(tmp_path / "bo.db") as store:
        bo, _ = baker(store, tmp_path / "letters", Policy(strangers="ask"))
        (request,) = bo.chat("send rye", "Eve", at=NINE).waits
        assert request.sources == ("Eve",)
        assert "the words of Eve were read" in request.because
        bo.answer(request.key, True)
    assert len(lines(tmp_path / "letters")) == 1


DYING = """
import os, signal, sys
from pathlib import Path
from denizens.memory import ToolCallLog
from denizens.store import Store
from denizens.tests import test_agents_approvals as waiting

folder, when = Path(sys.argv[1]), sys.argv[2]
def end(*given, **more):
    os.kill(os.getpid(), signal.SIGKILL)
with Store(folder / "bo.db") as store:
    bo, _ = waiting.baker(store, folder / "letters")
    setattr(ToolCallLog, when, end)
    bo.chat("send rye", "Ada", at=waiting.NINE, approve=lambda request: True)
"""


@pytest.mark.parametrize("when", ["record_start", "record_result"])
def test_killed_in_a_chat_it_asks_before_it_does_it_again(tmp_path: Path, when: str) -> None:
    """Killed after the letter was sent and before its receipt, the same words lead to a
    request that says so, once; killed before the intent they are a new call."""
    command = [sys.executable, "-c", DYING, str(tmp_path), when]
    assert subprocess.run(command, check=False).returncode == -9
    with Store(tmp_path / "bo.db") as store:
        bo, _ = baker(store, tmp_path / "letters", Policy(trusted=("Ada",)))
        reply = bo.chat("send rye", "Ada", at=NINE)
        if when == "record_start":
            assert (reply.waits, len(lines(tmp_path / "letters"))) == ((), 1)
            return
        (request,) = reply.waits
        assert request.doubt
        assert "nobody knows whether it was done" in request.because
        assert len(lines(tmp_path / "letters")) == 1
        done = bo.answer(request.key, False)
        ((_, result),) = calls(done.step)
        assert (result.reason, result.receipt) == ("gone", "")
        assert bo.chat("send rye", "Ada", at=NINE).waits == ()
    assert len(lines(tmp_path / "letters")) == 2


def test_a_person_can_be_erased_from_the_book(tmp_path: Path) -> None:
    """Forgetting a person takes their calls and waiting talks out of the file."""
    with Store(tmp_path / "bo.db") as store:
        bo, _ = baker(store, tmp_path / "letters")
        bo.chat("send Ada's words: Mimi is ill", "Ada", at=NINE)
        bo.chat("hello", "Ada", at=NINE, approve=lambda request: True)
        assert bo.pending_requests()
    erase_person(tmp_path / "bo.db", "Ada", now=NINE)
    assert b"Mimi" not in (tmp_path / "bo.db").read_bytes()
    with Store(tmp_path / "bo.db") as store:
        assert ToolCallLog(store).pending_approvals() == ()
        assert store.verify() == ()


def test_damage_to_the_book_is_found(tmp_path: Path) -> None:
    """A changed answer, and a row that is gone, are told by verify."""
    with Store(tmp_path / "bo.db") as store:
        bo, _ = baker(store, tmp_path / "letters")
        bo.chat("send rye", "Ada", at=NINE)
        bo.chat("send rye", "Ada", at=NINE)
        assert store.verify() == ()
        for change in (
            "UPDATE calls SET body = replace(body, 'rye', 'gold')",
            "UPDATE suspended SET body = replace(body, 'send', 'sell')",
            "DELETE FROM calls WHERE key LIKE '%talk1%'",
        ):
            store.execute("BEGIN")
            store.execute(change)
            assert store.verify() != ()
            store.execute("ROLLBACK")
        assert store.verify() == ()


def twice(store: Store | str, done: list[str], calls: int) -> Agent:
    """Bo Li, who looks and sends whenever spoken to, in a life of so many calls."""

    @tool(effect="acts")
    def look() -> str:
        """Look into the oven."""
        done.append("look")
        return "bread"

    @tool(effect="acts")
    def send() -> str:
        """Send a letter."""
        done.append("send")
        return "sent"

    policy = Policy(ask=("send",), trusted=("Ada",), life=UsageLimits(calls=calls))
    return Agent(
        Persona(name="Bo Li"),
        model=ImprovisedModel(),
        memory=Memory(store, "Bo Li"),
        tools=[look, send],
        policy=policy,
        dialogue=Both(),
    )


class Both:
    """A dialogue that looks and then sends; at "fall" it falls over in between."""

    def reply(
        self, situation: Situation, heard: DialogueInput
    ) -> Thought[tuple[DialogueReply, Decision]]:
        """Say what came of the two calls."""
        told = []
        for name in ("look", "send"):
            result = yield from call(Call(tool=name, arguments={}))
            assert isinstance(result, ToolResult)
            told.append(str(result.value) if result.ok else result.reason)
            if heard.line.text == "fall":
                raise RuntimeError("fell over")
        return DialogueReply(text=" ".join(told)), Decision(
            action=Action("wait"), state=situation.state
        )


def gone(piece: str) -> None:
    """Somebody who no longer listens."""
    raise RuntimeError("nobody listens")


def test_a_reply_that_is_never_written_costs_its_life_all_the_same(tmp_path: Path) -> None:
    """Calls of replies that wait for ever, fall over or are broken off count for a life, also in
    the next process: else who hangs up in time would have any number of calls."""
    for text, on_text in (("wait", None), ("fall", None), ("hello", gone)):
        done: list[str] = []
        path = tmp_path / f"{text}.db"
        for _ in range(4):
            with Store(path) as store:
                bo = twice(store, done, calls=3)
                leave = (lambda request: True) if on_text else None
                with suppress(RuntimeError):
                    bo.chat(text, "Ada", at=NINE, on_text=on_text, approve=leave)
                assert bo.state.calls == ToolCallLog(store).usage("Bo Li")[0] <= 3
        assert len(done) == 3


def test_a_reply_that_waited_is_charged_once(tmp_path: Path) -> None:
    """What a reply used before it waited is not counted again when it goes on, in this process
    or another; one that waits again, or is broken off then, is counted as far as it came."""
    for anew in (False, True):
        done: list[str] = []
        path = tmp_path / f"{anew}.db"
        with Store(path) as store:
            bo = twice(store, done, calls=2)
            (request,) = bo.chat("hello", "Ada", at=NINE).waits
            assert ToolCallLog(store).usage("Bo Li")[0] == bo.state.calls == 1
            if not anew:
                with pytest.raises(RuntimeError, match="nobody listens"):
                    bo.answer(request.key, True, on_text=gone)
                assert ToolCallLog(store).usage("Bo Li")[0] == bo.state.calls == 2
                continue
        with Store(path) as store:
            bo = twice(store, done, calls=2)
            assert bo.state.calls == 1
            assert bo.answer(request.key, True).text == "bread sent"
            assert ToolCallLog(store).usage("Bo Li")[0] == bo.state.calls == 2
            assert bo.chat("hello", "Ada", at=NINE).text == "budget budget"
            assert run_tool(bo, "look", {}, at=NINE).reason == "budget"
        with Store(path) as store:
            bo = twice(store, done, calls=2)
            assert run_tool(bo, "look", {}, at=NINE, person="Ada").reason == "budget"
            assert done == ["look", "send"]


KILLED = """
import os, sys
from denizens.store import Store
from denizens.tests.test_agents_approvals import NINE, twice, run_tool

class Log(list):
    def append(self, word):
        open(sys.argv[2], "a").write(word + "\\n")
        os._exit(0)

bo = twice(Store(sys.argv[1]), Log(), calls=2)
if sys.argv[3] == "chat":
    bo.chat("hello", "Ada", at=NINE, approve=lambda request: True)
else:
    run_tool(bo, "look", {}, at=NINE, person="Ada", approve=lambda request: True)
"""


@pytest.mark.parametrize("how", ["chat", "use"])
def test_a_life_counts_what_its_process_died_in(tmp_path: Path, how: str) -> None:
    """A call that acts counts though the process is killed in it, each time anew."""
    words = [sys.executable, "-c", KILLED, str(tmp_path / "bo.db"), str(tmp_path / "done"), how]
    for _ in range(4):
        subprocess.run(words, check=True, timeout=120, env=PATHS | os.environ)
    assert lines(tmp_path / "done") == ["look", "look"]
