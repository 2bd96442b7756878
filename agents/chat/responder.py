"""Thoughts outside of a world: the reply of a dialogue, what was shown of it, and learning."""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

from ...core import (
    Action,
    AgentState,
    Decision,
    Observation,
    Persona,
    Seed,
    SettingError,
    Situation,
    Thought,
    Time,
    ToolSpec,
    Utterance,
    replace_surrogates,
    time_error,
)
from ...planners import DialogueInput, DialogueReply, StepBuilder, add_turn_records


class Responder(Protocol):
    """How an agent replies to a person: ``Dialogue``, or a class of your own.

    If it has an attribute ``reads_state`` that is False, it is given no part of the agent's state
    that rests on the words of others."""

    def reply(
        self, situation: Situation, heard: DialogueInput
    ) -> Thought[tuple[DialogueReply, Decision]]:
        """The reply, and the decision that records it."""


def reply_thought(
    dialogue: Responder,
    persona: Persona,
    state: AgentState,
    heard: DialogueInput,
    tools: tuple[ToolSpec, ...],
    seed: Seed,
) -> Thought[tuple[DialogueReply, Decision]]:
    """The thought of the dialogue that replies to a message outside of any world."""
    situation = situation_outside_world(persona, state, tools, heard.line.at, seed)
    return (yield from dialogue.reply(situation, heard))


def shown_thought(
    persona: Persona, state: AgentState, heard: DialogueInput, text: str, why: str
) -> Thought[Decision]:
    """The thought that records a message and what was shown of the reply to it, if anything was.
    It only embeds them, so that an interrupted turn ends soon."""
    seed = Seed.of(0).child(persona.name, "shown")
    builder = StepBuilder(situation_outside_world(persona, state, (), heard.line.at, seed))
    add_turn_records(builder, heard, text, importance=UNRATED_IMPORTANCE)
    yield from builder.finalize()
    return builder.build(Action("wait"), why)


UNRATED_IMPORTANCE = 3.0
"""Importance of the lines of an interrupted turn, which no model has rated."""


def learn_thought(
    persona: Persona,
    state: AgentState,
    texts: tuple[str, ...],
    now: Time,
    who: str = "",
    audience: tuple[str, ...] = (),
) -> Thought[Decision]:
    """The thought that rates and embeds texts as records: thoughts of the agent, or utterances of
    ``who``."""
    seed = Seed.of(0).child(persona.name, "learning")
    builder = StepBuilder(situation_outside_world(persona, state, (), now, seed))
    for text in texts:
        builder.add_record("utterance" if who else "thought", text, who=who, audience=audience)
    yield from builder.finalize()
    return builder.build(Action("wait"))


def situation_outside_world(
    persona: Persona, state: AgentState, tools: tuple[ToolSpec, ...], now: Time, seed: Seed
) -> Situation:
    """The situation of an agent that is in no world."""
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


def validate_utterance(line: Utterance, where: str) -> Utterance:
    """The utterance, with lone surrogates replaced by U+FFFD. Raises SettingError, which begins
    with ``where``, if it is not one, or if its person, text or time is invalid."""
    if not isinstance(line, Utterance):
        raise SettingError(
            f"{where}: must be an Utterance, such as Utterance('Ada', 'Hello!', at), "
            f"not {_type_name(line)}"
        )
    for name, value in (("person", line.who), ("text", line.text)):
        if not isinstance(value, str):
            raise SettingError(f"{where}: {name} must be a string, not {_type_name(value)}")
    if fault := time_error(line.at, f"{where}: at"):
        raise SettingError(fault)
    return replace(line, who=replace_surrogates(line.who), text=replace_surrogates(line.text))


def _type_name(value: object) -> str:
    return "None" if value is None else type(value).__name__
