"""What grammars cost and spared, added up."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class GrammarStats:
    """What all matchers took: tokens, those of them that were forced, and the matchers that
    the nearness of the limit made close."""

    tokens: int = 0
    forced: int = 0
    steered: int = 0
