"""Asking one model directly, outside of a simulation: single asks and whole thoughts."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import repeat
from typing import TypeVar

from ..types import AgentId
from .asks import Answer, Ask, Call, ModelAsk, Recall
from .model_protocol import Client, Delta, Model, Ticket
from .thought import AskId, Thought, drive

T = TypeVar("T")


def answer_all(
    client: Client, asks: Sequence[ModelAsk], owners: Sequence[AgentId] = ()
) -> list[Answer]:
    """Submit all asks at once and wait for their answers, in the order of the asks; ``owners``
    are the agents that the usage of each ask is booked on."""
    tickets = [client.submit(ask, owner) for ask, owner in zip(asks, owners or repeat(""))]
    answers: dict[Ticket, Answer] = {}
    while len(answers) < len(tickets):
        for event in client.wait():
            if not isinstance(event, Delta):
                answers[event.ticket] = event.answer
    return [answers[ticket] for ticket in tickets]


def run_thoughts(model: Model, thoughts: Sequence[Thought[T]]) -> list[T]:
    """Drive thoughts side by side with one model; results in the order of the thoughts.

    Raises TypeError for a thought that recalls memories or calls tools."""
    named = {f"thought {number:06}": thought for number, thought in enumerate(thoughts)}
    return [*drive(named, _ModelAskHandler(model)).values()]


class _ModelAskHandler:
    """Answers the asks of thoughts by one model alone."""

    def __init__(self, model: Model) -> None:
        self._client = model.client()
        self._open: dict[Ticket, AskId] = {}

    def submit(self, where: AskId, ask: Ask) -> None:
        if isinstance(ask, Recall | Call):
            raise TypeError(f"a {ask.kind} is not answered by a model")
        self._open[self._client.submit(ask, owner=where.agent)] = where

    def wait(self) -> list[tuple[AskId, Answer]]:
        answers: list[tuple[AskId, Answer]] = []
        while not answers:
            for event in self._client.wait():
                if not isinstance(event, Delta):
                    answers.append((self._open.pop(event.ticket), event.answer))
        return answers
