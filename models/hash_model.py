"""`ImprovisedModel`: answers that are a function of a hash of the ask; it needs no weights."""

from __future__ import annotations

import json
import math
from functools import lru_cache
from hashlib import blake2b
from itertools import accumulate
from typing import TYPE_CHECKING

from ..core import (
    Answer,
    Choice,
    Choose,
    Completion,
    Embed,
    Failed,
    Json,
    ModelAsk,
    Rate,
    Rating,
    Vectors,
    check_arguments,
    replace_surrogates,
)
from .clients import InstantClient

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

VECTOR_SIZE = 64
NUMBER_LIMITS = ("minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum")
OPENINGS = ("Well", "Oh", "Listen", "You know", "To be honest", "Today", "Later", "Honestly")
SUBJECTS = ("I", "we", "somebody", "everyone here", "my neighbour", "the two of us")
VERBS = ("should see to", "might look after", "could talk about", "often think of", "will mend")
THINGS = ("the garden", "the old clock", "the market", "that letter", "the harbour", "supper")
ENDINGS = (
    "before the evening",
    "when it rains",
    "with a friend",
    "after breakfast",
    "this week",
    "as always",
)


_LATER_FIELDS = (", top_logprobs=None", ", clip=False", ", whole=False")


def ask_hash(ask: ModelAsk, salt: bytes) -> bytes:
    """A hash of 64 bytes of the whole ask.

    Of its repr, which takes a fifth of the time of canonical JSON; hashes are not stored. Fields
    that were added later are left out at their defaults, so that answers stay what they were.
    """
    text = repr(ask)
    for field in _LATER_FIELDS:
        text = text.replace(field, "")
    return blake2b(text.encode(), digest_size=64, salt=salt).digest()


def random_sentence(noise: bytes) -> str:
    """A short plausible sentence."""
    tables = (OPENINGS, SUBJECTS, VERBS, THINGS, ENDINGS)
    opening, *rest = (table[byte % len(table)] for table, byte in zip(tables, noise))
    return f"{opening}, {' '.join(rest)}."


def random_distribution(noise: bytes, count: int) -> tuple[float, ...]:
    """``count`` positive numbers that sum to 1."""
    while len(noise) < 2 * count:
        noise += blake2b(noise[-64:], digest_size=64).digest()
    raw = [int.from_bytes(noise[2 * i : 2 * i + 2]) + 1 for i in range(count)]
    total = sum(raw)
    return tuple(value / total for value in raw)


def sample_index(probabilities: tuple[float, ...], uniform: float) -> int:
    """The index at which the cumulative sum passes ``uniform`` in [0, 1)."""
    for index, cumulative in enumerate(accumulate(probabilities)):
        if uniform < cumulative:
            return index
    return len(probabilities) - 1


def random_instance(schema: Json, noise: bytes, depth: int = 0) -> Json:
    """A value for the common keywords of a JSON schema, derived from ``noise``."""
    here = blake2b(noise + bytes([depth % 256]), digest_size=64).digest()
    if not isinstance(schema, dict):
        return random_sentence(here)
    if "const" in schema:
        return schema["const"]
    if schema.get("enum"):
        return schema["enum"][here[0] % len(schema["enum"])]
    for key in ("anyOf", "oneOf"):
        if schema.get(key):
            return random_instance(schema[key][0], here, depth + 1)
    kind = schema.get("type", "object" if "properties" in schema else "string")
    kind = kind[0] if isinstance(kind, list) else kind
    if kind == "object":
        return {
            name: random_instance(inner, here + replace_surrogates(name).encode(), depth + 1)
            for name, inner in schema.get("properties", {}).items()
        }
    if kind == "array":
        count = max(int(schema.get("minItems", 1)), min(2, int(schema.get("maxItems", 2))))
        inner = schema.get("items", {"type": "string"})
        return [random_instance(inner, here + bytes([i]), depth + 1) for i in range(count)]
    return _random_scalar(kind, schema, here)


