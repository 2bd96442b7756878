"""What agents remember: durable records, recalled by recency, importance and relevance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..core import AgentId, Cue, Hit
from .callbook import CallBook, Entry, Stopwatch
from .changed import Changing, Told
from .claim import Claim, Statement
from .claims import Claims
from .documents import Documents, Imported, document_input
from .exchange import export_lines, import_lines
from .folding import Budget, Fold, Folding
from .hiding import write_beside
from .images import Images
from .memory import Memory
from .notebook import Notes
from .rules import HYBRID, PAPER, REVERIE, RuleSet, rule_set
from .smallville import load_memories, memories_input, memories_of
from .table import agents, prepare, rewind, vector_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = [
    "HYBRID",
    "PAPER",
    "REVERIE",
    "Budget",
    "CallBook",
    "Changing",
    "Claim",
    "Claims",
    "Documents",
    "Entry",
    "Fold",
    "Folding",
    "Images",
    "Imported",
    "Memory",
    "Notes",
    "RuleSet",
    "Statement",
    "Stopwatch",
    "Told",
    "agents",
    "document_input",
    "export_lines",
    "import_lines",
    "load_memories",
    "memories_input",
    "memories_of",
    "prepare",
    "recall_many",
    "rewind",
    "rule_set",
    "searched",
    "vector_of",
    "write_beside",
]


def recall_many(
    requests: Sequence[tuple[Memory, Cue]], vectors: NDArray[np.float32] | None = None
) -> list[tuple[Hit, ...]]:
    """Recall for many minds at once; see ``denizens.memory.recall.recall_many``."""
    # numpy loads with the first recall, not with the package.
    from .recall import recall_many

    return recall_many(requests, vectors)


def searched(memory: Memory, cue: Cue) -> tuple[AgentId, ...]:
    """For whom all is that a cue searches; see ``denizens.memory.scene.searched``."""
    from .scene import searched

    return searched(memory, cue)
