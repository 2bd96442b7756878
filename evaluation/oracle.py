"""A perfect model for the tasks: it answers every ask by knowing the task.

It sees no more than any model does, the ask, and what its calls have come to so far."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field

from ..core import (
    NONE,
    Choose,
    Generate,
    Json,
    Message,
    ModelAsk,
    ModelError,
    Rate,
    ToolSpec,
)
from ..core.options import in_words
from ..models import ScriptedModel
from ..models.doubles import Given
from ..planners import call_key
from .tasks import Problem, Want

INSIGHT = "What leads there: "
"""How the thoughts of the perfect model begin, by which it knows them again."""


@dataclass(slots=True)
class Oracle:
    """Knows how a problem is solved. ``tried`` are the keys of the calls made so far and
    whether each worked; whoever makes the calls keeps it."""

    problem: Problem
    specs: Sequence[ToolSpec]
    tried: dict[str, bool] = field(default_factory=dict)
    plans: int = 0

    def model(self) -> ScriptedModel:
        """The model that answers by it."""
        return ScriptedModel(self.answer)

    def pending(self, text: str) -> list[Want]:
        """The calls to make now for what a text asks: the whole goal, or a step of it."""
        problem = self.problem
        steps = {want.do for want in problem.wants if want.do in text}
        return [
            want
            for want in problem.wants
            if self._key(want) not in self.tried
            and (want.do in steps or not steps)
            and self._due(want)
        ]

    def answer(self, ask: ModelAsk) -> Given:
        """What a model that knows the task answers."""
        if isinstance(ask, Choose):
            return self._choice(ask)
        if isinstance(ask, Rate):
            return self._rating(ask)
        if isinstance(ask, Generate):
            return self._text(ask)
        raise ModelError(f"the oracle has no answer to a {ask.kind}")

    def _choice(self, ask: Choose) -> str:
        names = [option.name for option in ask.options]
        if ask.role == "value":
            value = self._value(ask.messages)
            return next((one for one in names if one.lower() == value.lower()), names[0])
        if "contradict" in names:
            return "contradict"  # Equal results are never asked about.
        if "right" in names:
            return "wrong" if self.problem.wrong(ask.about) else "right"
        for want in self.pending(ask.about):
            if want.tool in names:
                return want.tool
        if self.problem.status == "waiting" and "ask_back" in names:
            return "ask_back"
        worked = any(self.tried.values()) and self.problem.status == "done"
        if worked and not self._stuck(ask.about) and "answer" in names:
            return "answer"
        return NONE.name

    def _rating(self, ask: Rate) -> float:
        if ask.role != "worth":
            return 3.0
        return 10.0 if INSIGHT in ask.about else 2.0

    def _text(self, ask: Generate) -> str:
        said = "\n".join(message.text for message in ask.messages)
        if ask.role == "plan":
            return json.dumps({"steps": self._plan()})
        if ask.role == "value":
            return self._value(ask.messages)
        if ask.schema is not None:
            return json.dumps(self._arguments(ask.schema, said))
        if ask.role == "ask_back":
            return self.problem.answer
        if ask.role == "reflect":
            return "Do what has not been tried yet."
        if ask.role == "thought":
            return INSIGHT + self.problem.about if ask.seed % 2 else "One could leave it."
        lost = [word for word in self.problem.basis if word not in said]
        return f"I was not told {', '.join(lost)}." if lost else self.problem.answer

    def _plan(self) -> list[Json]:
        """The steps that are left, those for the same as one."""
        left = [want for want in self.problem.wants if self._planned(want)]
        steps: dict[str, list[str]] = {}
        for want in left:
            before = {
                one.do
                for one in left
                if {one.tool, one.instead} & {*want.after} and one.do != want.do
            }
            steps.setdefault(want.do, []).extend(sorted(before))
        if not steps:
            return [{"id": "s1", "do": self.problem.goal, "after": []}]
        names = {do: f"s{place}" for place, do in enumerate(steps, 1)}
        return [
            {"id": names[do], "do": do, "after": [names[one] for one in dict.fromkeys(before)]}
            for do, before in steps.items()
        ]

    def _planned(self, want: Want) -> bool:
        if self._key(want) in self.tried:
            return False
        return not want.instead or self._lost(want.instead)

    def _value(self, messages: Sequence[Message]) -> str:
        """What a field is to be that the last question is about."""
        asked = messages[-1].text
        words = asked.rpartition('What is "')[2].partition('"')[0]
        for want in self.pending(asked):
            for name, value in want.arguments.items():
                if in_words(name) == words:
                    return str(value)
        return "unknown"

    def _arguments(self, schema: Json, said: str) -> Json:
        """Those of the call that the prompt is about."""
        names = set(schema.get("properties", ()))
        for want in self.pending(said):
            if names <= set(want.arguments) and f'"{want.tool}"' in said:
                return {name: want.arguments[name] for name in names}
        raise ModelError(f"the oracle was asked for arguments it did not choose: {said!r}")

    def _key(self, want: Want) -> str:
        return call_key(want.tool, dict(want.arguments))

    def _lost(self, tool: str) -> bool:
        """Whether a tool was called, and in vain."""
        keys = [self._key(want) for want in self.problem.wants if want.tool == tool]
        results = [self.tried[key] for key in keys if key in self.tried]
        return bool(results) and not any(results)

    def _due(self, want: Want) -> bool:
        if want.instead and not self._lost(want.instead):
            return False
        return all(self._done(tool) for tool in want.after)

    def _done(self, tool: str) -> bool:
        """Whether what a tool was wanted for is known, from it or from one in its stead."""
        wants = [one for one in self.problem.wants if tool in (one.tool, one.instead)]
        return any(self.tried.get(self._key(one), False) for one in wants)

    def _stuck(self, text: str) -> bool:
        """Whether all that a step could do came to nothing."""
        own = [want for want in self.problem.wants if want.do in text]
        results = [self.tried[self._key(one)] for one in own if self._key(one) in self.tried]
        return bool(results) and not any(results)
