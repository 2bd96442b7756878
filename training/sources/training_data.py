"""Training data from files of several kinds, told apart by what they hold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Literal, TypeAlias

from ...core import DataError, check_arguments
from ...simulation import RUN_FILE
from ...store import Store, is_database
from ..dialogues import PersonaDialogue, read_persona_csv
from .chat_lines import read_chat_lines
from .memory_dialogues import read_memory
from .run_dialogues import read_run

DataKind: TypeAlias = Literal["csv", "run", "memory", "messages"]

KNOWN_DATA = (
    "a CSV of personas and conversations (.csv), a run's folder, a memory file (.db), or JSON "
    "Lines of chat messages (.jsonl)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSource:
    """What was read from one file. ``digest``: sha256 of the file's bytes, of a run the head of
    its hash chain. ``lines`` counts the lines that are learned, ``left_out`` dialogues that were
    left out, by reason."""

    path: str
    kind: DataKind
    digest: str
    dialogues: int
    lines: int
    left_out: dict[str, int] = field(default_factory=dict)

    def __str__(self) -> str:
        """As a line for people."""
        left = "".join(f"; {count} left out: {why}" for why, count in self.left_out.items())
        return f"{self.path}: {self.dialogues} dialogues, {self.lines} lines to learn{left}"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingData:
    """Dialogues in the order of their files, and where they come from."""

    dialogues: tuple[PersonaDialogue, ...]
    sources: tuple[DataSource, ...]

    @property
    def lines(self) -> int:
        """How many lines are learned."""
        return sum(source.lines for source in self.sources)


@check_arguments
def read_training_data(
    paths: Sequence[Path | str], *, people: Sequence[str] = (), least_lines: int = 20
) -> TrainingData:
    """The dialogues in ``paths``, which may be of different kinds: CSV files as of
    Synthetic-Persona-Chat, folders of runs, memory files, JSON Lines of chat messages.

    ``people`` are those whose private chats in memory files may be learned (a voice cannot keep
    to itself what it was trained on). Raises DataError, which names file and remedy, for a path
    that is missing, empty, damaged or of no known kind, for one given twice, and for data with
    fewer than ``least_lines`` lines to learn.
    """
    if not paths:
        raise DataError(f"no data: name at least one file to learn from: {KNOWN_DATA}")
    dialogues: list[PersonaDialogue] = []
    sources: list[DataSource] = []
    places = [Path(path).expanduser() for path in paths]
    counts = Counter(place.resolve() for place in places)
    for place in places:
        if counts[place.resolve()] > 1:
            raise DataError(
                f"{place}: is given twice, so its lines would count twice; give it once"
            )
        found, source = _read_one(place, people)
        dialogues += found
        sources.append(source)
    data = TrainingData(dialogues=tuple(dialogues), sources=tuple(sources))
    if data.lines < least_lines:
        listed = "; ".join(map(str, sources))
        raise DataError(f"too little data: {listed}; at least {least_lines} lines are needed")
    return data


def _read_one(place: Path, people: Sequence[str]) -> tuple[list[PersonaDialogue], DataSource]:
    """The dialogues of one path, and its row."""
    kind, file = _kind_of(place)
    left_out: Counter[str] = Counter()
    if kind == "run":
        dialogues, digest = read_run(place, left_out)
    elif kind == "memory":
        dialogues, digest = read_memory(place, left_out, people), _file_digest(file)
    else:
        read = read_persona_csv if kind == "csv" else read_chat_lines
        dialogues, digest = read(file, left_out), _file_digest(file)
    lines = sum(dialogue.learned_lines for dialogue in dialogues)
    if not lines:
        reasons = "; ".join(f"{count} left out: {why}" for why, count in left_out.items())
        raise DataError(f"{place}: holds no line to learn{f' ({reasons})' if reasons else ''}")
    return dialogues, DataSource(
        path=place.name,
        kind=kind,
        digest=digest,
        dialogues=len(dialogues),
        lines=lines,
        left_out=dict(left_out),
    )


def _kind_of(place: Path) -> tuple[DataKind, Path]:
    """The kind of a path, and the file to read. Raises DataError."""
    if place.is_dir():
        if not (place / RUN_FILE).is_file():
            raise DataError(
                f"{place}: is a folder without {RUN_FILE}, so no run; name a run's folder, or files"
            )
        return "run", place / RUN_FILE
    if not place.is_file():
        raise DataError(f"{place}: there is no such file; check the path")
    if place.stat().st_size == 0:
        raise DataError(f"{place}: is empty; name {KNOWN_DATA}")
    if is_database(place):
        with Store(place, write=False) as store:
            return ("run" if store.get("start") is not None else "memory"), place
    suffix = place.suffix.lower()
    if suffix == ".csv":
        return "csv", place
    if suffix in (".jsonl", ".ndjson"):
        return "messages", place
    raise DataError(f"{place}: is of no known kind; name {KNOWN_DATA}")


def _file_digest(file: Path) -> str:
    """sha256 of a file's bytes, in hexadecimal."""
    return sha256(file.read_bytes()).hexdigest()
