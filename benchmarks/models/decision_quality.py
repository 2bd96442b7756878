"""``denizens bench decisions``: accuracy of decisions and ratings, and their latency."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from ...core import Answer, Choice, Choose, Json, ModelError, Rate, Rating, answer_all
from ...models import LocalModel, load_local
from ...models.decisions import importance_question
from ...planners import IMPORTANCE_ANCHORS
from ...planners.daily import talk_options
from ..bfcl import SETS, BfclItem, bfcl_files, load_bfcl
from ..data_files import packaged_data
from ..statistics import auroc, balanced_accuracy, best_threshold, compare_paired
from .choice_latency import measure_choose_8, require_choice

DECISION_PARTS = ("tools", "importance", "reactions", "choose_8")
METHODS = {"cosine": "cosine", "parts": "parts", "channel": "channel", "direct": "direct"}
METHODS |= {"fused": "auto"}


def measure_decisions(
    name: str = "smollm2",
    *,
    device: str = "auto",
    dtype: str = "auto",
    data: Path,
    parts: tuple[str, ...] = DECISION_PARTS,
    progress: Callable[[str], None] = lambda line: None,
) -> dict[str, Json]:
    """The figures of the parts as nested JSON. Without a bfcl folder in ``data`` the part ``tools``
    is left out, and a line says so."""
    model = load_local(name, device=device, dtype=dtype)
    about = model.describe()
    keys = ("name", "device", "dtype", "threads", "calibration")
    figures: dict[str, Json] = {key: about[key] for key in keys}
    if "tools" in parts:
        if all(bfcl_files(data, one) for one in SETS):
            figures["tools"] = measure_tool_choice(model, data, progress)
        else:
            figures["tools"] = {"left_out": f"{data / 'bfcl'}: not all there; see --data"}
            progress(f"tools: left out, {data / 'bfcl'} does not hold all of them")
    if "importance" in parts:
        progress("importance: 50 sentences")
        figures["importance"] = measure_importance(model)
    if "reactions" in parts:
        progress("reactions: 40 meetings")
        figures["reactions"] = measure_reactions(model)
    if "choose_8" in parts:
        progress("choose_8: one Choose beside eight full passes")
        figures["choose_8"] = measure_choose_8(name, device=device, dtype=str(about["dtype"]))
    return figures


def measure_tool_choice(
    model: LocalModel, data: Path, progress: Callable[[str], None]
) -> dict[str, Json]:
    """Choosing functions of BFCL, and detecting that none fits."""
    figures: dict[str, Json] = {}
    for name in ("multiple", "live_multiple"):
        items = load_bfcl(data, name)
        progress(f"tools: {name}, {len(items)} requests")
        figures[name] = choice_accuracy(model, items)
    progress("tools: irrelevance")
    figures["irrelevance"] = measure_irrelevance(
        model, load_bfcl(data, "irrelevance"), load_bfcl(data, "simple_python")
    )
    return {"accuracy": figures["multiple"]["fused"], **figures}


def choice_accuracy(model: LocalModel, items: Sequence[BfclItem]) -> dict[str, Json]:
    """Accuracy of each scoring method on all items, on the odd and on the even ones; the fused
    default compared with the cosine alone, of the option's first line and of its description."""
    right = {
        key: right_choices(model, items, [item.choose_ask() for item in items], method)
        for key, method in METHODS.items()
    }
    plain = [item.choose_ask(plain=True) for item in items]
    right["cosine_of_description"] = right_choices(model, items, plain, "cosine")
    fused = right["fused"]
    return {
        "items": len(items),
        "chance": float(np.mean([1 / len(item.functions) for item in items])),
        **{key: float(np.mean(one)) for key, one in right.items()},
        "odd": {key: float(np.mean(one[1::2])) for key, one in right.items()},
        "even": {key: float(np.mean(one[::2])) for key, one in right.items()},
        "fused_against_cosine": asdict(compare_paired(fused, right["cosine"])),
        "fused_against_cosine_of_description": asdict(
            compare_paired(fused, right["cosine_of_description"])
        ),
        "fused_against_parts": asdict(compare_paired(fused, right["parts"])),
    }


