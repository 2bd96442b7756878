"""What of the OpenAI protocol a server turns out not to take.

Requests to an OpenAI-compatible server, and what its errors mean for an ask.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Iterable
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib import import_module
from typing import TYPE_CHECKING, Any
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

if TYPE_CHECKING:
    from collections.abc import Iterator

log = logging.getLogger(__name__)

# Fields that an answer can do without, and whether leaving one out changes what comes: then it
# is told. A name that is a word of English counts only in quotes.
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
# Told of a model that cannot reason, or cannot be kept from it.
REASONING_REFUSED = re.compile(
    r"support\w* (?:thinking|reasoning)\b|\b(?:thinking|reasoning) (?:is|cannot)\b", re.IGNORECASE
)
PAIRED_FIELDS = ({"logprobs", "top_logprobs"}, {"continue_final_message", "add_generation_prompt"})
JSON_FORMATS = ("json_schema", "json_object", "")
"""How JSON is asked for, the strictest first: bound to a schema, as any object, in words."""


class ServerDialect:
    """Remembers what one server refused, so that it is asked only once with it.

    ``format`` is the strictest of FORMATS that it takes."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._omitted: set[str] = set()
        self._renamed = False
        self.format = 0

    def adapt(self, fields: dict[str, Any]) -> dict[str, Any]:
        """A request's fields as this server takes them."""
        kept = {key: value for key, value in fields.items() if key not in self._omitted}
        if self._renamed and "max_tokens" in kept:
            kept["max_completion_tokens"] = kept.pop("max_tokens")
        return kept

    def learn_refusal(self, refused: RequestRejected, sent: dict[str, Any]) -> bool:
        """Whether a refusal names a field of what was sent that can be left out or renamed."""
        if not refused.is_adaptable:
            return False
        said = str(refused)
        if "max_tokens" in sent and "max_completion_tokens" in said:
            self._renamed = True
            return True
        named = {name for name in OPTIONAL_FIELDS if name in sent and _names_field(said, name)}
        if "reasoning_effort" in sent and REASONING_REFUSED.search(said):
            named.add("reasoning_effort")
        for pair in PAIRED_FIELDS:
            if named & pair:
                named |= pair & set(sent)
        self._warn(named - self._omitted)
        self._omitted |= named
        return bool(named)

    def learn_format(self, level: int, refused: RequestRejected | None) -> None:
        """JSON came by FORMATS[level] after a stricter one was refused: for good, unless the
        server said nothing of the format, for then it may be this one schema."""
        if refused is None or level <= self.format:
            return
        about = re.search(
            r"response_format|json_schema|json_object|json schema|requested parameters",
            str(refused),
        )
        if about or refused.status == 422:
            self.format = level
            log.warning(
                "%s takes no JSON schemas (%s); JSON is asked for %s and checked here",
                self._address,
                str(refused)[-160:],
                "as any object" if JSON_FORMATS[level] else "in words",
            )

    def _warn(self, names: Iterable[str]) -> None:
        for name in sorted(names):
            if OPTIONAL_FIELDS[name]:
                log.warning("%s takes no '%s'; it is left out from now on", self._address, name)


def _names_field(said: str, name: str) -> bool:
    if "_" in name or name == "logprobs":
        return name in said
    return re.search(rf"""["'`]{name}["'`]""", said) is not None


TOO_LONG_PATTERN = re.compile(
    r"exceed_context|context (size|length|window)|maximum (context|model) length|"
    r"max_model_len|prompt is too long|input is too long|longer than the model|"
    r"input token count|maximum number of tokens|inputs?` (tokens|must have less)",
    re.IGNORECASE,
)
# A request that a server will not take as it is, told as something else than a 400.
ADAPTABLE_PATTERNS = {
    404: re.compile("handle the requested parameters", re.IGNORECASE),
    500: re.compile(
        "raise_exception|jinja|chat template|roles must alternate|system role|grammar|json.schema",
        re.IGNORECASE,
    ),
}
MODERATION_PATTERN = re.compile(r"moderation|flagged|content policy", re.IGNORECASE)
NO_ROUTE_PATTERN = re.compile(r"unexpected endpoint|not found", re.IGNORECASE)
RETRY_STATUSES = (408, 409, 429)  # and 5xx: asking again may help
LIMIT_PATTERN = re.compile(r"context (?:size|length|window)\D{0,24}(\d+)", re.IGNORECASE)


