"""Scripted: a planner that executes a fixed list of actions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ..core import Action, Decision, Situation, Thought, check_arguments


class Scripted:
    """Executes the given actions, one per step, then waits.

    For tests, for minor characters, and for bodies that other code controls. The position in
    the script is kept in the agent's state, so that a resumed run continues there.

    >>> Scripted([Action("wait")]).length
    1
    """

    asks_model = False

    @check_arguments
    def __init__(self, actions: Sequence[Action] = ()) -> None:
        self._actions = tuple(actions)

    @property
    def length(self) -> int:
        """The number of actions in the script."""
        return len(self._actions)

    def decide(self, situation: Situation) -> Thought[Decision]:
        """The next action of the script; asks nothing."""
        index = int(situation.state.drafts.get("script", 0))
        if index >= len(self._actions):
            return Decision(action=Action("wait"), state=situation.state, why="script is over")
        state = replace(situation.state, drafts={**situation.state.drafts, "script": index + 1})
        why = f"line {index + 1} of the script"
        return Decision(action=self._actions[index], state=state, why=why)
        yield  # a generator that asks nothing
