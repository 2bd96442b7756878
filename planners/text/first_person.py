"""Memories in the third person rewritten in the first person of the agent who speaks."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from ...core import short_name
from ...core.text import MONTH_NAMES, WEEKDAY_NAMES
from .sentences import (
    _END_OF_SENTENCE,
    _word_set,
)

_BE = {"is": "am", "isn't": "am not"}
_YOU_BE = {"is": "are", "isn't": "aren't", "was": "were", "wasn't": "weren't"}
_ADVERBS = ["always", "sometimes", "perhaps", "often", "never", "still", "also", "really", "now"]
_VERBS = {"has": "have", "hasn't": "haven't", "doesn't": "don't", "was": "was"} | {
    word: word for word in ("always", "sometimes", "perhaps")
}
_AUXILIARY = _word_set(
    "is isn't was wasn't has hasn't does doesn't will would can could should must did had"
)
# Verbs that only somebody does: after a name that is a word as well ("Will", "Rose") they tell
# that the person is meant.
_PERSONAL = _word_set(
    "likes loves hates knows thinks says tells asks wants hopes believes understands learned "
    "learns remembers lives works owns bakes cooks runs goes sleeps wakes gives takes makes said "
    "told asked thought wanted hoped knew felt feels heard hears saw sees met meets went owes "
    "plans promised wrote writes plays teaches studies"
)
_CLAUSE = re.compile(r"(?:^|[.!?,;][\"”’»)]* |\b(?:that|because|when|if|and) )$")
_PREPOSITION = re.compile(
    r"\b(?:of|with|to|for|by|from|at|about|near|like|and|on|in|sees|saw|knows|likes) $"
)
_MONTHS = frozenset((*MONTH_NAMES, *WEEKDAY_NAMES))
_TIME_BEFORE = re.compile(
    r"\b(?:in|on|of|since|until|till|by|next|last|this|early|mid|late|every|each|during|from|for|"
    r"before|after|to|through) $",
    re.IGNORECASE,
)
# Nobody lives in somebody, or flies to one: there a first name is that of a place.
_PLACE_BEFORE = re.compile(
    r"(?<!trust)(?<!trusts)(?<!believe)(?<!believes)(?<!faith)(?<!confides)(?<!confided)"
    r"(?<!interest)(?<!interested)(?<!confidence)(?<!love)(?<!believed)(?<!trusted) in $"
    r"|\b(?:flew|fl(?:y|ies)|flight|moved?|moves|travel\w*|trip|trips|emigrated|sailed|train) to $",
    re.IGNORECASE,
)
# First names that are English words as well. Where a sentence begins with one, its capital
# does not tell which it is.
_WORD_NAMES = _word_set(
    "Will Mark Rose Art Grace Hope Faith Joy Dawn Eve Summer Autumn Ivy Lily Daisy Violet Iris "
    "Olive Hazel Rich Bill Bob Jack Pat Sue Drew Frank Guy Chase Grant Hunter Mason Miles Rob Ray "
    "Dean Earl Duke Gene Pearl Ruby Amber Crystal Jade Penny Sandy Star Sky River Robin Jay Wren "
    "Angel Christian Carol Melody Harmony Mercy Patience Prudence Destiny Honor Victor Max Buddy "
    "King Prince Major Sunny Stone Cliff Heath Glen Forest Rusty Dusty Rocky Sage Basil Ginger "
    "Clay Flint Reed Lane Nick Don Wade Ward Page Piper Taylor Cook Baker Smith Opal Coral Fern "
    "Holly Heather Myrtle Poppy Bay Ash Sterling Chance Justice Liberty Skip Spike Tab Trip Van "
    "Wolf Bear Fox"
)
_ENGLISH_WORDS = _word_set(
    "the a an is are was were and of to in with that has have had will would at on for it her his "
    "their not does who when because likes from by about be been"
)
_OTHER_LANGUAGE_WORDS = _word_set(
    "el la los las del y con por para está una que le les des et est dans du au der das und ist "
    "nicht ein eine mit den il gli che di è della non é os um uma com não och är som het een van "
    "niet jest się z nie på ve bir de es en un se su muy mi ich sich wir auf für sind je nous vous "
    "sur pour avec ik jag og"
)
_UTTERANCE = re.compile(r'([^"]+?) said to ([^"]+?): (".*")', re.DOTALL)
_JOINTS = re.compile(r"(, | and )")
_QUOTATION = re.compile(
    # Bounded, so that a thousand marks that never close cost no more than a thousand looks.
    r"\"[^\"]*\"|“[^”]{0,999}”|„[^“”]{0,999}[“”]|«[^»]{0,999}»|「[^」]{0,999}」|『[^』]{0,999}』"
    r"|(?<!\w)['‘](?=\S)(?:[^'’\n]|(?<=\w)['’](?=\w)){0,300}+['’](?!\w)"
)


def to_first_person(text: str, me: str, other: str = "") -> str:
    """A memory in the third person as its owner would say it, to ``other`` if given.

    A tiny model says what it is shown: shown "Bo is baking" it speaks of Bo as of a
    stranger. Only names and the verbs after them change: what stands in quotation marks stays
    as it was said, and so do words that merely look like a name ("in May", "Will you come?"),
    other people of that first name ("Bo Marsh") and texts that are not English.

    >>> to_first_person("Bo Li is giving a supper. Bo Li's oven works.", "Bo Li")
    'I am giving a supper. My oven works.'
    >>> to_first_person("Bo Li likes the bread of Ada Ek. Ada likes rye.", "Bo Li", "Ada Ek")
    'I like the bread of you. You like rye.'
    >>> to_first_person('Ada Ek said to Bo Li: "Bo Li bakes."', "Bo Li")
    'Ada Ek said to me: "Bo Li bakes."'
    """
    if not me.strip():
        return text
    if found := _UTTERANCE.fullmatch(text):
        # Names in a record of speech are whole, so that a Bo is not taken for Bo Li.
        who, whom, quotation = found.groups()
        teller = {me: "I", other: "You"}.get(who, who) if who else who
        hearers = [{me: "me", other: "you"}.get(part, part) for part in _JOINTS.split(whom)]
        return f"{teller} said to {''.join(hearers)}: {quotation}"
    if not is_english(text, (me, other)):
        return text
    persons = (
        (me, other, ("I", "me", "my"), _VERBS | _BE),
        (other, me, ("you", "you", "your"), _VERBS | _YOU_BE),
    )
    # Whole names first: two people may share a first name.
    for name, _, forms, verbs in persons:
        if name.strip():
            text = _replace_name(text, name, forms, verbs)
    for name, rival, forms, verbs in persons:
        first = short_name(name) if name.strip() else ""
        if first and first != name and first != (short_name(rival) if rival.strip() else ""):
            text = _replace_name(text, first, forms, verbs)
    return text


def is_english(text: str, names: Iterable[str]) -> bool:
    """Whether English pronouns may be put into a text: its letters are Latin, and it has not
    more of the common words of other languages than of English ones."""
    plain = _QUOTATION.sub(" ", text)
    for name in names:
        plain = plain.replace(name, " ") if name else plain
    if any(one.isalpha() and "LATIN" not in unicodedata.name(one, "LATIN") for one in plain):
        return False
    found = re.findall(r"\w+", plain.lower())
    return sum(one in _OTHER_LANGUAGE_WORDS for one in found) <= sum(
        one in _ENGLISH_WORDS for one in found
    )


def _replace_name(text: str, name: str, forms: tuple[str, str, str], verbs: dict[str, str]) -> str:
    """A name as subject, as object and as owner put into another person."""
    quoted = [found.span() for found in _QUOTATION.finditer(text)]
    one_word = " " not in name
    rival = one_word and re.search(rf"(?<!\w){re.escape(name)} (?!I\b)[^\W\d_a-zà-ÿ]\w+", text)
    adverbs = "|".join(_ADVERBS)
    pattern = re.compile(
        rf"(?<!\w){re.escape(name)}(?!\w)"
        rf"(?:(?P<own>['’]s\b|(?<=s)['’](?= \w))"
        rf"|(?P<between> (?:{adverbs}))?(?P<verb> [a-z]+(?:'t)?\b))?"
    )

    def put(found: re.Match[str]) -> str:
        start = found.start()
        before = found.string[max(0, start - 80) : start]
        if any(first <= start < last for first, last in quoted):
            return found[0]
        own, between, verb = (found[key] or "" for key in ("own", "between", "verb"))
        if one_word and (rival or not _is_a_name(name, before, own, verb.strip())):
            return found[0]
        subject, thing, owner = forms
        clause = _CLAUSE.search(before) is not None
        finite = verb.strip() in _AUXILIARY or verb.strip() in _PERSONAL
        alone = finite and not _PREPOSITION.search(before)
        if own:
            said = owner
        elif verb and (clause or alone) and verb.strip() not in ("and", "or"):
            said = f"{subject}{between} {_base_verb(verb.strip(), verbs)}"
        else:
            said = (subject if clause and verb == " and" else thing) + between + verb
        begins = not before.strip() or (
            before[-1:].isspace() and before.rstrip().rstrip('"”’»)')[-1:] in (".", "!", "?")
        )
        return said[0].upper() + said[1:] if begins else said

    return pattern.sub(put, text)


def _is_a_name(name: str, before: str, own: str, verb: str) -> bool:
    """Whether a first name at a place of a text names its bearer alone."""
    last = before[-1:].isspace() and before.rstrip()[-1:]
    starts = not before.strip() or bool(last and not last.isalnum() and last != ",")
    previous = re.search(r"(?:^|[\s(])([^\W\d_]\w*) $", before)
    if previous and previous[1][0].isupper() and previous[1] not in ("I", "The"):
        # "Modern Art", "Mary Bo": part of a longer name, unless a sentence begins so.
        opening = not before[: previous.start(1)].strip() or before[
            : previous.start(1)
        ].rstrip().endswith(tuple(_END_OF_SENTENCE))
        if not opening or name in _WORD_NAMES or name in _MONTHS:
            return False
    if _PLACE_BEFORE.search(before) and not own:
        return False
    if name in _MONTHS:
        return not _TIME_BEFORE.search(before) and (bool(own) or verb in _PERSONAL)
    if name in _WORD_NAMES and starts:
        return bool(own) or verb in _PERSONAL or verb in _AUXILIARY
    return True


def _base_verb(verb: str, verbs: dict[str, str]) -> str:
    """A verb without the third person's ending."""
    if verb in verbs:
        return verbs[verb]
    if verb.endswith("ies") and len(verb) > 4:
        return f"{verb[:-3]}y"
    if verb.endswith(("ches", "shes", "sses", "xes", "oes")):
        return verb[:-2]
    return verb[:-1] if verb.endswith("s") and not verb.endswith("ss") else verb
