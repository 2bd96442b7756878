"""Requests to an OpenAI-compatible server, and what its errors mean for an ask."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Awaitable, Callable
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ..core import Failed, ModelError
from .remote_name import ServerName

if TYPE_CHECKING:
    from collections.abc import Iterator

LOOPBACK = ("127.0.0.1", "::1", "localhost")
TOO_LONG = re.compile(
    r"exceed_context|context (size|length|window)|maximum (context|model) length|"
    r"max_model_len|prompt is too long|input is too long|longer than the model",
    re.IGNORECASE,
)
LIMIT = re.compile(r"context (?:size|length|window)\D{0,24}(\d+)", re.IGNORECASE)


class Fault(Exception):
    """A request that brought no answer, with the answer that its ask is to get."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.failed = Failed(reason=reason, detail=detail)


class Refused(Fault):
    """The server will not have this request (4xx, 501): asking again is of no use."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__("engine", detail)
        self.status = status


class TooLong(Fault):
    """The prompt does not fit. ``share``: how much of it would, where the server says."""

    def __init__(self, detail: str, share: float | None) -> None:
        super().__init__("context_too_long", detail)
        self.share = share


@dataclass(slots=True)
class Cost:
    """Tokens that an ask's requests took, all together."""

    tokens_in: int = 0
    tokens_out: int = 0
    reused: int = 0

    def add(self, usage: Any) -> None:
        """Enter a reply's ``usage``, as far as the server tells it."""
        usage = usage if isinstance(usage, dict) else {}
        details = usage.get("prompt_tokens_details") or {}
        self.tokens_in += usage.get("prompt_tokens") or 0
        self.tokens_out += usage.get("completion_tokens") or 0
        self.reused += details.get("cached_tokens") or 0


def first_choice(reply: dict[str, Any]) -> dict[str, Any]:
    """The first of a reply's choices. Raises Fault when there is none."""
    choices = reply.get("choices")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        raise Fault("engine", f"the server's reply has no choices: {str(reply)[:200]}")
    found: dict[str, Any] = choices[0]
    return found


def sdk() -> Any:
    """The ``openai`` package. Raises ModelError naming the extra that brings it."""
    try:
        import_module("jsonschema")  # comes with the same extra
        return import_module("openai")
    except ImportError as error:
        raise ModelError(
            f"a server is reached through the package '{error.name}', which is not installed; "
            "run: pip install 'denizens[openai]'"
        ) from error


