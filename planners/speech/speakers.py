"""The speaker of a conversation in a world: what the system message of its lines says.

It depends on the persona, the place and what was recalled when the conversation began, so it is
the same for all lines of a conversation.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from ...core import (
    REDACTED_TEXT,
    Address,
    AgentId,
    ConversationView,
    Cue,
    Record,
    Thought,
    short_name,
)
from ..steps import MAX_LINE_CHARS, StepBuilder, recall_records
from ..text import excerpt, finished_sentences, is_english, own_words
from .confidences import SecretTerms, is_secret
from .speech_prompt import Speaker, SpokenLine

MAX_FACTS = 5
"""Sentences of the system message about the speaker, as many as most personas that the voice was
trained on have."""
MAX_KNOWN = 3
_INSIDE = re.compile(
    r"(?:room|kitchen|cafe|office|library|shop|house|bakehouse|workshop|loft|store|floor|corner|"
    r"shed|hall|garden|park|school|museum|gallery|study|bar|pub|square|orchard|forest|class)$"
)


def conversation_speaker(builder: StepBuilder, talk: ConversationView) -> Thought[Speaker]:
    """The speaker of the agent's lines in a conversation.

    What it knows of the other is recalled as of the beginning. Of records with an audience only
    those are used that all members may know, and no secret."""
    situation = builder.situation
    me = situation.persona.name
    others = [who for who in talk.members if who != me]
    start = talk.lines[0].at if talk.lines else situation.now
    cue = Cue(text=f"{me} and {join_names(others)}", at=start, limit=12, touch=False, before=start)
    records = yield from recall_records(cue)
    shared = [record for record in sharable(records, talk, me) if record.kind == "thought"]
    secrets = own_secrets(builder, records)
    known = [
        sentence
        for record in shared
        if not secrets.concern(record.text)
        for sentence in finished_sentences(own_words(record.text, me))
        if _names_only(sentence, others)
    ]
    persona = situation.persona
    texts = (persona.background, *persona.facts, *(record.text for record in shared))
    acquainted = any(who in text for text in texts for who in others)
    return Speaker(
        name=me,
        facts=_facts(builder),
        scene=scene_text(me, situation.seen.place, situation.seen.doing),
        partner=join_names(others),
        known=(
            *((f"I know {join_names(others)} well.",) if acquainted else ()),
            *tuple(dict.fromkeys(known))[:MAX_KNOWN],
        ),
    )


def own_secrets(builder: StepBuilder, records: Iterable[Record] = ()) -> SecretTerms:
    """The words of the agent's secrets: those of its persona, its state and recalled records."""
    persona = builder.situation.persona
    currently = builder.state.currently or persona.currently
    texts = (*persona.facts, currently, *(record.text for record in records))
    return SecretTerms(texts, persona.background)


def _names_only(sentence: str, others: Sequence[AgentId]) -> bool:
    """Whether a sentence names one of ``others`` and nobody else by a full name."""
    named = set(re.findall(r"\b[A-ZÀ-Þ]\w+ [A-ZÀ-Þ]\w+\b", sentence)) - set(others)
    return not named and any(short_name(who) in sentence for who in others)


def sharable(records: list[Record], talk: ConversationView, me: AgentId) -> list[Record]:
    """The records that every other member of a conversation may know."""
    others = set(talk.members) - {me}
    return [record for record in records if not record.audience or others <= set(record.audience)]


def spoken_lines(talk: ConversationView, me: AgentId) -> list[SpokenLine]:
    """The lines of a conversation for its prompt, without redacted ones; each with a name where
    more than two take part."""
    shorts = [short_name(who) for who in talk.members]
    group = len(talk.members) > 2

    def shown(who: AgentId) -> str:
        if not group:
            return ""
        return who if shorts.count(short_name(who)) > 1 else short_name(who)

    return [
        SpokenLine(excerpt(line.text, "", MAX_LINE_CHARS), line.who == me, shown(line.who))
        for line in talk.lines
        if line.text != REDACTED_TEXT
    ]


def scene_text(me: AgentId, place: Address, doing: str) -> str:
    """Where an agent is and what it does, in the first person.

    >>> scene_text("Bo Li", "town:bakery:cafe:counter", "serving breakfast in the cafe")
    'I am in the cafe, serving breakfast.'
    """
    parts = place.split(":")
    spot = parts[2] if len(parts) > 2 else parts[-1]
    where = ""
    if spot:
        common = spot[:1].islower() and not spot.startswith(("the ", "behind "))
        where = f"{'in' if _INSIDE.search(spot) else 'at'} {'the ' if common else ''}{spot}"
    activity = doing.strip(" .")
    if spot:
        activity = re.sub(rf"\s+(?:in|at|on) (?:the )?{re.escape(spot)}$", "", activity)
    if not is_english(activity, (me,)) or not re.match(r"[a-z]+ing\b", activity):
        activity = ""
    if not where and not activity:
        return ""
    return own_words(f"{me} is {', '.join(filter(None, (where, activity)))}.", me)


def _facts(builder: StepBuilder) -> tuple[str, ...]:
    """Sentences of the persona in the first person: who it is, and what it has on its mind unless
    that is a secret."""
    persona = builder.situation.persona
    currently = builder.state.currently or persona.currently
    told = "" if is_secret(currently) else currently
    facts = [
        *finished_sentences(own_words(persona.background, persona.name)),
        *finished_sentences(own_words(told, persona.name)),
    ]
    # "I am Bo Lind" stands before the facts.
    named = f"I am {persona.name}."
    return tuple(dict.fromkeys(fact for fact in facts if fact != named))[:MAX_FACTS]


def join_names(names: list[AgentId]) -> str:
    """Names in words: "Ada Ek and Cy Dunn"."""
    return " and ".join(names)
