"""Calibrations: the scoring method of each kind of decision for a model and embedder.

``denizens models calibrate`` measures one and stores it in the cache, one JSON file per model and
embedder. Without one, small models use the shipped calibration of smollm2, and models of a billion
parameters or more use weights set by hand.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from ...core import Anchor, Json, ModelCorrupt, atomic_path, digest_text
from ...core import digest as digest_json
from ..files import cache_home
from .features import METHOD_NAMES
from .scoring_method import ScoringMethod

FORMAT_VERSION = 1
DECISION_KINDS = ("tool", "other")
LARGE_MODEL_METHOD = ScoringMethod({"parts": 0.42, "pmi": 0.04, "channel": 0.54}, 0.03, 0.3)
"""Weights set by hand for uncalibrated models of a billion parameters or more, whose
log-probabilities are informative."""

VALUE_ROLE = "value"
WHOLE_REPLY_METHOD = ScoringMethod({"whole": 1.0}, 1.0)
"""For asks with the role ``value``, whose options are whole replies: the language model's own
probabilities, which need no calibration."""


@dataclass(frozen=True, slots=True)
class RatingRule:
    """How a Rate is answered: each anchor has the weight exp(``sharpness`` * cosine). ``own`` is
    the share of the reply's probabilities in the rating, where there are anchors."""

    sharpness: float
    own: float = 0.0


@dataclass(frozen=True, slots=True)
class Calibration:
    """The methods of each kind of decision by name, and the one that ``auto`` stands for.

    ``source``: "stored", "shipped" or "by size".
    """

    methods: Mapping[str, Mapping[str, ScoringMethod]]
    auto: Mapping[str, str]
    rating: RatingRule
    source: str = "stored"

    def method(self, role: str, name: str) -> ScoringMethod:
        """The method for an ask's role; ``name`` is "auto" or one of ``METHOD_NAMES``."""
        if role == VALUE_ROLE and name not in ("cosine", "parts"):
            return WHOLE_REPLY_METHOD
        kind = decision_kind(role)
        return self.methods[kind][self.auto[kind] if name == "auto" else name]

    def to_json(self) -> dict[str, Json]:
        """The JSON that is stored."""
        return {
            "methods": {
                kind: {name: _method_json(method) for name, method in methods.items()}
                for kind, methods in self.methods.items()
            },
            "auto": dict(self.auto),
            "rating": asdict(self.rating),
        }


def decision_kind(role: str) -> str:
    """The kind of a role: "tool" or "other". Decisions about tools are calibrated separately,
    since descriptions of tools are longer than those of other options."""
    return "tool" if role == "tool" else "other"


def load_calibration(
    digest: str, embedder: str, *, small: bool, stored: bool = True
) -> Calibration:
    """The stored calibration of a model and embedder; without one (or with ``stored`` False) the
    shipped one for a small model, else the one set by hand.

    ``digest`` is the model's. Raises ModelCorrupt for a damaged file.
    """
    path = calibration_path(digest, embedder)
    if stored and path.is_file():
        return read_calibration(path, digest, embedder)
    return shipped_calibration() if small else large_model_calibration()


def calibration_path(digest: str, embedder: str) -> Path:
    """The file of the calibration of a model and embedder, which may not exist."""
    return cache_home() / "calibrations" / f"{digest_text(f'{digest} {embedder}')}.json"


def write_calibration(calibration: Calibration, digest: str, embedder: str) -> Path:
    """Store a calibration atomically and return its path. Raises OSError."""
    path = calibration_path(digest, embedder)
    path.parent.mkdir(parents=True, exist_ok=True)
    body: dict[str, Json] = {
        "format": FORMAT_VERSION,
        "model": digest,
        "embedder": embedder,
        **calibration.to_json(),
    }
    body["check"] = digest_json(body)
    with atomic_path(path) as part:
        part.write_text(json.dumps(body, indent=1), encoding="utf-8")
    return path


def read_calibration(path: Path, digest: str, embedder: str) -> Calibration:
    """A stored calibration. Raises ModelCorrupt where it is damaged or another model's."""
    try:
        body = json.loads(path.read_text(encoding="utf-8"))
        if body.pop("check") != digest_json(body):
            raise ValueError("its check sum differs")
        if (body["format"], body["model"], body["embedder"]) != (FORMAT_VERSION, digest, embedder):
            raise ValueError("it is of another model, embedder or version")
        return _from_json(body, "stored")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelCorrupt(
            f"{path}: the stored calibration cannot be used ({error}); measure it again "
            "(denizens models calibrate), or delete the file for the shipped one"
        ) from error


@cache
def shipped_calibration() -> Calibration:
    """The calibration of smollm2 with minilm, which is part of the package."""
    text = (files(__package__) / "calibrated.json").read_text(encoding="utf-8")
    return _from_json(json.loads(text), "shipped")


def large_model_calibration() -> Calibration:
    """The calibration of large models that were not measured."""
    base = shipped_calibration()
    methods = {
        kind: {**base.methods[kind], "parts+pmi+channel": LARGE_MODEL_METHOD}
        for kind in DECISION_KINDS
    }
    auto = dict.fromkeys(DECISION_KINDS, "parts+pmi+channel")
    return Calibration(methods, auto, RatingRule(base.rating.sharpness, own=0.5), "by size")


def calibration_data() -> Any:
    """The decisions and ratings of calibration_data.json, which calibration measures."""
    text = (files(__package__) / "calibration_data.json").read_text(encoding="utf-8")
    return json.loads(text)


@cache
def rating_examples(role: str, low: int, high: int) -> tuple[Anchor, ...]:
    """The shipped rated sentences for a role and range, which are anchors of every such Rate."""
    return tuple(
        Anchor(sentence["value"], sentence["text"])
        for sentence in calibration_data()["ratings"]
        if (sentence["role"], sentence["low"], sentence["high"]) == (role, low, high)
    )


def _method_json(method: ScoringMethod) -> dict[str, Json]:
    return {"weights": dict(method.weights), "temperature": method.temperature, "none": method.none}


def _from_json(body: Any, source: str) -> Calibration:
    methods = {
        kind: {name: _method_from_json(body["methods"][kind][name]) for name in METHOD_NAMES}
        for kind in DECISION_KINDS
    }
    auto = {kind: body["auto"][kind] for kind in DECISION_KINDS}
    if not set(auto.values()) <= set(METHOD_NAMES):
        raise ValueError(f"auto is none of {', '.join(METHOD_NAMES)}")
    rating = RatingRule(_number(body["rating"]["sharpness"]), _number(body["rating"]["own"]))
    if not 0 <= rating.own <= 1:
        raise ValueError("rating.own is not within 0 and 1")
    return Calibration(methods, auto, rating, source)


def _method_from_json(body: Any) -> ScoringMethod:
    weights = {name: _number(weight) for name, weight in body["weights"].items()}
    temperature = _number(body["temperature"])
    if not weights or not set(weights) <= set(METHOD_NAMES) or temperature <= 0:
        raise ValueError("a method has no weights, unknown ones, or no temperature")
    return ScoringMethod(weights, temperature, _number(body["none"]))


def _number(value: Any) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"{value} is no number")
    return number
