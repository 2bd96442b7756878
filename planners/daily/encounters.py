"""Encounters with other agents: whether to talk, and what to say."""

from __future__ import annotations

from datetime import timedelta

from ...core import (
    NONE_OF_THESE,
    Action,
    AgentId,
    Choice,
    ConversationView,
    Cue,
    Generate,
    Option,
    Record,
    Thought,
    format_utterance,
)
from ..steps import (
    MAX_MEMORY_CHARS,
    StepBuilder,
    best_of,
    choose_among,
    pick_option,
    recall_records,
    remember_lines,
    render_prompt,
    transcript,
)
from ..text import clean_line, excerpt, repeats, to_first_person
from .daily_settings import DailySettings


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


def converse(builder: StepBuilder, settings: DailySettings) -> Thought[Action]:
    """The action in the present conversation: listen, wait, say a line, or leave."""
    situation = builder.situation
    talk = situation.seen.talk
    assert talk is not None, "only called in a conversation"
    me = situation.persona.name
    remember_lines(builder, talk)
    verbs = {affordance.verb for affordance in situation.can}
    if talk.floor != me or "say" not in verbs:
        return Action("listen" if "listen" in verbs else "wait")
    enough = len(talk.lines) >= settings.max_lines
    if not enough and talk.lines and len(talk.lines) >= settings.min_lines:
        enough = not (yield from _wants_to_continue(builder, talk))
    if enough:
        builder.explain("There was nothing more to say.")
        return Action("leave")
    text = yield from _next_line(builder, talk, settings.candidates)
    if not text:
        # No usable draft; who stays silent too long loses the floor.
        return Action("leave" if len(talk.lines) >= settings.min_lines else "wait")
    builder.add_record("utterance", format_utterance(me, other_names(talk, me), text))
    return Action("say", "", {"text": text})


def _wants_to_continue(builder: StepBuilder, talk: ConversationView) -> Thought[bool]:
    """Whether the conversation continues: its last line is not a farewell.

    The option is described only for farewells, since other lines have nothing in common: on 12
    of each SmolLM2 decides 84 % correctly, and 71 % with "they ask, answer or tell"."""
    leave = Option("take leave", "They say goodbye: thank you, see you later, have a nice day.")
    last = talk.lines[-1].text
    picked = yield from pick_option(builder, [NONE_OF_THESE, leave], about=last, role="go_on")
    return picked != leave.name


def _next_line(builder: StepBuilder, talk: ConversationView, candidates: int) -> Thought[str]:
    """The draft of a line that fits the topic best and repeats no earlier line.

    The topic is a chosen record, rewritten in the first person for the prompt."""
    situation = builder.situation
    me = situation.persona.name
    partner = other_names(talk, me)
    currently = builder.state.currently or situation.persona.currently
    last = talk.lines[-1].text if talk.lines else currently
    records = yield from recall_records(Cue(text=f"{partner}: {last}", at=situation.now, limit=20))
    # A record with an audience is used only if every other member belongs to it.
    others = set(talk.members) - {me}
    records = [
        record for record in records if not record.audience or others <= set(record.audience)
    ]
    topic = yield from _choose_topic(builder, talk, records, last)
    # In a larger group "you" would be ambiguous.
    addressee = partner if len(talk.members) == 2 else ""
    wish = to_first_person(
        excerpt(topic.text if topic else currently, last, MAX_MEMORY_CHARS), me, addressee
    )
    lines = [line.text for line in talk.lines]
    # What was said in other conversations may be repeated, but not word for word.
    own_lines = [
        record.text for record in records if record.kind == "utterance" and record.who == me
    ]
    return (
        yield from best_of(
            builder,
            _line_request(builder, talk, wish),
            candidates,
            seed=situation.seed.child("line"),
            clean=lambda raw: clean_line(raw, me, [who for who in talk.members if who != me]),
            about=wish,
            role="line",
            unlike=lambda text: repeats(text, lines) or repeats(text, own_lines, share=0.85),
        )
    )


def _choose_topic(
    builder: StepBuilder, talk: ConversationView, records: list[Record], last: str
) -> Thought[Record | None]:
    """A record of kind "thought" to speak of, none twice in a conversation; None if there is
    none."""
    used = set(builder.state.drafts.get("topics", ())) if talk.lines else set()
    thoughts = [record for record in records if record.id not in used and record.kind == "thought"]
    if not thoughts:
        return None
    options = [Option(str(record.id), record.text) for record in thoughts]
    answer = yield from choose_among(options, about=last, role="topic")
    chosen = thoughts[answer.index] if isinstance(answer, Choice) else thoughts[0]
    builder.mark_used([chosen])
    builder.update_state(drafts={**builder.state.drafts, "topics": sorted({*used, chosen.id})})
    builder.explain(f"Had in mind: {chosen.text}")
    return chosen


def _line_request(builder: StepBuilder, talk: ConversationView, wish: str) -> Generate:
    persona = builder.situation.persona
    return Generate(
        messages=render_prompt(
            "line" if talk.lines else "greeting",
            background=persona.background,
            traits=persona.traits,
            name=persona.name,
            first=persona.first_name,
            other=other_names(talk, persona.name),
            wish=wish,
            lines=transcript(talk.lines, talk.members)[-4:],
        ),
        max_tokens=40,
        temperature=0.7,
        top_p=0.9,
        stop=("\n",),
    )


def other_names(talk: ConversationView, me: AgentId) -> str:
    """The names of the other members of a conversation, joined with "and"."""
    return " and ".join(who for who in talk.members if who != me)