class Wire:
    """A server's endpoints. Its methods run on one event loop and raise Fault.

    The SDK tries again by itself; this adds the bound on requests at once and the time
    that one may take. ``key`` is sent with each request and stands in no error.
    """

    def __init__(self, name: ServerName, key: str | None = None) -> None:
        self._sdk = sdk()
        self.name = name
        self._key = key or os.environ.get("OPENAI_API_KEY") or "none"
        # A proxy for the world outside knows nothing of servers on this machine.
        outside = urlsplit(name.url).hostname not in LOOPBACK
        self._client: Any = self._sdk.AsyncOpenAI(
            base_url=name.url,
            api_key=self._key,
            timeout=self._sdk.Timeout(name.settings.timeout, connect=10.0),
            max_retries=name.settings.retries,
            http_client=self._sdk.DefaultAsyncHttpxClient(trust_env=outside),
        )
        self._gate = asyncio.Semaphore(name.settings.concurrency)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def models(self) -> list[dict[str, Any]]:
        """What the server serves. One retry only: somebody waits for it."""
        client = self._client.with_options(max_retries=min(1, self.name.settings.retries))
        found = await self._asked(client.models.list, 30.0)
        return [one for one in found.get("data") or [] if isinstance(one, dict)]

    async def chat(self, fields: dict[str, Any], cost: Cost) -> dict[str, Any]:
        """A chat completion's JSON."""
        return await self._post(self._client.chat.completions.create, fields, cost)

    async def complete(self, fields: dict[str, Any], cost: Cost) -> dict[str, Any]:
        """A plain completion's JSON."""
        return await self._post(self._client.completions.create, fields, cost)

    async def embed(self, model: str, texts: list[str], cost: Cost) -> list[list[float]]:
        """The vectors of texts, as the server made them."""
        # Not base64, the SDK's default: only some servers know it.
        fields = {"model": model, "input": texts, "encoding_format": "float"}
        found = await self._post(self._client.embeddings.create, fields, cost)
        rows = sorted(found.get("data") or [], key=lambda row: int(row.get("index", 0)))
        if len(rows) != len(texts):
            raise Fault("engine", f"{self.name.url} sent {len(rows)} vectors for {len(texts)}")
        return [row["embedding"] for row in rows]

    async def stream(
        self, fields: dict[str, Any], cost: Cost, on_text: Callable[[str], None]
    ) -> dict[str, Any]:
        """A chat completion whose text is told piece by piece; the JSON that ``chat`` gives.

        When the connection is lost before the first piece it is tried again, later not:
        what was told cannot be taken back."""
        told: list[str] = []

        def tell(text: str) -> None:
            told.append(text)
            on_text(text)

        last = self.name.settings.retries
        for attempt in range(last + 1):
            try:
                return await self._asked(
                    lambda: self._read_stream(fields, cost, tell), self.name.settings.timeout
                )
            except (Refused, TooLong):
                raise
            except Fault:
                if told or attempt == last:
                    raise
            await asyncio.sleep(min(0.5 * 2**attempt, 8.0))
        raise AssertionError("the last attempt returns or raises")

    async def _read_stream(
        self, fields: dict[str, Any], cost: Cost, tell: Callable[[str], None]
    ) -> dict[str, Any]:
        client = self._client.with_options(max_retries=0)
        wanted = {**fields, "stream": True, "stream_options": {"include_usage": True}}
        texts: list[str] = []
        ending: dict[str, Any] = {}
        usage: Any = None
        async with await client.chat.completions.create(**wanted) as chunks:
            async for chunk in chunks:
                found = self._json(chunk)
                usage = found.get("usage") or usage
                for choice in found.get("choices") or []:
                    text = (choice.get("delta") or {}).get("content")
                    if text:
                        texts.append(text)
                        tell(text)
                    if choice.get("finish_reason"):
                        ending = choice
        if not ending:
            raise Fault("engine", f"{self.name.url} broke off its answer")
        cost.add(usage)
        return {"choices": [{**ending, "message": {"content": "".join(texts)}}], "usage": usage}

    async def _post(
        self, call: Callable[..., Awaitable[Any]], fields: dict[str, Any], cost: Cost
    ) -> dict[str, Any]:
        found = await self._asked(lambda: call(**fields), self.name.settings.timeout)
        cost.add(found.get("usage"))
        return found

    async def _asked(self, call: Callable[[], Awaitable[Any]], seconds: float) -> dict[str, Any]:
        """A reply's JSON, or the Fault that its error means."""
        async with self._gate:
            with self._told_faults(seconds):
                async with asyncio.timeout(seconds):
                    return self._json(await call())

    def _json(self, reply: Any) -> dict[str, Any]:
        # The SDK hands on text where a server sends something else than JSON.
        found = reply.to_dict() if hasattr(reply, "to_dict") else reply
        if not isinstance(found, dict):
            raise Fault("engine", f"{self.name.url} answered {type(found).__name__}, not JSON")
        return found

    @contextmanager
    def _told_faults(self, seconds: float) -> Iterator[None]:
        try:
            yield
        except TimeoutError as error:
            detail = f"{self.name.url} gave no answer within {seconds:g} s"
            raise Fault("engine", detail) from error
        except self._sdk.APIStatusError as error:
            raise self._of_status(error) from error
        except self._sdk.APIConnectionError as error:
            cause = error.__cause__
            detail = f"{self.name.url} cannot be reached: {cause or error}"
            raise Fault("engine", self._clean(detail)) from error
        except (self._sdk.OpenAIError, ValueError) as error:
            # Not the JSON that the protocol promises, or an error amid a stream.
            detail = f"{self.name.url} sent what cannot be read: {error}"
            raise Fault("engine", self._clean(detail)) from error

    def _of_status(self, error: Any) -> Fault:
        status = int(error.status_code)
        told = error.body.get("message") if isinstance(error.body, dict) else None
        said = self._clean(str(told or error))
        detail = f"{self.name.url} answered {status}: {said}"
        if status in (400, 413, 422) and TOO_LONG.search(said):
            return TooLong(detail, _share(said))
        final = status == 501 or (status < 500 and status not in (408, 409, 429))
        return Refused(status, detail) if final else Fault("engine", detail)

    def _clean(self, text: str) -> str:
        secret = self._key if self._key != "none" else None
        text = text.replace(secret, "***") if secret else text
        return text if len(text) <= 400 else text[:397] + "..."


def _share(said: str) -> float | None:
    """How much of a prompt fits, by the numbers in the server's refusal.

    >>> round(_share("maximum context length is 4096 tokens. However, you requested 8192"), 2)
    0.5
    """
    limit = LIMIT.search(said)
    if limit is None:
        return None
    fits = int(limit.group(1))
    # What is a hundred times the window is an id of the request, no count of tokens.
    most = max(count for found in re.findall(r"\d+", said) if (count := int(found)) < 100 * fits)
    return fits / most if most > fits else None
