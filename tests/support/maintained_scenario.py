"""A scenario of two people with documents, compaction and facts."""

from __future__ import annotations

from pathlib import Path

SCENARIO = """
[scenario]
name = "small"
start = "2026-05-02 06:00"
step_seconds = 3600

[world]
kind = "places"
places = [{{ name = "kitchen", objects = ["stove"] }}, {{ name = "garden", objects = ["well"] }}]
paths = [["kitchen", "garden"]]

[model]
name = "smollm2"

[minds]
{minds}

[[people]]
name = "Ada Lund"
home = "small:kitchen"
currently = "Ada Lund is baking a plum cake."
facts = ["Ada Lund lives in Leeds.", "Ada Lund works as a baker."]
{ada}

[[people]]
name = "Bo Lund"
home = "small:garden"
currently = "Bo Lund is digging by the well."
"""
KEPT = "memory.budget = 12\nmemory.fresh_hours = 6\nmemory.claims = true"
HANDBOOK = """# Holidays

The bakery is closed in the second week of August.

# Ovens

The left oven runs hot.
"""


def scenario(folder: Path, minds: str = "", ada: str = "") -> Path:
    """A scenario file with a handbook beside it."""
    (folder / "handbook.md").write_text(HANDBOOK, encoding="utf-8")
    path = folder / "small.toml"
    path.write_text(SCENARIO.format(minds=minds, ada=ada), encoding="utf-8")
    return path
