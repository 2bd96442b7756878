"""A blind comparison of two speakers: situations, ballots for judges, and their verdicts."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from scipy.stats import binomtest

from ...core import DataError, Json, Persona, Seed
from ...planners.speech import is_farewell
from ...planners.text import to_third_person
from ...training import PersonaDialogue
from .blind_speakers import BlindSituation
from .town_talk import TownConversation

FIRST_NAMES = (
    "Ada Alma Bela Cora Dora Edda Ella Frida Gerd Hanna Ida Jana Karl Lars Mira Nils Olga Paul "
    "Rosa Sven Tilda Ulla Vera Wim Yara"
)
LAST_NAMES = "Berg Dahl Ek Falk Holt Lind Moor Nord Quist Rehn"
MAX_SHOWN_FACTS = 6
_PLACEHOLDER = re.compile(r"\[|\(.*name\)|\buser ?[12]\b", re.IGNORECASE)
"""Names that the data leaves open: "Hi, I'm (name)." """

INSTRUCTIONS = """\
# Which line makes more sense?

Below are {count} situations from conversations. In each, one person is to say the next line, and
there are two lines, A and B. Choose the line that a reader would find the better next line: it
answers what was said, fits what the person knows and where they are, says nothing untrue about
the two, and sounds like somebody talking. If both are equally good or bad, answer "tie", but try
to choose. "(says nothing)" means that the person stays silent.

Answer with a file of one JSON object a line: {{"id": 1, "answer": "A"}} (or "B" or "tie").
"""


def town_situations(
    conversations: Sequence[TownConversation], count: int, *, seed: int = 1, first_id: int = 1
) -> list[BlindSituation]:
    """``count`` places in conversations of two in runs, drawn by ``seed``: openings too, but none
    after a farewell."""
    places = [
        (talk, place)
        for talk in conversations
        for place in range(len(talk.lines))
        if len(talk.members) == 2
        and talk.lines[place].who in talk.people
        and (place == 0 or talk.lines[place - 1].who != talk.lines[place].who)
        and not (place and is_farewell(talk.lines[place - 1].text))
    ]
    rng = np.random.default_rng(Seed.of(seed).child("town").number)
    chosen = sorted(rng.permutation(len(places))[:count])
    return [
        _town_situation(talk, place, number)
        for number, (talk, place) in enumerate((places[index] for index in chosen), first_id)
    ]


def _town_situation(talk: TownConversation, place: int, number: int) -> BlindSituation:
    me = talk.lines[place].who
    persona: Persona = talk.people[me]
    return BlindSituation(
        id=number,
        source="town",
        me=me,
        partner=next(who for who in talk.members if who != me),
        place=talk.place,
        traits=persona.traits,
        background=persona.background,
        currently=persona.currently,
        facts=persona.facts,
        lines=tuple((line.who, line.text) for line in talk.lines[:place]),
    )


def talk_situations(
    dialogues: Sequence[PersonaDialogue], count: int, *, seed: int = 1, first_id: int = 1
) -> list[BlindSituation]:
    """One place in each of the first ``count`` dialogues without names, drawn by ``seed``, before
    a line that answers the other's; the people get names."""
    rng = np.random.default_rng(Seed.of(seed).child("talk").number)
    names = [f"{first} {last}" for first in FIRST_NAMES.split() for last in LAST_NAMES.split()]
    names = [names[index] for index in rng.permutation(len(names))]
    situations: list[BlindSituation] = []
    for dialogue in dialogues:
        places = [
            place
            for place in range(1, min(len(dialogue.lines), 14))
            if dialogue.lines[place].speaker != dialogue.lines[place - 1].speaker
            and not is_farewell(dialogue.lines[place - 1].text)
            and not any(_PLACEHOLDER.search(line.text) for line in dialogue.lines[:place])
        ]
        if len(situations) == count or not places:
            continue
        place = places[int(rng.integers(len(places)))]
        speaker = dialogue.lines[place].speaker
        pair = names[2 * len(situations)], names[2 * len(situations) + 1]
        facts = tuple(to_third_person(fact, pair[0]) for fact in dialogue.facts[speaker])
        situations.append(
            BlindSituation(
                id=first_id + len(situations),
                source="talk",
                me=pair[0],
                partner=pair[1],
                place="town:cafe:room",
                traits="friendly, talkative",
                facts=facts,
                lines=tuple(
                    (pair[0] if line.speaker == speaker else pair[1], line.text)
                    for line in dialogue.lines[:place]
                ),
            )
        )
    return situations


