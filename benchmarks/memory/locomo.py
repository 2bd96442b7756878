"""Conversations and questions of LoCoMo (Maharana et al. 2024), as records and cues."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from ...core import Record, SettingError, Time, decode_text
from ..bfcl import data_folder

CATEGORIES = {1: "multi_hop", 2: "temporal", 3: "open", 4: "single_hop", 5: "adversarial"}
_EVIDENCE = re.compile(r"D:?(\d+):(\d+)")
_FORM = "%I:%M %p on %d %B, %Y"


def default_locomo_file() -> Path:
    """The first five conversations of LoCoMo in the folder of test data."""
    return data_folder() / "locomo" / "locomo_first5.json"


@dataclass(frozen=True, slots=True)
class LocomoQuestion:
    """A question, its category from 1 to 5, and the turns that hold its evidence ("D1:3")."""

    text: str
    category: int
    turns: frozenset[str]

    @property
    def sessions(self) -> frozenset[str]:
        """The sessions of the evidence ("D1")."""
        return frozenset(turn.split(":")[0] for turn in self.turns)


@dataclass(frozen=True, slots=True)
class LocomoConversation:
    """A conversation of two over many sessions: its turns as records (``episode`` is the
    session, ``source`` the turn's name), its questions, and when they are asked."""

    name: str
    speakers: tuple[str, str]
    records: tuple[Record, ...]
    questions: tuple[LocomoQuestion, ...]
    asked: Time


def load_locomo(path: Path) -> list[LocomoConversation]:
    """The conversations of a file in LoCoMo's format. Raises SettingError naming file and
    conversation for what cannot be read."""
    try:
        data = json.loads(decode_text(path.read_bytes(), path))
    except FileNotFoundError as error:
        raise SettingError(
            f"{path}: not there; name a file in LoCoMo's format with --data, or the folder that "
            "holds locomo/ by DENIZENS_DATA"
        ) from error
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise SettingError(
            f"{path}: cannot be read ({error}); name a file in LoCoMo's format"
        ) from (error)
    items = data if isinstance(data, list) else [data]
    found = []
    for number, item in enumerate(items, 1):
        name = str(item.get("sample_id", number)) if isinstance(item, dict) else str(number)
        try:
            found.append(_conversation(name, item))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise SettingError(
                f"{path}: conversation {name} is not in LoCoMo's format ({error!r})"
            ) from error
    return found


def _conversation(name: str, item: dict[str, Any]) -> LocomoConversation:
    talk = item["conversation"]
    records = tuple(_records(talk))
    questions = tuple(
        LocomoQuestion(
            str(one["question"]),
            int(one["category"]),
            frozenset(
                f"D{int(session)}:{int(turn)}"
                for session, turn in _EVIDENCE.findall(" ".join(one.get("evidence") or ()))
            ),
        )
        for one in item.get("qa", ())
    )
    asked = max(record.created for record in records) + timedelta(days=1)
    speakers = (str(talk["speaker_a"]), str(talk["speaker_b"]))
    return LocomoConversation(name, speakers, records, questions, asked)


def _records(talk: dict[str, Any]) -> Iterator[Record]:
    numbers = sorted(int(key[8:]) for key in talk if re.fullmatch(r"session_\d+", key))
    number = 0
    for session in numbers:
        begun = datetime.strptime(talk[f"session_{session}_date_time"], _FORM)
        for turn in talk[f"session_{session}"]:
            number += 1
            yield Record(
                id=number,
                kind="utterance",
                text=turn_text(turn),
                created=begun,
                who=turn["speaker"],
                episode=f"D{session}",
                source=turn["dia_id"],
            )


def turn_text(turn: dict[str, Any]) -> str:
    """A turn as it is remembered: who said it, and the caption of an image shared with it.

    >>> turn_text({"speaker": "Ada", "text": "Look!", "blip_caption": "a photo of a loaf"})
    'Ada: Look! [shares a photo of a loaf]'
    """
    caption = turn.get("blip_caption")
    text = f"{turn['speaker']}: {turn.get('text', '')}"
    return f"{text} [shares {caption}]" if caption else text


def replace_names(question: str, names: dict[str, str]) -> str:
    """The question with people's names replaced, all at once.

    >>> replace_names("Did Ada tell Bo?", {"Ada": "Bo", "Bo": "Ada"})
    'Did Bo tell Ada?'
    """
    if not names:
        return question
    either = re.compile(r"\b(" + "|".join(map(re.escape, names)) + r")\b")
    return either.sub(lambda place: names[place[0]], question)
