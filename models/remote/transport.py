"""Requests to an OpenAI-compatible server: retries, unsupported fields, errors, token counts."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib import import_module
from typing import Any
from urllib.parse import urlsplit

from ...core import Failed, ModelError, SettingError, replace_surrogates
from .chat_completion import ChatStreamReader, error_status, message_of_choice, message_text
from .endpoint import ServerEndpoint, is_loopback, resolve_credential, strip_ambient_headers
from .request_errors import (
    PromptTooLong,
    RequestError,
    RequestRejected,
    UnusableReply,
    error_from_status,
)

log = logging.getLogger(__name__)

# Fields that can be omitted where a server rejects them. True: this changes answers, so that it is
# logged.
OPTIONAL_FIELDS = {
    "stream_options": False,
    "logprobs": False,
    "top_logprobs": False,
    "chat_template_kwargs": False,
    "reasoning_effort": False,
    "continue_final_message": False,
    "add_generation_prompt": False,
    "stop": False,  # applied here as well
    "seed": True,
    "top_k": True,
    "min_p": True,
    "top_p": True,
    "temperature": True,
    "repetition_penalty": True,
    "repeat_penalty": True,
}
# Errors about models that cannot reason, or that always reason.
REASONING_REFUSED = re.compile(
    r"support\w* (?:thinking|reasoning)\b|\b(?:thinking|reasoning) (?:is|cannot)\b", re.IGNORECASE
)
PAIRED_FIELDS = ({"logprobs", "top_logprobs"}, {"continue_final_message", "add_generation_prompt"})
JSON_FORMATS = ("json_schema", "json_object", "")
"""Types of ``response_format``, the strictest first: a schema, any object, or none (the prompt
asks for JSON)."""


class ServerDialect:
    """Remembers which fields and formats a server rejected, so that each is tried only once.

    ``format`` is the index in JSON_FORMATS of the strictest one that the server accepts.
    """

    def __init__(self, address: str) -> None:
        self._address = address
        self._omitted: set[str] = set()
        self._renamed = False
        self.format = 0

    def adapt(self, fields: dict[str, Any]) -> dict[str, Any]:
        """The fields of a request without those that the server rejects."""
        adapted = {key: value for key, value in fields.items() if key not in self._omitted}
        if self._renamed and "max_tokens" in adapted:
            adapted["max_completion_tokens"] = adapted.pop("max_tokens")
        return adapted

    def learn_refusal(self, error: RequestRejected, sent: dict[str, Any]) -> bool:
        """Learn from an error; whether it names a field that can be omitted or renamed."""
        if not error.is_adaptable:
            return False
        message = str(error)
        if "max_tokens" in sent and "max_completion_tokens" in message:
            self._renamed = True
            return True
        rejected = {
            name for name in OPTIONAL_FIELDS if name in sent and _names_field(message, name)
        }
        if "reasoning_effort" in sent and REASONING_REFUSED.search(message):
            rejected.add("reasoning_effort")
        for pair in PAIRED_FIELDS:
            if rejected & pair:
                rejected |= pair & set(sent)
        self._warn(rejected - self._omitted)
        self._omitted |= rejected
        return bool(rejected)

    def learn_format(self, level: int, error: RequestRejected | None) -> None:
        """Learn that JSON_FORMATS[level] works where a stricter one failed with ``error``.

        Only an error about the format is remembered: others may concern the one schema.
        """
        if error is None or level <= self.format:
            return
        names_format = re.search(
            r"response_format|json_schema|json_object|json schema|requested parameters", str(error)
        )
        if names_format or error.status == 422:
            self.format = level
            log.warning(
                "%s rejects JSON schemas (%s); JSON is requested %s and validated here",
                self._address,
                str(error)[-160:],
                "as any object" if JSON_FORMATS[level] else "in the prompt",
            )

    def _warn(self, names: Iterable[str]) -> None:
        for name in sorted(names):
            if OPTIONAL_FIELDS[name]:
                log.warning(
                    "%s rejects the field '%s', which is omitted from now on", self._address, name
                )


def _names_field(message: str, name: str) -> bool:
    """Whether an error message names a field; English words count only in quotes."""
    if "_" in name or name == "logprobs":
        return name in message
    return re.search(rf"""["'`]{name}["'`]""", message) is not None


TOO_LONG_PATTERN = re.compile(
    r"exceed_context|context (size|length|window)|maximum (context|model) length|"
    r"max_model_len|prompt is too long|input is too long|longer than the model|"
    r"input token count|maximum number of tokens|inputs?` (tokens|must have less)",
    re.IGNORECASE,
)
# Errors by which servers reject a request that could be adapted, with a status other than 400.
ADAPTABLE_PATTERNS = {
    404: re.compile("handle the requested parameters", re.IGNORECASE),
    500: re.compile(
        "raise_exception|jinja|chat template|roles must alternate|system role|grammar|json.schema",
        re.IGNORECASE,
    ),
}
MODERATION_PATTERN = re.compile(r"moderation|flagged|content policy", re.IGNORECASE)
NO_ROUTE_PATTERN = re.compile(r"unexpected endpoint|not found", re.IGNORECASE)
LIMIT_PATTERN = re.compile(r"context (?:size|length|window)\D{0,24}(\d+)", re.IGNORECASE)


@dataclass(slots=True)
class RequestUsage:
    """The tokens of all requests of one ask. ``estimated``: some counts are estimates, since the
    server reports none."""

    tokens_in: int = 0
    tokens_out: int = 0
    tokens_reused: int = 0
    estimated: bool = False

    def add(self, usage: Any, sent: str, written: str) -> None:
        """Add the ``usage`` of a reply. Missing counts are estimated from the texts, so that token
        budgets hold for every server."""
        usage = usage if isinstance(usage, dict) else {}
        details = usage.get("prompt_tokens_details")
        details = details if isinstance(details, dict) else {}
        tokens_in, tokens_out = (
            parse_count(usage.get("prompt_tokens")),
            parse_count(usage.get("completion_tokens")),
        )
        self.estimated |= not tokens_in and not tokens_out
        self.tokens_in += tokens_in or estimate_tokens(sent)
        self.tokens_out += tokens_out or estimate_tokens(written)
        self.tokens_reused += parse_count(details.get("cached_tokens")) or 0


def parse_count(value: object) -> int | None:
    """A count in a reply: some servers send integers as 31.0 or as text. None for other values.

    >>> parse_count(31.0), parse_count("31"), parse_count(True), parse_count(-1), parse_count(None)
    (31, 31, None, None, None)
    """
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 20:
        value = int(value)
    return value if isinstance(value, int) and value >= 0 and not isinstance(value, bool) else None


def estimate_tokens(text: str) -> int:
    """An estimate of the tokens of a text: one per three bytes. That is too many for English (about
    four bytes each), and right for scripts with three bytes per character.

    >>> estimate_tokens("Good day!"), estimate_tokens("")
    (3, 0)
    """
    return -(-len(text.encode("utf-8", "replace")) // 3)


def import_openai() -> Any:
    """The ``openai`` package. Raises ModelError, with the extra to install, where it is missing."""
    try:
        return import_module("openai")
    except ImportError as error:
        raise ModelError(
            f"a server is reached through the package '{error.name}', which is not installed; "
            "run: pip install 'denizens[openai]'"
        ) from error


class OpenAITransport:
    """The HTTP endpoints of a server. Its methods run on one event loop and raise RequestError.

    Adds to the SDK, which retries by itself: a limit on concurrent requests, a timeout, adaptation
    to what the server supports, and errors without the key.
    """

    def __init__(
        self, endpoint: ServerEndpoint, key: str | None = None, *, send_key: bool = True
    ) -> None:
        self._sdk = import_openai()
        self.endpoint = endpoint
        self.dialect = ServerDialect(endpoint.url)
        self.credential = resolve_credential(endpoint.url, key, send_key=send_key)
        # A proxy cannot reach servers on this machine.
        is_remote = not is_loopback(urlsplit(endpoint.url).hostname or "")
        # A redirect would send prompts and the key to a server that the user did not name.
        http = self._sdk.DefaultAsyncHttpxClient(
            trust_env=is_remote, follow_redirects=False, event_hooks={"request": [self._authorize]}
        )
        self._http_errors = _transport_errors(http)
        try:
            self._client: Any = self._sdk.AsyncOpenAI(
                base_url=endpoint.url,
                api_key=self.credential.key or "none",
                timeout=self._sdk.Timeout(endpoint.settings.timeout, connect=10.0),
                max_retries=endpoint.settings.retries,
                http_client=http,
            )
        except self._http_errors as error:
            raise SettingError(f"model '{endpoint}': {error}; correct its address") from error
        self._semaphore = asyncio.Semaphore(endpoint.settings.concurrency)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def models(self) -> list[dict[str, Any]]:
        """The models that the server lists. Retried once only, since loading waits for it."""
        client = self._client.with_options(max_retries=min(1, self.endpoint.settings.retries))
        reply = await self._request(lambda: client.get("/models", cast_to=object), 30.0)
        if isinstance(reply, dict) and "data" not in reply and reply.get("error"):
            raise self._error_of_body(reply["error"])
        # Some gateways send the bare list, some only the names.
        listed = reply if isinstance(reply, list) else self._json(reply).get("data")
        listed = listed if isinstance(listed, list) else []
        entries = [{"id": entry} if isinstance(entry, str) else entry for entry in listed]
        return [entry for entry in entries if isinstance(entry, dict) and entry.get("id")]

    async def chat(self, fields: dict[str, Any], usage: RequestUsage) -> dict[str, Any]:
        """The JSON of a chat completion."""
        return await self._send_adapted(
            fields, lambda body: self._post("chat/completions", body, usage)
        )

    async def complete(self, fields: dict[str, Any], usage: RequestUsage) -> dict[str, Any]:
        """The JSON of a text completion."""
        return await self._post("completions", fields, usage)

    async def embed(self, model: str, texts: list[str], usage: RequestUsage) -> list[list[float]]:
        """The embeddings of texts, in their order."""
        # Few servers support base64, the SDK's default.
        inputs = [replace_surrogates(text) for text in texts]
        fields = {"model": model, "input": inputs, "encoding_format": "float"}
        reply = await self._post("embeddings", fields, usage)
        listed = reply.get("data")
        rows = [row for row in listed if isinstance(row, dict)] if isinstance(listed, list) else []
        if len(rows) != len(texts):
            raise RequestError(
                "engine", f"{self.endpoint.url} sent {len(rows)} vectors for {len(texts)}"
            )
        indices = [parse_count(row.get("index")) for row in rows]
        if sorted(index for index in indices if index is not None) == list(range(len(rows))):
            rows.sort(key=lambda row: parse_count(row.get("index")) or 0)
        return [row.get("embedding") or [] for row in rows]

    async def stream(
        self, fields: dict[str, Any], usage: RequestUsage, on_text: Callable[[str], bool]
    ) -> dict[str, Any]:
        """The JSON of a streamed chat completion. ``on_text`` gets the text as it arrives, and
        returns True to stop.

        A lost connection is retried only before the first text, since text cannot be taken back.
        """
        emitted = False

        def emit(text: str) -> bool:
            nonlocal emitted
            emitted = True
            return on_text(text)

        async def send(body: dict[str, Any]) -> dict[str, Any]:
            seconds = self.endpoint.settings.timeout
            reply: dict[str, Any] = await self._request(
                lambda: self._read_stream(body, usage, emit), seconds
            )
            return reply

        return await self._retry(
            lambda: self._send_adapted(fields, send),
            lambda error: not (emitted or isinstance(error, RequestRejected | PromptTooLong)),
        )

    async def _read_stream(
        self, fields: dict[str, Any], usage: RequestUsage, on_text: Callable[[str], bool]
    ) -> dict[str, Any]:
        client = self._client.with_options(max_retries=0)
        extra = {key: value for key, value in fields.items() if key not in ("model", "messages")}
        reader = ChatStreamReader(self.endpoint.url, on_text, self._error_of_body)
        async with client.chat.completions.with_streaming_response.create(
            model=fields["model"], messages=fields["messages"], stream=True, extra_body=extra
        ) as response:
            if "json" in response.headers.get("content-type", ""):
                # The server does not stream.
                reply = self._json(await response.json())
                if reply.get("error") and not reply.get("choices"):
                    raise self._error_of_body(reply["error"])
                usage.add(reply.get("usage"), _request_text(fields), _reply_text(reply))
                on_text(message_text(_first_message(reply))[0])
                return reply
            was_estimated = usage.estimated
            try:
                return await reader.read(response.iter_bytes())
            finally:
                if reader.written or reader.done:
                    usage.add(reader.usage, _request_text(fields), reader.written)
                # An aborted stream has no counts; that says nothing about the server.
                usage.estimated = was_estimated or (
                    usage.estimated and reader.done and not reader.stopped
                )

    async def _send_adapted(
        self, fields: dict[str, Any], send: Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]
    ) -> dict[str, Any]:
        """Send the fields that the server supports; retry without those that it rejects."""
        while True:
            body = self.dialect.adapt(fields)
            try:
                return await send(body)
            except RequestRejected as error:
                if not self.dialect.learn_refusal(error, body):
                    raise

    async def _post(self, path: str, fields: dict[str, Any], usage: RequestUsage) -> dict[str, Any]:
        reply: dict[str, Any] = await self._request(
            lambda: self._retry(
                lambda: self._post_once(path, fields), lambda error: error.is_transient
            ),
            self.endpoint.settings.timeout,
        )
        usage.add(reply.get("usage"), _request_text(fields), _reply_text(reply))
        return reply

    async def _post_once(self, path: str, fields: dict[str, Any]) -> dict[str, Any]:
        """The JSON of a reply. Some gateways send errors with status 200."""
        body = self._json(await self._client.post(f"/{path}", body=fields, cast_to=object))
        error = body.get("error")
        if not error or body.get("choices") or body.get("data"):
            return body
        raise self._error_of_body(error)

    async def _retry(
        self,
        call: Callable[[], Awaitable[dict[str, Any]]],
        may_retry: Callable[[RequestError], bool],
    ) -> dict[str, Any]:
        """Call again after errors that ``may_retry`` accepts, with exponential backoff."""
        for attempt in range(self.endpoint.settings.retries):
            try:
                return await call()
            except RequestError as error:
                if not may_retry(error):
                    raise
            await asyncio.sleep(min(0.5 * 2**attempt, 8.0))
        return await call()

    async def _request(self, call: Callable[[], Awaitable[Any]], seconds: float) -> Any:
        """Call within the limits of concurrency and time; errors are raised as RequestError."""
        async with self._semaphore:
            with self._translated_errors(seconds):
                async with asyncio.timeout(seconds):
                    return await call()

    def _json(self, reply: Any) -> dict[str, Any]:
        # The SDK returns text where a server sends something other than JSON.
        if not isinstance(reply, dict):
            detail = f"{self.endpoint.url} answered {type(reply).__name__}, not a JSON object"
            raise UnusableReply("engine", detail)
        return reply

    async def _authorize(self, request: Any) -> None:
        if not self.credential.ambient:
            strip_ambient_headers(request.headers, self.credential.key or "none")

    @contextmanager
    def _translated_errors(self, seconds: float) -> Iterator[None]:
        try:
            yield
        except TimeoutError as error:
            detail = f"{self.endpoint.url} did not answer within {seconds:g} s"
            raise RequestError("engine", detail) from error
        except self._sdk.APIStatusError as error:
            raise self._error_of_response(error) from error
        except (self._sdk.APIConnectionError, *self._http_errors) as error:
            cause = error.__cause__
            detail = f"{self.endpoint.url} cannot be reached: {cause or error}"
            raise RequestError("engine", self._redacted(detail)) from error
        except (self._sdk.OpenAIError, ValueError) as error:
            # Not the JSON of the protocol, or an error within a stream.
            detail = f"{self.endpoint.url} sent an unreadable reply: {error}"
            raise RequestError("engine", self._redacted(detail)) from error

    def _error_of_response(self, error: Any) -> RequestError:
        status = int(error.status_code)
        if 300 <= status < 400:
            location = self._redacted(error.response.headers.get("location", "another address"))
            detail = f"{self.endpoint.url} redirects to {location}; use that address"
            return RequestRejected(status, detail)
        body = error.body
        if isinstance(body, list) and body and isinstance(body[0], dict):
            body = body[0].get("error")  # the form of Gemini
        body = body if isinstance(body, dict) else {}
        message = self._redacted(str(body.get("message") or body or error.response.text or error))
        # OpenAI sends the rejected field, and the reason of a 429, outside the message.
        message += "".join(f" ('{body[key]}')" for key in ("param", "code") if body.get(key))
        return self._error_of_status(status, message)

    def _error_of_body(self, error: object) -> RequestError:
        """The error for an error object in a reply of status 200."""
        status = error_status(error)
        message = error.get("message") if isinstance(error, dict) else error
        message = self._redacted(str(message or error))
        if not status:
            detail = f"the server answered with an error: {message}"
            return (
                RequestRejected(404, detail)
                if NO_ROUTE_PATTERN.search(message)
                else RequestError("engine", detail)
            )
        return self._error_of_status(status, message)

    def _error_of_status(self, status: int, message: str) -> RequestError:
        """The error for an HTTP status and the server's message."""
        detail = f"{self.endpoint.url} answered {status}: {message}"
        if status == 413 or (status in (400, 422) and TOO_LONG_PATTERN.search(message)):
            return PromptTooLong(detail, _fitting_share(message))
        if status in ADAPTABLE_PATTERNS and ADAPTABLE_PATTERNS[status].search(message):
            return RequestRejected(400, detail)
        if status == 403 and MODERATION_PATTERN.search(message):
            return RequestRejected(status, detail, "refused")
        if status in (401, 403):
            detail = f"{detail}; {self.credential.remedy}"
        if status == 402:
            detail = f"{detail}; the account of your key has no credit: top it up"
        return error_from_status(status, detail)

    def redact(self, failed: Failed) -> Failed:
        """The failure without the key, which a server may repeat in its message."""
        return replace(failed, detail=self._redacted(failed.detail, 2000))

    def _redacted(self, text: str, max_length: int = 400) -> str:
        secret = self.credential.key
        text = text.replace(secret, "***") if secret else text
        return text if len(text) <= max_length else text[: max_length - 3] + "..."


def _transport_errors(http: Any) -> tuple[type[Exception], ...]:
    """The errors of the SDK's HTTP library, which the SDK does not translate within a stream."""
    for base in type(http).__mro__:
        library = base.__module__.partition(".")[0]
        if library.startswith("httpx"):
            module = import_module(library)
            return (module.HTTPError, module.StreamError, module.InvalidURL)
    return ()


def _request_text(fields: dict[str, Any]) -> str:
    """All text of a request."""
    texts = [str(message.get("content") or "") for message in fields.get("messages") or []]
    texts += [fields["prompt"]] if "prompt" in fields else fields.get("input", [])
    return "\n".join(texts)


def _first_message(reply: dict[str, Any]) -> dict[str, Any]:
    choices = reply.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else {}
    return message_of_choice(choice if isinstance(choice, dict) else {})


def _reply_text(reply: dict[str, Any]) -> str:
    """All text of a reply, including reasoning."""
    message = _first_message(reply)
    reasoning = [message.get(name) for name in ("reasoning_content", "reasoning")]
    texts = [text for text in reasoning if isinstance(text, str)][:1]
    return "".join((*texts, message_text(message)[0]))


def _fitting_share(message: str) -> float | None:
    """The fraction of a prompt that fits, from the numbers in the server's message; None where it
    has none.

    >>> round(_fitting_share("maximum context length is 4096 tokens. You requested 8192"), 2)
    0.5
    """
    limit = LIMIT_PATTERN.search(message)
    if limit is None:
        return None
    window = int(limit.group(1))
    # A number a hundred times the window is an id of the request, not a count of tokens.
    tokens = max(
        count for digits in re.findall(r"\d+", message) if (count := int(digits)) < 100 * window
    )
    return window / tokens if tokens > window else None
