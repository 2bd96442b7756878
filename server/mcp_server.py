"""An agent as an MCP server: its counter's tools and two resources, in the SDK's words.

Serving an agent over MCP: standard input and output, or streamable HTTP.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import os
import socket
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from importlib.metadata import version
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..core import Json, SettingError, ToolResult, ToolSpec, normalize, read_settings
from ..tools.external import import_optional
from .agent_service import AgentService
from .agent_thread import AgentBusy, AgentThread, TextCallback
from .hosted_agent import HostedAgent

if TYPE_CHECKING:
    from mcp.server.lowlevel import Server

_RESOURCES = (
    ("denizens://persona", "persona", "Who the agent is."),
    ("denizens://memory", "memory", "How much the agent remembers, and since when."),
)
_INSTRUCTIONS = (
    "This is an agent that lives: talk with it by 'chat', look up what it remembers by 'recall'. "
    "It is answered and remembered by your name; what is for others you do not see."
)


def build_mcp_server(
    desk: AgentThread[AgentService], version: str = "", identify: Callable[[], str] | None = None
) -> Server[Any]:
    """The SDK's server for the agent at a desk. ``identify`` tells in whose name a request
    comes, where that is settled by how it comes."""
    types: Any = import_optional("mcp_types")

    async def list_tools(context: Any, parameters: Any) -> Any:
        specs = await desk.run(lambda counter, _: counter.specs())
        return types.ListToolsResult(tools=[_tool_type(types, spec) for spec in specs])

    async def call_tool(context: Any, parameters: Any) -> Any:
        person = identify() if identify else ""
        pieces: asyncio.Queue[str | None] = asyncio.Queue()
        teller = asyncio.create_task(_report_progress(context, pieces))

        def work(counter: AgentService, say: TextCallback) -> ToolResult:
            return counter.call(parameters.name, parameters.arguments or {}, person=person, say=say)

        try:
            result = await desk.run(work, pieces.put_nowait)
            pieces.put_nowait(None)
            await teller
        except AgentBusy as busy:
            result = ToolResult(ok=False, error=str(busy), reason="budget")
        finally:
            teller.cancel()
        return _call_result(types, result)

    async def list_resources(context: Any, parameters: Any) -> Any:
        return types.ListResourcesResult(
            resources=[
                types.Resource(uri=uri, name=name, description=about, mime_type="application/json")
                for uri, name, about in _RESOURCES
            ]
        )

    async def read_resource(context: Any, parameters: Any) -> Any:
        return await _read_resource(desk, types, str(parameters.uri))

    made: Server[Any] = import_optional("mcp.server.lowlevel").Server(
        "denizens",
        version=version,
        instructions=_INSTRUCTIONS,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
        on_list_resources=list_resources,
        on_read_resource=read_resource,
    )
    return made


async def _read_resource(desk: AgentThread[AgentService], types: Any, uri: str) -> Any:
    known = [one for one, _, _ in _RESOURCES]
    if uri not in known:
        error: Any = import_optional("mcp.shared.exceptions")
        told = f"no resource '{uri}'; there are: {', '.join(known)}"
        raise error.MCPError(types.INVALID_PARAMS, told)

    def work(counter: AgentService, _: TextCallback) -> Json:
        return counter.persona() if uri == known[0] else counter.statistics()

    text = json.dumps(await desk.run(work), ensure_ascii=False)
    content = types.TextResourceContents(uri=uri, text=text, mime_type="application/json")
    return types.ReadResourceResult(contents=[content])


def _tool_type(types: Any, spec: ToolSpec) -> Any:
    hints = types.ToolAnnotations(
        read_only_hint=spec.effect != "acts", open_world_hint=spec.outside
    )
    return types.Tool(
        name=spec.name,
        description=spec.description,
        input_schema=spec.parameters,
        annotations=hints,
    )


def _call_result(types: Any, result: ToolResult) -> Any:
    """A tool's result: structured, and as text for clients that read only that."""
    if not result.ok:
        reason = result.reason or "failed"
        content = types.TextContent(text=f"{reason}: {result.error}")
        told = {"reason": reason, "error": result.error}
        return types.CallToolResult(content=[content], structured_content=told, is_error=True)
    value = result.value
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    # Older clients take only objects.
    structured = value if isinstance(value, dict) else {"result": value}
    content = types.TextContent(text=text)
    return types.CallToolResult(content=[content], structured_content=structured)


async def _report_progress(context: Any, pieces: asyncio.Queue[str | None]) -> None:
    """Tell the client of a reply's text piece by piece, as far as it wants to hear."""
    done = 0
    while (piece := await pieces.get()) is not None:
        done += len(piece)
        await context.session.report_progress(done, message=piece)


MCP_PATH = "/mcp"
_MIN_TOKEN_LENGTH = 16


def serve_stdio(
    make: Callable[[], AbstractContextManager[HostedAgent]], *, person: str | None = None
) -> None:
    """Serve over standard input and output until the input ends. Standard output is for the
    protocol alone: whatever else is written there goes to standard error. With ``person`` the
    client is that person; with None it says who it is. Raises SettingError for a blank name."""
    _check_person(person)
    with ExitStack() as stack:
        with _stdout_to_stderr():
            desk = stack.enter_context(
                AgentThread(_service_factory(make, settled=person is not None))
            )
        asyncio.run(_run_stdio(desk, person))


async def _run_stdio(desk: AgentThread[AgentService], person: str | None) -> None:
    server = build_mcp_server(
        desk, version("denizens"), None if person is None else (lambda: person)
    )
    async with import_optional("mcp.server.stdio").stdio_server() as (reading, writing):
        await server.run(reading, writing, server.create_initialization_options())


