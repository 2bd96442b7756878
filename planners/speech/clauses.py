"""Clauses of English sentences: who does what, and what belongs to whom.

A reading by rule, for one purpose: to find that a line says of the listener what a fact says of
the speaker, or the other way round.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ...core.text import STOP_WORDS, stem, terms
from ..text import word_set

_AUXILIARY = word_set(
    "am is are was were be been being do does did will would can could should shall may might must "
    "have has had not never always also just really still already often sometimes only even "
    "probably maybe perhaps actually finally recently 'm 're 've 'll 'd"
)
_DETERMINERS = word_set("a an the some no this that my your his her our their two three many")
_PRONOUNS = {"i": "I", "you": "you", "we": "we", "he": "he", "she": "he", "they": "they"}
_OWNERS = {"my": "I", "mine": "I", "your": "you", "yours": "you"}
_CLAUSE_BREAK = word_set("and but because when if that while so who which then or before after")
_QUESTION = re.compile(
    r"^(?:do|does|did|is|are|was|were|am|have|has|had|will|would|can|could|should|may|what|where|"
    r"when|who|whom|whose|why|how|which)\b",
    re.IGNORECASE,
)


def _stems(text: str) -> frozenset[str]:
    return frozenset(map(stem, text.split()))


# Verbs that many say of themselves: they tell an event only together with two more words.
_GENERAL = _stems(
    "am be have like love enjoy want hope think know feel go do get see say tell need try make "
    "look come thank agree wish understand believe guess bet mean sound take talk hear "
    "saw went got made came told said knew thought felt took heard met ate sat gave"
)
# What a speaker says of its own life with these verbs must stand in what it knows.
_CLAIMS = _stems(
    "like love enjoy play have own work live study collect grow bake cook paint write read watch "
    "drive ride run teach build sing dance travel visit prefer hate keep use born moved studied "
    "lived worked played went been grew wrote painted built taught"
)
_REPORTING = _stems("think know hear guess hope believe say heard knew remember")
# Things that everybody has: "my day" and "your day" contradict nothing.
_SHARED_THINGS = _stems(
    "day morning evening night time life work job thing way name mind friend help idea plan "
    "opinion place home house family turn best part own new old good favourite favorite town"
)


@dataclass(frozen=True, slots=True)
class Clause:
    """``subject`` is "I", "you", or a name in lower case; ``verb`` and ``content`` are stems."""

    subject: str
    verb: str
    content: frozenset[str]


def clauses(text: str, names: Sequence[tuple[str, str]] = ()) -> list[Clause]:
    """The clauses of a text whose subject is "I", "you" or one of ``names``: pairs of a name and
    the subject that it stands for. Questions have none.

    >>> [(c.subject, c.verb) for c in clauses("I quarrelled with Bo. You baked, and Bo ate.",
    ...                                       [("Bo", "bo")])]
    [('I', 'quarrel'), ('you', 'bake'), ('bo', 'ate')]
    """
    found = []
    for sentence in _sentences(text, names):
        subject, tokens = "", list[str]()
        for token in (*sentence, "."):
            lower = token.lower()
            starts = _PRONOUNS.get(lower) or (token[1:] if token.startswith("@") else "")
            # "I think you baked": the verb of saying is one clause, what is said another.
            reports = bool(starts and tokens and stem(tokens[-1]) in _REPORTING)
            if lower in _CLAUSE_BREAK or token == "." or (starts and not tokens) or reports:
                if clause := _clause(subject, tokens):
                    found.append(clause)
                tokens = []
            if starts and not tokens:
                subject = starts
            elif lower not in _CLAUSE_BREAK:
                tokens.append(lower)
    return found


def owned_things(text: str, names: Sequence[tuple[str, str]] = ()) -> set[tuple[str, str]]:
    """Pairs of an owner ("I", "you", a name in lower case) and the stem of what it owns.

    >>> sorted(owned_things("My oven is cracked. You have a letter."))
    [('I', 'oven'), ('you', 'letter')]
    """
    pairs = set()
    for sentence in _sentences(text, names):
        for place, token in enumerate(sentence):
            owner = _OWNERS.get(token.lower()) or (token[1:-2] if token.endswith("@s") else "")
            if owner:
                after = [word.lower() for word in sentence[place + 1 : place + 4]]
                pairs |= {(owner, thing) for thing in _noun_stems(after)}
    for clause in clauses(text, names):
        if clause.verb == "have":
            pairs |= {(clause.subject, thing) for thing in clause.content - {"have"}}
    return {(owner, thing) for owner, thing in pairs if thing not in _SHARED_THINGS}


def swapped_roles(
    text: str, facts: Iterable[str], names: Sequence[tuple[str, str]] = ()
) -> list[str]:
    """What a line says of one person and the ``facts`` of another: stems of verbs and things.

    Line and facts are in the first person of the same speaker.

    >>> facts = ["I quarrelled with Greta Holm about the price.", "My oven is cracked."]
    >>> swapped_roles("You quarrelled with Greta about the price.", facts)
    ['quarrel']
    >>> swapped_roles("Is your oven fine? Your oven is cracked.", facts)
    ['oven']
    >>> swapped_roles("I quarrelled with Greta, and my oven is cracked.", facts)
    []
    """
    known = [clause for fact in facts for clause in clauses(fact, names)]
    owned = set[tuple[str, str]]().union(*(owned_things(fact, names) for fact in facts))
    swapped = []
    for clause in clauses(text, names):
        if clause.subject in ("we", "he", "they"):
            continue
        same = [fact for fact in known if _tells_same(clause, fact)]
        if same and not any(fact.subject in (clause.subject, "we") for fact in same):
            swapped.append(clause.verb)
    for owner, thing in sorted(owned_things(text, names)):
        owners = {other for other, own in owned if own == thing}
        if owners and owner not in owners and "we" not in owners:
            swapped.append(thing)
    return swapped


def unfounded_claims(text: str, known: Iterable[str]) -> list[str]:
    """Verbs of what a line says its speaker does, has or likes, where most words of it stand in
    none of the ``known`` texts.

    >>> unfounded_claims("I play the flute. I like rye bread.", ["I bake rye bread."])
    ['play']
    """
    words = {term for text in known for term in terms(text)}
    claims = [clause for clause in clauses(text) if clause.subject == "I"]
    return [
        claim.verb
        for claim in claims
        if claim.verb in _CLAIMS
        and (content := claim.content - {claim.verb} - _SHARED_THINGS - _GENERAL)
        and 2 * len(content & words) < len(content)
    ]


def _tells_same(clause: Clause, fact: Clause) -> bool:
    """Whether two clauses tell the same of whomever: verb and most of the content agree."""
    shared = clause.content & fact.content
    return (
        clause.verb == fact.verb
        and len(shared) >= (3 if clause.verb in _GENERAL else 2)
        and 2 * len(shared) >= min(len(clause.content), len(fact.content))
    )


def _clause(subject: str, tokens: Sequence[str]) -> Clause | None:
    place = next((n for n, token in enumerate(tokens) if token not in _AUXILIARY), None)
    if not subject or place is None:
        return None
    owns = place > 0 and tokens[place - 1] in ("have", "has", "had", "'ve")
    if owns and tokens[place] in _DETERMINERS:
        verb, rest = "have", tokens[place:]
    elif tokens[place] in STOP_WORDS or tokens[place] in _DETERMINERS:
        verb, rest = "be", tokens[place:]
    else:
        verb, rest = stem(tokens[place]), tokens[place + 1 :]
    bare = [token.lstrip("@").removesuffix("@s") for token in rest]
    content = {stem(token) for token in bare if token not in STOP_WORDS and token.isalnum()}
    return Clause(subject, verb, frozenset({verb, *content}))


def _noun_stems(tokens: Sequence[str]) -> set[str]:
    """Stems of the first words, up to two, before the next word that ends a noun phrase."""
    things = []
    for token in tokens:
        if token in STOP_WORDS or not token.isalnum() or token in _AUXILIARY:
            break
        things.append(stem(token))
    return set(things[:2])


def _sentences(text: str, names: Sequence[tuple[str, str]]) -> list[list[str]]:
    """The tokens of each sentence that is no question; "@owner" stands for a name, "@owner@s" for
    its possessive."""
    for name, subject in sorted(names, key=lambda pair: -len(pair[0])):
        text = re.sub(rf"(?<!\w){re.escape(name)}(?:['’]s\b)", f" @{subject}@s ", text)
        text = re.sub(rf"(?<![\w@]){re.escape(name)}(?!\w)", f" @{subject} ", text)
    sentences: list[list[str]] = []
    for piece in re.findall(r"[^.!?…;]+[.!?…;]*", text):
        words = []
        for token in piece.split():
            bare = token.strip(",.!?;:…\"“”()'’")
            head, mark, tail = bare.replace("’", "'").partition("'")
            if bare.startswith("@"):
                words.append(bare)
            elif mark and tail.lower() in ("m", "re", "ve", "ll", "d"):
                words += [head, f"'{tail.lower()}"]
            elif bare:
                words.append(bare.replace("’", "'").removesuffix("'s"))
            if token[-1:] in ",:":
                words.append("and")
        if words and not (piece.rstrip().endswith("?") or _QUESTION.match(words[0])):
            sentences.append(words)
    return sentences