def write_ballots(
    situations: Sequence[BlindSituation],
    before: Mapping[int, str],
    after: Mapping[int, str],
    ballots: Path,
    key: Path,
    *,
    seed: int = 1,
) -> None:
    """Write the file for judges, with the two lines of each situation in an order drawn by
    ``seed``, and the key that says which is which. Situations in which both say the same are left
    out. Raises DataError for a situation without a line."""
    rng = np.random.default_rng(Seed.of(seed).child("ballots").number)
    shown: list[str] = []
    keys: dict[str, Json] = {}
    for situation in situations:
        swap = bool(rng.integers(2))
        lines = {}
        for name, said in (("before", before), ("after", after)):
            if situation.id not in said:
                raise DataError(f"situation {situation.id}: no line of the speaker '{name}'")
            lines[name] = said[situation.id]
        if lines["before"] == lines["after"]:
            continue
        order = ("after", "before") if swap else ("before", "after")
        keys[str(situation.id)] = dict(zip("AB", order))
        shown.append(_ballot(situation, lines[order[0]], lines[order[1]]))
    ballots.write_text("\n".join([INSTRUCTIONS.format(count=len(shown)), *shown]), encoding="utf-8")
    key.write_text(json.dumps(keys, indent=1), encoding="utf-8")


def _ballot(situation: BlindSituation, first: str, second: str) -> str:
    place = situation.place.split(":")[-2] if ":" in situation.place else situation.place
    facts = list(situation.facts)[:MAX_SHOWN_FACTS]
    about = " ".join(text for text in (situation.background, situation.currently, *facts) if text)
    said = [f"> {who}: {text}" for who, text in situation.lines] or ["> (nobody has spoken yet)"]
    return "\n".join(
        [
            f"## {situation.id}",
            f"{situation.me} talks with {situation.partner} ({place}). {about}",
            "",
            *said,
            "",
            f"The next line of {situation.me}:",
            f"- A: {first}",
            f"- B: {second}",
            "",
        ]
    )


def read_verdicts(verdicts: Sequence[Path], key: Path) -> dict[str, Json]:
    """The share of situations in which "after" was preferred, with its 95 % Wilson interval.

    With several judges a situation counts by their majority; ``agreement`` is the share of pairs
    of judges with equal answers. Ties count half. Raises DataError for a line that is no verdict
    and for situations that the key lacks."""
    keys: dict[str, dict[str, str]] = json.loads(key.read_text(encoding="utf-8"))
    judges = [_votes(file, keys) for file in verdicts]
    scores = [
        float(np.sign(sum(votes.get(name, 0) for votes in judges)))
        for name in keys
        if any(name in votes for votes in judges)
    ]
    pairs = [
        one[name] == other[name]
        for number, one in enumerate(judges)
        for other in judges[number + 1 :]
        for name in one.keys() & other.keys()
    ]
    wins, ties = sum(score > 0 for score in scores), sum(score == 0 for score in scores)
    decided = len(scores) - ties
    interval = binomtest(wins, decided).proportion_ci(method="wilson") if decided else None
    return {
        "situations": len(scores),
        "preferred_after": wins,
        "preferred_before": decided - wins,
        "ties": ties,
        "share": round((wins + ties / 2) / max(1, len(scores)), 3),
        "share_decided": round(wins / max(1, decided), 3),
        "interval": [round(float(interval.low), 3), round(float(interval.high), 3)]
        if interval
        else None,
        "by_judge": [
            round(float(np.mean([(vote + 1) / 2 for vote in votes.values()])), 3)
            for votes in judges
        ],
        "agreement": round(float(np.mean(pairs)), 3) if pairs else None,
    }


def _votes(file: Path, keys: Mapping[str, Mapping[str, str]]) -> dict[str, int]:
    """The votes of a judge by situation: 1 for "after", -1 for "before", 0 for a tie."""
    votes = {}
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip():
            continue
        try:
            verdict = json.loads(line)
            name, answer = str(verdict["id"]), str(verdict["answer"]).strip()
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(
                f'{file}, line {number}: no verdict; write {{"id": 1, "answer": "A"}}'
            ) from error
        if name not in keys or answer.lower() not in ("a", "b", "tie"):
            raise DataError(f"{file}, line {number}: no situation {name}, or the answer {answer!r}")
        side = "" if answer.lower() == "tie" else keys[name][answer.upper()]
        votes[name] = {"after": 1, "before": -1}.get(side, 0)
    return votes
