"""Meeting people: whether to talk, what to say, and what stays of it."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING

from ..core import (
    Action,
    AgentId,
    Choice,
    Choose,
    Completion,
    Cue,
    Generate,
    Line,
    Option,
    Recall,
    Recalled,
    Record,
    Talk,
    Thought,
    choose,
    generate,
    recall,
    together,
)
from .best import best_of
from .days import revise
from .draft import Draft, identity
from .places import pick
from .prompts import prompt

if TYPE_CHECKING:
    from .daily import Daily


def meet(draft: Draft) -> Thought[AgentId]:
    """Whether to talk to somebody freshly noticed; their name, or an empty string.

    Only with somebody awake whom the world lets one talk to, not talked to lately, as in
    the published code; then chosen by likelihood between going on and talking."""
    situation = draft.situation
    free = {can.target for can in situation.can if can.verb == "talk"}
    noticed = [event.subject for event in situation.fresh if event.kind == "doing"]
    partner = next(
        (
            who
            for who in noticed
            if who in free and draft.state.cooldowns.get(who, situation.now) <= situation.now
        ),
        "",
    )
    if not partner:
        return ""
    records = yield from _about(draft, f"{situation.persona.name} and {partner}", 5)
    me, doing = situation.persona.first_name, draft.state.doing
    busy = doing.doing if doing else "nothing in particular"
    they = next((one.doing for one in situation.seen.people if one.who == partner), "there")
    known = " ".join(record.text for record in records[:3])
    picked = yield from pick(
        draft,
        [
            Option(
                "talk",
                f"{me} wants to talk with {partner}, who is a friend or somebody "
                f"that {me} has something to tell or to ask.",
            ),
            Option("continue", f"{me} does not care to talk and goes on {busy} alone."),
        ],
        about=f"{me} sees {partner}, who is {they}. {known}",
        role="react",
    )
    if picked != "talk":
        wait = {**draft.state.cooldowns, partner: situation.now + timedelta(minutes=10)}
        draft.change(cooldowns=wait)
        draft.because(f"Saw {partner} and went on.")
        return ""
    draft.use(records)
    draft.because(f"Saw {partner} and wanted to talk.")
    return partner


def converse(draft: Draft, settings: Daily) -> Thought[Action]:
    """Take part in the conversation one is in: listen, say a line, or take leave."""
    situation = draft.situation
    talk = situation.seen.talk
    assert talk is not None, "only called in a conversation"
    me = situation.persona.name
    hear(draft, talk)
    verbs = {can.verb for can in situation.can}
    if talk.floor != me or "say" not in verbs:
        return Action("listen" if "listen" in verbs else "wait")
    if talk.lines and len(talk.lines) >= settings.min_lines:
        on = yield from _go_on(draft, talk)
        if not on or len(talk.lines) >= settings.max_lines:
            draft.because("There was nothing more to say.")
            return Action("leave")
    text = yield from _line(draft, talk, settings.candidates)
    if not text:
        return Action("leave" if talk.lines else "wait")
    draft.note("utterance", f'{me} said to {_others(talk, me)}: "{text}"')
    return Action("say", "", {"text": text})


def hear(draft: Draft, talk: Talk) -> None:
    """Remember the lines of others said since one last listened."""
    me = draft.situation.persona.name
    seen = draft.state.talk_seen
    for line in talk.lines[seen:]:
        if line.who != me:
            draft.note("utterance", f'{line.who} said to {me}: "{line.text}"', who=line.who)
    draft.change(talk_seen=0 if talk.ended else len(talk.lines))


def remember_talk(draft: Draft, talk: Talk, settings: Daily) -> Thought[None]:
    """After a talk: one memo, one note for the plan, and the plan changed where it bears
    on it. Two people who talked leave each other alone for a while."""
    situation = draft.situation
    me = situation.persona.name
    hear(draft, talk)
    until = situation.now + timedelta(minutes=settings.cooldown_minutes)
    others = [who for who in talk.members if who != me] or [
        line.who for line in talk.lines if line.who != me
    ]
    draft.change(cooldowns={**draft.state.cooldowns, **dict.fromkeys(others, until)}, doing=None)
    if not talk.lines:
        return
    lines = _transcript(talk)
    memo, plan = yield from together(
        _note(draft, "memo", lines, others), _note(draft, "plan_note", lines, others)
    )
    if memo:
        draft.note("thought", memo)
    if not plan:
        return
    draft.note("plan", plan)
    picked = yield from pick(
        draft,
        [
            Option("keep", f"{me} keeps to the plan of the day and goes on as before."),
            Option("change", f"{me} does something new now, because of what was said: {plan}"),
        ],
        about=" ".join(line.text for line in talk.lines[-4:]),
        role="revise",
    )
    if picked == "change":
        revise(draft, _as_doing(plan, situation.persona.first_name), 30)


def _note(draft: Draft, name: str, lines: list[str], others: list[AgentId]) -> Thought[str]:
    situation = draft.situation
    me = situation.persona.first_name
    answer = yield from generate(
        Generate(
            messages=prompt(
                name,
                identity=identity(situation),
                name=me,
                other=" and ".join(others),
                lines=lines,
            ),
            max_tokens=40,
            temperature=0.5,
            seed=situation.seed.child(name).number,
            stop=("\n", ". "),
            role="reflect",
        )
    )
    if not isinstance(answer, Completion) or not answer.text.strip():
        return ""
    words = answer.text.strip().rstrip(".")
    return f"{words}." if words.startswith(me) else f"{me} {_opening(name)} {words}."


def _opening(name: str) -> str:
    return {"memo": "learned that", "plan_note": "wants to"}[name]


def _as_doing(plan: str, name: str) -> str:
    return re.sub(rf"^{re.escape(name)} (?:wants to )?", "", plan).rstrip(".")[:80]


def _about(draft: Draft, text: str, limit: int) -> Thought[list[Record]]:
    answer = yield from recall(Recall(cue=Cue(text=text, at=draft.situation.now, limit=limit)))
    return [hit.record for hit in answer.hits] if isinstance(answer, Recalled) else []


def _go_on(draft: Draft, talk: Talk) -> Thought[bool]:
    """Whether the talk goes on, by what the last line sounds like."""
    picked = yield from pick(
        draft,
        [
            Option("go on", "They ask something, answer, or tell each other some news."),
            Option("take leave", "They say goodbye: thank you, see you later, have a nice day."),
        ],
        about=talk.lines[-1].text,
        role="go_on",
    )
    return picked == "go on"


def _line(draft: Draft, talk: Talk, candidates: int) -> Thought[str]:
    """The best of several drafts of a line: not said before, and nearest to the topic."""
    situation = draft.situation
    me = situation.persona.name
    partner = _others(talk, me)
    last = talk.lines[-1].text if talk.lines else f"{me} meets {partner}"
    records = yield from _about(draft, f"{partner}: {last}", 12)
    topic = yield from _topic(draft, talk, records, last)
    told = [line.text for line in talk.lines]
    return (
        yield from best_of(
            draft,
            _line_ask(draft, talk, records, topic),
            candidates,
            seed=situation.seed.child("line"),
            clean=lambda raw: clean_line(raw, me),
            about=topic.text if topic else last,
            role="line",
            unlike=lambda text: repeats(text, told),
        )
    )


def _topic(draft: Draft, talk: Talk, records: list[Record], last: str) -> Thought[Record | None]:
    """What to speak of: a memory chosen among those recalled, no topic twice in a talk."""
    used = set(draft.state.drafts.get("topics", ())) if talk.lines else set()
    own = [
        record
        for record in records
        if record.id not in used and record.kind in ("thought", "plan", "observation")
    ]
    if not own:
        return None
    answer = yield from choose(
        Choose(
            messages=(),
            options=tuple(Option(str(record.id), record.text) for record in own),
            about=last,
            role="topic",
        )
    )
    chosen = own[answer.index] if isinstance(answer, Choice) else own[0]
    draft.use([chosen])
    draft.change(drafts={**draft.state.drafts, "topics": sorted({*used, chosen.id})})
    draft.because(f"Had in mind: {chosen.text}")
    return chosen


def _line_ask(draft: Draft, talk: Talk, records: list[Record], topic: Record | None) -> Generate:
    situation = draft.situation
    me = situation.persona.name
    known = [record for record in records if record.kind != "utterance"][:4]
    return Generate(
        messages=prompt(
            "line" if talk.lines else "greeting",
            identity=identity(situation),
            name=me,
            first=situation.persona.first_name,
            other=_others(talk, me),
            time=f"{situation.now:%H:%M}",
            doing=situation.seen.doing or "here",
            memories=[f"- {record.text}" for record in known],
            topic=topic.text if topic else situation.persona.currently,
            lines=_transcript(talk)[-6:],
        ),
        max_tokens=48,
        temperature=0.8,
        top_p=0.92,
        stop=("\n",),
    )


def clean_line(text: str, me: str) -> str:
    """A generated line as speech: no name in front, no quotation marks, at most two
    sentences, and no unfinished last one where a whole one stands before it.

    >>> clean_line('Bo: "Good morning! How are you? I was', "Bo Li")
    'Good morning! How are you?'
    """
    words = text.strip().split("\n")[0].strip()
    words = re.sub(rf"^(?:{re.escape(me)}|{re.escape(me.split()[0])})\s*:\s*", "", words)
    words = words.strip(' "“”*')
    sentences = re.findall(r".+?[.!?…](?=\s|$)", words)
    whole = " ".join(sentence.strip() for sentence in sentences[:2]) or words
    return whole.strip(' "“”*') if len(re.findall(r"\w+", whole)) >= 2 else ""


def repeats(text: str, told: list[str], share: float = 0.7) -> bool:
    """Whether a line says again what was said: most of its words stand in an earlier one.

    >>> repeats("See you at the cafe!", ["see you at the cafe"]), repeats("Hello.", ["Bread?"])
    (True, False)
    """
    words = set(re.findall(r"\w+", text.lower()))
    for line in told:
        other = set(re.findall(r"\w+", line.lower()))
        if words and len(words & other) / max(1, min(len(words), len(other))) > share:
            return True
    return False


def _others(talk: Talk, me: AgentId) -> str:
    return " and ".join(who for who in talk.members if who != me)


def _transcript(talk: Talk) -> list[str]:
    return [_spoken(line) for line in talk.lines]


def _spoken(line: Line) -> str:
    return f"{line.who.split()[0]}: {line.text}"
