"""The critic of next lines: how likely a draft is the true next line of a conversation.

It combines the likelihood of the draft under a voice, its similarity by embeddings to what was
just said and to what the speaker is, and counts of words (``line_features``) in a small network.
``denizens train critic`` fits it; it lies in the voice's folder, as ``critic.safetensors`` (the
weights) and ``critic.json`` (their digest, the temperature, figures).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...core import Json, ModelCorrupt, atomic_path
from ..files import file_sha256
from .line_features import (
    LINE_FEATURES,
    MATCH_FEATURES,
    HeardTalk,
    cosine_features,
    likelihood_features,
    word_features,
)
from .scoring_method import FloatArray

CRITIC_WEIGHTS = "critic.safetensors"
CRITIC_SETTINGS = "critic.json"
CRITIC_FORMAT = 1
MATCH_INPUTS = ("last", "own", "facts", "partner")
"""What each of ``MATCH_FEATURES`` compares the draft with."""

VectorsByText = Mapping[str, NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class LineMatcher:
    """Learned similarities of a draft's embedding to those of the conversation's texts.

    ``draft``: the projection of a draft's vector, shape (rank, d); ``inputs`` those of each of
    ``MATCH_INPUTS``. A similarity is the dot product of two projections; of several facts it is
    the smooth maximum.
    """

    draft: FloatArray
    inputs: Mapping[str, FloatArray]

    def features(self, talk: HeardTalk, draft: str, vectors: VectorsByText) -> dict[str, float]:
        """``MATCH_FEATURES`` of a draft; 0 where the conversation has no such text."""
        projected = self.draft @ vectors[draft].astype(np.float64)
        features = {}
        for name, texts in match_texts(talk).items():
            scores = [
                float(np.dot(projected, self.inputs[name] @ vectors[text].astype(np.float64)))
                for text in texts
            ]
            features[f"match_{name}"] = _smooth_maximum(scores) if scores else 0.0
        return features


def match_texts(talk: HeardTalk) -> dict[str, tuple[str, ...]]:
    """The texts that a draft is compared with, by ``MATCH_INPUTS``."""
    texts = {
        "last": (talk.last,),
        "own": talk.own[-1:],
        "facts": (*talk.facts, *talk.notes),
        "partner": talk.partner[-1:],
    }
    return {name: tuple(text for text in given if text.strip()) for name, given in texts.items()}


@dataclass(frozen=True, slots=True)
class CriticNetwork:
    """The network over the features: logit = output . tanh(hidden z + bias) + linear . z +
    offset, where z are the features, standardized by ``mean`` and ``scale`` and limited to
    [-4, 4].

    Shapes: (features,) but ``hidden`` (units, features), ``bias`` and ``output`` (units,).
    """

    mean: FloatArray
    scale: FloatArray
    hidden: FloatArray
    bias: FloatArray
    output: FloatArray
    linear: FloatArray
    offset: float

    def logits(self, table: FloatArray) -> FloatArray:
        """The logit of each row of a table of shape (drafts, features)."""
        rows = []
        # One by one: a matrix product may round a row by its place.
        for row in np.clip((table - self.mean) / self.scale, -4.0, 4.0):
            units = np.tanh(self.hidden @ row + self.bias)
            rows.append(float(self.output @ units) + float(self.linear @ row) + self.offset)
        return np.array(rows)


@dataclass(frozen=True, slots=True)
class LineCritic:
    """The critic of one voice. ``features`` are the columns of its network, a part of
    ``LINE_FEATURES``. ``temperature`` calibrates the logits. ``training`` says how it was made."""

    matcher: LineMatcher
    network: CriticNetwork
    features: tuple[str, ...] = LINE_FEATURES
    temperature: float = 1.0
    training: Mapping[str, Json] = field(default_factory=dict)

    @property
    def dimension(self) -> int:
        """The length of the embeddings that it reads."""
        return int(self.matcher.draft.shape[1])

    def logits(self, rows: Sequence[Mapping[str, float]]) -> FloatArray:
        """The calibrated logit of each draft, from its features by name: its logistic function
        is the probability that the draft is the true next line."""
        table = np.array([[row[name] for name in self.features] for row in rows])
        return self.network.logits(table.reshape(len(rows), len(self.features))) / self.temperature

    def write(self, folder: Path) -> None:
        """Write the two files. Raises OSError."""
        from safetensors.numpy import save

        tensors = {
            # Half the size; no figure changes by it.
            name: array.astype(np.float16 if name.startswith("matcher") else np.float32)
            for name, array in self._tensors().items()
        }
        with atomic_path(folder / CRITIC_WEIGHTS) as part:
            part.write_bytes(save(tensors))
        settings: dict[str, Json] = {
            "format": CRITIC_FORMAT,
            "features": list(self.features),
            "temperature": self.temperature,
            "sha256": file_sha256(folder / CRITIC_WEIGHTS),
            "training": dict(self.training),
        }
        with atomic_path(folder / CRITIC_SETTINGS) as part:
            part.write_text(json.dumps(settings, indent=1) + "\n", encoding="utf-8")

    def _tensors(self) -> dict[str, FloatArray]:
        network = self.network
        return {
            "matcher.draft": self.matcher.draft,
            **{f"matcher.{name}": self.matcher.inputs[name] for name in MATCH_INPUTS},
            "network.mean": network.mean,
            "network.scale": network.scale,
            "network.hidden": network.hidden,
            "network.bias": network.bias,
            "network.output": network.output,
            "network.linear": network.linear,
            "network.offset": np.array([network.offset]),
        }


def has_critic(folder: Path) -> bool:
    """Whether a voice's folder has a critic."""
    return (folder / CRITIC_SETTINGS).is_file() or (folder / CRITIC_WEIGHTS).is_file()


