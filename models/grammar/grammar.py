"""JSON Schemas as masks over the next token, by llguidance."""

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

MAX_COMPILED = 256  # schemas
MAX_TOKENIZED = 20_000  # texts
IGNORED_MASS = 0.002  # probability below which the remaining tokens are not checked
STEERED_MASS = 0.01  # probability of rejected tokens above which a matcher counts as steered
MAX_CHECKED_TOKENS = 32  # the likeliest tokens, of which each is checked where necessary


@dataclass(slots=True)
class GrammarStats:
    """Counts over all matchers: tokens accepted, tokens that were forced, and matchers whose
    completion was steered because the token limit was near."""

    tokens: int = 0
    forced: int = 0
    steered: int = 0


@dataclass(frozen=True, slots=True)
class CompiledGrammar:
    """A schema as a grammar.

    ``min_tokens`` is the number of tokens of the schema's shortest value. ``max_growth`` estimates
    how much one generated token can add to the shortest completion of a value, in tokens: it may
    open an optional property. ``unenforced`` are the constraints that llguidance does not enforce
    (see ``SchemaIR.unenforced``).
    """

    matcher: Any
    completer: JsonCompleter
    min_tokens: int
    max_growth: int
    unenforced: frozenset[str]


class GrammarCompiler:
    """Compiles JSON Schemas for one tokenizer, whose table is built at first use (about 0.5 s).

    The grammar allows JSON on one line only, with the separators ", " and ": ": where blanks are
    free, small models write blanks until the limit.
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
        """A new matcher, which completes its value within ``max_tokens`` (None: no limit).

        Raises SchemaError; with the reason "limit" where the shortest value is longer than that.
        """
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
                    f"this model's tokenizer supports no grammar ({error}); use another model"
                ) from error
        return self._table

    @property
    def scalar_completer(self) -> ScalarCompleter:
        """Completes numbers, and strings with a pattern or format."""
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

    def token_bytes(self, token: int) -> bytes:
        """The bytes that a token stands for. Raises SchemaError for an unsupported tokenizer."""
        data: bytes = self.table.decode_bytes([token])
        return data

    def token_count(self, text: str) -> int:
        """The number of tokens of a text."""
        return len(self.tokenize(text))

    def compute_masks(self, matchers: Sequence[Any]) -> NDArray[np.int32]:
        """The masks of llguidance matchers, shape (matchers, words): bit i of a row is token i."""
        if len(self._mask_buffer) < len(matchers):
            self._mask_buffer = np.zeros((len(matchers), self.mask_width), dtype=np.int32)
        if len(matchers) < 8:  # starting the worker threads would cost more
            for index, matcher in enumerate(matchers):
                row = self._mask_buffer[index]
                matcher.unsafe_compute_mask_ptr(row.ctypes.data, row.nbytes)
        else:
            from llguidance import LLExecutor

            self._executor = self._executor or LLExecutor()
            self._executor.unsafe_compute_mask_ptr(
                [(matcher, index) for index, matcher in enumerate(matchers)],
                self._mask_buffer.ctypes.data,
                self.mask_width * 4,
                len(self._mask_buffer),
            )
        return self._mask_buffer[: len(matchers)]

    def _compiled_schema(self, schema: Json) -> CompiledGrammar:
        # Not the canonical text: properties are written in the schema's order.
        try:
            key = json.dumps(schema)
        except (TypeError, ValueError, RecursionError) as error:
            raise SchemaError(f"a schema must be plain JSON: {error}; correct it") from error
        if key not in self._compiled:
            try:
                self._compiled[key] = self._compile(schema)
            except SchemaError as error:
                self._compiled[key] = error
            if len(self._compiled) > MAX_COMPILED:
                self._compiled.popitem(last=False)
        self._compiled.move_to_end(key)
        compiled = self._compiled[key]
        if isinstance(compiled, SchemaError):
            raise SchemaError(str(compiled), compiled.reason)
        return compiled

    def _compile(self, schema: Json) -> CompiledGrammar:
        check_schema(schema)
        supported = drop_unsupported(
            normalize_schema(schema), lambda subschema: self._compile_raw(subschema)[1]
        )
        schema = restrict_schema(supported)
        matcher, message = self._compile_raw(schema)
        if message:
            schema = supported
            matcher, _ = self._compile_raw(schema)
        schema_ir = SchemaIR(schema, self.token_count, self._shortest_scalar)
        shortest = self.tokenize(schema_ir.root.shortest or "")
        copy = matcher.deep_copy()
        accepted = copy.consume_tokens(shortest) and copy.is_accepting()
        return CompiledGrammar(
            matcher,
            JsonCompleter(schema_ir),
            min_tokens=len(shortest) if accepted else 0,
            max_growth=schema_ir.max_growth(),
            unenforced=schema_ir.unenforced(),
        )

    def _compile_raw(self, schema: Json) -> tuple[Any, str]:
        """The llguidance matcher of a schema, and its error (empty for none)."""
        from llguidance import LLMatcher

        text = json.dumps(schema, ensure_ascii=False)
        # Escapes of control characters, only where the schema has such characters.
        escapes = 'nrbtf\\"' + ("u" if "\\u00" in text or "\x7f" in text else "")
        options: Any = {
            "whitespace_flexible": False,
            "item_separator": ", ",
            "key_separator": ": ",
            "json_allowed_escapes": escapes,
        }
        try:
            matcher = LLMatcher(
                self.table, LLMatcher.grammar_from_json_schema(text, None, options), log_level=0
            )
        except ValueError as error:
            return None, str(error)
        warnings = matcher.get_grammar_warnings()
        return matcher, matcher.get_error() if matcher.is_error() else "; ".join(warnings)

    def _shortest_scalar(self, schema: Json) -> str | None:
        """The shortest text of a number, or of a string with a pattern or format; None where
        none is found."""
        key = json.dumps(schema)
        if key not in self._shortest_scalars:
            matcher, message = self._compile_raw(schema)
            shortest = None
            if not message and schema["type"] == "string":
                end = self.scalar_completer.shortest_ending(matcher, b'"', is_string=True)
                shortest = None if end is None else f'"{end}'
            elif not message:
                shortest = self.scalar_completer.shortest_ending(matcher, b"", is_string=False)
            self._shortest_scalars[key] = shortest
        return self._shortest_scalars[key]


class GrammarMatcher:
    """The grammar state of one sequence.

    Where the grammar forces text, only the tokens that the tokenizer itself makes of that text
    are allowed. Jumping over forced tokens then gives the same tokens as single steps.

    With a limit, a token is allowed only if the value can still be completed within it. This is
    checked only near the limit; before, it excludes nothing.
    """

    def __init__(
        self, compiler: GrammarCompiler, compiled: CompiledGrammar, limit: int | None
    ) -> None:
        self.compiler = compiler
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
        """Whether no further token is possible or allowed."""
        limit_reached = self._limit is not None and len(self.tokens) >= self._limit
        return self._ended or limit_reached or bool(self.ll_matcher.is_stopped())

    @property
    def complete(self) -> bool:
        """Whether the tokens so far are a value of the schema."""
        return not self.ll_matcher.is_error() and bool(self.ll_matcher.is_accepting())

    def forced_tokens(self) -> list[int]:
        """The next tokens, as far as the grammar forces them; empty where it allows several. The
        caller passes each of them to ``accept_token``."""
        if self._forced_tokens is None:
            self._forced_tokens = [] if self.finished else list(self.ll_matcher.compute_ff_tokens())
            if self._forced_tokens and (self._compiled.unenforced or self._near_limit()):
                self._forced_tokens = (
                    self._forced_tokens if self._can_complete(self._forced_tokens) else []
                )
        return list(self._forced_tokens)

    def accept_token(self, token: int) -> bool:
        """Append a token; whether the sequence is finished."""
        if token == self.compiler.end_token:
            self._ended = True
            return True
        expected = self._forced_tokens or []
        forced = expected[:1] == [token]
        self.compiler.stats.tokens += 1
        self.compiler.stats.forced += forced
        self._forced_tokens = (expected[1:] or None) if forced else None
        self.tokens.append(token)
        self.ll_matcher.consume_token(token)
        return self.finished

    def result(self) -> tuple[str, Json] | Failed:
        """The text and its value; Failed with the reason "limit" where the value is incomplete,
        "schema" where no value starts with the text, "engine" where llguidance failed."""
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

    def needs_token_check(self) -> bool:
        """Whether the next token's candidates must be checked one by one."""
        unenforced = self._compiled.unenforced
        if unenforced:
            partial = self._parse_tokens()
            in_string = partial.pending.startswith('"')
            if (
                ("names" in unenforced and partial.state in ("{open", "{comma", "{done"))
                or ("unique" in unenforced and partial.in_array)
                or ("step" in unenforced and not in_string)
            ):
                return True
        return self._near_limit()

    def valid_tokens(
        self, allowed: NDArray[np.int64], shares: NDArray[np.float64]
    ) -> NDArray[np.int64]:
        """The tokens of ``allowed`` (n,) after which the value can still be completed.

        ``allowed`` is sorted by probability, ``shares`` (n,). Tokens in the tail, below
        ``IGNORED_MASS``, are not checked and not returned. Where no token is valid, the first
        token of the shortest completion is returned.
        """
        check_all = self._near_limit() or bool(self._compiled.unenforced - {"names"})
        valid: list[int] = []
        rejected = 0.0
        remaining = 1.0
        for token, share in zip(allowed.tolist(), shares.tolist()):
            if valid and remaining < IGNORED_MASS:
                break
            remaining -= share
            if self._is_allowed(token, check_all):
                valid.append(token)
            else:
                rejected += share
        if not valid:
            completion = self._shortest_completion(self.ll_matcher, self._parse_tokens())
            # A violation of "names" is visible in ``duplicate_key``.
            self._invalid = not completion and bool(self._compiled.unenforced - {"names"})
            self._forced_tokens = completion or None
            self._mark_steered()
            return np.array(completion[:1], dtype=np.int64) if completion else allowed
        self._invalid &= not check_all
        if rejected > STEERED_MASS and self._near_limit():
            self._mark_steered()
        return np.array(valid, dtype=np.int64)

    def _is_allowed(self, token: int, check_all: bool) -> bool:
        """Whether a token is valid. Without ``check_all`` only duplicate names are possible
        violations, so that tokens without a quote need no check."""
        if not check_all and b'"' not in self.compiler.table.decode_bytes([token]):
            return True
        return self._can_complete([token])

    def _mark_steered(self) -> None:
        self.compiler.stats.steered += not self.steered
        self.steered = True

    def _near_limit(self) -> bool:
        """Whether one more token could make completion within the limit impossible."""
        if self._limit is None:
            return False
        step = self._compiled.max_growth + 1
        if self._slack - step * (len(self.tokens) - self._slack_at) <= step:
            completion = self._shortest_completion(self.ll_matcher, self._parse_tokens())
            self._slack_at = len(self.tokens)
            remaining = self._limit - self._slack_at
            self._slack = remaining - len(completion) if completion is not None else 0
        return self._slack - step * (len(self.tokens) - self._slack_at) <= step

    def _can_complete(self, tokens: Sequence[int]) -> bool:
        """Whether the value can be completed within the limit after these tokens."""
        if tokens[0] == self.compiler.end_token:
            return self.complete
        matcher, partial = self.ll_matcher.deep_copy(), self._parse_tokens().copy()
        if not matcher.consume_tokens(list(tokens)):
            return False
        partial.feed(self.compiler.table.decode_bytes(list(tokens)))
        if partial.duplicate_key:
            return False
        if self._limit is None and self._compiled.unenforced <= {"names"}:
            return True
        completion = self._shortest_completion(matcher, partial)
        used = len(self.tokens) + len(tokens)
        return completion is not None and (
            self._limit is None or used + len(completion) <= self._limit
        )

    def _shortest_completion(self, matcher: Any, partial: PartialJson) -> list[int] | None:
        """The tokens of the shortest completion, verified by the grammar; None where none is
        found."""
        in_string = partial.pending.startswith('"')

        def find_ending(prefix: bytes) -> str | None:
            return self.compiler.scalar_completer.shortest_ending(matcher, prefix, in_string)

        rest = self._compiled.completer.shortest_completion(partial, find_ending)
        if rest is None:
            return None
        tokens = self._tokenize(rest)
        copy = matcher.deep_copy()
        accepted = not tokens or copy.consume_tokens(tokens)
        return tokens if accepted and copy.is_accepting() else None

    def _tokenize(self, rest: bytes) -> list[int]:
        try:
            return self.compiler.tokenize(rest.decode())
        except UnicodeDecodeError:  # the text begins within a character
            tokens: list[int] = self.compiler.table.tokenize_bytes(rest)
            return tokens

    def _parse_tokens(self) -> PartialJson:
        if self._parsed_count < len(self.tokens):
            self._partial.feed(self.compiler.table.decode_bytes(self.tokens[self._parsed_count :]))
            self._parsed_count = len(self.tokens)
        return self._partial