def serve_http(
    make: Callable[[], AbstractContextManager[HostedAgent]],
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    names: Sequence[str] = (),
    tokens: Mapping[str, str] | None = None,
    person: str | None = None,
    announce: Callable[[str], None] = lambda url: None,
) -> None:
    """Serve over HTTP until interrupted; ``announce`` gets the URL once it can be reached.

    ``names`` are those by which it is called besides ``host``; a request for another is turned
    away, so that no web page can reach it by a name of its own (DNS rebinding). With
    ``tokens``, by person, a request must bear one, and comes in that person's name. Raises
    SettingError where it would be open to other machines without tokens.
    """
    _check_person(person)
    tokens = None if tokens is None else check_tokens(tokens, "tokens")
    if not _is_loopback(host) and not tokens:
        raise SettingError(
            f"serving at {host} lets other machines in; give everybody a token (--tokens FILE), or "
            "serve at 127.0.0.1"
        )
    listening = _listen(host, port)
    with (
        listening,
        AgentThread(_service_factory(make, settled=person is not None or bool(tokens))) as desk,
    ):
        port = listening.getsockname()[1]
        app = _http_app(desk, host, port, names, tokens or {}, person)
        announce(f"http://{_bracketed(host)}:{port}{MCP_PATH}")
        uvicorn: Any = import_optional("uvicorn")
        config = uvicorn.Config(app, log_config=None, timeout_graceful_shutdown=3)
        # An interrupt is how this ends; uvicorn has closed all connections when it comes.
        with suppress(KeyboardInterrupt):
            asyncio.run(uvicorn.Server(config).serve(sockets=[listening]))


def _http_app(
    desk: AgentThread[AgentService],
    host: str,
    port: int,
    names: Sequence[str],
    tokens: Mapping[str, str],
    person: str | None,
) -> Any:
    security: Any = import_optional("mcp.server.transport_security")
    known = [host, *names] + (["127.0.0.1", "localhost", "::1"] if _is_loopback(host) else [])
    hosts = [one for name in known for one in (_bracketed(name), f"{_bracketed(name)}:*")]
    settings = security.TransportSecuritySettings(
        allowed_hosts=hosts,
        allowed_origins=[f"{scheme}://{one}" for one in hosts for scheme in ("http", "https")],
    )
    if not tokens:
        server = build_mcp_server(
            desk, version("denizens"), None if person is None else (lambda: person)
        )
        return server.streamable_http_app(
            streamable_http_path=MCP_PATH, transport_security=settings, host=host
        )
    auth: Any = import_optional("mcp.server.auth.settings")
    server = build_mcp_server(desk, version("denizens"), _token_person)
    return server.streamable_http_app(
        streamable_http_path=MCP_PATH,
        transport_security=settings,
        host=host,
        # Tokens are handed out by hand; nobody issues any.
        auth=auth.AuthSettings(issuer_url=f"http://localhost:{port}", resource_server_url=None),
        token_verifier=_TokenVerifier(tokens),
    )


class _TokenVerifier:
    """The SDK's TokenVerifier for tokens that are known by heart."""

    def __init__(self, tokens: Mapping[str, str]) -> None:
        self._tokens = tokens

    async def verify_token(self, token: str) -> Any:
        given = token.encode()
        found = [
            who for who, known in self._tokens.items() if hmac.compare_digest(given, known.encode())
        ]
        if not found:
            return None
        provider: Any = import_optional("mcp.server.auth.provider")
        return provider.AccessToken(token=token, client_id=found[0], scopes=[])


def _token_person() -> str:
    """In whose name the present request comes."""
    context: Any = import_optional("mcp.server.auth.middleware.auth_context")
    return str(context.get_access_token().client_id)


def read_tokens(file: Path | str) -> dict[str, str]:
    """The tokens of a TOML or JSON file, ``person = "token"`` each. Raises SettingError."""
    return check_tokens(read_settings(file), str(file))


def check_tokens(found: Mapping[str, Json], file: str) -> dict[str, str]:
    """Tokens by person. Raises SettingError for a short one, one that two have, and for names
    that are blank or the same but for case, blanks and Unicode form."""
    for person, token in found.items():
        if not isinstance(token, str) or len(token) < _MIN_TOKEN_LENGTH or not token.isascii():
            raise SettingError(
                f"{file}: the token of '{person}' must be a text of at least {_MIN_TOKEN_LENGTH} "
                "characters of ASCII; make one with: python -c 'import secrets; "
                "print(secrets.token_urlsafe())'"
            )
    names = {normalize(str(person)) for person in found}
    if "" in names or len(names) < len(found):
        raise SettingError(f"{file}: a name is blank, or two are the same name; give others")
    if not found or len(set(found.values())) < len(found):
        raise SettingError(f'{file}: give each person a token of its own: "Ada Lund" = "..."')
    return {str(person): str(token) for person, token in found.items()}


def _service_factory(
    make: Callable[[], AbstractContextManager[HostedAgent]], *, settled: bool
) -> Callable[[], AbstractContextManager[AgentService]]:
    @contextmanager
    def counter() -> Iterator[AgentService]:
        with make() as host:
            yield AgentService(host, settled=settled)

    return counter


@contextmanager
def _stdout_to_stderr() -> Iterator[None]:
    """What is written to standard output, by C code too, goes to standard error."""
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(kept, 1)
        os.close(kept)


def _listen(host: str, port: int) -> socket.socket:
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family)
    except OSError as error:
        raise SettingError(
            f"cannot serve at {host}:{port} ({error.strerror or error}); give another --port"
        ) from error


def _check_person(person: str | None) -> None:
    """A blank name (of a variable that is not set, say) must not let a client say who it is."""
    if person is not None and not person.strip():
        raise SettingError("mcp: --person is blank; give the name of whom clients speak for")


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
