"""JSON schemas as masks over the next token, by llguidance."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ..core import Failed, Json
from .closing import Closer, Partial
from .ending import Alphabet
from .masks import mask_rows
from .narrowing import narrowed
from .schema import SchemaFault, check, expressible, plain
from .shapes import Shapes
from .tally import Tally

__all__ = ["Grammars", "Matcher", "SchemaFault", "mask_rows"]

KEPT = 256  # compiled schemas
SPLITS = 20_000  # texts whose tokens are remembered
RARE = 0.002  # of the probability: what is left for tokens that are not looked at
AFFECTED = 0.01  # of the probability, taken away by the nearness of the limit


@dataclass(frozen=True, slots=True)
class Compiled:
    """A schema as a grammar. ``shortest``: tokens of its shortest value; ``growth``: tokens
    by which one more token can lengthen what is needed to complete a value, about;
    ``traits``: what the grammar cannot see to by itself."""

    base: Any
    closer: Closer
    shortest: int
    growth: int
    traits: frozenset[str]


class Grammars:
    """Makes matchers for one tokenizer; its table is built at the first use (about 0.5 s).

    The grammar writes JSON on one line with ", " and ": " between: blanks of its own are
    what a tiny model writes until its limit.
    """

    def __init__(self, tokenizer: Any, vocabulary: int, end: int) -> None:
        self._tokenizer = tokenizer
        self.vocabulary = vocabulary
        self.end = end
        self.words = (vocabulary + 31) // 32
        self._table: Any = None
        self._alphabet: Alphabet | None = None
        self._compiled: OrderedDict[str, Compiled | SchemaFault] = OrderedDict()
        self._splits: dict[str, list[int]] = {}
        self._scalars: dict[str, str | None] = {}
        self.tally = Tally()
        self._bits: NDArray[np.int32] = np.zeros((0, self.words), dtype=np.int32)
        self._workers: Any = None

    def matcher(self, schema: Json, max_tokens: int | None = None) -> Matcher:
        """A fresh matcher that completes its value within ``max_tokens`` (None: whenever it
        does). Raises SchemaFault, with the reason "limit" where the shortest value known is
        longer than that."""
        compiled = self._get(schema)
        if max_tokens is not None and compiled.shortest > max_tokens:
            raise SchemaFault(
                f"the shortest value of the schema needs {compiled.shortest} tokens and "
                f"max_tokens is {max_tokens}; raise max_tokens",
                reason="limit",
            )
        return Matcher(self, compiled, max_tokens)

    @property
    def table(self) -> Any:
        """llguidance's view of the tokenizer."""
        if self._table is None:
            from llguidance.hf import from_tokenizer

            try:
                self._table = from_tokenizer(self._tokenizer, self.vocabulary, self.end)
            except ValueError as error:
                raise SchemaFault(
                    f"this model's tokenizer takes no grammar ({error}); use another model"
                ) from error
        return self._table

    @property
    def alphabet(self) -> Alphabet:
        """The tokens of one byte each."""
        if self._alphabet is None:
            self._alphabet = Alphabet(self.table, self.vocabulary, self.words)
        return self._alphabet

    def split(self, text: str) -> list[int]:
        """The tokens of a text."""
        if text not in self._splits:
            if len(self._splits) > SPLITS:
                self._splits.clear()
            self._splits[text] = self.table.tokenize_str(text)
        return self._splits[text]

    def cost(self, text: str) -> int:
        """How many tokens a text takes."""
        return len(self.split(text))

    def bits(self, rows: Sequence[Any]) -> NDArray[np.int32]:
        """The masks of llguidance's matchers, shape (rows, words): bit i of a row is token i."""
        if len(self._bits) < len(rows):
            self._bits = np.zeros((len(rows), self.words), dtype=np.int32)
        if len(rows) < 8:  # waking the workers costs more
            for place, inner in enumerate(rows):
                row = self._bits[place]
                inner.unsafe_compute_mask_ptr(row.ctypes.data, row.nbytes)
        else:
            from llguidance import LLExecutor

            self._workers = self._workers or LLExecutor()
            self._workers.unsafe_compute_mask_ptr(
                [(inner, place) for place, inner in enumerate(rows)],
                self._bits.ctypes.data,
                self.words * 4,
                len(self._bits),
            )
        return self._bits[: len(rows)]

    def _get(self, schema: Json) -> Compiled:
        # Not the canonical text: the order of properties is that of the answer.
        try:
            key = json.dumps(schema)
        except (TypeError, ValueError, RecursionError) as error:
            raise SchemaFault(f"a schema must be plain JSON: {error}; mend it") from error
        if key not in self._compiled:
            try:
                self._compiled[key] = self._compile(schema)
            except SchemaFault as error:
                self._compiled[key] = error
            if len(self._compiled) > KEPT:
                self._compiled.popitem(last=False)
        self._compiled.move_to_end(key)
        found = self._compiled[key]
        if isinstance(found, SchemaFault):
            raise SchemaFault(str(found), found.reason)
        return found

    def _compile(self, schema: Json) -> Compiled:
        check(schema)
        legal = expressible(plain(schema), lambda one: self._raw(one)[1])
        schema = narrowed(legal)
        base, message = self._raw(schema)
        if message:
            schema = legal
            base, _ = self._raw(schema)
        shapes = Shapes(schema, self.cost, self._scalar)
        least = self.split(shapes.root.shortest or "")
        proof = base.deep_copy()
        proven = proof.consume_tokens(least) and proof.is_accepting()
        return Compiled(
            base,
            Closer(shapes),
            shortest=len(least) if proven else 0,
            growth=shapes.growth(),
            traits=shapes.traits(),
        )

    def _raw(self, schema: Json) -> tuple[Any, str]:
        """llguidance's matcher of a schema, or what is wrong with it."""
        from llguidance import LLMatcher

        text = json.dumps(schema, ensure_ascii=False)
        # Escapes for control characters, NUL among them, only where the schema has some.
        escapes = 'nrbtf\\"' + ("u" if "\\u00" in text or "\x7f" in text else "")
        options: Any = {
            "whitespace_flexible": False,
            "item_separator": ", ",
            "key_separator": ": ",
            "json_allowed_escapes": escapes,
        }
        try:
            made = LLMatcher(
                self.table, LLMatcher.grammar_from_json_schema(text, None, options), log_level=0
            )
        except ValueError as error:
            return None, str(error)
        warnings = made.get_grammar_warnings()
        return made, made.get_error() if made.is_error() else "; ".join(warnings)

    def _scalar(self, schema: Json) -> str | None:
        """The shortest text found of a number, or of a string with a pattern or a format."""
        key = json.dumps(schema)
        if key not in self._scalars:
            made, message = self._raw(schema)
            found = None
            if not message and schema["type"] == "string":
                end = self.alphabet.ending(made, b'"', string=True)
                found = None if end is None else f'"{end}'
            elif not message:
                found = self.alphabet.ending(made, b"", string=False)
            self._scalars[key] = found
        return self._scalars[key]


