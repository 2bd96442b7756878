"""The agents of a server, by the model ids under which clients know them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from ...agents import Agent
from ...core import Model, SettingError
from ...core.text import fold_name
from ...interop.cards import CharacterCard


class AgentHosts:
    """Agents by model id, and the plain model that they share under an id of its own. ``cards``
    are the character cards of those agents that were made from one, by model id."""

    def __init__(
        self,
        agents: Mapping[str, Agent],
        model: Model,
        model_id: str,
        *,
        cards: Mapping[str, CharacterCard] | None = None,
    ) -> None:
        self._agents = dict(agents)
        self._cards = dict(cards or {})
        self.model = model
        self.model_id = model_id

    def __iter__(self) -> Iterator[str]:
        return iter(self._agents)

    def __len__(self) -> int:
        return len(self._agents)

    def agent(self, model_id: str) -> Agent | None:
        """The agent of a model id; None if there is none."""
        return self._agents.get(model_id)

    def card(self, model_id: str) -> CharacterCard | None:
        """The character card that the agent of a model id was made from, if it was."""
        return self._cards.get(model_id)

    @property
    def agents(self) -> tuple[Agent, ...]:
        """The agents, in the order of their model ids."""
        return tuple(self._agents.values())


def model_id_of(name: str) -> str:
    """The model id of an agent's name: lower case, with hyphens between the words.

    >>> model_id_of("Isabella Rodríguez"), model_id_of("小明")
    ('isabella-rodríguez', '小明')
    """
    return re.sub(r"[^\w.]+", "-", fold_name(name).replace("'", "")).strip("-") or "agent"


def model_ids(names: Iterable[str], model_id: str) -> dict[str, str]:
    """The model ids of some names, each with its name. Raises SettingError if two have one id, or
    one that of the plain model."""
    ids: dict[str, str] = {}
    for name in names:
        taken = ids.setdefault(model_id_of(name), name)
        if taken is not name or model_id_of(name) == model_id:
            other = taken if taken is not name else "the plain model"
            raise SettingError(f"serve: {name} and {other} have one model id; rename one of them")
    return ids