def set_bits(bits: NDArray[np.int32]) -> NDArray[np.int64]:
    """The indices of the bits that are set in ``bits`` (words,), ascending.

    >>> set_bits(np.array([5, 1], dtype=np.int32)).tolist()
    [0, 2, 32]
    """
    return np.flatnonzero(np.unpackbits(bits.view(np.uint8), bitorder="little"))


def keep_only(row: Tensor, ids: NDArray[np.int64]) -> None:
    """Set all logits of ``row`` (vocabulary,) to minus infinity except those of ``ids``."""
    indices = torch.from_numpy(ids).to(row.device)
    values = row[indices]
    row.fill_(float("-inf"))
    row[indices] = values


def apply_bitmask(logits: Tensor, bits: NDArray[np.int32], rows: Sequence[tuple[int, int]]) -> None:
    """Apply masks to ``logits`` (n, vocabulary); ``rows`` are pairs of a row of the logits and a
    row of ``bits``.

    On a CPU boolean masks of whole rows cost ten times more than touching only the allowed, or
    only the forbidden, tokens.
    """
    if not rows:
        return
    if logits.device.type != "cpu":
        _apply_on_device(logits, bits, rows)
        return
    vocab_size = logits.shape[1]
    for row, mask in rows:
        allowed = np.unpackbits(bits[mask].view(np.uint8), bitorder="little")[:vocab_size].view(
            bool
        )
        if np.count_nonzero(allowed) * 2 < vocab_size:
            keep_only(logits[row], np.flatnonzero(allowed))
        else:
            forbidden = torch.from_numpy(np.flatnonzero(~allowed))
            logits[row].index_fill_(0, forbidden, float("-inf"))


