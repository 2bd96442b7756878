"""An agent as an MCP server, over standard input and output or streamable HTTP.

Tools are those of ``AgentService``; two resources describe the agent and its memory.
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
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..core import Json, SettingError, ToolResult, ToolSpec, normalize, read_settings
from ..models.remote import is_loopback
from ..tools.external import import_optional
from .agent_service import AgentService
from .agent_thread import AgentBusy, AgentThread, TextCallback
from .hosted_agent import HostedAgent

if TYPE_CHECKING:
    from mcp.server.lowlevel import Server

MCP_PATH = "/mcp"
_MIN_TOKEN_LENGTH = 16
_SCHEMES = ("http", "https")
_RESOURCES = (
    ("denizens://persona", "persona", "Who the agent is."),
    ("denizens://memory", "memory", "How much the agent remembers, and since when."),
)
_INSTRUCTIONS = (
    "This is an agent that lives: talk with it by 'chat', look up what it remembers by 'recall'. "
    "It is answered and remembered by your name; what is for others you do not see."
)


def build_mcp_server(
    thread: AgentThread[AgentService], identify: Callable[[], str] | None
) -> Server[Any]:
    """The SDK's server for the agent of a thread.

    ``identify`` returns the person that the current request comes from, where the connection
    determines it; with None each call names its person.
    """
    types: Any = import_optional("mcp_types")

    async def list_tools(context: Any, parameters: Any) -> Any:
        specs = await thread.run(lambda service, _: service.specs())
        return types.ListToolsResult(tools=[_tool_type(types, spec) for spec in specs])

    async def call_tool(context: Any, parameters: Any) -> Any:
        person = identify() if identify else ""
        texts: asyncio.Queue[str | None] = asyncio.Queue()
        reporter = asyncio.create_task(_report_progress(context, texts))

        def work(service: AgentService, emit: TextCallback) -> ToolResult:
            arguments = parameters.arguments or {}
            return service.call(parameters.name, arguments, person=person, on_text=emit)

        try:
            result = await thread.run(work, texts.put_nowait)
            texts.put_nowait(None)
            await reporter
        except AgentBusy as busy:
            result = ToolResult(ok=False, error=str(busy), reason="budget")
        finally:
            reporter.cancel()
        return _call_result(types, result)

    async def list_resources(context: Any, parameters: Any) -> Any:
        return types.ListResourcesResult(
            resources=[
                types.Resource(uri=uri, name=name, description=about, mime_type="application/json")
                for uri, name, about in _RESOURCES
            ]
        )

    async def read_resource(context: Any, parameters: Any) -> Any:
        return await _read_resource(thread, types, str(parameters.uri))

    server: Server[Any] = import_optional("mcp.server.lowlevel").Server(
        "denizens",
        version=version("denizens"),
        instructions=_INSTRUCTIONS,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
        on_list_resources=list_resources,
        on_read_resource=read_resource,
    )
    return server


async def _read_resource(thread: AgentThread[AgentService], types: Any, uri: str) -> Any:
    known = [resource for resource, _, _ in _RESOURCES]
    if uri not in known:
        exceptions: Any = import_optional("mcp.shared.exceptions")
        message = f"no resource '{uri}'; there are: {', '.join(known)}"
        raise exceptions.MCPError(types.INVALID_PARAMS, message)

    def work(service: AgentService, _: TextCallback) -> Json:
        return service.persona() if uri == known[0] else service.statistics()

    text = json.dumps(await thread.run(work), ensure_ascii=False)
    content = types.TextResourceContents(uri=uri, text=text, mime_type="application/json")
    return types.ReadResourceResult(contents=[content])


def _tool_type(types: Any, spec: ToolSpec) -> Any:
    return types.Tool(
        name=spec.name,
        description=spec.description,
        input_schema=spec.parameters,
        annotations=types.ToolAnnotations(
            read_only_hint=spec.effect != "acts", open_world_hint=spec.outside
        ),
    )


def _call_result(types: Any, result: ToolResult) -> Any:
    """A tool's result: structured, and as text for clients that read only text."""
    if not result.ok:
        reason = result.reason or "failed"
        content = types.TextContent(text=f"{reason}: {result.error}")
        error = {"reason": reason, "error": result.error}
        return types.CallToolResult(content=[content], structured_content=error, is_error=True)
    value = result.value
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    # Older clients accept only objects as structured content.
    structured = value if isinstance(value, dict) else {"result": value}
    content = types.TextContent(text=text)
    return types.CallToolResult(content=[content], structured_content=structured)


