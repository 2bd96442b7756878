"""Rules by which a draft of a line is refused before anybody judges how well it fits.

A draft is read against its prompt: the names and facts that its speaker has, and the lines that
were said. Planners, chats and benchmarks use the same rules.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from ...core import AgentId, Message, short_name
from ...core.text import STOP_WORDS, terms
from ..text import (
    SENTENCE_END_MARKS,
    finished_sentences,
    is_english,
    is_fragment,
    is_unfinished,
    repeats,
    word_overlap,
    word_set,
)
from .clauses import swapped_roles, unfounded_claims
from .invented_terms import common_words, invented_names, invented_numbers, invented_relatives

_NOTE = re.compile(r"\[I (?P<kind>remember|want to say): (?P<text>.*)\]", re.DOTALL)
# "Ada says to you:" is how a heard line is noted; nobody says it to the one who said it.
_NOTE_ECHO = re.compile(
    r"\[|\]|^I (?:remember|want to say)\s*:|\b(?:said|says|say) to [^.!?:]{1,40}:"
    r"|\b(?:said|says) to (?:you|me|I)\b",
    re.IGNORECASE,
)
_GREETING = (
    r"(?:hi|hello|hey|good (?:morning|afternoon|evening|day|night)|morning|welcome|thanks|"
    r"thank you|goodbye|good-?bye|bye|farewell|dear|sorry|oh|well|yes|no|sure|okay|ok|ah)"
)
_NAMES_ONESELF = re.compile(
    r"(?:\bI['’]m|\bI am|\bname is|\bname['’]s|\bcall me|\bthis is) $", re.I
)
_FAREWELL = re.compile(
    r"\b(?:good-?bye|bye(?:-bye)?|farewell|(?<!to )see you|see ya|good night|"
    r"talk to you (?:later|soon)|"
    r"(?:i'll|i will) (?:see|talk to|catch) you|take care|have a (?:nice|good|great|lovely) "
    r"(?:day|one|time|evening|night|weekend|morning)|until (?:then|later|tonight|tomorrow)|"
    r"i (?:have to|must|should|need to|better) (?:go|get going|get back|be going|run|head))\b",
    re.IGNORECASE,
)
_SMALL_TALK = re.compile(
    r"(?:how (?:are|have) (?:you|things)\b[^.!?]*|how do you do|how's (?:it|everything) going|"
    r"how is (?:it|everything) going|how's everything|what's (?:up|new)|how about you|"
    r"what about you|and you(?:rself)?|are you well|you okay|"
    r"how (?:is|was|'s) (?:your|the) (?:day|morning|evening|week)\b[^.!?]*)\?[\"”]?\s*$",
    re.IGNORECASE,
)
_STRANGERS = re.compile(
    r"\b(?:(?:nice|good|great|pleased|pleasure|lovely) to (?:finally )?meet you|"
    r"what(?:'s| is) your name|may i ask your name|who are you|where are you from|"
    r"what do you do for (?:a living|work)|"
    r"my name(?:'s| is)|tell me (?:a bit |more |something )?about yourself|"
    r"what do you (?:like to |usually )?do (?:for fun|in your (?:free|spare) time)|"
    r"what(?:'s| is) your favou?rite|"
    r"(?:do you have|have you got) any (?:hobbies|pets|siblings|kids|children|brothers)|"
    r"what are your hobbies|do you live (?:here|around here))\b",
    re.IGNORECASE,
)
_OPEN_WORDS = word_set(
    "a an the and or but of to with for from in on at by my your his her our their its is are was "
    "were am because that which who if as than i very too so into about"
)
_STUTTER = re.compile(r"\b([\w'’]+(?: [\w'’]+){1,5})[,.]? \1(?!\w)", re.IGNORECASE)
_YES_NO = re.compile(
    r"(?:^|[.!?,] )(?:do|does|did|is|are|was|were|have|has|had|will|would|can|could|should)"
    r"(?:n't)? [^.!?]*\?\W*$",
    re.IGNORECASE,
)
_DENIAL = re.compile(
    r"\b(?:never (?:met|heard of|seen|known|been to|been at)|"
    r"(?:don't|do not|didn't) know(?: (?:who|what|about))?|"
    r"haven't (?:met|heard of|seen)|not sure (?:what|who)|"
    r"who is|who's|what is|what's) (?P<what>[^.!?,;]*)",
    re.IGNORECASE,
)
_TASTE = re.compile(
    r"\b(?:what|which|who|how|do|what's) [^.!?]*\b(?:like|enjoy|love|favou?rite|for fun|hobby|"
    r"hobbies|free time|spare time)\b[^.!?]*\?",
    re.IGNORECASE,
)
_CAPITALISED = re.compile(r"\b[A-Z][a-z]\w+")
_SCENE = re.compile(
    r"(?:I'm|I’m|I am) (?:here |still |just |now )?(?:in|at|on) (?:the|my|your) (?:\w+ ?){1,4}[.!]"
)
_MAX_REPEATED_SHARE = 0.85  # with a line of an earlier conversation
_LIST_BEFORE = re.compile(r"\b[A-Z]\w+(?: [A-Z]\w+)?,? $")


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftContext:
    """What a draft is read against.

    ``me`` speaks to ``others``. ``facts`` are sentences in the first person of the speaker, from
    the system message and the notes. ``lines`` were said in this conversation, ``own_lines`` are
    those of the speaker, ``earlier_lines`` the speaker's in earlier ones. ``known`` is all text
    whose names and numbers the speaker may use. ``acquainted``: speaker and listeners know each
    other."""

    me: AgentId
    others: tuple[AgentId, ...] = ()
    facts: tuple[str, ...] = ()
    lines: tuple[str, ...] = ()
    own_lines: tuple[str, ...] = ()
    earlier_lines: tuple[str, ...] = ()
    known: str = ""
    acquainted: bool = False

    @classmethod
    def of_prompt(
        cls,
        messages: Sequence[Message],
        *,
        me: AgentId,
        others: Sequence[AgentId] = (),
        earlier_lines: Sequence[str] = (),
        known: Sequence[str] = (),
        acquainted: bool = False,
    ) -> DraftContext:
        """The context that a prompt of speech gives; ``known`` are further texts that the speaker
        has: the persona's."""
        facts: list[str] = []
        lines: list[str] = []
        own_lines: list[str] = []
        for message in messages:
            for part in message.parts:
                note = _NOTE.fullmatch(part.text.strip())
                if message.role == "system" or note:
                    facts += finished_sentences(note["text"] if note else part.text)
                elif not part.text.startswith("["):
                    lines.append(part.text)
                    own_lines += [part.text] if message.role == "assistant" else []
        return cls(
            me=me,
            others=tuple(others),
            facts=tuple(facts),
            lines=tuple(lines),
            own_lines=tuple(own_lines),
            earlier_lines=tuple(earlier_lines),
            known="\n".join((me, *others, *known, *(message.text for message in messages))),
            acquainted=acquainted,
        )


