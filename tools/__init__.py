"""Tools: typed functions that a mind may call.

``@tool`` makes a tool of a function, a ``Toolbox`` checks and calls them. What a model gets
wrong (a tool's name, its arguments) and what a tool raises comes back as a ``ToolResult``;
what a programmer gets wrong raises ``ToolError`` when the tool is declared.

>>> from datetime import datetime >>> box, bo = Toolbox(["calculator"]), ToolContext("Bo",
datetime(2023, 2, 13)) >>> box.call("calculator", {"expression": "6 * 7"}, context=bo,
key="1/Bo/1.0").value 42
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
