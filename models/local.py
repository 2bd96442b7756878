"""A model in this process, answering many asks at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import monotonic
from typing import Any, TypeVar

from ..core import (
    Answer,
    Choose,
    Delta,
    Done,
    Embed,
    Failed,
    Generate,
    Json,
    ModelAsk,
    Rate,
    Ticket,
    Vectors,
)
from .decisions import Decider
from .decoding import Decoding, Voice
from .embedder import Embedder
from .net import Net
from .prompts import Prompter

A = TypeVar("A", bound=ModelAsk)


class LocalModel:
    """A transformers causal model and an embedder behind the core's ``Model`` contract.

    Made by ``load_model``. Clients are cheap; all share the weights and the store of
    prefixes. Not for use from several threads at a time.
    """

    def __init__(
        self,
        net: Net,
        prompter: Prompter,
        voice: Voice,
        embedder: Embedder,
        decider: Decider,
        about: dict[str, Json],
        rows: int = 64,
    ) -> None:
        self.net = net
        self.prompter = prompter
        self.voice = voice
        self.embedder = embedder
        self.decider = decider
        self.rows = 1 if net.exact else rows
        self._about = about

    def client(self) -> LocalClient:
        """A new mailbox with a running batch of its own."""
        return LocalClient(self)

    def describe(self) -> dict[str, Json]:
        """Name, digest, dtype, device, window, threads, versions."""
        return dict(self._about)

    def embed(self, asks: Sequence[Embed]) -> list[Answer]:
        """Vectors of all texts of all asks, in one go."""
        vectors = self.embedder.vectors([text for ask in asks for text in ask.texts])
        out: list[Answer] = []
        at = 0
        for ask in asks:
            out.append(Vectors.of(vectors[at : at + len(ask.texts)]))
            at += len(ask.texts)
        return out


class LocalClient:
    """A mailbox. ``wait`` first answers what needs no decoding, so that the minds it
    frees can join the batch; then it decodes until something is complete."""

    def __init__(self, model: LocalModel) -> None:
        self._model = model
        self._queue: dict[Ticket, tuple[int, ModelAsk]] = {}
        self._decoding = Decoding(model.net, model.prompter, model.voice)
        self._next = 0

    def submit(self, ask: ModelAsk, owner: str = "", priority: int = 0) -> Ticket:
        """Queue an ask."""
        self._next += 1
        self._queue[self._next] = (priority, ask)
        return self._next

    def cancel(self, ticket: Ticket) -> None:
        """Forget an ask, also one that is being written."""
        if self._queue.pop(ticket, None) is None:
            self._decoding.cancel(ticket)

    def wait(self, timeout: float | None = None) -> Sequence[Delta | Done]:
        """What is complete next; at least one event while anything is open, unless the
        time is over (looked at between tokens)."""
        end = None if timeout is None else monotonic() + timeout
        out: list[Delta | Done] = [
            *self._now(Embed, self._model.embed),
            *self._now(Rate, self._model.decider.rate),
            *self._now(Choose, self._model.decider.choose),
        ]
        if out:
            return out
        out += self._decoding.admit(self._joining())
        while not out and len(self._decoding) and (end is None or monotonic() < end):
            out += self._decoding.step()
        return out

    def _now(self, kind: type[A], answer: Callable[[Sequence[A]], list[Answer]]) -> list[Done]:
        tickets = self._ordered(kind)
        asks: list[Any] = [self._queue.pop(ticket)[1] for ticket in tickets]
        if not asks:
            return []
        if self._model.net.exact:
            answers = [_safely(answer, [ask])[0] for ask in asks]
        else:
            answers = _safely(answer, asks)
        return [Done(ticket, found) for ticket, found in zip(tickets, answers)]

    def _joining(self) -> list[tuple[Ticket, Generate]]:
        room = self._model.rows - len(self._decoding)
        chosen: list[tuple[Ticket, Generate]] = []
        for ticket in self._ordered(Generate)[: max(0, room)]:
            _, ask = self._queue.pop(ticket)
            if isinstance(ask, Generate):
                chosen.append((ticket, ask))
        return chosen

    def _ordered(self, kind: type[A]) -> list[Ticket]:
        mine = [ticket for ticket, (_, ask) in self._queue.items() if isinstance(ask, kind)]
        return sorted(mine, key=lambda ticket: (self._queue[ticket][0], ticket))


def _safely(answer: Callable[[Sequence[A]], list[Answer]], asks: Sequence[A]) -> list[Answer]:
    """All together; when that fails each alone, so that a fault stays with its ask."""
    try:
        return answer(asks)
    except RuntimeError as error:
        if len(asks) == 1:
            return [Failed(reason="engine", detail=f"{type(error).__name__}: {error}")]
    return [found for ask in asks for found in _safely(answer, [ask])]
