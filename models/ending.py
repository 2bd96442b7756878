"""How a number, or a string with a pattern, can end from where a grammar stands."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

MAX_LENGTH = 400
BEAM_WIDTH = 24
MAX_BRANCHES = 12
BYTE_ORDER = "0159aeAZ.-:@/T+_ 2346780bcdfxz"


class ScalarCompleter:
    """The tokens of one byte each, which every byte-level vocabulary has."""

    def __init__(self, table: Any, vocabulary: int, words: int) -> None:
        self._mask: NDArray[np.int32] = np.zeros(words, dtype=np.int32)
        self._tokens: dict[bytes, int] = {}
        for token in range(vocabulary):
            if not table.is_special_token(token):
                raw = table.decode_bytes([token])
                if len(raw) == 1:
                    self._tokens.setdefault(raw, token)
        order = dict.fromkeys(
            [c.encode() for c in BYTE_ORDER] + [bytes([i]) for i in range(32, 256)]
        )
        self._ordered_bytes = [
            (one, self._tokens[one]) for one in order if one in self._tokens and one not in b'"\\'
        ]
        self._quote_token = self._tokens.get(b'"', -1)
        self._stop_tokens = [
            [self._tokens[one]] for one in (b",", b"}", b"]") if one in self._tokens
        ]

    def shortest_ending(self, matcher: Any, first: bytes, string: bool) -> str | None:
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
        for _ in range(MAX_LENGTH):
            found: dict[bytes, tuple[Any, bytes]] = {}
            for state, text in layer:
                if string and state.validate_tokens([self._quote_token]):
                    return _decode_or_none(text + b'"')
                if not string and (
                    state.is_accepting() or any(map(state.validate_tokens, self._stop_tokens))
                ):
                    return _decode_or_none(text)
                for byte, token in self._next_bytes(state):
                    after = state.deep_copy()
                    after.consume_token(token)
                    if len(found) < BEAM_WIDTH:
                        found.setdefault(self._signature(after), (after, text + byte))
            layer = list(found.values())
            if not layer:
                return None
        return None

    def _signature(self, state: Any) -> bytes:
        state.unsafe_compute_mask_ptr(self._mask.ctypes.data, self._mask.nbytes)
        return self._mask.tobytes()

    def _next_bytes(self, state: Any) -> Iterator[tuple[bytes, int]]:
        """Some of the bytes allowed: few stand for many where many are. The mask does not
        say, for where text is forced it holds only the longest token of it."""
        count = 0
        for byte, token in self._ordered_bytes:
            if state.validate_tokens([token]):
                yield byte, token
                count += 1
                if count == MAX_BRANCHES:
                    return


def _decode_or_none(text: bytes) -> str | None:
    try:
        return text.decode()
    except UnicodeDecodeError:
        return None
