"""Text as it is written: pieces, characters of many bytes, stops, forced tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from denizens.core import Completion, Delta, Done, Generate, Message
from denizens.models.engine.generation import GenerationState
from denizens.tests.support.engine_fuzzer import SCHEMA
from denizens.tests.support.tiny_models import answers, deltas, generate_ask, load_engine, write
from hypothesis import given, settings
from hypothesis import strategies as st

if TYPE_CHECKING:
    from denizens.models import LocalModel


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> LocalModel:
    """A tiny model; its tokens are mostly single bytes."""
    return load_engine(write(tmp_path_factory.mktemp("tiny"), "llama"))


def written(
    model: LocalModel, tokens: list[int], **more: Any
) -> tuple[list[str], Completion, list[str]]:
    """What comes of a writer that writes just these tokens and then its end: the pieces, the
    answer, the texts sent after each token."""
    more = {"max_tokens": len(tokens) + 1, "stream": True, **more}
    ask = Generate(messages=(Message.of("user", "x"),), **more)
    writer = GenerationState.begin(ask, model.prompt_builder, model.generation_config)
    out: list[Any] = []
    sent = []
    for token in [*tokens, min(model.generation_config.stop_tokens)]:
        answer = writer.append(token, 1, out)
        sent.append(deltas(out, 1))
        if answer is not None:
            assert isinstance(answer, Completion)
            return [event.text for event in out], answer, sent
    raise AssertionError("no end")


TEXT = st.text(
    st.sampled_from("ab \n") | st.characters(codec="utf-8", exclude_characters="\ufffd"),
    max_size=30,
)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(TEXT, st.lists(TEXT, max_size=3))
def test_pieces_add_up_to_the_text_before_its_stop(
    model: LocalModel, text: str, stops: list[str]
) -> None:
    """For any text, cut into tokens of single bytes, and any stops: the pieces are the text up
    to the first stop; none holds half a character; nothing is ever sent that is taken back."""
    tokens = list(model.prompt_builder.text_ids(text))
    pieces, answer, sent = written(model, tokens, stop=tuple(stops))
    cuts = [text.find(stop) for stop in stops if stop and stop in text]
    # Of two stops in one text the one that is whole first ends it.
    ends = [text.find(stop) + len(stop) for stop in stops if stop and stop in text]
    assert "".join(pieces) == answer.text
    assert not any("\ufffd" in piece for piece in pieces)
    assert all(answer.text.startswith(one) for one in sent)
    if not cuts:
        assert (answer.text, answer.stopped) == (text, "end")
    else:
        assert answer.stopped == "stop"
        assert answer.text == text[: len(answer.text)]
        assert len(answer.text) in cuts
        assert min(cuts) <= len(answer.text) <= min(ends)
        assert not any(stop and stop in answer.text for stop in stops)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.lists(st.integers(3, 258), max_size=40), st.integers(1, 40))
def test_bytes_that_are_no_text_add_up_too(model: LocalModel, tokens: list[int], most: int) -> None:
    """Whatever bytes are written, also where the limit cuts a character, the pieces are what
    the whole decodes to."""
    pieces, answer, _ = written(model, tokens, max_tokens=most)
    kept = tokens[:most]
    assert answer.text == "".join(pieces) == model.generation_config.text(kept)
    assert answer.tokens_out == len(kept)
    assert answer.stopped == ("end" if len(tokens) < most else "limit")


def test_a_stream_and_a_whole_answer_are_equal(model: LocalModel) -> None:
    """To stream changes nothing of the answer; each ask gets its own pieces in order."""
    for stop in ((), ("e", "th"), ("\n",)):
        asks = [generate_ask(f"line {i}", seed=i, max_tokens=50, stop=stop) for i in range(6)]
        whole = answers(model, asks)
        client = model.client()
        tickets = [
            client.submit(generate_ask(f"line {i}", seed=i, max_tokens=50, stop=stop, stream=True))
            for i in range(6)
        ]
        events: list[Delta | Done] = []
        while more := client.wait():
            events += more
        for ticket, answer in zip(tickets, whole):
            assert deltas(events, ticket) == answer.text
            (done,) = [e for e in events if isinstance(e, Done) and e.ticket == ticket]
            assert done.answer == answer


def test_forced_tokens_are_streamed(model: LocalModel) -> None:
    """What a grammar leaves no choice about is part of the stream, and of the answer."""
    client = model.client()
    tickets = [
        client.submit(generate_ask("x", seed=i, schema=SCHEMA, max_tokens=60, stream=True))
        for i in range(4)
    ]
    events: list[Any] = []
    while more := client.wait():
        events += more
    for ticket in tickets:
        (done,) = [e for e in events if isinstance(e, Done) and e.ticket == ticket]
        assert isinstance(done.answer, Completion)
        assert deltas(events, ticket) == done.answer.text
        assert done.answer.text.startswith('{"mood": "')
        assert done.answer.data["mood"] in ("glad", "sad")


def test_a_cancelled_stream_sends_nothing_more(model: LocalModel) -> None:
    """Neither pieces nor an end come of a cancelled ask, also those that had arrived."""
    client = model.client()
    ticket = client.submit(generate_ask(seed=1, max_tokens=50, stream=True))
    other = client.submit(generate_ask(seed=2, max_tokens=50, stream=True))
    events = list(client.wait())
    client.cancel(ticket)
    while more := client.wait():
        assert all(event.ticket == other for event in more)
        events += more
    assert isinstance(events[-1], Done)


def test_time_to_read_grows_with_the_answer_alone(model: LocalModel) -> None:
    """Each token decodes the last few, not the whole answer: the tokens decoded in all are few
    times those written."""
    counted = [0]
    real = model.generation_config.tokenizer.decode

    class Counting:
        def decode(self, ids: Any, **more: Any) -> Any:
            counted[0] += len(ids)
            return real(ids, **more)

    from dataclasses import replace

    voice = replace(model.generation_config, tokenizer=Counting())
    ask = Generate(messages=(Message.of("user", "x"),), max_tokens=400, stream=True, stop=("QQ",))
    writer = GenerationState.begin(ask, model.prompt_builder, voice)
    letters = list(model.prompt_builder.text_ids("zebra xylophone quick " * 20))[:400]
    for token in letters:
        writer.append(token, 1, [])
    assert counted[0] < 8 * len(letters)
