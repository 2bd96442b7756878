"""A model behind an OpenAI-compatible server such as vLLM, SGLang, llama.cpp or Ollama."""

from __future__ import annotations

import weakref
from collections.abc import Collection, Sequence
from fnmatch import fnmatchcase
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from ...core import (
    Answer,
    Delta,
    Done,
    Failed,
    Json,
    ModelAsk,
    ModelError,
    ModelNotFound,
    Ticket,
    did_you_mean,
    library_versions,
)
from ..clients import EventInbox, UsageLedger
from ..files import require_kind
from .ask_handler import RemoteAskHandler, voice_name
from .chat_client import ChatClient, ServedModel
from .embeddings import LocalEmbeddings, ServerEmbeddings, TextEmbeddings
from .endpoint import ServerEndpoint, parse_endpoint
from .job_runner import AnyTask, JobRunner, RemoteJob
from .request_errors import DENIED_STATUSES, RequestError, RequestRejected
from .transport import OpenAITransport, RequestUsage, parse_count

SERVER_KINDS = {
    "vllm": "vllm",
    "sglang": "sglang",
    "llamacpp": "llamacpp",
    "library": "ollama",
    "organization_owner": "lmstudio",
}
MAX_NAMES = 20  # of models in an error message
NO_LIST_STATUSES = (404, 405, 501)  # of servers without a list of models, and of wrong addresses


def connect(
    name: str,
    *,
    device: str = "auto",
    embedder: str = "minilm",
    method: str = "auto",
    key: str | None = None,
    send_key: bool = True,
    voice: str | None = None,
) -> RemoteModel:
    """The model of a name such as ``openai:http://127.0.0.1:8000/v1#Qwen/Qwen3-8B``.

    Without ``#`` it is the server's only model. The key is ``key``, else that of OPENAI_API_KEY;
    ``send_key`` is False where a file chose the server (see ``resolve_credential``). ``embedder``
    is an embedder in this process, which runs on ``device``, or ``server`` or ``server:NAME`` for
    the server's own. ``method`` is the method of decisions (see ``RemoteDecider``). ``voice``: the
    name of an adapter that the server lists as a model, as vLLM does, for asks with the default
    voice. Raises SettingError, ModelError, ModelNotFound.
    """
    endpoint = parse_endpoint(name)
    kind, _, model_name = embedder.partition(":")
    if kind != "server":
        require_kind(embedder, "embedder")
    transport = OpenAITransport(endpoint, key, send_key=send_key)
    runner = JobRunner(endpoint.settings.concurrency, transport.close)
    voice = voice_name(voice or "")
    try:
        served = runner.call(_find_model(transport))
        if voice:
            runner.call(_require_listed(transport, voice))
    except ModelError:
        runner.close()
        raise
    embeddings: TextEmbeddings = LocalEmbeddings(embedder, device)
    if kind == "server":
        embeddings = ServerEmbeddings(transport, model_name or served.model)
    handler = RemoteAskHandler(ChatClient(transport, served), embeddings, method, voice)
    description: dict[str, Json] = {
        "name": f"openai:{endpoint.url}#{served.model}",
        "engine": "openai",
        "server": served.kind,
        "window": served.window,
        "embedder": embedder,
        "method": method,
        "voice": {"name": voice} if voice else None,
        "versions": library_versions("denizens", "openai", missing="not installed"),
    }
    return RemoteModel(runner, handler, description)


class RemoteModel:
    """Answers asks by a server. Created by ``connect``, which ``load_model`` calls.

    Each client may be used in a thread of its own. ``ledger`` records usage; the seconds of an ask
    are the time it was open, divided among the asks that were open at the same time. ``close`` is
    called when the model is garbage-collected or Python exits.
    """

    def __init__(
        self, runner: JobRunner, handler: RemoteAskHandler, description: dict[str, Json]
    ) -> None:
        self.ledger = UsageLedger()
        self._runner = runner
        self._handler = handler
        self._description = description
        self._finalizer = weakref.finalize(self, runner.close)

    def client(self) -> RemoteClient:
        """A new client."""
        return RemoteClient(self, self._runner, self._handler, self.ledger)

    def describe(self) -> dict[str, Json]:
        """Name, kind of server, window, embedder, versions; no key."""
        return dict(self._description)

    def load_voice(self, voice: str, folder: Path | None = None) -> None:
        """Warn about a voice that the server cannot have: a folder."""
        voice_name(voice if folder is None or not folder.is_dir() else str(folder))

    def close(self) -> None:
        """Abort all open asks, which become Failed, and close the connections."""
        self._finalizer()


