"""A model that solves the benchmark tasks: it answers each ask from the task definition.

It receives only the asks, as any model does, and the outcomes of the calls so far."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field

from ...core import (
    NONE_OF_THESE,
    Choose,
    Generate,
    Json,
    Message,
    ModelAsk,
    ModelError,
    Rate,
    ToolSpec,
    identifier_to_words,
)
from ...planners import call_key
from ...testing import ScriptedAnswer, ScriptedModel
from .tasks import BenchmarkTask, ExpectedCall

INSIGHT = "What leads there: "
"""Prefix of the thoughts of this model, by which it recognises them."""


@dataclass(slots=True)
class PerfectModel:
    """Answers the asks of one task. ``outcomes`` maps the keys of the calls so far to whether they
    worked; the caller keeps it up to date."""

    task: BenchmarkTask
    specs: Sequence[ToolSpec]
    outcomes: dict[str, bool] = field(default_factory=dict)
    plans: int = 0

    def as_model(self) -> ScriptedModel:
        """A scripted model that answers by this object."""
        return ScriptedModel(self.answer)

    def pending(self, text: str) -> list[ExpectedCall]:
        """The calls to make now for the goal, or for the step of it that ``text`` names."""
        expected = self.task.expected_calls
        steps = {want.purpose for want in expected if want.purpose in text}
        return [
            want
            for want in expected
            if self._key(want) not in self.outcomes
            and (want.purpose in steps or not steps)
            and self._is_due(want)
        ]

    def answer(self, ask: ModelAsk) -> ScriptedAnswer:
        """The answer to an ask."""
        if isinstance(ask, Choose):
            return self._choice(ask)
        if isinstance(ask, Rate):
            return self._rating(ask)
        if isinstance(ask, Generate):
            return self._text(ask)
        raise ModelError(f"the perfect model has no answer to a {ask.kind}")

    def _choice(self, ask: Choose) -> str:
        names = [option.name for option in ask.options]
        if ask.role == "value":
            value = self._value(ask.messages)
            return next((one for one in names if one.lower() == value.lower()), names[0])
        if "contradict" in names:
            return "contradict"  # Equal results are never asked about.
        if "right" in names:
            return "wrong" if self.task.error_in(ask.about) else "right"
        for want in self.pending(ask.about):
            if want.tool in names:
                return want.tool
        if self.task.status == "waiting" and "ask_back" in names:
            return "ask_back"
        worked = any(self.outcomes.values()) and self.task.status == "done"
        if worked and not self._step_failed(ask.about) and "answer" in names:
            return "answer"
        return NONE_OF_THESE.name

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
            return self.task.answer
        if ask.role == "reflect":
            return "Do what has not been tried yet."
        if ask.role == "thought":
            return INSIGHT + self.task.about if ask.seed % 2 else "One could leave it."
        lost = [word for word in self.task.required_facts if word not in said]
        return f"I was not told {', '.join(lost)}." if lost else self.task.answer

    def _plan(self) -> list[Json]:
        """The remaining steps; calls with one purpose are one step."""
        left = [want for want in self.task.expected_calls if self._is_still_needed(want)]
        steps: dict[str, list[str]] = {}
        for want in left:
            before = {
                one.purpose
                for one in left
                if {one.tool, one.fallback_for} & {*want.after} and one.purpose != want.purpose
            }
            steps.setdefault(want.purpose, []).extend(sorted(before))
        if not steps:
            return [{"id": "s1", "do": self.task.goal, "after": []}]
        names = {do: f"s{place}" for place, do in enumerate(steps, 1)}
        return [
            {"id": names[do], "do": do, "after": [names[one] for one in dict.fromkeys(before)]}
            for do, before in steps.items()
        ]

    def _is_still_needed(self, want: ExpectedCall) -> bool:
        if self._key(want) in self.outcomes:
            return False
        return not want.fallback_for or self._has_failed(want.fallback_for)

    def _value(self, messages: Sequence[Message]) -> str:
        """The value of the field that the last question is about."""
        asked = messages[-1].text
        words = asked.rpartition('What is "')[2].partition('"')[0]
        for want in self.pending(asked):
            for name, value in want.arguments.items():
                if identifier_to_words(name) == words:
                    return str(value)
        return "unknown"

    def _arguments(self, schema: Json, said: str) -> Json:
        """The arguments of the call that the prompt is about."""
        names = set(schema.get("properties", ()))
        for want in self.pending(said):
            if names <= set(want.arguments) and f'"{want.tool}"' in said:
                return {name: want.arguments[name] for name in names}
        raise ModelError(f"the perfect model was asked for arguments it did not choose: {said!r}")

    def _key(self, want: ExpectedCall) -> str:
        return call_key(want.tool, dict(want.arguments))

    def _has_failed(self, tool: str) -> bool:
        """Whether a tool was called and never worked."""
        keys = [self._key(want) for want in self.task.expected_calls if want.tool == tool]
        results = [self.outcomes[key] for key in keys if key in self.outcomes]
        return bool(results) and not any(results)

    def _is_due(self, want: ExpectedCall) -> bool:
        if want.fallback_for and not self._has_failed(want.fallback_for):
            return False
        return all(self._has_succeeded(tool) for tool in want.after)

    def _has_succeeded(self, tool: str) -> bool:
        """Whether the result of a tool is known, from it or from its fallback."""
        wants = [one for one in self.task.expected_calls if tool in (one.tool, one.fallback_for)]
        return any(self.outcomes.get(self._key(one), False) for one in wants)

    def _step_failed(self, text: str) -> bool:
        """Whether all calls of a step failed."""
        own = [want for want in self.task.expected_calls if want.purpose in text]
        results = [self.outcomes[self._key(one)] for one in own if self._key(one) in self.outcomes]
        return bool(results) and not any(results)
