"""Models that answer adversarially: always the same, failures only, at random, or an echo."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias, get_args

from ..core import (
    Answer,
    Ask,
    Call,
    Choice,
    Choose,
    Completion,
    Embed,
    Failed,
    Generate,
    Hit,
    Json,
    ModelAsk,
    Rate,
    Rating,
    Recall,
    Recalled,
    Record,
    Seed,
    ToolErrorReason,
    ToolResult,
    answer_all,
    digest,
    to_json,
)
from ..models import (
    ImprovisedModel,
    InstantClient,
    ask_hash,
    hashed_vectors,
    random_distribution,
    random_instance,
)

Answerer: TypeAlias = Callable[[Ask], Answer]

FAILURE_REASONS = ("context_too_long", "limit", "schema", "engine", "refused", "no_tool")
"""Reasons for which an ask may fail."""
_SYLLABLES = ("ka", "bo", "lu", "mi", "ner", "sa", "to", "vey")
GARBAGE_TEXTS = (
    "",
    "   ",
    "\x00\x1b[2J",
    "{{name}} }{",
    "<|im_end|>",
    "ÄÖ🤖" * 40,
    "null",
    "a\n\nb",
)


@dataclass(slots=True)
class RepeatingAnswerer:
    """Gives the same answer to every ask: the option at index ``place`` (negative: from the end),
    the same text, the lowest rating."""

    place: int = 0
    text: str = "The same again."

    def __call__(self, ask: Ask) -> Answer:
        """The fixed answer."""
        if isinstance(ask, Choose):
            count = len(ask.options)
            chosen = self.place % count if count else 0
            return Choice(
                index=chosen, probabilities=tuple(float(i == chosen) for i in range(count))
            )
        if isinstance(ask, Generate):
            if ask.schema is None:
                return Completion(text=self.text)
            data = random_instance(ask.schema, b"the same")
            return Completion(text=json.dumps(data), data=data)
        return _default_answer(ask, ok=True, value=self.text)


@dataclass(slots=True)
class RefusingAnswerer:
    """Fails every ask with ``reason``, every tool call with ``fault``; with ``only``, just the asks
    of these kinds."""

    reason: str = "engine"
    fault: ToolErrorReason = "failed"
    only: tuple[str, ...] = ()

    def __call__(self, ask: Ask) -> Answer:
        """A failure, or the fixed answer to kinds that are not in ``only``."""
        if self.only and ask.kind not in self.only:
            return RepeatingAnswerer()(ask)
        if isinstance(ask, Call) and self.fault:
            return ToolResult(ok=False, error=f"refused: {self.fault}", reason=self.fault)
        return Failed(reason=self.reason, detail=f"refused: {self.reason}")


@dataclass(slots=True)
class RandomAnswerer:
    """Answers at random, but always the same to the same ask: any option, any text."""

    seed: int = 0

    def __call__(self, ask: Ask) -> Answer:
        """A random answer."""
        noise = _noise(ask, self.seed)
        if isinstance(ask, Choose):
            spread = random_distribution(noise, len(ask.options))
            return Choice(index=noise[1] % len(spread), probabilities=spread)
        if isinstance(ask, Generate):
            if ask.schema is not None:
                data = random_instance(ask.schema, noise)
                return Completion(text=json.dumps(data), data=data)
            return Completion(text=GARBAGE_TEXTS[noise[2] % len(GARBAGE_TEXTS)])
        if isinstance(ask, Rate):
            spread = random_distribution(noise, ask.high - ask.low + 1)
            value = sum(p * (ask.low + i) for i, p in enumerate(spread))
            return Rating(value=value, probabilities=spread)
        if isinstance(ask, Call) and noise[3] % 3 == 0:
            faults = [fault for fault in get_args(ToolErrorReason) if fault]
            fault = faults[noise[4] % len(faults)]
            return ToolResult(
                ok=False, error=GARBAGE_TEXTS[noise[5] % len(GARBAGE_TEXTS)], reason=fault
            )
        return _default_answer(ask, ok=True, value=GARBAGE_TEXTS[noise[6] % len(GARBAGE_TEXTS)])


class EchoModel:
    """A Model that leaks its prompt. Its decisions depend on every word of the ask; its texts are
    the whole prompt, or a sentence of the prompt's longest words and of names hashed from it."""

    def client(self) -> InstantClient:
        """A client that answers at once."""
        return InstantClient(self._answer)

    def describe(self) -> dict[str, Json]:
        """Its name."""
        return {"name": "echo"}

    def _answer(self, ask: ModelAsk) -> Answer:
        if not isinstance(ask, Generate):
            return answer_all(ImprovisedModel().client(), [ask])[0]
        text = _echo_text(ask)
        if ask.schema is None:
            return Completion(text=text)
        data = _fill_with_text(random_instance(ask.schema, ask_hash(ask, b"")), ask.schema, text)
        return Completion(text=json.dumps(data, ensure_ascii=False), data=data)


