"""Schemas as masks: what may be written, what is forced, when it ends, what it costs."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from denizens.core import Failed, Json
from denizens.models.grammar import GrammarMatcher, SchemaError, apply_grammar_masks
from denizens.tests.support.grammar_strategies import (
    END,
    SCHEMAS,
    grammars,
    tokenizer,
    value,
    write,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "mood": {"enum": ["glad", "sad"]},
        "tags": {"type": "array", "items": {"type": "string"}},
        "home": {
            "type": "object",
            "properties": {"street": {"type": "string"}, "number": {"type": "integer"}},
            "required": ["street", "number"],
        },
    },
    "required": ["name", "mood", "tags", "home"],
}


def ids(text: str) -> list[int]:
    found: list[int] = tokenizer()(text, add_special_tokens=False).input_ids
    return found


def masked(matcher: GrammarMatcher) -> set[int]:
    """The tokens a mask leaves."""
    import torch

    logits = torch.zeros((3, grammars().vocab_size))
    apply_grammar_masks(logits, [(1, matcher)])
    assert torch.equal(logits[[0, 2]], torch.zeros((2, grammars().vocab_size)))
    assert set(logits[1].tolist()) <= {0.0, -torch.inf}
    return set(torch.isfinite(logits[1]).nonzero().flatten().tolist())


def feed(matcher: GrammarMatcher, text: str) -> bool:
    return [matcher.accept_token(token) for token in ids(text)][-1]


@given(schema=SCHEMAS, seed=st.integers(0, 10**6), limit=st.sampled_from([30, 80, 200, None]))
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
def test_forced_tokens_are_those_of_single_steps(schema: Any, seed: int, limit: int | None) -> None:
    """Jumping over forced tokens gives the very tokens that masks alone give, where every
    forced token is the only one allowed."""
    try:
        jumping, stepping = (grammars().matcher(schema, limit) for _ in range(2))
    except SchemaError:
        return
    write(jumping, seed, jump=True, most=100)
    allowed = write(stepping, seed, jump=False, most=100)
    size = min(len(jumping.tokens), len(stepping.tokens))
    assert jumping.tokens[:size] == stepping.tokens[:size]
    assert jumping.finished == stepping.finished or size == 100
    assert jumping.steered == stepping.steered
    assert all(allowed)


def test_a_forced_beginning_is_jumped_over() -> None:
    """What the schema fixes is forced at once, in the tokens the tokenizer makes of it; where
    a token might go on into what is free, the choice is left open."""
    matcher = grammars().matcher(PERSON, 100)
    forced = matcher.forced_tokens()
    assert ids('{"name": "')[: len(forced)] == forced
    assert len(forced) >= 2
    assert masked(matcher) == {forced[0]}
    for token in forced:
        matcher.accept_token(token)
    assert matcher.forced_tokens() == []
    assert len(masked(matcher)) > 1
    choice = grammars().matcher({"enum": ["glad tidings", "sad tidings"]}, 100)
    feed(choice, '"gl')
    rest = tokenizer().decode(choice.forced_tokens())
    assert 'ad tidings"'.startswith(rest)
    assert len(rest) > 4


def test_control_tokens_never_pass() -> None:
    """Neither control tokens nor rows without a token are allowed anywhere; the end only
    where the value may stop."""
    special = set(tokenizer().all_special_ids)
    beyond = set(range(len(tokenizer()), grammars().vocab_size))
    for schema, begun in [
        ({}, ""),
        ({"type": "string"}, '"<|im_'),
        ({"type": "object"}, '{"<|im_start'),
        (PERSON, '{"name": "<|im_end|'),
    ]:
        matcher = grammars().matcher(schema)
        if begun:
            feed(matcher, begun)
        assert not masked(matcher) & (special | beyond)
    number = grammars().matcher({"type": "integer"}, 20)
    assert END not in masked(number)
    feed(number, "12")
    assert masked(number) & special == {END}
    assert number.complete
    assert number.accept_token(END)
    assert number.result() == ("12", 12)


@pytest.mark.parametrize(
    ("schema", "text"),
    [
        (PERSON, '{"name": "Bo", "mood": "sad", "tags": [], "home": {"street": "", "number": -1}}'),
        ({"type": "string"}, '"done"'),
        ({"type": "array", "items": {"type": "integer"}}, "[1, 23]"),
        ({"enum": [True, None]}, "null"),
        ({"const": 5}, "5"),
    ],
)
def test_a_complete_value_ends_at_once(schema: Any, text: str) -> None:
    """The last sign of a value finishes the row, without an end token."""
    matcher = grammars().matcher(schema, 200)
    *before, last = ids(text)
    assert not any(matcher.accept_token(token) for token in before)
    assert matcher.accept_token(last)
    assert matcher.finished
    assert matcher.result() == (text, json.loads(text))


def test_every_row_has_its_own_mask() -> None:
    """Many rows at once get the masks they get alone, in any order and place."""
    import torch

    rng = np.random.default_rng(3)
    matchers = []
    for seed in range(20):
        matcher = grammars().matcher([PERSON, {"type": "string"}, {}][seed % 3], 90)
        write(matcher, seed, most=seed)
        if not matcher.finished:
            matchers.append(matcher)
    assert len(matchers) > 10
    alone = [masked(matcher) for matcher in matchers]
    places = rng.permutation(len(matchers) + 5)[: len(matchers)].tolist()
    logits = torch.zeros((len(matchers) + 5, grammars().vocab_size))
    apply_grammar_masks(logits, list(zip(places, matchers)))
    found = [set(torch.isfinite(logits[p]).nonzero().flatten().tolist()) for p in places]
    assert found == alone
    others = sorted(set(range(len(logits))) - set(places))
    assert torch.equal(logits[others], torch.zeros((5, grammars().vocab_size)))
    apply_grammar_masks(logits, [])


@pytest.mark.gpu
def test_masks_on_cuda() -> None:
    """On a GPU the same tokens stay."""
    import torch

    matchers = [grammars().matcher(schema, 60) for schema in (PERSON, {}, {"type": "string"})]
    for matcher in matchers:
        write(matcher, 1, most=9)
    here = torch.zeros((4, grammars().vocab_size))
    there = here.cuda()
    rows = [(place, m) for place, m in zip((3, 0, 2), matchers) if not m.finished]
    apply_grammar_masks(here, rows)
    apply_grammar_masks(there, rows)
    assert rows
    assert torch.equal(there.cpu(), here)


def test_the_limit_is_kept() -> None:
    """Whatever is drawn, the value is complete within the limit, down to the shortest value;
    a limit below that is said up front."""
    schema = {**PERSON, "additionalProperties": False}
    least = len(ids('{"name": "", "mood": "sad", "tags": [], "home": {"street": "", "number": 0}}'))
    for limit in [least, least + 1, least + 5, least + 30]:
        for seed in range(6):
            matcher = grammars().matcher(schema, limit)
            write(matcher, seed, most=limit + 1)
            assert len(matcher.tokens) <= limit
            assert set(value(matcher)) == {"name", "mood", "tags", "home"}
    with pytest.raises(SchemaError, match=rf"needs {least} tokens and max_tokens is {least - 1}"):
        grammars().matcher(schema, least - 1)
    with pytest.raises(SchemaError) as caught:
        grammars().matcher(schema, 1)
    assert caught.value.reason == "limit"


def test_nothing_changes_far_from_the_limit() -> None:
    """With room to spare the tokens are those of a grammar that knows no limit."""
    seen = 0
    for seed in range(30):
        free, limited = grammars().matcher(PERSON), grammars().matcher(PERSON, 4000)
        write(free, seed, most=300)
        write(limited, seed, most=300)
        assert free.tokens == limited.tokens
        assert not limited.steered
        near = grammars().matcher(PERSON, 60)
        write(near, seed)
        seen += near.steered
        value(near)
    assert seen > 10  # noise does run on, so the comparison above says something


def test_without_a_limit_an_open_end_is_told() -> None:
    """What is not complete is Failed with the reason limit, and says what was written."""
    matcher = grammars().matcher(PERSON)
    feed(matcher, '{"name": "B')
    failed = matcher.result()
    assert isinstance(failed, Failed)
    assert failed.reason == "limit"
    assert '"B' in failed.detail
    assert "raise max_tokens" in failed.detail


def test_a_wrong_token_is_told() -> None:
    """A token that the mask forbids leaves a typed fault, no exception."""
    matcher = grammars().matcher(PERSON, 100)
    assert matcher.accept_token(ids("z")[0])
    failed = matcher.result()
    assert isinstance(failed, Failed)
    assert failed.reason == "engine"


def test_a_schema_is_compiled_once() -> None:
    """A second matcher of an equal schema compiles nothing; one of another order of
    properties is another grammar; a fault is remembered too."""
    home: Any = grammars()
    calls: list[Json] = []
    real = home._compile

    def counted(schema: Json) -> Any:
        calls.append(schema)
        return real(schema)

    home._compile = counted
    try:
        two = {"type": "object", "properties": {"b": {"const": 1}, "a": {"const": 2}}}
        two["required"] = ["a", "b"]
        turned = {**two, "properties": {"a": {"const": 2}, "b": {"const": 1}}}
        texts = []
        for schema in (two, dict(two), turned):
            matcher = home.matcher(schema, 50)
            write(matcher, 0)
            texts.append(json.dumps(value(matcher)))
        assert texts == ['{"b": 1, "a": 2}', '{"b": 1, "a": 2}', '{"a": 2, "b": 1}']
        assert len(calls) == 2
        for _ in range(3):
            with pytest.raises(SchemaError):
                home.matcher({"type": "plum"})
        assert len(calls) == 3
        for number in range(300):
            home.matcher({"const": number})
        assert len(home._compiled) <= 256
    finally:
        del home._compile


def test_matchers_of_one_schema_do_not_mix() -> None:
    """Rows share what is compiled, not where they stand."""
    one, two = grammars().matcher(PERSON, 90), grammars().matcher(PERSON, 90)
    feed(one, '{"name": "Bo", "mood": ')
    assert two.tokens == []
    assert two.forced_tokens() == grammars().matcher(PERSON, 90).forced_tokens()
    write(two, 4)
    write(one, 5)
    assert value(one)["name"] == "Bo"
    assert set(value(two)) == set(value(one))
