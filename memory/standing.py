"""What many recalls of one mind share: all but the cue's moment and its embedding."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .scene import RecallQuery, recency_valid_until

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..core import Cue
    from .memory import Memory
    from .rules import RuleSet
    from .scene import Mask
    from .shelf import MemoryIndex


@dataclass(frozen=True, slots=True)
class RecallCache:
    """A mind as cues find it: scores apart from likeness (``static_scores``),
    last access and importance (``columns``, shape (count, 2)) and their ``bounds`` over the
    candidates. For cues that admit everything it is kept with the shelf until something is
    written, and good for the moments from ``valid_from`` to before ``valid_until``."""

    rules: RuleSet
    shelf: MemoryIndex
    log_sizes: tuple[int, ...]
    mask: Mask | None
    trust: NDArray[np.float32] | None
    static_scores: NDArray[np.float32]
    columns: NDArray[np.float64]
    bounds: tuple[float, float, float, float]
    valid_from: float
    valid_until: float

    @classmethod
    def for_memory(
        cls, memory: Memory, cue: Cue, at: float, sizes: tuple[int, ...]
    ) -> RecallCache | None:
        """That of a memory whose logs of folds and documents are of these ``log_sizes``; None
        where its rules weigh the words of a cue or the order of access."""
        rules = memory.rules if not cue.rules else memory.rules_for(cue)
        shelf = memory.index
        whole = not (cue.kinds or cue.hearers) and cue.since is None and cue.before is None
        kept: RecallCache | None = shelf.derived.get("standing") if whole else None
        if kept is not None and kept.rules is rules and kept.log_sizes == sizes:
            if kept.valid_from <= at < kept.valid_until:
                return kept
        elif not _is_cacheable(rules):
            return None
        made = cls.compute(RecallQuery.for_cue(memory, cue, None, {}), sizes)
        if whole:
            shelf.derived["standing"] = made
        return made

    @classmethod
    def compute(cls, scene: RecallQuery, sizes: tuple[int, ...]) -> RecallCache:
        """Worked out anew."""
        ages, worths = scene.bounds()
        worth = scene.shelf.importance.array[: scene.count]
        return cls(
            rules=scene.rules,
            shelf=scene.shelf,
            log_sizes=sizes,
            mask=scene.mask,
            trust=scene.trust,
            static_scores=scene.static_scores(),
            columns=np.stack([scene.last_access, worth], axis=1),
            bounds=(*ages, *worths),
            valid_from=ages[1],
            valid_until=min(scene.shelf.earliest_expiry, recency_valid_until(ages[0], scene.rules)),
        )


def _is_cacheable(rules: RuleSet) -> bool:
    """Whether all but likeness is the same for every cue."""
    plain = rules.recency == "hours" and rules.listing == "written"
    return plain and rules.matching == "meaning" and not rules.successive
