"""Forms of English verbs: irregular pasts, the third person singular, the gerund."""

from __future__ import annotations

from .sentences import word_set

IRREGULAR_PASTS = {
    "became": "become",
    "began": "begin",
    "begun": "begin",
    "bought": "buy",
    "broke": "break",
    "broken": "break",
    "brought": "bring",
    "built": "build",
    "burnt": "burn",
    "came": "come",
    "caught": "catch",
    "chose": "choose",
    "did": "do",
    "done": "do",
    "drank": "drink",
    "drew": "draw",
    "drove": "drive",
    "ate": "eat",
    "eaten": "eat",
    "fell": "fall",
    "felt": "feel",
    "fed": "feed",
    "flew": "fly",
    "forgot": "forget",
    "forgotten": "forget",
    "fought": "fight",
    "found": "find",
    "gave": "give",
    "given": "give",
    "gone": "go",
    "got": "get",
    "grew": "grow",
    "grown": "grow",
    "had": "have",
    "heard": "hear",
    "held": "hold",
    "hid": "hide",
    "hidden": "hide",
    "hung": "hang",
    "kept": "keep",
    "knew": "know",
    "known": "know",
    "learnt": "learn",
    "led": "lead",
    "left": "leave",
    "lent": "lend",
    "lost": "lose",
    "made": "make",
    "meant": "mean",
    "met": "meet",
    "paid": "pay",
    "ran": "run",
    "rang": "ring",
    "rode": "ride",
    "said": "say",
    "sang": "sing",
    "sat": "sit",
    "saw": "see",
    "seen": "see",
    "sent": "send",
    "slept": "sleep",
    "sold": "sell",
    "spent": "spend",
    "spoke": "speak",
    "spoken": "speak",
    "stole": "steal",
    "stood": "stand",
    "swam": "swim",
    "taken": "take",
    "taught": "teach",
    "thought": "think",
    "told": "tell",
    "took": "take",
    "threw": "throw",
    "understood": "understand",
    "was": "be",
    "went": "go",
    "were": "be",
    "woke": "wake",
    "won": "win",
    "wore": "wear",
    "written": "write",
    "wrote": "write",
}
"""Irregular past forms and participles of English verbs, with their base forms."""

# Forms without an "s" in the third person singular, and pasts equal to the base form, which are
# rather past where somebody tells of himself ("I read it").
_INVARIABLE = word_set(
    "will can could should must may might would ought cut put hit quit let set read shut hurt cost"
)
_NOT_PAST = word_set("need feed speed bleed breed exceed proceed succeed")
_DOUBLED = word_set(
    "cut put hit quit let set shut get sit win run begin swim stop plan chat shop forget dig hug "
    "jog knit mop nod pat pet rob rub skip slip step trip wrap drop clap grab hop beg swap admit"
)


def third_person_verb(verb: str) -> str:
    """The verb in the third person singular; forms of the past and modal verbs stay.

    >>> third_person_verb("go"), third_person_verb("study"), third_person_verb("worked")
    ('goes', 'studies', 'worked')
    """
    if verb in _INVARIABLE or verb in IRREGULAR_PASTS:
        return verb
    if verb.endswith("ed") and verb not in _NOT_PAST:
        return verb
    if verb == "have":
        return "has"
    if verb.endswith("y") and verb[-2:-1] not in ("a", "e", "o", "u"):
        return f"{verb[:-1]}ies"
    return f"{verb}es" if verb.endswith(("s", "sh", "ch", "x", "z", "o")) else f"{verb}s"


def is_finite_verb(word: str) -> bool:
    """Whether a word after a name can be its verb: an auxiliary, a past, or a form with "s".

    >>> is_finite_verb("lost"), is_finite_verb("likes"), is_finite_verb("and")
    (True, True, False)
    """
    return (
        word in IRREGULAR_PASTS
        or word in _INVARIABLE
        or (word in ("is", "are", "has") or (len(word) > 3 and word.endswith(("s", "ed"))))
    )


def gerund(verb: str) -> str:
    """The "-ing" form of a verb in its base form.

    >>> gerund("bake"), gerund("meet"), gerund("get"), gerund("die"), gerund("be")
    ('baking', 'meeting', 'getting', 'dying', 'being')
    """
    if verb in _DOUBLED:
        return f"{verb}{verb[-1]}ing"
    if verb.endswith("ie"):
        return f"{verb[:-2]}ying"
    if verb.endswith("e") and not verb.endswith(("ee", "oe", "ye")) and verb != "be":
        return f"{verb[:-1]}ing"
    return f"{verb}ing"
