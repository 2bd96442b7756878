"""Responses that a later request may continue, kept in the server's memory."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from ...core import Json
from .chat_task import ChatLine

MAX_RESPONSES = 256  # of one caller
MAX_CALLERS = 1024


@dataclass(frozen=True, slots=True)
class StoredResponse:
    """A response: its JSON, the lines of the conversation up to its end (without instructions),
    and the person it was for (empty: nobody, it is the plain model's)."""

    body: dict[str, Json]
    lines: tuple[ChatLine, ...]
    person: str = ""


class ResponseStore:
    """The last 256 responses of each caller; of too many callers the one that was quiet longest
    loses its responses. Nothing is kept when the server ends."""

    def __init__(self) -> None:
        self._callers: OrderedDict[str, OrderedDict[str, StoredResponse]] = OrderedDict()

    def add(self, caller: str, response_id: str, stored: StoredResponse) -> None:
        """Keep a response."""
        responses = self._callers.setdefault(caller, OrderedDict())
        responses[response_id] = stored
        self._callers.move_to_end(caller)
        while len(responses) > MAX_RESPONSES:
            responses.popitem(last=False)
        while len(self._callers) > MAX_CALLERS:
            self._callers.popitem(last=False)

    def get(self, caller: str, response_id: str) -> StoredResponse | None:
        """A response of this caller; None if there is none."""
        return self._callers.get(caller, OrderedDict()).get(response_id)

    def remove(self, caller: str, response_id: str) -> bool:
        """Forget a response; returns whether there was one."""
        return self._callers.get(caller, OrderedDict()).pop(response_id, None) is not None
