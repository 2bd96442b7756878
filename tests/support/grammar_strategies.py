"""Grammars without a model: a small JSON tokenizer, tokens drawn from noise, and Hypothesis
strategies."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from denizens.core import Failed, Json
from hypothesis import strategies as st

if TYPE_CHECKING:
    from denizens.models.grammar import GrammarCompiler, GrammarMatcher

END = 2
SPARE = 40  # rows of the output beyond the vocabulary, as models have them
TEXT = """{"name": "Bo", "age": 33, "tags": ["old", "kind"], "home": {"street": "High Street",
"number": 3}} [{"id": 1, "mood": "glad"}, {"id": 2, "mood": "sad"}] {"a": [], "b": {}, "c": ""}
{"day": "2024-03-01", "at": "12:30", "done": true, "why": null, "note": "the baker of the town"}
"""


@cache
def tokenizer() -> Any:
    """Byte-level BPE that has learnt a little JSON, with tokens such as ``"}, {"``."""
    import transformers
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    library: Any = transformers
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=380,
        special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    core.train_from_iterator([TEXT], trainer)
    return library.PreTrainedTokenizerFast(
        tokenizer_object=core,
        bos_token="<|im_start|>",
        eos_token="<|im_end|>",
        unk_token="<|endoftext|>",
    )


@cache
def grammars() -> GrammarCompiler:
    """Grammars over that tokenizer."""
    from denizens.models.grammar import GrammarCompiler

    return GrammarCompiler(tokenizer(), len(tokenizer()) + SPARE, END)


def write(
    matcher: GrammarMatcher, seed: int, *, jump: bool = True, most: int = 400, heat: float = 3.0
) -> list[int]:
    """Draw tokens from noise until the matcher is finished; how many tokens each mask
    allowed. With ``jump`` forced tokens are taken without a draw."""
    import torch
    from denizens.models.grammar import apply_grammar_masks

    allowed: list[int] = []
    size = matcher.compiler.vocab_size
    while not matcher.finished and len(matcher.tokens) < most:
        forced = matcher.forced_tokens() if jump else []
        for token in forced:
            matcher.accept_token(token)
        if forced:
            continue
        rng = np.random.default_rng((seed, len(matcher.tokens)))
        noise = (rng.standard_normal(size) * heat).astype(np.float32)
        logits = torch.from_numpy(noise).unsqueeze(0)
        apply_grammar_masks(logits, [(0, matcher)])
        allowed.append(int(torch.isfinite(logits).sum()))
        matcher.accept_token(int(logits[0].argmax()))
    return allowed


def value(matcher: GrammarMatcher) -> Json:
    """The value written, which must be complete."""
    found = matcher.result()
    assert not isinstance(found, Failed), found
    return found[1]


NAMES = st.sampled_from(["name", "age", "kind", "kids", "a", "ab", "na", "x y", 'q"t', "ü"])
LISTED: list[Json] = ["red", "re", "green", "é", "\n", 1, 2.5, None, True, [1, "x"], {"x": 1}]
PATTERNS = [r"^[A-Z]{2}-\d{4}$", r"^(ab)*c$", r"^[a-z]+$", r"\d", r"^(\+\d{1,3} )?\d{6,10}$"]
FORMATS = ["date", "time", "date-time", "email", "uuid", "ipv4", "uri", "hostname", "duration"]
NUMBERS = ("integer", "number")


def bounded(kind: str, low: int, size: int) -> Json:
    """A number within bounds."""
    return {"type": kind, "minimum": low, "maximum": low + size}


def sized(word: str, base: dict[str, Json], low: int, more: int | None) -> Json:
    """Something with at least ``low`` and, unless None, at most ``low + more`` parts."""
    top = {} if more is None else {f"max{word}": low + more}
    return {**base, f"min{word}": low, **top}


SCALARS: st.SearchStrategy[Json] = st.one_of(
    st.sampled_from([{"type": t} for t in ("string", "integer", "number", "boolean", "null")]),
    st.lists(st.sampled_from(LISTED), min_size=1, max_size=4).map(lambda v: {"enum": v}),
    st.sampled_from(LISTED).map(lambda v: {"const": v}),
    st.sampled_from(PATTERNS).map(lambda p: {"type": "string", "pattern": p}),
    st.sampled_from(FORMATS).map(lambda f: {"type": "string", "format": f}),
    st.builds(
        sized, st.just("Length"), st.just({"type": "string"}), st.integers(0, 6), st.integers(0, 9)
    ),
    st.builds(bounded, st.sampled_from(NUMBERS), st.integers(-2000, 2000), st.integers(0, 3000)),
    st.sampled_from([0.01, 0.25, 3, 7]).map(lambda m: {"type": "number", "multipleOf": m}),
    st.sampled_from(["n0", "n1"]).map(lambda n: {"$ref": f"#/$defs/{n}"}),
    st.just({}),
)


@st.composite
def objects(draw: st.DrawFn, inner: st.SearchStrategy[Json]) -> Json:
    """An object, open or closed, with properties required or not."""
    names = draw(st.lists(NAMES, unique=True, max_size=4))
    made: dict[str, Json] = {"type": "object", "properties": {n: draw(inner) for n in names}}
    made["required"] = [name for name in names if draw(st.booleans())]
    others = draw(st.sampled_from([None, None, False, True, {"type": "integer"}]))
    return made if others is None else {**made, "additionalProperties": others}


def tagged(inner: list[Json]) -> Json:
    """Alternatives that exclude each other."""
    tags = ("one", "two", "three")
    return {
        "oneOf": [
            {"type": "object", "properties": {"t": {"const": t}, "v": i}, "required": ["t", "v"]}
            for t, i in zip(tags, inner)
        ]
    }


def joined(inner: list[Json]) -> Json:
    """Several schemas at once."""
    parts = [{"type": "object", "properties": {f"p{n}": i}} for n, i in enumerate(inner)]
    return {"allOf": [{**part, "required": [f"p{n}"]} for n, part in enumerate(parts)]}


def larger(inner: st.SearchStrategy[Json]) -> st.SearchStrategy[Json]:
    """Objects, lists, tuples, dictionaries and alternatives of smaller schemas."""
    some = st.lists(inner, min_size=1, max_size=3)
    lists = inner.map(lambda i: {"type": "array", "items": i})
    return st.one_of(
        objects(inner),
        objects(inner),
        st.builds(sized, st.just("Items"), lists, st.integers(0, 2), st.none() | st.integers(0, 2)),
        some.map(lambda i: {"type": "array", "prefixItems": i, "minItems": len(i), "items": False}),
        inner.map(lambda i: {"type": "object", "additionalProperties": i, "minProperties": 1}),
        some.map(lambda i: {"anyOf": i}),
        inner.map(lambda i: {"anyOf": [i, {"type": "null"}]}),
        some.map(tagged),
        some.map(joined),
        SCALARS.filter(lambda i: "type" in i).map(
            lambda i: {"type": "array", "items": i, "uniqueItems": True}
        ),
    )


SCHEMAS: st.SearchStrategy[Json] = st.builds(
    lambda root, one, two: {**root, "$defs": {"n0": one, "n1": two}},
    st.recursive(SCALARS, larger, max_leaves=6),
    st.recursive(SCALARS, larger, max_leaves=3),
    st.recursive(SCALARS, larger, max_leaves=3),
)
