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
from .declare import AnyTool, Limits, Tool, ToolContext, Unit, tool
from .fetch import fetcher
from .files import files_in
from .find import BUILT_IN, tool_by_name
from .language import answer_from_documents, extract_fields, sentiment, summarise, translate
from .mcp_client import McpClient, tools_from_mcp
from .notes import LabelledNotebook, Notebook, notes
from .openapi import tools_from_openapi
from .policy import Budget, Policy, Release, Ruling, matches, matches_widely
from .remembering import Fact, fact_search, knowledge_search, memory_search
from .sandbox import python_sandbox
from .skills import Skill, skill, skill_of
from .times import calendar, clock
from .toolbox import Listener, Progress, Toolbox, renamed
from .units import units

__all__ = [
    "BUILT_IN",
    "AnyTool",
    "Budget",
    "Fact",
    "LabelledNotebook",
    "Limits",
    "Listener",
    "McpClient",
    "Notebook",
    "Policy",
    "Progress",
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
    "fetcher",
    "files_in",
    "knowledge_search",
    "matches",
    "matches_widely",
    "memory_search",
    "notes",
    "python_sandbox",
    "renamed",
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
