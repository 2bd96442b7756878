from .headlines import select_headlines as select_headlines
from .html_page import PageParts as PageParts
from .html_page import page_parts as page_parts
from .html_page import render_page as render_page
from .html_page import unpack_page as unpack_page
from .html_page import write_page as write_page
from .page_data import ActivityEntry as ActivityEntry
from .page_data import MapData as MapData
from .page_data import MemoryEntry as MemoryEntry
from .page_data import PageData as PageData
from .page_data import PersonData as PersonData
from .page_data import PlanEntry as PlanEntry
from .page_data import PlanEntrySlot as PlanEntrySlot
from .page_data import TalkData as TalkData
from .page_data import TextTable as TextTable
from .page_data import memory_entry as memory_entry
from .page_data import persona_fields as persona_fields
from .run_collector import RunCollector as RunCollector
from .run_collector import collect_page_data as collect_page_data
from .sample_data import sample_page as sample_page
from .terrain import MapLayers as MapLayers
from .terrain import draw_map as draw_map
from .terrain import map_layers as map_layers

__all__: list[str]
