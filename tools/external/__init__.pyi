from .external_tool import import_optional as import_optional
from .mcp_client import McpClient as McpClient
from .mcp_client import tools_from_mcp as tools_from_mcp
from .openapi import tools_from_openapi as tools_from_openapi

__all__: list[str]
