"""A run as one page that opens anywhere: its data, the page, and finished Smallville runs."""

from .collect import collect
from .data import (
    Act,
    Area,
    AskData,
    CostData,
    MapData,
    Memory,
    PageData,
    PersonData,
    Plan,
    PlanSlot,
    TalkData,
    Texts,
    Thing,
)
from .export import to_csv, to_smallville
from .landscape import Land, landscape
from .page import render, unpack, write_page
from .sample import sample_page
from .smallville import from_smallville

__all__ = [
    "Act",
    "Area",
    "AskData",
    "CostData",
    "Land",
    "MapData",
    "Memory",
    "PageData",
    "PersonData",
    "Plan",
    "PlanSlot",
    "TalkData",
    "Texts",
    "Thing",
    "collect",
    "from_smallville",
    "landscape",
    "render",
    "sample_page",
    "to_csv",
    "to_smallville",
    "unpack",
    "write_page",
]
