"""Conversations: who is in one, who holds the floor, what was said.

Knows no places, so every world can use it. A conversation has a floor; its holder may say a
line, the others may interrupt. At most one line a step.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..core import AgentId, ConversationView, Json, Time, Utterance


@dataclass(slots=True)
class Conversation:
    """One conversation under way. ``floor_silence`` counts the steps since the floor last moved,
    ``total_silence`` those since the last line."""

    id: str
    members: list[AgentId]
    floor: AgentId
    lines: tuple[Utterance, ...] = ()
    floor_silence: int = 0
    total_silence: int = 0

    def view(self, who: AgentId, ended: bool = False) -> ConversationView:
        """The conversation as ``who`` of its members sees it."""
        floor = "" if ended else self.floor
        return ConversationView(
            self.id, tuple(self.members), floor, heard_by(who, self.lines), ended
        )

    def next_speaker(self, who: AgentId) -> AgentId:
        """The member whose turn comes after ``who``'s."""
        return self.members[(self.members.index(who) + 1) % len(self.members)]


class Conversations:
    """All conversations of a world.

    ``most_lines`` ends a conversation; who does not speak for ``patience`` steps loses the
    floor, and a whole round of silence ends the conversation too.
    """

    def __init__(self, most_lines: int = 16, patience: int = 3) -> None:
        self.most_lines = most_lines
        self.patience = patience
        self._open: dict[str, Conversation] = {}
        self._conversation_ids: dict[AgentId, str] = {}
        self._opened = 0

    def conversation_of(self, who: AgentId) -> Conversation | None:
        """The conversation ``who`` is in."""
        found = self._conversation_ids.get(who)
        return None if found is None else self._open[found]

    def open(self, opener: AgentId, other: AgentId) -> Conversation:
        """Two who are in no conversation begin one; the opener holds the floor."""
        self._opened += 1
        talk = Conversation(f"talk-{self._opened}", [opener, other], opener)
        self._open[talk.id] = talk
        self._conversation_ids[opener] = self._conversation_ids[other] = talk.id
        return talk

    def join(self, who: AgentId, talk: Conversation) -> None:
        """``who`` becomes the last in turn of a conversation."""
        talk.members.append(who)
        self._conversation_ids[who] = talk.id

    def speak(
        self, talk: Conversation, said: Mapping[AgentId, Utterance], order: tuple[AgentId, ...]
    ) -> Utterance | None:
        """Settle one step of a conversation: who of those with something to say is heard.

        The floor's holder beats all; else the first in ``order`` is heard. The floor goes to
        the member after the speaker, or after ``patience`` silent steps to the next.
        """
        speaker = talk.floor if talk.floor in said else next((w for w in order if w in said), "")
        if speaker:
            line = said[speaker]
            talk.lines += (line,)
            talk.floor = talk.next_speaker(speaker)
            talk.floor_silence = talk.total_silence = 0
            return line
        talk.floor_silence += 1
        talk.total_silence += 1
        if talk.floor_silence >= self.patience:
            talk.floor = talk.next_speaker(talk.floor)
            talk.floor_silence = 0
        return None

    def is_over(self, talk: Conversation) -> bool:
        """Whether a conversation has come to its end."""
        return (
            len(talk.members) < 2
            or len(talk.lines) >= self.most_lines
            or talk.total_silence >= self.patience * len(talk.members)
        )

    def leave(self, who: AgentId) -> None:
        """Take ``who`` out of its conversation; the floor passes on."""
        talk = self._open[self._conversation_ids.pop(who)]
        if talk.floor == who:
            talk.floor = talk.next_speaker(who)
            talk.floor_silence = 0
        talk.members.remove(who)

    def close(self, talk: Conversation) -> None:
        """End a conversation for all its members."""
        for who in talk.members:
            del self._conversation_ids[who]
        del self._open[talk.id]

    def save(self) -> Json:
        """All of it as JSON."""
        return {
            "made": self._opened,
            "open": [
                {
                    "id": talk.id,
                    "members": list(talk.members),
                    "floor": talk.floor,
                    "lines": utterances_to_json(talk.lines),
                    "silent": talk.floor_silence,
                    "hushed": talk.total_silence,
                }
                for talk in self._open.values()
            ],
        }

    def load(self, state: Json) -> None:
        """Take over what ``save`` gave."""
        self._opened = state["made"]
        self._open = {
            one["id"]: Conversation(
                one["id"],
                list(one["members"]),
                one["floor"],
                utterances_from_json(one["lines"]),
                one["silent"],
                one["hushed"],
            )
            for one in state["open"]
        }
        self._conversation_ids = {
            who: talk.id for talk in self._open.values() for who in talk.members
        }


INAUDIBLE = "(says something that is not for you)"
"""What those see of a line for whom it is not."""


def heard_by(who: AgentId, lines: tuple[Utterance, ...]) -> tuple[Utterance, ...]:
    """The lines as somebody hears them: of one that is for others only that it was said."""
    if not any(line.audience for line in lines):
        return lines
    return tuple(
        line
        if not line.audience or who == line.who or who in line.audience
        else Utterance(line.who, INAUDIBLE, line.at)
        for line in lines
    )


def utterances_to_json(lines: tuple[Utterance, ...]) -> Json:
    """Lines as plain values."""
    return [
        [line.who, line.text, line.at.isoformat(), list(line.sources), list(line.audience)]
        if line.sources or line.audience
        else [line.who, line.text, line.at.isoformat()]
        for line in lines
    ]


def utterances_from_json(data: Json) -> tuple[Utterance, ...]:
    """The lines that ``utterances_to_json`` made ``data`` of."""
    return tuple(
        Utterance(who, text, Time.fromisoformat(at), *map(tuple, label))
        for who, text, at, *label in data
    )
