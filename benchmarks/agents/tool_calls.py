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

from ...core import Failed, Json, Seed, Thought, ToolSpec, run_thoughts
from ...models import LocalModel, load_local
from ...planners import ProposedCall, fill_arguments, propose_call
from ..bfcl import SETS, BfclItem, bfcl_files, is_right_call, load_bfcl
from ..models import measure_irrelevance, right_choices, validator
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

    Raises SettingError without the data or the package jsonschema."""
    model = load_local(name, device=device, dtype=dtype)
    about = model.describe()
    found: dict[str, Json] = {key: about[key] for key in ("name", "device", "dtype", "threads")}
    most = QUICK_REQUESTS if quick else None
    wanted = [part for part in parts if part in SETS]
    # What is there is measured; where nothing is, the first part says which file is missing.
    absent = [part for part in wanted if not bfcl_files(data, part)]
    if len(absent) < len(wanted):
        for part in absent:
            progress(f"{part}: left out, {data} holds no BFCL_v4_{part}*.jsonl")
        parts = tuple(part for part in parts if part not in absent)
    if any(part in CATEGORIES for part in parts):
        found |= {"invalid": 0, "invented": 0}
    if receipts is not None:
        receipts.write_text("", encoding="utf-8")
    for part in (part for part in CATEGORIES if part in parts):
        items = load_bfcl(data, part)[:most]
        found[part], calls = measure_calls(model, items, part, progress)
        found["invalid"] += sum(one.invalid for one in calls)
        found["invented"] += sum(one.invented for one in calls)
        if receipts is not None:
            with receipts.open("a", encoding="utf-8") as out:
                write_results(out, part, items, calls)
    if "irrelevance" in parts:
        progress("irrelevance: requests that the function on offer does not serve")
        beside, fitting = (load_bfcl(data, one)[:most] for one in ("irrelevance", "simple_python"))
        found["irrelevance"] = measure_irrelevance(model, beside, fitting, methods=("fused",))
    if "search" in parts:
        found["search"] = measure_search(model, data, quick=quick, progress=progress)
    return found


def measure_calls(
    model: LocalModel, items: Sequence[BfclItem], part: str, progress: ProgressCallback
) -> tuple[dict[str, Json], list[CallResult]]:
    """The figures and calls of a category; compared with a single prompt with the whole schema for
    the same tools, and with the choice by cosine alone."""
    calls: list[CallResult] = []
    spent = {"call": 0.0, "plain": 0.0}
    for start in range(0, len(items), BATCH_SIZE):
        progress(f"{part}: {start} of {len(items)} requests")
        some = items[start : start + BATCH_SIZE]
        specs = [item.specs() for item in some]
        drafts = timed_thoughts(spent, "call", model, [_draft(i, s) for i, s in zip(some, specs)])
        chosen = [_chosen_spec(own, draft) for own, draft in zip(specs, drafts)]
        plains = timed_thoughts(
            spent, "plain", model, [_whole_schema_call(i, s) for i, s in zip(some, chosen)]
        )
        calls += [judge_call(*one) for one in zip(some, chosen, drafts, plains)]
    cosine = right_choices(model, items, [item.choose_ask() for item in items], "cosine")
    seconds = {name: round(value / len(items), 3) for name, value in spent.items()}
    return call_figures(calls, cosine) | {"seconds_per_call": seconds}, calls


def timed_thoughts(
    spent: dict[str, float], name: str, model: LocalModel, thoughts: Sequence[Thought[T]]
) -> list[T]:
    """Drive thoughts and add the time to ``spent[name]``."""
    began = time.perf_counter()
    found = run_thoughts(model, thoughts)
    spent[name] += time.perf_counter() - began
    return found


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
    told = None if isinstance(plain, Failed) else plain
    return CallResult(
        tool=name,
        arguments=arguments,
        right_tool=name == item.right,
        right=arguments is not None and is_right_call(item, name, arguments),
        invented=bool(name) and name not in {one["name"] for one in item.functions},
        invalid=arguments is None or not validator(spec.parameters).is_valid(arguments),
        plain=told,
        plain_right=told is not None and is_right_call(item, name, told),
        plain_invalid=told is None or not validator(spec.parameters).is_valid(told),
    )


def call_figures(calls: Sequence[CallResult], cosine: Sequence[bool]) -> dict[str, Json]:
    """Shares of right tools and calls: all, odd and even requests; paired with the choice by cosine
    and with the whole-schema prompt."""
    tools, whole = [one.right_tool for one in calls], [one.right for one in calls]
    plain = [one.plain_right for one in calls]
    return {
        "items": len(calls),
        **call_shares(calls),
        "call_interval": bootstrap_interval(whole),
        "odd": call_shares(calls[1::2]),
        "even": call_shares(calls[::2]),
        "invalid": sum(one.invalid for one in calls),
        "invented": sum(one.invented for one in calls),
        "whole_schema": {
            "call_accuracy": float(np.mean(plain)),
            "invalid": sum(one.plain_invalid for one in calls),
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
    rightly = [one.right for one in calls if one.right_tool]
    return {
        "tool_accuracy": float(np.mean([one.right_tool for one in calls])),
        "call_accuracy": float(np.mean([one.right for one in calls])),
        "arguments_accuracy": float(np.mean(rightly)) if rightly else 0.0,
    }


def write_results(
    out: TextIO, part: str, items: Sequence[BfclItem], calls: Sequence[CallResult]
) -> None:
    """Write a line of JSON for each request."""
    for place, (item, one) in enumerate(zip(items, calls)):
        line = {"category": part, "index": place, "request": item.request, "wanted": item.right}
        out.write(json.dumps({**line, **asdict(one)}, ensure_ascii=False) + "\n")


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