def _random_scalar(kind: str, schema: dict[str, Json], noise: bytes) -> Json:
    if kind in ("integer", "number"):
        return _random_number(kind, schema, int.from_bytes(noise[:4]))
    if kind == "boolean":
        return noise[0] % 2 == 0
    return None if kind == "null" else random_sentence(noise)[: int(schema.get("maxLength", 200))]


def _random_number(kind: str, schema: dict[str, Json], noise: int) -> Json:
    """An integer within the schema's limits, or the number half way between them if there is
    none."""
    limits = {name: schema[name] for name in NUMBER_LIMITS if name in schema}
    lows = [math.ceil(limits["minimum"])] if "minimum" in limits else []
    lows += [math.floor(limits["exclusiveMinimum"]) + 1] if "exclusiveMinimum" in limits else []
    highs = [math.floor(limits["maximum"])] if "maximum" in limits else []
    highs += [math.ceil(limits["exclusiveMaximum"]) - 1] if "exclusiveMaximum" in limits else []
    low = max(lows, default=min([0, *highs]))
    high = min(highs, default=low + 100)
    if low > high and kind == "number":
        return float(sum(limits.values()) / len(limits))
    value = low + noise % max(1, high - low + 1)
    return float(value) if kind == "number" and abs(value) < 2**53 else value


@lru_cache(maxsize=65536)
def _hashed_words(text: str) -> NDArray[np.float32]:
    import re

    import numpy as np

    vector = np.zeros(VECTOR_SIZE, dtype=np.float32)
    for word in re.findall(r"\w+", text.lower()) or [text]:
        noise = blake2b(replace_surrogates(word).encode(), digest_size=8).digest()
        vector[noise[0] % VECTOR_SIZE] += 1.0 if noise[1] % 2 else -1.0
    length = float(np.linalg.norm(vector))
    if length == 0.0:
        vector[0] = length = 1.0
    vector /= length
    vector.flags.writeable = False
    return vector


@lru_cache(maxsize=65536)
def hashed_vectors(ask: Embed) -> Vectors:
    """Hashed bags of words (feature hashing), shape (n, 64): texts with common words have similar
    vectors."""
    import numpy as np

    rows = [_hashed_words(text) for text in ask.texts]
    array = np.stack(rows) if rows else np.zeros((0, VECTOR_SIZE), dtype=np.float32)
    return Vectors.of(array)


class ImprovisedModel:
    """A model without weights: each answer is a function of the ask and ``seed``.

    Its sentences are short and plausible, its probabilities arbitrary. Equal asks get equal
    answers on every machine, fast enough for simulations of many days.
    """

    @check_arguments
    def __init__(self, seed: int = 0) -> None:
        self._salt = seed.to_bytes(8, "little", signed=True)

    def client(self) -> InstantClient:
        return InstantClient(self._answer)

    def describe(self) -> dict[str, Json]:
        return {"name": "improvised", "seed": int.from_bytes(self._salt, "little", signed=True)}

    def _answer(self, ask: ModelAsk) -> Answer:
        if isinstance(ask, Embed):
            return hashed_vectors(ask)
        noise = ask_hash(ask, self._salt)
        if isinstance(ask, Choose):
            if not ask.options:
                return Failed(reason="refused", detail="a Choose needs at least one option")
            shares = random_distribution(noise[8:], len(ask.options))
            number = int.from_bytes(noise[:6]) / 2**48
            sampled = ask.temperature > 0
            index = sample_index(shares, number) if sampled else shares.index(max(shares))
            return Choice(index=index, probabilities=shares)
        if isinstance(ask, Rate):
            shares = random_distribution(noise, ask.high - ask.low + 1)
            value = sum(share * (ask.low + i) for i, share in enumerate(shares))
            return Rating(value=value, probabilities=shares)
        data = None if ask.schema is None else random_instance(ask.schema, noise)
        text = random_sentence(noise) if data is None else json.dumps(data, ensure_ascii=False)
        return Completion(text=text, data=data, tokens_out=len(text.split()))