def right_choices(
    model: LocalModel, items: Sequence[BfclItem], asks: Sequence[Choose], method: str
) -> list[bool]:
    """For each item whether its right function was chosen."""
    chosen = [ask.options[one.index].name for ask, one in zip(asks, choices(model, asks, method))]
    return [name == item.right for name, item in zip(chosen, items)]


def choices(model: LocalModel, asks: Sequence[Choose], method: str) -> list[Choice]:
    """The answers by a scoring method. Raises ModelError when an ask failed."""
    decider = model.decider
    before, decider.method = decider.method, method
    try:
        return [require_choice(answer) for answer in answer_all(model.client(), asks)]
    finally:
        decider.method = before


def measure_irrelevance(
    model: LocalModel,
    irrelevant: Sequence[BfclItem],
    relevant: Sequence[BfclItem],
    methods: Sequence[str] = ("fused", "cosine", "parts", "channel"),
) -> dict[str, Json]:
    """Whether the one function offered is relevant, by the probability of none of these. Figures
    without a method's name are the default's."""
    by_method: dict[str, Json] = {"items": [len(irrelevant), len(relevant)]}
    for key in methods:
        low, high = (
            [
                one.probabilities[0]
                for one in choices(
                    model, [item.choose_ask(none=True) for item in items], METHODS[key]
                )
            ]
            for items in (irrelevant, relevant)
        )
        cutoff = best_threshold(low, high)
        figures: dict[str, Json] = {
            "auroc": auroc(low, high),
            "balanced_accuracy": cutoff.checked,
            "balanced_accuracy_odd": cutoff.chosen,
            "threshold": cutoff.at,
        }
        if key == "fused":
            by_method |= figures
        else:
            by_method[key] = figures
    return by_method


def measure_importance(model: LocalModel) -> dict[str, Json]:
    """How well ratings separate poignant from mundane sentences, compared with the likelihood of
    the number as the reply to a question."""
    data = packaged_data("decisions")
    groups = (data["mundane"], data["poignant"])
    low, high = (importance_ratings(model, sentences) for sentences in groups)
    naive_low, naive_high = (naive_ratings(model, sentences) for sentences in groups)
    return {
        "items": sum(map(len, groups)),
        "auroc": auroc(low, high),
        "median_mundane": float(np.median(low)),
        "median_poignant": float(np.median(high)),
        "naive_auroc": auroc(naive_low, naive_high),
        "naive_median_mundane": float(np.median(naive_low)),
        "naive_median_poignant": float(np.median(naive_high)),
    }


def importance_ratings(model: LocalModel, sentences: Sequence[str]) -> list[float]:
    """Importance as planners ask for it, 1 to 10."""
    asks = [
        Rate(messages=(), about=one, anchors=IMPORTANCE_ANCHORS, role="importance")
        for one in sentences
    ]
    return [_value(answer) for answer in answer_all(model.client(), asks)]


def naive_ratings(model: LocalModel, sentences: Sequence[str]) -> list[float]:
    """Importance by the likelihood of each number as the reply to a question."""
    asks = [Rate(messages=importance_question(one), about=one, role="number") for one in sentences]
    return [_value(answer) for answer in answer_all(model.client(), asks)]


def _value(answer: Answer) -> float:
    if not isinstance(answer, Rating):
        raise ModelError(f"a rating failed: {answer}")
    return answer.value


def measure_reactions(model: LocalModel) -> dict[str, Json]:
    """Whether an agent talks to another, as planners ask it: how well encounters with and without a
    reason to talk are separated."""
    data = packaged_data("decisions")
    passing, talking = (talk_probabilities(model, data[name]) for name in ("passing", "talking"))
    return {
        "items": len(passing) + len(talking),
        "auroc": auroc(passing, talking),
        "auroc_odd": auroc(passing[1::2], talking[1::2]),
        "auroc_even": auroc(passing[::2], talking[::2]),
        "balanced_accuracy": balanced_accuracy(passing, talking, 0.5),
        "mean_talking": float(np.mean(talking)),
        "mean_passing": float(np.mean(passing)),
    }


def talk_probabilities(model: LocalModel, encounters: Sequence[Sequence[str]]) -> list[float]:
    """The probability of talking at each encounter."""
    asks = []
    for encounter in encounters:
        options, about = talk_options(*encounter)
        asks.append(Choose(messages=(), options=options, about=about, role="react"))
    return [choice.probabilities[0] for choice in choices(model, asks, "auto")]
