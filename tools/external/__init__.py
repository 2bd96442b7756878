"""Tools that other programs run: MCP servers and OpenAPI services, their JSON Schemas sanitized,
their arguments validated.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
