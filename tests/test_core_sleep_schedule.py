"""Hours of sleep out of prose, in six languages, and what is no hour of sleep."""

from __future__ import annotations

import json
import logging
import time
from pathlib import Path

import pytest
from denizens.core import Persona, SettingError, clock_minutes, read_settings, sleep_hours

SAID = [
    ("Una goes to bed around 20:30, awakes up around 04:30.", "04:30 20:30"),
    ("goes to bed at 8:30 p.m., wakes up at 4:30 a.m.", "04:30 20:30"),
    ("wakes up at 5 o'clock in the morning and goes to bed at 9 o'clock in the evening", "5 21"),
    ("goes to bed at nine o'clock and gets up at five o'clock", "5 21"),
    ("Una sleeps from 8pm to 4am.", "4 20"),
    ("Una sleeps between 8pm and 4am.", "4 20"),
    ("Sleep: 11pm - 7am", "7 23"),
    ("is awake from 6am to 10pm", "6 22"),
    ("goes to bed at 10pm and sleeps until 6am", "6 22"),
    ("stays up until 2am, gets up at noon", "12 2"),
    ("At 9pm, Una goes to bed. At 5am, she wakes up", "5 21"),
    ("goes to bed at 9, gets up at 5", "5 21"),
    ("Awake: 7:00-23:00", "7 23"),
    ("wakes up at 6:00 am & sleeps at 10:00 pm", "6 22"),
    ("wakes up early, around 5am, and is in bed by 10", "5 22"),
    ("睡觉时间：23:00，起床时间：7:00", "7 23"),
    ("每天凌晨1点睡觉，上午9点起床", "9 1"),
    ("朝6時半に起き、夜11時に寝る", "06:30 23"),
    ("Aufstehen 5 Uhr, Schlafen 21 Uhr", "5 21"),
    ("Duerme desde las 23:00 hasta las 7:00", "7 23"),
    ("Il se lève à 6h30 du matin et se couche à minuit", "06:30 0"),
    ("goes to sleep at 1:30 and wakes at 9:15", "09:15 01:30"),
    ("goes to bed between 10 and 11 pm, wakes up between 5 and 6 am", "5 22"),
    ("gets out of bed at 5am and goes to bed at 9pm", "5 21"),
    ("works nights, sleeps from 9am to 5pm", "17 9"),
    ("Una geht gegen 21 Uhr ins Bett und steht um 5 Uhr auf.", "5 21"),
    ("Una steht um 5.30 Uhr auf und geht um 9 Uhr abends schlafen", "05:30 21"),
    ("Una schläft von 22 Uhr bis 6 Uhr", "6 22"),
    ("Una se acuesta a las 9 de la noche y se levanta a las 5 de la mañana", "5 21"),
    ("Una se despierta a las 5:30 y se va a la cama a las 21:30", "05:30 21:30"),
    ("Una se couche vers 21h et se lève à 5h30", "05:30 21"),
    ("Una dort de 22h à 6h", "6 22"),
    ("乌娜晚上9点睡觉，早上5点起床。", "5 21"),
    ("乌娜晚上九点半睡觉早上五点起床", "5 21:30"),
    ("早上6:30起床，晚上22:30睡觉", "06:30 22:30"),
    ("晚上11点睡到早上7点", "7 23"),
    ("ウナは夜9時に寝て、朝5時に起きる", "5 21"),
    ("乌娜早上六点一刻起床，晚上十点三刻睡觉", "06:15 22:45"),
    ("Una acorda às 6h e dorme às 22h", "6 22"),
    ("ウナは午後9時から午前5時まで眠る", "5 21"),
]
OTHERS = [
    ("wakes up at 5am, puts her son to bed at 7pm, goes to bed at 10pm, and reads in bed "
     "until 11pm", "5 22"),
    ("wakes up at 5am, takes a nap in bed at 2pm", "5 -"),
    ("reads a bedtime story to the children at 7pm", "- -"),
    ("wakes her children at 7am", "- -"),
    ("wakes up early, puts her son to bed at 7pm", "- -"),
    ("her son goes to bed at 8pm and she goes to bed at 11pm", "- 23"),
    ("wakes up two hours before her shift at 9am", "- -"),
    ("gets up before dawn at 4:45", "04:45 -"),
    ("closes the bedroom window at 9pm and makes the bed at 7am", "- -"),
    ("gets her sister up at 6am", "- -"),
    ("lives at 7 Elm Street and sleeps well", "- -"),
    ("wakes with the birds", "- -"),
    ("sleeps 10-6", "- -"),
    ("sover fra kl. 22 til 6", "- -"),
    ("", "- -"),
]  # fmt: skip


