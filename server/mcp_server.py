"""An agent as an MCP server: its counter's tools and two resources, in the SDK's words."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..core import Json, ToolResult, ToolSpec
from ..tools.foreign import import_optional
from .counter import AgentService
from .desk import AgentBusy, AgentThread, TextCallback

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
