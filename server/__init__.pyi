from .agent_service import AgentService as AgentService
from .agent_thread import AgentThread as AgentThread
from .hosted_agent import HostedAgent as HostedAgent
from .hosted_agent import open_hosted_agent as open_hosted_agent
from .mcp_server import read_tokens as read_tokens
from .mcp_server import serve_http as serve_http
from .mcp_server import serve_stdio as serve_stdio

__all__: list[str]
