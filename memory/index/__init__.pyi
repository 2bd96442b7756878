from .bulk_construct import construct_many as construct_many
from .bulk_construct import gc_paused as gc_paused
from .date_spans import DateSpan as DateSpan
from .date_spans import find_date_spans as find_date_spans
from .date_spans import time_proximity as time_proximity
from .index_loader import IndexLoader as IndexLoader
from .lexical_index import LexicalIndex as LexicalIndex
from .lexical_index import inverse_document_frequency as inverse_document_frequency
from .lexical_index import saturated_frequency as saturated_frequency
from .memory_index import MemoryIndex as MemoryIndex
from .quantized_index import MIN_ROWS_FOR_CELLS as MIN_ROWS_FOR_CELLS
from .quantized_index import InvertedLists as InvertedLists
from .quantized_index import quantization_scale as quantization_scale
from .vector_index import VectorIndex as VectorIndex
from .vector_index import unit_rows as unit_rows

__all__: list[str]