def refusal_rule(draft: str, context: DraftContext) -> str:
    """The name of the first rule that refuses a draft; empty if none does.

    >>> context = DraftContext(me="Bo Lind", others=("Ada Ek",), facts=("I bake bread.",),
    ...                        known="Bo Lind Ada Ek I bake bread. How is Greta?")
    >>> refusal_rule("Greta is well, Ada.", context), refusal_rule("Hello, Tobias!", context)
    ('', 'invented')
    >>> refusal_rule("Bo bakes bread.", context), refusal_rule("I like Ada.", context)
    ('third_person_self', 'partner_absent')
    """
    return next((name for name, refuses in DRAFT_RULES.items() if refuses(draft, context)), "")


def breaks_off(draft: str, context: DraftContext) -> bool:
    """Whether a draft is no whole sentence: it lacks an end mark, begins in the middle of a
    sentence, or ends with a word such as "the"."""
    text = draft.rstrip("\"”»’' )")
    if not text.endswith(tuple(SENTENCE_END_MARKS)) or is_unfinished(text) or is_fragment(draft):
        return True
    if draft.count('"') % 2:
        return True
    last = re.findall(r"[^\W\d_]+", text.lower())[-1:]
    return bool(last) and last[0] in _OPEN_WORDS and not text.endswith("?") and _dangles(text)


def echoes_note(draft: str, context: DraftContext) -> bool:
    """Whether a draft has the brackets or the beginning of a note."""
    return _NOTE_ECHO.search(draft.strip()) is not None


def is_repeated(draft: str, context: DraftContext) -> bool:
    """Whether a draft repeats a line of the conversation, itself, or a line of an earlier one."""
    sentences = finished_sentences(draft)
    within = any(
        word_overlap(sentence, sentences[:place]) > 0.8 for place, sentence in enumerate(sentences)
    )
    stuttered = _STUTTER.search(draft) is not None
    lines = list(context.lines)
    if lines and _YES_NO.search(lines[-1]):
        lines.pop()  # "Will you bring them?" is answered with its words.
    said = [sentence for line in lines for sentence in finished_sentences(line)]
    return (
        within
        or stuttered
        or repeats_line(draft, lines)
        or any(repeats_line(sentence, said) for sentence in sentences if len(sentence.split()) > 3)
        or repeats(draft, context.earlier_lines, share=_MAX_REPEATED_SHARE)
    )


