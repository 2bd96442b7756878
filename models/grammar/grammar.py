"""What grammars cost and spared, added up.

JSON schemas as masks over the next token, by llguidance.

Masks of one bit a token, laid on logits.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...core import Failed, Json
from .completion import JsonCompleter, PartialJson, ScalarCompleter
from .schema import SchemaError, check_schema, drop_unsupported, normalize_schema, restrict_schema
from .schema_ir import SchemaIR


@dataclass(slots=True)
class GrammarStats:
    """What all matchers took: tokens, those of them that were forced, and the matchers that
    the nearness of the limit made close."""

    tokens: int = 0
    forced: int = 0
    steered: int = 0


__all__ = ["GrammarCompiler", "GrammarMatcher", "SchemaError", "apply_grammar_masks"]

MAX_COMPILED = 256  # compiled schemas
MAX_TOKENIZED = 20_000  # texts whose tokens are remembered
IGNORED_MASS = 0.002  # of the probability: what is left for tokens that are not looked at
STEERED_MASS = 0.01  # of the probability, taken away by the nearness of the limit


@dataclass(frozen=True, slots=True)
class CompiledGrammar:
    """A schema as a grammar. ``min_tokens``: tokens of its shortest value; ``max_growth``: tokens
    by which one more token can lengthen what is needed to complete a value, about;
    ``unenforced``: what the grammar cannot see to by itself."""

    matcher: Any
    completer: JsonCompleter
    min_tokens: int
    max_growth: int
    unenforced: frozenset[str]


class GrammarCompiler:
    """Makes matchers for one tokenizer; its table is built at the first use (about 0.5 s).

    The grammar writes JSON on one line with ", " and ": " between: blanks of its own are
    what a tiny model writes until its limit.
    """

    def __init__(self, tokenizer: Any, vocabulary: int, end: int) -> None:
        self._tokenizer = tokenizer
        self.vocab_size = vocabulary
        self.end_token = end
        self.mask_width = (vocabulary + 31) // 32
        self._table: Any = None
        self._scalar_completer: ScalarCompleter | None = None
        self._compiled: OrderedDict[str, CompiledGrammar | SchemaError] = OrderedDict()
        self._tokenized: dict[str, list[int]] = {}
        self._shortest_scalars: dict[str, str | None] = {}
        self.stats = GrammarStats()
        self._mask_buffer: NDArray[np.int32] = np.zeros((0, self.mask_width), dtype=np.int32)
        self._executor: Any = None

    def matcher(self, schema: Json, max_tokens: int | None = None) -> GrammarMatcher:
        """A fresh matcher that completes its value within ``max_tokens`` (None: whenever it
        does). Raises SchemaError, with the reason "limit" where the shortest value known is
        longer than that."""
        compiled = self._compiled_schema(schema)
        if max_tokens is not None and compiled.min_tokens > max_tokens:
            raise SchemaError(
                f"the shortest value of the schema needs {compiled.min_tokens} tokens and "
                f"max_tokens is {max_tokens}; raise max_tokens",
                reason="limit",
            )
        return GrammarMatcher(self, compiled, max_tokens)

    @property
    def table(self) -> Any:
        """llguidance's view of the tokenizer."""
        if self._table is None:
            from llguidance.hf import from_tokenizer

            try:
                self._table = from_tokenizer(self._tokenizer, self.vocab_size, self.end_token)
            except ValueError as error:
                raise SchemaError(
                    f"this model's tokenizer takes no grammar ({error}); use another model"
                ) from error
        return self._table

    @property
    def scalar_completer(self) -> ScalarCompleter:
        """The tokens of one byte each."""
        if self._scalar_completer is None:
            self._scalar_completer = ScalarCompleter(self.table, self.vocab_size, self.mask_width)
        return self._scalar_completer

    def tokenize(self, text: str) -> list[int]:
        """The tokens of a text."""
        if text not in self._tokenized:
            if len(self._tokenized) > MAX_TOKENIZED:
                self._tokenized.clear()
            self._tokenized[text] = self.table.tokenize_str(text)
        return self._tokenized[text]

    def token_count(self, text: str) -> int:
        """How many tokens a text takes."""
        return len(self.tokenize(text))

    def compute_masks(self, rows: Sequence[Any]) -> NDArray[np.int32]:
        """The masks of llguidance's matchers, shape (rows, words): bit i of a row is token i."""
        if len(self._mask_buffer) < len(rows):
            self._mask_buffer = np.zeros((len(rows), self.mask_width), dtype=np.int32)
        if len(rows) < 8:  # waking the workers costs more
            for place, inner in enumerate(rows):
                row = self._mask_buffer[place]
                inner.unsafe_compute_mask_ptr(row.ctypes.data, row.nbytes)
        else:
            from llguidance import LLExecutor

            self._executor = self._executor or LLExecutor()
            self._executor.unsafe_compute_mask_ptr(
                [(inner, place) for place, inner in enumerate(rows)],
                self._mask_buffer.ctypes.data,
                self.mask_width * 4,
                len(self._mask_buffer),
            )
        return self._mask_buffer[: len(rows)]

    def _compiled_schema(self, schema: Json) -> CompiledGrammar:
        # Not the canonical text: the order of properties is that of the answer.
        try:
            key = json.dumps(schema)
        except (TypeError, ValueError, RecursionError) as error:
            raise SchemaError(f"a schema must be plain JSON: {error}; mend it") from error
        if key not in self._compiled:
            try:
                self._compiled[key] = self._compile(schema)
            except SchemaError as error:
                self._compiled[key] = error
            if len(self._compiled) > MAX_COMPILED:
                self._compiled.popitem(last=False)
        self._compiled.move_to_end(key)
        found = self._compiled[key]
        if isinstance(found, SchemaError):
            raise SchemaError(str(found), found.reason)
        return found

    def _compile(self, schema: Json) -> CompiledGrammar:
        check_schema(schema)
        legal = drop_unsupported(normalize_schema(schema), lambda one: self._compile_raw(one)[1])
        schema = restrict_schema(legal)
        base, message = self._compile_raw(schema)
        if message:
            schema = legal
            base, _ = self._compile_raw(schema)
        shapes = SchemaIR(schema, self.token_count, self._shortest_scalar)
        least = self.tokenize(shapes.root.shortest or "")
        proof = base.deep_copy()
        proven = proof.consume_tokens(least) and proof.is_accepting()
        return CompiledGrammar(
            base,
            JsonCompleter(shapes),
            min_tokens=len(least) if proven else 0,
            max_growth=shapes.max_growth(),
            unenforced=shapes.unenforced(),
        )

    def _compile_raw(self, schema: Json) -> tuple[Any, str]:
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

    def _shortest_scalar(self, schema: Json) -> str | None:
        """The shortest text found of a number, or of a string with a pattern or a format."""
        key = json.dumps(schema)
        if key not in self._shortest_scalars:
            made, message = self._compile_raw(schema)
            found = None
            if not message and schema["type"] == "string":
                end = self.scalar_completer.shortest_ending(made, b'"', string=True)
                found = None if end is None else f'"{end}'
            elif not message:
                found = self.scalar_completer.shortest_ending(made, b"", string=False)
            self._shortest_scalars[key] = found
        return self._shortest_scalars[key]


