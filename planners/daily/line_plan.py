"""What the next line of a conversation is for: an answer, a reaction, news, or a farewell."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ...core import (
    AgentId,
    Choice,
    ConversationView,
    Cue,
    Option,
    Record,
    Thought,
    Utterance,
    short_name,
)
from ...core.text import terms
from ..dialogue import KnownSentence, asked_question, bears_on, fit_sentences, known_answer
from ..speech import (
    TELL_PROBABILITY,
    confide_options,
    is_farewell,
    is_question,
    is_secret,
    is_small_talk,
    join_names,
    own_secrets,
    sharable,
)
from ..steps import MAX_MEMORY_CHARS, StepBuilder, choose_among, recall_records
from ..text import excerpt, finished_sentences, is_english, own_words

MAX_TOPICS = 3
"""What one tells in a conversation of its own accord."""
_MAX_TOPIC_OPTIONS = 8
_MAX_MEMORIES = 2
# News has so many words that were not said before.
_NEWS_TERMS = 4
_INVITATION = re.compile(
    r"\b(?:invite you|you should come|would like you to come|hope you(?:'ll| will| can) come|"
    r"come to (?:my|the|our) (?:\w+ )?(?:supper|party|dinner|lunch|feast|celebration|festival))\b",
    re.IGNORECASE,
)
_INSIGHT = re.compile(r"^[\w ]{1,60} (?:understands|realizes|realises) that ")
# What one has concluded or heard is not told as it was noted.
_FRAME = re.compile(r"^I (?:learned|have learned|understand|understood|realised|realized) that ")
# What one does every day is no news.
_HABIT = re.compile(
    r"\b(?:every (?:morning|day|evening|week)|usually|always|often|every(?:one|body) \w+ meets?)\b"
)
_TOLD_SHARE = 0.6  # of a topic's words, in one line


@dataclass(frozen=True, slots=True, kw_only=True)
class LinePlan:
    """The note of the next line: sentences remembered and what the speaker wants to say, in the
    first person. ``about`` is what the line is judged by; ``farewell``: it takes leave.
    ``openings`` are beginnings of its drafts, ``given`` are drafts already, ``tells`` has the words
    that are preferred: see ``draft_line``."""

    memories: tuple[str, ...] = ()
    intent: str = ""
    about: str = ""
    farewell: bool = False
    openings: tuple[str, ...] = ("",)
    given: tuple[str, ...] = ()
    tells: str = ""


def plan_line(
    builder: StepBuilder,
    talk: ConversationView,
    earlier: Sequence[str],
    *,
    min_lines: int,
    max_lines: int,
    subject: str = "",
) -> Thought[LinePlan]:
    """What the next line is for; ``earlier`` are own lines of other conversations. The first line
    is about ``subject``, if one is given.

    A farewell is answered by one. A question is answered with what is remembered of it, before
    anything else is told; news is met with what one knows of it. Else a topic is told, and when
    there is none left, or ``max_lines`` are near, the speaker takes leave."""
    me = builder.situation.persona.name
    last = talk.lines[-1].text if talk.lines else ""
    heard = bool(last) and talk.lines[-1].who != me
    if heard and is_farewell(last):
        builder.explain("Answers a farewell.")
        return LinePlan(about=last, farewell=True, openings=("", farewell_text(builder, talk)))
    asked = heard and is_question(last) and not is_small_talk(last)
    if subject and not talk.lines:
        return (yield from _opening(builder, talk, subject))
    if len(talk.lines) < 2 and not asked and not subject:
        # One greets before one tells.
        greeting = _greeting(builder, talk)
        about = last or greeting or _currently(builder) or f"{me} meets {talk.members[0]}"
        return LinePlan(about=about, openings=(greeting, ""))
    if asked:
        return (yield from _answer(builder, talk))
    if heard and _INVITATION.search(last):
        builder.explain("Answers an invitation.")
        return LinePlan(about=last, given=("Thank you! I would love to come.",))
    if heard and _is_news(talk, 1):
        return (yield from _reaction(builder, talk))
    plan = None
    if len(talk.lines) < max_lines - 2:
        plan = yield from _news(builder, talk, earlier)
    if plan is not None:
        return plan
    if len(talk.lines) >= min_lines:
        builder.explain("Has nothing more to tell.")
        openings = ("", farewell_text(builder, talk))
        leave = _leave_intent(builder)
        return LinePlan(intent=leave, about=last, farewell=True, openings=openings)
    return LinePlan(about=last)


def _opening(builder: StepBuilder, talk: ConversationView, subject: str) -> Thought[LinePlan]:
    """Begins to talk of a subject: with the subject itself if it is a sentence, else with what is
    known of it, else with a question."""
    me, now = builder.situation.persona.name, builder.situation.now
    builder.explain(f"Begins to talk of: {subject}")
    if finished_sentences(subject):
        return _telling(_to_listener(subject, talk, me))
    fitted = yield from _fitted(builder, talk, Utterance(me, subject, now))
    known = [one for one in fitted if bears_on(one) and not one.is_quotation]
    if known:
        builder.mark_used(one.record for one in known[:1] if one.record is not None)
        return _telling(_to_listener(known[0].text, talk, me))
    if not is_english(subject, talk.members):
        return LinePlan(intent=subject, about=subject)
    return LinePlan(about=subject, given=(f"What do you think about {subject}?",), tells=subject)


def _answer(builder: StepBuilder, talk: ConversationView) -> Thought[LinePlan]:
    """Answers a question: with the known sentence that answers it, if there is one."""
    persona, line = builder.situation.persona, talk.lines[-1]
    fitted = yield from _fitted(builder, talk, line)
    told = [said.text for said in talk.lines if said.who == persona.name]
    answers = known_answer(persona, fitted, asked_question(line.text), told)
    known = [one for one in fitted if bears_on(one)][:_MAX_MEMORIES]
    builder.mark_used(one.record for one in (*answers, *known) if one.record is not None)
    given = tuple(_to_listener(one.text, talk, persona.name) for one in answers)
    memories = (*given, *(_to_listener(one.text, talk, persona.name) for one in known))
    builder.explain("Answers a question.")
    return LinePlan(
        memories=tuple(dict.fromkeys(memories))[:_MAX_MEMORIES],
        about=line.text,
        given=given,
        tells=" ".join(given),
    )


def _reaction(builder: StepBuilder, talk: ConversationView) -> Thought[LinePlan]:
    """Speaks of what the other has told, with what is known of it."""
    me, line = builder.situation.persona.name, talk.lines[-1]
    fitted = yield from _fitted(builder, talk, line)
    known = [one for one in fitted if bears_on(one) and _is_fresh(one, talk, me, ())][:1]
    builder.mark_used(one.record for one in known if one.record is not None)
    memories = tuple(_to_listener(one.text, talk, me) for one in known)
    builder.explain("Speaks of what was told.")
    given = () if not known or known[0].is_quotation else memories
    return LinePlan(memories=memories, about=line.text, given=given)


def _news(
    builder: StepBuilder, talk: ConversationView, earlier: Sequence[str]
) -> Thought[LinePlan | None]:
    """Tells something: what is on one's mind, then what bears on the last lines, then a recalled
    thought; None if nothing is left. Nothing is told that these listeners were told before."""
    me = builder.situation.persona.name
    used = builder.state.drafts.get("topics", ())
    if len(used) >= MAX_TOPICS:
        return None
    currently = _currently(builder)
    if currently and _CURRENTLY not in used and not _is_said(currently, talk, earlier):
        _use_topic(builder, _CURRENTLY)
        return _telling(_in_own_words(currently, talk, me, ""), _topic_change(builder, talk))
    recent = " ".join(line.text for line in talk.lines[-2:])
    fitted = yield from _fitted(builder, talk, replace(talk.lines[-1], text=recent))
    for one in fitted:
        if one.record is None or one.record.kind != "thought" or one.record.id in used:
            continue
        if _INSIGHT.search(one.record.text):
            continue
        if bears_on(one) and not _HABIT.search(one.text) and _is_fresh(one, talk, me, earlier):
            builder.mark_used([one.record])
            _use_topic(builder, one.record.id)
            builder.explain(f"Had in mind: {one.record.text}")
            return _telling(_to_listener(one.text, talk, me))
    about = _occasion(builder, talk)
    records = yield from recall_records(Cue(text=about, at=builder.situation.now, limit=20))
    topic = yield from _choose_topic(builder, talk, sharable(records, talk, me), about, earlier)
    if topic is None:
        return None
    return _telling(_in_own_words(topic.text, talk, me, about), _topic_change(builder, talk))


def _telling(intent: str, change: str = "") -> LinePlan:
    """A line that tells ``intent``; ``change`` introduces it where it does not follow from what
    was said."""
    # What one has in mind is a sentence that can be said as it is, and continued.
    said = intent
    if change:
        first = intent.split(" ", 1)[0]
        said = f"{change} {intent[0].lower() + intent[1:] if first in _LOWERED else intent}"
    return LinePlan(intent=intent, about=intent, openings=("", said), given=(said,), tells=intent)


_TOPIC_CHANGES = ("By the way,", "You know,")
# First words of a sentence that are written small after a topic change; a name is not.
_LOWERED = frozenset(
    ["The", "A", "An", "My", "Your", "His", "Her", "Our", "He", "She", "It", "We", "Somebody"]
)


def _topic_change(builder: StepBuilder, talk: ConversationView) -> str:
    """The words that introduce a new topic in an English conversation that is under way; empty
    right after the greetings."""
    persona = builder.situation.persona
    if len(talk.lines) <= 2 or not is_english(persona.background + persona.currently, talk.members):
        return ""
    number = builder.situation.seed.child("topic change").number
    return _TOPIC_CHANGES[number % len(_TOPIC_CHANGES)]


def _fitted(
    builder: StepBuilder, talk: ConversationView, line: Utterance
) -> Thought[list[KnownSentence]]:
    """The sentences that the agent knows, best fitting ``line`` first, without secrets and what
    the others may not know."""
    situation = builder.situation
    me = situation.persona.name
    cue = Cue(text=line.text, at=situation.now, limit=20)
    recalled = sharable((yield from recall_records(cue)), talk, me)
    records = [record for record in recalled if record.kind in ("thought", "utterance")]
    fitted = yield from fit_sentences(situation.persona, records, line, talk.lines[:-1])
    secrets = own_secrets(builder, recalled)
    return [
        one
        for one in fitted
        if not secrets.concern(one.text)
        and not (one.record is not None and secrets.concern(one.record.text))
    ]


def _is_fresh(
    one: KnownSentence, talk: ConversationView, me: AgentId, earlier: Sequence[str]
) -> bool:
    """Whether a sentence is worth saying: it was not said, and does not tell the listener about
    the listener or what both do together."""
    if one.record is None and one.text == f"I am {me}.":
        return False
    said = _to_listener(one.text, talk, me)
    partner = _addressee(talk, me)
    known = bool(partner) and (re.match(r"You\b", said) is not None or "with you" in said)
    return not known and not _is_said(one.text, talk, earlier)


def _to_listener(text: str, talk: ConversationView, me: AgentId) -> str:
    """A sentence of one's own in which the one listener is "you"; of several those that do not
    point back to somebody by a pronoun."""
    partner = _addressee(talk, me)
    said = _without_list(own_words(text, me, partner)) if partner else text
    first, *rest = finished_sentences(said) or [said]
    kept = [sentence for sentence in rest if not _POINTS_BACK.match(sentence)]
    return _without_frame(" ".join((first, *kept)))


_POINTS_BACK = re.compile(r"(?:He|She|They|His|Her|Their)\b")


def _without_frame(text: str) -> str:
    bare = _FRAME.sub("", text)
    return bare[:1].upper() + bare[1:]


def _occasion(builder: StepBuilder, talk: ConversationView) -> str:
    """What brings something to mind before anything was said: the others, and one's concerns."""
    persona = builder.situation.persona
    others = [who for who in talk.members if who != persona.name]
    return f"{persona.name} tells {join_names(others)} some news. {_currently(builder)}".strip()


