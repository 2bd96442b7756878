"""A model behind an OpenAI-compatible server: vLLM, SGLang, llama.cpp, Ollama."""

from __future__ import annotations

import weakref
from collections.abc import Collection, Sequence
from fnmatch import fnmatchcase
from functools import partial
from itertools import islice
from typing import Any

from ...core import (
    Delta,
    Done,
    Failed,
    Json,
    ModelAsk,
    ModelError,
    ModelNotFound,
    Ticket,
    did_you_mean,
)
from ..clients import EventInbox, UsageLedger
from ..files import require_kind
from .ask_handler import RemoteAskHandler
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
MAX_NAMES = 20  # of a server's models in an error
NO_LIST_STATUSES = (404, 405, 501)  # a server or gateway that lists no models, or none at all


def connect(
    name: str,
    *,
    device: str = "auto",
    embedder: str = "minilm",
    method: str = "auto",
    key: str | None = None,
    send_key: bool = True,
) -> RemoteModel:
    """The model of a name like ``openai:http://127.0.0.1:8000/v1#Qwen/Qwen3-8B``.

    Without ``#`` the server's only model. The key is taken from OPENAI_API_KEY unless
    given; without ``send_key``, where a file and not the user chose the server, it stays here
    unless the environment agrees (``credential``). ``embedder`` minilm, or another in this
    process, which works on ``device``; ``server`` or ``server:NAME`` for the server's own
    embeddings. ``method``: see ``RemoteDecider``. Raises SettingError, ModelError, ModelNotFound.
    """
    place = parse_endpoint(name)
    own, _, other = embedder.partition(":")
    if own != "server":
        require_kind(embedder, "embedder")
    wire = OpenAITransport(place, key, send_key=send_key)
    workers = JobRunner(place.settings.concurrency, wire.close)
    try:
        served = workers.call(_find_model(wire))
    except ModelError:
        workers.close()
        raise
    vectoriser: TextEmbeddings = LocalEmbeddings(embedder, device)
    if own == "server":
        vectoriser = ServerEmbeddings(wire, other or served.model)
    asker = RemoteAskHandler(ChatClient(wire, served), vectoriser, method)
    about: dict[str, Json] = {
        "name": f"openai:{place.url}#{served.model}",
        "engine": "openai",
        "server": served.kind,
        "window": served.window,
        "embedder": embedder,
        "method": method,
        "versions": _versions(),
    }
    return RemoteModel(workers, asker, about)


class RemoteModel:
    """Answers asks by a server. Made by ``connect``; ``load_model`` calls it.

    Clients may be used from any thread each. What they cost goes to ``ledger``; a server
    tells no seconds, so they are the time an ask was open, shared out among those that
    were open with it. ``close`` is called when the model is collected or Python ends.
    """

    def __init__(self, workers: JobRunner, asker: RemoteAskHandler, about: dict[str, Json]) -> None:
        self.ledger = UsageLedger()
        self._runner = workers
        self._handler = asker
        self._description = about
        self._finalizer = weakref.finalize(self, workers.close)

    def client(self) -> RemoteClient:
        """A new mailbox."""
        return RemoteClient(self, self._runner, self._handler, self.ledger)

    def describe(self) -> dict[str, Json]:
        """Name, kind of server, window, embedder, versions; no key."""
        return dict(self._description)

    def close(self) -> None:
        """Break off what is open (it becomes Failed) and close the connections."""
        self._finalizer()


class RemoteClient:
    """A mailbox; what it submits is sent at once, as far as the server's width allows."""

    def __init__(
        self, model: RemoteModel, workers: JobRunner, asker: RemoteAskHandler, ledger: UsageLedger
    ) -> None:
        self._model = model  # kept, so that it is not collected and closed under its client
        self._runner = workers
        self._handler = asker
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
        """Forget an ask; its connection is closed, which makes servers stop."""
        job = self._arrivals.open.pop(ticket, None)
        if job is not None:
            self._runner.cancel(job)

    def wait(self, timeout: float | None = None) -> Sequence[Delta | Done]:
        """What has arrived; blocks for at least one event while anything is open."""
        return self._arrivals.wait(timeout)

    def _done(
        self, ticket: Ticket, ask: ModelAsk, owner: str, task: AnyTask | None, seconds: float
    ) -> None:
        """On the loop: enter the cost, put the answer into the mailbox."""
        event: Done | BaseException
        if task is None or task.cancelled():
            event = Done(ticket, Failed(reason="engine", detail="the connection was closed"))
        elif error := task.exception():
            event = error
        else:
            answer, cost = task.result()
            event = Done(ticket, answer)
            self._ledger.add(
                owner,
                ask.kind,
                ask.role,
                tokens_in=cost.tokens_in,
                tokens_out=cost.tokens_out,
                tokens_reused=cost.tokens_reused,
                seconds=seconds,
            )
        self._arrivals.deliver(ticket, event)