class Matcher:
    """The state of one row's grammar.

    Where the grammar forces text, only the tokens that the tokenizer itself would make of
    that text are allowed (all splits of it say the same; a model has learnt this one), so
    that jumping over them gives the very tokens that single steps give.

    With a limit, a token is allowed only if the value can still be completed within it. As
    long as there is room this excludes nothing and is not even looked at.
    """

    def __init__(self, home: Grammars, compiled: Compiled, limit: int | None) -> None:
        self.home = home
        self.inner = compiled.base.deep_copy()
        self.tokens: list[int] = []
        self.steered = False
        self._compiled = compiled
        self._limit = limit
        self._ended = False
        self._astray = False
        self._forced: list[int] | None = None
        self._begun = Partial()
        self._fed = 0
        self._room = 0 if limit is None else limit - compiled.shortest
        self._seen = 0

    @property
    def finished(self) -> bool:
        """Whether nothing more can or may be written."""
        full = self._limit is not None and len(self.tokens) >= self._limit
        return self._ended or full or bool(self.inner.is_stopped())

    @property
    def complete(self) -> bool:
        """Whether what is written is a value of the schema."""
        return not self.inner.is_error() and bool(self.inner.is_accepting())

    def forced(self) -> list[int]:
        """The tokens that single steps would be forced to from here; [] where there is a
        choice. The caller hands each of them to ``take``."""
        if self._forced is None:
            self._forced = [] if self.finished else list(self.inner.compute_ff_tokens())
            if self._forced and (self._compiled.traits or self._tight()):
                self._forced = self._forced if self._fits(self._forced) else []
        return list(self._forced)

    def take(self, token: int) -> bool:
        """Go on by a token; whether the row is finished."""
        if token == self.home.end:
            self._ended = True
            return True
        waiting = self._forced or []
        forced = waiting[:1] == [token]
        self.home.tally.tokens += 1
        self.home.tally.forced += forced
        self._forced = (waiting[1:] or None) if forced else None
        self.tokens.append(token)
        self.inner.consume_token(token)
        return self.finished

    def outcome(self) -> tuple[str, Json] | Failed:
        """The text written and its value; Failed with the reason "limit" where it is not
        complete, "engine" where the grammar engine gave up."""
        text = self.home.table.decode_bytes(self.tokens).decode(errors="replace")
        if self.inner.is_error():
            return Failed(reason="engine", detail=f"grammar: {self.inner.get_error()}")
        if self._astray or self._feed().doubled:
            return Failed(reason="schema", detail=f"no value of the schema begins so: {text!r}")
        if not self.complete:
            return Failed(
                reason="limit",
                detail=f"the JSON was not complete after {len(self.tokens)} tokens: "
                f"{text[-80:]!r}; raise max_tokens",
            )
        return text, json.loads(text)

    def mask(self, logits: Tensor) -> None:
        """Set the logits (vocabulary,) of tokens that do not fit to minus infinity."""
        mask_rows(logits.unsqueeze(0), [(0, self)])

    def watched(self) -> bool:
        """Whether tokens must be looked at one by one here."""
        traits = self._compiled.traits
        if traits:
            begun = self._feed()
            text = begun.pending.startswith('"')
            if (
                ("names" in traits and begun.state in ("{open", "{comma", "{done"))
                or ("unique" in traits and begun.in_array)
                or ("step" in traits and not text)
            ):
                return True
        return self._tight()

    def choose(self, allowed: NDArray[np.int64], shares: NDArray[np.float64]) -> NDArray[np.int64]:
        """Those of ``allowed`` (n,), the likeliest tokens first, after which the value can be
        completed and nothing is named twice. ``shares`` (n,) are their probabilities; what
        hardly ever comes is not looked at, and not kept."""
        near = self._tight() or bool(self._compiled.traits - {"names"})
        good: list[int] = []
        lost = 0.0
        left = 1.0
        for token, share in zip(allowed.tolist(), shares.tolist()):
            if good and left < RARE:
                break
            left -= share
            if self._good(token, near):
                good.append(token)
            else:
                lost += share
        if not good:
            witness = self._closing(self.inner, self._feed())
            # What "names" stands for shows by itself, in ``doubled``.
            self._astray = not witness and bool(self._compiled.traits - {"names"})
            self._forced = witness or None
            self._steer()
            return np.array(witness[:1], dtype=np.int64) if witness else allowed
        self._astray &= not near
        if lost > AFFECTED and self._tight():
            self._steer()
        return np.array(good, dtype=np.int64)

    def _good(self, token: int, near: bool) -> bool:
        """Whether a token may be taken. ``near``: more than names written twice is at stake."""
        if not near and b'"' not in self.home.table.decode_bytes([token]):
            return True
        return self._fits([token])

    def _steer(self) -> None:
        self.home.tally.steered += not self.steered
        self.steered = True

    def _tight(self) -> bool:
        """Whether one more token might lead to where the limit is too near."""
        if self._limit is None:
            return False
        step = self._compiled.growth + 1
        if self._room - step * (len(self.tokens) - self._seen) <= step:
            witness = self._closing(self.inner, self._feed())
            self._seen = len(self.tokens)
            left = self._limit - self._seen
            self._room = left - len(witness) if witness is not None else 0
        return self._room - step * (len(self.tokens) - self._seen) <= step

    def _fits(self, more: Sequence[int]) -> bool:
        """Whether the value can be completed within the limit after these tokens."""
        if more[0] == self.home.end:
            return self.complete
        inner, begun = self.inner.deep_copy(), self._feed().copy()
        if not inner.consume_tokens(list(more)):
            return False
        begun.feed(self.home.table.decode_bytes(list(more)))
        if begun.doubled:
            return False
        if self._limit is None and self._compiled.traits <= {"names"}:
            return True
        witness = self._closing(inner, begun)
        used = len(self.tokens) + len(more)
        return witness is not None and (self._limit is None or used + len(witness) <= self._limit)

    def _closing(self, inner: Any, begun: Partial) -> list[int] | None:
        """The tokens that complete the value, proven by the grammar itself."""
        string = begun.pending.startswith('"')

        def ending(first: bytes) -> str | None:
            return self.home.alphabet.ending(inner, first, string)

        rest = self._compiled.closer.rest(begun, ending)
        if rest is None:
            return None
        tokens = self._split(rest)
        proof = inner.deep_copy()
        fits = not tokens or proof.consume_tokens(tokens)
        return tokens if fits and proof.is_accepting() else None

    def _split(self, rest: bytes) -> list[int]:
        try:
            return self.home.split(rest.decode())
        except UnicodeDecodeError:  # it begins within a character
            tokens: list[int] = self.home.table.tokenize_bytes(rest)
            return tokens

    def _feed(self) -> Partial:
        if self._fed < len(self.tokens):
            self._begun.feed(self.home.table.decode_bytes(self.tokens[self._fed :]))
            self._fed = len(self.tokens)
        return self._begun
