"""Habits of servers and gateways: how they say no, list models, end answers and tell chances."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from denizens.core import Choose, Generate, Message, ModelError, Option, Part, SettingError
from denizens.models.remote import connect
from denizens.models.remote.chat_completion import ReasoningFilter, SSEDecoder
from denizens.models.remote.client import RemoteModel
from denizens.models.remote.endpoint import parse_endpoint, resolve_credential
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
}
BO = '{"name": "Bo", "age": 7}'


@pytest.fixture
def server(server: FakeOpenAIServer) -> FakeOpenAIServer:
    """Of a kind that nobody knows."""
    server.models = [{"id": "toy", "owned_by": "somebody"}]
    return server


@pytest.fixture
def model(server: FakeOpenAIServer) -> Iterator[RemoteModel]:
    """Connected to it, without retries."""
    made = connect(f"openai:{server.url}?retries=0", embedder="server")
    yield made
    made.close()


def said_no(message: str, status: int = 400, **more: Any) -> tuple[int, Any]:
    return status, {"error": {"message": message, **more}}


@pytest.mark.parametrize(
    "refusal",
    [
        said_no("Request too large on tokens per minute: Limit 60, Requested 90", 413),
        (413, "<html>413 Request Entity Too Large</html>"),
        (422, {"error": "`inputs` tokens + `max_new_tokens` must be <= 40. Given: 90 and 64"}),
        (400, [{"error": {"message": "The input token count (90) exceeds the maximum number of"}}]),
    ],
)
def test_a_prompt_too_long_in_any_words(
    server: FakeOpenAIServer, model: RemoteModel, refusal: tuple[int, Any]
) -> None:
    """The prompt is sent again without what may be dropped, however the server says no."""
    parts = (Part("Keep this."), Part("Of less use.", drop=1))
    server.moods = [refusal]
    (found,) = answers(model, [Generate(messages=(Message("user", parts),))])
    assert found.dropped == ("Of less use.",)


def test_a_prompt_too_long_told_in_a_stream(server: FakeOpenAIServer, model: RemoteModel) -> None:
    """An error in a stream of status 200 is read like any other: the prompt is shortened."""
    error = {"message": "maximum context length is 60 tokens, you sent 90", "code": 400}
    parts = (Part("Keep this."), Part("Of less use.", drop=1))
    server.moods = [chunks(end=f"data: {json.dumps({'error': error})}\n\n".encode())]
    (found,) = answers(model, [Generate(messages=(Message("user", parts),), stream=True)])
    assert found.dropped == ("Of less use.",)


def test_passing_errors_in_a_good_status(server: FakeOpenAIServer) -> None:
    """An error that may pass is asked again also where the status says 200; others are not."""
    model = connect(f"openai:{server.url}?retries=1", embedder="server")
    busy = {"error": {"message": "Rate limited upstream", "code": 429}}
    broke = {"error": {"message": "Insufficient credits", "code": 402}}
    server.moods = [busy, 200, broke, busy, busy]
    found = [answers(model, [say()])[0] for _ in range(3)]
    assert found[0].text == "You said: hello"
    assert [one.reason for one in found[1:]] == ["denied", "engine"]
    assert len(server.seen) == 5
    model.close()


def test_a_flagged_prompt_is_no_matter_of_the_key(
    server: FakeOpenAIServer, model: RemoteModel
) -> None:
    """A 403 of a moderation filter is ``refused``, and names no key as the remedy."""
    server.moods = [said_no("Your input was flagged by moderation", 403)]
    (found,) = answers(model, [say()])
    assert (found.reason, "KEY" in found.detail) == ("refused", False)


def test_an_address_without_its_path_is_told(server: FakeOpenAIServer) -> None:
    """A server that answers any path with status 200 and an error is not taken for good."""
    server.listed = {"error": "Unexpected endpoint or method. (GET /models)"}
    server.moods = [{"error": "Unexpected endpoint or method. (POST /chat/completions)"}]
    with pytest.raises(ModelError, match="ends in /v1"):
        connect(f"openai:{server.url}#toy")


def test_models_that_are_listed_otherwise(server: FakeOpenAIServer) -> None:
    """Wildcards and variants of listed names are taken; a key that may not list may still ask;
    a long list is told in part."""
    server.models = [{"id": f"some/model-{n}"} for n in range(60)] + [{"id": "other/*"}]
    for name in ("other/gpt", "some/model-7:nitro"):
        model = connect(f"openai:{server.url}#{name}", embedder="server")
        answers(model, [say()])
        assert server.seen[-1][1]["model"] == name
        model.close()
    for name in ("another/gpt", "some/model-70:nitro"):
        with pytest.raises(ModelError, match=r"serves no model.*and 41 more"):
            connect(f"openai:{server.url}#{name}")
    server.status = 403
    connect(f"openai:{server.url}#toy").close()
    server.moods = [403]
    with pytest.raises(ModelError, match="answered 403"):
        connect(f"openai:{server.url}#toy")


@pytest.mark.parametrize(
    "refusal",
    [
        "The last message must be from the user: no prefill",
        "Assistant response prefill is incompatible with enable_thinking.",
    ],
)
def test_servers_that_go_on_with_nothing(
    server: FakeOpenAIServer, model: RemoteModel, refusal: str
) -> None:
    """Where a begun answer is refused the beginning is told in the question, from then on too."""
    begun = (Message.of("user", "Who are you?"), Message.of("assistant", "I am"))
    server.moods = [said_no(refusal)]
    server.reply = lambda said: "I am Bo." if said.endswith("I am") else "?"
    found = answers(model, [Generate(messages=begun)])
    found += answers(model, [Generate(messages=begun)])
    assert [one.text for one in found] == [" Bo.", " Bo."]
    assert [body["messages"][-1]["role"] for _, body, _ in server.seen] == [
        "assistant",
        "user",
        "user",
    ]


def test_templates_and_grammars_that_fail_with_500(
    server: FakeOpenAIServer, model: RemoteModel
) -> None:
    """A chat template's own error is a refusal of the turns, a grammar's one of the schema;
    so is a gateway's word that nobody takes the parameters."""
    turns = (Message.of("system", "Be Bo."), Message.of("user", "Hi"))
    server.moods = [said_no('raise_exception("System role not supported")', 500)]
    (found,) = answers(model, [Generate(messages=turns)])
    assert found.text == "You said: Be Bo.\nHi"
    server.reply = lambda said: BO
    for refusal in (
        said_no("Failed to convert JSON schema to grammar", 500),
        said_no("No endpoints found that can handle the requested parameters.", 404),
    ):
        server.moods = [refusal]
        (found,) = answers(model, [say(schema=PERSON)])
        assert found.data == {"name": "Bo", "age": 7}


