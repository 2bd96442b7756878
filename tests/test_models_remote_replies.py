"""Replies as servers send them: fenced, in parts, with reasoning, uncounted, broken off."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from denizens.core import Choose, Failed, Generate, Message, Option, Rate
from denizens.models.remote import connect
from denizens.models.remote.chat_completion import ReasoningFilter, SSEDecoder
from denizens.models.remote.client import RemoteModel
from denizens.models.remote.logprobs import guided_label
from denizens.models.remote.structured_output import parse_value
from denizens.tests.support.fake_openai_server import (
    FakeOpenAIServer,
    answers,
    chunks,
    completion_body,
    say,
    streamed,
)

pytest.importorskip("openai")

PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
    "required": ["name", "age"],
    "additionalProperties": False,
}
BO = {"name": "Bo", "age": 7}
WAYS = (Option("mill", "grind the grain"), Option("pond", "swim in the water"), Option("wait"))


@pytest.fixture
def model(server: FakeOpenAIServer) -> Iterator[RemoteModel]:
    """Connected to it, with the server's embeddings."""
    made = connect(f"openai:{server.url}?retries=0", embedder="server")
    yield made
    made.close()


def pick(about: str = "grain", **settings: Any) -> Choose:
    return Choose(messages=(), options=WAYS, about=about, **settings)


@pytest.mark.parametrize(
    "text",
    [
        '```json\n{"name": "Bo", "age": 7}\n```',
        'Of course!\n```JSON\n{"name": "Bo",\n "age": 7}\n```\nAnything else?',
        '~~~\n{"name": "Bo", "age": 7}\n~~~',
        '{"answer": {"name": "Bo", "age": 7}}',
        '[{"name": "Bo", "age": 7}]',
        'With {braces} and [1] in it: {"name": "Bo", "age": 7.0} {"name": "Bo", "age": 7}',
    ],
)
def test_json_wherever_it_stands(text: str) -> None:
    """JSON in fences, among words or wrapped is the value that the schema asks for."""
    assert parse_value(PERSON, text) == (BO, "")


def test_json_that_is_not_to_be_had() -> None:
    """Two different values, a cut one, none and one that is no JSON are refused with a reason;
    a text full of brackets ends at once."""
    for text, said in [
        ('{"name": "Bo", "age": 7} or {"name": "Cy", "age": 8}', "2 different values"),
        ('{"name": "Bo", "age": 7', "no complete JSON"),
        ("Bo is 7", "no complete JSON"),
        ('{"name": "Bo", "age": NaN}', "no complete JSON"),
        ('```json\n{"name": "Bo", "age": "7"}\n```', "$.age"),
        ("[" * 100_000 + "{" * 100_000, "no complete JSON"),
    ]:
        value, wrong = parse_value(PERSON, text)
        assert value is None
        assert said in wrong


def test_whole_numbers_stay_whole() -> None:
    """What a schema calls an integer comes as one to its last digit, also where the server
    writes it as a float; what it calls a number stays as it is."""
    large = 12345678901234567891
    for text in ("7.0", "70e-1", "7"):
        value, _ = parse_value(PERSON, f'{{"name": "Bo", "age": {text}}}')
        assert value == BO
        assert type(value["age"]) is int
    assert parse_value(PERSON, f'{{"name": "Bo", "age": {large}.0}}')[0]["age"] == large
    assert parse_value(PERSON, f'{{"name": "Bo", "age": {large}}}')[0]["age"] == large
    assert parse_value(PERSON, '{"name": "Bo", "age": 7.5}')[0] is None
    kept, _ = parse_value({"type": "array", "items": {"type": "number"}}, "[7.0]")
    assert type(kept[0]) is float
    either = {
        "anyOf": [{"type": "string"}, {"$ref": "#/$defs/n"}],
        "$defs": {"n": {"type": "integer"}},
    }
    assert type(parse_value(either, "31.0")[0]) is int