class GrammarMatcher:
    """The state of one row's grammar.

    Where the grammar forces text, only the tokens that the tokenizer itself would make of
    that text are allowed (all splits of it say the same; a model has learnt this one), so
    that jumping over them gives the very tokens that single steps give.

    With a limit, a token is allowed only if the value can still be completed within it. As
    long as there is room this excludes nothing and is not even looked at.
    """

    def __init__(self, home: GrammarCompiler, compiled: CompiledGrammar, limit: int | None) -> None:
        self.compiler = home
        self.ll_matcher = compiled.matcher.deep_copy()
        self.tokens: list[int] = []
        self.steered = False
        self._compiled = compiled
        self._limit = limit
        self._ended = False
        self._invalid = False
        self._forced_tokens: list[int] | None = None
        self._partial = PartialJson()
        self._parsed_count = 0
        self._slack = 0 if limit is None else limit - compiled.min_tokens
        self._slack_at = 0

    @property
    def finished(self) -> bool:
        """Whether nothing more can or may be written."""
        full = self._limit is not None and len(self.tokens) >= self._limit
        return self._ended or full or bool(self.ll_matcher.is_stopped())

    @property
    def complete(self) -> bool:
        """Whether what is written is a value of the schema."""
        return not self.ll_matcher.is_error() and bool(self.ll_matcher.is_accepting())

    def forced_tokens(self) -> list[int]:
        """The tokens that single steps would be forced to from here; [] where there is a
        choice. The caller hands each of them to ``accept_token``."""
        if self._forced_tokens is None:
            self._forced_tokens = [] if self.finished else list(self.ll_matcher.compute_ff_tokens())
            if self._forced_tokens and (self._compiled.unenforced or self._near_limit()):
                self._forced_tokens = (
                    self._forced_tokens if self._can_complete(self._forced_tokens) else []
                )
        return list(self._forced_tokens)

    def accept_token(self, token: int) -> bool:
        """Go on by a token; whether the row is finished."""
        if token == self.compiler.end_token:
            self._ended = True
            return True
        waiting = self._forced_tokens or []
        forced = waiting[:1] == [token]
        self.compiler.stats.tokens += 1
        self.compiler.stats.forced += forced
        self._forced_tokens = (waiting[1:] or None) if forced else None
        self.tokens.append(token)
        self.ll_matcher.consume_token(token)
        return self.finished

    def result(self) -> tuple[str, Json] | Failed:
        """The text written and its value; Failed with the reason "limit" where it is not
        complete, "engine" where the grammar engine gave up."""
        text = self.compiler.table.decode_bytes(self.tokens).decode(errors="replace")
        if self.ll_matcher.is_error():
            return Failed(reason="engine", detail=f"grammar: {self.ll_matcher.get_error()}")
        if self._invalid or self._parse_tokens().duplicate_key:
            return Failed(reason="schema", detail=f"no value of the schema begins so: {text!r}")
        if not self.complete:
            return Failed(
                reason="limit",
                detail=f"the JSON was not complete after {len(self.tokens)} tokens: "
                f"{text[-80:]!r}; raise max_tokens",
            )
        return text, json.loads(text)

    def apply_mask(self, logits: Tensor) -> None:
        """Set the logits (vocabulary,) of tokens that do not fit to minus infinity."""
        apply_grammar_masks(logits.unsqueeze(0), [(0, self)])

    def needs_token_check(self) -> bool:
        """Whether tokens must be looked at one by one here."""
        traits = self._compiled.unenforced
        if traits:
            begun = self._parse_tokens()
            text = begun.pending.startswith('"')
            if (
                ("names" in traits and begun.state in ("{open", "{comma", "{done"))
                or ("unique" in traits and begun.in_array)
                or ("step" in traits and not text)
            ):
                return True
        return self._near_limit()

    def valid_tokens(
        self, allowed: NDArray[np.int64], shares: NDArray[np.float64]
    ) -> NDArray[np.int64]:
        """Those of ``allowed`` (n,), the likeliest tokens first, after which the value can be
        completed and nothing is named twice. ``shares`` (n,) are their probabilities; what
        hardly ever comes is not looked at, and not kept."""
        near = self._near_limit() or bool(self._compiled.unenforced - {"names"})
        good: list[int] = []
        lost = 0.0
        left = 1.0
        for token, share in zip(allowed.tolist(), shares.tolist()):
            if good and left < IGNORED_MASS:
                break
            left -= share
            if self._is_allowed(token, near):
                good.append(token)
            else:
                lost += share
        if not good:
            witness = self._shortest_completion(self.ll_matcher, self._parse_tokens())
            # What "names" stands for shows by itself, in ``duplicate_key``.
            self._invalid = not witness and bool(self._compiled.unenforced - {"names"})
            self._forced_tokens = witness or None
            self._mark_steered()
            return np.array(witness[:1], dtype=np.int64) if witness else allowed
        self._invalid &= not near
        if lost > STEERED_MASS and self._near_limit():
            self._mark_steered()
        return np.array(good, dtype=np.int64)

    def _is_allowed(self, token: int, near: bool) -> bool:
        """Whether a token may be taken. ``near``: more than names written twice is at stake."""
        if not near and b'"' not in self.compiler.table.decode_bytes([token]):
            return True
        return self._can_complete([token])

    def _mark_steered(self) -> None:
        self.compiler.stats.steered += not self.steered
        self.steered = True

    def _near_limit(self) -> bool:
        """Whether one more token might lead to where the limit is too near."""
        if self._limit is None:
            return False
        step = self._compiled.max_growth + 1
        if self._slack - step * (len(self.tokens) - self._slack_at) <= step:
            witness = self._shortest_completion(self.ll_matcher, self._parse_tokens())
            self._slack_at = len(self.tokens)
            left = self._limit - self._slack_at
            self._slack = left - len(witness) if witness is not None else 0
        return self._slack - step * (len(self.tokens) - self._slack_at) <= step

    def _can_complete(self, more: Sequence[int]) -> bool:
        """Whether the value can be completed within the limit after these tokens."""
        if more[0] == self.compiler.end_token:
            return self.complete
        inner, begun = self.ll_matcher.deep_copy(), self._parse_tokens().copy()
        if not inner.consume_tokens(list(more)):
            return False
        begun.feed(self.compiler.table.decode_bytes(list(more)))
        if begun.duplicate_key:
            return False
        if self._limit is None and self._compiled.unenforced <= {"names"}:
            return True
        witness = self._shortest_completion(inner, begun)
        used = len(self.tokens) + len(more)
        return witness is not None and (self._limit is None or used + len(witness) <= self._limit)

    def _shortest_completion(self, inner: Any, begun: PartialJson) -> list[int] | None:
        """The tokens that complete the value, proven by the grammar itself."""
        string = begun.pending.startswith('"')

        def ending(first: bytes) -> str | None:
            return self.compiler.scalar_completer.shortest_ending(inner, first, string)

        rest = self._compiled.completer.shortest_completion(begun, ending)
        if rest is None:
            return None
        tokens = self._tokenize(rest)
        proof = inner.deep_copy()
        fits = not tokens or proof.consume_tokens(tokens)
        return tokens if fits and proof.is_accepting() else None

    def _tokenize(self, rest: bytes) -> list[int]:
        try:
            return self.compiler.tokenize(rest.decode())
        except UnicodeDecodeError:  # it begins within a character
            tokens: list[int] = self.compiler.table.tokenize_bytes(rest)
            return tokens

    def _parse_tokens(self) -> PartialJson:
        if self._parsed_count < len(self.tokens):
            self._partial.feed(self.compiler.table.decode_bytes(self.tokens[self._parsed_count :]))
            self._parsed_count = len(self.tokens)
        return self._partial