def test_a_model_that_cannot_reason(server: FakeOpenAIServer) -> None:
    """A refusal of thinking is one of the field that switches it off."""
    server.models = [{"id": "toy", "owned_by": "library"}]
    model = connect(f"openai:{server.url}?retries=0", embedder="server")
    server.moods = [said_no('"toy" does not support thinking')]
    (found,) = answers(model, [say()])
    assert found.text == "You said: hello"
    assert ["reasoning_effort" in body for _, body, _ in server.seen] == [True, False]
    model.close()


@pytest.mark.parametrize("size", [1, 3, 500])
def test_marks_of_turns_are_no_text(size: int) -> None:
    """What templates write between turns, and whatever stands behind it, is not said."""
    for text, answer in [
        ("Good day.<|eot_id|>", "Good day."),
        ("Good day.<|im_end|>\n<|im_start|>user\nAnd you?", "Good day."),
        ("<|start_header_id|>assistant<|end_header_id|>\n\nGood day.", "Good day."),
        ("Good day.</s>\n", "Good day."),
        ("<s>Good</s> day.", "<s>Good</s> day."),
        ("<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant", ""),
        (
            "<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>final"
            "<|message|>Good day.<|return|>",
            "Good day.",
        ),
        ("<|START_THINKING|>Hm.<|END_THINKING|><|START_RESPONSE|>Hi.<|END_RESPONSE|>", "Hi."),
        ("Write `<|im_end|>` there.", "Write `<|im_end|>` there."),
        ("<|im_end|>\n<|im_start|>user\nAnd you?", ""),
    ]:
        reading = ReasoningFilter()
        shown = "".join(reading.feed(text[at : at + size]) for at in range(0, len(text), size))
        assert shown + reading.finish() == answer
        assert reading.text == answer


@pytest.mark.parametrize(
    ("finish", "outcome"),
    [
        ("MAX_TOKENS", "limit"),
        ("model_length", "limit"),
        ("STOP", "end"),
        ("abort", "engine"),
        ("SAFETY", "refused"),
    ],
)
def test_reasons_for_an_end(
    server: FakeOpenAIServer, model: RemoteModel, finish: str, outcome: str
) -> None:
    """A cut or aborted answer is no whole one, in whatever word the server says it."""
    server.moods = [completion_body("Good", finish)]
    (found,) = answers(model, [say()])
    assert (found.stopped if found.kind == "completion" else found.reason) == outcome


