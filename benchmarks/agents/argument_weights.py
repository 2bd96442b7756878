"""Fits the weights of the features of argument candidates, on requests with known calls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import logsumexp, softmax

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

RIDGE = 0.005  # penalty factor of the squared weights
BATCH_SIZE = 16


@dataclass(frozen=True, slots=True)
class LabelledField:
    """The features of each candidate of a field, and which candidates are right."""

    features: tuple[Features, ...]
    right: tuple[bool, ...]


def candidate_tables(model: LocalModel, items: Sequence[BfclItem]) -> list[list[FieldCandidates]]:
    """The candidates and features of all fields of each request's right tool."""
    tables_by_item: list[list[FieldCandidates]] = []
    for start in range(0, len(items), BATCH_SIZE):
        part = items[start : start + BATCH_SIZE]
        specs = [next(s for s in item.specs() if s.name == item.right) for item in part]
        thoughts = [collect_candidates(s, i.request, seed=Seed.of(1)) for s, i in zip(specs, part)]
        tables_by_item += [tables for tables, _ in run_thoughts(model, thoughts)]
    return tables_by_item


def labelled_fields(
    items: Sequence[BfclItem], tables: Sequence[Sequence[FieldCandidates]]
) -> dict[str, list[LabelledField]]:
    """Training examples by group of weights: fields with right and wrong candidates."""
    groups: dict[str, list[LabelledField]] = {name: [] for name in FIELD_GROUPS}
    for item, fields in zip(items, tables):
        for table in fields:
            accepted = _accepted(item.accepted, table.field.path)
            features = list(table.features)
            right = [accepts_value(accepted, one.value) for one in table.candidates]
            if not table.field.required:
                features.append(table.absence_features())
                right.append("" in accepted)
            if any(right) and not all(right):
                groups[field_group(table.field)].append(
                    LabelledField(tuple(features), tuple(right))
                )
    return groups


def _accepted(values: Mapping[str, Any], path: tuple[str, ...]) -> list[Any]:
    """The accepted values of a field; a missing field accepts only absence ("")."""
    accepted: Any = values
    for name in path:
        if isinstance(accepted, list):
            accepted = next((value for value in accepted if isinstance(value, dict)), {})
        accepted = accepted.get(name, [""])
    return accepted if isinstance(accepted, list) else [accepted]


def fit_weights(fields: Sequence[LabelledField], ridge: float = RIDGE) -> dict[str, float]:
    """The weights of a conditional logit with a ridge, fitted by maximum likelihood with L-BFGS; if
    several candidates are right, their probabilities add up."""
    names = sorted({name for field in fields for features in field.features for name in features})
    tables = [
        np.array([[features.get(name, 0.0) for name in names] for features in field.features])
        for field in fields
    ]
    right = [np.array(field.right) for field in fields]

    def loss(weights: Floats) -> tuple[float, Floats]:
        """The penalised mean negative log-likelihood, and its gradient."""
        value, gradient = ridge * float(weights @ weights), 2 * ridge * weights
        for table, chosen in zip(tables, right):
            scores = table @ weights
            probabilities = softmax(scores)
            posterior = softmax(scores[chosen])
            value += float(logsumexp(scores) - logsumexp(scores[chosen])) / len(tables)
            gradient = gradient + (probabilities @ table - posterior @ table[chosen]) / len(tables)
        return value, gradient

    weights = minimize(loss, np.zeros(len(names)), jac=True, method="L-BFGS-B").x
    return {name: round(float(weight), 3) for name, weight in zip(names, weights)}


def fit_all_groups(
    items: Sequence[BfclItem], tables: Sequence[Sequence[FieldCandidates]]
) -> dict[str, Json]:
    """The weights of all groups, in the format that is packaged with ``planners.arguments``."""
    groups = labelled_fields(items, tables)
    return {
        "items": len(items),
        "fields": {name: len(fields) for name, fields in groups.items()},
        "weights": {name: fit_weights(fields) for name, fields in groups.items()},
    }
