"""MCP servers for tests, written with the official SDK: ``python mcp_servers.py KIND [PORT]``."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

import mcp_types as types
from mcp.server import MCPServer
from mcp.server.lowlevel import Server
from mcp.server.mcpserver import Context
from mcp.server.stdio import stdio_server
from mcp.server.subscriptions import InMemorySubscriptionBus, ListenHandler, ToolsListChanged

HUGE = 200_000
PAGE = 3


def friendly() -> MCPServer[Any]:
    """Tools of the ordinary kind, and one that ends its own process."""
    app = MCPServer("Weather & Co.")

    @app.tool(annotations=types.ToolAnnotations(read_only_hint=True))
    def add(a: int, b: int) -> int:
        """Add two whole numbers."""
        return a + b

    @app.tool()
    async def slow(seconds: float, context: Context[Any, Any]) -> str:
        """Wait so many seconds, telling half-way."""
        await context.report_progress(1, 2, "half of it")
        await asyncio.sleep(seconds)
        return "awake"

    @app.tool()
    def end(mark: str) -> str:
        """Write a file, then end this process without a word."""
        Path(mark).write_text("begun", encoding="utf-8")
        os._exit(3)

    @app.tool()
    def variables() -> list[str]:
        """The names of this process's environment variables."""
        return sorted(os.environ)

    @app.tool()
    def refuse() -> str:
        """Fail, saying why."""
        raise ValueError("no such city")

    @app.tool()
    def number() -> int:
        """The number of this process."""
        return os.getpid()

    return app


def hostile() -> Server[Any]:
    """Schemas, names, pages and results that no honest server has."""
    bus = InMemorySubscriptionBus()
    names = ["a/b", "a b", "a.b", "9 lives", "", "x" * 300, "x" * 299 + "y", "tool\u202e\x1b[2J"]
    bomb: Any = {"$defs": {"d0": {"type": "string"}}}
    for level in range(1, 30):
        inner = {"$ref": f"#/$defs/d{level - 1}"}
        bomb["$defs"][f"d{level}"] = {"type": "array", "prefixItems": [inner, inner, inner]}
    schemas: list[Any] = [
        {"type": "object", "properties": {"n": {"$ref": "#/properties/n"}}},
        {"type": "object", "properties": {"n": {"$ref": "http://127.0.0.1:9/schema.json"}}},
        {"type": "object", "properties": "none", "required": "all"},
        {**bomb, "type": "object", "properties": {"n": {"$ref": "#/$defs/d29"}}},
        {"type": "object", "properties": {f"p{n}": {"enum": ["y" * 50]} for n in range(3000)}},
        {"type": "object", "properties": {"n": {"type": "string", "pattern": "(a+)+$"}}},
        {"type": "object", "allOf": [{"$ref": "#"}], "minProperties": -3},
        {"type": "object", "properties": {"n": {"type": ["integer", 7], "minimum": "low"}}},
    ]
    added: list[str] = []

    async def list_tools(context: Any, params: Any) -> types.ListToolsResult:
        about, trap = "Line\none\x07 " + "z" * 5000, {"properties": {"n": {"pattern": "(a+)+$"}}}
        every = [
            types.Tool(name=name, description=about, input_schema=schema, output_schema=trap)
            for name, schema in zip([*names, *added], [*schemas, {"type": "object"}])
        ]
        at = int(params.cursor) if params is not None and params.cursor else 0
        more = str(at + PAGE) if at + PAGE < len(every) else None
        return types.ListToolsResult(tools=every[at : at + PAGE], next_cursor=more)

    async def call_tool(context: Any, params: Any) -> types.CallToolResult:
        if params.name == "a b":
            added.append("late")
            await bus.publish(ToolsListChanged())
        link = types.ResourceLink(uri="file:///etc/passwd", name="passwords")
        binary = types.BlobResourceContents(uri="x:y", blob="QUJD", mime_type="image/x")
        blocks: list[types.ContentBlock] = [
            types.TextContent(text="w" * HUGE if params.name == "a.b" else "said"),
            types.ImageContent(data="QUJDRA==", mime_type="image/png"),
            types.EmbeddedResource(resource=types.TextResourceContents(uri="n:1", text="note")),
            types.EmbeddedResource(resource=binary),
            link,
        ]
        given = {"n": "a" * 40 + "!"} if params.name == "9 lives" else None
        return types.CallToolResult(content=blocks, structured_content=given)

    return Server(
        "hostile",
        on_list_tools=list_tools,
        on_call_tool=call_tool,
        on_subscriptions_listen=ListenHandler(bus),
    )


async def over_stdio(server: Server[Any]) -> None:
    """Serve until the input ends."""
    async with stdio_server() as (reading, writing):
        await server.run(reading, writing, server.create_initialization_options())


if __name__ == "__main__":
    kind = sys.argv[1]
    if kind == "friendly":
        friendly().run()
    elif kind == "http":
        friendly().run("streamable-http", port=int(sys.argv[2]))
    elif kind == "hostile":
        asyncio.run(over_stdio(hostile()))
    elif kind == "silent":
        sys.stdin.read()
    elif kind == "broken":
        sys.exit("the weather is not installed")
