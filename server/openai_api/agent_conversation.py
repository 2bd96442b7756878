"""Where a client's conversation stands in the memory of an agent.

A client sends the whole conversation with each request, and only its last message is new. Each
conversation is a session of the agent, found by its text: what was said before is not remembered
again, an answer that is asked for anew replaces the one before, and a message that was edited
takes the place of the earlier one.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from ...agents import Agent
from ...agents.chat import SessionLine, SessionLog, TurnPlace
from ...core import Time

SESSION_PREFIX = "api "
"""How the names of sessions begin that are found by their text."""
REPEAT_WITHIN = timedelta(hours=1)
"""Time in which the first message of a conversation, sent again, is the same conversation."""


@dataclass(frozen=True, slots=True)
class ConversationPlace:
    """The session of a conversation; the lines before the message, as the client sends them; the
    line that the message follows (0: it is the first); and the line that the message itself is,
    if it was said before (0: it is new), with the number of its answers so far."""

    session: str
    lines: tuple[SessionLine, ...]
    parent: int = 0
    said: int = 0
    answers: int = 0

    @property
    def turn_place(self) -> TurnPlace:
        """The place of the turn that answers the message."""
        attempt = max(1, self.answers) if self.said else 0
        return TurnPlace(session=self.session, is_recorded=bool(self.said), attempt=attempt)


def find_place(
    agent: Agent, person: str, before: Sequence[tuple[str, str]], message: str, now: Time
) -> ConversationPlace:
    """The place of a message after the lines ``before``, each with its speaker. The caller holds
    the store's lock.

    The end of what the client sends is searched in the person's sessions: a client may leave out
    the oldest lines, or begin with lines that were never said here, such as a greeting.
    """
    trees = {
        name: tree
        for (who, name), tree in SessionLog(agent.memory).trees().items()
        if who == person and name.startswith(SESSION_PREFIX)
    }
    sent = [(who, _words(text)) for who, text in before]
    best: tuple[int, int, str] = (0, 0, "")
    for name, tree in trees.items():
        for number, line in tree.lines.items():
            if sent and (line.who, _words(line.text)) == sent[-1]:
                count = _common_end(sent, tree.path(number))
                best = max(best, (count, number, name))
    count, parent, name = best
    if not count:
        return _new_place(agent, person, before, message, now)
    tree = trees[name]
    path = tree.path(parent)
    lines = [*_unknown_lines(before[: len(before) - count], path[0].at), *path[-count:]]
    lines[0] = replace(lines[0], at=path[0].at)  # by which the episode is named
    said = next(
        (
            number
            for number, line in reversed(tree.lines.items())
            if tree.parents[number] == parent
            and (line.who, _words(line.text)) == (person, _words(message))
        ),
        0,
    )
    return ConversationPlace(name, tuple(lines), parent, said, tree.following(said) if said else 0)


def _new_place(
    agent: Agent, person: str, before: Sequence[tuple[str, str]], message: str, now: Time
) -> ConversationPlace:
    """The place of the first message of a conversation: in a new session, unless it is that of
    the last one, which has got no further."""
    trees = SessionLog(agent.memory).trees()
    own = [(tree, name) for (who, name), tree in trees.items() if who == person]
    api = [(max(tree.lines), tree, name) for tree, name in own if tree.lines and _is_api(name)]
    if api:
        _, tree, name = max(api, key=lambda entry: entry[0])
        path = tree.path()
        again = path and (path[0].who, _words(path[0].text)) == (person, _words(message))
        if again and len(path) <= 2 and now - path[0].at <= REPEAT_WITHIN:
            lines = _unknown_lines(before, path[0].at)
            answers = tree.following(path[0].id)
            return ConversationPlace(name, lines, said=path[0].id, answers=answers)
    name = f"{SESSION_PREFIX}{now:%Y-%m-%d %H:%M} {secrets.token_hex(4)}"
    return ConversationPlace(name, _unknown_lines(before, now))


def _is_api(name: str) -> bool:
    return name.startswith(SESSION_PREFIX)


def _unknown_lines(lines: Sequence[tuple[str, str]], at: Time) -> tuple[SessionLine, ...]:
    """Lines that were not said here: they are shown to the agent, and not remembered."""
    return tuple(SessionLine(who, text, at) for who, text in lines)


def _common_end(sent: Sequence[tuple[str, str]], path: Sequence[SessionLine]) -> int:
    """How many lines at the end of both are the same, if one of them is all the same; else 0."""
    count = min(len(sent), len(path))
    said = [(line.who, _words(line.text)) for line in path[len(path) - count :]]
    return count if said == list(sent[len(sent) - count :]) else 0


def _words(text: str) -> str:
    """A text by which lines are compared: clients trim and fold blanks."""
    return " ".join(text.split())