def _apply_on_device(
    logits: Tensor, bits: NDArray[np.int32], rows: Sequence[tuple[int, int]]
) -> None:
    logit_rows = torch.tensor([row for row, _ in rows], device=logits.device)
    masks = torch.from_numpy(bits[[mask for _, mask in rows]]).to(logits.device)
    shifts = torch.arange(32, dtype=torch.int32, device=logits.device)
    allowed = ((masks.unsqueeze(-1) >> shifts) & 1).bool().flatten(1)[:, : logits.shape[1]]
    logits[logit_rows] = logits[logit_rows].masked_fill_(~allowed, float("-inf"))


def apply_grammar_masks(logits: Tensor, rows: Sequence[tuple[int, GrammarMatcher]]) -> None:
    """Set the logits of tokens that a row's grammar does not allow to minus infinity.

    ``logits``: float32, shape (rows, vocabulary). ``rows`` are pairs of a row and its matcher, all
    of one GrammarCompiler.
    """
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
    for index, (row, matcher) in enumerate(free):
        if matcher.needs_token_check():
            keep_only(logits[row], _checked_tokens(logits[row], matcher, set_bits(bits[index])))
        else:
            plain_rows.append((row, index))
    apply_bitmask(logits, bits, plain_rows)


def _checked_tokens(
    row: Tensor, matcher: GrammarMatcher, allowed: NDArray[np.int64]
) -> NDArray[np.int64]:
    scores = torch.log_softmax(row[torch.from_numpy(allowed).to(row.device)].float(), dim=0)
    values, order = torch.topk(scores, min(MAX_CHECKED_TOKENS, len(allowed)))
    shares = values.double().exp().cpu().numpy()
    return matcher.valid_tokens(allowed[order.cpu().numpy()], shares)
