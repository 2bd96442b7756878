"""Rewrites a record about an agent from the third person to the first person, in English."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from ...core import short_name
from ...core.text import MONTH_NAMES, WEEKDAY_NAMES
from .sentences import SENTENCE_END_MARKS, word_set

_BE = {"is": "am", "isn't": "am not"}
_YOU_BE = {"is": "are", "isn't": "aren't", "was": "were", "wasn't": "weren't"}
_ADVERBS = ["always", "sometimes", "perhaps", "often", "never", "still", "also", "really", "now"]
_VERBS = {"has": "have", "hasn't": "haven't", "doesn't": "don't", "was": "was"} | {
    word: word for word in ("always", "sometimes", "perhaps")
}
_AUXILIARY = word_set(
    "is isn't was wasn't has hasn't does doesn't will would can could should must did had"
)
# Verbs with a person as subject: after a name that is also a word ("Will", "Rose") they show
# that the person is meant.
_PERSONAL = word_set(
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
# After "lives in" or "flies to" a first name is the name of a place.
_PLACE_BEFORE = re.compile(
    r"(?<!trust)(?<!trusts)(?<!believe)(?<!believes)(?<!faith)(?<!confides)(?<!confided)"
    r"(?<!interest)(?<!interested)(?<!confidence)(?<!love)(?<!believed)(?<!trusted) in $"
    r"|\b(?:flew|fl(?:y|ies)|flight|moved?|moves|travel\w*|trip|trips|emigrated|sailed|train) to $",
    re.IGNORECASE,
)
# First names that are also English words: at the beginning of a sentence they are ambiguous.
_WORD_NAMES = word_set(
    "Will Mark Rose Art Grace Hope Faith Joy Dawn Eve Summer Autumn Ivy Lily Daisy Violet Iris "
    "Olive Hazel Rich Bill Bob Jack Pat Sue Drew Frank Guy Chase Grant Hunter Mason Miles Rob Ray "
    "Dean Earl Duke Gene Pearl Ruby Amber Crystal Jade Penny Sandy Star Sky River Robin Jay Wren "
    "Angel Christian Carol Melody Harmony Mercy Patience Prudence Destiny Honor Victor Max Buddy "
    "King Prince Major Sunny Stone Cliff Heath Glen Forest Rusty Dusty Rocky Sage Basil Ginger "
    "Clay Flint Reed Lane Nick Don Wade Ward Page Piper Taylor Cook Baker Smith Opal Coral Fern "
    "Holly Heather Myrtle Poppy Bay Ash Sterling Chance Justice Liberty Skip Spike Tab Trip Van "
    "Wolf Bear Fox"
)
_ENGLISH_WORDS = word_set(
    "the a an is are was were and of to in with that has have had will would at on for it her his "
    "their not does who when because likes from by about be been"
)
_OTHER_LANGUAGE_WORDS = word_set(
    "el la los las del y con por para está una que le les des et est dans du au der das und ist "
    "nicht ein eine mit den il gli che di è della non é os um uma com não och är som het een van "
    "niet jest się z nie på ve bir de es en un se su muy mi ich sich wir auf für sind je nous vous "
    "sur pour avec ik jag og"
)
_UTTERANCE = re.compile(r'([^"]+?) said to ([^"]+?): (".*")', re.DOTALL)
_JOINTS = re.compile(r"(, | and )")
_QUOTATION = re.compile(
    # Bounded repetition, so that unclosed marks cannot make the search quadratic.
    r"\"[^\"]*\"|“[^”]{0,999}”|„[^“”]{0,999}[“”]|«[^»]{0,999}»|「[^」]{0,999}」|『[^』]{0,999}』"
    r"|(?<!\w)['‘](?=\S)(?:[^'’\n]|(?<=\w)['’](?=\w)){0,300}+['’](?!\w)"
)


def to_first_person(text: str, me: str, other: str = "") -> str:
    """Rewrite a text about ``me`` (a full name) in the first person, and text about ``other`` in
    the second person.

    A small model repeats the person of its prompt: with "Bo is baking" in the prompt, Bo speaks
    of himself by name. Only names and the verbs after them change. Unchanged are quotations,
    words that merely look like a name ("in May", "Will you come?"), other people with the same
    first name ("Bo Marsh"), and texts that are not English.

    >>> to_first_person("Bo Li is giving a supper. Bo Li's oven works.", "Bo Li")
    'I am giving a supper. My oven works.'
    >>> to_first_person("Bo Li likes the bread of Ada Ek. Ada likes rye.", "Bo Li", "Ada Ek")
    'I like the bread of you. You like rye.'
    >>> to_first_person('Ada Ek said to Bo Li: "Bo Li bakes."', "Bo Li")
    'Ada Ek said to me: "Bo Li bakes."'
    """
    if not me.strip():
        return text
    if utterance := _UTTERANCE.fullmatch(text):
        # A record of an utterance has full names, so that a Bo is not taken for Bo Li.
        who, whom, quotation = utterance.groups()
        speaker = {me: "I", other: "You"}.get(who, who) if who else who
        listeners = [{me: "me", other: "you"}.get(part, part) for part in _JOINTS.split(whom)]
        return f"{speaker} said to {''.join(listeners)}: {quotation}"
    if not is_english(text, (me, other)):
        return text
    persons = (
        (me, other, ("I", "me", "my"), _VERBS | _BE),
        (other, me, ("you", "you", "your"), _VERBS | _YOU_BE),
    )
    # Full names first: two people may share a first name.
    for name, _, forms, verbs in persons:
        if name.strip():
            text = _replace_name(text, name, forms, verbs)
    for name, rival, forms, verbs in persons:
        first = short_name(name) if name.strip() else ""
        if first and first != name and first != (short_name(rival) if rival.strip() else ""):
            text = _replace_name(text, first, forms, verbs)
    return text


def is_english(text: str, names: Iterable[str]) -> bool:
    """Whether a text is English, so far as pronouns can be inserted: outside quotations and
    ``names`` all letters are Latin, and common words of other languages are not in the
    majority."""
    text = _QUOTATION.sub(" ", text)
    for name in names:
        text = text.replace(name, " ") if name else text
    if any(sign.isalpha() and "LATIN" not in unicodedata.name(sign, "LATIN") for sign in text):
        return False
    words = re.findall(r"\w+", text.lower())
    foreign = sum(word in _OTHER_LANGUAGE_WORDS for word in words)
    return foreign <= sum(word in _ENGLISH_WORDS for word in words)


def _replace_name(text: str, name: str, forms: tuple[str, str, str], verbs: dict[str, str]) -> str:
    """Replace a name by pronouns: ``forms`` are the subject, object and possessive form."""
    quoted = [match.span() for match in _QUOTATION.finditer(text)]
    one_word = " " not in name
    rival = one_word and re.search(rf"(?<!\w){re.escape(name)} (?!I\b)[^\W\d_a-zà-ÿ]\w+", text)
    adverbs = "|".join(_ADVERBS)
    pattern = re.compile(
        rf"(?<!\w){re.escape(name)}(?!\w)"
        rf"(?:(?P<own>['’]s\b|(?<=s)['’](?= \w))"
        rf"|(?P<between> (?:{adverbs}))?(?P<verb> [a-z]+(?:'t)?\b))?"
    )

    def pronoun(match: re.Match[str]) -> str:
        start = match.start()
        before = match.string[max(0, start - 80) : start]
        if any(first <= start < last for first, last in quoted):
            return match[0]
        possessive, adverb, verb = (match[key] or "" for key in ("own", "between", "verb"))
        if one_word and (rival or not _is_a_name(name, before, possessive, verb.strip())):
            return match[0]
        subject, thing, owner = forms
        in_clause = _CLAUSE.search(before) is not None
        finite = verb.strip() in _AUXILIARY or verb.strip() in _PERSONAL
        is_subject = in_clause or (finite and not _PREPOSITION.search(before))
        if possessive:
            result = owner
        elif verb and is_subject and verb.strip() not in ("and", "or"):
            result = f"{subject}{adverb} {_base_verb(verb.strip(), verbs)}"
        else:
            result = (subject if in_clause and verb == " and" else thing) + adverb + verb
        begins_sentence = not before.strip() or (
            before[-1:].isspace() and before.rstrip().rstrip('"”’»)')[-1:] in (".", "!", "?")
        )
        return result[0].upper() + result[1:] if begins_sentence else result

    return pattern.sub(pronoun, text)


def _is_a_name(name: str, before: str, possessive: str, verb: str) -> bool:
    """Whether a first name, with ``before`` in front of it, names the person and nothing else."""
    last = before[-1:].isspace() and before.rstrip()[-1:]
    begins_sentence = not before.strip() or bool(last and not last.isalnum() and last != ",")
    previous = re.search(r"(?:^|[\s(])([^\W\d_]\w*) $", before)
    if previous and previous[1][0].isupper() and previous[1] not in ("I", "The"):
        # "Modern Art", "Mary Bo": part of a longer name, unless the word begins a sentence.
        left = before[: previous.start(1)].rstrip()
        opening = not left or left.endswith(tuple(SENTENCE_END_MARKS))
        if not opening or name in _WORD_NAMES or name in _MONTHS:
            return False
    if _PLACE_BEFORE.search(before) and not possessive:
        return False
    if name in _MONTHS:
        return not _TIME_BEFORE.search(before) and (bool(possessive) or verb in _PERSONAL)
    if name in _WORD_NAMES and begins_sentence:
        return bool(possessive) or verb in _PERSONAL or verb in _AUXILIARY
    return True


def _base_verb(verb: str, verbs: dict[str, str]) -> str:
    if verb in verbs:
        return verbs[verb]
    if verb.endswith("ies") and len(verb) > 4:
        return f"{verb[:-3]}y"
    if verb.endswith(("ches", "shes", "sses", "xes", "oes")):
        return verb[:-2]
    return verb[:-1] if verb.endswith("s") and not verb.endswith("ss") else verb
