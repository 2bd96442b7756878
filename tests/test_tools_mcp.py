"""Tools of real MCP servers, written with the official SDK, in processes of their own."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from denizens.agents import Agent
from denizens.core import Choice, Choose, Json, ModelAsk, Persona, Rate, ToolError, ToolResult
from denizens.memory import Memory
from denizens.testing import ScriptedModel
from denizens.tests.support.mcp_servers import HUGE
from denizens.tools import McpClient, Toolbox, ToolContext, ToolProgress, tools_from_mcp
from denizens.tools.external.mcp_client import result_value
from mcp_types import CallToolResult, TextContent

os.environ["SECRET_OF_THESE_TESTS"] = "sk-secret"
SERVERS = str(Path(__file__).parent / "support" / "mcp_servers.py")
BO = ToolContext("Bo", datetime(2023, 2, 13))


def command(kind: str, *words: str) -> list[str]:
    return [sys.executable, SERVERS, kind, *words]


@contextmanager
def client(kind: str, **settings: Any) -> Iterator[McpClient]:
    """A client of one of the servers over standard input and output."""
    with McpClient(command(kind), **{"timeout": 20, "namespace": "far", **settings}) as found:
        yield found


def use(box: Toolbox, name: str, **arguments: Json) -> ToolResult:
    """Call a tool; however it ends, it ends soon."""
    start = time.perf_counter()
    result = box.call(name, arguments, context=BO, key="1")
    assert time.perf_counter() - start < 15
    return result


@pytest.fixture(scope="module")
def far() -> Iterator[McpClient]:
    """A friendly server that lives as long as this file's tests."""
    with McpClient(command("friendly"), timeout=20, env={"CITY": "Ulm"}) as found:
        yield found


@pytest.fixture
def box(far: McpClient) -> Toolbox:
    """Its tools and one of ours."""
    return Toolbox([*far.tools(), "calculator"])


def test_tools_are_called(box: Toolbox) -> None:
    """A server's tools are listed under its own name, mixed with ours, checked and called."""
    assert box.names()[:2] == ("Weather_Co.add", "Weather_Co.slow")
    assert use(box, "Weather_Co.add", a=3, b=4).value == 7
    assert use(box, "calculator", expression="3+4").value == 7
    spec = box.spec("Weather_Co.add")
    assert (spec.description, spec.effect, spec.outside) == (
        "Add two whole numbers.",
        "reads",
        True,
    )
    assert box.spec("Weather_Co.refuse").effect == "acts"
    wrong = use(box, "Weather_Co.add", a="three", c=1)
    assert wrong.reason == "arguments"
    assert wrong.receipt == ""
    assert "argument 'b' is missing" in wrong.error
    assert "'three' is not of type 'integer'" in wrong.error


def test_refusal_is_told(box: Toolbox) -> None:
    """What a server says went wrong is a result with a reason, not an exception."""
    refused = use(box, "Weather_Co.refuse")
    assert (refused.ok, refused.reason) == (False, "failed")
    assert "refuse" in refused.error


def test_no_secrets_in_the_child(box: Toolbox) -> None:
    """A server that is started inherits safe variables and those given, no others."""
    assert os.environ["SECRET_OF_THESE_TESTS"]
    names = use(box, "Weather_Co.variables").value
    assert "CITY" in names
    assert set(names) <= {"HOME", "LOGNAME", "PATH", "SHELL", "TERM", "USER", "CITY", "LC_CTYPE"}


def test_progress_is_heard(far: McpClient) -> None:
    """What a server says while it works is told as ours do it, in the caller's thread."""
    heard: list[tuple[ToolProgress, int]] = []
    box = Toolbox(far.tools(), listener=lambda said: heard.append((said, threading.get_ident())))
    assert use(box, "Weather_Co.slow", seconds=0.1).value == "awake"
    [(said, thread)] = heard
    assert (said.tool, said.text, said.share) == ("Weather_Co.slow", "half of it", 0.5)
    assert thread == threading.get_ident()


def test_a_slow_call_times_out_and_the_next_works(far: McpClient, box: Toolbox) -> None:
    """A call that takes too long ends with a typed error; the server is not lost by it."""
    number = use(box, "Weather_Co.number").value
    far.timeout = 0.4
    slow = use(box, "Weather_Co.slow", seconds=60)
    far.timeout = 20
    assert (slow.ok, slow.reason) == (False, "timeout")
    assert use(box, "Weather_Co.number").value == number


