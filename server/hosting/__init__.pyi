from .agent_hosts import AgentHosts as AgentHosts
from .callers import AccessDenied as AccessDenied
from .callers import Caller as Caller
from .callers import current_caller as current_caller
from .hosting_settings import HostingSettings as HostingSettings

__all__: list[str]
