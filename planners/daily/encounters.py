"""Encounters with other agents: whether to talk, and what to say."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from ...core import (
    Action,
    AgentId,
    ConversationView,
    Cue,
    Generate,
    Option,
    Situation,
    Thought,
    format_utterance,
    short_name,
)
from ..speech import (
    DraftContext,
    DraftedLine,
    conversation_speaker,
    draft_line,
    is_farewell,
    is_question,
    join_names,
    speaking_voice,
    speech_messages,
    spoken_lines,
    told_share,
)
from ..steps import (
    MAX_MEMORY_CHARS,
    StepBuilder,
    pick_option,
    recall_records,
    remember_lines,
)
from ..text import clean_line, excerpt, finished_sentences, is_english
from .daily_settings import DailySettings
from .line_plan import LinePlan, farewell_text, plan_line

_GREETING = re.compile(
    r"(?:hi|hello|hey|good (?P<time>morning|afternoon|evening))\b", re.IGNORECASE
)
_BY_THE_WAY = re.compile(
    r"\b(?:thanks?|see you|hope you|have to go|(?:good|nice|lovely|great) (?:to|talking|seeing))\b",
    re.IGNORECASE,
)
_GREETING_HOURS = {
    "morning": range(4, 13),
    "afternoon": range(11, 19),
    "evening": [*range(16, 24), *range(4)],
}


def choose_partner(builder: StepBuilder) -> Thought[AgentId]:
    """The agent to begin a conversation with, or an empty string.

    Considered is the first agent newly noticed with whom the world affords a conversation and
    whose cool-down is over, as in the published code; whether to talk is then chosen by
    likelihood."""
    situation = builder.situation
    free = {affordance.target for affordance in situation.can if affordance.verb == "talk"}
    noticed = [event.subject for event in situation.fresh if event.kind == "doing"]
    partner = next(
        (
            who
            for who in noticed
            if who in free and builder.state.cooldowns.get(who, situation.now) <= situation.now
        ),
        "",
    )
    if not partner:
        return ""
    about = f"{situation.persona.name} and {partner}"
    records = yield from recall_records(Cue(text=about, at=situation.now, limit=5))
    me, doing = situation.persona.first_name, builder.state.doing
    own_activity = doing.doing if doing else "nothing in particular"
    their_activity = next(
        (person.doing for person in situation.seen.people if person.who == partner), "there"
    )
    known = " ".join(excerpt(record.text, about, MAX_MEMORY_CHARS) for record in records[:3])
    options, question = talk_options(me, own_activity, partner, their_activity, known)
    picked = yield from pick_option(builder, options, about=question, role="react")
    if picked != "talk":
        cooldowns = {**builder.state.cooldowns, partner: situation.now + timedelta(minutes=10)}
        builder.update_state(cooldowns=cooldowns)
        builder.explain(f"Saw {partner} and went on.")
        return ""
    builder.mark_used(records)
    builder.explain(f"Saw {partner} and wanted to talk.")
    return partner


def talk_options(
    me: str, own_activity: str, partner: str, their_activity: str, known: str
) -> tuple[tuple[Option, Option], str]:
    """The options "talk" and "continue", and the text that the choice is about.

    Both options give reasons and have the same length. On 20 encounters with and 20 without a
    reason to talk SmolLM2 decides 80 % correctly (AUROC 0.90); with the shorter option "does not
    care to talk and goes on alone" it chose to talk every time."""
    talk = Option(
        "talk",
        f"{me} would like to talk with {partner}: a friend, or somebody to tell something or to "
        "ask something.",
    )
    go_on = Option(
        "continue",
        f"{me} would not talk with {partner} now: a stranger, somebody disliked, or one of them "
        "is busy or asleep.",
    )
    return (
        talk,
        go_on,
    ), f"{me} is {own_activity} and sees {partner}, who is {their_activity}. {known}"


def converse(builder: StepBuilder, settings: DailySettings, about: str = "") -> Thought[Action]:
    """The action in the present conversation: listen, wait, say a line, or leave. ``about`` is what
    the first line is about, if anything is given."""
    situation = builder.situation
    talk = situation.seen.talk
    assert talk is not None, "only called in a conversation"
    me = situation.persona.name
    remember_lines(builder, talk)
    verbs = {affordance.verb for affordance in situation.can}
    if talk.floor != me or "say" not in verbs:
        return Action("listen" if "listen" in verbs else "wait")
    if len(talk.lines) >= settings.max_lines or _has_taken_leave(talk, me):
        builder.explain("There was nothing more to say.")
        return Action("leave")
    if len(talk.lines) < 2 and "topics" in builder.state.drafts:
        # In a new conversation every topic may be used again.
        drafts = {key: value for key, value in builder.state.drafts.items() if key != "topics"}
        builder.update_state(drafts=drafts)
    earlier = yield from _earlier_lines(builder, talk)
    plan = yield from plan_line(
        builder,
        talk,
        earlier,
        min_lines=settings.min_lines,
        max_lines=settings.max_lines,
        subject=about,
    )
    line = yield from _next_line(builder, talk, plan, earlier, settings)
    builder.explain(f"({line.summary})")
    text = line.text
    if not text and (plan.farewell or len(talk.lines) >= settings.min_lines):
        # No draft was fit: a farewell is better than a bad line.
        text = farewell_text(builder, talk)
        if not text:
            return Action("leave")
    if not text:
        return Action("wait")  # Who stays silent too long loses the floor.
    builder.add_record("utterance", format_utterance(me, other_names(talk, me), text))
    return Action("say", "", {"text": text})


