"""Sentences about oneself, rewritten about somebody with a name."""

from __future__ import annotations

import re

from .verb_forms import third_person_verb

_CONTRACTIONS = (
    (r"\bI['’]m\b|\bI am\b", "{name} is"),
    (r"\bI['’]ve (?=got\b)", "{name} has "),
    (r"\bI['’]ve\b|\bI have\b", "{name} has"),
    (r"\bI['’]ll\b", "{name} will"),
    (r"\bI['’]d (?=better\b)", "{name} had "),
    (r"\bI['’]d\b", "{name} would"),
    (r"\bI don['’]?t\b|\bI do not\b", "{name} does not"),
    (r"\bI haven['’]?t\b", "{name} has not"),
    (r"\bI do\b", "{name} does"),
    (r"\bI can(?:['’]t|not)\b", "{name} cannot"),
    (r"\bI won['’]t\b", "{name} will not"),
    (r"\bI (was|did|had|would|could|should)n['’]t\b", r"{name} \1 not"),
)
_POSSESSIVE = re.compile(r"\b[Mm]y\b|\b[Mm]ine\b")
_OBJECT = re.compile(r"\bmyself\b|\bme\b")
_SUBJECT = re.compile(
    r"\bI (?P<adverb>(?:(?:always|sometimes|often|never|still|also|just|once|even|\w+ly) )*)"
    r"(?P<verb>[a-z]+)\b"
)
# A second verb of the same subject: "I live here and work as a baker."
_SECOND_VERB = re.compile(
    r"\b(?P<joint>and|but|or) (?P<adverb>(?:also|then|\w+ly) )?(?P<verb>have|am|live|work|love|"
    r"like|enjoy|play|read|make|bake|cook|go|teach|study|write|sing|run|own|sell|want|hate|need|know|"
    r"collect|travel|paint|grow|keep|help|take|lend|repair|build|think|feel|do not|don['’]t)\b"
    r"(?! (?:is|are|was|were)\b)"
)


def to_third_person(sentence: str, name: str) -> str:
    """A sentence about the speaker as one about ``name``, in English.

    >>> to_third_person("I have a dog and I love my garden.", "Bo Lind")
    'Bo Lind has a dog and Bo Lind loves their garden.'
    >>> to_third_person("My sister walks with me.", "Bo Lind")
    "Bo Lind's sister walks with Bo Lind."
    >>> to_third_person("I wasn't there, I really love rye and bake daily.", "Bo Lind")
    'Bo Lind was not there, Bo Lind really loves rye and bakes daily.'
    """
    present = (
        re.match(r"I (?:\w+ly )?(?:[a-z]+)\b|I['’]m\b", re.sub(r"^i\b", "I", sentence)) is not None
    )
    text = re.sub(r"\bi\b(?=[ '’])", "I", sentence)
    for pattern, form in _CONTRACTIONS:
        text = re.sub(pattern, form.format(name=name), text)

    def verb(match: re.Match[str]) -> str:
        return f"{name} {match['adverb']}{third_person_verb(match['verb'])}"

    text = re.sub(r"\bI\b", name, _SUBJECT.sub(verb, text))
    named = False

    def owner(match: re.Match[str]) -> str:
        nonlocal named
        named = named or name in match.string[: match.start()]
        return "their" if named else f"{name}'s"

    text = _OBJECT.sub(name, _POSSESSIVE.sub(owner, text))
    return _SECOND_VERB.sub(_second_verb, text) if present else text


def _second_verb(match: re.Match[str]) -> str:
    verb = match["verb"]
    if verb in ("do not", "don't", "don’t"):
        form = "does not"
    else:
        form = "is" if verb == "am" else third_person_verb(verb)
    # "likes to bake and cook", "will come and help": the second verb depends on the first.
    before = match.string[: match.start()]
    if re.search(
        r"\b(?:to|will|can|could|would|should|must|may|might|not) [a-z]+\b[^,.]*$", before
    ):
        return match[0]
    return f"{match['joint']} {match['adverb'] or ''}{form}"
