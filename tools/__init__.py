"""Tools: typed functions that an agent may call.

``@tool`` makes a tool of a function; a ``Toolbox`` validates arguments, applies a ``Policy`` and
runs the call. What a model gets wrong (tool name, arguments) and what a tool raises is returned as
a ``ToolResult``; what a programmer gets wrong raises ``ToolError`` when the tool is declared.

>>> from datetime import datetime
>>> from denizens.tools import Toolbox, ToolContext
>>> box, context = Toolbox(["calculator"]), ToolContext("Bo", datetime(2023, 2, 13))
>>> box.call("calculator", {"expression": "6 * 7"}, context=context, key="1/Bo/1.0").value
42
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
