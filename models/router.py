"""Several models as one: each ask goes to the model of its role."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from time import monotonic

from ..core import (
    Choose,
    Client,
    Delta,
    Done,
    Generate,
    Json,
    Model,
    ModelAsk,
    SettingError,
    Ticket,
    check_arguments,
)
from .clients import Usage, UsageLedger, load_voice


class Router:
    """Sends each ask to the model of its ``role``, else to ``default``.

    ``Router({"speech": big}, default=small)``. The built-in planners use the roles speech, plan,
    line, topic, react, go_on, importance, reflect, insight and others, embeddings the role embed;
    the figures of a run list all roles that were used.

    ``voices``: the voice by role, for asks that name none, as in ``{"line": "default"}``.

    Raises SettingError at the first ask whose role has no model if ``default`` is None.
    """

    @check_arguments
    def __init__(
        self,
        models: Mapping[str, Model],
        default: Model | None = None,
        voices: Mapping[str, str] | None = None,
    ) -> None:
        self._models = dict(models)
        self._default = default
        self._voices = dict(voices or {})
        models_used = [*self._models.values(), *([] if default is None else [default])]
        ledgers = {id(model): getattr(model, "ledger", None) for model in models_used}
        self.ledger = UsageLedger([one for one in ledgers.values() if isinstance(one, UsageLedger)])

    def client(self) -> RouterClient:
        return RouterClient(self._models, self._default, self.ledger, self._voices)

    def load_voice(self, voice: str, folder: Path | None = None) -> None:
        """Load a voice in every model that has voices. Raises ModelError."""
        models = {id(one): one for one in (*self._models.values(), self._default) if one}
        for model in models.values():
            load_voice(model, voice, folder)

    def describe(self) -> dict[str, Json]:
        """The models by role."""
        routes: dict[str, Json] = {role: model.describe() for role, model in self._models.items()}
        if self._default is not None:
            routes["default"] = self._default.describe()
        names = sorted({str(about.get("name", "")) for about in routes.values()})
        about: dict[str, Json] = {"name": "router(" + ", ".join(names) + ")", "routes": routes}
        return about | ({"role_voices": {**self._voices}} if self._voices else {})


class RouterClient:
    """A client over one client of each model, also if a model has several roles.

    Usage of a model without a ledger is added to the router's.
    """

    def __init__(
        self,
        models: Mapping[str, Model],
        default: Model | None,
        ledger: UsageLedger,
        voices: Mapping[str, str],
    ) -> None:
        self._voices = voices
        self._models = models
        self._default = default
        self._ledger = ledger
        self._clients: dict[int, Client] = {}
        self._inner_tickets: dict[Ticket, tuple[int, Ticket]] = {}
        self._outer_tickets: dict[tuple[int, Ticket], Ticket] = {}
        self._unmetered: dict[Ticket, tuple[str, ModelAsk]] = {}
        self._next = 0

    def submit(self, ask: ModelAsk, owner: str = "", priority: int = 0) -> Ticket:
        model = self._models.get(ask.role, self._default)
        if model is None:
            raise SettingError(
                f"the router has no model for role '{ask.role}' and no default; "
                f"it knows {', '.join(sorted(self._models)) or 'none'}; pass default="
            )
        voice = self._voices.get(ask.role, "")
        if isinstance(ask, Generate | Choose) and voice and not ask.voice:
            ask = replace(ask, voice=voice)
        key = id(model)
        if key not in self._clients:
            self._clients[key] = model.client()
        inner = self._clients[key].submit(ask, owner, priority)
        self._next += 1
        self._inner_tickets[self._next] = (key, inner)
        self._outer_tickets[(key, inner)] = self._next
        if not isinstance(getattr(model, "ledger", None), UsageLedger):
            self._unmetered[self._next] = (owner, ask)
        return self._next

    def cancel(self, ticket: Ticket) -> None:
        inner = self._inner_tickets.pop(ticket, None)
        self._unmetered.pop(ticket, None)
        if inner is not None:
            del self._outer_tickets[inner]
            self._clients[inner[0]].cancel(inner[1])

    def wait(self, timeout: float | None = None) -> Sequence[Delta | Done]:
        end = None if timeout is None else monotonic() + timeout
        events: list[Delta | Done] = []
        for key in dict.fromkeys(key for key, _ in self._inner_tickets.values()):
            left = None if end is None else max(0.0, end - monotonic())
            for event in self._clients[key].wait(left):
                ticket = self._outer_tickets[(key, event.ticket)]
                if isinstance(event, Done):
                    del self._outer_tickets[(key, event.ticket)], self._inner_tickets[ticket]
                    if ticket in self._unmetered:
                        owner, ask = self._unmetered.pop(ticket)
                        self._ledger.enter(Usage.from_answer(owner, ask, event.answer))
                    events.append(Done(ticket, event.answer))
                else:
                    events.append(replace(event, ticket=ticket))
        return events