def _is_news(talk: ConversationView, place: int) -> bool:
    """Whether the ``place``-th line from the end tells something: it is no question, and has
    several words that nobody said before."""
    if place > len(talk.lines):
        return False
    line = talk.lines[-place]
    said = {term for earlier in talk.lines[:-place] for term in terms(earlier.text)}
    return not is_question(line.text) and len(set(terms(line.text)) - said) >= _NEWS_TERMS


_CURRENTLY = 0
"""Stands for the persona's present concerns among the ids of topics."""


def _use_topic(builder: StepBuilder, topic: int) -> None:
    used = builder.state.drafts.get("topics", ())
    builder.update_state(drafts={**builder.state.drafts, "topics": sorted({*used, topic})})


def _choose_topic(
    builder: StepBuilder,
    talk: ConversationView,
    records: list[Record],
    about: str,
    earlier: Sequence[str],
) -> Thought[Record | None]:
    """A record of kind "thought" to speak of, none twice in a conversation; None if there is none.

    A secret is told only by decision, and only when there is nothing else to tell: blurted out
    between two remarks, it is what readers like least."""
    me = builder.situation.persona.name
    used = builder.state.drafts.get("topics", ())
    thoughts = [
        record
        for record in records
        if record.id not in used
        and record.kind == "thought"
        and not _is_said(record.text, talk, earlier)
        and not _is_known_to_partner(record, talk, me)
        and not _HABIT.search(record.text)
        and not _INSIGHT.search(record.text)
    ][:_MAX_TOPIC_OPTIONS]
    secrets = own_secrets(builder, records)
    public = [record for record in thoughts if not secrets.concern(record.text)]
    offered = public or thoughts
    if not offered:
        return None
    options = [Option(str(record.id), record.text) for record in offered]
    answer = yield from choose_among(options, about=about, role="topic")
    chosen = offered[answer.index] if isinstance(answer, Choice) else offered[0]
    if secrets.concern(chosen.text) and not (
        secrets.reveal(_telling_sentence(chosen.text))
        and (yield from _confides(builder, talk, chosen))
    ):
        return None
    builder.mark_used([chosen])
    _use_topic(builder, chosen.id)
    builder.explain(f"Had in mind: {chosen.text}")
    return chosen