def clock(minutes: int | None) -> str:
    """Minutes of the day as the tables above write them."""
    if minutes is None:
        return "-"
    return f"{minutes // 60:02d}:{minutes % 60:02d}" if minutes % 60 else str(minutes // 60)


@pytest.mark.parametrize(("lifestyle", "hours"), SAID + OTHERS)
def test_hours_of_sleep_in_prose(lifestyle: str, hours: str) -> None:
    """24 hours, dots, o'clock, ranges and six languages are read; what is done to others, naps
    and what is only near a bed are no hours of sleep."""
    assert " ".join(map(clock, sleep_hours(lifestyle))) == hours


@pytest.mark.parametrize(
    ("text", "minutes"),
    [
        ("until 20:30", 1230),
        ("at 4 p.m. she", 960),
        ("ab 9 Uhr", 540),
        ("21h30", 1290),
        ("下午2点半", 870),
        ("3.50 crowns", None),
        ("25:00", None),
        ("10:75", None),
        ("at 20%", None),
    ],
)
def test_times_of_day_as_people_write_them(text: str, minutes: int | None) -> None:
    """Clocks of 24 hours and other languages are times; prices and shares are none."""
    assert clock_minutes(text) == minutes


def test_hostile_prose_is_read_in_linear_time() -> None:
    """A quarter of a megabyte of each shape ends soon: nothing in the patterns backtracks."""
    for shape in ("goes to bed at 9pm, ", "wakes ", "a", "1", "puts x ", "9pm - ", "起"):
        begun = time.process_time()
        sleep_hours(shape * (250_000 // len(shape)))
        assert time.process_time() - begun < 10, shape


def test_what_is_not_understood_is_said(caplog: pytest.LogCaptureFixture) -> None:
    """Hours that could not be read are 7:00 and 23:00 with a warning that names file and
    field; a lifestyle that says both warns of nothing, and an empty one is silent."""
    with caplog.at_level(logging.WARNING):
        one = Persona.parse({"name": "Una", "lifestyle": "rises with the sun"}, "una.toml")
        assert one.waking_hours() == (420, 1380)
        assert "una.toml: Una: lifestyle: no waking or bed time could be read" in caplog.text
        caplog.clear()
        Persona.parse({"name": "Una", "lifestyle": "to bed at 10pm"}, "una.toml")
        assert "waking at 7:00 is assumed" in caplog.text
        caplog.clear()
        Persona.parse({"name": "Una", "lifestyle": "sleeps from 10pm to 6am"}, "una.toml")
        Persona.parse({"name": "Una"}, "una.toml")
        assert not caplog.records


SCRATCH = {
    "name": "Una",
    "age": 41,
    "innate": "calm",
    "learned": "bakes",
    "currently": "bakes",
    "lifestyle": "sleeps from 10pm to 6am",
    "living_area": "v:mill:loft",
}


def test_null_in_a_scratch_file_counts_as_left_out() -> None:
    """Optional fields that are null take their defaults; a needed one is named."""
    nulls = ["vision_r", "att_bandwidth", "retention", "importance_trigger_max", "recency_decay"]
    made = Persona.from_scratch(SCRATCH | dict.fromkeys([*nulls, "daily_plan_req"]))
    assert (made.vision, made.attention, made.retention) == (8, 8, 8)
    assert (made.reflect_after, made.recency_decay, made.daily) == (150.0, 0.995, "")
    for key, value in [("age", None), ("learned", None), ("age", "old"), ("vision_r", 2.5)]:
        with pytest.raises(SettingError, match=f"s.json: not a usable .*'{key}' must be"):
            Persona.from_scratch(SCRATCH | {key: value}, "s.json")


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("a.json", '{"a": 1, "a": 2}', "gives the key 'a' twice"),
        ("a.json", '{"a": NaN}', "holds NaN"),
        ("a.json", '{"a": 1e999}', "holds the number inf"),
        ("a.json", '{"a": ' + "9" * 5000 + "}", "too large"),
        ("a.json", '{"a": ' + "9" * 500 + "}", "too large"),
        ("a.json", '{"a":' * 70 + "1" + "}" * 70, "nested more than 64"),
        ("a.json", "[" * 100_000, "nested more than 64"),
        ("a.toml", "a = nan", "holds the number nan"),
        ("a.toml", "a = " + "[" * 100_000, "nested more than 64"),
    ],
)
def test_settings_that_have_no_one_meaning(
    tmp_path: Path, name: str, text: str, words: str
) -> None:
    """Keys given twice, numbers that are none or too large, and bottomless nesting are errors
    that name the file."""
    (tmp_path / name).write_text(text)
    with pytest.raises(SettingError, match=f"{name}: .*{words}"):
        read_settings(tmp_path / name)


def test_settings_with_a_byte_order_mark(tmp_path: Path) -> None:
    """Editors that write a mark, and UTF-16, are read; Latin-1 is refused with the remedy."""
    text = json.dumps({"name": "Zoë"}, ensure_ascii=False)
    for encoding in ("utf-8-sig", "utf-16"):
        (tmp_path / "a.json").write_bytes(text.encode(encoding))
        assert read_settings(tmp_path / "a.json") == {"name": "Zoë"}
    (tmp_path / "a.toml").write_bytes('name = "Zoë"'.encode("latin-1"))
    with pytest.raises(SettingError, match=r"a\.toml: is not UTF-8 .*save the file as UTF-8"):
        read_settings(tmp_path / "a.toml")


def test_half_an_emoji_in_settings(tmp_path: Path) -> None:
    """Texts that could not be written again are repaired when they are read; pairs are whole."""
    (tmp_path / "a.json").write_text(r'{"a\ud83d": ["\ud83d\ude00", "x\ude00", 1]}')
    assert read_settings(tmp_path / "a.json") == {"a\ufffd": ["\U0001f600", "x\ufffd", 1]}
