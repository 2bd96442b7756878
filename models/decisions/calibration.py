"""Which method answers which kind of decision, for a model: measured, stored, shipped.

A calibration is measured by ``denizens models calibrate`` and stored in the cache, one JSON
file a model and embedder. Models without one have the shipped calibration of smollm2, or,
from a billion parameters on, weights set by hand that give the likelihood of the reply a say.
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
from .scoring_method import METHOD_NAMES, ScoringMethod

FORMAT_VERSION = 1
DECISION_KINDS = ("tool", "other")
LARGE_MODEL_METHOD = ScoringMethod({"parts": 0.42, "pmi": 0.04, "channel": 0.54}, 0.03, 0.3)
"""For unmeasured models of a billion parameters or more, whose replies by likelihood mean
something. By hand; `denizens models calibrate` replaces it."""


VALUE_ROLE = "value"
WHOLE_REPLY_METHOD = ScoringMethod({"whole": 1.0}, 1.0)
"""For asks with the role ``value``, which of several texts the reply is: the language model's
own probabilities, so there is nothing to calibrate."""


@dataclass(frozen=True, slots=True)
class RatingRule:
    """Ratings: the weight of an example falls as exp(``sharpness`` * cosine); ``own`` is the
    share of the likelihood of each number as the reply, where there are examples too."""

    sharpness: float
    own: float = 0.0


@dataclass(frozen=True, slots=True)
class Calibration:
    """``methods`` of each kind of decision by name, and which of them ``auto`` is.

    ``source`` says where it is from: stored, shipped, or by size."""

    methods: Mapping[str, Mapping[str, ScoringMethod]]
    auto: Mapping[str, str]
    rating: RatingRule
    source: str = "stored"

    def method(self, role: str, wanted: str) -> ScoringMethod:
        """The method of a name, ``auto`` or one of ``METHOD_NAMES``, for an ask's role."""
        if role == VALUE_ROLE and wanted not in ("cosine", "parts"):
            return WHOLE_REPLY_METHOD
        kind = decision_kind(role)
        return self.methods[kind][self.auto[kind] if wanted == "auto" else wanted]

    def to_json(self) -> dict[str, Json]:
        """As stored."""
        return {
            "methods": {
                kind: {name: _method_json(method) for name, method in found.items()}
                for kind, found in self.methods.items()
            },
            "auto": dict(self.auto),
            "rating": asdict(self.rating),
        }


def decision_kind(role: str) -> str:
    """Decisions about tools are calibrated apart: their options tell more than others' do."""
    return "tool" if role == "tool" else "other"


def load_calibration(
    digest: str, embedder: str, *, small: bool, stored: bool = True
) -> Calibration:
    """The calibration ``stored`` for a model and an embedder, else the shipped one, else for
    a model that is not ``small`` the one set by hand. Raises ModelCorrupt for a damaged file."""
    path = calibration_path(digest, embedder)
    if stored and path.is_file():
        return read_calibration(path, digest, embedder)
    return shipped_calibration() if small else large_model_calibration()


def calibration_path(digest: str, embedder: str) -> Path:
    """Where the calibration of a model with an embedder is, or would be."""
    return cache_home() / "calibrations" / f"{digest_text(f'{digest} {embedder}')}.json"


def write_calibration(calibration: Calibration, digest: str, embedder: str) -> Path:
    """Store it, whole or not at all; its path. Raises OSError."""
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
    """Raises ModelCorrupt when the file is damaged, or is another model's."""
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
    """That of smollm2 with minilm, as the package has it."""
    text = (files(__package__) / "calibrated.json").read_text(encoding="utf-8")
    return _from_json(json.loads(text), "shipped")


def large_model_calibration() -> Calibration:
    """For large models that were not measured."""
    base = shipped_calibration()
    methods = {
        kind: {**base.methods[kind], "parts+pmi+channel": LARGE_MODEL_METHOD}
        for kind in DECISION_KINDS
    }
    auto = dict.fromkeys(DECISION_KINDS, "parts+pmi+channel")
    return Calibration(methods, auto, RatingRule(base.rating.sharpness, own=0.5), "by size")


def calibration_data() -> Any:
    """The decisions and ratings to calibrate with, as written in calibration_data.json."""
    text = (files(__package__) / "calibration_data.json").read_text(encoding="utf-8")
    return json.loads(text)


@cache
def rating_examples(role: str, low: int, high: int) -> tuple[Anchor, ...]:
    """The shipped rated sentences for a role's scale; a Rate's own anchors join them."""
    return tuple(
        Anchor(one["value"], one["text"])
        for one in calibration_data()["ratings"]
        if (one["role"], one["low"], one["high"]) == (role, low, high)
    )


def _method_json(method: ScoringMethod) -> dict[str, Json]:
    return {
        "weights": dict(method.weights),
        "temperature": method.temperature,
        "none": method.none,
    }


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