def test_death_and_restart(tmp_path: Path) -> None:
    """A server that ends itself in a call, or is killed in one, is told as gone, at once; the
    next call starts it again. One that died between two calls is started by the second."""
    with client("friendly") as found:
        box = Toolbox(found.tools())
        first = use(box, "far.number").value
        gone = use(box, "far.end", mark=str(tmp_path / "mark"))
        assert (gone.ok, gone.reason) == (False, "gone")
        assert gone.receipt
        assert (tmp_path / "mark").read_text() == "begun"
        second = use(box, "far.number").value
        assert second != first
        threading.Timer(0.3, os.kill, (second, signal.SIGKILL)).start()
        start = time.perf_counter()
        assert use(box, "far.slow", seconds=60).reason == "gone"
        assert time.perf_counter() - start < 5
        third = use(box, "far.number").value
        os.kill(third, signal.SIGKILL)
        time.sleep(0.4)
        again = use(box, "far.number")
        assert again.ok
        assert again.value != third


def test_what_cannot_start_is_not_tried_at_every_call(tmp_path: Path) -> None:
    """After a failed start calls fail at once for a while, then it is tried again."""
    script = tmp_path / "server.py"
    script.write_text(Path(SERVERS).read_text(encoding="utf-8"), encoding="utf-8")
    with McpClient([sys.executable, str(script), "friendly"], timeout=20, namespace="far") as far:
        box = Toolbox(far.tools())
        whole = script.read_text(encoding="utf-8")
        script.write_text("import sys; sys.exit('moved away')", encoding="utf-8")
        os.kill(use(box, "far.number").value, signal.SIGKILL)
        time.sleep(0.5)
        tried = use(box, "far.add", a=1, b=1)
        assert tried.reason == "gone"
        assert "moved away" in tried.error
        start = time.perf_counter()
        at_once = use(box, "far.add", a=1, b=1)
        assert "try again in" in at_once.error
        assert time.perf_counter() - start < 0.1
        script.write_text(whole, encoding="utf-8")
        time.sleep(0.6)
        assert use(box, "far.add", a=1, b=1).value == 2


@pytest.mark.parametrize(
    ("where", "told"),
    [
        (command("broken"), "last words: the weather is not installed"),
        (command("silent"), "did not answer within"),
        (["no-such-command"], "No such file"),
        ("http://127.0.0.1:9/mcp", "cannot be started or reached"),
    ],
)
def test_what_cannot_be_reached_is_told(where: Any, told: str) -> None:
    """A server that ends, is silent or is not there is an error that names it, soon."""
    start = time.perf_counter()
    with (
        McpClient(where, timeout=10 if "last words" in told else 1.5) as found,
        pytest.raises(ToolError, match=told),
    ):
        found.tools()
    assert time.perf_counter() - start < 8


@pytest.mark.parametrize(
    ("where", "settings", "told"),
    [
        ("", {}, "give a command"),
        ("x", {"namespace": "no good"}, "namespace"),
        ("x", {"headers": {"A": "b"}}, "headers are for a URL"),
        ("http://x", {"env": {"A": "b"}}, "env and folder are for a command"),
        ("x", {"timeout": 0}, "above 0"),
    ],
)
def test_wrong_settings_are_refused(where: str, settings: Any, told: str) -> None:
    """What cannot be a server is refused before anything is started."""
    with pytest.raises(ToolError, match=told):
        McpClient(where, **settings)


def test_hostile_server() -> None:
    """Odd names, huge and circular schemas, three pages, results that are too long or break
    the server's own schema: all become tools that can be called, and are told when they change."""
    with client("hostile") as found:
        tools = found.tools()
        box = Toolbox(tools)
        assert len(box) == 8
        assert box.names()[:5] == ("far.a_b", "far.a_b_2", "far.a_b_3", "far._9_lives", "far.tool")
        for spec in box.specs():
            assert spec.description.isprintable()
            assert len(spec.description) <= 600
            assert len(str(spec.parameters)) < 13_000
        assert use(box, "far.a_b").value.splitlines() == [
            "said",
            "[image: image/png, about 6 bytes]",
            "[n:1]",
            "note",
            "[resource: x:y, image/x, about 3 bytes]",
            "[link: passwords, file:///etc/passwd]",
        ]
        long = use(box, "far.a_b_3").value
        assert len(long) < 9_000
        assert int(long.split("cut: ")[1].split()[0]) >= HUGE - 8_000
        lives = use(box, "far._9_lives").value
        assert lives["value"] == {"n": "a" * 40 + "!"}
        changed(found, box)


