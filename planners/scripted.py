"""A planner that does what it is told, step by step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ..core import Action, Decision, Situation, Thought, check_arguments


class Scripted:
    """Does the given actions in turn, one a step, then waits for ever.

    For tests, for extras in a scene and for bodies that something else decides for. The
    place in the script is kept in the agent's state, so a run resumes where it was.

    >>> Scripted([Action("wait")]).length
    1
    """

    asks_model = False

    @check_arguments
    def __init__(self, actions: Sequence[Action] = ()) -> None:
        self._actions = tuple(actions)

    @property
    def length(self) -> int:
        """How many steps the script has."""
        return len(self._actions)

    def decide(self, situation: Situation) -> Thought[Decision]:
        """The next action of the script; asks nothing."""
        at = int(situation.state.drafts.get("script", 0))
        if at >= len(self._actions):
            return Decision(action=Action("wait"), state=situation.state, why="script is over")
        state = replace(situation.state, drafts={**situation.state.drafts, "script": at + 1})
        return Decision(action=self._actions[at], state=state, why=f"line {at + 1} of the script")
        yield  # a generator that asks nothing
