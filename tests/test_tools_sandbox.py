"""The sandbox computes, and nothing gets out of it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from denizens.core import SettingError
from denizens.tests.support.sandbox_escapes import BREAKING, ESCAPES, READING
from denizens.tools import Toolbox, ToolContext, python_sandbox

CANARY = "canary-7f3a91c2"
BO = ToolContext(who="Bo", now=datetime(2023, 2, 13, 9), key="1/Bo/1.0")


@dataclass
class Cage:
    """Canaries around the sandbox: a secret file, a file that must never be, a listener."""

    folder: Path
    port: int
    called: list[object]

    def program(self, text: str) -> str:
        """The program with the canaries' places in it."""
        return (
            text.replace("SECRET", str(self.folder / "secret.txt"))
            .replace("MADE", str(self.folder / "made"))
            .replace("PORT", str(self.port))
        )

    def sang(self) -> bool:
        """Whether a file was made or changed, or somebody called."""
        names = sorted(one.name for one in self.folder.iterdir())
        kept = (self.folder / "secret.txt").read_text() == CANARY
        return names != ["secret.txt"] or not kept or bool(self.called)


@pytest.fixture
def cage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cage]:
    (tmp_path / "secret.txt").write_text(CANARY)
    monkeypatch.setenv("CANARY_ENV", CANARY)
    listener = socket.create_server(("127.0.0.1", 0))
    called: list[object] = []

    def serve() -> None:
        while True:
            try:
                caller, whence = listener.accept()
            except OSError:
                return
            called.append(whence)
            caller.close()

    worker = threading.Thread(target=serve, daemon=True)
    worker.start()
    yield Cage(tmp_path, listener.getsockname()[1], called)
    # Closing alone does not wake a thread that accepts.
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    worker.join()


def ran(code: str, **limits: Any) -> tuple[str, float]:
    """All that comes out of the sandbox, and how many seconds it took."""
    sandbox = python_sandbox(**{"seconds": 0.3, **limits})
    begun = time.monotonic()
    try:
        told = str(sandbox(context=BO, code=code))
    except ValueError as error:
        told = str(error)
    return told, time.monotonic() - begun


def test_no_program_gets_out(cage: Cage) -> None:
    """Of all programs none reads the canaries, makes a file, calls anybody, or takes long."""
    assert len(set(ESCAPES)) >= 200
    slow = []
    for program in ESCAPES:
        told, seconds = ran(cage.program(program))
        assert CANARY not in told, program
        assert not cage.sang(), program
        assert len(told) < 20_000, program[:200]
        if seconds > 3:
            slow.append((program[:80], seconds))
    assert slow == []
    assert sorted(os.environ) == sorted(os.environ | {"CANARY_ENV": CANARY})


def test_the_canaries_sing(cage: Cage) -> None:
    """In plain Python the same programs do get through: what watches them is not blind."""
    programs = [
        *READING[:14],
        "open('MADE', 'w').write('x')",
        "import socket\nsocket.create_connection(('127.0.0.1', PORT))",
    ]
    code = "\n".join(
        f"try:\n    exec({cage.program(one)!r})\nexcept Exception as e:\n    print(repr(e))\n"
        f"print('---{number}')"
        for number, one in enumerate(programs)
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    parts = done.stdout.split("---")[: len(READING[:14])]
    assert [part for part in parts if CANARY not in part] == []
    assert (cage.folder / "made").exists()
    time.sleep(0.05)
    assert cage.called
    assert cage.sang()


def test_memory_is_bounded() -> None:
    """Programs that fill the memory: neither the sandbox's process nor ours grows beyond the
    limit and what the interpreter itself needs."""
    code = """
import resource
from datetime import datetime
from denizens.tests.support.sandbox_escapes import BREAKING
from denizens.tools import ToolContext, python_sandbox
sandbox = python_sandbox(seconds=0.3, memory=64)
for program in BREAKING[18:52]:
    try:
        sandbox(context=ToolContext("Bo", datetime(2023, 2, 13)), code=program)
    except ValueError:
        pass
theirs = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024
# Not ru_maxrss: a process inherits it from the one that started it, here the test run.
status = open("/proc/self/status").read()
ours = int(status.split("VmHWM:")[1].split()[0]) // 1024
print(theirs, ours)
"""
    assert len(BREAKING) > 70
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    theirs, ours = map(int, done.stdout.split())
    print(f"at most {theirs} MB in the sandbox's process, {ours} MB in ours")
    assert 0 < theirs < 400
    assert ours < 400


@pytest.mark.parametrize(
    ("code", "printed", "value"),
    [
        ("sum(n * n for n in range(10))", "", 285),
        ("print('a')\nprint('b')", "a\nb\n", None),
        ("import math\nround(math.sqrt(2), 3)", "", 1.414),
        ("{'a': [1, (2, 3)], 4: {5}}", "", {"a": [1, [2, 3]], "4": [5]}),
        ("import json\njson.loads('[1, null]')", "", [1, None]),
        ("from datetime import datetime\nprint(datetime.now())", "2023-02-13 09:00:00\n", None),
        ("float('inf')", "", "inf"),
        ("2**20000", "", "a number of about 6021 digits"),
        ("words = 'a b a'.split()\n{w: words.count(w) for w in words}", "", {"a": 2, "b": 1}),
    ],
)
def test_it_computes(code: str, printed: str, value: Any) -> None:
    """Ordinary programs give what they print and the value of their last expression."""
    assert python_sandbox()(context=BO, code=code) == {"printed": printed, "value": value}


def test_a_call_done_again_gives_the_same() -> None:
    """Random numbers follow the call's key, and the clock stands at the call's moment."""
    code = "import random\n[random.random() for _ in range(3)]"
    box = Toolbox(["python"])
    one, again, other = (
        box.call("python", {"code": code}, context=BO, key=key) for key in ("a", "a", "b")
    )
    assert one.value == again.value
    assert one.value != other.value


def test_errors_tell_the_line() -> None:
    """A program that fails says in which line and why, and what it had printed."""
    with pytest.raises(ValueError, match=r"line 2: ZeroDivisionError.*printed before: so far"):
        python_sandbox()(context=BO, code="print('so far')\n1 / 0")
    with pytest.raises(ValueError, match="SyntaxError"):
        python_sandbox()(context=BO, code="1 +")
    with pytest.raises(ValueError, match="more than"):
        python_sandbox()(context=BO, code=" " * 30_000)


def test_nothing_stays_between_calls() -> None:
    """What one program sets no later one finds."""
    sandbox = python_sandbox()
    sandbox(context=BO, code="left = 1")
    with pytest.raises(ValueError, match="NameError"):
        sandbox(context=BO, code="left")


@pytest.mark.parametrize("limits", [{"seconds": 0}, {"memory": 0}, {"output": 0}])
def test_limits_that_allow_nothing_are_refused(limits: dict[str, Any]) -> None:
    """A sandbox without time, memory or output is not made."""
    with pytest.raises(SettingError, match="python_sandbox"):
        python_sandbox(**limits)
