"""The thought behind an answer to a person: a turn of the agent's dialogue."""

from __future__ import annotations

from typing import Protocol

from ..core import (
    Action,
    AgentState,
    Decision,
    Observation,
    Persona,
    Seed,
    Situation,
    Thought,
    Time,
    ToolSpec,
    Utterance,
)
from ..planners import DialogueInput, DialogueReply, StepBuilder


class Responder(Protocol):
    """How a mind answers a person's line: ``Dialogue``, or one's own.

    One with an attribute ``reads_state`` that is False is shown no part of the agent's state that
    rests on anybody's words, so that a chat does not rest on them either."""

    def reply(
        self, situation: Situation, heard: DialogueInput
    ) -> Thought[tuple[DialogueReply, Decision]]:
        """What to say, and the decision that remembers it."""
        ...


def reply_thought(
    dialogue: Responder,
    persona: Persona,
    state: AgentState,
    message: Utterance,
    session: tuple[Utterance, ...],
    tools: tuple[ToolSpec, ...],
    seed: Seed,
    private: bool = True,
) -> Thought[tuple[DialogueReply, Decision]]:
    """Answer a line of a person as the dialogue does, in no world. Only what is for everybody
    or for this person is recalled; with ``private`` both lines are remembered as for them."""
    situation = _situation_outside_world(persona, state, tools, message.at, seed)
    heard = DialogueInput(line=message, before=session, private=private)
    return (yield from dialogue.reply(situation, heard))


def learn_thought(
    persona: Persona,
    state: AgentState,
    texts: tuple[str, ...],
    now: Time,
    who: str = "",
    audience: tuple[str, ...] = (),
) -> Thought[Decision]:
    """Make memories of texts, rated and embedded, and do nothing else: thoughts of its own, or
    of what ``who`` said."""
    draft = StepBuilder(
        _situation_outside_world(
            persona, state, (), now, Seed.of(0).child(persona.name, "learning")
        )
    )
    for text in texts:
        draft.add_record("utterance" if who else "thought", text, who=who, audience=audience)
    yield from draft.finalize()
    return draft.build(Action("wait"))


def _situation_outside_world(
    persona: Persona, state: AgentState, tools: tuple[ToolSpec, ...], now: Time, seed: Seed
) -> Situation:
    """The situation of a mind that is in no world."""
    return Situation(
        persona=persona,
        state=state,
        seen=Observation(persona.name, now, ""),
        fresh=(),
        can=(),
        tools=tools,
        inputs=(),
        now=now,
        seed=seed,
    )
