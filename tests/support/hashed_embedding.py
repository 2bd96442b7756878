"""A text embedding without a model."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def embed_letters(texts: Sequence[str]) -> NDArray[np.float32]:
    """Which words come, hashed to places that stay; shape (n, 64), rows of length 1."""
    rows = np.zeros((len(texts), 64), np.float32)
    for row, text in zip(rows, texts):
        for word in text.lower().replace(".", "").replace("?", "").split():
            row[sum(map(ord, word)) * 7 % 64] += 1
    rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)
    return rows
