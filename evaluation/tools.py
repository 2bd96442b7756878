"""``denizens bench tools``: which tool a request means, and its whole call with all arguments."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from ..core import Json
from ..models.loading import load_local
from .bfcl import load
from .decisions import irrelevance
from .searching import measure_search

CATEGORIES = ("simple_python", "multiple", "live_multiple")
PARTS = (*CATEGORIES, "irrelevance", "search")
TOGETHER = 16  # requests on their way at once
QUICK = 24


@dataclass(frozen=True, slots=True)
class Called:
    """What became of one request. ``plain`` is the call whose arguments one prompt with the
    schema gave."""

    tool: str
    arguments: Json
    plain: Json
    seconds: float
    right_tool: bool
    right: bool
    plain_right: bool
    invented: bool
    invalid: bool
    plain_invalid: bool


def measure(
    name: str = "smollm2",
    *,
    device: str = "auto",
    dtype: str = "auto",
    data: Path,
    parts: tuple[str, ...] = PARTS,
    quick: bool = False,
    receipts: Path | None = None,
    progress: Callable[[str], None] = lambda line: None,
) -> dict[str, Json]:
    """The figures of the parts, as nested JSON; ``receipts`` gets a JSON line a request.

    Raises SettingError where the data or jsonschema is not there."""
    model = load_local(name, device=device, dtype=dtype)
    about = model.describe()
    found: dict[str, Json] = {key: about[key] for key in ("name", "device", "dtype", "threads")}
    invalid = invented = 0
    with ExitStack() as stack:
        out = stack.enter_context(receipts.open("w", encoding="utf-8")) if receipts else None
        for part in (part for part in CATEGORIES if part in parts):
            items = load(data, part)[: QUICK if quick else None]
            calls = called(
                model,
                items,
                lambda done, of=part, all=len(items): progress(f"{of}: {done} of {all}"),
            )
            found[part] = figures(model, items, calls, part)
            invalid += sum(one.invalid for one in calls)
            invented += sum(one.invented for one in calls)
            if out:
                write(out, part, items, calls)
    if any(part in CATEGORIES for part in parts):
        found |= {"invalid": invalid, "invented": invented}
    if "irrelevance" in parts:
        progress("irrelevance: requests that no function serves")
        sets = [
            load(data, part)[: QUICK if quick else None]
            for part in ("irrelevance", "simple_python")
        ]
        found["irrelevance"] = irrelevance(model, *sets, methods=("fused",))
    if "search" in parts:
        progress("search: 1,000 tools")
        found["search"] = measure_search(model, data, quick=quick, progress=progress)
    return found
