"""The commands serve and mcp: agents for other programs."""

from __future__ import annotations

import signal
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..core import SettingError
from .application import CodeOption, ModelOption, VoiceOption, app, console, print_line, shell_quote

if TYPE_CHECKING:
    from ..server.hosting import HostingSettings

_HOST, _PORT, _MCP_PORT = "127.0.0.1", 8000, 8420

WhereArgument = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="WHERE...",
        help="A scenario, a folder of character cards, a card or persona file; several are served "
        "together.",
    ),
]
MemoryOption = Annotated[
    Path | None,
    typer.Option(
        "--memory", help="File (.db) or folder that keeps the memories (default: denizens-memory)."
    ),
]
KeysOption = Annotated[
    Path | None,
    typer.Option("--keys", help="File of API keys (default: keys.json beside the memory)."),
]
NewKeyOption = Annotated[
    str | None,
    typer.Option("--new-key", metavar="NAME", help="Make an API key, print it once, and exit."),
]
RevokeOption = Annotated[
    str | None, typer.Option("--revoke-key", metavar="NAME", help="Withdraw an API key, and exit.")
]
PersonOption = Annotated[
    str | None, typer.Option("--person", help="With --new-key: the only person it speaks for.")
]
ToolOption = Annotated[
    list[str] | None,
    typer.Option("--tool", help="A tool for cards and persona files; may be repeated."),
]
NameOption = Annotated[
    list[str] | None,
    typer.Option("--name", help="Host name that clients may use; may be repeated."),
]
OriginOption = Annotated[
    list[str] | None,
    typer.Option("--origin", help="Web page (https://HOST) that may use it; may be repeated."),
]
HostOption = Annotated[str, typer.Option("--host", help="Address to serve at.")]
PortOption = Annotated[int, typer.Option("--port", min=0, max=65535, help="0: any free one.")]
ConcurrentOption = Annotated[int, typer.Option("--concurrent", help="Replies at once.")]
QueueOption = Annotated[int, typer.Option("--queue", help="Requests that may wait.")]
RateOption = Annotated[
    int, typer.Option("--rate", help="Requests per minute and key (0: no bound).")
]
DeadlineOption = Annotated[float, typer.Option("--deadline", help="Seconds for an answer.")]
TokensOption = Annotated[int, typer.Option("--max-tokens", help="Tokens of an answer.")]
GraceOption = Annotated[
    float, typer.Option("--grace", help="Seconds for replies in progress at the end.")
]
LogTextOption = Annotated[
    bool, typer.Option("--log-text", help="Log failures with their text, which may be private.")
]
TelemetryOption = Annotated[
    str | None,
    typer.Option("--telemetry", help="OpenTelemetry spans of requests: console or otlp."),
]
WorkersOption = Annotated[int, typer.Option("--workers", hidden=True)]


@app.command()
def serve(
    where: WhereArgument = None,
    model: ModelOption = None,
    voice: VoiceOption = None,
    memory: MemoryOption = None,
    host: HostOption = _HOST,
    port: PortOption = _PORT,
    keys: KeysOption = None,
    new_key: NewKeyOption = None,
    revoke_key: RevokeOption = None,
    person: PersonOption = None,
    name: NameOption = None,
    origin: OriginOption = None,
    tool: ToolOption = None,
    concurrent: ConcurrentOption = 64,
    queue: QueueOption = 32,
    rate: RateOption = 600,
    deadline: DeadlineOption = 300.0,
    max_tokens: TokensOption = 2048,
    grace: GraceOption = 20.0,
    telemetry: TelemetryOption = None,
    log_text: LogTextOption = False,
    workers: WorkersOption = 1,
) -> None:
    """Serve agents over HTTP: the OpenAI API, an API of their own, and a page to chat on."""
    _require_extra()
    from ..server.hosting import HostingSettings, memory_files

    _refuse_workers(workers)
    store, people = memory_files(memory)
    keys_file = keys or store.with_name("keys.json")
    if new_key is not None or revoke_key is not None:
        _change_keys(keys_file, new_key, revoke_key, person)
        return
    if person is not None:
        raise SettingError("serve: --person belongs to --new-key")
    if not where:
        raise SettingError("serve: say whom: a scenario, a folder of cards, or persona files")
    settings = HostingSettings(
        host=host,
        port=port,
        concurrent=concurrent,
        queue=queue,
        requests_per_minute=rate,
        deadline=deadline,
        max_tokens=max_tokens,
        grace=grace,
        keys=keys_file if keys is not None or keys_file.exists() else None,
        people=people,
        host_names=tuple(name or ()),
        origins=tuple(origin or ()),
        log_text=log_text,
    )
    _run_server(where, settings, store, model, voice, tuple(tool or ()), telemetry)