MAX_CHECKED_TOKENS = 32  # of the likeliest tokens, those looked at one by one where it matters


def set_bits(bits: NDArray[np.int32]) -> NDArray[np.int64]:
    """The numbers of the bits set in ``compute_masks`` (words,), rising.

    >>> set_bits(np.array([5, 1], dtype=np.int32)).tolist()
    [0, 2, 32]
    """
    return np.flatnonzero(np.unpackbits(bits.view(np.uint8), bitorder="little"))


def keep_only(row: Tensor, ids: NDArray[np.int64]) -> None:
    """Set all of ``row`` (vocabulary,) to minus infinity, but the tokens ``ids``."""
    there = torch.from_numpy(ids).to(row.device)
    values = row[there]
    row.fill_(float("-inf"))
    row[there] = values


def apply_bitmask(logits: Tensor, bits: NDArray[np.int32], rows: Sequence[tuple[int, int]]) -> None:
    """Lay masks on ``logits`` (n, vocabulary): ``rows`` are (row of the logits, row of
    ``compute_masks``). Boolean masks of whole rows cost ten times more on a processor than touching
    the few tokens allowed, or forbidden."""
    if not rows:
        return
    if logits.device.type != "cpu":
        _apply_on_device(logits, bits, rows)
        return
    size = logits.shape[1]
    for row, place in rows:
        allowed = np.unpackbits(bits[place].view(np.uint8), bitorder="little")[:size].view(bool)
        if np.count_nonzero(allowed) * 2 < size:
            keep_only(logits[row], np.flatnonzero(allowed))
        else:
            out = torch.from_numpy(np.flatnonzero(~allowed))
            logits[row].index_fill_(0, out, float("-inf"))


