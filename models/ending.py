"""How a number, or a string with a pattern, can end from where a grammar stands."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

LAYERS = 400
WIDTH = 24
ORDER = "0159aeAZ.-:@/T+_ 2346780bcdfxz"


class Alphabet:
    """The tokens of one byte each, which every byte-level vocabulary has."""

    def __init__(self, table: Any, vocabulary: int, words: int) -> None:
        self._bits: NDArray[np.int32] = np.zeros(words, dtype=np.int32)
        self._tokens: dict[bytes, int] = {}
        for token in range(vocabulary):
            if not table.is_special_token(token):
                raw = table.decode_bytes([token])
                if len(raw) == 1:
                    self._tokens.setdefault(raw, token)
        order = [c.encode() for c in ORDER] + [bytes([i]) for i in range(32, 256)]
        self._order = [one for one in dict.fromkeys(order) if one in self._tokens]
        self._ids = np.array([self._tokens[one] for one in self._order], dtype=np.int64)
        self._quote = self._tokens.get(b'"', -1)
        self._stops = [self._tokens[one] for one in (b",", b"}", b"]") if one in self._tokens]

    def ending(self, matcher: Any, first: bytes, string: bool) -> str | None:
        """The shortest text, in characters, after which the scalar that is being written may
        end, once ``first`` is written too (a string's closing quote is part of it); None where
        the search finds none.

        Breadth first over single bytes. Of the states that one more byte leads to only one
        is kept for each set of bytes allowed next, so the text may not be the very shortest.
        """
        start = matcher.deep_copy()
        for one in first:
            start.consume_token(self._tokens.get(bytes([one]), -1))
        if start.is_error():
            return None
        layer = [(start, b"")]
        for _ in range(LAYERS):
            found: dict[bytes, tuple[Any, bytes]] = {}
            for state, text in layer:
                bits = self._allowed(state)
                if string and _has(bits, self._quote):
                    return _readable(text + b'"')
                if not string and (
                    state.is_accepting() or any(_has(bits, stop) for stop in self._stops)
                ):
                    return _readable(text)
                for byte, token in self._choices(bits):
                    after = state.deep_copy()
                    if after.consume_token(token) and len(found) < WIDTH:
                        found.setdefault(self._allowed(after).tobytes(), (after, text + byte))
            layer = list(found.values())
        return None

    def _allowed(self, matcher: Any) -> NDArray[np.int32]:
        matcher.unsafe_compute_mask_ptr(self._bits.ctypes.data, self._bits.nbytes)
        return self._bits

    def _choices(self, bits: NDArray[np.int32]) -> Iterator[tuple[bytes, int]]:
        """Some of the bytes allowed: few stand for many where many are."""
        allowed = np.flatnonzero(bits[self._ids >> 5] >> (self._ids & 31) & 1)
        few = allowed if len(allowed) <= 12 else allowed[:12]
        for place in few.tolist():
            if self._order[place] not in (b'"', b"\\"):
                yield self._order[place], int(self._ids[place])


def _has(bits: NDArray[np.int32], token: int) -> bool:
    return token >= 0 and bool(bits[token >> 5] >> (token & 31) & 1)


def _readable(text: bytes) -> str | None:
    try:
        return text.decode()
    except UnicodeDecodeError:
        return None