def repeats_line(draft: str, lines: Sequence[str]) -> bool:
    """Whether a line repeats one of ``lines``. Greetings and farewells, which are answered in
    kind, repeat only what is equal.

    >>> repeats_line("See you at the cafe!", ["I shall see you at the cafe."])
    True
    >>> repeats_line("Good morning, Ada!", ["Good morning, Bo!"])
    False
    """
    if len(draft.split()) <= 4:
        return any(draft.strip(" .!").lower() == line.strip(" .!").lower() for line in lines)
    return repeats(draft, [line for line in lines if len(line.split()) > 3])


def names_itself(draft: str, context: DraftContext) -> bool:
    """Whether a draft speaks of its speaker by name, otherwise than in "I am Bo"."""
    own = _forms(context.me, context.others)
    return any(not _NAMES_ONESELF.search(draft[:start]) for start, _ in _occurrences(draft, own))


def names_partner_as_absent(draft: str, context: DraftContext) -> bool:
    """Whether a draft for one listener speaks of the listener by name, otherwise than in an
    address ("Good morning, Ada!")."""
    if len(context.others) != 1:
        return False
    names = _forms(context.others[0], (context.me,))
    return any(not _is_address(draft, start, end) for start, end in _occurrences(draft, names))


def addresses_another(draft: str, context: DraftContext) -> bool:
    """Whether a draft addresses somebody who does not listen, or its own speaker."""
    if not is_english(draft, ()):
        return False
    listeners = {form for who in context.others for form in _all_forms(who)}
    for match in re.finditer(r"(?<![\w'’])[A-Z][\w'’]*(?: [A-Z][\w'’]*)*", draft):
        words = match[0].split()
        # "Hello Bo": the greeting is no part of the name.
        while words and words[0].lower() in _GREETING_WORDS:
            words = words[1:]
        name = " ".join(words)
        start = match.end() - len(name)
        if not name or name in listeners or name == "I" or name.lower() in common_words():
            continue
        if any(word.lower() in common_words() for word in words):
            continue
        if _is_address(draft, start, match.end()) and name in _named_people(context):
            return True
    return False


def swaps_roles(draft: str, context: DraftContext) -> bool:
    """Whether a draft says of the listener what the facts say of the speaker, or the other way
    round."""
    people = [(context.me, "I")]
    people += [(who, "you" if len(context.others) == 1 else "") for who in context.others]
    names = []
    for who, subject in people:
        key = subject or short_name(who).lower().replace(" ", "")
        names += [(form, key) for form in _all_forms(who)]
    taken = {form for form, _ in names}
    for name in _named_people(context):
        if name not in taken:
            names.append((name, name.split()[0].lower()))
    return bool(swapped_roles(draft, context.facts, names))


def introduces_itself(draft: str, context: DraftContext) -> bool:
    """Whether a draft treats somebody whom the speaker knows as a stranger: it gives or asks the
    name, is pleased to meet, or asks what one asks in an interview."""
    if not context.acquainted:
        return False
    own = _occurrences(draft, _forms(context.me, context.others))
    return _STRANGERS.search(draft.replace("’", "'")) is not None or any(
        _NAMES_ONESELF.search(draft[:start]) for start, _ in own
    )


def invents(draft: str, context: DraftContext) -> bool:
    """Whether a draft has a name, a number, a relative or a habit of its speaker that stands in
    nothing its speaker has. Asked for a taste, a speaker may have one that nobody wrote down."""
    known = context.known
    if invented_names(draft, known) or invented_numbers(draft, known):
        return True
    if invented_relatives(draft, known):
        return True
    asked_taste = bool(context.lines) and _TASTE.search(context.lines[-1]) is not None
    return not asked_taste and bool(unfounded_claims(draft, (known, *context.lines)))


def denies_knowledge(draft: str, context: DraftContext) -> bool:
    """Whether a draft says not to know somebody or something that the facts name."""
    facts = "\n".join(context.facts)
    names = {word for person in _people_in(facts) for word in person.split()}
    for match in _DENIAL.finditer(draft.replace("’", "'")):
        words = set(terms(match["what"]))
        if not words and context.lines:
            # "I've never heard of it": what the last line is about.
            if names & set(_CAPITALISED.findall(context.lines[-1])):
                return True
        elif words & set(terms(facts)) and not _DENIAL.search(facts):
            return True
        if names & set(_CAPITALISED.findall(match["what"])):
            return True
    return False


def echoes_scene(draft: str, context: DraftContext) -> bool:
    """Whether a draft says where its speaker is, which the listener sees, unasked."""
    asked = bool(context.lines) and "where" in context.lines[-1].lower()
    return not asked and any(
        _SCENE.fullmatch(sentence) is not None for sentence in finished_sentences(draft)
    )


