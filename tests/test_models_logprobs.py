"""Log-probabilities of generated tokens."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
from denizens.core import Completion, Delta, Done, Generate, to_json
from denizens.tests.support.tiny_models import (
    answers,
    generate_ask,
    load_engine,
    load_transformers,
    write,
)

if TYPE_CHECKING:
    from denizens.models import LocalModel


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("tiny"), "llama")


@pytest.fixture(scope="module")
def model(folder: Path) -> LocalModel:
    return load_engine(folder)


def streamed(model: LocalModel, ask: Generate) -> tuple[Completion, list[Delta]]:
    """The answer to a streamed ask, and its deltas."""
    client = model.client()
    client.submit(ask)
    deltas: list[Delta] = []
    while True:
        for event in client.wait():
            if isinstance(event, Done):
                assert isinstance(event.answer, Completion), event.answer
                return event.answer, deltas
            deltas.append(event)


def text_of(answer: Completion) -> str:
    """The text of the tokens of an answer."""
    return b"".join(bytes(one.data) for one in answer.logprobs).decode(errors="replace")


def test_logprobs_are_those_of_the_model(folder: Path, model: LocalModel) -> None:
    """In a batch each token's log-probability is that of a plain forward pass of transformers,
    and the likeliest tokens are its largest, before penalties and temperature."""
    asks = [
        generate_ask("bread " * size, top_logprobs=count, seed=size)
        for size, count in ((1, 3), (7, 0), (20, 5))
    ]
    raw, grammars = load_transformers(folder), model.generation_config.grammars
    vocabulary: dict[tuple[int, ...], list[int]] = {}
    for token in range(grammars.vocab_size):
        vocabulary.setdefault(tuple(grammars.token_bytes(token)), []).append(token)
    batch = answers(model, [asks[0], generate_ask("none"), *asks[1:]])
    assert batch.pop(1).logprobs == ()
    for ask, answer in zip(asks, batch, strict=True):
        assert len(answer.logprobs) == answer.tokens_out
        ids = list(model.prompt_builder.ids(ask.messages))
        for one in answer.logprobs:
            with torch.no_grad():
                logits = raw(torch.tensor([ids])).logits[0, -1].float()
            logits[list(model.generation_config.suppressed_tokens)] = -torch.inf
            row = torch.log_softmax(logits, dim=0)
            token = min(vocabulary[one.data], key=lambda id: abs(float(row[id]) - one.logprob))
            assert one.logprob == pytest.approx(float(row[token]), abs=1e-3)
            largest = row.topk(ask.top_logprobs or 0).values.tolist()
            assert [top.logprob for top in one.top] == pytest.approx(largest, abs=1e-3)
            ids.append(token)


def test_logprobs_change_nothing_and_stream_with_the_text(model: LocalModel) -> None:
    """An answer is the same with and without them; a stream's pieces carry all of them, and
    none beyond a stop text."""
    plain, _ = streamed(model, generate_ask(seed=3, stream=True))
    answer, deltas = streamed(model, generate_ask(seed=3, stream=True, top_logprobs=0))
    assert answer.text == plain.text
    assert "logprobs" not in to_json(plain)
    assert "top_logprobs" not in to_json(generate_ask())
    assert tuple(one for delta in deltas for one in delta.logprobs) == answer.logprobs
    assert text_of(answer) == answer.text
    stop = answer.text[len(answer.text) // 2 :][:3]
    ask = generate_ask(seed=3, stream=True, top_logprobs=1, stop=(stop,))
    cut, deltas = streamed(model, ask)
    assert cut.stopped == "stop"
    assert len(cut.logprobs) < len(answer.logprobs)
    assert text_of(cut).startswith(cut.text)
    assert tuple(one for delta in deltas for one in delta.logprobs) == cut.logprobs


def test_logprobs_under_a_schema(model: LocalModel) -> None:
    """Under a schema a forced token has the probability 1, and no forbidden token is listed."""
    schema: Any = {
        "type": "object",
        "properties": {"mood": {"enum": ["good", "bad"]}},
        "required": ["mood"],
        "additionalProperties": False,
    }
    (answer,) = answers(model, [generate_ask(schema=schema, top_logprobs=5, max_tokens=64)])
    assert text_of(answer) == answer.text
    assert any(one.logprob == 0.0 for one in answer.logprobs)
    listed = [top for one in answer.logprobs for top in one.top]
    assert listed
    assert all(math.isfinite(top.logprob) for top in listed)
    assert all(sum(math.exp(t.logprob) for t in one.top) <= 1.001 for one in answer.logprobs)
