"""What a reply rests on, and the rules by which its drafts are refused: it must tell what it rests
on and nothing about the speaker that the prompt does not have."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from ...core import RecordId, Resolution, sentences, short_name
from ..speech import DraftContext, is_farewell, refusal_rule
from ..text import is_english, is_grounded
from .known_sentences import content_stems
from .questions import Question, detail_of, fits_kind
from .reply_selection import ReplyContext

NOT_KNOWN = "I do not know."
HANDED_OVER = "I cannot help with this, but somebody else will."
_SAYS_UNKNOWN = re.compile(
    r"\b(?:don['’]t|do not|can['’]t|cannot|couldn['’]t|could not|wouldn['’]t|never) "
    r"(?:really |quite |even )?(?:know|say|tell|remember|heard|recall)\b|\bnot sure\b|\bno idea\b"
    r"|\bnot that I know\b|\bhaven['’]t (?:heard|a clue)\b|\bI wish I knew\b",
    re.IGNORECASE,
)
_DENIAL = re.compile(r"\b(?:not|no|never|nobody|nothing|cannot)\b|n['’]t\b", re.IGNORECASE)
# What a speaker says about itself: the rest of the sentence must stand in the prompt.
_CLAIM = re.compile(
    r"\b(?:I(?:['’]m| am| was|['’]ve been| have been) (?:a|an|the|from|in|at|going|working|"
    r"living|studying|planning|building|making|reading|learning)"
    r"|I (?:work|live|study|studied|teach|taught|own|play|played|grew up|was born|went|visited|"
    r"moved|came|met|bought|sold|found|saw|made|baked|built|wrote|won|lost|have|had|used to))\b"
    r"(?P<rest>[^.!?;]*)",
    re.IGNORECASE,
)
_FIRST_PERSON = re.compile(r"\b(?:I|my|mine|me|myself|we|our)\b", re.IGNORECASE)
_OWNED = re.compile(r"\bmy (?:own |old |new |little |big )?(\w+)")
_POLITE = re.compile(
    r"\bI(?:['’]m| am) (?:\w+ )?(?:glad|sorry|happy|pleased|here)\b|\bI (?:see|understand|hope)\b"
    r"|\bI(?:['’]ll| will| can) (?:help|remember|note)\b|\b(?:help|tell|telling|let) (?:me|us)\b",
    re.IGNORECASE,
)
_POLITE_WORDS = "thank thanks hear great lovely wonderful sounds telling that's nice good welcome"
_GREETING = re.compile(
    r"^\W*(?:hi|hello|hey|(?:good )?(?:morning|afternoon|evening)|good day|greetings)\b",
    re.IGNORECASE,
)
_DOUBT = re.compile(
    r"\b(?:hard|difficult|afraid|wrong|seldom|rarely|perhaps|maybe|if)\b", re.IGNORECASE
)
_MEETING = re.compile(r"\b(?:nice|glad|good|happy|great) to see you\b", re.IGNORECASE)
_GREETING_WORDS = 4  # of a line that only greets
_SAME_TO_YOU = re.compile(r"\b(?:you too|same to you|welcome)\b", re.IGNORECASE)
_NEEDS = re.compile(r"\bI (?:need|want|would like|am looking for|hope)\b")
_OFFER = re.compile(r"\b(?:can|could|may|shall|should|might) I\b", re.IGNORECASE)
_MY_OFFER = re.compile(
    r"\bI(?: can| could| may| will|['’]ll| shall| should|['’]d)\b", re.IGNORECASE
)
_GROUNDED_SHARE = 0.7  # of the longer words of an answer
_QUOTED_SHARE = 0.85  # of the longer words of an answer from a document
_CLAIM_SHARE = 0.5  # of the content words of what a speaker says about itself
# Words of such sentences that claim nothing.
_LIGHT = content_stems(
    "good great well fine lot lots bit little thing things time day today morning evening night "
    "great nice sorry sure happy glad busy tired proud fan fun question look looking forward way "
    "kind part much many new right place people friend talk chat hear help sounds people home work "
    "job town idea best mind heart moment word trouble hard long first last always never really"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplyBasis:
    """What a reply rests on: the ``question`` of the line and its ``answer`` (sentences in the
    first person; ``quoted``: what somebody said; ``of_document``: from one; ``says_yes``: its first
    sentence has what a yes-or-no question asks), ``memories`` and ``intent`` for the note of the
    prompt, the ``records`` that the answer is from, whether there was a memory to be ``searched``,
    what the reply is to be, and whether nothing may be made up (``known_only``)."""

    resolve: Resolution = "answer"
    question: Question | None = None
    answer: str = ""
    quoted: bool = False
    of_document: bool = False
    says_yes: bool = True
    memories: tuple[str, ...] = ()
    intent: str = ""
    records: tuple[RecordId, ...] = ()
    searched: bool = False
    known_only: bool = False


def with_rules(context: ReplyContext, basis: ReplyBasis, truths: DraftContext) -> ReplyContext:
    """A context with the rules and the ready replies that a basis gives."""

    yes_no = basis.question is not None and basis.question.kind == "yes_no"
    if yes_no:
        # "I will bring them." may answer "Will you bring them?".
        lines = tuple(line for line in truths.lines if context.line not in line)
        truths = replace(truths, lines=lines)

    def refusal(draft: str) -> str:
        if not english or not is_english(draft, (context.name, context.person)):
            return ""
        return refusal_rule(draft, truths) or _basis_refusal(draft, context, basis, truths)

    english = is_english(context.line, (context.name, context.person))
    if context.calls:
        return context
    spare = _spare_replies(context, basis) if english else ()
    # Yes or no needs no more: what follows is made up.
    short = yes_no and not basis.answer and basis.resolve == "answer"
    return replace(
        context,
        refusal=refusal,
        candidates=_ready_replies(context, basis),
        spare=spare,
        most=1 if short else context.most,
    )


def _basis_refusal(
    draft: str, context: ReplyContext, basis: ReplyBasis, truths: DraftContext
) -> str:
    """The rule by which a draft is refused that does not say what its basis has."""
    if basis.resolve == "unknown":
        return "" if _only_says_unknown(draft) else "unknown"
    if basis.resolve == "ask":
        return "" if draft.rstrip().endswith("?") else "ask"
    if basis.resolve == "hand_over":
        return "" if _tells(draft, basis.intent, "") else "untold"
    if basis.question is not None and _things_of_speaker(draft, basis.question.text):
        return "swapped"  # "my sister" of a question is not the answering one's
    if basis.answer:
        if not _tells(draft, basis.answer, context.line):
            return "untold"
        if basis.quoted and _FIRST_PERSON.search(draft) and _FIRST_PERSON.search(basis.answer):
            return "swapped"  # "I have a tent" is what the other one said
        if bool(_DENIAL.search(draft)) != bool(_DENIAL.search(basis.answer)):
            return "denied"
        kind = basis.question.kind if basis.question else "other"
        if fits_kind(draft, kind) is False and fits_kind(basis.answer, kind):
            return "untold"
        texts = [truths.known, *truths.facts, *truths.lines]
        share = _GROUNDED_SHARE
        if basis.of_document:  # whose other passages say other things
            texts, share = [basis.answer, context.line], _QUOTED_SHARE
        return "" if is_grounded(draft, texts, share) else "ungrounded"
    wants_fact = basis.question is not None and basis.question.wants_fact
    # No memory answers it well: the draft must tell one all the same, or say so.
    told = basis.memories and _tells(draft, " ".join(basis.memories), context.line)
    if wants_fact and basis.searched and not told and not says_unknown(draft):
        return "untold"
    takes_leave = is_farewell(_MEETING.sub("", draft)) or _SAME_TO_YOU.search(draft)
    if is_farewell(context.line) and not takes_leave:
        return "farewell"
    if basis.question is None and _is_echo(draft, context.line):
        return "echo"
    if _offers(basis) and _MY_OFFER.search(draft):
        return "swapped"
    if basis.known_only and basis.question is None and _adds_something(draft, context.line):
        return "claim"
    if _is_mere_greeting(context.line) and not _GREETING.match(draft):
        return "greeting"
    return "claim" if claims_unknown(draft, truths.known) else ""


def says_unknown(text: str) -> bool:
    """Whether a line says that its speaker does not know.

    >>> says_unknown("I'm not sure, Ada."), says_unknown("I know.")
    (True, False)
    """
    return _SAYS_UNKNOWN.search(text) is not None


def _only_says_unknown(draft: str) -> bool:
    """Whether a draft says that its speaker does not know, and no more."""
    single = len(sentences(draft)) == 1 and '"' not in draft
    return single and says_unknown(draft) and " but " not in draft


def _tells(draft: str, answer: str, line: str) -> bool:
    """Whether a draft has a content word of an answer that its question does not have."""
    new = content_stems(answer) - content_stems(line)
    return not new or bool(new & content_stems(draft))


def claims_unknown(draft: str, known: str) -> bool:
    """Whether a draft says something about its speaker of which ``known`` has too few words.

    >>> claims_unknown("I am a nurse in Boston.", "I am a baker."), claims_unknown(
    ...     "I am a baker too.", "I am a baker.")
    (True, False)
    """
    stems = content_stems(known) | _LIGHT
    for match in _CLAIM.finditer(draft):
        claimed = content_stems(match["rest"])
        if claimed and len(claimed & stems) < _CLAIM_SHARE * len(claimed):
            return True
    return False


def _ready_replies(context: ReplyContext, basis: ReplyBasis) -> tuple[str, ...]:
    """Replies that are right whatever the model writes."""
    if basis.resolve == "unknown":
        return (
            "I don't know.",
            "I couldn't tell you.",
            "I'm sorry, I don't know that.",
            "I really don't know.",
            "I don't know that, either.",
        )
    if basis.resolve == "hand_over":
        return (basis.intent,)
    if basis.resolve == "ask":
        return (f"Could you tell me {basis.intent.partition(': ')[2]}",)
    if not basis.answer:
        needs = [text for text in basis.memories if _NEEDS.search(text)]
        if needs and _offers(basis):
            return (f"Yes, please. {needs[0]}",)
        told = f"{context.person} said to me: "
        asked = basis.question.text if basis.question else ""
        return tuple(
            _retold(text, context.person)
            for text in basis.memories
            if text.startswith(told) and _things_of_speaker(text.replace('"', ""), asked)
        )
    if basis.quoted:
        return (_retold(basis.answer, context.person),)
    yes_no = basis.question is not None and basis.question.kind == "yes_no"
    if yes_no and basis.says_yes and not _DOUBT.search(basis.answer):
        start = "No" if _DENIAL.search(basis.answer) else "Yes"
        if basis.of_document:  # whose sentences often begin with a heading's or product's name
            return (f"{start}. {basis.answer}",)
        first = basis.answer if basis.answer.startswith(("I ", "I'")) else _lowered(basis.answer)
        return (f"{start}, {first}",)
    short = detail_of(basis.answer, basis.question.kind) if basis.question else ""
    return (basis.answer, short) if short else (basis.answer,)


def _is_echo(draft: str, line: str) -> bool:
    """Whether a draft only says again what a line says ("You are tired from your journey.")."""
    stems = content_stems(draft)
    return len(stems) > 1 and stems <= content_stems(line)


def _things_of_speaker(text: str, question: str) -> bool:
    """Whether a text, outside of quotations, speaks of something as the speaker's own that a
    question speaks of as its asker's.

    >>> _things_of_speaker("My sister is well.", "How is my sister?")
    True
    >>> _things_of_speaker('You told me: "My sister is well."', "How is my sister?")
    False
    """
    plain = re.sub(r'"[^"]*"', "", text.lower())
    owned = {match[1] for match in _OWNED.finditer(question.lower())}
    return any(match[1] in owned for match in _OWNED.finditer(plain))


def _adds_something(draft: str, line: str) -> bool:
    """Whether a draft says of its speaker more than what is polite to say, asks back, or has
    mostly words that the line does not have.

    >>> _adds_something("I'm sorry to hear that.", "It broke."), _adds_something(
    ...     "I have a tent too.", "I have a tent.")
    (False, True)
    """
    rest = _POLITE.sub("", draft)
    if "?" in draft or _FIRST_PERSON.search(rest):
        return True
    return not is_grounded(rest, [line, _POLITE_WORDS], _QUOTED_SHARE)


def _offers(basis: ReplyBasis) -> bool:
    """Whether the question offers something ("Can I help you?")."""
    return basis.question is not None and _OFFER.search(basis.question.text) is not None


def _is_mere_greeting(line: str) -> bool:
    return (
        _GREETING.match(line) is not None
        and len(line.split()) <= _GREETING_WORDS
        and "?" not in line
    )


def _retold(quotation: str, person: str) -> str:
    """A record of an utterance as it is told to a person.

    >>> _retold('Ada Ek said to me: "I bake."', "Ada Ek"), _retold('I said to Bo: "No."', "Ada Ek")
    ('You told me: "I bake."', 'I said to Bo: "No."')
    """
    who, _, words = quotation.partition(" said to me: ")
    if not words:
        return quotation.replace(f"I said to {person}: ", "As I told you: ")
    return f"{'You' if who == person else who} told me: {words}"


def _lowered(text: str) -> str:
    """A sentence to follow a comma: its first word in lower case unless it is a name."""
    common = re.match(r"(?:The|A|An|My|We|You|Your|It|There|This|That)\b", text)
    return text[0].lower() + text[1:] if common else text


def _spare_replies(context: ReplyContext, basis: ReplyBasis) -> tuple[str, ...]:
    """Replies that fit where every draft was refused."""
    name = "" if context.person == "user" else f", {short_name(context.person)}"
    if is_farewell(context.line):
        return (f"Goodbye{name}!", "See you soon!")
    if basis.question is None:
        greeting = _GREETING.match(context.line)
        if basis.known_only and not greeting:
            return ("Thank you for telling me.", "I understand.", "I see.")
        hello = (f"{greeting[0].strip().capitalize()}{name}!",) if greeting else ()
        return (*hello, "I see. Tell me more.", "I understand.", "Thank you for telling me.")
    if basis.question.kind == "talk":
        return ("I am well, thank you. How are you?", "I can't say much about that.")
    if _offers(basis):
        return ("Yes, please!", "That would be kind.")
    if basis.question.wants_fact:
        return ("I don't know.", "I couldn't tell you.")
    return ("I'm not sure.", "I can't say.")
