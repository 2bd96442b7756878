"""How likely it is that a memory holds what a cue asks for: "I don't know", calibrated."""

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


def match_features(found: HybridMatch) -> dict[str, float]:
    """What tells whether a memory holds the answer, from the best of the candidates.

    ``fit``: half the sum of the cosine, the share of the asked words it covers and its own
    BM25 as a share of the highest possible, of the record where that is largest;
    ``context_cosine``: the largest cosine with neighbours; ``margin``: how much better the best
    record
    of those whom the cue names fits by words than the best of all others (0 without both), low
    where the memory tells the thing of somebody else.
    """
    fit = 0.5 * (found.cosine + found.coverage + found.own_words)
    named, others = (
        found.own_words[found.by_named_speaker],
        found.own_words[~found.by_named_speaker],
    )
    margin = float(named.max() - others.max()) if len(named) and len(others) else 0.0
    return {"fit": float(fit.max()), "meaning": float(found.context_cosine.max()), "margin": margin}


def logistic_probability(given: Mapping[str, float], weights: Mapping[str, float]) -> float:
    """Logistic regression: 1 / (1 + exp(-(bias + the sum of weight * sign))).

    >>> logistic_probability({"fit": 1.0}, {"bias": -1.0, "fit": 1.0})
    0.5
    """
    total = weights["bias"] + sum(weights[name] * value for name, value in given.items())
    # Beyond this exp overflows; the probability is 0 or 1 to the last bit anyway.
    return 1.0 / (1.0 + math.exp(-max(-700.0, min(700.0, total))))


@cache
def packaged_weights() -> Mapping[str, float]:
    """The weights beside this file, fitted by ``denizens bench memory --calibrate``."""
    source = files(__package__).joinpath(WEIGHTS_FILE)
    try:
        weights = json.loads(source.read_text(encoding="utf-8"))["weights"]
        return {name: float(weights[name]) for name in ("bias", *FEATURES)}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise MemoryFault(f"{source}: cannot be read ({error!r}); reinstall denizens") from error


def answer_probability(
    loader: IndexLoader, rules: RuleSet, cue: Cue, vector: Vector | None
) -> float | None:
    """See ``Memory.answer_probability``."""
    if vector is None:
        return None
    given = cue_features(loader, rules, cue, vector)
    return logistic_probability(given, packaged_weights()) if given else 0.0


def cue_features(loader: IndexLoader, rules: RuleSet, cue: Cue, vector: Vector) -> dict[str, float]:
    """The signs of a cue held against a memory; none where there is no candidate."""

    query = as_vector(vector, "the cue")
    scene = RecallQuery.for_cue(loader, rules, cue, query, {})
    places = scene.candidates()
    return (
        match_features(match_candidates(scene.shelf, places, query, cue, scene.count))
        if len(places)
        else {}
    )
