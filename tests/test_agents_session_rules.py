"""Rules of sessions: any sequence of actions keeps lines and records in agreement; a killed process
loses nothing that was answered; many people, budgets and forgetting beside replies."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from denizens import Agent, Memory, Persona, Toolbox
from denizens.agents import CancelToken
from denizens.core import Choose, Generate, ModelAsk, Rate
from denizens.memory import Corrections
from denizens.planners import Dialogue, Intent
from denizens.testing import ScriptedModel
from denizens.tests.test_agents_sessions import NOON, baker, remembered, replies
from denizens.tools import Policy, UsageLimits, tool
from hypothesis import given, settings
from hypothesis import strategies as st

ACTIONS = st.lists(
    st.tuples(
        st.sampled_from(["say", "cancel", "fail", "regenerate", "edit", "branch", "reopen"]),
        st.integers(0, 7),
    ),
    max_size=12,
)


@settings(max_examples=60, deadline=None)
@given(ACTIONS)
def test_any_sequence_keeps_lines_and_records_in_agreement(actions: list[tuple[str, int]]) -> None:
    """Say, cancel after some pieces, break off, regenerate, edit, branch: every line that is shown
    has exactly its record, nothing else is recalled, and the file is whole."""
    bo = baker(model=replies(), dialogue=Dialogue(drafts=2, unknown=0))
    ada = bo.session("Ada")
    for number, (action, place) in enumerate(actions):
        lines = ada.lines
        own = [line for line in lines if line.who == "Ada"]
        if action == "say":
            ada.say(f"Line {number}.", at=NOON)
        elif action in ("cancel", "fail"):
            _interrupted(ada, f"Line {number}.", place, action == "cancel")
        elif action == "regenerate" and own:
            ada.regenerate(at=NOON)
        elif action == "edit" and own:
            ada.edit(own[place % len(own)].id, f"Other {number}.", at=NOON)
        elif action == "branch":
            every = sorted({line.id for path in (lines, *ada.branches) for line in path})
            ada.branch([0, *every][place % (len(every) + 1)], at=NOON)
        elif action == "reopen":
            ada = bo.session("Ada")
        remembered(bo, ada)
    assert not bo.memory.store.verify()
    bo.memory.close()


def _interrupted(session: Any, text: str, pieces: int, cancel: bool) -> None:
    token = CancelToken()
    told: list[str] = []

    def hear(piece: str) -> None:
        if len(told) == pieces and not cancel:
            raise ConnectionError("gone")
        if piece:
            told.append(piece)
        if len(told) == pieces and cancel:
            token.cancel()

    try:
        reply = session.say(text, at=NOON, on_text=hear, cancel=token)
    except ConnectionError:
        reply = None
    shown = session.lines[-1] if session.lines else None
    if told and reply is None:
        assert shown is not None
        assert shown.text == "".join(told).strip()
    if reply is not None and reply.text:
        assert shown is not None
        assert (shown.text, reply.text) == ("".join(told).strip(),) * 2


KILLED = """
import os, sys
from denizens.tests.test_agents_sessions import NOON, baker
bo = baker(sys.argv[1])
ada = bo.session("Ada")
for number in range(3):
    ada.say(f"Line {number}.", at=NOON)
print("ready", flush=True)
ada.say("Never answered.", at=NOON, on_text=lambda piece: os.kill(os.getpid(), 9))
"""


def test_a_killed_process_loses_nothing_that_was_answered(tmp_path: Path) -> None:
    """After kill -9 in the middle of a reply the session has all lines before it, with records."""
    path = tmp_path / "bo.db"
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(path)],
        capture_output=True,
        text=True,
        env=os.environ,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (-signal.SIGKILL, "ready\n"), done.stderr
    bo = baker(path)
    ada = bo.session("Ada")
    assert [line.text for line in ada.lines][::2] == ["Line 0.", "Line 1.", "Line 2."]
    remembered(bo, ada)
    assert not bo.memory.store.verify()
    bo.memory.close()


def test_a_life_is_bounded_over_chats_at_once() -> None:
    """Of eight people whose chats run at once and each want a call, three get one."""
    called: list[int] = []
    meeting = threading.Barrier(8, timeout=20)

    @tool(effect="acts")
    def send() -> str:
        """Send a message."""
        called.append(1)
        return "sent"

    class Meeting(ScriptedModel):
        """All thoughts wait for the model together before they want the call."""

        def client(self) -> Any:
            client = super().client()
            wait = client.wait
            met: list[bool] = []

            def wait_for_all(timeout: float | None = None) -> Any:
                if not met:
                    met.append(True)
                    meeting.wait()
                return wait(timeout)

            client.wait = wait_for_all  # type: ignore[method-assign]
            return client

    def answer(ask: ModelAsk) -> Any:
        if isinstance(ask, Choose):
            return "send" if any(o.name == "send" for o in ask.options) else ask.options[0].name
        return 3 if isinstance(ask, Rate) else "Fine."

    bo = Agent(
        Persona(name="Bo"),
        model=ScriptedModel(answer),
        memory=Memory(":memory:", "Bo"),
        tools=Toolbox([send]),
        policy=Policy(trusted=("*",), life=UsageLimits(calls=3)),
        dialogue=Dialogue(intents=(Intent(name="send", about="Send.", tool="send"),)),
    )
    bo.bootstrap()
    bo.model = Meeting(answer)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: bo.chat("Send one.", f"Guest {n}", at=NOON), range(8)))
    assert len(called) <= 3
    assert bo.state.calls == len(called)


def test_what_was_forgotten_meanwhile_is_not_written_back() -> None:
    """A record is forgotten while a reply that recalled it is made: it is thought of anew, and the
    commit does not break."""
    asked: list[str] = []
    bo = baker(dialogue=Dialogue(drafts=2, unknown=0))
    ada = bo.session("Ada")
    ada.say("My cat is called Tom.", at=NOON)
    (number,) = ada.lines[0].records

    def answer(ask: ModelAsk) -> Any:
        if isinstance(ask, Choose):
            return ask.options[0].name
        if isinstance(ask, Generate):
            asked.append("\n".join(message.text for message in ask.messages))
            if len(asked) == 1:
                with bo.memory.store.owner:
                    Corrections(bo.memory).forget(number)
            return "I know little of cats."
        return 3

    bo.model = ScriptedModel(answer)
    reply = ada.say("Tell me about cats.", at=NOON)
    assert reply.text == "I know little of cats."
    assert all(line.text != "My cat is called Tom." for line in ada.lines)
    assert "Tom" in asked[0]
    assert "Tom" not in asked[-1]
    recalled = {number for line in ada.lines for number, _ in line.recalled}
    assert number not in recalled


def test_a_deleted_session_is_gone() -> None:
    """With its branches and records; other sessions of the person stay."""
    bo = baker()
    ada, shop = bo.session("Ada"), bo.session("Ada", "shop")
    shop.say("Open today?", at=NOON)
    ada.say("I like rye.", at=NOON)
    ada.regenerate(at=NOON)
    ada.delete()
    assert (ada.lines, ada.branches) == ((), ())
    assert bo.sessions("Ada") == ("shop",)
    assert len(shop.lines) == 2
    remembered(bo, shop)
    assert not bo.memory.store.verify()