def _confides(builder: StepBuilder, talk: ConversationView, secret: Record) -> Thought[bool]:
    """Whether a secret is told to everybody in the conversation."""
    situation = builder.situation
    me = situation.persona.name
    for partner in (who for who in talk.members if who != me):
        cue = Cue(text=f"{me} and {partner}", at=situation.now, limit=12, touch=False)
        relation = yield from recall_records(cue)
        # "Bo is afraid to tell Ada about the letter": nobody has to guess.
        if any(is_secret(record.text) and partner in record.text for record in (secret, *relation)):
            builder.explain(f"Kept a secret from {partner}: {secret.text}")
            return False
        known = " ".join(
            excerpt(record.text, partner, MAX_MEMORY_CHARS)
            for record in relation
            if record.kind == "thought" and partner in record.text
        )
        options, about = confide_options(me, partner, known)
        seed = situation.seed.child("confide", partner).number
        answer = yield from choose_among(options, about=about, role="confide", seed=seed)
        if not isinstance(answer, Choice) or answer.probabilities[0] < TELL_PROBABILITY:
            builder.explain(f"Kept a secret from {partner}: {secret.text}")
            return False
    builder.explain("Trusted the other with a secret.")
    return True


def _is_known_to_partner(record: Record, talk: ConversationView, me: AgentId) -> bool:
    """Whether a record tells the listener about the listener, or what both do together: nobody
    says that."""
    partner = _addressee(talk, me)
    if not partner:
        return False
    about = record.text.startswith((partner, f"{short_name(partner)} "))
    said = _in_own_words(record.text, talk, me, "")
    return about or "with you" in said or re.match(r"You\b", said) is not None