def test_streams_of_other_makes(server: FakeOpenAIServer, model: RemoteModel) -> None:
    """A byte order mark, the whole text beside each delta, and characters sent in halves."""
    so_far = [{"delta": {"content": "Good "}, "message": {"content": "Good "}}]
    so_far += [{"delta": {}, "message": {"content": "Good day"}}]
    repeats = [json.dumps({"choices": [{"index": 0, **one}]}) for one in so_far]
    for raw, text in [
        (b"\xef\xbb\xbf" + chunks("Good ", "day"), "Good day"),
        ("".join(f"data: {one}\n\n" for one in repeats).encode() + chunks("day"), "Good day"),
        (chunks("Hi \ud83d", "\ude00!"), "Hi \U0001f600!"),
        (chunks("Hi \ud83d", "you"), "Hi \ufffdyou"),
    ]:
        server.streams = [raw]
        shown, answer = streamed(model)
        assert ("".join(shown), answer.text) == (text, text)
    reader = SSEDecoder()
    pieces = [b"\xef", b"\xbb", b"\xbfda", b"ta: 1\n\n"]
    assert [data for piece in pieces for data in reader.feed(piece)] == ["1"]


@pytest.mark.parametrize("score", [None, float("nan"), -9999.0, 0.9])
def test_chances_that_are_none(server: FakeOpenAIServer, model: RemoteModel, score: Any) -> None:
    """Where a server knows no probabilities of what it wrote, what it wrote is chosen."""
    reply = completion_body('{"choice": "talk"}')
    top = [{"token": name, "logprob": score} for name in ("mill", "talk")]
    tokens = ['{"choice": "', "talk", '"}']
    content = [{"token": t, "logprob": score, "top_logprobs": top} for t in tokens]
    reply["choices"][0]["logprobs"] = {"content": content}
    server.moods = [404, 404, reply]
    ways = (Option("mill"), Option("pond"), Option("talk"))
    (found,) = answers(model, [Choose(messages=(), options=ways, about="grain")])
    assert found.probabilities == (0.0, 0.0, 1.0)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (json.dumps(BO), "Bo"),
        ('{"name": "Bo\nMarsh", "age": 7}', "Bo\nMarsh"),
        ('{"name": "Bo \\ud83d", "age": 7}', "Bo \ufffd"),
    ],
)
def test_json_of_small_models(
    server: FakeOpenAIServer, model: RemoteModel, text: str, name: str
) -> None:
    """JSON written as text once more, broken lines in strings and half characters are read."""
    server.moods = [completion_body(text)]
    (found,) = answers(model, [say(schema=PERSON)])
    assert found.data == {"name": name, "age": 7}


def test_a_redirect_carries_nothing_away(
    server: FakeOpenAIServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither words nor keys follow a server's word to another one; that one is to be named."""
    monkeypatch.setenv("OPENAI_ORG_ID", "org-mine")
    there = FakeOpenAIServer()
    for key in (None, "sk-made-for-it"):
        model = connect(f"openai:{server.url}?retries=0", embedder="server", key=key)
        server.moods = [(307, "", {"Location": f"{there.url}/chat/completions"})]
        (found,) = answers(model, [say("a secret")])
        assert (found.reason, there.url in found.detail) == ("engine", True)
        model.close()
    assert not there.seen
    there.close()


def test_keys_as_they_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """A key's last line break is no part of it; one that no header can hold is refused, and
    stands in no error."""
    for kept in ("sk-mine\n", " sk-mine ", "Bearer sk-mine"):
        monkeypatch.setenv("OPENAI_API_KEY", kept)
        assert resolve_credential("https://example.org/v1").key == "sk-mine"
    for odd in ("sk-mi\nne", "sk-míne", "sk-mi ne"):
        monkeypatch.setenv("OPENAI_API_KEY", odd)
        with pytest.raises(SettingError, match="copy it again") as found:
            resolve_credential("https://example.org/v1")
        assert "sk-" not in str(found.value)
    monkeypatch.setenv("OPENAI_API_KEY", " ")
    assert resolve_credential("https://example.org/v1").key == ""


def test_no_key_in_names_and_told_back(
    server: FakeOpenAIServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What stands behind the model's name is refused untold; a key that a server tells back
    inside a reply or a stream is in no answer."""
    with pytest.raises(SettingError, match="before the #") as found:
        parse_endpoint("openai:http://127.0.0.1:1/v1#toy?api_key=sk-mine-4711")
    assert "4711" not in str(found.value)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-mine-4711")
    model = connect(f"openai:{server.url}?retries=0", embedder="server")
    error = {"error": {"message": "no such key: sk-mine-4711", "code": 401}}
    server.moods = [error, chunks("Hi", end=f"data: {json.dumps(error)}\n\n".encode())]
    for failed in (answers(model, [say()])[0], streamed(model)[1]):
        assert (failed.reason, "4711" in failed.detail) == ("denied", False)
    model.close()


@pytest.mark.parametrize(
    "hosts", ["*", "a.example b.example", "a.example;b.example", "me@a.example"]
)
def test_lists_of_hosts_that_are_none(monkeypatch: pytest.MonkeyPatch, hosts: str) -> None:
    """What is no list of hosts agrees to nothing, and is told."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-mine")
    monkeypatch.setenv("DENIZENS_KEY_HOSTS", hosts)
    with pytest.raises(SettingError, match="separate hosts by commas"):
        resolve_credential("https://a.example/v1", send_key=False)
