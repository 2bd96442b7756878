"""What is typical of a relation: sentences that state it, and the sort of its objects."""

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
# A capital that does not open a sentence.
_INNER = re.compile(r"(?<![.!?:\"“] )(?<!^)(?<![\"“])\b[A-Z][a-z]\w*")


@dataclass(frozen=True, slots=True)
class RelationExamples:
    """What is typical of a relation: the sort of its objects, and sentences that state it or
    ask for it."""

    object: Literal["name", "number", "plain", "any"]
    sentences: tuple[str, ...]


@cache
def relation_examples() -> dict[str, RelationExamples]:
    """For each relation (the empty name: none of them) what is typical of it."""
    found = json.loads(EXAMPLES_FILE.read_text(encoding="utf-8"))
    return {
        name: RelationExamples(each["object"], tuple(each["sentences"]))
        for name, each in found.items()
    }


def lacks_object_kind(text: str, objects: Sequence[str]) -> list[bool]:
    """For each sort of object (a name, a number, plain words, any) whether a masked text
    holds none.

    >>> lacks_object_kind("someone went to Porto.", ["name", "number", "plain", "any"])
    [False, True, True, False]
    """
    named = any(word not in _CALENDAR for word in _INNER.findall(text))
    numbered = any(sign.isdigit() for sign in text)
    lacks = {"name": not named, "number": not numbered, "plain": named or numbered, "any": False}
    return [lacks[each] for each in objects]


def relation_similarity(
    vectors: NDArray[np.float32], groups: Sequence[NDArray[np.float32]]
) -> NDArray[np.float64]:
    """Likeness to each relation, shape (n, relations): mean of the best two sentences."""
    import numpy as np

    return np.stack(
        [np.sort(vectors @ each.T, axis=1)[:, -2:].mean(axis=1) for each in groups], axis=1
    ).astype(np.float64)


def mask_name(text: str, name: str) -> str:
    """A text with a name left out, so that its likeness is about what is said of it.

    >>> mask_name("Ada Pell moved, and Ada's cat too.", "Ada Pell")
    "someone moved, and someone's cat too."
    """
    if not name:
        return text
    for each in (name, name.split()[0], name.split()[-1]):
        text = re.sub(rf"\b{re.escape(each)}\b", "someone", text)
    return text
