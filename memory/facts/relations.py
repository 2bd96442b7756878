"""Relations by example: sentences that state them, kinds of objects, and similarity of texts."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ...core.text import MONTH_NAMES, WEEKDAY_NAMES

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

EXAMPLES_FILE = Path(__file__).parent / "relation_examples.json"
_CALENDAR = {*MONTH_NAMES, *WEEKDAY_NAMES}
# A capitalised word that does not begin a sentence.
_INNER_CAPITAL = re.compile(r"(?<![.!?:\"“] )(?<!^)(?<![\"“])\b[A-Z][a-z]\w*")


@dataclass(frozen=True, slots=True)
class RelationExamples:
    """The kind of a relation's objects, and sentences that state the relation or ask for it."""

    object: Literal["name", "number", "plain", "any"]
    sentences: tuple[str, ...]


@cache
def relation_examples() -> dict[str, RelationExamples]:
    """Examples by relation; the empty name stands for no known relation."""
    examples = json.loads(EXAMPLES_FILE.read_text(encoding="utf-8"))
    return {
        name: RelationExamples(entry["object"], tuple(entry["sentences"]))
        for name, entry in examples.items()
    }


def lacks_object_kind(text: str, objects: Sequence[str]) -> list[bool]:
    """For each kind of object ("name", "number", "plain", "any") whether a masked text contains no
    such object.

    >>> lacks_object_kind("someone went to Porto.", ["name", "number", "plain", "any"])
    [False, True, True, False]
    """
    named = any(word not in _CALENDAR for word in _INNER_CAPITAL.findall(text))
    numbered = any(sign.isdigit() for sign in text)
    lacks = {"name": not named, "number": not numbered, "plain": named or numbered, "any": False}
    return [lacks[kind] for kind in objects]


def relation_similarity(
    vectors: NDArray[np.float32], groups: Sequence[NDArray[np.float32]]
) -> NDArray[np.float64]:
    """Similarity of n unit vectors to each relation, shape (n, relations): the mean cosine to the
    two nearest example sentences. ``groups`` holds each relation's examples, shape (examples, d).
    """
    import numpy as np

    return np.stack(
        [np.sort(vectors @ group.T, axis=1)[:, -2:].mean(axis=1) for group in groups], axis=1
    ).astype(np.float64)


def mask_name(text: str, name: str) -> str:
    """The text with a name replaced by "someone", so that its embedding depends on the statement.

    >>> mask_name("Ada Pell moved, and Ada's cat too.", "Ada Pell")
    "someone moved, and someone's cat too."
    """
    if not name:
        return text
    for part in (name, name.split()[0], name.split()[-1]):
        text = re.sub(rf"\b{re.escape(part)}\b", "someone", text)
    return text
