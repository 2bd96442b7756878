"""Words in somebody's mouth: memories turned into speech, drafts turned into lines."""

from __future__ import annotations

import re

_BE = {"is": "am", "isn't": "am not"}
_YOU_BE = {"is": "are", "isn't": "aren't", "was": "were", "wasn't": "weren't"}
_VERBS = {"has": "have", "hasn't": "haven't", "doesn't": "don't", "was": "was"} | {
    word: word for word in ("always", "sometimes", "perhaps")
}

# Only where a clause begins is the name the subject of the verb after it.
_BEGINS = r"(^|[.!?,] |\b(?:that|because|when|if|and) )"
_BETWEEN = r"((?:always|sometimes|perhaps|often|never|still|also|really|now) )?"


def as_speech(text: str, me: str, other: str = "") -> str:
    """A memory in the third person as its owner would say it, to ``other`` if given.

    A tiny model says what it is shown: shown "Bo is baking" it speaks of Bo as of a
    stranger. Only names and the verbs after them change.

    >>> as_speech("Bo Li is giving a supper. Bo Li's oven works.", "Bo Li")
    'I am giving a supper. My oven works.'
    >>> as_speech("Bo Li likes the bread of Ada Ek. Ada likes rye.", "Bo Li", "Ada Ek")
    'I like the bread of you. You like rye.'
    """
    # Whole names first: two people may share a first name.
    for mine, yours in ((me, other), (me.split()[0], other.partition(" ")[0])):
        text = _turned(text, mine, ("I", "me", "my"), _VERBS | _BE)
        if yours:
            text = re.sub(rf"\b{re.escape(yours)} (is|has|was) ", _second_person, text)
            text = _turned(text, yours, ("you", "you", "your"), _VERBS | _YOU_BE)
    return re.sub(r"(^|[.!?] )([a-z])", lambda found: found.group(1) + found.group(2).upper(), text)


def _turned(text: str, name: str, forms: tuple[str, str, str], verbs: dict[str, str]) -> str:
    """A name as subject, as object and as owner put into another person."""
    subject, thing, owner = forms
    named = rf"\b{re.escape(name)}"

    def acting(found: re.Match[str]) -> str:
        before, between, verb = found.groups(default="")
        return f"{before}{subject} {between}{_bare(verb, verbs)}"

    text = re.sub(rf"{named}(?:['’]s\b|(?<=s)['’](?= \w))", owner, text)
    text = re.sub(rf"{_BEGINS}{named} {_BETWEEN}([a-z]+(?:'t)?)\b", acting, text)
    return re.sub(rf"{named}\b", thing, text)


def _bare(verb: str, verbs: dict[str, str]) -> str:
    """A verb without the third person's ending."""
    if verb in verbs:
        return verbs[verb]
    if verb.endswith("ies") and len(verb) > 4:
        return f"{verb[:-3]}y"
    if verb.endswith(("ches", "shes", "sses", "xes", "oes")):
        return verb[:-2]
    return verb[:-1] if verb.endswith("s") and not verb.endswith("ss") else verb


def _second_person(found: re.Match[str]) -> str:
    return f"you {(_VERBS | _YOU_BE)[found.group(1)]} "


def clean_line(text: str, me: str) -> str:
    """A generated line as speech: no name, quotation marks or stage direction around it, at
    most two sentences, and no unfinished last one where a whole one stands before it.

    Empty for what is no speech: a fragment that begins in the middle of a sentence or breaks
    off at a comma, or a stage direction inside it.

    >>> clean_line('Bo: *smiles* "Good morning! How are you? I was', "Bo Li")
    'Good morning! How are you?'
    >>> clean_line("to the post office every day", "Bo Li")
    ''
    """
    words = text.strip().split("\n")[0].strip()
    words = re.sub(rf"^(?:{re.escape(me)}|{re.escape(me.split()[0])})\s*:\s*", "", words)
    words = re.sub(r"^\W*[*(][^*)]*[*)]", "", words).strip(" \"“”*'")
    if not words[:1].isupper() or re.search(r"[*(\[{<]", words):
        return ""
    sentences = re.findall(r".+?[.!?…](?=\s|$)", words)
    whole = " ".join(sentence.strip() for sentence in sentences[:2]) or words
    if whole.endswith((":", ",", ";", "-")):
        return ""
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
