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
    Delta,
    Done,
    Embed,
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


class LocalModel:
    """A transformers causal model and an embedder behind the ``Model`` protocol.

    Created by ``load_model``. All clients share one batch, one cache and one ledger. They may
    wait in different threads: the first that waits steps the engine for all.
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
        self._condition = threading.Condition()
        self._stepping = False
        self._next = 0
        self._clients: dict[Ticket, LocalClient] = {}
        self._submitted: list[tuple[Ticket, ModelAsk, str, int, str]] = []
        self._cancelled: list[Ticket] = []
        self._embeds: list[tuple[Ticket, Embed, str, str]] = []

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
        with self._condition:
            while self._stepping:
                self._condition.wait()
            self.engine.voices.adapter(voice, folder)

    def publish(self, asks: Sequence[ModelAsk]) -> None:
        """Make the prompts of some asks public: their beginnings are nobody's private text, and
        are computed once for all owners (``cache_owner``)."""
        with self._condition:
            while self._stepping:
                self._condition.wait()
            for ask in asks:
                self.engine.publish(ask)

    def embed(self, asks: Sequence[Embed], owners: Sequence[str] = ()) -> list[Answer]:
        """The vectors of each ask, computed in one batch; Failed for an ask whose text cannot be
        embedded. ``owners``: whose each ask is, as in ``cache_owner``."""
        whose = owners or [current_cache_owner()] * len(asks)
        texts = [(owner, text) for owner, ask in zip(whose, asks) for text in ask.texts]
        try:
            vectors = self.embedder.vectors(
                [text for _, text in texts], [owner for owner, _ in texts]
            )
        except REQUEST_ERRORS as error:
            if len(asks) > 1:
                pairs = zip(whose, asks)
                return [answer for owner, ask in pairs for answer in self.embed([ask], [owner])]
            return [failed_answer(error)]
        answers: list[Answer] = []
        start = 0
        for ask in asks:
            answers.append(Vectors.of(vectors[start : start + len(ask.texts)]))
            start += len(ask.texts)
        return answers

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
        with self._condition:
            self._next += 1
            client.open.add(self._next)
            self._clients[self._next] = client
            self._submitted.append((self._next, ask, owner, priority, current_cache_owner()))
            return self._next

    def cancel(self, client: LocalClient, ticket: Ticket) -> None:
        """Cancel an ask of a client; a pass that is running continues for the others."""
        with self._condition:
            client.arrived = [event for event in client.arrived if event.ticket != ticket]
            if ticket in client.open:
                client.open.discard(ticket)
                del self._clients[ticket]
                self._submitted = [one for one in self._submitted if one[0] != ticket]
                self._cancelled.append(ticket)
                if not self._stepping:
                    self._apply_cancellations()

    def wait(self, client: LocalClient, end: float | None) -> list[Delta | Done]:
        """The events of a client, once there is one, no ask is open, or ``end`` has passed."""
        with self._condition:
            while not client.arrived and client.open and (end is None or monotonic() < end):
                if self._stepping:
                    # Another thread runs a pass, which may bring events for this client.
                    self._condition.wait(None if end is None else max(0.0, end - monotonic()))
                    continue
                self._stepping = True
                self._submit_to_engine()
                self._condition.release()
                try:
                    events = self._step()
                finally:
                    self._condition.acquire()
                    self._stepping = False
                    self._apply_cancellations()
                    self._condition.notify_all()
                for event in events:
                    self._deliver(event)
            arrived, client.arrived = client.arrived, []
            return arrived

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
                self._embeds.append((ticket, ask, owner, private_to))
            else:
                self.engine.submit(ticket, ask, owner, priority, private_to)

    def _step(self) -> Sequence[Delta | Done]:
        """Embed first, which is fast and lets agents submit asks for the next batch; else run a
        pass of the engine."""
        if not self._embeds:
            return self.engine.step()
        started = time.perf_counter()
        embeds, self._embeds = self._embeds, []
        answers = self.embed([one[1] for one in embeds], [one[3] for one in embeds])
        seconds = (time.perf_counter() - started) / len(embeds)
        for _, ask, owner, _ in embeds:
            self.ledger.add(owner, ask.kind, ask.role, seconds=seconds)
        return [Done(ticket, answer) for (ticket, *_), answer in zip(embeds, answers)]

    def _deliver(self, event: Delta | Done) -> None:
        client = self._clients.get(event.ticket)
        if client is None:
            return
        client.arrived.append(event)
        if isinstance(event, Done):
            del self._clients[event.ticket]
            client.open.discard(event.ticket)


class LocalClient:
    """A client of a LocalModel, which changes ``open`` and ``arrived`` under its lock."""

    def __init__(self, model: LocalModel) -> None:
        self._model = model
        self.open: set[Ticket] = set()
        self.arrived: list[Delta | Done] = []

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
