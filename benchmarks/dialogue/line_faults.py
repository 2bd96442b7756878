"""Faults of lines that rules can find, and figures over all lines of some conversations.

The rules are those by which planners refuse drafts, but read against all that the scenario says
of the people present and all that was said before, not against one prompt.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from ...core import Json, Message, words
from ...planners.speech import DRAFT_RULES, DraftContext, invented_names, is_question
from ...planners.text import repeats
from .town_talk import TownConversation, TownLine, scenario_text

FAULT_RULES = {
    "repeats": "repeat",
    "swapped_speakers": "swapped",
    "third_person_self": "third_person_self",
    "partner_absent": "partner_absent",
    "wrong_address": "wrong_address",
    "breaks_off": "breaks_off",
}
"""Figures that are shares of lines, and the rule of each."""
SHORT = 4  # words up to which a line may be said again in another conversation
SAID_BEFORE = 0.85  # overlap of words from which on a line was said before


@dataclass(frozen=True, slots=True)
class LineFault:
    """A fault of a line. ``figure`` is what counts it; ``detail`` says what was found."""

    figure: str
    line: TownLine
    detail: str = ""


def town_figures(conversations: Sequence[TownConversation]) -> dict[str, Json]:
    """Counts and shares over all lines of runs of several seeds.

    ``invented_names``: the number of lines with a name that stands neither in the scenario nor in
    the prompt of the line nor in a line before. ``repeats``: the share of lines that repeat a line
    of their conversation or themselves, or one of more than four words that the same person said
    in an earlier conversation of the same seed, nearly word for word (``repeats_elsewhere``: these
    alone; the same news told to another person counts too). ``swapped_speakers``: the share that
    says of the listener what a fact of the scenario says of the speaker, or the other way round.
    ``third_person_self``: the share that speaks of its speaker by name; ``partner_absent``: of the
    listener. ``distinct_2``: the different pairs of words divided by all pairs. ``faults`` lists
    each."""
    lines = [line for talk in conversations for line in talk.lines]
    faults = list(find_faults(conversations))
    pairs = [pair for line in lines for pair in _word_pairs(line.text)]
    count = max(1, len(lines))
    found: dict[str, set[int]] = {figure: set() for figure in (*FAULT_RULES, "repeats_elsewhere")}
    for fault in faults:
        found.setdefault(fault.figure, set()).add(id(fault.line))
    found["repeats"] |= found["repeats_elsewhere"]
    invented = found.pop("invented_names", set())
    shares = {figure: round(len(lines) / count, 4) for figure, lines in found.items()}
    return {
        "lines": len(lines),
        "conversations": len(conversations),
        "words_a_line": round(sum(len(words(line.text)) for line in lines) / count, 1),
        "distinct_2": round(len(set(pairs)) / max(1, len(pairs)), 3),
        "invented_names": len(invented),
        **shares,
        "faults": [f"{f.figure}: {f.line.who}: {f.line.text} {f.detail}".strip() for f in faults],
    }


def find_faults(conversations: Sequence[TownConversation]) -> Iterator[LineFault]:
    """The faults of each line, in order. Conversations of a seed are in order of their start."""
    elsewhere: dict[int, list[TownLine]] = {}
    for talk in conversations:
        earlier = elsewhere.setdefault(talk.seed, [])
        said: list[str] = []
        for line in talk.lines:
            context = _context(talk, line, said, earlier)
            prompt = " ".join(message.text for message in line.prompt)
            if names := invented_names(line.text, f"{context.known} {prompt}"):
                yield LineFault("invented_names", line, f"[{', '.join(names)}]")
            for figure, rule in FAULT_RULES.items():
                if DRAFT_RULES[rule](line.text, context):
                    yield LineFault(figure, line)
            if _said_before(line, earlier):
                yield LineFault("repeats_elsewhere", line)
            said.append(line.text)
        earlier += talk.lines


def _context(
    talk: TownConversation, line: TownLine, said: Sequence[str], earlier: Sequence[TownLine]
) -> DraftContext:
    """What a line is read against. The facts are those of all present, in the third person."""
    facts = [
        fact
        for who in talk.members
        if (persona := talk.people.get(who))
        for fact in (persona.background, persona.currently, *persona.facts)
    ]
    return DraftContext(
        me=line.who,
        others=tuple(who for who in talk.members if who != line.who),
        facts=tuple(facts),
        lines=tuple(said),
        known="\n".join((scenario_text(talk), *(one.text for one in earlier), *said)),
    )


def _said_before(line: TownLine, earlier: Sequence[TownLine]) -> bool:
    """Whether the same person said it in an earlier conversation. Greetings are said anew."""
    own = [one.text for one in earlier if one.who == line.who]
    return len(words(line.text)) > SHORT and repeats(
        line.text, [text for text in own if len(words(text)) > SHORT], share=SAID_BEFORE
    )


def _word_pairs(text: str) -> list[tuple[str, str]]:
    tokens = words(text)
    return list(pairwise(tokens))


def question_answers(
    conversations: Sequence[TownConversation],
) -> list[tuple[tuple[Message, ...], str, str]]:
    """The lines that follow a question of somebody else and whose prompt is recorded: the
    prompt, the question and the line."""
    return [
        (line.prompt, before.text, line.text)
        for talk in conversations
        for before, line in pairwise(talk.lines)
        if before.who != line.who and is_question(before.text) and line.prompt
    ]