async def _find_model(wire: OpenAITransport) -> ServedModel:
    """The model wanted of a server. Raises ModelError, ModelNotFound."""
    place = wire.endpoint
    try:
        listed = await wire.models()
    except RequestRejected as refused:
        # Some keys may use a model and list none.
        unlisted = refused.status == 403 and place.model and not wire.credential.withheld
        if refused.status not in NO_LIST_STATUSES and not unlisted:
            remedy = "" if refused.status in DENIED_STATUSES else "; check the address"
            raise ModelError(f"{refused}{remedy}") from refused
        if not place.model:
            raise ModelError(
                f"{refused}: it lists no models; name one: {place}#NAME, or check the address; "
                "such addresses mostly end in /v1"
            ) from refused
        await _check_chat(wire)
        return ServedModel(place.model, "other")
    except RequestError as fault:
        raise ModelError(
            f"{fault}; start the server (for example: vllm serve MODEL --port 8000) or "
            "check the address"
        ) from fault
    if not listed and place.model:
        return ServedModel(place.model, "other")
    return _select_model(place, listed)


async def _check_chat(wire: OpenAITransport) -> None:
    """Whether a server that lists no models answers chats: an address that is merely wrong is
    told at once. What else goes wrong is told by the asks. Raises ModelError."""
    hello = [{"role": "user", "content": "Hello"}]
    try:
        await wire.chat(
            {"model": wire.endpoint.model, "messages": hello, "max_tokens": 1}, RequestUsage()
        )
    except RequestRejected as refused:
        if refused.status == 403:
            raise ModelError(str(refused)) from refused
        if refused.status in NO_LIST_STATUSES:
            raise ModelError(
                f"{refused}; it answers neither /models nor /chat/completions for "
                f"'{wire.endpoint.model}': check the model's name and the address, which mostly "
                "ends in /v1"
            ) from refused
    except RequestError:
        return


def _select_model(place: ServerEndpoint, listed: Sequence[dict[str, Any]]) -> ServedModel:
    """The model wanted of those a server lists. Raises ModelNotFound."""
    known = {str(one.get("id")): one for one in listed}
    # Ollama lists its models with a tag and takes them without.
    wanted = place.model if place.model in known else f"{place.model}:latest"
    if not place.model and len(known) == 1:
        wanted = next(iter(known))
    if not place.model and len(known) > 1:
        raise ModelNotFound(
            f"{place.url} serves several models ({_first_names(known)}); name one: {place}#NAME"
        )
    if wanted not in known and (family := _wildcard_entry(place.model, known)):
        return ServedModel(
            place.model, SERVER_KINDS.get(str(known[family].get("owned_by")), "other")
        )
    if wanted not in known:
        raise ModelNotFound(
            f"{place.url} serves no model '{place.model}'{did_you_mean(place.model, known)}; it "
            f"serves {_first_names(known)}"
            if place.model
            else f"{place.url} lists no models; name one: {place}#NAME"
        )
    found = known[wanted]
    meta = found.get("meta")
    meta = meta if isinstance(meta, dict) else {}
    return ServedModel(
        wanted,
        SERVER_KINDS.get(str(found.get("owned_by")), "other"),
        parse_count(found.get("max_model_len")) or parse_count(meta.get("n_ctx")) or None,
        parse_count(meta.get("n_params")) or None,
    )


def _wildcard_entry(model: str, known: Collection[str]) -> str:
    """The entry of a list that stands for a model not listed by itself: LiteLLM lists
    ``openai/*``, OpenRouter takes ``NAME:nitro`` for NAME. Empty when there is none."""
    alike = [one for one in known if "*" in one and one.strip("*") and fnmatchcase(model, one)]
    base = model.rpartition(":")[0]
    return next(iter(alike), base if base and base in known else "")


def _first_names(names: Collection[str]) -> str:
    """The first names of a list that may be long."""
    left = len(names) - MAX_NAMES
    return ", ".join(islice(names, MAX_NAMES)) + (f" and {left} more" if left > 0 else "")


def _versions() -> Json:
    from importlib.metadata import PackageNotFoundError, version

    versions: dict[str, Json] = {}
    for package in ("denizens", "openai"):
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = "not installed"
    return versions