class RemoteClient:
    """Sends asks as soon as they are submitted, up to the server's ``concurrency``."""

    def __init__(
        self, model: RemoteModel, runner: JobRunner, handler: RemoteAskHandler, ledger: UsageLedger
    ) -> None:
        self._model = model  # a reference, so that it is not closed while a client exists
        self._runner = runner
        self._handler = handler
        self._ledger = ledger
        self._arrivals: EventInbox[RemoteJob] = EventInbox()
        self._next = 0

    def submit(self, ask: ModelAsk, owner: str = "", priority: int = 0) -> Ticket:
        """Send an ask. Raises ModelError after ``close``."""
        if self._runner.closed:
            raise ModelError("the model's connection was closed; load the model again")
        self._next += 1
        ticket = self._next
        job = RemoteJob(
            priority,
            work=lambda: self._handler.answer(
                ask, lambda text: self._arrivals.deliver(ticket, Delta(ticket, text))
            ),
            on_done=partial(self._done, ticket, ask, owner),
        )
        self._arrivals.open[ticket] = job
        self._runner.submit(job)
        return ticket

    def cancel(self, ticket: Ticket) -> None:
        """Abort an ask; its connection is closed, which makes servers stop generating."""
        job = self._arrivals.open.pop(ticket, None)
        if job is not None:
            self._runner.cancel(job)

    def wait(self, timeout: float | None = None) -> Sequence[Delta | Done]:
        """The events that have arrived; waits for one while an ask is open."""
        return self._arrivals.wait(timeout)

    def _done(
        self, ticket: Ticket, ask: ModelAsk, owner: str, task: AnyTask | None, seconds: float
    ) -> None:
        """Record the usage and deliver the answer, or the error of either, to ``wait``. Runs on
        the event loop."""
        event: Done | BaseException
        try:
            event = Done(ticket, self._take_answer(ask, owner, task, seconds))
        except BaseException as error:  # noqa: BLE001  raised by the client's wait
            event = error
        self._arrivals.deliver(ticket, event)

    def _take_answer(
        self, ask: ModelAsk, owner: str, task: AnyTask | None, seconds: float
    ) -> Answer:
        """The answer of a finished task, whose usage is recorded. Raises the task's error."""
        if task is None or task.cancelled():
            return Failed(reason="engine", detail="the connection was closed")
        answer: Answer
        answer, usage = task.result()
        self._ledger.add(
            owner,
            ask.kind,
            ask.role,
            tokens_in=usage.tokens_in,
            tokens_out=usage.tokens_out,
            tokens_reused=usage.tokens_reused,
            seconds=seconds,
        )
        return answer


async def _find_model(transport: OpenAITransport) -> ServedModel:
    """The requested model of a server. Raises ModelError, ModelNotFound."""
    endpoint = transport.endpoint
    try:
        listed = await transport.models()
    except RequestRejected as error:
        # Some keys may use models but not list them.
        may_be_unlisted = (
            error.status == 403 and endpoint.model and not transport.credential.withheld
        )
        if error.status not in NO_LIST_STATUSES and not may_be_unlisted:
            remedy = "" if error.status in DENIED_STATUSES else "; check the address"
            raise ModelError(f"{error}{remedy}") from error
        if not endpoint.model:
            raise ModelError(
                f"{error}: it lists no models; name one: {endpoint}#NAME, or check the address; "
                "such addresses mostly end in /v1"
            ) from error
        await _check_chat(transport)
        return ServedModel(endpoint.model, "other")
    except RequestError as error:
        raise ModelError(
            f"{error}; start the server (for example: vllm serve MODEL --port 8000) or "
            "check the address"
        ) from error
    if not listed and endpoint.model:
        return ServedModel(endpoint.model, "other")
    return _select_model(endpoint, listed)


