"""Names for plain values that travel everywhere."""

from __future__ import annotations

from datetime import datetime
from typing import Any, TypeAlias

AgentId: TypeAlias = str
"""Who: an agent's or a person's unique name inside a world."""

RecordId: TypeAlias = int
"""Number of a memory record, counted from 1 within one agent's memory."""

Time: TypeAlias = datetime
"""A moment of the world's clock, without a time zone."""

Address: TypeAlias = str
"""A place as ``world:sector:arena:object``; shorter for larger places."""

# Any, not a recursive alias: the codec checks JSON at the edge, and a recursive
# alias would make every reader cast.
Json: TypeAlias = Any
"""A value that JSON can hold."""
