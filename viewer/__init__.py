"""A run as one page that opens anywhere: its data, the page, and finished Smallville runs."""

from .collect import collect_page_data
from .data import (
    ActivityEntry,
    AskData,
    CostData,
    MapArea,
    MapData,
    MapObject,
    MemoryEntry,
    PageData,
    PersonData,
    PlanEntry,
    PlanEntrySlot,
    TalkData,
    TextTable,
)
from .export import export_csv, export_smallville
from .landscape import MapLayers, draw_map
from .page import render_page, unpack_page, write_page
from .sample import sample_page
from .smallville import load_smallville_page

__all__ = [
    "ActivityEntry",
    "MapArea",
    "AskData",
    "CostData",
    "MapLayers",
    "MapData",
    "MemoryEntry",
    "PageData",
    "PersonData",
    "PlanEntry",
    "PlanEntrySlot",
    "TalkData",
    "TextTable",
    "MapObject",
    "collect_page_data",
    "load_smallville_page",
    "draw_map",
    "render_page",
    "sample_page",
    "export_csv",
    "export_smallville",
    "unpack_page",
    "write_page",
]
