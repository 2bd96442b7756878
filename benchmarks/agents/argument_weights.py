"""Fitting how much each sign of a candidate counts, on requests whose calls are known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ...core import Json, Seed, run_thoughts
from ...models import LocalModel
from ...planners.arguments import (
    FIELD_GROUPS,
    Features,
    FieldCandidates,
    collect_candidates,
    field_group,
)
from ..bfcl import BfclItem, accepts_value

Floats: TypeAlias = NDArray[np.float64]

RIDGE = 0.005  # of the squared weights
ADAM_STEPS, LEARNING_RATE = 1500, 0.05
BATCH_SIZE = 16


@dataclass(frozen=True, slots=True)
class LabelledField:
    """A field whose right values are known: the signs of what it may be, and which are right."""

    features: tuple[Features, ...]
    right: tuple[bool, ...]


def candidate_tables(model: LocalModel, items: Sequence[BfclItem]) -> list[list[FieldCandidates]]:
    """The candidates and signs of each request's right tool."""
    found: list[list[FieldCandidates]] = []
    for start in range(0, len(items), BATCH_SIZE):
        part = items[start : start + BATCH_SIZE]
        specs = [next(s for s in item.specs() if s.name == item.right) for item in part]
        thoughts = [collect_candidates(s, i.request, seed=Seed.of(1)) for s, i in zip(specs, part)]
        found += [tables for tables, _ in run_thoughts(model, thoughts)]
    return found


def labelled_fields(
    items: Sequence[BfclItem], tables: Sequence[Sequence[FieldCandidates]]
) -> dict[str, list[LabelledField]]:
    """What there is to learn from, by the group of weights."""
    found: dict[str, list[LabelledField]] = {name: [] for name in FIELD_GROUPS}
    for item, own in zip(items, tables):
        for table in own:
            accepted = _accepted(item.accepted, table.field.path)
            signs = list(table.features)
            right = [accepts_value(accepted, one.value) for one in table.candidates]
            if not table.field.required:
                signs.append(table.absence_features())
                right.append("" in accepted)
            if any(right) and not all(right):
                found[field_group(table.field)].append(LabelledField(tuple(signs), tuple(right)))
    return found


def _accepted(values: Mapping[str, Any], path: tuple[str, ...]) -> list[Any]:
    """The accepted values of a field; absent is all that is accepted of one not told."""
    found: Any = values
    for name in path:
        if isinstance(found, list):
            found = next((one for one in found if isinstance(one, dict)), {})
        found = found.get(name, [""])
    return found if isinstance(found, list) else [found]


def fit_weights(fields: Sequence[LabelledField], ridge: float = RIDGE) -> dict[str, float]:
    """The weights that make the right candidates likeliest: maximum likelihood of a conditional
    logit in which several candidates may be right (their probabilities add up), with a ridge,
    by Adam (Kingma and Ba 2015) in a fixed number of steps from zero."""
    names = sorted({name for one in fields for signs in one.features for name in signs})
    at = {name: place for place, name in enumerate(names)}
    tables = []
    for one in fields:
        table = np.zeros((len(one.features), len(names)))
        for row, signs in enumerate(one.features):
            for name, sign in signs.items():
                table[row, at[name]] = sign
        tables.append((table, np.array(one.right)))
    weights, mean, square = np.zeros((3, len(names)))
    for step in range(1, ADAM_STEPS + 1):
        slope = 2 * ridge * weights + sum(
            _gradient(t, right, weights) for t, right in tables
        ) / max(1, len(tables))
        mean, square = 0.9 * mean + 0.1 * slope, 0.999 * square + 0.001 * slope * slope
        top, low = mean / (1 - 0.9**step), np.sqrt(square / (1 - 0.999**step)) + 1e-8
        weights = weights - LEARNING_RATE * top / low
    return {name: round(float(weight), 3) for name, weight in zip(names, weights)}


def _gradient(table: Floats, right: NDArray[np.bool_], weights: Floats) -> Floats:
    """The gradient of -log p(one of the right candidates)."""
    scores = table @ weights
    odds = np.exp(scores - scores.max())
    odds /= odds.sum()
    among = odds * right
    found: Floats = (odds - among / max(float(among.sum()), 1e-12)) @ table
    return found


def fit_all_groups(
    items: Sequence[BfclItem], tables: Sequence[Sequence[FieldCandidates]]
) -> dict[str, Json]:
    """The weights of all groups, as planners/filling.json holds them."""
    learned = labelled_fields(items, tables)
    return {
        "items": len(items),
        "fields": {name: len(fields) for name, fields in learned.items()},
        "weights": {name: fit_weights(fields) for name, fields in learned.items()},
    }
