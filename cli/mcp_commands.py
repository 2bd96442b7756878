"""The command mcp: serve an agent to other programs."""

from __future__ import annotations

import signal
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from ..core import SettingError
from .application import CodeOption, ModelOption, app, console

_HOST, _PORT = "127.0.0.1", 8420

WhereArgument = Annotated[
    str, typer.Argument(metavar="WHERE", help="A scenario, a run's folder or a persona file.")
]
AgentArgument = Annotated[
    str, typer.Argument(metavar="AGENT", help="The agent; optional if there is only one.")
]
ToolsOption = Annotated[
    list[str] | None, typer.Option("--tool", help="A tool for a persona file; may be repeated.")
]
TrustOption = Annotated[
    list[str] | None,
    typer.Option(
        "--trust", help="A person whose words may cause acting tool calls; may be repeated."
    ),
]
HostNamesOption = Annotated[
    list[str] | None,
    typer.Option("--name", help="Host name that clients may use; may be repeated."),
]


@app.command()
def mcp(
    where: WhereArgument,
    agent: AgentArgument = "",
    model: ModelOption = None,
    memory: Annotated[
        Path | None, typer.Option("--memory", help="File that keeps the agent's memory.")
    ] = None,
    tool: ToolsOption = None,
    person: Annotated[
        str | None,
        typer.Option("--person", help="The client's person; by default the client states it."),
    ] = None,
    trust: TrustOption = None,
    http: Annotated[
        bool, typer.Option("--http", help="Serve over HTTP instead of standard input and output.")
    ] = False,
    host: Annotated[str, typer.Option("--host", help="Address to serve at.")] = _HOST,
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="0: any free one.")] = _PORT,
    name: HostNamesOption = None,
    tokens: Annotated[
        Path | None, typer.Option("--tokens", help='TOML file of bearer tokens: "Ada" = "...".')
    ] = None,
    allow_code: CodeOption = False,
) -> None:
    """Serve an agent, its memory and its tools to MCP clients."""
    from ..server import open_hosted_agent, read_tokens, serve_http, serve_stdio

    if not http and (tokens or name or (host, port) != (_HOST, _PORT)):
        raise SettingError("mcp: --host, --port, --tokens and --name are for --http")
    if person is not None and tokens:
        raise SettingError("mcp: --person and --tokens both say who the client is; give one")
    make = partial(
        open_hosted_agent,
        where,
        agent,
        memory=memory,
        model=model,
        tools=tuple(tool or ()),
        trusted=tuple(trust or ()),
        allow_code=allow_code,
    )
    if http:
        serve_http(
            make,
            host=host,
            port=port,
            names=tuple(name or ()),
            tokens=read_tokens(tokens) if tokens else None,
            person=person,
            announce=lambda url: console().print(f"serving at {url} (Ctrl-C ends it)"),
        )
    else:
        # Reading standard input cannot be interrupted; all writes are atomic, so exiting is safe.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        serve_stdio(make, person=person)
