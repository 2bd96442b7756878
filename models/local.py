"""A model in this process, answering many asks at once."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Sequence
from time import monotonic

from ..core import Answer, Delta, Done, Embed, Json, ModelAsk, Ticket, Vectors
from .clients import UsageLedger, require_same_process
from .decisions import Decider
from .embedders import Embedder
from .engine import REQUEST_ERRORS, Engine, GenerationConfig, PromptBuilder, failed_answer


class LocalModel:
    """A transformers causal model and an embedder behind the core's ``Model`` contract.

    Made by ``load_model``. All clients share one running batch, one cache and one ledger;
    they may wait in different threads: whoever waits drives the engine for all.
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
        self._pid = os.getpid()
        self._condition = threading.Condition()
        self._stepping = False
        self._next = 0
        self._clients: dict[Ticket, LocalClient] = {}
        self._submitted: list[tuple[Ticket, ModelAsk, str, int]] = []
        self._cancelled: list[Ticket] = []
        self._embeds: list[tuple[Ticket, Embed, str]] = []

    def client(self) -> LocalClient:
        """A new mailbox."""
        return LocalClient(self)

    def describe(self) -> dict[str, Json]:
        """Name, digest, dtype, device, window, threads, versions."""
        return dict(self._about)

    def embed(self, asks: Sequence[Embed]) -> list[Answer]:
        """Vectors of all texts of all asks, in one go; Failed for an ask whose text cannot be
        read."""
        try:
            vectors = self.embedder.vectors([text for ask in asks for text in ask.texts])
        except REQUEST_ERRORS as error:
            if len(asks) > 1:
                return [answer for ask in asks for answer in self.embed([ask])]
            return [failed_answer(error)]
        out: list[Answer] = []
        at = 0
        for ask in asks:
            out.append(Vectors.of(vectors[at : at + len(ask.texts)]))
            at += len(ask.texts)
        return out

    @property
    def prompt_builder(self) -> PromptBuilder:
        """Makes token ids of messages."""
        return self.engine.prompt_builder

    @property
    def generation_config(self) -> GenerationConfig:
        """How the model writes."""
        return self.engine.generation_config

    # -- for the clients ------------------------------------------------------------

    def submit(self, box: LocalClient, ask: ModelAsk, owner: str, priority: int) -> Ticket:
        """Queue an ask of a client. Raises ModelError in a forked process."""
        require_same_process(self._pid, str(self._about.get("name", "the model")))
        with self._condition:
            self._next += 1
            box.open.add(self._next)
            self._clients[self._next] = box
            self._submitted.append((self._next, ask, owner, priority))
            return self._next

    def cancel(self, box: LocalClient, ticket: Ticket) -> None:
        """Forget an ask of a client; a pass that works on it goes on for the others."""
        with self._condition:
            box.arrived = [event for event in box.arrived if event.ticket != ticket]
            if ticket in box.open:
                box.open.discard(ticket)
                del self._clients[ticket]
                self._submitted = [one for one in self._submitted if one[0] != ticket]
                self._cancelled.append(ticket)
                if not self._stepping:
                    self._apply_cancellations()

    def wait(self, box: LocalClient, end: float | None) -> list[Delta | Done]:
        """What is in the box, once it holds something, nothing of it is open, or the time is
        over."""
        with self._condition:
            while not box.arrived and box.open and (end is None or monotonic() < end):
                if self._stepping:
                    # Somebody else's pass; it may bring what we wait for.
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
            found, box.arrived = box.arrived, []
            return found

    def _apply_cancellations(self) -> None:
        """Take out of the engine what was cancelled; between passes."""
        dropped, self._cancelled = self._cancelled, []
        for ticket in dropped:
            self._embeds = [one for one in self._embeds if one[0] != ticket]
            self.engine.cancel(ticket)

    def _submit_to_engine(self) -> None:
        """Give the engine what came since its last pass."""
        coming, self._submitted = self._submitted, []
        for ticket, ask, owner, priority in coming:
            if isinstance(ask, Embed):
                self._embeds.append((ticket, ask, owner))
            else:
                self.engine.submit(ticket, ask, owner, priority)

    def _step(self) -> Sequence[Delta | Done]:
        """Embeddings first: they are quick and free minds that can then join the batch."""
        if self._embeds:
            began = time.perf_counter()
            waiting, self._embeds = self._embeds, []
            answers = self.embed([ask for _, ask, _ in waiting])
            spent = (time.perf_counter() - began) / len(waiting)
            for _, ask, owner in waiting:
                self.ledger.add(owner, ask.kind, ask.role, seconds=spent)
            return [Done(ticket, answer) for (ticket, _, _), answer in zip(waiting, answers)]
        return self.engine.step()

    def _deliver(self, event: Delta | Done) -> None:
        box = self._clients.get(event.ticket)
        if box is None:
            return
        box.arrived.append(event)
        if isinstance(event, Done):
            del self._clients[event.ticket]
            box.open.discard(event.ticket)


class LocalClient:
    """A mailbox at a LocalModel; ``open`` and ``arrived`` are the model's to change."""

    def __init__(self, model: LocalModel) -> None:
        self._model = model
        self.open: set[Ticket] = set()
        self.arrived: list[Delta | Done] = []

    def submit(self, ask: ModelAsk, owner: str = "", priority: int = 0) -> Ticket:
        """Queue an ask; it joins the running batch at the next pass."""
        return self._model.submit(self, ask, owner, priority)

    def cancel(self, ticket: Ticket) -> None:
        """Forget an ask, also one that is being written; from any thread, without waiting."""
        self._model.cancel(self, ticket)

    def wait(self, timeout: float | None = None) -> Sequence[Delta | Done]:
        """What has arrived; at least one event while anything is open, unless the time is
        over (looked at between passes)."""
        return self._model.wait(self, None if timeout is None else monotonic() + timeout)