@dataclass(slots=True)
class RequestUsage:
    """Tokens that an ask's requests took, all together. ``estimated``: some were counted here
    by the text, for the server does not tell them."""

    tokens_in: int = 0
    tokens_out: int = 0
    tokens_reused: int = 0
    estimated: bool = False

    def add(self, usage: Any, sent: str, written: str) -> None:
        """Enter a reply's ``usage``; what the server leaves out is estimated by the texts, for
        a cap must hold all the same."""
        usage = usage if isinstance(usage, dict) else {}
        details = usage.get("prompt_tokens_details")
        details = details if isinstance(details, dict) else {}
        read, wrote = (
            parse_count(usage.get("prompt_tokens")),
            parse_count(usage.get("completion_tokens")),
        )
        self.estimated |= not read and not wrote
        self.tokens_in += read or estimate_tokens(sent)
        self.tokens_out += wrote or estimate_tokens(written)
        self.tokens_reused += parse_count(details.get("cached_tokens")) or 0


def parse_count(value: object) -> int | None:
    """A count as servers write it: some send whole numbers as 31.0 or as text.

    >>> parse_count(31.0), parse_count("31"), parse_count(True), parse_count(-1), parse_count(None)
    (31, 31, None, None, None)
    """
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 20:
        value = int(value)
    return value if isinstance(value, int) and value >= 0 and not isinstance(value, bool) else None


