"""Tools: typed functions that a mind may call.

``@tool`` makes a tool of a function, a ``Toolbox`` checks and calls them. What a model gets
wrong (a tool's name, its arguments) and what a tool raises comes back as a ``ToolResult``;
what a programmer gets wrong raises ``ToolError`` when the tool is declared.

>>> from datetime import datetime
>>> box, bo = Toolbox(["calculator"]), ToolContext("Bo", datetime(2023, 2, 13))
>>> box.call("calculator", {"expression": "6 * 7"}, context=bo, key="1/Bo/1.0").value
42
"""

from .arithmetic import calculator
from .declare import AnyTool, Tool, ToolContext, ToolLimits, Unit, tool
from .fetch import fetch_tool
from .files import file_tools
from .find import BUILT_IN, tool_by_name
from .language import answer_from_documents, extract_fields, sentiment, summarise, translate
from .mcp_client import McpClient, tools_from_mcp
from .notes import LabelledNotebook, Notebook, note_tools
from .openapi import tools_from_openapi
from .policy import Policy, Release, Ruling, UsageLimits, matches, matches_widely
from .remembering import FactResult, fact_search, knowledge_search, memory_search
from .sandbox import python_sandbox
from .skills import Skill, skill, skill_of
from .times import calendar, clock
from .toolbox import ProgressListener, Toolbox, ToolProgress, rename_tool
from .units import units

__all__ = [
    "BUILT_IN",
    "AnyTool",
    "UsageLimits",
    "FactResult",
    "LabelledNotebook",
    "ToolLimits",
    "ProgressListener",
    "McpClient",
    "Notebook",
    "Policy",
    "ToolProgress",
    "Release",
    "Ruling",
    "Skill",
    "Tool",
    "ToolContext",
    "Toolbox",
    "Unit",
    "answer_from_documents",
    "calculator",
    "calendar",
    "clock",
    "extract_fields",
    "fact_search",
    "fetch_tool",
    "file_tools",
    "knowledge_search",
    "matches",
    "matches_widely",
    "memory_search",
    "note_tools",
    "python_sandbox",
    "rename_tool",
    "sentiment",
    "skill",
    "skill_of",
    "summarise",
    "tool",
    "tool_by_name",
    "translate",
    "tools_from_mcp",
    "tools_from_openapi",
    "units",
]
