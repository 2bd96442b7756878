"""Several copies of a model side by side, for example one on each GPU."""

from __future__ import annotations

import os
import weakref
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Lock, Thread, current_thread
from typing import Any, Literal, TypeAlias

from ..core import (
    Delta,
    Done,
    Failed,
    Json,
    Model,
    ModelAsk,
    ModelError,
    Ticket,
    cache_owner,
    current_cache_owner,
)
from .clients import EventInbox, UsageLedger, load_voice, require_same_process

POLL_SECONDS = 0.02  # after which a working replica looks for new commands
MAX_IMBALANCE = 8  # open asks by which an agent's replica may exceed the least busy one


class ReplicaModel:
    """One model of several equal ones, each run by a thread of its own.

    An agent's asks go to the same replica, which has the prefixes of its prompts in its cache,
    unless that has ``spill`` more open asks than the least busy one. Agents are assigned evenly
    in order of their first ask; an ask without an owner goes to the least busy replica. Created
    by ``load_model(..., device="cuda:0,cuda:1")``, or from any models that answer alike.
    """

    def __init__(self, models: Sequence[Model], *, spill: int = MAX_IMBALANCE) -> None:
        if not models:
            raise ModelError("a ReplicaModel needs at least one model")
        ledgers = [getattr(model, "ledger", None) for model in models]
        self.ledger = UsageLedger([ledger for ledger in ledgers if ledger is not None])
        self._descriptions = [model.describe() for model in models]
        self._spill = spill
        self._replicas = [Replica(model) for model in models]
        self._assigned: dict[str, int] = {}
        self._lock = Lock()
        self._finalizer = weakref.finalize(self, _stop_replicas, self._replicas)

    def client(self) -> ReplicaClient:
        return ReplicaClient(self)

    def describe(self) -> dict[str, Json]:
        """The description of the first replica, with all devices."""
        devices = [str(about.get("device", "")) for about in self._descriptions]
        replicas: dict[str, Json] = {"device": ",".join(devices), "replicas": len(devices)}
        return {**self._replicas[0].model.describe(), **replicas}

    def load_voice(self, voice: str, folder: Path | None = None) -> None:
        """Load a voice in every replica. Raises ModelError."""
        for replica in self._replicas:
            load_voice(replica.model, voice, folder)

    def publish(self, asks: Sequence[ModelAsk]) -> None:
        """Make the prompts of some asks public in every replica that keeps prompts."""
        for replica in self._replicas:
            if publish := getattr(replica.model, "publish", None):
                publish(asks)

    def close(self) -> None:
        """End the threads; open asks become Failed. Also called by garbage collection."""
        self._finalizer()

    def replica_for(self, owner: str) -> Replica:
        """The replica for the next ask of ``owner``, which counts as open there from now on.

        Raises ModelError after ``close``.
        """
        if not self._finalizer.alive:
            raise ModelError("the model was closed; load it again")
        with self._lock:
            loads = [replica.open for replica in self._replicas]
            least = loads.index(min(loads))
            place = least
            if owner:
                if owner not in self._assigned:
                    assigned = [*self._assigned.values()]
                    self._assigned[owner] = min(
                        range(len(loads)), key=lambda i: (assigned.count(i), loads[i])
                    )
                home = self._assigned[owner]
                place = home if loads[home] < loads[least] + self._spill else least
            self._replicas[place].count_open()
            return self._replicas[place]


@dataclass(eq=False, slots=True)
class ReplicaRequest:
    """An ask for a replica, and the inbox for its events."""

    ask: ModelAsk
    owner: str
    priority: int
    ticket: Ticket
    inbox: EventInbox[Any]
    replica: Replica
    cache_owner: str = ""
    inner: Ticket = 0


ReplicaCommand: TypeAlias = "tuple[Literal['submit', 'cancel', 'end'], ReplicaRequest | None]"


