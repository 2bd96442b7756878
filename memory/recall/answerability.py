"""The calibrated probability that a memory holds what a cue asks for."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from ...core import MemoryFault
from ..storage import as_vector
from .hybrid_score import match_candidates
from .recall_query import RecallQuery

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ...core import Cue
    from ..index import IndexLoader
    from ..storage import Vector
    from .hybrid_score import HybridMatch
    from .recall_rules import RuleSet

    Floats = NDArray[np.float64]

FEATURES = ("fit", "meaning", "margin")
WEIGHTS_FILE = "answerability.json"


def match_features(match: HybridMatch) -> dict[str, float]:
    """Features that predict whether a memory holds the answer.

    - ``fit``: the highest (cosine + coverage + own words) / 2 of a candidate.
    - ``meaning``: the highest cosine with neighbours.
    - ``margin``: the highest ``own_words`` of records by people whom the cue names, minus the
      highest of the others (0 if either is missing); low if the memory says it of somebody else.
    """
    fit = 0.5 * (match.cosine + match.coverage + match.own_words)
    named = match.own_words[match.by_named_speaker]
    others = match.own_words[~match.by_named_speaker]
    margin = float(named.max() - others.max()) if len(named) and len(others) else 0.0
    return {"fit": float(fit.max()), "meaning": float(match.context_cosine.max()), "margin": margin}


def logistic_probability(features: Mapping[str, float], weights: Mapping[str, float]) -> float:
    """Logistic regression: 1 / (1 + exp(-(bias + sum of weight * feature))).

    >>> logistic_probability({"fit": 1.0}, {"bias": -1.0, "fit": 1.0})
    0.5
    """
    total = weights["bias"] + sum(weights[name] * value for name, value in features.items())
    # Beyond this exp overflows; the probability is 0 or 1 to the last bit anyway.
    return 1.0 / (1.0 + math.exp(-max(-700.0, min(700.0, total))))


@cache
def packaged_weights() -> Mapping[str, float]:
    """The weights in ``answerability.json``, fitted by ``denizens bench memory --calibrate``."""
    source = files(__package__).joinpath(WEIGHTS_FILE)
    try:
        weights = json.loads(source.read_text(encoding="utf-8"))["weights"]
        return {name: float(weights[name]) for name in ("bias", *FEATURES)}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise MemoryFault(f"{source}: cannot be read ({error!r}); reinstall denizens") from error


def answer_probability(
    loader: IndexLoader, rules: RuleSet, cue: Cue, vector: Vector | None
) -> float | None:
    """The calibrated probability that a memory holds what a cue asks for; None without its
    embedding."""
    if vector is None:
        return None
    features = cue_features(loader, rules, cue, vector)
    return logistic_probability(features, packaged_weights()) if features else 0.0


def cue_features(loader: IndexLoader, rules: RuleSet, cue: Cue, vector: Vector) -> dict[str, float]:
    """The features of a cue matched against a memory; empty if there is no candidate."""
    embedding = as_vector(vector, "the cue")
    query = RecallQuery.for_cue(loader, rules, cue, embedding)
    positions = query.candidates()
    if not len(positions):
        return {}
    return match_features(match_candidates(query.index, positions, embedding, cue, query.count))