def _run_server(
    where: list[str],
    settings: HostingSettings,
    store: Path,
    model: str | None,
    voice: str | None,
    tools: tuple[str, ...],
    telemetry: str | None,
) -> None:
    """Open the agents and serve them until the process is told to stop."""
    from ..server.hosting import open_agents
    from ..server.web import create_app, serve_app, tracer_provider

    settings.require_keys()
    provider = tracer_provider(telemetry) if telemetry else None
    out = console()

    def show(line: str) -> None:
        out.print(f"{line} ...")

    with open_agents(
        where, memory=store, model=model, voice=voice, tools=tools, progress=show
    ) as hosts:
        application = create_app(hosts, settings, tracer_provider=provider)
        access = f"API keys: {settings.keys}" if settings.keys else "no API keys: this machine only"
        out.print(f"{len(hosts)} agents and the model {hosts.model_id}; memory: {store}; {access}")
        serve_app(
            application,
            settings,
            announce=lambda url: out.print(f"serving at {url} (Ctrl-C ends it)"),
        )
    if provider is not None:
        provider.shutdown()


def _change_keys(file: Path, new: str | None, revoked: str | None, person: str | None) -> None:
    from ..server.hosting import add_key, revoke_key

    if new is not None and revoked is not None:
        raise SettingError("serve: --new-key or --revoke-key, not both")
    if revoked is not None:
        revoke_key(file, revoked)
        console().print(f"key '{revoked}' withdrawn from {file}")
        return
    print_line(add_key(file, new or "", person or ""))
    speaks = f"speaks for {person}" if person else "names the person by 'user'"
    console().print(
        f"(this is the only time that the key is shown; {file} keeps its hash; the key {speaks}; "
        f"use it as: Authorization: Bearer KEY; withdraw it with --keys {shell_quote(file)} "
        f"--revoke-key {new})"
    )


def _refuse_workers(workers: int) -> None:
    if workers != 1:
        raise SettingError(
            "serve: one process serves all, since it holds the model and the memories; for more, "
            "start several servers, each with a --memory of its own, behind a proxy that sends a "
            "person always to the same one (docs/serve.md)"
        )


def _require_extra() -> None:
    try:
        import fastapi  # noqa: F401
        import prometheus_client  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError as error:
        raise SettingError(f"serve: {error}; pip install 'denizens[serve]'") from error


McpWhereArgument = Annotated[
    str, typer.Argument(metavar="WHERE", help="A scenario, a run's folder or a persona file.")
]
AgentArgument = Annotated[
    str, typer.Argument(metavar="AGENT", help="The agent; optional if there is only one.")
]
McpToolsOption = Annotated[
    list[str] | None, typer.Option("--tool", help="A tool for a persona file; may be repeated.")
]
TrustOption = Annotated[
    list[str] | None,
    typer.Option(
        "--trust", help="A person whose words may cause acting tool calls; may be repeated."
    ),
]


@app.command()
def mcp(
    where: McpWhereArgument,
    agent: AgentArgument = "",
    model: ModelOption = None,
    memory: Annotated[
        Path | None, typer.Option("--memory", help="File that keeps the agent's memory.")
    ] = None,
    tool: McpToolsOption = None,
    person: Annotated[
        str | None,
        typer.Option("--person", help="The client's person; by default the client states it."),
    ] = None,
    trust: TrustOption = None,
    http: Annotated[
        bool, typer.Option("--http", help="Serve over HTTP instead of standard input and output.")
    ] = False,
    host: HostOption = _HOST,
    port: PortOption = _MCP_PORT,
    name: NameOption = None,
    tokens: Annotated[
        Path | None, typer.Option("--tokens", help='TOML file of bearer tokens: "Ada" = "...".')
    ] = None,
    allow_code: CodeOption = False,
) -> None:
    """Serve an agent, its memory and its tools to MCP clients."""
    from ..server import open_hosted_agent, read_tokens, serve_http, serve_stdio

    if not http and (tokens or name or (host, port) != (_HOST, _MCP_PORT)):
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
