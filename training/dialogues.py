"""Dialogues to train on: two people, what each is, and their lines."""

from __future__ import annotations

import csv
import logging
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from ..core import DataError

CSV_COLUMNS = ("user 1 personas", "user 2 personas", "conversation")
# Some rows have it in Markdown: "*User 1:* Hello".
_SPEAKER = re.compile(r"^[* ]*User ([12]): ?(?:[*] ?)*", re.MULTILINE)

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class DialogueLine:
    """A line; ``speaker`` is 0 or 1."""

    speaker: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonaDialogue:
    """A conversation of two people. ``facts``: sentences about each in the first person.
    ``names`` are empty where the source has none, ``learned`` says whose lines are learned."""

    lines: tuple[DialogueLine, ...]
    facts: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())
    names: tuple[str, str] = ("", "")
    source: str = ""
    learned: tuple[bool, bool] = (True, True)

    @property
    def learned_lines(self) -> int:
        """The number of lines that are learned."""
        return sum(self.learned[line.speaker] for line in self.lines)


def read_persona_csv(path: Path, left_out: Counter[str] | None = None) -> list[PersonaDialogue]:
    """The dialogues of a CSV file with the columns of Synthetic-Persona-Chat (Jandaghi et al.
    2023): the personas, a fact a line, and the conversation, in lines that begin with "User 1:" or
    "User 2:". Rows without such lines are left out: counted in ``left_out``, or else with a
    warning. Raises DataError, which names the file and the row."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: cannot be read as CSV ({error})") from error
    missing = [name for name in CSV_COLUMNS if not rows or name not in rows[0]]
    if missing:
        raise DataError(
            f"{path}: has no column '{missing[0]}'; a CSV of dialogues has the columns "
            + ", ".join(CSV_COLUMNS)
        )
    dialogues = [_dialogue_from_row(row, f"{path.name}, row {n}") for n, row in enumerate(rows, 2)]
    usable = [dialogue for dialogue in dialogues if len(dialogue.lines) > 1]
    if left_out is not None and len(usable) < len(dialogues):
        left_out["rows without lines of 'User 1:' and 'User 2:'"] += len(dialogues) - len(usable)
    elif len(usable) < len(dialogues):
        unusable = [dialogue.source for dialogue in dialogues if len(dialogue.lines) < 2]
        log.warning(
            "%s: %d of %d rows hold no conversation of lines that begin with 'User 1:' and "
            "'User 2:' and are left out; the first is %s",
            path,
            len(unusable),
            len(dialogues),
            unusable[0],
        )
    return usable


def _dialogue_from_row(row: dict[str, str], source: str) -> PersonaDialogue:
    absent = [name for name in CSV_COLUMNS if row.get(name) is None]
    if absent:
        raise DataError(f"{source}: '{absent[0]}' is missing")
    pieces = _SPEAKER.split(row["conversation"].strip())
    lines = [
        DialogueLine(int(number) - 1, " ".join(text.split()).rstrip("* "))
        for number, text in zip(pieces[1::2], pieces[2::2])
    ]
    personas = [_facts(row[name]) for name in CSV_COLUMNS[:2]]
    return PersonaDialogue(
        lines=tuple(line for line in lines if line.text),
        facts=(personas[0], personas[1]),
        source=source,
    )


def _facts(text: str) -> tuple[str, ...]:
    """The facts of a persona as sentences: a capital first, a full stop last."""
    facts = [re.sub(r"\bi\b", "I", " ".join(line.split())) for line in text.splitlines()]
    return tuple(
        fact[0].upper() + fact[1:] + ("" if fact[-1] in ".!?" else ".") for fact in facts if fact
    )
