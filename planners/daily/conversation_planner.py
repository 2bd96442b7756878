"""The part of Daily that talks: for agents who converse outside of a simulated day."""

from __future__ import annotations

from dataclasses import dataclass, field

from ...core import Action, Decision, Situation, Thought
from ..steps import StepBuilder, remember_whispers
from .conversation_memory import remember_conversation
from .daily_settings import DailySettings
from .encounters import converse


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversationPlanner:
    """Says the next line of a conversation, listens, leaves, and remembers a conversation that
    has ended, all as ``Daily`` does; it plans no day.

    ``about``: what the first line is about, a sentence to tell or the name of a topic.
    """

    settings: DailySettings = field(default_factory=DailySettings)
    about: str = ""

    def decide(self, situation: Situation) -> Thought[Decision]:
        """The action in the present conversation; ``wait`` outside of one and after its end."""
        builder = StepBuilder(situation)
        remember_whispers(builder)
        talk, action = situation.seen.talk, Action("wait")
        if talk is not None and talk.ended:
            yield from remember_conversation(builder, talk, self.settings)
        elif talk is not None:
            action = yield from converse(builder, self.settings, self.about)
        yield from builder.finalize()
        return builder.build(action)