def _is_said(text: str, talk: ConversationView, earlier: Sequence[str] = ()) -> bool:
    """Whether a line, of this conversation or an earlier one, has told most of a text."""
    words = set(terms(_telling_sentence(text)))
    if not words:
        return False
    lines = (*(line.text for line in talk.lines), *earlier)
    return any(len(words & set(terms(line))) >= _TOLD_SHARE * len(words) for line in lines)


def _in_own_words(text: str, talk: ConversationView, me: AgentId, last: str) -> str:
    """The telling sentence of a text in the first person; the listener is "you" if there is one."""
    partner = _addressee(talk, me)
    said = _telling_sentence(own_words(excerpt(text, last, MAX_MEMORY_CHARS), me, partner))
    return _without_frame(_without_list(said) if partner else said)


_LIST_WITH_YOU = re.compile(
    r"(?:[A-Z]\w+ [A-Z]\w+, )*(?:(?:[A-Z]\w+ [A-Z]\w+|you)(?:,| and) )*you"
    r"(?:(?:,| and|, and) [A-Z]\w+ [A-Z]\w+)*"
)


def _without_list(text: str) -> str:
    """ "I want to invite Cy Dunn, you and Bo Lind." is said to "you" as "I want to invite you."."""
    return _LIST_WITH_YOU.sub("you", text)


