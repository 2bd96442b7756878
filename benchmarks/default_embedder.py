"""The packaged embedder by itself, for what is measured without a language model."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..memory import EmbedFunction


def packaged_embedder() -> EmbedFunction:
    """The packaged MiniLM on the processor: texts to rows of shape (n, 384), of length 1."""
    from ..models import load_embedder

    return load_embedder().vectors