DRAFT_RULES: dict[str, Callable[[str, DraftContext], bool]] = {
    "breaks_off": breaks_off,
    "echo": echoes_note,
    "repeat": is_repeated,
    "third_person_self": names_itself,
    "partner_absent": names_partner_as_absent,
    "wrong_address": addresses_another,
    "strangers": introduces_itself,
    "invented": invents,
    "swapped": swaps_roles,
    "denial": denies_knowledge,
    "scene": echoes_scene,
}
"""The rules by name, in the order in which they are tried."""


def is_question(line: str) -> bool:
    """Whether a line asks something: its last sentence ends with a question mark.

    >>> is_question("Fine. How are you?"), is_question("Really? I bake.")
    (True, False)
    """
    return line.rstrip("\"”»’' )").endswith(("?", "？", "؟", ";" if _is_greek(line) else "?"))


def is_small_talk(line: str) -> bool:
    """Whether a question of a line asks how the other is, which needs no memory.

    >>> is_small_talk("Hi! How are you today?"), is_small_talk("How is your oven?")
    (True, False)
    """
    return is_question(line) and _SMALL_TALK.search(line.replace("’", "'")) is not None


def is_farewell(line: str) -> bool:
    """Whether an English line takes leave.

    >>> is_farewell("I have to go. See you at the supper!"), is_farewell("Did you see her?")
    (True, False)
    """
    return not is_question(line) and _FAREWELL.search(line.replace("’", "'")) is not None


_GREETING_WORDS = frozenset(re.findall(r"[a-z]+", _GREETING)) | {"my"}


def _dangles(text: str) -> bool:
    """Whether the last word needs another: "to the." does, "I was talking to." may not."""
    last = re.findall(r"[^\W\d_]+", text.lower())[-1]
    return last in word_set("a an the and or but my your our their its because very i of as than")


def _is_greek(text: str) -> bool:
    return any("Ͱ" <= character <= "Ͽ" for character in text)


def _all_forms(who: AgentId) -> tuple[str, ...]:
    """The full name, the first and the last name."""
    words = who.split()
    return tuple(dict.fromkeys((who, short_name(who), *(words[-1:] if len(words) > 1 else ()))))


def _forms(who: AgentId, others: Sequence[AgentId]) -> tuple[str, ...]:
    """The forms of a name that denote nobody of ``others``."""
    taken = {form for other in others for form in _all_forms(other)}
    return tuple(form for form in _all_forms(who) if form not in taken and form)


def _occurrences(text: str, names: Sequence[str]) -> list[tuple[int, int]]:
    """Where one of the names stands, longest first; a name that is also a common word ("Will")
    does not count at the beginning of a sentence, where any word has a capital."""
    if not names:
        return []
    spans = []
    for match in _name_pattern(tuple(names)).finditer(text):
        opens = not text[: match.start()].strip() or text[: match.start()].rstrip()[-1] in ".!?…"
        followed = text[match.end() : match.end() + 1]
        if opens and match[0].lower() in common_words() and followed not in (",", "!"):
            continue
        spans.append(match.span())
    return spans


@lru_cache(maxsize=512)
def _name_pattern(names: tuple[str, ...]) -> re.Pattern[str]:
    listed = "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))
    return re.compile(rf"(?<!\w)(?:{listed})(?!\w)")


def _is_address(text: str, start: int, end: int) -> bool:
    """Whether the name at ``text[start:end]`` addresses the listener: it stands between marks or
    after a greeting, and before a mark."""
    before, after = text[:start], text[end:].lstrip("\"”»’' ")
    if after and after[0] not in ",.!?…;:—–-":
        return re.match(r"and (?:[A-Z]\w+ ?)+[,.!?…]", after) is not None
    opens = not before.strip() or before.rstrip()[-1] in ".!?…:;—–"
    greeted = re.search(rf"\b{_GREETING},?(?: my)?(?: dear)? $", before, re.IGNORECASE)
    listed = after.startswith(",") and re.match(
        r", (?:and )?[A-Z]\w+(?: [A-Z]\w+)?(?:,| and)", after
    )
    comma = before.rstrip().endswith(",") and not _LIST_BEFORE.search(before)
    return bool(greeted or ((opens or comma) and not listed))


@lru_cache(maxsize=256)
def _people_in(known: str) -> frozenset[str]:
    names = set()
    for match in re.finditer(r"(?<![\w'’])[A-Z][\w]+ [A-Z][\w]+", known):
        words = match[0].split()
        if not any(word.lower() in common_words() or word.lower() in STOP_WORDS for word in words):
            names |= {match[0], *words[:1]}
    return frozenset(names)


def _named_people(context: DraftContext) -> frozenset[str]:
    """The names of two capitalised words in all that is known, and their first words."""
    return _people_in(context.known)