class Replica:
    """A model and the only thread that uses it."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self._commands: SimpleQueue[ReplicaCommand] = SimpleQueue()
        self._running: dict[Ticket, ReplicaRequest] = {}
        self._open = 0
        self._pid = os.getpid()
        self._lock = Lock()
        self.thread = Thread(target=self._run, name="denizens-replica", daemon=True)
        self.thread.start()

    @property
    def open(self) -> int:
        return self._open

    def count_open(self) -> None:
        """Count an ask that will be submitted. Raises ModelError in a forked process."""
        require_same_process(self._pid, "the replicated model")
        with self._lock:
            self._open += 1

    def command(self, command: ReplicaCommand) -> None:
        """Queue a command, from any thread."""
        self._commands.put(command)

    def _run(self) -> None:
        client = self.model.client()
        while True:
            try:
                if not self._process_commands(client):
                    break
                for event in client.wait(POLL_SECONDS) if self._running else ():
                    self._forward_event(event)
            except BaseException as error:  # noqa: BLE001  raised again by the clients' wait
                for request in self._running.values():
                    self._finish(request, error)
                self._running.clear()
                client = self.model.client()
        closed = Failed(reason="engine", detail="the model was closed")
        for request in [*self._running.values(), *self._unstarted()]:
            self._finish(request, Done(request.ticket, closed))

    def _process_commands(self, client: Any) -> bool:
        """Execute queued commands, blocking while no ask is open; False at the end."""
        while True:
            try:
                command, request = self._commands.get(block=not self._running)
            except Empty:
                return True
            if request is None:
                return False
            if command == "submit":
                self._submit(client, request)
            elif self._running.get(request.inner) is request:
                client.cancel(request.inner)
                del self._running[request.inner]
                self._finish(request, None)

    def _submit(self, client: Any, request: ReplicaRequest) -> None:
        try:
            with cache_owner(request.cache_owner):
                request.inner = client.submit(request.ask, request.owner, request.priority)
        except BaseException as error:  # noqa: BLE001  raised again by the client's wait
            self._finish(request, error)
        else:
            self._running[request.inner] = request

    def _unstarted(self) -> list[ReplicaRequest]:
        """Requests that were queued after the end."""
        requests: list[ReplicaRequest] = []
        while not self._commands.empty():
            command, request = self._commands.get()
            if command == "submit" and request is not None:
                requests.append(request)
        return requests

    def _forward_event(self, event: Delta | Done) -> None:
        request = self._running[event.ticket]
        if isinstance(event, Delta):
            request.inbox.deliver(request.ticket, replace(event, ticket=request.ticket))
            return
        del self._running[event.ticket]
        self._finish(request, Done(request.ticket, event.answer))

    def _finish(self, request: ReplicaRequest, event: Done | BaseException | None) -> None:
        with self._lock:
            self._open -= 1
        if event is not None:
            request.inbox.deliver(request.ticket, event)


class ReplicaClient:
    """A client over all replicas."""

    def __init__(self, model: ReplicaModel) -> None:
        self._model = model
        self._inbox: EventInbox[ReplicaRequest] = EventInbox()
        self._tickets = count(1)

    def submit(self, ask: ModelAsk, owner: str = "", priority: int = 0) -> Ticket:
        ticket = next(self._tickets)
        replica = self._model.replica_for(owner)
        private_to = current_cache_owner()
        request = ReplicaRequest(ask, owner, priority, ticket, self._inbox, replica, private_to)
        self._inbox.open[ticket] = request
        replica.command(("submit", request))
        return ticket

    def cancel(self, ticket: Ticket) -> None:
        request = self._inbox.open.pop(ticket, None)
        if request is not None:
            request.replica.command(("cancel", request))

    def wait(self, timeout: float | None = None) -> Sequence[Delta | Done]:
        return self._inbox.wait(timeout)


def _stop_replicas(replicas: Sequence[Replica]) -> None:
    for replica in replicas:
        replica.command(("end", None))
    for replica in replicas:
        if replica.thread is not current_thread():
            # Until its pass is done: torch must not be unloaded while a thread runs in it.
            replica.thread.join(timeout=30)
