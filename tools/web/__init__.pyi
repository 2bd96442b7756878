from .fetch import fetch_tool as fetch_tool

__all__: list[str]