def _apply_on_device(
    logits: Tensor, bits: NDArray[np.int32], rows: Sequence[tuple[int, int]]
) -> None:
    where = torch.tensor([row for row, _ in rows], device=logits.device)
    words = torch.from_numpy(bits[[place for _, place in rows]]).to(logits.device)
    shifts = torch.arange(32, dtype=torch.int32, device=logits.device)
    allowed = ((words.unsqueeze(-1) >> shifts) & 1).bool().flatten(1)[:, : logits.shape[1]]
    logits[where] = logits[where].masked_fill_(~allowed, float("-inf"))


def apply_grammar_masks(logits: Tensor, rows: Sequence[tuple[int, GrammarMatcher]]) -> None:
    """Set to minus infinity, in ``logits`` (rows, vocabulary) float32, what does not fit the
    grammar of a row; ``rows`` are (row, its matcher), all of one Grammars."""
    free: list[tuple[int, GrammarMatcher]] = []
    for row, matcher in rows:
        forced = matcher.forced_tokens()
        if forced:
            keep_only(logits[row], np.array(forced[:1], dtype=np.int64))
        else:
            free.append((row, matcher))
    if not free:
        return
    bits = free[0][1].compiler.compute_masks([matcher.ll_matcher for _, matcher in free])
    plain_rows = []
    for place, (row, matcher) in enumerate(free):
        if matcher.needs_token_check():
            keep_only(logits[row], _checked_tokens(logits[row], matcher, set_bits(bits[place])))
        else:
            plain_rows.append((row, place))
    apply_bitmask(logits, bits, plain_rows)


def _checked_tokens(
    row: Tensor, matcher: GrammarMatcher, allowed: NDArray[np.int64]
) -> NDArray[np.int64]:
    scores = torch.log_softmax(row[torch.from_numpy(allowed).to(row.device)].float(), dim=0)
    values, places = torch.topk(scores, min(MAX_CHECKED_TOKENS, len(allowed)))
    shares = values.double().exp().cpu().numpy()
    return matcher.valid_tokens(allowed[places.cpu().numpy()], shares)
