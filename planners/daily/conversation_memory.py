"""What an agent keeps of a conversation: its lines, a memo, and a note for its plan."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

from ...core import (
    REDACTED_TEXT,
    ConversationView,
    Generate,
    Option,
    Thought,
    count_words,
    together,
)
from ..steps import StepBuilder, best_of, pick_option, remember_lines, transcript
from .daily_settings import DailySettings
from .day_plan import clean_activity, current_block, revise_schedule
from .encounters import other_names


def remember_conversation(
    builder: StepBuilder, talk: ConversationView, settings: DailySettings
) -> Thought[None]:
    """After a conversation: record its lines, a memo and a note for the plan, change the plan
    if the note fits better, and start the cool-down with each partner."""
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
    others_text = " ".join(line.text for line in talk.lines if line.who != me)
    last_text = " ".join(line.text for line in talk.lines[-4:])
    memo, doing = yield from together(
        _summarize(builder, talk, "memo", about=others_text or last_text, clean=_clean_summary),
        _summarize(
            builder, talk, "plan_note", about=last_text, clean=lambda raw: clean_activity(raw, name)
        ),
    )
    if memo:
        builder.add_record("thought", f"{name} learned that {memo}.")
    if not doing:
        return
    builder.add_record(
        "plan", f"After talking with {' and '.join(others)}, {name} thinks of {doing}."
    )
    block = current_block(builder)
    picked = yield from pick_option(
        builder,
        [Option("keep", block.doing if block else "going on as before"), Option("change", doing)],
        about=last_text,
        role="revise",
    )
    if picked == "change":
        revise_schedule(builder, doing, 30)


def _summarize(
    builder: StepBuilder,
    talk: ConversationView,
    name: str,
    *,
    about: str,
    clean: Callable[[str], str],
) -> Thought[str]:
    """Complete the prompt ``name`` about a conversation; the better of two drafts."""
    situation = builder.situation
    me = situation.persona.name
    ask = Generate(
        messages=builder.prompt(
            name, other=other_names(talk, me), lines=transcript(talk.lines, talk.members)
        ),
        max_tokens=32,
        temperature=0.5,
        stop=("\n", ". "),
        role="reflect",
    )
    seed = situation.seed.child(name)
    return (yield from best_of(builder, ask, 2, seed=seed, clean=clean, about=about, role=name))


def _clean_summary(raw: str) -> str:
    summary = raw.strip(" \"'.:。।॥۔։።：")
    return summary if count_words(summary) >= 3 else ""
