"""The LoCoMo data set (Maharana et al. 2024): conversations as records, and questions."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from ...core import Record, SettingError, Time, decode_text
from ..data_files import data_folder

CATEGORIES = {1: "multi_hop", 2: "temporal", 3: "open", 4: "single_hop", 5: "adversarial"}
_EVIDENCE = re.compile(r"D:?(\d+):(\d+)")
_TIME_FORMAT = "%I:%M %p on %d %B, %Y"


def default_locomo_file() -> Path:
    """The first five conversations of LoCoMo in the folder of test data."""
    return data_folder() / "locomo" / "locomo_first5.json"


@dataclass(frozen=True, slots=True)
class LocomoQuestion:
    """A question, its category (1 to 5), and the turns with its evidence, as "D1:3"."""

    text: str
    category: int
    turns: frozenset[str]

    @property
    def sessions(self) -> frozenset[str]:
        """The sessions with the evidence, as "D1"."""
        return frozenset(turn.split(":")[0] for turn in self.turns)


@dataclass(frozen=True, slots=True)
class LocomoConversation:
    """A conversation of two speakers over many sessions: its turns as records (``episode`` is
    the session, ``source`` the turn), its questions, and the time at which they are asked."""

    name: str
    speakers: tuple[str, str]
    records: tuple[Record, ...]
    questions: tuple[LocomoQuestion, ...]
    asked: Time


def load_locomo(path: Path) -> list[LocomoConversation]:
    """Read the conversations of a file in LoCoMo's format. Raises SettingError naming the file
    and the conversation that cannot be read."""
    try:
        data = json.loads(decode_text(path.read_bytes(), path))
    except FileNotFoundError as error:
        raise SettingError(
            f"{path}: does not exist; name a file in LoCoMo's format with --data, or set "
            "DENIZENS_DATA to the folder that holds locomo/"
        ) from error
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise SettingError(
            f"{path}: cannot be read ({error}); name a file in LoCoMo's format"
        ) from error
    items = data if isinstance(data, list) else [data]
    conversations = []
    for number, item in enumerate(items, 1):
        name = str(item.get("sample_id", number)) if isinstance(item, dict) else str(number)
        try:
            conversations.append(_conversation(name, item))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise SettingError(
                f"{path}: conversation {name} is not in LoCoMo's format ({error!r})"
            ) from error
    return conversations


def _conversation(name: str, item: dict[str, Any]) -> LocomoConversation:
    talk = item["conversation"]
    records = tuple(_records(talk))
    questions = tuple(
        LocomoQuestion(
            str(row["question"]),
            int(row["category"]),
            frozenset(
                f"D{int(session)}:{int(turn)}"
                for session, turn in _EVIDENCE.findall(" ".join(row.get("evidence") or ()))
            ),
        )
        for row in item.get("qa", ())
    )
    asked = max(record.created for record in records) + timedelta(days=1)
    speakers = (str(talk["speaker_a"]), str(talk["speaker_b"]))
    return LocomoConversation(name, speakers, records, questions, asked)


def _records(talk: dict[str, Any]) -> Iterator[Record]:
    numbers = sorted(int(key[8:]) for key in talk if re.fullmatch(r"session_\d+", key))
    number = 0
    for session in numbers:
        start = datetime.strptime(talk[f"session_{session}_date_time"], _TIME_FORMAT)
        for turn in talk[f"session_{session}"]:
            number += 1
            yield Record(
                id=number,
                kind="utterance",
                text=turn_text(turn),
                created=start,
                who=turn["speaker"],
                episode=f"D{session}",
                source=turn["dia_id"],
            )


def turn_text(turn: dict[str, Any]) -> str:
    """The text of a turn's record: the speaker, the words, and the caption of a shared image.

    >>> turn_text({"speaker": "Ada", "text": "Look!", "blip_caption": "a photo of a loaf"})
    'Ada: Look! [shares a photo of a loaf]'
    """
    caption = turn.get("blip_caption")
    text = f"{turn['speaker']}: {turn.get('text', '')}"
    return f"{text} [shares {caption}]" if caption else text


def replace_names(question: str, names: dict[str, str]) -> str:
    """A question with names replaced simultaneously.

    >>> replace_names("Did Ada tell Bo?", {"Ada": "Bo", "Bo": "Ada"})
    'Did Bo tell Ada?'
    """
    if not names:
        return question
    pattern = re.compile(r"\b(" + "|".join(map(re.escape, names)) + r")\b")
    return pattern.sub(lambda match: names[match[0]], question)
