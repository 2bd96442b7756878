"""Several copies of a model side by side, as on several GPUs."""

from __future__ import annotations

import os
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from queue import Empty, SimpleQueue
from threading import Lock, Thread, current_thread
from typing import Any, Literal, TypeAlias

from ..core import Delta, Done, Failed, Json, Model, ModelAsk, ModelError, Ticket
from .clients import (
    EventInbox,
    UsageLedger,
    require_same_process,
)

POLL_SECONDS = 0.02  # seconds after which a replica at work looks whether there is more
MAX_IMBALANCE = 8  # asks that a replica must have more than another to give one away


class ReplicaModel:
    """One model of several equal ones, each driven by a thread of its own.

    An agent's asks go to the same replica, where the beginnings of its prompts are warm,
    unless that has ``spill`` more asks open than the least busy one. Agents are spread
    evenly in the order in which they come; an ask without an owner goes to the least busy.
    Made by ``load_model(..., device="cuda:0,cuda:1")``, or of any models that answer alike.
    """

    def __init__(self, models: Sequence[Model], *, spill: int = MAX_IMBALANCE) -> None:
        if not models:
            raise ModelError("a ReplicaModel needs at least one model")
        ledgers = [getattr(model, "ledger", None) for model in models]
        self.ledger = UsageLedger([ledger for ledger in ledgers if ledger is not None])
        self._abouts = [model.describe() for model in models]
        self._spill = spill
        self._replicas = [Replica(model) for model in models]
        self._assigned: dict[str, int] = {}
        self._lock = Lock()
        self._end = weakref.finalize(self, _stop_replicas, self._replicas)

    def client(self) -> ReplicaClient:
        """A new mailbox over all replicas."""
        return ReplicaClient(self)

    def describe(self) -> dict[str, Json]:
        """The first one's, with all devices."""
        devices = [str(about.get("device", "")) for about in self._abouts]
        replicas: dict[str, Json] = {"device": ",".join(devices), "replicas": len(devices)}
        return {**self._abouts[0], **replicas}

    def close(self) -> None:
        """End the threads; what is open becomes Failed. Also when the model is collected."""
        self._end()

    def replica_for(self, owner: str) -> Replica:
        """Where an ask of ``owner`` goes now; it counts as open there from here on.
        Raises ModelError after ``close``."""
        if not self._end.alive:
            raise ModelError("the model was closed; load it again")
        with self._lock:
            loads = [replica.open for replica in self._replicas]
            least = loads.index(min(loads))
            place = least
            if owner:
                if owner not in self._assigned:
                    homes = [*self._assigned.values()]
                    self._assigned[owner] = min(
                        range(len(loads)), key=lambda i: (homes.count(i), loads[i])
                    )
                home = self._assigned[owner]
                place = home if loads[home] < loads[least] + self._spill else least
            self._replicas[place].count_open()
            return self._replicas[place]


@dataclass(eq=False, slots=True)
class ReplicaRequest:
    """An ask on its way to a replica, and whom its answer goes to."""

    ask: ModelAsk
    owner: str
    priority: int
    ticket: Ticket
    arrivals: EventInbox[Any]
    replica: Replica
    inner: Ticket = 0


ReplicaCommand: TypeAlias = "tuple[Literal['take', 'forget', 'end'], ReplicaRequest | None]"


class Replica:
    """A model and the one thread that touches it."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._commands: SimpleQueue[ReplicaCommand] = SimpleQueue()
        self._running: dict[Ticket, ReplicaRequest] = {}
        self._open = 0
        self._pid = os.getpid()
        self._lock = Lock()
        self.thread = Thread(target=self._run, name="denizens-replica", daemon=True)
        self.thread.start()

    @property
    def open(self) -> int:
        """How many asks it has."""
        return self._open

    def count_open(self) -> None:
        """Count an ask that is about to be ordered. Raises ModelError in a forked process."""
        require_same_process(self._pid, "the replicated model")
        with self._lock:
            self._open += 1

    def command(self, command: ReplicaCommand) -> None:
        """From any thread."""
        self._commands.put(command)

    def _run(self) -> None:
        client = self._model.client()
        while True:
            try:
                if not self._process_commands(client):
                    break
                for event in client.wait(POLL_SECONDS) if self._running else ():
                    self._forward_event(event)
            except BaseException as error:  # noqa: BLE001  raised again where it is waited for
                for order in self._running.values():
                    self._finish(order, error)
                self._running.clear()
                client = self._model.client()
        closed = Failed(reason="engine", detail="the model was closed")
        for order in [*self._running.values(), *self._unstarted()]:
            self._finish(order, Done(order.ticket, closed))

    def _process_commands(self, client: Any) -> bool:
        """Do what was commanded, waiting while there is nothing else; whether to go on."""
        while True:
            try:
                what, order = self._commands.get(block=not self._running)
            except Empty:
                return True
            if order is None:
                return False
            if what == "take":
                self._take(client, order)
            elif self._running.get(order.inner) is order:
                client.cancel(order.inner)
                del self._running[order.inner]
                self._finish(order, None)

    def _take(self, client: Any, order: ReplicaRequest) -> None:
        try:
            order.inner = client.submit(order.ask, order.owner, order.priority)
        except BaseException as error:  # noqa: BLE001  raised again where it is waited for
            self._finish(order, error)
        else:
            self._running[order.inner] = order

    def _unstarted(self) -> list[ReplicaRequest]:
        """Orders that came too late."""
        found: list[ReplicaRequest] = []
        while not self._commands.empty():
            what, order = self._commands.get()
            if what == "take" and order is not None:
                found.append(order)
        return found

    def _forward_event(self, event: Delta | Done) -> None:
        order = self._running[event.ticket]
        if isinstance(event, Delta):
            order.arrivals.deliver(order.ticket, Delta(order.ticket, event.text))
            return
        del self._running[event.ticket]
        self._finish(order, Done(order.ticket, event.answer))

    def _finish(self, order: ReplicaRequest, event: Done | BaseException | None) -> None:
        with self._lock:
            self._open -= 1
        if event is not None:
            order.arrivals.deliver(order.ticket, event)


class ReplicaClient:
    """A mailbox at all replicas."""

    def __init__(self, model: ReplicaModel) -> None:
        self._model = model
        self._arrivals: EventInbox[ReplicaRequest] = EventInbox()
        self._tickets = count(1)

    def submit(self, ask: ModelAsk, owner: str = "", priority: int = 0) -> Ticket:
        """Send an ask to the replica that suits its owner."""
        ticket = next(self._tickets)
        replica = self._model.replica_for(owner)
        order = ReplicaRequest(ask, owner, priority, ticket, self._arrivals, replica)
        self._arrivals.open[ticket] = order
        replica.command(("take", order))
        return ticket

    def cancel(self, ticket: Ticket) -> None:
        """Forget an ask."""
        order = self._arrivals.open.pop(ticket, None)
        if order is not None:
            order.replica.command(("forget", order))

    def wait(self, timeout: float | None = None) -> Sequence[Delta | Done]:
        """What any replica has answered."""
        return self._arrivals.wait(timeout)


def _stop_replicas(replicas: Sequence[Replica]) -> None:
    for replica in replicas:
        replica.command(("end", None))
    for replica in replicas:
        if replica.thread is not current_thread():
            # Until its pass is done: torch must not be torn down under a thread in it.
            replica.thread.join(timeout=30)
