"""Conversations: their members, the floor, and what was said. Independent of any geometry.

The holder of the floor may say a line, the others may interrupt. At most one line a step.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..core import AgentId, ConversationView, Json, Time, Utterance

INAUDIBLE = "(says something that is not for you)"
"""The text of an utterance as members outside its audience see it."""


@dataclass(slots=True)
class OpenConversation:
    """An open conversation. ``floor`` is the member who may say the next line;
    ``floor_silence`` counts the steps since the floor last moved, ``total_silence`` those
    since the last line."""

    id: str
    members: list[AgentId]
    floor: AgentId
    lines: tuple[Utterance, ...] = ()
    floor_silence: int = 0
    total_silence: int = 0

    def view(self, who: AgentId) -> ConversationView:
        """The conversation as its member ``who`` sees it."""
        lines = heard_by(who, self.lines)
        return ConversationView(self.id, tuple(self.members), self.floor, lines, False)

    def next_speaker(self, who: AgentId) -> AgentId:
        """The member whose turn follows that of ``who``."""
        return self.members[(self.members.index(who) + 1) % len(self.members)]


class Conversations:
    """All open conversations of a world.

    A conversation ends after ``most_lines`` lines, or after ``patience`` silent steps for each
    member. Whoever holds the floor for ``patience`` silent steps loses it. ``own_patience`` has
    those members that have another patience.
    """

    def __init__(self, most_lines: int = 16, patience: int = 3) -> None:
        self.most_lines = most_lines
        self.patience = patience
        self.own_patience: dict[AgentId, int] = {}
        self._open: dict[str, OpenConversation] = {}
        self._conversation_ids: dict[AgentId, str] = {}
        self._opened = 0

    def conversation_of(self, who: AgentId) -> OpenConversation | None:
        """The conversation that ``who`` is a member of."""
        conversation_id = self._conversation_ids.get(who)
        return None if conversation_id is None else self._open[conversation_id]

    def open(self, opener: AgentId, other: AgentId) -> OpenConversation:
        """Open a conversation of two who are in none; the opener gets the floor."""
        self._opened += 1
        conversation = OpenConversation(f"talk-{self._opened}", [opener, other], opener)
        self._open[conversation.id] = conversation
        self._conversation_ids[opener] = self._conversation_ids[other] = conversation.id
        return conversation

    def join(self, who: AgentId, conversation: OpenConversation) -> None:
        """Append ``who`` to the members of a conversation."""
        conversation.members.append(who)
        self._conversation_ids[who] = conversation.id

    def speak(
        self,
        conversation: OpenConversation,
        lines: Mapping[AgentId, Utterance],
        order: tuple[AgentId, ...],
    ) -> Utterance | None:
        """Advance a conversation by one step; returns which of ``lines`` is spoken, if any.

        The floor's holder has precedence, then the first in ``order``. The floor passes to
        the member after the speaker, or after ``patience`` silent steps to the next member.
        """
        floor = conversation.floor
        speaker = floor if floor in lines else next((who for who in order if who in lines), "")
        if speaker:
            line = lines[speaker]
            conversation.lines += (line,)
            conversation.floor = conversation.next_speaker(speaker)
            conversation.floor_silence = conversation.total_silence = 0
            return line
        conversation.floor_silence += 1
        conversation.total_silence += 1
        if conversation.floor_silence >= self.patience_of(floor):
            conversation.floor = conversation.next_speaker(floor)
            conversation.floor_silence = 0
        return None

    def is_over(self, conversation: OpenConversation) -> bool:
        """Whether a conversation must be closed."""
        return (
            len(conversation.members) < 2
            or len(conversation.lines) >= self.most_lines
            or conversation.total_silence >= sum(map(self.patience_of, conversation.members))
        )

    def patience_of(self, who: AgentId) -> int:
        """The silent steps after which ``who`` loses the floor."""
        return self.own_patience.get(who, self.patience)

    def leave(self, who: AgentId) -> None:
        """Remove ``who`` from its conversation; a floor it holds passes on."""
        conversation = self._open[self._conversation_ids.pop(who)]
        if conversation.floor == who:
            conversation.floor = conversation.next_speaker(who)
            conversation.floor_silence = 0
        conversation.members.remove(who)

    def close(self, conversation: OpenConversation) -> None:
        """End a conversation for all its members."""
        for who in conversation.members:
            del self._conversation_ids[who]
        del self._open[conversation.id]

    def save(self) -> Json:
        """The state as JSON."""
        return {
            "made": self._opened,
            "open": [
                {
                    "id": conversation.id,
                    "members": list(conversation.members),
                    "floor": conversation.floor,
                    "lines": utterances_to_json(conversation.lines),
                    "silent": conversation.floor_silence,
                    "hushed": conversation.total_silence,
                }
                for conversation in self._open.values()
            ],
        }

    def load(self, state: Json) -> None:
        """Restore what ``save`` returned."""
        self._opened = state["made"]
        self._open = {
            saved["id"]: OpenConversation(
                saved["id"],
                list(saved["members"]),
                saved["floor"],
                utterances_from_json(saved["lines"]),
                saved["silent"],
                saved["hushed"],
            )
            for saved in state["open"]
        }
        self._conversation_ids = {
            who: conversation.id
            for conversation in self._open.values()
            for who in conversation.members
        }


def heard_by(who: AgentId, lines: tuple[Utterance, ...]) -> tuple[Utterance, ...]:
    """The lines as ``who`` hears them: INAUDIBLE replaces texts for another audience."""
    if not any(line.audience for line in lines):
        return lines
    return tuple(
        line
        if not line.audience or who == line.who or who in line.audience
        else Utterance(line.who, INAUDIBLE, line.at)
        for line in lines
    )


def utterances_to_json(lines: tuple[Utterance, ...]) -> Json:
    """Utterances as JSON lists."""
    return [
        [line.who, line.text, line.at.isoformat(), list(line.sources), list(line.audience)]
        if line.sources or line.audience
        else [line.who, line.text, line.at.isoformat()]
        for line in lines
    ]


def utterances_from_json(data: Json) -> tuple[Utterance, ...]:
    """The utterances that ``utterances_to_json`` returned as ``data``."""
    return tuple(
        Utterance(who, text, Time.fromisoformat(at), *map(tuple, label))
        for who, text, at, *label in data
    )
