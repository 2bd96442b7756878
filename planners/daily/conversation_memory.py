"""What an agent keeps of a conversation: its lines, a memo, and a note for its plan.

A memo says in the third person what the others told. The speaking voice writes drafts of it,
since it is trained on that task; each sentence is checked against the lines. Beside what several
drafts agree on, the most telling lines themselves are rewritten in the third person. A note for
the plan is what was promised or agreed; without a promise there is none.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from ...core import (
    REDACTED_TEXT,
    AgentId,
    Completion,
    ConversationView,
    Generate,
    Option,
    Thought,
    all_of,
    generate,
    together,
)
from ...core.text import sentences
from ..arguments import time_expressions_in
from ..speech import Speaker, SpokenLine, learned_messages, speaking_voice
from ..steps import (
    MAX_LINE_CHARS,
    StepBuilder,
    best_of,
    pick_option,
    remember_lines,
    transcript,
)
from ..text import (
    Evidence,
    SourceLine,
    content_terms,
    excerpt,
    finished_sentences,
    is_english,
    repeats,
    to_first_person,
)
from .agreements import agreements
from .daily_settings import DailySettings
from .day_plan import clean_activity, current_block, revise_schedule
from .encounters import other_names
from .fact_sentences import told_facts

MAX_MEMOS = 2  # of one conversation
MAX_MEMO_TOKENS = 60
NOTHING_LEARNED = "learned nothing"
_INITIAL_ARTICLE = re.compile(r"^(?:The|An?|Some|Every|All|There|It|My|Their)\b")
NO_AGREEMENT = Option("nothing", "They only talked; nothing was promised and nothing agreed.")


def remember_conversation(
    builder: StepBuilder, talk: ConversationView, settings: DailySettings
) -> Thought[None]:
    """After a conversation: record its lines, memos and a note for the plan, change the plan if
    the note fits better, and start the cool-down with each partner."""
    situation = builder.situation
    me, name = situation.persona.name, situation.persona.first_name
    remember_lines(builder, talk)
    until = situation.now + timedelta(minutes=settings.cooldown_minutes)
    others = [who for who in talk.members if who != me]
    # In the next conversation every topic may be used again.
    drafts = {key: value for key, value in builder.state.drafts.items() if key != "topics"}
    cooldowns = {**builder.state.cooldowns, **dict.fromkeys(others, until)}
    builder.update_state(cooldowns=cooldowns, drafts=drafts, doing=None)
    talk = replace(talk, lines=tuple(line for line in talk.lines if line.text != REDACTED_TEXT))
    if not talk.lines:
        return
    learned, activity = yield from together(
        learn_from_talk(builder, talk, settings.candidates), plan_from_talk(builder, talk)
    )
    for fact in learned:
        sentence = _INITIAL_ARTICLE.sub(lambda match: match[0].lower(), fact)
        builder.add_record("thought", f"{name} learned that {sentence}")
    if activity:
        yield from _note_plan(builder, talk, activity)


def learn_from_talk(builder: StepBuilder, talk: ConversationView, count: int) -> Thought[list[str]]:
    """What the others told in a conversation, at most ``MAX_MEMOS`` sentences in the third person;
    ``count`` drafts are written."""
    situation = builder.situation
    me = situation.persona.name
    if all(line.who == me for line in talk.lines):
        return []
    ask = Generate(
        messages=learned_messages(_speaker(builder, talk), spoken_lines(talk, me)),
        max_tokens=MAX_MEMO_TOKENS,
        temperature=0.6,
        top_p=0.9,
        repetition_penalty=1.0,  # a memo repeats the words of the lines
        stop=("\n",),
        role="reflect",
        voice=speaking_voice(situation.persona),
    )
    seed = situation.seed.child("memo")
    answers = yield from all_of(
        [generate(replace(ask, seed=seed.child(number).number)) for number in range(count)]
    )
    drafts = [answer.text for answer in answers if isinstance(answer, Completion)]
    evidence = talk_evidence(talk, me)
    votes, refused = supported_sentences(drafts, evidence)
    if refused:
        counts = ", ".join(f"{reason} {number}" for reason, number in sorted(refused.items()))
        builder.explain(f"(of the memo's drafts, sentences were refused: {counts})")
    theirs = [line for line in source_lines(talk) if line.speaker != me]
    ranked = [
        *(text for text, number in votes.most_common() if number > 1),
        *told_facts(theirs, evidence, talk.members),
        *(text for text, number in votes.most_common() if number == 1),
    ]
    return distinct_facts(ranked, talk.members)[:MAX_MEMOS]


def supported_sentences(
    drafts: Iterable[str], evidence: Evidence
) -> tuple[Counter[str], Counter[str]]:
    """The sentences of memo drafts that the evidence supports, with the number of drafts that
    have them, and how many sentences were refused for each reason."""
    votes: Counter[str] = Counter()
    refused: Counter[str] = Counter()
    for draft in drafts:
        for sentence in dict.fromkeys(finished_sentences(draft)):
            if NOTHING_LEARNED in sentence:
                continue
            if reason := evidence.refusal(sentence):
                refused[reason] += 1
            else:
                same = next((text for text in votes if repeats(sentence, [text], 0.8)), sentence)
                votes[same] += 1
    return votes, refused


def distinct_facts(sentences: Iterable[str], names: Sequence[str]) -> list[str]:
    """The sentences without those that share most of their content words, ``names`` aside, with
    an earlier one."""
    kept: dict[str, frozenset[str]] = {}
    ignored = content_terms(" ".join(names))
    for sentence in sentences:
        terms = content_terms(sentence) - ignored
        if not any(2 * len(terms & one) > 0.5 * len((*terms, *one)) for one in kept.values()):
            kept[sentence] = terms
    return list(kept)


def talk_evidence(talk: ConversationView, me: AgentId) -> Evidence:
    """The lines of a conversation as evidence of what ``me`` can have learned in it."""
    return Evidence(source_lines(talk), talk.members, reader=me)


def source_lines(talk: ConversationView) -> list[SourceLine]:
    """The lines of a conversation with their speakers and listeners."""
    return [
        SourceLine(
            excerpt(line.text, "", MAX_LINE_CHARS),
            line.who,
            " and ".join(who for who in talk.members if who != line.who),
        )
        for line in talk.lines
    ]


def plan_from_talk(builder: StepBuilder, talk: ConversationView) -> Thought[str]:
    """What the agent has promised or agreed to do, as an activity; empty if nothing was agreed.

    Chosen by likelihood among the promises in the lines and ``NO_AGREEMENT``. Where the lines are
    not English, promises are not read; then the model writes the note."""
    me = builder.situation.persona.name
    others = [who for who in talk.members if who != me]
    if not is_english(" ".join(line.text for line in talk.lines), talk.members):
        return (yield from _written_note(builder, talk))
    found = agreements(talk.lines, me, others)
    if not found:
        return ""
    basis = " ".join(dict.fromkeys(agreement.basis for agreement in found))
    options = [Option(agreement.activity) for agreement in found] + [NO_AGREEMENT]
    picked = yield from pick_option(builder, options, about=basis, role="plan_note")
    return "" if picked == NO_AGREEMENT.name else picked


def _written_note(builder: StepBuilder, talk: ConversationView) -> Thought[str]:
    """The better of two notes that the model writes, or nothing if the talk fits neither."""
    persona = builder.situation.persona
    last = " ".join(line.text for line in talk.lines[-4:])
    ask = Generate(
        messages=builder.prompt(
            "plan_note",
            other=other_names(talk, persona.name),
            lines=transcript(talk.lines, talk.members),
        ),
        max_tokens=32,
        temperature=0.5,
        stop=("\n", ". "),
        role="reflect",
    )
    evidence = talk_evidence(talk, "")
    return (
        yield from best_of(
            builder,
            ask,
            2,
            seed=builder.situation.seed.child("plan_note"),
            clean=lambda raw: clean_activity(raw, persona.first_name),
            about=last,
            role="plan_note",
            unlike=lambda text: bool(evidence.refusal(f"{persona.first_name} {text}")),
            strays=(NO_AGREEMENT.description,),
        )
    )


def _note_plan(builder: StepBuilder, talk: ConversationView, activity: str) -> Thought[None]:
    """Record a note for the plan. What has a time later today is put there; what has none may
    replace what the agent is doing, by likelihood."""
    situation = builder.situation
    name = situation.persona.first_name
    others = [who for who in talk.members if who != situation.persona.name]
    builder.add_record(
        "plan", f"After talking with {' and '.join(others)}, {name} thinks of {activity}."
    )
    wanted = content_terms(activity)
    if any(wanted <= content_terms(entry.doing) for entry in builder.state.schedule):
        return  # planned already
    today, start = agreed_time(activity, situation.now)
    if not today:
        return
    if start is not None:
        revise_schedule(builder, activity, 30, start=start)
        return
    block = current_block(builder)
    picked = yield from pick_option(
        builder,
        [
            Option("keep", block.doing if block else "going on as before"),
            Option("change", activity),
        ],
        about=" ".join(line.text for line in talk.lines[-4:]),
        role="revise",
    )
    if picked == "change":
        revise_schedule(builder, activity, 30)


_ANOTHER_DAY = re.compile(
    r"\b(?:tomorrow|next|weekend|week|month|year|tonight|later|soon|this (?:evening|afternoon)|"
    r"after (?:work|lunch|dinner|supper))\b",
    re.IGNORECASE,
)


def agreed_time(activity: str, now: datetime) -> tuple[bool, datetime | None]:
    """Whether an activity is for now or for a time of this day, and that time, if it names one.

    >>> now = datetime(2026, 5, 2, 9)
    >>> agreed_time("meeting Ada at 7pm", now), agreed_time("bringing bread tomorrow", now)
    ((True, datetime.datetime(2026, 5, 2, 19, 0)), (False, None))
    """
    found = time_expressions_in(activity, now)
    days = [one.value for one in found if one.format == "date"]
    if any(day != now.date().isoformat() for day in days):
        return False, None
    clocks = [one.value for one in found if one.format == "time"]
    if not clocks:
        return not _ANOTHER_DAY.search(activity), None
    start = datetime.combine(now.date(), datetime.strptime(clocks[0], "%H:%M:%S").time())
    if start <= now and start.hour < 12 and not re.search(r"\d ?[ap]m\b", activity):
        start += timedelta(hours=12)  # "at 7", said at nine in the morning
    return start > now, start if start > now else None


def spoken_lines(talk: ConversationView, me: AgentId) -> list[SpokenLine]:
    """The lines of a conversation as turns of a prompt of speech."""
    several = len(talk.members) > 2
    return [
        SpokenLine(
            excerpt(line.text, "", MAX_LINE_CHARS),
            line.who == me,
            line.who if several and line.who != me else "",
        )
        for line in talk.lines
    ]


def _speaker(builder: StepBuilder, talk: ConversationView) -> Speaker:
    persona = builder.situation.persona
    background = to_first_person(persona.background, persona.name)
    return Speaker(
        name=persona.name,
        facts=tuple(sentences(background)),
        partner=other_names(talk, persona.name),
    )
