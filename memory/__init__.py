"""What agents remember: durable records, recalled by recency, importance and relevance."""

from __future__ import annotations

from .callbook import Stopwatch, ToolCallEntry, ToolCallLog
from .changed import TemporalAnswer, TemporalQA
from .claim import Fact, Statement
from .claims import Facts
from .documents import DocumentImport, Documents, document_input
from .exchange import export_lines, import_lines
from .folding import Compaction, CompactionBudget, CompactionEntry
from .hiding import write_log_line
from .images import Images
from .memory import Memory
from .notebook import Notes
from .recall import recall_many
from .rules import HYBRID, PAPER, REVERIE, RuleSet, rule_set
from .scene import searched_audience
from .smallville import load_smallville_memories, memories_input, records_of_input
from .table import agents_in, prepare_store, read_vector, rewind_memories

__all__ = [
    "HYBRID",
    "PAPER",
    "REVERIE",
    "CompactionBudget",
    "ToolCallLog",
    "TemporalQA",
    "Fact",
    "Facts",
    "Documents",
    "ToolCallEntry",
    "CompactionEntry",
    "Compaction",
    "Images",
    "DocumentImport",
    "Memory",
    "Notes",
    "RuleSet",
    "Statement",
    "Stopwatch",
    "TemporalAnswer",
    "agents_in",
    "document_input",
    "export_lines",
    "import_lines",
    "load_smallville_memories",
    "memories_input",
    "records_of_input",
    "prepare_store",
    "recall_many",
    "rewind_memories",
    "rule_set",
    "searched_audience",
    "read_vector",
    "write_log_line",
]
