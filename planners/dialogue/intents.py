"""Understanding a text: what is wanted, with which details, in which mood and language.

A step that any planner can take. What can be chosen is chosen by likelihood and comes with
probabilities; details are filled in under a schema, and those that stand nowhere in the text
are not made up.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ...core import (
    NONE_OF_THESE,
    Choice,
    Choose,
    Failed,
    Json,
    Option,
    Seed,
    Thought,
    Time,
    ToolSpec,
    all_of,
    check_arguments,
    choose,
)
from ...core.text import SMALL_NUMBER_WORDS
from ..arguments import NOT_STATED, TIME_FORMATS, fill_arguments


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """Something that a person may want. ``about`` says it in a sentence, best in words that
    such a person would use. ``slots`` is a JSON Schema of its details; those it requires are
    asked for where they were not said, which is the better told the narrower they are: a
    ``pattern`` or an ``enum`` where a text is not free. ``tool`` is what does it, if one does."""

    name: str
    about: str
    slots: Json = field(default=None, hash=False)
    tool: str = ""

    @property
    def option(self) -> Option:
        """The intent as an option."""
        return Option(self.name, self.about)


SENTIMENTS = (
    Option("negative", "I am angry, sad or disappointed. This is bad, it does not work."),
    Option("neutral", "This is a fact or a plain question. It says what is, or asks for it."),
    Option("positive", "I am happy and thankful. This is wonderful, I love it."),
)
"""Told as somebody in that mood would speak."""

LANGUAGES: Mapping[str, str] = {
    "English": "This is a sentence in English. What is the time, and where are you going?",
    "German": "Das ist ein Satz auf Deutsch. Wie spät ist es, und wohin gehst du?",
    "French": "C'est une phrase en français. Quelle heure est-il, et où vas-tu ?",
    "Spanish": "Esta es una frase en español. ¿Qué hora es y adónde vas?",
    "Italian": "Questa è una frase in italiano. Che ora è, e dove vai?",
    "Portuguese": "Esta é uma frase em português. Que horas são e para onde você vai?",
}
"""Each told in itself: a text is likeliest after its own language."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Classification:
    """What was chosen ("" for none of these, or where no model could say), and the
    probability of each name."""

    name: str = ""
    probabilities: Mapping[str, float] = field(default_factory=dict, hash=False)

    @property
    def confidence(self) -> float:
        """The probability of what was chosen."""
        return self.probabilities.get(self.name or NONE_OF_THESE.name, 0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Understanding:
    """What a text was understood to say. ``slots`` are the details that it gives, ``missing``
    those that the intent requires and that were not said."""

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
    """Understand a text as far as is asked: its intent and details, its mood, its language.

    The choices are made side by side; details are filled in once the intent is known.
    ``context`` is what was said before, from which details may be taken too."""
    wanted: dict[str, tuple[Sequence[Option], bool]] = {}
    if intents:
        wanted["intent"] = ([one.option for one in intents], True)
    if sentiment:
        wanted["sentiment"] = (SENTIMENTS, False)
    if languages:
        wanted["language"] = ([Option(one, LANGUAGES.get(one, one)) for one in languages], False)
    guesses = yield from all_of(
        [_classify(text, options, role, none, seed) for role, (options, none) in wanted.items()]
    )
    found = dict(zip(wanted, guesses))
    meant = next((one for one in intents if one.name == found["intent"].name), None)
    slots: dict[str, Json] = {}
    missing: tuple[str, ...] = ()
    if meant is not None and meant.slots:
        slots, missing = yield from fill_slots(meant, text, seed=seed, context=context, now=now)
    return Understanding(
        intent=found.get("intent", Classification()),
        slots=slots,
        missing=missing,
        sentiment=found.get("sentiment", Classification()),
        language=found.get("language", Classification()),
    )


def _classify(
    text: str, options: Sequence[Option], role: str, none: bool, seed: Seed
) -> Thought[Classification]:
    offered = (*options, NONE_OF_THESE) if none else tuple(options)
    picked = yield from choose(
        Choose(messages=(), options=offered, about=text, role=role, seed=seed.child(role).number)
    )
    if not isinstance(picked, Choice):
        return Classification()
    spread = {one.name: p for one, p in zip(offered, picked.probabilities)}
    chosen = offered[picked.index]
    return Classification(name="" if chosen == NONE_OF_THESE else chosen.name, probabilities=spread)


def fill_slots(
    intent: Intent, text: str, *, seed: Seed, context: str = "", now: Time | None = None
) -> Thought[tuple[dict[str, Json], tuple[str, ...]]]:
    """The details of an intent that a text (or what was said before it) gives, and the names
    of those required that it does not. ``now`` is what "tomorrow" is reckoned from."""
    schema = intent.slots if isinstance(intent.slots, dict) else {}
    spec = ToolSpec(intent.name, intent.about, schema)
    filled = yield from fill_arguments(
        spec, text, seed=seed.child("slots"), context=context, now=now
    )
    if isinstance(filled, Failed) and filled.reason == NOT_STATED:
        # The rest may have been told all the same.
        rest = _without_fields(
            schema, {name.partition(".")[0] for name in filled.detail.split(", ")}
        )
        spec = ToolSpec(intent.name, intent.about, rest)
        filled = yield from fill_arguments(
            spec, text, seed=seed.child("rest"), context=context, now=now
        )
    values = {} if isinstance(filled, Failed) or not isinstance(filled, dict) else filled
    said = f"{context}\n{text}"
    known = {
        name: value
        for name, value in values.items()
        if _is_stated(value, said, schema.get("properties", {}).get(name, {}))
    }
    required = schema.get("required", ())
    return known, tuple(name for name in required if name not in known)


def _without_fields(schema: Json, names: set[str]) -> Json:
    """A schema without some of its fields."""
    fields = schema.get("properties", {})
    return {
        **schema,
        "properties": {name: one for name, one in fields.items() if name not in names},
        "required": [name for name in schema.get("required", ()) if name not in names],
    }


_NUMBER_WORDS = SMALL_NUMBER_WORDS[:13]


def _is_stated(value: Json, said: str, schema: Json) -> bool:
    """Whether a value was said, and not made up. What is one of a few given values, or true or
    false, need not stand there word for word.

    >>> _is_stated("Basel", "a train to Basel", {}), _is_stated(2, "for two", {})
    (True, True)
    >>> _is_stated("19:00", "a table, please", {})
    False
    """
    if value is None:
        return False
    schema = schema if isinstance(schema, dict) else {}
    # A date was read, never written: "tomorrow" does not hold it word for word.
    if isinstance(value, bool) or "enum" in schema or schema.get("format") in TIME_FORMATS:
        return True
    words = set(re.findall(r"\w+", said.lower()))
    if isinstance(value, int | float):
        plain = f"{value:g}"
        named = _NUMBER_WORDS[int(value)] if value in range(len(_NUMBER_WORDS)) else plain
        return plain in words or named in words or plain in said
    if isinstance(value, list):
        return all(_is_stated(one, said, {}) for one in value)
    if isinstance(value, dict):
        return all(_is_stated(one, said, {}) for one in value.values())
    own = set(re.findall(r"\w+", str(value).lower()))
    return bool(own) and len(own & words) * 2 > len(own)