async def _report_progress(context: Any, texts: asyncio.Queue[str | None]) -> None:
    """Send the parts of a reply as progress notifications, where the client requested them."""
    characters = 0
    while (text := await texts.get()) is not None:
        characters += len(text)
        await context.session.report_progress(characters, message=text)


def serve_stdio(
    open_host: Callable[[], AbstractContextManager[HostedAgent]], *, person: str | None = None
) -> None:
    """Serve over standard input and output until the input ends.

    Standard output carries the protocol only: anything else that is written to it goes to standard
    error. ``person`` is the person the client speaks for; with None each call names it. Raises
    SettingError for a blank name.
    """
    _check_person(person)
    with ExitStack() as stack:
        with _stdout_to_stderr():
            open_service = _service_factory(open_host, authenticated=person is not None)
            thread = stack.enter_context(AgentThread(open_service))
        asyncio.run(_run_stdio(thread, person))


async def _run_stdio(thread: AgentThread[AgentService], person: str | None) -> None:
    server = build_mcp_server(thread, _identify_as(person))
    async with import_optional("mcp.server.stdio").stdio_server() as (incoming, outgoing):
        await server.run(incoming, outgoing, server.create_initialization_options())


def _identify_as(person: str | None) -> Callable[[], str] | None:
    return None if person is None else (lambda: person)


def serve_http(
    open_host: Callable[[], AbstractContextManager[HostedAgent]],
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    names: Sequence[str] = (),
    tokens: Mapping[str, str] | None = None,
    person: str | None = None,
    announce: Callable[[str], None] = lambda url: None,
) -> None:
    """Serve over HTTP until interrupted; ``announce`` gets the URL once the server listens.

    ``names`` are host names of this server besides ``host``; requests for other hosts are
    rejected, so that no web page can reach it under a name of its own (DNS rebinding). With
    ``tokens``, by person, each request needs a bearer token, which determines its person. Raises
    SettingError where the server would be open to other machines without tokens.
    """
    _check_person(person)
    tokens = None if tokens is None else check_tokens(tokens, "tokens")
    if not is_loopback(host) and not tokens:
        raise SettingError(
            f"serving at {host} is open to other machines; give everybody a token (--tokens FILE), "
            "or serve at 127.0.0.1"
        )
    listening = _listen(host, port)
    open_service = _service_factory(open_host, authenticated=person is not None or bool(tokens))
    with listening, AgentThread(open_service) as thread:
        port = listening.getsockname()[1]
        app = _http_app(thread, host, port, names, tokens or {}, person)
        announce(f"http://{_bracketed(host)}:{port}{MCP_PATH}")
        uvicorn: Any = import_optional("uvicorn")
        config = uvicorn.Config(app, log_config=None, timeout_graceful_shutdown=3)
        # An interrupt is the normal end; uvicorn has closed all connections when it arrives.
        with suppress(KeyboardInterrupt):
            asyncio.run(uvicorn.Server(config).serve(sockets=[listening]))


