"""A fake server of the OpenAI protocol, with many failure modes."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from denizens.core import Delta, Done, Generate, Message, ModelAsk, answer_all


def tokens_of(text: str) -> list[str]:
    """The pretended tokenizer: words with the blank before them, and marks."""
    return re.findall(r"\s?\w+|\s?[^\w\s]|\s", text)


def words(text: str) -> set[str]:
    return set(re.findall(r"\w+", text.lower()))


class FakeOpenAIServer:
    """A server on a port of its own. ``moods`` are what the next requests get instead of an
    answer: a status, with a body and headers if need be, "hang", "drop", "break", "junk", JSON,
    or the bytes of a stream; ``streams`` are what the next that ask for a stream get. ``listed`` is
    sent in place of the list of models. It likes words it has met: their log-probability is
    -0.5, others' -5."""

    def __init__(self) -> None:
        self.moods: list[Any] = []
        self.streams: list[bytes] = []
        self.listed: Any = None
        self.seen: list[tuple[str, dict[str, Any], dict[str, str]]] = []
        self.models: list[dict[str, Any]] = [{"id": "toy", "owned_by": "vllm"}]
        self.echo = self.prompt_logprobs = False
        self.logprobs = self.tells_usage = True
        self.status = 200  # of the list of models
        self.window = 10_000
        self.delay = 0.0
        self.reply: Callable[[str], str] = lambda said: f"You said: {said}"
        self.open = self.most = self.broken = 0
        self.lock = threading.Lock()
        self.release = threading.Event()
        handler = type("Handler", (Handler,), {"pretender": self})
        self.http = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.http.daemon_threads = True
        self.thread = threading.Thread(target=self.http.serve_forever, args=(0.02,))
        self.thread.start()
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}/v1"

    def close(self) -> None:
        self.release.set()
        self.http.shutdown()
        self.http.server_close()
        self.thread.join()

    def bodies(self, path: str) -> list[dict[str, Any]]:
        return [body for where, body, _ in self.seen if where == path]

    def chat(self, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        said = "\n".join(message["content"] for message in body["messages"])
        count = len(tokens_of(said))
        if count + body["max_tokens"] > self.window:
            text = f"This model's maximum context length is {self.window} tokens. However, "
            text += f"you requested {count + body['max_tokens']} tokens."
            return 400, {"error": {"message": text}}
        if body.get("logprobs") and not self.logprobs:
            return 400, {"error": {"message": "logprobs are not supported"}}
        choice: dict[str, Any] = {"index": 0, "finish_reason": "stop"}
        text = self.reply(body["messages"][-1]["content"])
        if "response_format" in body:
            text, choice = self.bound(body, said, choice)
        written = tokens_of(text)
        if len(written) > body["max_tokens"]:
            written, choice["finish_reason"] = written[: body["max_tokens"]], "length"
        choice["message"] = {"role": "assistant", "content": "".join(written)}
        usage = {"prompt_tokens": count, "completion_tokens": len(written)}
        usage["prompt_tokens_details"] = {"cached_tokens": count // 2}  # type: ignore[assignment]
        return 200, {"choices": [choice], "usage": usage if self.tells_usage else None}

    def bound(
        self, body: dict[str, Any], said: str, choice: dict[str, Any]
    ) -> tuple[str, dict[str, Any]]:
        """A reply bound to an enum: the label whose line in the menu shares most words with
        the rest. The first token decides and has the candidates' probabilities."""
        if body["response_format"]["type"] == "json_object":
            return self.reply(said), choice
        schema = body["response_format"]["json_schema"]["schema"]
        name, rule = next(iter(schema.get("properties", {"": {}}).items()))
        if "enum" not in rule:
            return self.reply(said), choice
        lines = dict(re.findall(r"^- (.+?)(?:: (.*))?$", said, re.MULTILINE))
        named = re.search("It is about: (.*)", said)
        about = words(named.group(1) if named else re.sub("(?m)^- .*$", "", said))
        fit = {label: len(words(lines.get(label, label)) & about) for label in rule["enum"]}
        best = max(fit, key=lambda label: fit[label])
        text = json.dumps({name: best})
        if body.get("logprobs"):
            before = text[: text.rindex(best)]
            top = [{"token": label + '"', "logprob": float(n - 9)} for label, n in fit.items()]
            here = {"token": best + '"', "logprob": fit[best] - 9.0, "top_logprobs": top}
            first = {"token": before, "logprob": -0.1, "top_logprobs": []}
            choice = {**choice, "logprobs": {"content": [first, here]}}
        return text, choice

    def complete(self, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        tokens = tokens_of(body["prompt"])
        scores: list[float | None] = [None]
        for place in range(1, len(tokens)):
            met = words("".join(tokens[:place]))
            scores.append(-0.5 if words(tokens[place]) <= met else -5.0)
        choice: dict[str, Any] = {"text": " so", "finish_reason": "length"}
        if body.get("echo"):
            if not self.echo:
                return 400, {"error": {"message": "Only no echo is supported"}}
            choice["logprobs"] = {"tokens": [*tokens, " so"], "token_logprobs": [*scores, -1.0]}
        if "prompt_logprobs" in body and self.prompt_logprobs:
            tables = [{"7": {"logprob": s, "decoded_token": t}} for s, t in zip(scores, tokens)]
            choice["prompt_logprobs"] = [None, *tables[1:]]
        return 200, {"choices": [choice], "usage": {"prompt_tokens": len(tokens)}}


class Handler(BaseHTTPRequestHandler):
    pretender: FakeOpenAIServer
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        whole = {"object": "list", "data": self.pretender.models}
        listed = self.pretender.listed
        self.send(self.pretender.status, whole if listed is None else listed)

    def do_POST(self) -> None:
        own = self.pretender
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with own.lock:
            own.seen.append(
                (
                    self.path.removeprefix("/v1"),
                    body,
                    {k.lower(): v for k, v in self.headers.items()},
                )
            )
            own.open += 1
            own.most = max(own.most, own.open)
            mood = own.moods.pop(0) if own.moods else 200
        try:
            time.sleep(own.delay)
            self.react(mood, body)
        except ConnectionError:
            own.broken += 1
        finally:
            with own.lock:
                own.open -= 1

    def react(self, mood: Any, body: dict[str, Any]) -> None:
        own = self.pretender
        if own.streams and body.get("stream"):
            mood = own.streams.pop(0)
        if mood == "hang":
            own.release.wait(30)
        if mood in ("hang", "drop"):
            self.close_connection = True
        elif isinstance(mood, bytes):
            self.begin_stream()
            self.wfile.write(mood)
        elif isinstance(mood, dict):
            self.send(200, mood)
        elif isinstance(mood, tuple):
            self.send(*mood[:2], **(mood[2] if len(mood) > 2 else {}))
        elif mood == "junk":
            self.send(200, "<html>not what you think</html>")
        elif isinstance(mood, int) and mood != 200:
            self.send(mood, {"error": {"message": f"no, key {self.headers['authorization']}"}})
        elif self.path.endswith("/embeddings"):
            rows = [{"index": i, "embedding": [3.0, 4.0 * i]} for i in range(len(body["input"]))]
            self.send(200, {"data": rows[::-1], "usage": {"prompt_tokens": 5}})
        elif self.path.endswith("/chat/completions"):
            status, found = own.chat(body)
            if body.get("stream") and status == 200:
                self.stream(found, broken=mood == "break")
            else:
                self.send(status, found)
        else:
            self.send(*own.complete(body))

    def send(self, status: int, found: Any, **headers: str) -> None:
        data = (found if isinstance(found, str) else json.dumps(found)).encode()
        self.send_response(status)
        kind = "text/html" if isinstance(found, str) else "application/json"
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Retry-After-Ms", "20")  # or each retried test takes seconds
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def begin_stream(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        self.close_connection = True

    def stream(self, found: dict[str, Any], broken: bool) -> None:
        self.begin_stream()
        choice = found["choices"][0]
        pieces = tokens_of(choice["message"]["content"])
        for place, piece in enumerate(pieces):
            if broken and place == len(pieces) // 2:
                return
            self.event({"choices": [{"index": 0, "delta": {"content": piece}}]})
        end = {"index": 0, "delta": {}, "finish_reason": choice["finish_reason"]}
        self.event({"choices": [end]})
        self.event({"choices": [], "usage": found["usage"]})
        self.wfile.write(b"data: [DONE]\n\n")

    def event(self, data: dict[str, Any]) -> None:
        self.wfile.write(f"data: {json.dumps(data)}\n\n".encode())
        self.wfile.flush()


def say(text: str = "hello", **settings: Any) -> Generate:
    return Generate(messages=(Message.of("user", text),), **settings)


def answers(model: Any, asks: Sequence[ModelAsk]) -> list[Any]:
    """The answers of asks submitted together, in their order."""
    return answer_all(model.client(), asks, ["Bo"] * len(asks))


def streamed(model: Any, **settings: Any) -> tuple[list[str], Any]:
    """The pieces that a reader is shown of a stream, and the answer."""
    client = model.client()
    client.submit(say(stream=True, **settings), "Bo")
    events: list[Delta | Done] = []
    while found := client.wait():
        events += found
    answer = next(event.answer for event in events if isinstance(event, Done))
    return [event.text for event in events if isinstance(event, Delta)], answer


def completion_body(content: Any, finish: str | None = "stop", **message: Any) -> dict[str, Any]:
    """A chat completion as servers send it, without counts of tokens."""
    whole = {"role": "assistant", "content": content, **message}
    return {"choices": [{"index": 0, "message": whole, "finish_reason": finish}]}


def chunks(*deltas: Any, end: bytes = b"data: [DONE]\n\n") -> bytes:
    """A stream of deltas (a text is its content), and what ends it."""
    out = b""
    for delta in deltas:
        own = {"content": delta} if isinstance(delta, str | list) else delta
        chunk = {"choices": [{"index": 0, "delta": own, "finish_reason": None}]}
        out += f"data: {json.dumps(chunk)}\n\n".encode()
    return out + end


def wait_until(true: Callable[[], bool]) -> None:
    """Wait, at most ten seconds, for what another thread brings about."""
    end = time.monotonic() + 10
    while not true() and time.monotonic() < end:
        time.sleep(0.01)
    assert true()