async def _require_listed(transport: OpenAITransport, voice: str) -> None:
    """Raises ModelNotFound for an adapter that the server does not list among its models."""
    try:
        names = {str(entry.get("id")) for entry in await transport.models()}
    except RequestError:
        return
    if names and voice not in names:
        raise ModelNotFound(
            f"{transport.endpoint.url} offers no voice '{voice}'{did_you_mean(voice, names)}; it "
            f"serves {_first_names(names)}; start it with the adapter (vLLM: --enable-lora "
            f"--lora-modules {voice}=FOLDER)"
        )


async def _check_chat(transport: OpenAITransport) -> None:
    """Send one chat request to a server that lists no models, so that a wrong address is reported
    at once. Raises ModelError; other errors are left to the asks."""
    hello = [{"role": "user", "content": "Hello"}]
    try:
        await transport.chat(
            {"model": transport.endpoint.model, "messages": hello, "max_tokens": 1}, RequestUsage()
        )
    except RequestRejected as error:
        if error.status == 403:
            raise ModelError(str(error)) from error
        if error.status in NO_LIST_STATUSES:
            raise ModelError(
                f"{error}; it answers neither /models nor /chat/completions for "
                f"'{transport.endpoint.model}': check the model's name and the address, which "
                "mostly ends in /v1"
            ) from error
    except RequestError:
        return


def _select_model(endpoint: ServerEndpoint, listed: Sequence[dict[str, Any]]) -> ServedModel:
    """The requested model among those that a server lists. Raises ModelNotFound."""
    entries = {str(entry.get("id")): entry for entry in listed}
    # Ollama lists models with a tag and accepts names without it.
    name = endpoint.model if endpoint.model in entries else f"{endpoint.model}:latest"
    if not endpoint.model and len(entries) == 1:
        name = next(iter(entries))
    if not endpoint.model and len(entries) > 1:
        raise ModelNotFound(
            f"{endpoint.url} serves several models ({_first_names(entries)}); name one: "
            f"{endpoint}#NAME"
        )
    if name not in entries and (wildcard := _wildcard_entry(endpoint.model, entries)):
        return ServedModel(
            endpoint.model, SERVER_KINDS.get(str(entries[wildcard].get("owned_by")), "other")
        )
    if name not in entries and not endpoint.model:
        raise ModelNotFound(f"{endpoint.url} lists no models; name one: {endpoint}#NAME")
    if name not in entries:
        raise ModelNotFound(
            f"{endpoint.url} serves no model '{endpoint.model}'"
            f"{did_you_mean(endpoint.model, entries)}; it serves {_first_names(entries)}"
        )
    entry = entries[name]
    meta = entry.get("meta")
    meta = meta if isinstance(meta, dict) else {}
    return ServedModel(
        name,
        SERVER_KINDS.get(str(entry.get("owned_by")), "other"),
        parse_count(entry.get("max_model_len")) or parse_count(meta.get("n_ctx")) or None,
        parse_count(meta.get("n_params")) or None,
    )


def _wildcard_entry(model: str, names: Collection[str]) -> str:
    """The listed name that covers an unlisted model: LiteLLM lists ``openai/*``, OpenRouter
    accepts ``NAME:nitro`` for NAME. Empty where there is none."""
    patterns = [
        name for name in names if "*" in name and name.strip("*") and fnmatchcase(model, name)
    ]
    base = model.rpartition(":")[0]
    return next(iter(patterns), base if base and base in names else "")


def _first_names(names: Collection[str]) -> str:
    """The first of many names, and the number of the others."""
    left = len(names) - MAX_NAMES
    return ", ".join(islice(names, MAX_NAMES)) + (f" and {left} more" if left > 0 else "")