def read_critic(folder: Path) -> LineCritic:
    """The critic of a voice's folder. Raises ModelCorrupt where a file is missing or damaged, or
    does not belong to the other."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    path = folder / CRITIC_SETTINGS
    remedy = "train it again (denizens train critic), or delete both files of the critic"
    try:
        settings: Any = json.loads(path.read_text(encoding="utf-8"))
        if settings["format"] != CRITIC_FORMAT:
            raise ValueError(f"its format is {settings['format']}, not {CRITIC_FORMAT}")
        weights = folder / CRITIC_WEIGHTS
        if file_sha256(weights) != settings["sha256"]:
            raise ValueError(f"the digest of {CRITIC_WEIGHTS} differs")
        tensors = {name: a.astype(np.float64) for name, a in load_file(weights).items()}
        return _critic(settings, tensors)
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise ModelCorrupt(f"{path}: the critic cannot be used ({error}); {remedy}") from error


def _critic(settings: Any, tensors: Mapping[str, FloatArray]) -> LineCritic:
    """Raises ValueError, KeyError or TypeError for anything that does not fit."""
    features = tuple(settings["features"])
    unknown = [name for name in features if name not in LINE_FEATURES]
    if unknown or not features:
        raise ValueError(f"unknown feature '{unknown[0]}'" if unknown else "it has no features")
    temperature = float(settings["temperature"])
    count, (rank, dimension) = len(features), tensors["matcher.draft"].shape
    units = len(tensors["network.bias"])
    shapes: dict[str, tuple[int, ...]] = {
        f"matcher.{name}": (rank, dimension) for name in MATCH_INPUTS
    }
    shapes |= {f"network.{name}": (count,) for name in ("mean", "scale", "linear")}
    shapes |= {"network.hidden": (units, count), "network.output": (units,)}
    shapes |= {"network.offset": (1,)}
    for name, shape in shapes.items():
        if tensors[name].shape != shape:
            raise ValueError(f"{name} has shape {tensors[name].shape}, not {shape}")
    if not all(np.isfinite(array).all() for array in tensors.values()) or not 0 < temperature < 1e6:
        raise ValueError("a weight or the temperature is no finite number")
    network = CriticNetwork(
        mean=tensors["network.mean"],
        scale=tensors["network.scale"],
        hidden=tensors["network.hidden"],
        bias=tensors["network.bias"],
        output=tensors["network.output"],
        linear=tensors["network.linear"],
        offset=float(tensors["network.offset"][0]),
    )
    matcher = LineMatcher(
        tensors["matcher.draft"], {name: tensors[f"matcher.{name}"] for name in MATCH_INPUTS}
    )
    return LineCritic(matcher, network, features, temperature, settings.get("training", {}))


def draft_features(
    talk: HeardTalk,
    draft: str,
    vectors: VectorsByText,
    matcher: LineMatcher | None,
    likelihood: tuple[float, float, int],
) -> dict[str, float]:
    """All features of a draft. ``likelihood``: its log-probability within the conversation and
    without it, and its tokens. Without ``matcher`` the ``MATCH_FEATURES`` are 0."""
    matches = dict.fromkeys(MATCH_FEATURES, 0.0)
    if matcher is not None:
        matches = matcher.features(talk, draft, vectors)
    return {
        **likelihood_features(*likelihood),
        **matches,
        **cosine_features(talk, draft, vectors),
        **word_features(talk, draft),
    }


def _smooth_maximum(scores: Sequence[float]) -> float:
    """log(mean(exp(scores))), which training can differentiate."""
    array = np.array(scores)
    top = float(array.max())
    return top + float(np.log(np.sort(np.exp(array - top)).mean()))
