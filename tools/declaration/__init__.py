"""Declaring tools: ``@tool`` for functions, ``@skill`` for generators that ask a
model, ``ToolContext`` and the protocol ``AnyTool``.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
