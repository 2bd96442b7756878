"""Words in somebody's mouth: memories turned into speech, drafts turned into lines."""

from __future__ import annotations

import re

_VERBS = {"is": "am", "has": "have", "does": "do", "was": "was", "goes": "go"}


def as_speech(text: str, me: str, other: str = "") -> str:
    """A memory in the third person as its owner would say it, to ``other`` if given.

    A tiny model says what it is shown: shown "Bo is baking" it speaks of Bo as of a
    stranger. Only names and the verbs after them change; no word is added.

    >>> as_speech("Bo Li is giving a supper. Bo Li's oven works.", "Bo Li")
    'I am giving a supper. My oven works.'
    >>> as_speech("Bo Li likes the bread of Ada Ek", "Bo Li", "Ada Ek")
    'I like the bread of you'
    """
    for name in (me, me.split()[0]):
        text = re.sub(rf"\b{re.escape(name)}'s\b", "my", text)
        # Only where a clause begins is the name the subject of the verb after it.
        begins = r"(^|[.!?,] |\b(?:that|because|when|if|and) )"
        text = re.sub(rf"{begins}{re.escape(name)} ([a-z]+)\b", _first_person, text)
        text = re.sub(rf"\b{re.escape(name)}\b", "me", text)
    if other:
        for name in (other, other.split()[0]):
            text = re.sub(rf"\b{re.escape(name)}'s\b", "your", text)
            text = re.sub(rf"\b{re.escape(name)} (is|has|was) ", _second_person, text)
            text = re.sub(rf"\b{re.escape(name)}\b", "you", text)
    return re.sub(r"(^|[.!?] )([a-z])", lambda found: found.group(1) + found.group(2).upper(), text)


def _first_person(found: re.Match[str]) -> str:
    before, verb = found.groups()
    if verb in _VERBS:
        return f"{before}I {_VERBS[verb]}"
    if verb.endswith("ies"):
        return f"{before}I {verb[:-3]}y"
    if verb.endswith(("ches", "shes", "sses", "xes", "oes")):
        return f"{before}I {verb[:-2]}"
    if verb.endswith("s") and not verb.endswith("ss"):
        return f"{before}I {verb[:-1]}"
    return f"{before}I {verb}"


def _second_person(found: re.Match[str]) -> str:
    return {"is": "you are ", "has": "you have ", "was": "you were "}[found.group(1)]


def clean_line(text: str, me: str) -> str:
    """A generated line as speech: no name in front, no quotation marks, at most two
    sentences, and no unfinished last one where a whole one stands before it.

    >>> clean_line('Bo: "Good morning! How are you? I was', "Bo Li")
    'Good morning! How are you?'
    """
    words = text.strip().split("\n")[0].strip()
    words = re.sub(rf"^(?:{re.escape(me)}|{re.escape(me.split()[0])})\s*:\s*", "", words)
    words = words.strip(" \"“”*'")
    sentences = re.findall(r".+?[.!?…](?=\s|$)", words)
    whole = " ".join(sentence.strip() for sentence in sentences[:2]) or words
    return whole.strip(" \"“”*'") if len(re.findall(r"\w+", whole)) >= 2 else ""


def repeats(text: str, told: list[str], share: float = 0.7) -> bool:
    """Whether a line says again what was said: most of its words stand in an earlier one.

    >>> repeats("See you at the cafe!", ["see you at the cafe"]), repeats("Hello.", ["Bread?"])
    (True, False)
    """
    words = set(re.findall(r"\w+", text.lower()))
    for line in told:
        other = set(re.findall(r"\w+", line.lower()))
        if words and len(words & other) / max(1, min(len(words), len(other))) > share:
            return True
    return False
