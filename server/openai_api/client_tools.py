"""Tools of a client that an agent may call beside its own: the call is the client's to make."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ...agents.chat import ChatTurn
from ...core import AgentId, Json, ToolSpec, schema_validator
from ...planners import call_key
from .chat_task import ChatLine, parsed_arguments

MAX_PENDING = 512


class ClientToolCalled(BaseException):
    """The thought of a reply wants a client's tool. Not an Exception, so that no tool or thought
    takes it for a failure."""

    def __init__(self, name: str, arguments: Json) -> None:
        super().__init__(name)
        self.name = name
        self.arguments = arguments


class ClientTool:
    """A client's tool as a toolbox takes it: returns a result that the client has sent, by the
    key of its call, and raises ClientToolCalled for any other call."""

    context = ""

    def __init__(self, spec: ToolSpec, results: Mapping[str, str]) -> None:
        # What it does is the client's matter, so no approval is asked for here.
        self.spec = replace(spec, effect="reads", outside=True)
        self._results = dict(results)

    @property
    def name(self) -> str:
        """Its name."""
        return self.spec.name

    @property
    def function(self) -> Callable[..., object]:
        """The result of a call."""
        return self._call

    def _call(self, **arguments: Any) -> str:
        key = call_key(self.name, arguments)
        if key not in self._results:
            raise ClientToolCalled(self.name, arguments)
        return self._results[key]

    def arguments(self, given: Mapping[str, Json]) -> dict[str, Any]:
        """The arguments. Raises ValueError if they do not fit the schema."""
        error = next(schema_validator(self.spec.parameters).iter_errors(dict(given)), None)
        if error is not None:
            raise ValueError(error.message)
        return dict(given)


def client_tools(tools: Sequence[ToolSpec], lines: Sequence[ChatLine]) -> tuple[ClientTool, ...]:
    """The tools of a request, with the results that its messages have."""
    results = tool_results(lines)
    return tuple(ClientTool(spec, results) for spec in tools)


def tool_results(lines: Sequence[ChatLine]) -> dict[str, str]:
    """The results of the calls that follow the last message of a user, by the keys of the
    calls."""
    last = max((place for place, line in enumerate(lines) if line.role == "user"), default=-1)
    calls = {call.id: call for line in lines[last + 1 :] for call in line.calls}
    return {
        call_key(call.name, parsed_arguments(call)): line.text
        for line in lines[last + 1 :]
        if line.role == "tool" and (call := calls.get(line.call_id))
    }


@dataclass(frozen=True, slots=True)
class PendingTurn:
    """A turn that waits for a client's result, the line of the session that it follows, and the
    tokens that its client was told of."""

    turn: ChatTurn
    line: int
    tokens_in: int
    tokens_out: int


class PendingTurns:
    """The last 512 turns that wait for a client, by the id of the call, in the server's memory.

    A turn that goes on repeats no ask: what it has asked so far, the agent's own tools too, is
    answered as before."""

    def __init__(self) -> None:
        self._turns: OrderedDict[tuple[AgentId, str, str], PendingTurn] = OrderedDict()

    def add(self, agent: AgentId, person: str, call_id: str, pending: PendingTurn) -> None:
        """Keep a turn."""
        self._turns[agent, person, call_id] = pending
        while len(self._turns) > MAX_PENDING:
            self._turns.popitem(last=False)

    def take(self, agent: AgentId, person: str, call_ids: Sequence[str]) -> PendingTurn | None:
        """The turn that one of the calls belongs to, which is kept no longer; None if there is
        none."""
        found = [self._turns.pop((agent, person, call_id), None) for call_id in call_ids]
        return next(filter(None, found), None)
