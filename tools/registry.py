"""Tools by name: built-in tools, and others as ``package.module:function``."""

from __future__ import annotations

from ..core import ToolError, did_you_mean, load_object
from .builtin import (
    answer_from_documents,
    calculator,
    calendar,
    clock,
    extract_fields,
    knowledge_search,
    memory_search,
    python,
    sentiment,
    summarise,
    translate,
    units,
)
from .declaration import AnyTool

BUILT_IN: tuple[AnyTool, ...] = (
    calculator,
    units,
    clock,
    calendar,
    python,
    memory_search,
    knowledge_search,
    summarise,
    translate,
    sentiment,
    extract_fields,
    answer_from_documents,
)
"""The tools that come with the package."""

CONFIGURED_TOOLS = {
    "read_file": "file_tools(folder)",
    "list_files": "file_tools(folder)",
    "fetch": "fetch_tool(allow=(host, ...))",
    "write_note": "note_tools(Notes(memory))",
    "list_notes": "note_tools(Notes(memory))",
    "read_note": "note_tools(Notes(memory))",
    "remove_note": "note_tools(Notes(memory))",
    "fact_search": "denizens.agents.fact_search_tool(memory)",
}
"""Built-in tools that need an argument, and the call that makes them."""


def tool_by_name(name: str) -> AnyTool:
    """The built-in tool of that name, or the one at ``package.module:function``.

    Raises ToolError if there is no such tool; CodeNotAllowed for a module outside the package
    within ``allow_foreign_code(False)``.

    >>> tool_by_name("calculator")
    <Tool calculator (pure)>
    >>> tool_by_name("denizens.tools:clock") is tool_by_name("clock")
    True
    """
    if ":" not in name:
        known = {tool.name: tool for tool in BUILT_IN}
        if name in CONFIGURED_TOOLS:
            raise ToolError(
                f"tool '{name}' needs an argument: make it in code with {CONFIGURED_TOOLS[name]}, "
                "or name a module of yours that holds it: 'package.module:tool'"
            )
        if name not in known:
            raise ToolError(
                f"there is no built-in tool '{name}'{did_you_mean(name, known)}; built in: "
                f"{', '.join(known)}; your own are written 'package.module:function'"
            )
        return known[name]
    value = load_object(name, "tool", kind="function", error=ToolError)
    if not isinstance(value, AnyTool):
        attribute = name.partition(":")[2]
        raise ToolError(f"tool '{name}' is not a tool; decorate '{attribute}' with @tool")
    return value
