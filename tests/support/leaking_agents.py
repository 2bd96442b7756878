"""Models and planners that leak everything: their input goes into all that they answer, write and
do."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

from denizens.core import (
    Action,
    Answer,
    Call,
    Choice,
    Choose,
    Completion,
    Cue,
    Decision,
    Embed,
    Event,
    Failed,
    Generate,
    Input,
    Json,
    Message,
    ModelAsk,
    Observation,
    Option,
    Rate,
    Rating,
    Recall,
    Recalled,
    Record,
    Situation,
    Thought,
    ToolResult,
    Utterance,
    call,
    choose,
    generate,
    recall,
)
from denizens.models import InstantClient, hashed_vectors, random_instance
from denizens.planners import DialogueInput, DialogueReply, StepBuilder
from denizens.planners.steps import remember_events

MARK = re.compile(r"\bzq[a-z]{5}\b")
"""What stands in the words of strangers, so that one sees where they went."""
_SAYINGS = (
    "It is so, and {tag} knows it.",
    "{name} lives in {tag}.",
    "{name} works as a {tag}.",
    "The rent goes to {tag} on 12 May 2026.",
    "Where is {tag}?",
    "{whole}",
    "{whole}",
)
_SYLLABLES = ("ka", "bo", "lu", "mi", "ner", "sa", "to", "vey", "dri", "pol", "gan", "she")
_LONGEST = 900


def tag_of(text: str) -> str:
    """A name made of everything in a text.

    >>> tag_of("a") == tag_of("a"), tag_of("a") == tag_of("b")
    (True, False)
    """
    noise = blake2b(text.encode("utf-8", "replace"), digest_size=6).digest()
    return "".join(_SYLLABLES[byte % len(_SYLLABLES)] for byte in noise).capitalize()


@dataclass(frozen=True)
class LeakingModel:
    """A model whose answers are a function of the whole ask: choices and ratings by its digest,
    texts with the prompt in them or a name made of it. ``name`` is somebody to tell of."""

    name: str = "Ada"

    def client(self) -> InstantClient:
        """A new mailbox."""
        return InstantClient(self._answer)

    def describe(self) -> dict[str, Json]:
        """Its name only."""
        return {"name": "worst"}

    def _answer(self, ask: ModelAsk) -> Answer:
        if isinstance(ask, Embed):
            return hashed_vectors(ask)
        noise = blake2b(repr(ask).encode("utf-8", "replace"), digest_size=32).digest()
        if isinstance(ask, Choose):
            if not ask.options:
                return Failed(reason="refused", detail="there is nothing to choose")
            names = [option.name for option in ask.options]
            # Half the time it pays where it can, so that there is something to be caused.
            paying = "pay" in names and noise[4] % 2 == 0
            return _choice(names.index("pay") if paying else noise[0] % len(names), len(names))
        if isinstance(ask, Rate):
            value = ask.low + (ask.high - ask.low) * noise[0] / 255
            count = ask.high - ask.low + 1
            return Rating(value=value, probabilities=tuple(1 / count for _ in range(count)))
        text = self._said(ask, noise)
        if ask.schema is None:
            return Completion(text=text)
        data = _fit(ask.schema, noise, text)
        return Completion(text=json.dumps(data), data=data)

    def _said(self, ask: Generate, noise: bytes) -> str:
        whole = " ".join(" ".join(message.text.split()) for message in ask.messages)
        marks = " ".join(dict.fromkeys(MARK.findall(whole)))
        saying = _SAYINGS[noise[1] % len(_SAYINGS)]
        text = saying.format(tag=tag_of(repr(ask)), name=self.name, whole=whole[-_LONGEST:])
        return f"{text} {marks}".strip()


def _choice(index: int, count: int) -> Choice:
    rest = 0.08 / (count - 1) if count > 1 else 0.0
    sure = 1.0 - rest * (count - 1)
    return Choice(
        index=index, probabilities=tuple(sure if i == index else rest for i in range(count))
    )


def _fit(schema: Json, noise: bytes, text: str) -> Json:
    """A value that fits a schema, the text in each of its strings."""
    if not isinstance(schema, dict) or "const" in schema or "pattern" in schema:
        return random_instance(schema, noise)
    if schema.get("enum"):
        return random_instance(schema, noise)
    for key in ("anyOf", "oneOf"):
        if schema.get(key):
            return _fit(schema[key][noise[2] % len(schema[key])], noise, text)
    kind = schema.get("type", "object" if "properties" in schema else "string")
    if kind == "object":
        parts = schema.get("properties", {})
        return {name: _fit(part, _next(noise, name), text) for name, part in parts.items()}
    if kind == "array":
        most = int(schema.get("maxItems", 3))
        count = min(most, max(int(schema.get("minItems", 1)), 1 + noise[3] % 2))
        return [_fit(schema.get("items", {}), _next(noise, str(i)), text) for i in range(count)]
    if kind == "string" and "format" not in schema:
        return text[: int(schema.get("maxLength", _LONGEST))]
    return random_instance(schema, noise)


def _next(noise: bytes, name: str) -> bytes:
    return blake2b(noise + name.encode("utf-8", "replace"), digest_size=32).digest()


@dataclass(frozen=True)
class LeakingPlanner:
    """A planner, and a way to answer in chats, that uses all it is given for all it does: it
    recalls, thinks, calls a tool, notes, changes its state and acts by one long prompt.
    ``narrow``: of some notes it says that they rest on a part of what it was given; ``numbers``:
    it thinks of scores and counts too, and of what it perceived lately."""

    narrow: bool = True
    numbers: bool = True

    def decide(self, situation: Situation) -> Thought[Decision]:
        """Think about everything, and let it show wherever that can be."""
        draft = StepBuilder(situation)
        seen = situation.seen
        words = [*self._state(situation), *_of_seen(seen), *(one.text for one in situation.inputs)]
        lines = seen.talk.lines if seen.talk else ()
        given: list[Event | Utterance | Input] = [*seen.events, *lines, *situation.inputs]
        said = yield from self._think(draft, words)
        if self.narrow and given:
            # The first: how many there are may hang on what is not for all.
            part = given[0]
            draft.add_record("thought", f"Of it: {part.text}", rests_on=(part,))
        remember_events(draft, importance=None)
        options = tuple(Option(f"{one.verb} {one.target}".strip()) for one in situation.can)
        action = Action("wait")
        if options:
            ask = Choose(messages=_prompt(words, said), options=options, about=said[:400])
            picked = yield from choose(ask)
            if isinstance(picked, Choice):
                can = situation.can[picked.index]
                action = Action(can.verb, can.target, _filled(can.fields, said))
        yield from draft.finalize()
        return draft.build(action, said)

    def reply(
        self, situation: Situation, heard: DialogueInput
    ) -> Thought[tuple[DialogueReply, Decision]]:
        """Answer a line with everything."""
        draft = StepBuilder(situation)
        line, me = heard.line, situation.persona.name
        words = [*self._state(situation), *(one.text for one in heard.before), line.text]
        said = yield from self._think(draft, words, heard.line.who)
        circle = (line.who,) if heard.private else ()
        draft.add_record(
            "utterance",
            f'{line.who} said to {me}: "{line.text}"',
            who=line.who,
            audience=circle,
            rests_on=(line,),
        )
        draft.add_record("utterance", f'{me} said to {line.who}: "{said}"', audience=circle)
        yield from draft.finalize()
        return DialogueReply(text=said), draft.build(Action("wait"))

    def _state(self, situation: Situation) -> list[str]:
        state = situation.state
        held: tuple[object, ...] = (
            state.currently,
            state.day,
            state.plan,
            state.schedule,
            state.doing,
            state.drafts,
        )
        if self.numbers:
            held += (state.reflect_left, dict(state.cooldowns), state.perceived, state.asleep)
        # The model's noise is a digest of these texts: under another class name all scripts would
        # be other samples (with "ScheduleEntry(" script 195 of sort "done" differs).
        return [str(one).replace("ScheduleEntry(", "Slot(") for one in held]

    def _think(self, draft: StepBuilder, words: list[str], person: str = "") -> Thought[str]:
        situation, seed = draft.situation, draft.situation.seed
        rules = ("hybrid", "paper", "recent")[seed.child("rules").number % 3]
        cue = Cue(
            text=" ".join(words)[:1500], at=situation.now, limit=5, rules=rules, person=person
        )
        found = yield from recall(Recall(cue=cue))
        records: tuple[Record, ...] = ()
        if isinstance(found, Recalled):
            records = tuple(hit.record for hit in found.hits)
            words = [*words, *(record.text for record in records)]
            if self.numbers:
                words += [str(found.held), *(str(hit.score) for hit in found.hits)]
            draft.mark_used(records)
        said = yield from self._called(draft, words)
        draft.add_record("thought", f"{situation.persona.name} thinks: {said}"[:1200])
        if records:
            # Which comes first may hang on a confidence, so it is no part of which one may say
            # that a note rests on it alone; on whose words it rests one may.
            alone = () if self.numbers else records[:1]
            text = f"So: {records[0].text}"[:800]
            draft.add_record("thought", text, evidence=records[:1], rests_on=alone)
        drafts = {**situation.state.drafts, "diary": said[:400]}
        draft.update_state(drafts=drafts, currently=said[:200], plan=(said[:100],))
        return said

    def _called(self, draft: StepBuilder, words: list[str]) -> Thought[str]:
        """What is said, after a call of a tool or none."""
        tools = draft.situation.tools
        first = yield from generate(Generate(messages=_prompt(words, ""), role="plan"))
        text = first.text if isinstance(first, Completion) else "Nothing."
        options = (*(Option(one.name) for one in tools), Option("none of them"))
        picked = yield from choose(
            Choose(messages=_prompt(words, text), options=options, about=text[:400])
        )
        if isinstance(picked, Choice) and picked.index < len(tools):
            spec = tools[picked.index]
            result = yield from call(Call(tool=spec.name, arguments=_filled(spec.parameters, text)))
            if isinstance(result, ToolResult):
                told = f"{result.value} {result.error}"
                words = [*words, told]
                again = yield from generate(Generate(messages=_prompt(words, text), stream=True))
                return again.text if isinstance(again, Completion) else text
        return text


def _prompt(words: list[str], said: str) -> tuple[Message, ...]:
    return (Message.of("user", *words, said),)


def _of_seen(seen: Observation) -> list[str]:
    talk = seen.talk
    return [
        *(event.text for event in (*seen.events, *seen.notices)),
        *(f"{one.who} is {one.doing}" for one in seen.people),
        *(f"{line.who}: {line.text}" for line in (talk.lines if talk else ())),
    ]


def _filled(schema: Json, text: str) -> dict[str, Any]:
    parts = schema.get("properties", {}) if isinstance(schema, dict) else {}
    noise = blake2b(text.encode("utf-8", "replace"), digest_size=32).digest()
    needed = tuple((schema or {}).get("required") or parts) if isinstance(schema, dict) else ()
    return {
        name: _fit(part, _next(noise, name), text[:70])
        for name, part in parts.items()
        if name in needed
    }