@pytest.mark.parametrize(
    ("text", "chosen"),
    [
        ('```json\n{"choice": "pond"}\n```', 1),
        ('{"choice": "Pond."}', 1),
        ('{"answer": {"choice": "pond"}}', 1),
        ('{"option": "pond"}', 1),
        ("**pond**", 1),
        ("choice: pond", 1),
        ("I would go to the pond, for it is hot.", 1),
        ("The pond, not the mill.", None),
        ("The ponds are far.", None),
        ('{"choice": "lake"}', None),
        ('{"choice": "pond"} {"choice": "mill"}', None),
        ("", None),
    ],
)
def test_a_choice_in_any_form(text: str, chosen: int | None) -> None:
    """The option that a reply names is read in whatever form, and none where it names several
    or none."""
    assert guided_label("choice", text, ["mill", "pond", "wait"]) == chosen


def test_a_server_without_schemas(server: FakeOpenAIServer, model: RemoteModel) -> None:
    """A refused json_schema is asked for as any object with the schema in words, and from then
    on at once; so are decisions."""
    said = "Input should be 'text' or 'json_object'"
    server.moods = [
        (422, {"detail": [{"loc": ["body", "response_format", "type"], "msg": said}]}),
        completion_body('```json\n{"name": "Bo", "age": 7}\n```'),
        completion_body('{"name": "Bo", "age": 7}'),
    ]
    for _ in range(2):
        (found,) = answers(model, [say(schema=PERSON)])
        assert found.data == BO
    bodies = server.bodies("/chat/completions")
    forms = [body["response_format"]["type"] for body in bodies]
    assert forms == ["json_schema", "json_object", "json_object"]
    assert json.dumps(PERSON) in bodies[-1]["messages"][-1]["content"]
    server.moods = [
        404,
        404,
        completion_body('{"choice": "pond"}'),
    ]  # it tells no probabilities either
    (found,) = answers(model, [pick()])
    assert found.probabilities == (0.0, 1.0, 0.0)


def test_a_server_without_json(server: FakeOpenAIServer, model: RemoteModel) -> None:
    """One that takes no format at all is asked in words; of one that refuses every form a
    decision goes by nearness of meaning, and text with a schema is Failed."""
    refusal = (400, {"error": {"message": "response_format is not supported"}})
    server.moods = [refusal, refusal, completion_body('{"name": "Bo", "age": 7}')]
    (found,) = answers(model, [say(schema=PERSON)])
    assert found.data == BO
    assert "response_format" not in server.bodies("/chat/completions")[-1]
    server.moods = [404, 404, (422, {"detail": "no"})]
    (found,) = answers(model, [pick()])
    assert found.kind == "choice"
    assert max(found.probabilities) < 1.0
    server.moods = [(422, {"detail": "no"})] * 3
    (found,) = answers(model, [say(schema=PERSON)])
    assert found.reason == "schema"


def test_a_rating_that_cannot_be_read(server: FakeOpenAIServer, model: RemoteModel) -> None:
    """A rating is read as a number too; an unusable one without examples is Failed, for there
    is nothing else to go by."""
    server.moods = [404, 404, completion_body('{"rating": 7.0}'), completion_body("Hard to say.")]
    good, bad = (answers(model, [Rate(messages=(), about="x", role="other")])[0] for _ in "ab")
    assert (good.value, bad.kind, getattr(bad, "reason", "")) == (7.0, "failed", "schema")


