"""Models that answer from a script or from recorded answers."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import TypeAlias

from ..core import (
    Answer,
    Choice,
    Choose,
    Completion,
    Embed,
    Generate,
    Json,
    ModelAsk,
    ModelError,
    Rate,
    Rating,
    ReplayDiverged,
    check_arguments,
    did_you_mean,
    digest,
    to_json,
)
from ..models import InstantClient, hashed_vectors

ScriptedAnswer: TypeAlias = Answer | str | float | int


class ScriptedModel:
    """Answers from a script; fails if it is asked more or less often than the script has answers.

    The script is a list of answers to all asks, a mapping of role to such a list, or a function
    of the ask. A string is the text of a Generate or the name of the chosen option, a number is
    a rating, an Answer is returned unchanged. Embed is answered without the script.

    >>> with ScriptedModel(["wait", 3]) as model:
    ...     client = model.client()
    ...     _ = client.submit(Generate(messages=()))
    ...     _ = client.submit(Rate(messages=(), about="rain"))
    ...     [done.answer.kind for done in client.wait()]
    ['completion', 'rating']
    """

    @check_arguments
    def __init__(
        self,
        script: Sequence[ScriptedAnswer]
        | Mapping[str, Sequence[ScriptedAnswer]]
        | Callable[[ModelAsk], ScriptedAnswer],
    ) -> None:
        self._function = script if callable(script) else None
        self._lists: dict[str, list[ScriptedAnswer]] = {}
        if isinstance(script, Mapping):
            self._lists = {role: list(answers) for role, answers in script.items()}
        elif not callable(script):
            self._lists = {"": list(script)}
        self._roles = isinstance(script, Mapping)
        self._used = 0

    def client(self) -> InstantClient:
        """A new client; all clients share the script."""
        return InstantClient(self._answer)

    def describe(self) -> dict[str, Json]:
        return {"name": "scripted"}

    def done(self) -> None:
        """Raises ModelError if answers are left over."""
        left = {role: len(answers) for role, answers in self._lists.items() if answers}
        if left:
            role, count = next(iter(left.items()))
            where = f" for role '{role}'" if role else ""
            raise ModelError(
                f"ScriptedModel: {count} answer(s){where} left over after {self._used} asks, "
                f"next {self._lists[role][0]!r}; shorten the script or ask more"
            )

    def __enter__(self) -> ScriptedModel:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self.done()

    def _answer(self, ask: ModelAsk) -> Answer:
        if isinstance(ask, Embed):
            return hashed_vectors(ask)
        if self._function is not None:
            return _scripted_answer(self._function(ask), ask)
        answers = self._lists.get(ask.role if self._roles else "", [])
        if not answers:
            raise ModelError(
                f"ScriptedModel: nothing left to answer ask {self._used + 1}, a {ask.kind} of "
                f"role '{ask.role}' ({_excerpt(ask)}); lengthen the script"
            )
        self._used += 1
        return _scripted_answer(answers.pop(0), ask)


class ReplayModel:
    """Answers from recorded answers: a mapping of an ask's digest to its answer, or a function.

    Raises ReplayDiverged, naming the ask, if an answer is not recorded.
    """

    def __init__(self, record: Mapping[str, Answer] | Callable[[ModelAsk], Answer | None]) -> None:
        self._record = record
        self._asked = 0

    def client(self) -> InstantClient:
        return InstantClient(self._answer)

    def describe(self) -> dict[str, Json]:
        return {"name": "replay"}

    def _answer(self, ask: ModelAsk) -> Answer:
        self._asked += 1
        if callable(self._record):
            answer = self._record(ask)
        else:
            answer = self._record.get(digest(to_json(ask)))
        if answer is None:
            raise ReplayDiverged(
                f"ask {self._asked}, a {ask.kind} of role '{ask.role}' ({_excerpt(ask)}; digest "
                f"{digest(to_json(ask))}), is not on record; the code or the settings changed "
                "since the run was recorded"
            )
        return answer


def _excerpt(ask: ModelAsk) -> str:
    if isinstance(ask, Embed):
        text = ask.texts[0] if ask.texts else ""
    elif isinstance(ask, Generate):
        text = ask.messages[-1].text if ask.messages else ""
    else:
        text = ask.about
    return repr(text if len(text) <= 80 else text[:77] + "...")


def _scripted_answer(given: ScriptedAnswer, ask: ModelAsk) -> Answer:
    if isinstance(given, str):
        return _scripted_text_answer(given, ask)
    if not isinstance(given, (int, float)):
        return given
    if not isinstance(ask, Rate):
        raise ModelError(
            f"ScriptedModel: the number {given} cannot answer a {ask.kind} ({_excerpt(ask)}); "
            "numbers answer Rate"
        )
    low, high = int(given // 1), -int(-given // 1)
    if not ask.low <= low <= high <= ask.high:
        raise ModelError(
            f"ScriptedModel: rating {given} is not between {ask.low} and {ask.high} "
            f"({_excerpt(ask)})"
        )
    # Shared between the two integers around the value, so that their mean is the value.
    shares = [0.0] * (ask.high - ask.low + 1)
    shares[low - ask.low] += 1.0 if low == high else high - given
    if low != high:
        shares[high - ask.low] += given - low
    return Rating(value=float(given), probabilities=tuple(shares))


def _scripted_text_answer(given: str, ask: ModelAsk) -> Answer:
    if isinstance(ask, Choose):
        names = [option.name for option in ask.options]
        if given not in names:
            raise ModelError(
                f"ScriptedModel: '{given}' is none of the options{did_you_mean(given, names)} "
                f"({_excerpt(ask)}); options: {', '.join(names)}"
            )
        index = names.index(given)
        return Choice(
            index=index, probabilities=tuple(float(i == index) for i in range(len(names)))
        )
    if isinstance(ask, Generate):
        data = None if ask.schema is None else json.loads(given)
        return Completion(text=given, data=data, tokens_out=len(given.split()))
    raise ModelError(
        f"ScriptedModel: the text {given!r} cannot answer a {ask.kind} ({_excerpt(ask)}); "
        "text answers Generate and Choose"
    )
