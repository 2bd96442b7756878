"""What many recalls of one mind share: all but the cue's moment and its embedding."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .scene import Scene, steady_until

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..core import Cue
    from .memory import Memory
    from .rules import RuleSet
    from .scene import Mask
    from .shelf import Shelf


@dataclass(frozen=True, slots=True)
class Standing:
    """A mind as cues find it: scores apart from likeness (``own``),
    last access and importance (``columns``, shape (count, 2)) and their ``bounds`` over the
    candidates. For cues that admit everything it is kept with the shelf until something is
    written, and good for the moments from ``begin`` to before ``end``."""

    rules: RuleSet
    shelf: Shelf
    sizes: tuple[int, ...]
    mask: Mask | None
    trust: NDArray[np.float32] | None
    own: NDArray[np.float32]
    columns: NDArray[np.float64]
    bounds: tuple[float, float, float, float]
    begin: float
    end: float

    @classmethod
    def of(cls, memory: Memory, cue: Cue, at: float, sizes: tuple[int, ...]) -> Standing | None:
        """That of a memory whose logs of folds and documents are of these ``sizes``; None
        where its rules weigh the words of a cue or the order of access."""
        rules = memory.rules if not cue.rules else memory.rules_for(cue)
        shelf = memory.shelf
        whole = not (cue.kinds or cue.hearers) and cue.since is None and cue.before is None
        kept: Standing | None = shelf.memo.get("standing") if whole else None
        if kept is not None and kept.rules is rules and kept.sizes == sizes:
            if kept.begin <= at < kept.end:
                return kept
        elif not _shares(rules):
            return None
        made = cls.fresh(Scene.of(memory, cue, None, {}), sizes)
        if whole:
            shelf.memo["standing"] = made
        return made

    @classmethod
    def fresh(cls, scene: Scene, sizes: tuple[int, ...]) -> Standing:
        """Worked out anew."""
        ages, worths = scene.bounds()
        worth = scene.shelf.importance.array[: scene.count]
        return cls(
            rules=scene.rules,
            shelf=scene.shelf,
            sizes=sizes,
            mask=scene.mask,
            trust=scene.trust,
            own=scene.own(),
            columns=np.stack([scene.last, worth], axis=1),
            bounds=(*ages, *worths),
            begin=ages[1],
            end=min(scene.shelf.first_end, steady_until(ages[0], scene.rules)),
        )


def _shares(rules: RuleSet) -> bool:
    """Whether all but likeness is the same for every cue."""
    plain = rules.recency == "hours" and rules.listing == "written"
    return plain and rules.matching == "meaning" and not rules.successive
