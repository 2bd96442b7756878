"""Type aliases that are used in the whole package."""

from __future__ import annotations

from datetime import datetime
from typing import Any, TypeAlias

AgentId: TypeAlias = str
"""The name of an agent or a person, unique in a world."""

RecordId: TypeAlias = int
"""The number of a record, from 1 within one memory."""

Time: TypeAlias = datetime
"""A time in the world, without a time zone."""

Address: TypeAlias = str
"""A place as ``world:sector:arena:object``; fewer parts for larger places."""

# Any, not a recursive alias: the codec checks JSON at the edge, and a recursive
# alias would make every reader cast.
Json: TypeAlias = Any
"""A value that JSON can hold."""
