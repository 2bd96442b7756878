"""``denizens bench tools``: which tool a request asks for, and the whole call with all
arguments."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TextIO, TypeVar

import numpy as np

from ...core import Failed, Json, Seed, Thought, ToolSpec, run_thoughts, schema_validator
from ...models import LocalModel, load_local
from ...planners import ProposedCall, fill_arguments, propose_call
from ..bfcl import SETS, BfclItem, bfcl_files, is_right_call, load_bfcl
from ..models import measure_irrelevance, right_choices
from ..statistics import bootstrap_interval, compare_paired
from .argument_weights import candidate_tables, fit_all_groups
from .tool_search import measure_search

CATEGORIES = ("simple_python", "multiple", "live_multiple")
TOOL_PARTS = (*CATEGORIES, "irrelevance", "search")
BATCH_SIZE = 16  # requests on their way at once
QUICK_REQUESTS = 24  # requests of a category
ProgressCallback = Callable[[str], None]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class CallResult:
    """The call drafted for a request: whether it is right and valid. ``plain`` is the call that a
    single prompt with the whole schema wrote for the same tool."""

    tool: str
    arguments: Json
    right_tool: bool
    right: bool
    invented: bool
    invalid: bool
    plain: Json
    plain_right: bool
    plain_invalid: bool


def measure_tools(
    name: str = "smollm2",
    *,
    device: str = "auto",
    dtype: str = "auto",
    data: Path,
    parts: tuple[str, ...] = TOOL_PARTS,
    quick: bool = False,
    receipts: Path | None = None,
    progress: ProgressCallback = lambda line: None,
) -> dict[str, Json]:
    """The figures of the parts as nested JSON; ``receipts`` receives a line of JSON for each
    request.

    Raises SettingError without the data."""
    model = load_local(name, device=device, dtype=dtype)
    description = model.describe()
    figures: dict[str, Json] = {
        key: description[key] for key in ("name", "device", "dtype", "threads")
    }
    limit = QUICK_REQUESTS if quick else None
    bfcl_parts = [part for part in parts if part in SETS]
    # Available parts are measured; if none is, loading the first names the missing file.
    missing = [part for part in bfcl_parts if not bfcl_files(data, part)]
    if len(missing) < len(bfcl_parts):
        for part in missing:
            progress(f"{part}: left out, {data} holds no BFCL_v4_{part}*.jsonl")
        parts = tuple(part for part in parts if part not in missing)
    if any(part in CATEGORIES for part in parts):
        figures |= {"invalid": 0, "invented": 0}
    if receipts is not None:
        receipts.write_text("", encoding="utf-8")
    for part in (part for part in CATEGORIES if part in parts):
        items = load_bfcl(data, part)[:limit]
        figures[part], calls = measure_calls(model, items, part, progress)
        figures["invalid"] += sum(call.invalid for call in calls)
        figures["invented"] += sum(call.invented for call in calls)
        if receipts is not None:
            with receipts.open("a", encoding="utf-8") as out:
                write_results(out, part, items, calls)
    if "irrelevance" in parts:
        progress("irrelevance: requests for which no function is relevant")
        irrelevant, relevant = (
            load_bfcl(data, one)[:limit] for one in ("irrelevance", "simple_python")
        )
        figures["irrelevance"] = measure_irrelevance(
            model, irrelevant, relevant, methods=("fused",)
        )
    if "search" in parts:
        figures["search"] = measure_search(model, data, quick=quick, progress=progress)
    return figures


def measure_calls(
    model: LocalModel, items: Sequence[BfclItem], part: str, progress: ProgressCallback
) -> tuple[dict[str, Json], list[CallResult]]:
    """The figures and calls of a category; compared with a single prompt with the whole schema for
    the same tools, and with the choice by cosine alone."""
    calls: list[CallResult] = []
    spent = {"call": 0.0, "plain": 0.0}
    for start in range(0, len(items), BATCH_SIZE):
        progress(f"{part}: {start} of {len(items)} requests")
        batch = items[start : start + BATCH_SIZE]
        specs = [item.specs() for item in batch]
        drafts = timed_thoughts(spent, "call", model, [_draft(i, s) for i, s in zip(batch, specs)])
        chosen = [_chosen_spec(own, draft) for own, draft in zip(specs, drafts)]
        plains = timed_thoughts(
            spent, "plain", model, [_whole_schema_call(i, s) for i, s in zip(batch, chosen)]
        )
        calls += [judge_call(*case) for case in zip(batch, chosen, drafts, plains)]
    cosine = right_choices(model, items, [item.choose_ask() for item in items], "cosine")
    seconds = {name: round(value / len(items), 3) for name, value in spent.items()}
    return call_figures(calls, cosine) | {"seconds_per_call": seconds}, calls


def timed_thoughts(
    spent: dict[str, float], name: str, model: LocalModel, thoughts: Sequence[Thought[T]]
) -> list[T]:
    """Drive thoughts and add the time to ``spent[name]``."""
    start = time.perf_counter()
    results = run_thoughts(model, thoughts)
    spent[name] += time.perf_counter() - start
    return results


def _draft(item: BfclItem, specs: Sequence[ToolSpec]) -> Thought[ProposedCall | None]:
    drafted = yield from propose_call(item.request, specs, seed=Seed.of(1), none=False)
    return drafted if isinstance(drafted, ProposedCall) else None


def _chosen_spec(specs: Sequence[ToolSpec], draft: ProposedCall | None) -> ToolSpec:
    return draft.tool if draft else specs[0]


def _whole_schema_call(item: BfclItem, spec: ToolSpec) -> Thought[Json | Failed]:
    return fill_arguments(spec, item.request, seed=Seed.of(1), way="whole")


def judge_call(
    item: BfclItem, spec: ToolSpec, draft: ProposedCall | None, plain: Json | Failed
) -> CallResult:
    """The result of a request; a failed call has no arguments and is invalid."""
    name = draft.tool.name if draft else ""
    arguments = draft.arguments if draft else None
    plain_arguments = None if isinstance(plain, Failed) else plain
    return CallResult(
        tool=name,
        arguments=arguments,
        right_tool=name == item.right,
        right=arguments is not None and is_right_call(item, name, arguments),
        invented=bool(name) and name not in {one["name"] for one in item.functions},
        invalid=arguments is None
        or not schema_validator(spec.parameters, formats=True).is_valid(arguments),
        plain=plain_arguments,
        plain_right=plain_arguments is not None and is_right_call(item, name, plain_arguments),
        plain_invalid=plain_arguments is None
        or not schema_validator(spec.parameters, formats=True).is_valid(plain_arguments),
    )


def call_figures(calls: Sequence[CallResult], cosine: Sequence[bool]) -> dict[str, Json]:
    """Shares of right tools and calls: all, odd and even requests; paired with the choice by cosine
    and with the whole-schema prompt."""
    tools, whole = [call.right_tool for call in calls], [call.right for call in calls]
    plain = [call.plain_right for call in calls]
    return {
        "items": len(calls),
        **call_shares(calls),
        "call_interval": bootstrap_interval(whole),
        "odd": call_shares(calls[1::2]),
        "even": call_shares(calls[::2]),
        "invalid": sum(call.invalid for call in calls),
        "invented": sum(call.invented for call in calls),
        "whole_schema": {
            "call_accuracy": float(np.mean(plain)),
            "invalid": sum(call.plain_invalid for call in calls),
            "against_it": asdict(compare_paired(whole, plain)),
        },
        "cosine": {
            "tool_accuracy": float(np.mean(cosine)),
            "against_it": asdict(compare_paired(tools, cosine)),
        },
    }


def call_shares(calls: Sequence[CallResult]) -> dict[str, Json]:
    """Shares of right tools, of right calls, and of right arguments where the tool is right."""
    if not calls:
        return {}
    right_where_tool_right = [call.right for call in calls if call.right_tool]
    return {
        "tool_accuracy": float(np.mean([call.right_tool for call in calls])),
        "call_accuracy": float(np.mean([one.right for one in calls])),
        "arguments_accuracy": float(np.mean(right_where_tool_right))
        if right_where_tool_right
        else 0.0,
    }


def write_results(
    out: TextIO, part: str, items: Sequence[BfclItem], calls: Sequence[CallResult]
) -> None:
    """Write a line of JSON for each request."""
    for index, (item, call) in enumerate(zip(items, calls)):
        line = {"category": part, "index": index, "request": item.request, "wanted": item.right}
        out.write(json.dumps({**line, **asdict(call)}, ensure_ascii=False) + "\n")


def calibrate_arguments(
    name: str,
    to: Path,
    *,
    device: str,
    dtype: str,
    data: Path,
    parts: tuple[str, ...],
    progress: ProgressCallback,
) -> None:
    """Fit the weights of a candidate's features on the odd requests of the categories and write
    them to ``to``."""
    model = load_local(name, device=device, dtype=dtype)
    items: list[BfclItem] = []
    tables = []
    for part in (part for part in CATEGORIES if part in parts):
        progress(f"{part}: candidates of the odd requests")
        odd = load_bfcl(data, part)[1::2]
        items += odd
        tables += candidate_tables(model, odd)
    progress(f"fitting on {len(items)} requests")
    body = json.dumps(fit_all_groups(items, tables), indent=1, sort_keys=True)
    to.write_text(body + "\n", encoding="utf-8")
    progress(f"written: {to}")
