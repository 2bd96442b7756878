"""JSON schemas as masks over the next token, by llguidance."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..core import Json


class SchemaFault(ValueError):
    """A JSON schema that cannot be turned into a grammar."""


class Grammars:
    """Makes matchers for one tokenizer; its table is built at the first use (about 1 s)."""

    def __init__(self, tokenizer: Any, vocabulary: int, end: int) -> None:
        self._tokenizer = tokenizer
        self._vocabulary = vocabulary
        self._end = end
        self._table: Any = None

    def matcher(self, schema: Json) -> Matcher:
        """A fresh matcher. Raises SchemaFault."""
        from llguidance import LLMatcher
        from llguidance.hf import from_tokenizer

        if not isinstance(schema, dict):
            raise SchemaFault(f"a schema must be an object, not {type(schema).__name__}")
        if self._table is None:
            self._table = from_tokenizer(self._tokenizer, self._vocabulary, self._end)
        # Without this a tiny model may write blanks until its limit.
        compact: Any = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}
        try:
            grammar = LLMatcher.grammar_from_json_schema(json.dumps(schema), compact)
        except ValueError as error:
            raise SchemaFault(str(error)) from error
        inner = LLMatcher(self._table, grammar, log_level=0)
        if inner.is_error():
            raise SchemaFault(inner.get_error())
        return Matcher(inner, self._end)


class Matcher:
    """The state of one row's grammar."""

    def __init__(self, inner: Any, end: int) -> None:
        self._inner = inner
        self._end = end

    def mask(self, logits: Tensor) -> None:
        """Set the logits (vocabulary,) of tokens that do not fit to minus infinity."""
        bits = np.frombuffer(self._inner.compute_bitmask(), dtype=np.uint8)
        allowed = np.unpackbits(bits, bitorder="little")[: logits.shape[0]].astype(bool)
        fits = torch.zeros(logits.shape[0], dtype=torch.bool)
        fits[: len(allowed)] = torch.from_numpy(allowed)
        logits.masked_fill_(~fits.to(logits.device), float("-inf"))

    def take(self, token: int) -> bool:
        """Go on by a token; whether the value is complete."""
        if token == self._end:
            return True
        self._inner.consume_token(token)
        return bool(self._inner.is_stopped())
