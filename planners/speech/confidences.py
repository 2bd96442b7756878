"""Secrets, and whether to tell one: a decision by likelihood with the relation in it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

from ...core import AgentId, Option, sentences
from ...core.text import terms

_SECRET = re.compile(
    r"\b(?:secret|secretly|secrets|confidential|in confidence)\b"
    r"|\b(?:hides|hid|hiding) (?:it|her|him|them|the|a|his|that)\b"
    r"|\b(?:has|have|had|did|does|do)(?:n['’]t| not) (?:yet )?(?:tell|told|say|said) "
    r"(?:it |this |that )?(?:to )?(?:any|her|him|them)"
    r"|\b(?:tell|told|tells|say|said) (?:it )?(?:to )?(?:nobody|no one|no-one)\b"
    r"|\bafraid to tell\b|\bmust not (?:know|find out|hear)\b|\bnobody (?:may|must|should) know\b",
    re.IGNORECASE,
)

_COMMON_KNOWLEDGE = re.compile(
    r"\b(?:everybody|everyone|whole town) (?:\w+ ){0,4}knows?\b", re.IGNORECASE
)
_EVERYDAY = frozenset(
    terms(
        "secret want wants know knows tell told day days best friend friends old new good town "
        "must "
        "finds hard keep keeps promised afraid answer think thinks anybody nobody everybody "
        "somebody saw read reads love loves work works come comes"
    )
)


def is_secret(text: str) -> bool:
    """Whether an English text says that it is about a secret of its owner.

    >>> is_secret("Bo hides the bell in the shed."), is_secret("Bo has not told anybody.")
    (True, True)
    >>> is_secret("The bell hung over the square. Everybody knows the story.")
    False
    """
    return _SECRET.search(text) is not None


class SecretTerms:
    """The words by which a text is about a secret that other texts mark as one.

    A text is about the secret if its words weigh 2: a word in three marked texts weighs 2, in two
    1, in one 1 if there is no other marked text. Words of the ``public`` text weigh only what
    exceeds 1; names of people and places, which have capitals, weigh nothing. A text that has a
    sentence of a marked text is about the secret too. What everybody knows is no secret.

    >>> secrets = SecretTerms(["Bo hides the bell in the shed.", "Ada must not know of the bell.",
    ...                        "Bo has rung the bell, and has told nobody."], "Bo has a shed.")
    >>> secrets.concern("Bo found a bell."), secrets.concern("Bo has a shed.")
    (True, False)
    """

    def __init__(self, texts: Iterable[str], public: str = "") -> None:
        """``texts``: those of an agent; the marked ones among them are used."""
        marked = list(dict.fromkeys(text for text in texts if is_secret(text)))
        counts = Counter(term for text in marked for term in set(_lower_terms(text)))
        known = set(_lower_terms(public))
        self._sentences = {sentence for text in marked for sentence in sentences(text)}
        self._weights = {
            term: min(count - (len(marked) > 1), 2)
            for term, count in counts.items()
            if term not in known or count > 2
        }

    def concern(self, text: str) -> bool:
        """Whether a text is about a secret."""
        if is_secret(text) or self._sentences & set(sentences(text)):
            return True
        return self.reveal(text)

    def reveal(self, text: str) -> bool:
        """Whether a text gives a secret away: by its words, not only by where it stands."""
        if _COMMON_KNOWLEDGE.search(text):
            return False
        return sum(self._weights.get(term, 0) for term in set(_lower_terms(text))) >= 2


def _lower_terms(text: str) -> list[str]:
    """The stems of the words in lower case, without those of every life."""
    plain = " ".join(re.findall(r"(?<!\w)[a-zà-ÿ][\w'’-]*", text))
    return [term for term in terms(plain) if term not in _EVERYDAY]


TELL_PROBABILITY = 0.8
"""A secret is told if "tell" is more likely than this. Of 6 relations of trust and 6 without,
SmolLM2 ranks .97 of the pairs rightly; above .8 are all of the first and one of the others."""


def confide_options(
    me: AgentId, partner: AgentId, relation: str
) -> tuple[tuple[Option, Option], str]:
    """The options "tell" and "keep", and the text that the choice is about: the relation.

    Both give reasons and have the same length, so that length cannot decide."""
    tell = Option(
        "tell",
        f"{partner} is a close friend of {me}: somebody to trust, who helps and is told "
        "everything.",
    )
    keep = Option(
        "keep",
        f"{partner} is no close friend of {me}: a stranger, a gossip, somebody to quarrel with or "
        "to be afraid of.",
    )
    return (tell, keep), relation or f"{me} hardly knows {partner}."