@pytest.mark.parametrize(
    "message",
    [
        {"content": [{"type": "text", "text": "Good "}, {"type": "text", "text": "day."}]},
        {"content": [{"type": "thinking", "thinking": [{"text": "hm"}]}, {"text": "Good day."}]},
        {"content": {"type": "output_text", "text": "Good day."}},
        {"content": "Good day.", "reasoning": "They greet."},
        {"content": "Good day.", "reasoning_content": "They greet."},
        {"content": "<think>\nThey greet.\n</think>\n\nGood day."},
        {"content": "<think> They greet. </think> Good day."},
        {"content": "They greet, so I do.</think>\nGood day."},
        {"content": "[THINK]They greet.[/THINK]Good day."},
        {"content": "Good <thinking>as one says</thinking>day."},
    ],
)
def test_only_the_answer_is_said(
    server: FakeOpenAIServer, model: RemoteModel, message: dict[str, Any]
) -> None:
    """Parts are joined, and reasoning is taken out wherever the server or the model puts it."""
    server.moods = [completion_body(**message)]
    (found,) = answers(model, [say()])
    assert found.text == "Good day."


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
def test_reasoning_across_pieces(size: int) -> None:
    """Reasoning is found however its marks are cut; what only looks like a mark, and a mark in
    quotes, is text; unclosed reasoning is no answer."""
    for text, answer in [
        ("<think>a < b</think>\n\nYes, 1 < 2 <b>", "Yes, 1 < 2 <b>"),
        ("Write `<think>` first.", "Write `<think>` first."),
        ("Well, <THINK>hm</THINK> no. <thinner>", "Well, no. <thinner>"),
        ("<think>never ends", ""),
        ("<thi", "<thi"),
    ]:
        reading = ReasoningFilter()
        shown = "".join(reading.feed(text[at : at + size]) for at in range(0, len(text), size))
        assert shown + reading.finish() == reading.text == answer