def estimate_tokens(text: str) -> int:
    """About how many tokens a text has: one for three bytes, which is rather too many for
    English (about four) and right where a character has three.

    >>> estimate_tokens("Good day!"), estimate_tokens("")
    (3, 0)
    """
    return -(-len(text.encode("utf-8", "replace")) // 3)


def import_openai() -> Any:
    """The ``openai`` package. Raises ModelError naming the extra that brings it."""
    try:
        import_module("jsonschema")  # comes with the same extra
        return import_module("openai")
    except ImportError as error:
        raise ModelError(
            f"a server is reached through the package '{error.name}', which is not installed; "
            "run: pip install 'denizens[openai]'"
        ) from error


class OpenAITransport:
    """A server's endpoints. Its methods run on one event loop and raise RequestError.

    The SDK tries again by itself; this adds the bound on requests at once, the time that one
    may take, and what the server's dialect lacks. The key of ``resolve_credential`` stands in no
    error.
    """

    def __init__(
        self, name: ServerEndpoint, key: str | None = None, *, send_key: bool = True
    ) -> None:
        self._sdk = import_openai()
        self.endpoint = name
        self.dialect = ServerDialect(name.url)
        self.credential = resolve_credential(name.url, key, send_key=send_key)
        # A proxy for the world outside knows nothing of servers on this machine.
        outside = not is_loopback(urlsplit(name.url).hostname or "")
        # Followed to another server, a redirect would carry words and keys to whom nobody named.
        http = self._sdk.DefaultAsyncHttpxClient(
            trust_env=outside,
            follow_redirects=False,
            event_hooks={"request": [self._authorize]},
        )
        self._http_errors = _transport_errors(http)
        try:
            self._client: Any = self._sdk.AsyncOpenAI(
                base_url=name.url,
                api_key=self.credential.key or "none",
                timeout=self._sdk.Timeout(name.settings.timeout, connect=10.0),
                max_retries=name.settings.retries,
                http_client=http,
            )
        except self._http_errors as error:
            raise SettingError(f"model '{name}': {error}; mend its address") from error
        self._semaphore = asyncio.Semaphore(name.settings.concurrency)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def models(self) -> list[dict[str, Any]]:
        """What the server serves. One retry only: somebody waits for it."""
        client = self._client.with_options(max_retries=min(1, self.endpoint.settings.retries))
        found = await self._request(lambda: client.get("/models", cast_to=object), 30.0)
        if isinstance(found, dict) and "data" not in found and found.get("error"):
            raise self._error_of_body(found["error"])
        # Some gateways send the list itself, some the names alone.
        listed = found if isinstance(found, list) else self._json(found).get("data")
        listed = listed if isinstance(listed, list) else []
        named = [{"id": one} if isinstance(one, str) else one for one in listed]
        return [one for one in named if isinstance(one, dict) and one.get("id")]

    async def chat(self, fields: dict[str, Any], cost: RequestUsage) -> dict[str, Any]:
        """A chat completion's JSON."""
        return await self._send_adapted(
            fields, lambda body: self._post("chat/completions", body, cost)
        )

    async def complete(self, fields: dict[str, Any], cost: RequestUsage) -> dict[str, Any]:
        """A plain completion's JSON."""
        return await self._post("completions", fields, cost)

    async def embed(self, model: str, texts: list[str], cost: RequestUsage) -> list[list[float]]:
        """The vectors of texts, as the server made them."""
        # Not base64, the SDK's default: only some servers know it.
        whole = [replace_surrogates(text) for text in texts]
        fields = {"model": model, "input": whole, "encoding_format": "float"}
        found = await self._post("embeddings", fields, cost)
        listed = found.get("data")
        rows = [row for row in listed if isinstance(row, dict)] if isinstance(listed, list) else []
        if len(rows) != len(texts):
            raise RequestError(
                "engine", f"{self.endpoint.url} sent {len(rows)} vectors for {len(texts)}"
            )
        places = [parse_count(row.get("index")) for row in rows]
        if sorted(place for place in places if place is not None) == list(range(len(rows))):
            rows.sort(key=lambda row: parse_count(row.get("index")) or 0)
        return [row.get("embedding") or [] for row in rows]

    async def stream(
        self, fields: dict[str, Any], cost: RequestUsage, on_text: Callable[[str], bool]
    ) -> dict[str, Any]:
        """A chat completion whose text is told piece by piece; the JSON that ``chat`` gives.
        ``measure_text_facts`` returns whether that was enough.

        When the connection is lost before the first piece it is tried again, later not:
        what was told cannot be taken back."""
        told: list[str] = []

        def tell(text: str) -> bool:
            told.append(text)
            return on_text(text)

        last = self.endpoint.settings.retries
        for attempt in range(last + 1):
            try:
                return await self._send_adapted(
                    fields,
                    lambda body: self._request(
                        lambda: self._read_stream(body, cost, tell), self.endpoint.settings.timeout
                    ),
                )
            except (RequestRejected, PromptTooLong):
                raise
            except RequestError:
                if told or attempt == last:
                    raise
            await _pause(attempt)
        raise AssertionError("the last attempt returns or raises")

    async def _read_stream(
        self, fields: dict[str, Any], cost: RequestUsage, tell: Callable[[str], bool]
    ) -> dict[str, Any]:
        client = self._client.with_options(max_retries=0)
        extra = {key: value for key, value in fields.items() if key not in ("model", "messages")}
        reader = ChatStreamReader(self.endpoint.url, tell, self._error_of_body)
        async with client.chat.completions.with_streaming_response.create(
            model=fields["model"], messages=fields["messages"], stream=True, extra_body=extra
        ) as response:
            if "json" in response.headers.get("content-type", ""):
                # A server that does not stream answers in one piece.
                found = self._json(await response.json())
                if found.get("error") and not found.get("choices"):
                    raise self._error_of_body(found["error"])
                cost.add(found.get("usage"), _request_text(fields), _reply_text(found))
                tell(message_text(_first_message(found))[0])
                return found
            told = cost.estimated
            try:
                return await reader.read(response.iter_bytes())
            finally:
                if reader.written or reader.done:
                    cost.add(reader.usage, _request_text(fields), reader.written)
                # Of a stream that was broken off a server could tell no counts.
                cost.estimated = told or (cost.estimated and reader.done and not reader.stopped)

    async def _send_adapted(
        self, fields: dict[str, Any], send: Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]
    ) -> dict[str, Any]:
        """Send fields as the server's dialect has them, and learn from its refusals."""
        while True:
            body = self.dialect.adapt(fields)
            try:
                return await send(body)
            except RequestRejected as refused:
                if not self.dialect.learn_refusal(refused, body):
                    raise

    async def _post(self, path: str, fields: dict[str, Any], cost: RequestUsage) -> dict[str, Any]:
        found: dict[str, Any] = await self._request(
            lambda: self._post_retrying(path, fields), self.endpoint.settings.timeout
        )
        cost.add(found.get("usage"), _request_text(fields), _reply_text(found))
        return found

    async def _post_retrying(self, path: str, fields: dict[str, Any]) -> dict[str, Any]:
        """A reply's JSON. Gateways tell some errors in a reply of status 200: those that may
        pass are asked again, as the SDK does with others."""
        last = self.endpoint.settings.retries
        for attempt in range(last + 1):
            reply = await self._client.post(f"/{path}", body=fields, cast_to=object)
            found = self._json(reply)
            error = found.get("error")
            if not error or found.get("choices") or found.get("data"):
                return found
            status = error_status(error)
            if attempt == last or not (status in RETRY_STATUSES or status >= 500):
                raise self._error_of_body(error)
            await _pause(attempt)
        raise AssertionError("the last attempt returns or raises")

    async def _request(self, call: Callable[[], Awaitable[Any]], seconds: float) -> Any:
        """A reply, or the RequestError that its error means."""
        async with self._semaphore:
            with self._translated_errors(seconds):
                async with asyncio.timeout(seconds):
                    return await call()

    def _json(self, reply: Any) -> dict[str, Any]:
        # The SDK hands on text where a server sends something else than JSON.
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
            detail = f"{self.endpoint.url} gave no answer within {seconds:g} s"
            raise RequestError("engine", detail) from error
        except self._sdk.APIStatusError as error:
            raise self._error_of_response(error) from error
        except (self._sdk.APIConnectionError, *self._http_errors) as error:
            cause = error.__cause__
            detail = f"{self.endpoint.url} cannot be reached: {cause or error}"
            raise RequestError("engine", self._redacted(detail)) from error
        except (self._sdk.OpenAIError, ValueError) as error:
            # Not the JSON that the protocol promises, or an error amid a stream.
            detail = f"{self.endpoint.url} sent what cannot be read: {error}"
            raise RequestError("engine", self._redacted(detail)) from error

    def _error_of_response(self, error: Any) -> RequestError:
        status = int(error.status_code)
        if 300 <= status < 400:
            there = self._redacted(error.response.headers.get("location", "another address"))
            detail = f"{self.endpoint.url} sends requests on to {there}; name that address yourself"
            return RequestRejected(status, detail)
        body = error.body
        if isinstance(body, list) and body and isinstance(body[0], dict):
            body = body[0].get("error")  # Gemini's
        body = body if isinstance(body, dict) else {}
        said = self._redacted(str(body.get("message") or body or error.response.text or error))
        # OpenAI tells apart from its words which field it means, and why it says 429.
        said += "".join(f" ('{body[key]}')" for key in ("param", "code") if body.get(key))
        return self._error_of_status(status, said)

    def _error_of_body(self, error: object) -> RequestError:
        """The RequestError of an error inside a reply of status 200."""
        status = error_status(error)
        said = error.get("message") if isinstance(error, dict) else error
        said = self._redacted(str(said or error))
        if not status:
            detail = f"the server answered with an error: {said}"
            return (
                RequestRejected(404, detail)
                if NO_ROUTE_PATTERN.search(said)
                else RequestError("engine", detail)
            )
        return self._error_of_status(status, said)

    def _error_of_status(self, status: int, said: str) -> RequestError:
        """The RequestError of a status and of the server's words."""
        detail = f"{self.endpoint.url} answered {status}: {said}"
        if status == 413 or (status in (400, 422) and TOO_LONG_PATTERN.search(said)):
            return PromptTooLong(detail, _fitting_share(said))
        if status in ADAPTABLE_PATTERNS and ADAPTABLE_PATTERNS[status].search(said):
            return RequestRejected(400, detail)
        if status == 403 and MODERATION_PATTERN.search(said):
            return RequestRejected(status, detail, "refused")
        if status in (401, 403):
            detail = f"{detail}; {self.credential.remedy}"
        if status == 402:
            detail = f"{detail}; the server wants to be paid: top up the account of your key"
        return error_from_status(status, detail)

    def redact(self, failed: Failed) -> Failed:
        """A failure without the key, which a server may have told back."""
        return replace(failed, detail=self._redacted(failed.detail, 2000))

    def _redacted(self, text: str, most: int = 400) -> str:
        secret = self.credential.key
        text = text.replace(secret, "***") if secret else text
        return text if len(text) <= most else text[: most - 3] + "..."


async def _pause(attempt: int) -> None:
    """Wait before the next attempt, longer each time."""
    await asyncio.sleep(min(0.5 * 2**attempt, 8.0))


def _transport_errors(http: Any) -> tuple[type[Exception], ...]:
    """What the SDK's HTTP library raises amid a stream, where the SDK does not translate it."""
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
    """All text of a reply, reasoning too."""
    message = _first_message(reply)
    told = [message.get(name) for name in ("reasoning_content", "reasoning")]
    texts = [text for text in told if isinstance(text, str)][:1]
    return "".join((*texts, message_text(message)[0]))


def _fitting_share(said: str) -> float | None:
    """How much of a prompt fits, by the numbers in the server's refusal.

    >>> round(_fitting_share("maximum context length is 4096 tokens. However, you requested 8192"),
    2)
    0.5
    """
    limit = LIMIT_PATTERN.search(said)
    if limit is None:
        return None
    fits = int(limit.group(1))
    # What is a hundred times the window is an id of the request, no count of tokens.
    most = max(count for found in re.findall(r"\d+", said) if (count := int(found)) < 100 * fits)
    return fits / most if most > fits else None