def _has_taken_leave(talk: ConversationView, me: AgentId) -> bool:
    """Whether the agent has said goodbye in this conversation: it does so once."""
    return any(line.who == me and is_farewell(line.text) for line in talk.lines)


def _next_line(
    builder: StepBuilder,
    talk: ConversationView,
    plan: LinePlan,
    earlier: Sequence[str],
    settings: DailySettings,
) -> Thought[DraftedLine]:
    """The next line: drafts of one prompt, of which rules refuse some and the critic picks one."""
    situation = builder.situation
    persona, me = situation.persona, situation.persona.name
    others = [who for who in talk.members if who != me]
    speaker = yield from conversation_speaker(builder, talk)
    ask = Generate(
        messages=speech_messages(
            speaker, spoken_lines(talk, me), memories=plan.memories, intent=plan.intent
        ),
        max_tokens=40,
        temperature=0.7,
        top_p=0.9,
        # A trained voice repeats nothing needlessly, and must be able to say what it is given.
        repetition_penalty=1.0,
        stop=("\n",),
        voice=speaking_voice(persona),
    )
    context = DraftContext.of_prompt(
        ask.messages,
        me=me,
        others=others,
        earlier_lines=earlier,
        known=(persona.background, persona.traits),
        acquainted=bool(speaker.known),
    )
    # Who lives here has seen the places that it knows.
    places = {address.split(":")[1] for address in persona.knows if ":" in address}
    seen = tuple(f"I know the {place}." for place in sorted(places))
    context = replace(context, facts=(*context.facts, *seen))
    return (
        yield from draft_line(
            ask,
            context,
            count=settings.drafts,
            seed=situation.seed.child("line"),
            about=plan.about,
            clean=lambda raw: _with_first_name(clean_line(raw, me, others), me, others),
            openings=plan.openings,
            given=plan.given,
            tells=plan.tells,
            refuses=lambda text: _untimely(text, situation, plan, settings.min_lines),
        )
    )


def _untimely(text: str, situation: Situation, plan: LinePlan, min_lines: int) -> str:
    """The rule that refuses a farewell too early, a line without one where one takes leave, or a
    greeting at the wrong time of day or in the middle of the conversation."""
    talk = situation.seen.talk
    assert talk is not None, "only called in a conversation"
    if not is_english(text, talk.members):
        return ""
    if greeted := _GREETING.match(text):
        hours = _GREETING_HOURS.get((greeted["time"] or "").lower(), range(24))
        if situation.now.hour not in hours or len(talk.lines) >= len(talk.members):
            return "untimely_greeting"
    if plan.farewell:
        parts = finished_sentences(text) or [text]
        return "" if is_farewell(text) and all(map(_takes_leave, parts)) else "no_farewell"
    told = plan.given[0] if plan.intent and plan.given else plan.intent
    if told and text != told and text.startswith(told):
        added = text[len(told) :]
        # A told fact may be followed by a question or by more of it, not by something else.
        if not is_question(text) and not told_share(added, plan.intent):
            return "adrift"
    return "early_farewell" if is_farewell(text) and len(talk.lines) < min_lines else ""


def _with_first_name(text: str, me: AgentId, others: Sequence[AgentId]) -> str:
    """A line in which the one listener is addressed by the first name, unless the speaker has the
    same."""
    if len(others) != 1 or short_name(others[0]) == short_name(me):
        return text
    return text.replace(others[0], short_name(others[0]))


def _takes_leave(sentence: str) -> bool:
    """Whether a sentence belongs to a farewell."""
    return is_farewell(sentence) or _BY_THE_WAY.search(sentence) is not None


def _earlier_lines(builder: StepBuilder, talk: ConversationView) -> Thought[list[str]]:
    """What the agent has said in other conversations, so far as it recalls it: it may be said
    again, but not word for word."""
    situation = builder.situation
    me = situation.persona.name
    cue = Cue(
        text=f"{me} said to {other_names(talk, me)}",
        at=situation.now,
        limit=20,
        kinds=("utterance",),
        touch=False,
    )
    records = yield from recall_records(cue)
    spoken = {line.text for line in talk.lines}
    quoted = [
        record.text.partition(': "')[2].removesuffix('"') for record in records if record.who == me
    ]
    return [text for text in quoted if text and text not in spoken]


def other_names(talk: ConversationView, me: AgentId) -> str:
    """The other members of a conversation in words."""
    return join_names([who for who in talk.members if who != me])