def test_long_replies_are_read_in_time() -> None:
    """A megabyte of marks, brackets or pieces takes well under a second each."""
    begun = time.perf_counter()
    for unit in ("</think>", "a<think>b</think>", "<think>", "<", "`<think>`"):
        reading = ReasoningFilter()
        reading.feed(unit * (1_000_000 // len(unit)))
        assert len(reading.finish() + reading.text) <= 2_000_000
    events = SSEDecoder()
    assert sum(len(events.feed(b"data: {}\n\n")) for _ in range(50_000)) == 50_000
    assert parse_value(PERSON, '{"a": [' * 150_000)[0] is None
    assert time.perf_counter() - begun < 5


def test_a_model_that_reasons_gets_room(server: FakeOpenAIServer, model: RemoteModel) -> None:
    """A stop string that cut the reasoning, or tokens that ended in it, cost one more request;
    from then on stop strings are applied here, behind the reasoning."""
    server.moods = [
        completion_body("<think>"),
        completion_body("<think>\nHm.\n</think>\nGood day.\nBo: And you?"),
        completion_body("", "length", reasoning="Okay, so"),
    ]
    (found,) = answers(model, [say(stop=("\n",), max_tokens=20)])
    assert (found.text, found.stopped) == ("Good day.", "stop")
    first, second = server.bodies("/chat/completions")
    assert (first["stop"], first["max_tokens"]) == (["\n"], 20)
    assert "stop" not in second
    assert second["max_tokens"] > 1000
    (found,) = answers(model, [say()])
    assert (found.reason, len(server.seen)) == ("limit", 3)
    assert "reasoned and wrote no answer" in found.detail


@pytest.mark.parametrize(
    ("kind", "field", "value"),
    [
        ("vllm", "chat_template_kwargs", {"enable_thinking": False}),
        ("llamacpp", "chat_template_kwargs", {"enable_thinking": False}),
        ("library", "reasoning_effort", "none"),
        ("organization_owner", "reasoning_effort", "none"),
        ("somebody", "reasoning_effort", None),
    ],
)
def test_reasoning_is_switched_off(
    server: FakeOpenAIServer, kind: str, field: str, value: Any
) -> None:
    """Each kind of server is told not to reason in its own way; with thinking=yes none is."""
    server.models = [{"id": "toy", "owned_by": kind}]
    for setting, wanted in (("no", value), ("yes", None)):
        model = connect(f"openai:{server.url}?thinking={setting}", embedder="server")
        answers(model, [say()])
        model.close()
        found = server.bodies("/chat/completions")[-1].get(field)
        assert found == wanted or (setting == "yes" and found == {"enable_thinking": True})


def test_refused_fields_are_left_out(server: FakeOpenAIServer, model: RemoteModel) -> None:
    """A field that a server names in its refusal is not sent again; max_tokens goes by its
    newer name where it must."""
    server.moods = [
        (400, {"error": {"message": "Unsupported parameter: 'seed'", "param": "seed"}}),
        (400, {"error": {"message": "use 'max_completion_tokens' instead of 'max_tokens'"}}),
        (422, {"detail": [{"loc": ["body", "chat_template_kwargs"], "msg": "Extra inputs"}]}),
        completion_body("Good day."),
        completion_body("Good day."),
    ]
    for _ in range(2):
        (found,) = answers(model, [say(max_tokens=9)])
        assert found.text == "Good day."
    last = server.bodies("/chat/completions")[-1]
    assert (len(server.seen), last["max_completion_tokens"]) == (5, 9)
    assert not {"seed", "max_tokens", "chat_template_kwargs"} & set(last)


def test_tokens_nobody_told_are_estimated(server: FakeOpenAIServer, model: RemoteModel) -> None:
    """Without usage the texts are counted, three bytes a token; counts written as floats or
    text are counts; nothing that stands for a count ends a run."""
    server.moods = [
        completion_body("Good day, how are you?"),
        completion_body("Hi.") | {"usage": {"prompt_tokens": 31.0, "completion_tokens": "4"}},
        completion_body("Hi.") | {"usage": {"prompt_tokens": None, "completion_tokens": [4]}},
        completion_body("Hi.") | {"usage": "none"},
    ]
    found = [answers(model, [say("x" * 30)])[0] for _ in range(4)]
    counts = [(one.tokens_in, one.tokens_out) for one in found]
    assert counts == [(10, 8), (31, 4), (10, 1), (10, 1)]
    server.moods = [chunks("Good day, ", "how are you?")]
    _, answer = streamed(model)
    assert answer.tokens_out == 8
    assert sum(cost.tokens_out for cost in model.ledger.take()) == 8 + 4 + 1 + 1 + 8


PING = b": ping\n\n"


@pytest.mark.parametrize(
    "raw",
    [
        chunks("Good ", "day."),
        chunks("Good ", "day.", end=b"data: [DONE]"),
        chunks("Good ", "day.", end=b'data: {"choices":[{"delta":{},"finish_reason":"stop"}]}'),
        PING + b"id: 1\n" + chunks("Good ", end=b"id: 2\n\n" + PING) + chunks("day."),
        b"retry: 10\n\nevent: ping\ndata:\n\n" + chunks("Good day."),
        chunks("Good ", "day.").replace(b"\n", b"\r\n"),
        chunks("Good ", "day.").replace(b"\n\n", b"\n"),
        chunks(
            {"role": "assistant"}, {"content": None}, "Good ", [{"type": "text", "text": "day."}]
        ),
        chunks({"reasoning_content": "Hm."}, {"reasoning": "Hm."}, "Good day."),
        chunks("<thi", "nk>Hm", ".</think>", "\n\n", "Good ", "day."),
        b'data: {"choices": []}\n\n' + chunks("Good day."),
    ],
)
def test_streams_that_are_whole(server: FakeOpenAIServer, model: RemoteModel, raw: bytes) -> None:
    """A stream is complete with its end mark or its reason; comments, ids, empty events, other
    line ends and reasoning do not disturb it, and the reader sees the answer alone."""
    server.moods = [raw]
    pieces, answer = streamed(model)
    assert ("".join(pieces), answer.kind) == ("Good day.", "completion")
    assert (answer.text, answer.stopped) == ("Good day.", "end")


def test_events_of_any_pieces() -> None:
    """Bytes may be cut anywhere, also amid a letter; other separators of lines are text."""
    raw = 'data: "a\u2028\u0085é"\r\n\r\ndata: 2\r\rdata: [DONE]\n\n'.encode()
    for size in (1, 2, 3, len(raw)):
        reader = SSEDecoder()
        found = [d for at in range(0, len(raw), size) for d in reader.feed(raw[at : at + size])]
        assert [*found, *reader.finish()] == ['"a\u2028\u0085é"', "2", "[DONE]"]


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (chunks("Good ", end=b""), "engine"),
        (chunks("Good ", end=b'data: {"error": {"message": "overloaded"}}\n\n'), "engine"),
        (chunks("Good ", end=b'data: {"error": {"message": "no", "code": 402}}\n\n'), "denied"),
        (chunks("Good ", end=b"data: {not json\n\n"), "engine"),
        (chunks({"refusal": "I cannot."}), "refused"),
        (chunks(""), "empty"),
    ],
)
def test_streams_that_are_not(
    server: FakeOpenAIServer, model: RemoteModel, raw: bytes, reason: str
) -> None:
    """What broke off, or brought no text, is Failed with its reason for whoever reads on."""
    server.moods = [raw]
    _, answer = streamed(model)
    assert (answer.kind, answer.reason) == ("failed", reason)


