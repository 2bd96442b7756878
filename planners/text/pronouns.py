"""Rewrites texts of several sentences about an agent in the first person, with the pronouns that
mean the agent, in English."""

from __future__ import annotations

import re

from .first_person import is_english, to_first_person
from .sentences import word_set

_SENTENCE = re.compile(r"[^.!?]+(?:[.!?]+[\"”’»)]*|$)\s*")
_FULL_NAME = re.compile(r"\b[A-ZÀ-Þ]\w+ [A-ZÀ-Þ]\w+\b")
_UTTERANCE = re.compile(r'[^"]+? said to [^"]+?: ".*"', re.DOTALL)
_QUOTATION = re.compile(r"\"[^\"]*\"|“[^”]{0,999}”")
_HE, _SHE = {"he": "I", "him": "me", "his": "my"}, {"she": "I", "her": "me", "hers": "mine"}
_ADVERBS = "always|sometimes|perhaps|often|never|still|also|really|now"
_PRONOUN = re.compile(
    rf"\b(he|she|him|his|her|hers)\b( (?:{_ADVERBS}))?(?: ([a-z]+(?:'t)?)\b)?", re.IGNORECASE
)
_I_AND = re.compile(r"^I and ((?:the |my )?\w+(?: [A-ZÀ-Þ]\w+)?)(?= )")
_OF_ME = re.compile(r"\b(?:the|a|an) ((?:[a-z]+ ){0,2}[a-z]+) of me\b")
_LATER_VERB = re.compile(r"(?:(?<=, )|(?<= and ))([a-z]+s)(?= )")
_LATER_VERBS = word_set(
    "is has goes eats serves reads writes plays paints grinds drinks keeps looks works bakes cooks "
    "likes loves wants knows thinks says tells hopes lives owns runs sleeps wakes gives takes makes"
)
# Words after "her" that show an object ("about her and", "offers her a job"), not a possessive.
_AFTER_OBJECT = word_set(
    "and or but that because if when to in on at for with from by as so too about after before "
    "again now today yesterday is was will would has had a an the some this these it them his"
)
_ABOUT_ME = ("I ", "I'")
# Whom a pronoun may mean as well.
_KIN = re.compile(
    r"\b(?:grand|step)?(?:father|mother|brother|sister|son|daughter|husband|wife|uncle|aunt|man|"
    r"woman|boy|girl|king|queen|lady|boss|teacher|friend|neighbou?r|somebody|someone|person)s?\b"
)


def own_words(text: str, me: str, other: str = "") -> str:
    """Rewrite a text of several sentences about ``me`` in the first person, with the pronouns that
    mean ``me``; else as ``to_first_person``.

    A pronoun means ``me`` where a sentence begins with it and the one before is about ``me``,
    where ``me`` is the subject and nobody else is named before it, or where the text names nobody
    else. Pronouns of the other gender are left.

    >>> own_words("Bo Li has a secret. The oven is cracked and he cannot pay.", "Bo Li")
    'I have a secret. The oven is cracked and I cannot pay.'
    >>> own_words("Ada Ek is the best friend of Bo Li. They bake together.", "Bo Li")
    'Ada Ek is my best friend. We bake together.'
    >>> own_words("Bo Li worries about Ada Ek because she works. He likes her rye.", "Bo Li")
    'I worry about Ada Ek because she works. I like her rye.'
    """
    if not me.strip() or _UTTERANCE.fullmatch(text) or not is_english(text, (me, other)):
        return to_first_person(text, me, other)
    rewriter = _PronounRewriter(me, other, alone=not set(_FULL_NAME.findall(text)) - {me})
    return _OF_ME.sub(r"my \1", "".join(map(rewriter.rewrite, _SENTENCE.findall(text))))


class _PronounRewriter:
    """Rewrites the sentences of one text in order.

    It holds the gender of ``me`` once that is known, whether the last sentence was about ``me``,
    and whether it named ``me`` and one other person. ``alone``: the text names nobody else."""

    def __init__(self, me: str, other: str, *, alone: bool) -> None:
        self._me = me
        self._other = other
        self._alone = alone
        self._forms: dict[str, str] = {}
        self._was_about_me = False
        self._was_pair = False
        self._named_me = False
        self._kin = False

    def rewrite(self, sentence: str) -> str:
        """A sentence in the first person."""
        text = to_first_person(sentence, self._me, self._other)
        opening = _PRONOUN.match(text) if self._was_about_me else None
        if opening and self._means_me(opening[1]):
            text = self._pronoun_form(opening) + text[opening.end() :]
        elif self._was_pair and text.startswith("They "):
            text = f"We {text[5:]}"
        mine = re.search(r"\b(?:I|me|my|My)\b", text) is not None
        if text.startswith(_ABOUT_ME) or (self._alone and self._named_me):
            text = self._rewrite_within(text)
        self._was_about_me = text.startswith(_ABOUT_ME)
        self._named_me = self._named_me or mine
        self._kin = self._kin or _KIN.search(text) is not None
        self._was_pair = mine and len(set(_FULL_NAME.findall(text))) == 1
        if text.startswith("I "):
            text = _I_AND.sub(_put_me_last, _LATER_VERB.sub(_later_verb, text))
        return text

    def _rewrite_within(self, text: str) -> str:
        quoted = [match.span() for match in _QUOTATION.finditer(text)]
        name = _FULL_NAME.search(text)
        until = name.start() if name else len(text)

        def replaced(match: re.Match[str]) -> str:
            start = match.start()
            if start > until or any(first <= start < last for first, last in quoted):
                return match[0]
            return self._pronoun_form(match) if self._means_me(match[1]) else match[0]

        return _PRONOUN.sub(replaced, text)

    def _means_me(self, pronoun: str) -> bool:
        """Whether a pronoun has the gender of ``me``. The first one sets it, unless the text has
        named somebody else whom it may mean."""
        if not self._forms and not self._kin:
            self._forms = next(g for g in (_HE, _SHE) if pronoun.lower() in g)
        return pronoun.lower() in self._forms

    def _pronoun_form(self, match: re.Match[str]) -> str:
        pronoun, adverb, following = match[1].lower(), match[2] or "", match[3] or ""
        form = self._forms[pronoun]
        if pronoun == "her" and (adverb or following) and following not in _AFTER_OBJECT:
            form = "my"
        if form == "I" and following:
            # The verb takes the form that it has after a name.
            return to_first_person(f"{self._me}{adverb} {following}", self._me)
        form = form.capitalize() if match[1][0].isupper() else form
        return f"{form}{adverb}{' ' if following else ''}{following}"


def _later_verb(match: re.Match[str]) -> str:
    """A later verb of a sentence with the subject "I" ("I wake up at 7, goes to bed")."""
    if match[1] not in _LATER_VERBS:
        return match[1]
    return to_first_person(f"Bo Li {match[1]}", "Bo Li").removeprefix("I ")


def _put_me_last(match: re.Match[str]) -> str:
    return f"{match[1][0].upper()}{match[1][1:]} and I"