def changed(found: McpClient, box: Toolbox) -> None:
    """A server that says its tools changed is asked again; old names stay, a toolbox that
    was made before keeps what it has."""
    before = [one.name for one in found.tools()]
    assert use(box, "far.a_b_2").ok
    end = time.perf_counter() + 5
    while not found.changed and time.perf_counter() < end:
        time.sleep(0.01)
    assert [one.name for one in found.tools()] == [*before, "far.late"]
    assert not found.changed
    assert "far.late" not in box


def test_results_are_sound() -> None:
    """Halves of surrogate pairs and numbers that JSON does not know are replaced."""
    text = TextContent.model_construct(type="text", text="a\ud800b")
    assert (
        result_value(CallToolResult.model_construct(content=[text], structured_content=None))
        == "a?b"
    )
    odd = CallToolResult(content=[], structured_content={"result": [float("nan"), "\udfff"]})
    assert result_value(odd) == [None, "?"]


def test_the_server_ends_with_its_tools() -> None:
    """When nobody holds a server's tools any more, its process ends; a closed one is gone."""
    made = list(tools_from_mcp(command("friendly"), namespace="far", timeout=20))
    number = use(Toolbox(made), "far.number").value
    made.clear()
    end = time.perf_counter() + 8
    while alive(number) and time.perf_counter() < end:
        time.sleep(0.05)
    assert not alive(number)
    with client("friendly") as found:
        box = Toolbox(found.tools())
    assert use(box, "far.add", a=1, b=1).reason == "gone"


def test_the_server_ends_with_the_process() -> None:
    """A process that never closes its servers leaves none behind."""
    code = (
        "import sys; from denizens.tools import McpClient; "
        "print(McpClient(sys.argv[1:], namespace='far').call('number', {}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *command("friendly")],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert not alive(int(done.stdout))


def alive(number: int) -> bool:
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    return True


def test_an_agent_uses_a_server(far: McpClient) -> None:
    """An agent in a chat chooses a foreign tool, fills its arguments, and speaks of its answer."""

    def answer(ask: ModelAsk) -> Any:
        if isinstance(ask, Choose):
            names = [option.name for option in ask.options]
            if ask.role == "value":
                return "22" if 'What is "b"' in ask.messages[-1].text else "20"
            shares = [1.0 * (name == "Weather_Co.add") for name in names]
            return Choice(index=names.index("Weather_Co.add"), probabilities=tuple(shares))
        if isinstance(ask, Rate):
            return 2
        told = "" if ask.kind == "embed" else "\n".join(one.text for one in ask.messages)
        return (
            '{"a": 20, "b": 22}'
            if ask.role == "arguments"
            else f"I get {'42' if '42' in told else 'nothing'}."
        )

    bo = Agent(
        Persona(name="Bo Lind"),
        model=ScriptedModel(answer),
        memory=Memory(":memory:", "Bo Lind"),
        tools=Toolbox(far.tools()),
    )
    assert bo.chat("What is 20 and 22?", "Ada").text == "I get 42."


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


@contextmanager
def over_http(port: int) -> Iterator[subprocess.Popen[bytes]]:
    """The friendly server over HTTP, until the block ends."""
    process = subprocess.Popen(command("http", str(port)), stderr=subprocess.DEVNULL)
    try:
        end = time.perf_counter() + 20
        while time.perf_counter() < end:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield process
    finally:
        process.kill()
        process.wait()


def test_over_http_killed_and_restarted() -> None:
    """The same over HTTP: called, killed in the middle of a call, gone, back again."""
    port = free_port()
    with McpClient(f"http://127.0.0.1:{port}/mcp", namespace="far", timeout=20) as found:
        with over_http(port) as process:
            box = Toolbox.from_mcp(f"http://127.0.0.1:{port}/mcp", namespace="one")
            assert use(box, "one.add", a=1, b=1).value == 2
            box = Toolbox(found.tools())
            assert use(box, "far.add", a=1, b=1).value == 2
            threading.Timer(0.5, process.kill).start()
            assert use(box, "far.slow", seconds=60).reason == "gone"
        away = use(box, "far.add", a=1, b=1)
        assert away.reason == "gone"
        with over_http(port):
            time.sleep(0.6)
            assert use(box, "far.add", a=1, b=1).value == 2
