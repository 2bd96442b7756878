"""Natural language understanding: the intent of a text with its slots, sentiment and language.

Labels are chosen by likelihood and have probabilities; slots are filled under a JSON Schema, and
values that the text does not state are left out.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from ...core import (
    NONE_OF_THESE,
    Choice,
    Failed,
    Json,
    Option,
    Seed,
    Thought,
    Time,
    ToolSpec,
    all_of,
    check_arguments,
)
from ...core.text import SMALL_NUMBER_WORDS
from ..arguments import NOT_STATED, TIME_FORMATS, fill_arguments
from ..steps import choose_among


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """Something that a person may want. ``about``: a sentence that such a person would say.
    ``slots``: a JSON Schema of its details; required ones that are missing are asked for, which is
    detected the better the narrower they are (``pattern``, ``enum``). ``tool``: the tool that
    does it, if any."""

    name: str
    about: str
    slots: Json = field(default=None, hash=False)
    tool: str = ""

    @property
    def option(self) -> Option:
        """The intent as an option of a choice."""
        return Option(self.name, self.about)


SENTIMENTS = (
    Option("negative", "I am angry, sad or disappointed. This is bad, it does not work."),
    Option("neutral", "This is a fact or a plain question. It says what is, or asks for it."),
    Option("positive", "I am happy and thankful. This is wonderful, I love it."),
)
"""Each described by sentences of that sentiment."""

LANGUAGES: Mapping[str, str] = {
    "English": "This is a sentence in English. What is the time, and where are you going?",
    "German": "Das ist ein Satz auf Deutsch. Wie spät ist es, und wohin gehst du?",
    "French": "C'est une phrase en français. Quelle heure est-il, et où vas-tu ?",
    "Spanish": "Esta es una frase en español. ¿Qué hora es y adónde vas?",
    "Italian": "Questa è una frase in italiano. Che ora è, e dove vai?",
    "Portuguese": "Esta é uma frase em português. Que horas são e para onde você vai?",
}
"""Each described in itself: a text is most likely after its own language."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Classification:
    """The chosen label (empty for none of these, or if the model failed), and the probability
    of each label."""

    name: str = ""
    probabilities: Mapping[str, float] = field(default_factory=dict, hash=False)

    @property
    def confidence(self) -> float:
        """The probability of the chosen label."""
        return self.probabilities.get(self.name or NONE_OF_THESE.name, 0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Understanding:
    """The intent, slots, sentiment and language of a text. ``missing``: required slots that were
    not stated."""

    intent: Classification = Classification()
    slots: Json = field(default_factory=dict, hash=False)
    missing: tuple[str, ...] = ()
    sentiment: Classification = Classification()
    language: Classification = Classification()


@check_arguments
def understand(
    text: str,
    *,
    seed: Seed,
    intents: Sequence[Intent] = (),
    sentiment: bool = False,
    languages: Sequence[str] = (),
    context: str = "",
    now: Time | None = None,
) -> Thought[Understanding]:
    """Classify a text by intent, sentiment and language as far as requested, and fill the slots
    of the chosen intent.

    The choices run in parallel. ``context`` is earlier text, from which slots may be filled
    too; relative dates are resolved against ``now``."""
    options: dict[str, Sequence[Option]] = {}
    if intents:
        options["intent"] = [*(intent.option for intent in intents), NONE_OF_THESE]
    if sentiment:
        options["sentiment"] = SENTIMENTS
    if languages:
        options["language"] = [Option(name, LANGUAGES.get(name, name)) for name in languages]
    chosen_labels = yield from all_of(
        [_classify(text, offered, role, seed) for role, offered in options.items()]
    )
    labels = defaultdict(Classification, zip(options, chosen_labels))
    result = Understanding(
        intent=labels["intent"], sentiment=labels["sentiment"], language=labels["language"]
    )
    chosen = next((intent for intent in intents if intent.name == result.intent.name), None)
    if chosen is None or not chosen.slots:
        return result
    slots, missing = yield from fill_slots(chosen, text, seed=seed, context=context, now=now)
    return replace(result, slots=slots, missing=missing)


def _classify(
    text: str, options: Sequence[Option], role: str, seed: Seed
) -> Thought[Classification]:
    choice = yield from choose_among(options, about=text, role=role, seed=seed.child(role).number)
    if not isinstance(choice, Choice):
        return Classification()
    probabilities = {option.name: p for option, p in zip(options, choice.probabilities)}
    chosen = options[choice.index]
    name = "" if chosen == NONE_OF_THESE else chosen.name
    return Classification(name=name, probabilities=probabilities)


def fill_slots(
    intent: Intent, text: str, *, seed: Seed, context: str = "", now: Time | None = None
) -> Thought[tuple[dict[str, Json], tuple[str, ...]]]:
    """The slots of an intent that a text or its ``context`` states, and the names of required
    slots that they do not. Relative dates are resolved against ``now``."""
    schema = intent.slots if isinstance(intent.slots, dict) else {}
    spec = ToolSpec(intent.name, intent.about, schema)
    values = yield from fill_arguments(
        spec, text, seed=seed.child("slots"), context=context, now=now
    )
    if isinstance(values, Failed) and values.reason == NOT_STATED:
        # The other slots may be stated all the same.
        unstated = {name.partition(".")[0] for name in values.detail.split(", ")}
        spec = ToolSpec(intent.name, intent.about, _without_fields(schema, unstated))
        values = yield from fill_arguments(
            spec, text, seed=seed.child("rest"), context=context, now=now
        )
    fields = schema.get("properties", {})
    stated = {
        name: value
        for name, value in (values.items() if isinstance(values, dict) else ())
        if is_stated(value, f"{context}\n{text}", fields.get(name, {}))
    }
    return stated, tuple(name for name in schema.get("required", ()) if name not in stated)


def _without_fields(schema: Json, names: set[str]) -> Json:
    fields = schema.get("properties", {})
    return {
        **schema,
        "properties": {name: inner for name, inner in fields.items() if name not in names},
        "required": [name for name in schema.get("required", ()) if name not in names],
    }


_NUMBER_WORDS = SMALL_NUMBER_WORDS[:13]


def is_stated(value: Json, text: str, schema: Json) -> bool:
    """Whether a value occurs in a text. Values of an enum, booleans and time expressions count
    as stated.

    >>> is_stated("Basel", "a train to Basel", {}), is_stated(2, "for two", {})
    (True, True)
    >>> is_stated("19:00", "a table, please", {})
    False
    """
    if value is None:
        return False
    schema = schema if isinstance(schema, dict) else {}
    if isinstance(value, bool) or "enum" in schema or schema.get("format") in TIME_FORMATS:
        return True
    words = set(re.findall(r"\w+", text.lower()))
    if isinstance(value, int | float):
        digits = f"{value:g}"
        word = _NUMBER_WORDS[int(value)] if value in range(len(_NUMBER_WORDS)) else digits
        return word in words or digits in text
    if isinstance(value, list | dict):
        items = value.values() if isinstance(value, dict) else value
        return all(is_stated(item, text, {}) for item in items)
    value_words = set(re.findall(r"\w+", str(value).lower()))
    return bool(value_words) and len(value_words & words) * 2 > len(value_words)
