"""A model in this process that answers many asks at once."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from time import monotonic

from ..core import (
    DEFAULT_VOICE,
    Answer,
    ContextTooLong,
    Delta,
    Done,
    Embed,
    Failed,
    Json,
    ModelAsk,
    Ticket,
    Vectors,
    current_cache_owner,
)
from .clients import UsageLedger, require_same_process
from .decisions import Decider
from .embedders import Embedder
from .engine import REQUEST_ERRORS, Engine, GenerationConfig, PromptBuilder, failed_answer

_EMBED_PASSES = 6
"""Passes of the engine for which embeds that are less urgent may wait."""
_EMBED_TEXTS = 24
"""So many texts are embedded at once."""


class LocalModel:
    """A transformers causal model and an embedder behind the ``Model`` protocol.

    Created by ``load_model``. All clients share one batch, one cache and one ledger. They may
    wait in different threads: the first that waits steps the engine for all, and when it leaves,
    the next one does.
    """

    def __init__(
        self,
        engine: Engine,
        decider: Decider,
        embedder: Embedder,
        ledger: UsageLedger,
        about: dict[str, Json],
    ) -> None:
        self.engine = engine
        self.decider = decider
        self.embedder = embedder
        self.ledger = ledger
        self._about = about
        self._about["voice"] = None
        self._pid = os.getpid()
        self.lock = threading.Lock()
        self._between_passes = threading.Condition(self.lock)
        self._stepping = False
        self._sleeping: dict[LocalClient, None] = {}
        self._next = 0
        self._clients: dict[Ticket, LocalClient] = {}
        self._submitted: list[tuple[Ticket, ModelAsk, str, int, str]] = []
        self._cancelled: list[Ticket] = []
        self._embeds: list[tuple[Ticket, Embed, str, int, str]] = []
        self._passes_before_embeds = 0

    def client(self) -> LocalClient:
        return LocalClient(self)

    def describe(self) -> dict[str, Json]:
        """Name, digest, dtype, device, window, threads, versions; ``voice`` is the name and digest
        of the default voice, ``voices`` the digests of further ones by folder."""
        about = dict(self._about)
        others = self.engine.voices.digests
        default = self.engine.voices.default
        if default is not None:
            about["voice"] = {"name": default.name, "digest": default.digest}
            del others[DEFAULT_VOICE]
        if others:
            about["voices"] = {name: others[name] for name in sorted(others)}
        return about

    def load_voice(self, voice: str, folder: Path | None = None) -> None:
        """Load a voice before the first ask that names it. ``folder``: where it lies, if its name
        is not its folder from here. Raises ModelError for a folder without a fitting voice."""
        with self.lock:
            while self._stepping:
                self._between_passes.wait()
            self.engine.voices.adapter(voice, folder)

    def publish(self, asks: Sequence[ModelAsk]) -> None:
        """Make the prompts of some asks public: their beginnings are nobody's private text, and
        are computed once for all owners (``cache_owner``)."""
        with self.lock:
            while self._stepping:
                self._between_passes.wait()
            for ask in asks:
                self.engine.publish(ask)

    def embed(self, asks: Sequence[Embed], owners: Sequence[str] = ()) -> list[Answer]:
        """The vectors of each ask, computed in one batch; Failed for an ask whose text cannot be
        embedded. ``owners``: whose each ask is, as in ``cache_owner``."""
        whose = owners or [current_cache_owner()] * len(asks)
        texts = [(owner, text) for owner, ask in zip(whose, asks) for text in ask.texts]
        try:
            counts = [self._count_tokens(ask) if ask.whole else 0 for ask in asks]
            vectors = self.embedder.vectors(
                [text for _, text in texts], [owner for owner, _ in texts]
            )
        except (ContextTooLong, *REQUEST_ERRORS) as error:
            if len(asks) > 1:
                pairs = zip(whose, asks)
                return [answer for owner, ask in pairs for answer in self.embed([ask], [owner])]
            if isinstance(error, ContextTooLong):
                return [Failed(reason="context_too_long", detail=str(error))]
            return [failed_answer(error)]
        answers: list[Answer] = []
        start = 0
        for ask, tokens in zip(asks, counts, strict=True):
            answers.append(Vectors.of(vectors[start : start + len(ask.texts)], tokens))
            start += len(ask.texts)
        return answers

    def _count_tokens(self, ask: Embed) -> int:
        """The tokens of the texts. Raises ContextTooLong for one that would be cut."""
        counts = self.embedder.token_counts(ask.texts)
        limit = self.embedder.max_tokens
        for place, count in enumerate(counts):
            if limit is not None and count > limit:
                raise ContextTooLong(
                    f"text {place} has {count} tokens, more than the {limit} that the embedder "
                    "reads; divide it"
                )
        return sum(counts)

    @property
    def prompt_builder(self) -> PromptBuilder:
        return self.engine.prompt_builder

    @property
    def generation_config(self) -> GenerationConfig:
        return self.engine.generation_config

    # -- called by clients ----------------------------------------------------------

    def submit(self, client: LocalClient, ask: ModelAsk, owner: str, priority: int) -> Ticket:
        """Queue an ask of a client. Raises ModelError in a forked process."""
        require_same_process(self._pid, str(self._about.get("name", "the model")))
        with self.lock:
            self._next += 1
            client.open.add(self._next)
            self._clients[self._next] = client
            self._submitted.append((self._next, ask, owner, priority, current_cache_owner()))
            return self._next

    def cancel(self, client: LocalClient, ticket: Ticket) -> None:
        """Cancel an ask of a client; a pass that is running continues for the others."""
        with self.lock:
            client.arrived = [event for event in client.arrived if event.ticket != ticket]
            if ticket in client.open:
                client.open.discard(ticket)
                del self._clients[ticket]
                self._submitted = [one for one in self._submitted if one[0] != ticket]
                self._cancelled.append(ticket)
                client.news.notify_all()
                if not self._stepping:
                    self._apply_cancellations()

    def wait(self, client: LocalClient, end: float | None) -> list[Delta | Done]:
        """The events of a client, once there is one, no ask is open, or ``end`` has passed."""
        with self.lock:
            try:
                while not client.arrived and client.open and (end is None or monotonic() < end):
                    if self._stepping:
                        # Another thread runs a pass, which may bring events for this client.
                        self._sleep(client, end)
                    else:
                        self._step_for_all()
            finally:
                if not self._stepping:
                    self._wake_successor()
            arrived, client.arrived = client.arrived, []
            return arrived

    def _sleep(self, client: LocalClient, end: float | None) -> None:
        self._sleeping[client] = None
        try:
            client.news.wait(None if end is None else max(0.0, end - monotonic()))
        finally:
            self._sleeping.pop(client, None)

    def _wake_successor(self) -> None:
        """Wake one client that waits, to run the next pass."""
        for client in self._sleeping:
            client.news.notify_all()
            return

    def _step_for_all(self) -> None:
        """Run a pass, without the lock meanwhile, and deliver its events: only clients that have
        some are woken."""
        self._stepping = True
        self._submit_to_engine()
        self.lock.release()
        try:
            events = self._step()
        finally:
            self.lock.acquire()
            self._stepping = False
            self._apply_cancellations()
            self._between_passes.notify_all()
        for event in events:
            self._deliver(event)

    def _apply_cancellations(self) -> None:
        """Remove cancelled asks from the engine, between passes."""
        cancelled, self._cancelled = self._cancelled, []
        for ticket in cancelled:
            self._embeds = [one for one in self._embeds if one[0] != ticket]
            self.engine.cancel(ticket)

    def _submit_to_engine(self) -> None:
        """Submit the asks that arrived since the last pass."""
        submitted, self._submitted = self._submitted, []
        for ticket, ask, owner, priority, private_to in submitted:
            if isinstance(ask, Embed):
                self._embeds.append((ticket, ask, owner, priority, private_to))
            else:
                self.engine.submit(ticket, ask, owner, priority, private_to)

    def _step(self) -> Sequence[Delta | Done]:
        """Embed first, which is fast and lets agents submit asks for the next batch; else run a
        pass of the engine."""
        if not self._embeds or self._postpones_embeds():
            return self.engine.step()
        started = time.perf_counter()
        embeds, self._embeds = self._embeds, []
        self._passes_before_embeds = 0
        answers = self.embed([one[1] for one in embeds], [one[4] for one in embeds])
        seconds = (time.perf_counter() - started) / len(embeds)
        for _, ask, owner, *_ in embeds:
            self.ledger.add(owner, ask.kind, ask.role, seconds=seconds)
        return [Done(ticket, answer) for (ticket, *_), answer in zip(embeds, answers)]

    def _postpones_embeds(self) -> bool:
        """Whether embeds that are less urgent than what the engine computes wait for more of their
        kind: one batch of many costs little more than a single one."""
        texts = sum(len(ask.texts) for _, ask, *_ in self._embeds)
        if texts >= _EMBED_TEXTS or self._passes_before_embeds >= _EMBED_PASSES:
            return False
        scheduler = self.engine.scheduler
        urgent = [one.key[0] for one in (*scheduler.running, *scheduler.waiting)]
        if not urgent or min(urgent) >= min(one[3] for one in self._embeds):
            return False
        self._passes_before_embeds += 1
        return True

    def _deliver(self, event: Delta | Done) -> None:
        client = self._clients.get(event.ticket)
        if client is None:
            return
        client.arrived.append(event)
        client.news.notify_all()
        if isinstance(event, Done):
            del self._clients[event.ticket]
            client.open.discard(event.ticket)


class LocalClient:
    """A client of a LocalModel, which changes ``open`` and ``arrived`` under its lock."""

    def __init__(self, model: LocalModel) -> None:
        self._model = model
        self.open: set[Ticket] = set()
        self.arrived: list[Delta | Done] = []
        self.news = threading.Condition(model.lock)

    def submit(self, ask: ModelAsk, owner: str = "", priority: int = 0) -> Ticket:
        """Queue an ask; it joins the batch at the next pass."""
        return self._model.submit(self, ask, owner, priority)

    def cancel(self, ticket: Ticket) -> None:
        """Cancel an ask, even one that is running; from any thread, without blocking."""
        self._model.cancel(self, ticket)

    def wait(self, timeout: float | None = None) -> Sequence[Delta | Done]:
        """The events that have arrived; blocks for one while an ask is open, up to ``timeout``
        seconds (checked between passes)."""
        return self._model.wait(self, None if timeout is None else monotonic() + timeout)