def _http_app(
    thread: AgentThread[AgentService],
    host: str,
    port: int,
    names: Sequence[str],
    tokens: Mapping[str, str],
    person: str | None,
) -> Any:
    security: Any = import_optional("mcp.server.transport_security")
    known = [host, *names] + (["127.0.0.1", "localhost", "::1"] if is_loopback(host) else [])
    hosts = [entry for name in known for entry in (_bracketed(name), f"{_bracketed(name)}:*")]
    options: dict[str, Any] = {
        "streamable_http_path": MCP_PATH,
        "transport_security": security.TransportSecuritySettings(
            allowed_hosts=hosts,
            allowed_origins=[f"{scheme}://{entry}" for entry in hosts for scheme in _SCHEMES],
        ),
        "host": host,
    }
    if not tokens:
        server = build_mcp_server(thread, _identify_as(person))
        return server.streamable_http_app(**options)
    auth: Any = import_optional("mcp.server.auth.settings")
    server = build_mcp_server(thread, _token_person)
    return server.streamable_http_app(
        **options,
        # The SDK requires an issuer; tokens come from a file and no server issues any.
        auth=auth.AuthSettings(issuer_url=f"http://localhost:{port}", resource_server_url=None),
        token_verifier=_TokenVerifier(tokens),
    )


class _TokenVerifier:
    """The SDK's TokenVerifier for a fixed set of tokens, by person."""

    def __init__(self, tokens: Mapping[str, str]) -> None:
        self._tokens = tokens

    async def verify_token(self, token: str) -> Any:
        given = token.encode()
        people = [
            person
            for person, known in self._tokens.items()
            if hmac.compare_digest(given, known.encode())
        ]
        if not people:
            return None
        provider: Any = import_optional("mcp.server.auth.provider")
        return provider.AccessToken(token=token, client_id=people[0], scopes=[])


def _token_person() -> str:
    """The person whose token the current request carries."""
    context: Any = import_optional("mcp.server.auth.middleware.auth_context")
    return str(context.get_access_token().client_id)


def read_tokens(file: Path | str) -> dict[str, str]:
    """The tokens of a TOML or JSON file, ``person = "token"`` each. Raises SettingError."""
    return check_tokens(read_settings(file), str(file))


def check_tokens(tokens: Mapping[str, Json], file: str) -> dict[str, str]:
    """The tokens, by person.

    Raises SettingError for a token that is short or not unique, and for names that are blank or
    differ only in case, blanks or Unicode form.
    """
    for person, token in tokens.items():
        if not isinstance(token, str) or len(token) < _MIN_TOKEN_LENGTH or not token.isascii():
            raise SettingError(
                f"{file}: the token of '{person}' must be a text of at least {_MIN_TOKEN_LENGTH} "
                "characters of ASCII; make one with: python -c 'import secrets; "
                "print(secrets.token_urlsafe())'"
            )
    names = {normalize(str(person)) for person in tokens}
    if "" in names or len(names) < len(tokens):
        raise SettingError(f"{file}: a name is blank, or two are the same name; give others")
    if not tokens or len(set(tokens.values())) < len(tokens):
        raise SettingError(f'{file}: give each person a token of its own: "Ada Lund" = "..."')
    return {str(person): str(token) for person, token in tokens.items()}


def _service_factory(
    open_host: Callable[[], AbstractContextManager[HostedAgent]], *, authenticated: bool
) -> Callable[[], AbstractContextManager[AgentService]]:
    @contextmanager
    def open_service() -> Iterator[AgentService]:
        with open_host() as host:
            yield AgentService(host, authenticated=authenticated)

    return open_service


@contextmanager
def _stdout_to_stderr() -> Iterator[None]:
    """Redirect standard output, also that of C code, to standard error."""
    sys.stdout.flush()
    stdout = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(stdout, 1)
        os.close(stdout)


def _listen(host: str, port: int) -> socket.socket:
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family)
    except OSError as error:
        raise SettingError(
            f"cannot serve at {host}:{port} ({error.strerror or error}); give another --port"
        ) from error


def _check_person(person: str | None) -> None:
    """Raises SettingError for a blank name, for instance from an unset variable: it must not let
    clients name their person themselves."""
    if person is not None and not person.strip():
        raise SettingError(
            "mcp: --person is blank; give the name of the person that clients speak for"
        )


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