def test_a_server_that_does_not_stream(server: FakeOpenAIServer, model: RemoteModel) -> None:
    """An answer in one piece is told in one piece; a stop string ends one that goes on."""
    server.moods = [completion_body("Good day."), chunks("Good\n", "Bo: yes", end=b"")]
    pieces, answer = streamed(model)
    assert (pieces, answer.text) == (["Good day."], "Good day.")
    pieces, answer = streamed(model, stop=("\n",))
    assert (pieces, answer.text, answer.stopped) == (["Good"], "Good", "stop")


@pytest.mark.parametrize(
    ("mood", "reason"),
    [
        (401, "denied"),
        (402, "denied"),
        (403, "denied"),
        ((429, {"error": {"message": "quota", "code": "insufficient_quota"}}), "denied"),
        (404, "engine"),
        (503, "engine"),
        ("junk", "engine"),
        ({"choices": []}, "empty"),
        ({"choices": None}, "empty"),
        ({}, "empty"),
        ({"error": {"message": "Insufficient credits", "code": 402}}, "denied"),
        ({"error": "out of memory"}, "engine"),
        ({"choices": ["Good day."]}, "empty"),
        (completion_body(None), "empty"),
        (completion_body("  "), "empty"),
        (completion_body("", "length"), "limit"),
        (completion_body("Good", "content_filter"), "refused"),
        (completion_body(None, refusal="I cannot."), "refused"),
        ({"choices": [{"message": "Good day."}]}, "empty"),
    ],
)
def test_every_unusable_answer_has_a_reason(
    server: FakeOpenAIServer, model: RemoteModel, mood: Any, reason: str
) -> None:
    """Whatever a server sends instead of an answer is Failed with one of the known reasons."""
    server.moods = [mood]
    (found,) = answers(model, [say()])
    assert isinstance(found, Failed)
    assert (found.reason, bool(found.detail)) == (reason, True)


def test_probabilities_of_another_form(server: FakeOpenAIServer, model: RemoteModel) -> None:
    """Log-probabilities that are none do not change what was chosen."""
    for logprobs in ({"content": ["x"]}, {"content": [{"token": "x", "logprob": None}]}, [1], "no"):
        reply = completion_body('{"choice": "pond"}')
        reply["choices"][0]["logprobs"] = logprobs
        server.moods = ([404, 404] if not server.seen else []) + [reply]
        (found,) = answers(model, [pick()])
        assert found.probabilities == (0.0, 1.0, 0.0)


def test_a_begun_answer_may_be_whole(server: FakeOpenAIServer, model: RemoteModel) -> None:
    """Where the answer was begun there may be nothing left to say; a text of half characters
    can be sent."""
    server.moods = [completion_body("")]
    begun = (Message.of("user", "Hi \ud83d"), Message.of("assistant", "Good day."))
    (found,) = answers(model, [Generate(messages=begun)])
    assert (found.kind, found.text) == ("completion", "")
    assert server.bodies("/chat/completions")[0]["messages"][0]["content"] == "Hi \ufffd"