def _telling_sentence(text: str) -> str:
    """The first sentence of a text, but of "I have a secret. The oven is cracked." the second."""
    sentences = finished_sentences(text)
    telling = [sentence for sentence in sentences if not is_secret(sentence)]
    return (telling or sentences or [text])[0]


def _currently(builder: StepBuilder) -> str:
    """What is on the agent's mind, unless it is a secret."""
    currently = builder.state.currently or builder.situation.persona.currently
    return "" if is_secret(currently) else currently


def _greeting(builder: StepBuilder, talk: ConversationView) -> str:
    """A greeting by the time of day; empty for agents who do not speak English."""
    hour = builder.situation.now.hour
    time = "morning" if 4 <= hour < 12 else "afternoon" if 12 <= hour < 18 else "evening"
    return _called(builder, talk, f"Good {time}")


def farewell_text(builder: StepBuilder, talk: ConversationView) -> str:
    """A plain farewell; empty for agents who do not speak English."""
    return _called(builder, talk, "Goodbye")


def _called(builder: StepBuilder, talk: ConversationView, words: str) -> str:
    persona = builder.situation.persona
    if not is_english(persona.background + persona.currently, talk.members):
        return ""
    partner = _addressee(talk, persona.name)
    return f"{words}, {short_name(partner)}!" if partner else f"{words}!"


def _leave_intent(builder: StepBuilder) -> str:
    doing = builder.situation.seen.doing.strip(" .")
    busy = f" I have to go on {doing}." if re.match(r"[a-z]+ing\b", doing) else ""
    return f"Goodbye.{busy}" if busy else "Goodbye, I have to go now."


def _addressee(talk: ConversationView, me: AgentId) -> AgentId:
    """The one listener; empty in a group, where "you" would be ambiguous."""
    others = [who for who in talk.members if who != me]
    return others[0] if len(others) == 1 else ""