def _echo_text(ask: Generate) -> str:
    text = " ".join(" ".join(message.text for message in ask.messages).split())
    noise = ask_hash(ask, b"")
    if noise[0] % 3 == 0:
        return text
    longest = sorted(set(re.findall(r"\w+", text)), key=lambda word: (-len(word), word))[:3]
    names = ["".join(_SYLLABLES[byte % 8] for byte in noise[n : n + 5]) for n in range(1, 36, 5)]
    return f"It is so: {' '.join(longest)} and {' '.join(names)}."


def _fill_with_text(made: Json, schema: Json, text: str) -> Json:
    """An instance of a schema with ``text`` in every unconstrained string."""
    if not isinstance(schema, dict):
        return made
    if isinstance(made, dict):
        parts = schema.get("properties", {})
        return {name: _fill_with_text(one, parts.get(name), text) for name, one in made.items()}
    if isinstance(made, list):
        return [_fill_with_text(one, schema.get("items"), text) for one in made]
    free = isinstance(made, str) and not {"enum", "const", "pattern", "format"} & schema.keys()
    return text[-int(schema.get("maxLength", 2_000)) :] if free else made


def _noise(ask: Ask, seed: int) -> bytes:
    if isinstance(ask, Recall | Call):
        return bytes.fromhex(digest(to_json(ask))) * 4
    return ask_hash(ask, seed.to_bytes(8, "little"))


def _default_answer(ask: Ask, *, ok: bool, value: str) -> Answer:
    if isinstance(ask, Rate):
        count = ask.high - ask.low + 1
        return Rating(value=float(ask.low), probabilities=(1.0,) + (0.0,) * (count - 1))
    if isinstance(ask, Embed):
        return hashed_vectors(ask)
    if isinstance(ask, Recall):
        return Recalled(hits=_hits(ask), held=0.5)
    return ToolResult(ok=ok, value=value, receipt="check-1")


def _hits(ask: Recall) -> tuple[Hit, ...]:
    """Three records related to the cue."""
    kind = ask.cue.kinds[0] if ask.cue.kinds else "thought"
    records = [
        Record(id=n, kind=kind, text=text, created=datetime(2000, 1, 1), who="Ana")
        for n, text in enumerate((f"About {ask.cue.text}.", "It rained.", "Bo likes rye."), 1)
    ]
    return tuple(
        Hit(record=one, score=1.0, recency=1.0, importance=0.1, relevance=0.5)
        for one in records[: ask.cue.limit]
    )


def adversarial_answerers(seed: Seed) -> dict[str, Callable[[], Answerer]]:
    """Factories of all adversarial models, by a description; a new one is made for each thought."""
    made: dict[str, Callable[[], Answerer]] = {
        f"always takes option {place}": lambda place=place: RepeatingAnswerer(place)  # type: ignore[misc]
        for place in (0, 1, 2, -1, -2)
    }
    made["always says nothing"] = lambda: RepeatingAnswerer(0, "")
    for reason in FAILURE_REASONS:
        made[f"fails every ask with '{reason}'"] = lambda r=reason: RefusingAnswerer(r)  # type: ignore[misc]
    for kind in ("choose", "generate", "rate", "recall", "embed"):
        made[f"fails every {kind}"] = lambda k=kind: RefusingAnswerer(only=(k,))  # type: ignore[misc]
    for fault in get_args(ToolErrorReason):
        made[f"fails every call with '{fault or 'Failed'}'"] = (
            lambda f=fault: RefusingAnswerer(fault=f, only=("call",))  # type: ignore[misc]
        )
    rng = seed.child("nonsense").rng()
    for _ in range(12):
        number = rng.randrange(2**32)
        made[f"talks nonsense ({number})"] = lambda n=number: RandomAnswerer(n)  # type: ignore[misc]
    return made
