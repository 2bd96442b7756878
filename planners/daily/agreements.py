"""Promises and agreements in the lines of a conversation, as activities of one who took part."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ...core import AgentId, Utterance, short_name
from ...core.text import sentences
from ..text import gerund, strip_quotes, word_set

_POLITE = (
    r"(?:please |also |gladly |definitely |certainly |surely |just |then |still |both |all |even )*"
)
_REST = r"(?P<verb>[a-z]+)\b(?P<rest>[^.!?;]*)"
_PROMISE = re.compile(
    rf"\bI(?: promise(?: that I| I)?)?(?:['’]ll| will| shall|['’]m going to| am going to) {_POLITE}"
    rf"{_REST}|\bI promise to {_POLITE}(?P<verb2>[a-z]+)\b(?P<rest2>[^.!?;]*)"
)
_TOGETHER = re.compile(
    rf"\b(?:let['’]?s|let us|we['’]ll|we will|shall we|why don['’]t we|we (?:could|should|can)|"
    rf"(?:do you|^) ?want to|would you like to|could we|can we) {_POLITE}{_REST}",
    re.IGNORECASE,
)
_REQUEST = re.compile(
    rf"\b(?:(?:can|could|will|would) you|would you (?:mind|like to|be so kind as to)|please|"
    rf"(?:i['’]d like|i would like|i want|i need) you to) {_POLITE}{_REST}",
    re.IGNORECASE,
)
_INVITATION = re.compile(
    r"\b(?:invite you(?: all)?|you(?:['’]re| are)(?: all)? invited|are you coming|will you come|"
    r"would you come|you should come|do come|please come|join us|join me|"
    r"(?:^|(?<=, )|(?<=do ))come(?: along)?) "
    r"(?:with (?:me|us) )?(?P<rest>(?:to|for|at|by|over) [^.!?;]*)",
    re.IGNORECASE,
)
_ACCEPTED = re.compile(
    r"\W*(?:oh,? |well,? )*(?:yes|yeah|yep|sure|of course|certainly|definitely|absolutely|gladly|"
    r"with pleasure|okay|ok|all right|alright|deal|agreed|great|good idea|perfect|wonderful|"
    r"no problem|that(?:['’]s| is) (?:a )?(?:good|great|lovely|wonderful)|(?:i['’]m|i am) in|"
    r"sounds? (?:good|great|lovely|like a (?:plan|great|good))|that (?:sounds|would be)|"
    r"i['’]?d (?:love|like|be (?:glad|happy|delighted))|i would (?:love|like)|i['’]ll|i will|"
    r"see you (?:there|then)|thank you|thanks|count me in|me too)\b",
    re.IGNORECASE,
)
_REFUSED = re.compile(
    r"\b(?:no(?! problem)|not|sorry|cannot|busy|unfortunately|afraid|another time|maybe)\b|"
    r"n['’]t\b",
    re.IGNORECASE,
)
# Verbs of a promise that is no activity, and of a phrase such as "I'll see".
_IDLE_VERBS = word_set(
    "be have think know see let try need say miss love like hope want never not always feel "
    "remember forget keep wait wonder believe understand agree admit guess get seem stay pass do "
    "hang chat talk text exchange call probably bet consider imagine suppose mean mind enjoy look "
    "tell excuse forgive trust figure set a an the my your his her our their this that"
)
_AFTER_GO = word_set(
    "play get see eat have buy watch visit find look explore swim fish hike shop fetch pick help "
    "take bring work meet ask talk check"
)
_NEGATED = re.compile(r"\b(?:not|never)\b|n['’]t\b")
# What follows a comma or a conjunction with a subject belongs to another clause.
_CUT = re.compile(
    r",|\s[–—-]\s|\s(?:and|but|so|because|when|if|while|since|unless|before|after)\s+"
    r"(?:I|we|you|he|she|they|it|then|that|my|your|the|get|see|work|cook|help|bring|make|have|eat|"
    r"play|talk|watch|go|do|take|try|find)\b|\sor\s|\s(?:if|because|but|so|though)\b"
)
_VAGUE = re.compile(
    r"\b(?:sometimes?|someday|one day|again soon|maybe|perhaps|hope|wish|if you['’]?re free)\b",
    re.I,
)
_TOO_VAGUE = word_set(
    "it that this them there more something things stuff so one with me us you over by along back "
    "some out up now later"
)


@dataclass(frozen=True, slots=True)
class Agreement:
    """``activity``: what is to be done, as a phrase such as "bringing honey to Ada Ek tomorrow".
    ``basis``: the sentence in which it was promised or proposed."""

    activity: str
    basis: str


def agreements(
    lines: Sequence[Utterance], me: AgentId, others: Sequence[AgentId]
) -> list[Agreement]:
    """What ``me`` has promised or agreed to do, in the order of the lines: own promises, and
    proposals, requests and invitations that were accepted. English only.

    >>> from datetime import datetime
    >>> at = datetime(2026, 5, 2, 8)
    >>> lines = [Utterance("Ada Ek", "Could you bring me two loaves?", at),
    ...          Utterance("Bo Li", "Of course. Let's meet at the well at noon.", at),
    ...          Utterance("Ada Ek", "Good idea!", at)]
    >>> [found.activity for found in agreements(lines, "Bo Li", ["Ada Ek"])]
    ['bringing Ada Ek two loaves', 'meeting Ada Ek at the well at noon']
    """
    found: list[Agreement] = []
    for number, line in enumerate(lines):
        reply = lines[number + 1] if number + 1 < len(lines) else None
        accepted = reply is not None and reply.who != line.who and accepts(reply.text)
        partner = line.who if line.who != me else " and ".join(others)
        for sentence in sentences(line.text):
            if _VAGUE.search(sentence):
                continue
            for phrase in _phrases(sentence, own=line.who == me, accepted=accepted):
                activity = _about_others(phrase, me, partner, own=line.who == me)
                if activity and activity not in [one.activity for one in found]:
                    found.append(Agreement(activity, sentence))
    return found


def accepts(text: str) -> bool:
    """Whether a line accepts a proposal.

    >>> accepts("Yes, I'd love to!"), accepts("Sorry, I can't."), accepts("What is it?")
    (True, False, False)
    """
    first = " ".join(sentences(text)[:2])
    return _ACCEPTED.match(first) is not None and _REFUSED.search(first) is None


def _phrases(sentence: str, *, own: bool, accepted: bool) -> Iterator[str]:
    """The activities that a sentence promises, or proposes and is accepted."""
    if own and not _NEGATED.search(sentence) and not sentence.endswith("?"):
        for promise in _PROMISE.finditer(sentence):
            rest = promise["rest"] or promise["rest2"] or ""
            yield _activity(promise["verb"] or promise["verb2"], rest)
    if not accepted:
        return
    if match := _TOGETHER.search(sentence):
        if not _NEGATED.search(match[0]) or "don" in sentence[: match.end()]:
            yield _activity(match["verb"].lower(), match["rest"], together=True)
    elif not own and (match := _INVITATION.search(sentence)):
        rest = match["rest"].strip()
        verb = "join" if "join" in match[0].lower() else "go"
        yield _activity(verb, f" @partner {rest}" if verb == "join" else f" {rest}")
    elif not own and (match := _REQUEST.search(sentence)):
        yield _activity(match["verb"].lower(), match["rest"])


def _activity(verb: str, rest: str, *, together: bool = False) -> str:
    """A phrase with the verb's gerund; empty if it is no activity or says nothing."""
    rest = strip_quotes(_CUT.split(f" {rest.strip()}")[0].strip(" ,"))
    if verb in _IDLE_VERBS or not rest:
        return ""
    words = rest.lower().split()
    if verb == "go" and words[0] in _AFTER_GO:
        return _activity(words[0], rest[len(words[0]) :], together=together)
    if len(words) > 14 or all(word in _TOO_VAGUE for word in words):
        return ""
    if together:
        alone = verb == "meet" and re.match(r"(?:at|in|on|by|near|for|there|again|here|up)\b", rest)
        rest = f"@partner {rest}" if alone else f"{rest} with @partner"
    return f"{gerund(verb)} {rest}"


def _about_others(phrase: str, me: AgentId, partner: AgentId, *, own: bool) -> str:
    """A phrase with names for pronouns; empty if a pronoun stands for somebody unknown."""
    if not phrase:
        return ""
    first = short_name(me)
    mine, theirs = (f"{first}'s", f"{partner}'s")
    first_person, second_person = ((first, mine), (partner, theirs))
    if not own:
        first_person, second_person = second_person, first_person
    text = re.sub(r"\b(?:myself|yourself) ?", "", phrase)
    for pattern, form in (
        (r"\b(?:me|us)\b", first_person[0]),
        (r"\bmy\b", first_person[1]),
        (r"\byou\b", second_person[0]),
        (r"\byours?\b", second_person[1]),
        (r"@partner", partner),
    ):
        text = re.sub(pattern, form, text)
    if re.search(r"\b(?:I|we|our|he|she|they|him|her|them|it|that|this)\b", text):
        return ""
    # "with Ada Ek at noon with Ada Ek"
    return re.sub(rf"( with {re.escape(partner)}\b.*) with {re.escape(partner)}$", r"\1", text)
