"""Sentences about oneself, rewritten about somebody with a name."""

from __future__ import annotations

import re

from .sentences import word_set

_PHRASES = (
    (r"\bI['’]m\b|\bI am\b", "{name} is"),
    (r"\bI['’]ve\b", "{name} has"),
    (r"\bI have\b", "{name} has"),
    (r"\bI['’]ll\b", "{name} will"),
    (r"\bI['’]d\b", "{name} would"),
    (r"\bI do\b", "{name} does"),
    (r"\bI don['’]?t\b|\bI do not\b", "{name} does not"),
    (r"\bI haven['’]?t\b", "{name} has not"),
)
_POSSESSIVE = re.compile(r"\b[Mm]y\b|\b[Mm]ine\b")
_OBJECT = re.compile(r"\bmyself\b|\bme\b")
_SUBJECT = re.compile(
    r"\bI (?P<adverb>(?:always|sometimes|often|never|still|also|really|just|recently|currently|"
    r"usually|only|once|love|hate) )?(?P<verb>[a-z]+)\b"
)
_UNCHANGED = word_set(
    "was had did will would can could should must may might used went got made met saw grew "
    "lived worked moved wanted loved liked studied lost won broke became wrote taught thought "
    "felt told said came took left kept knew found gave ran read cut put hit quit"
)


def to_third_person(sentence: str, name: str) -> str:
    """A sentence about the speaker as one about ``name``, in English.

    >>> to_third_person("I have a dog and I love my garden.", "Bo Lind")
    'Bo Lind has a dog and Bo Lind loves their garden.'
    >>> to_third_person("My sister walks with me.", "Bo Lind")
    "Bo Lind's sister walks with Bo Lind."
    """
    text = sentence
    for pattern, form in _PHRASES:
        text = re.sub(pattern, form.format(name=name), text, flags=re.IGNORECASE)

    def verb(match: re.Match[str]) -> str:
        adverb, word = match["adverb"] or "", match["verb"]
        if adverb.strip() in ("love", "hate"):  # "I love cooking": the verb itself
            return f"{name} {adverb.strip()}s {word}"
        return f"{name} {adverb}{_with_s(word)}"

    text = _SUBJECT.sub(verb, text)
    text = re.sub(r"\bI\b", name, text)
    named = False

    def owner(match: re.Match[str]) -> str:
        nonlocal named
        named = named or name in match.string[: match.start()]
        return "their" if named else f"{name}'s"

    text = _POSSESSIVE.sub(owner, text)
    return _OBJECT.sub(name, text)


def _with_s(verb: str) -> str:
    """The verb in the third person singular; forms of the past stay.

    >>> _with_s("go"), _with_s("study"), _with_s("worked")
    ('goes', 'studies', 'worked')
    """
    if verb in _UNCHANGED or (verb.endswith("ed") and verb not in ("need", "feed", "speed")):
        return verb
    if verb.endswith("y") and verb[-2:-1] not in "aeou":
        return f"{verb[:-1]}ies"
    return f"{verb}es" if verb.endswith(("s", "sh", "ch", "x", "z", "o")) else f"{verb}s"
