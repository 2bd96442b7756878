"""One normalisation, one segmentation, one reader of text files."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest
from denizens.core import (
    SettingError,
    count_words,
    decode_text,
    name_matcher,
    normalize,
    read_text_file,
    replace_surrogates,
    same_name,
    sentences,
    words,
)
from denizens.core.text import graphemes, written_words
from hypothesis import given
from hypothesis import strategies as st


@given(st.text())
def test_normalize_is_idempotent_and_form_independent(text: str) -> None:
    """Normalising twice changes nothing, and composed and decomposed forms meet."""
    once = normalize(text)
    assert normalize(once) == once
    assert normalize(unicodedata.normalize("NFD", text)) == normalize(
        unicodedata.normalize("NFC", text)
    )


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("café", "cafe\u0301"),
        ("office", "o\ufb03ce"),
        ("ABC", "ＡＢＣ"),
        ("garden", "gar-\nden"),
        ("Straße", "STRASSE"),
        ("Ada  Pell", "ada\u00a0pell"),
    ],
)
def test_forms_meet(one: str, other: str) -> None:
    """What a reader takes for the same words has one normal form."""
    assert normalize(one) == normalize(other)
    assert words(one) == words(other)


@pytest.mark.parametrize(
    ("name", "text", "named"),
    [
        ("小明", "昨天我和小明去了公园。", True),
        ("Ada", "我和Ada去了公园。", True),
        ("J.R.", "I met J.R. today.", True),
        ("Zoë", "Zoe\u0308 was here", True),
        ("Ada Pell", "ada  pell came", True),
        ("Ada", "Adam came", False),
        ("Al", "Almeda Gas", False),
        ("", "anybody", False),
        ("An", "An\u0303o", False),
    ],
)
def test_mentions(name: str, text: str, named: bool) -> None:
    """A name is found whole, in any script and form, and nowhere inside another word."""
    assert name_matcher(name)(text) is named


def test_names_compare_by_their_normal_form() -> None:
    """Case, blanks and form do not make another name."""
    assert same_name("Zoë Lind", " zoe\u0308  LIND")
    assert not same_name("Ada", "Ida")


def test_words_of_scripts_without_blanks() -> None:
    """Pairs of characters are the words there, marks stay with their letters."""
    assert words("猫が好き") == ["猫が", "が好", "好き"]
    assert words("สวัสดี")[0] == "สวั"
    assert count_words("猫が好き") == 2


@given(st.text(st.characters()))
def test_repaired_text_is_utf8(text: str) -> None:
    """Whatever a JSON string held, the result can be written; sound text stays as it is."""
    assert replace_surrogates(text + "\ud83d").encode()
    assert replace_surrogates("\ud83d\ude00") == "\U0001f600"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_text_files_with_marks(tmp_path: Path, encoding: str) -> None:
    """A byte order mark tells the encoding and is no part of the text."""
    file = tmp_path / "note.txt"
    file.write_bytes("naïve 猫\r\nnext".encode(encoding))
    assert read_text_file(file) == "naïve 猫\nnext"


def test_other_encodings_are_refused(tmp_path: Path) -> None:
    """Latin-1 is not guessed: the error names the file, the place and the remedy."""
    with pytest.raises(SettingError, match=r"x\.txt: is not UTF-8 \(line 2, byte 0xef\); save"):
        decode_text(b"one\nna\xefve", tmp_path / "x.txt")
    with pytest.raises(SettingError, match="cannot be read"):
        read_text_file(tmp_path / "none.txt")


@given(st.text())
def test_runs_are_the_words_uncut(text: str) -> None:
    """Words and runs of a text hold the same characters, in ASCII by the general rule too."""
    assert set("".join(words(text))) == set("".join(written_words(normalize(text))))
    if text.isascii():
        assert words(f"{text} é")[:-1] == words(f"{text} ")
        assert count_words(f"{text} é") == count_words(text) + 1
    assert "".join(graphemes(text)) == text


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("One. Two! Three?", ["One.", "Two!", "Three?"]),
        ("他来了。走吧！「好。」他说。", ["他来了。", "走吧！", "「好。」", "他说。"]),
        ("नमस्ते। आइए।", ["नमस्ते।", "आइए।"]),
        ("من أنت؟ أنا هنا.", ["من أنت؟", "أنا هنا."]),
        ("v1.2 is out\n\nnow", ["v1.2 is out", "now"]),
        (" \n\n ", []),
    ],
)
def test_sentences_of_any_script(text: str, parts: list[str]) -> None:
    """Sentences end at the marks of their script, with the blanks that it writes or without."""
    assert sentences(text) == parts


@pytest.mark.parametrize(
    ("name", "text", "named"),
    [
        ("De'Andre O'Neil", "De’Andre O’Neil is here.", True),
        ("Jean-Luc Ek", "Jean\u2011Luc Ek and jean luc ek", True),
        ("St. John-Smythe", "St John-Smythe came", True),
        ("Ada Pell", "I met Ada, Pell and Bo.", False),
        ("Ada Pell", "This is Ada. Pell is a town.", False),
        ("田中 太郎", "田中太郎さんが来た", True),
        ("김민수", "김민수는 왔다. 김민수씨에게도", True),
        ("김민수", "김민수진", False),
        ("محمد علي", "ومُحَمَّد علي هنا", True),
        ("משה", "למשה ומרים", True),
        ("@ada", "ada", False),
    ],
)
def test_names_with_marks_and_particles(name: str, text: str, named: bool) -> None:
    """Another apostrophe, hyphen or vowel point and particles joined to it leave a name one."""
    assert name_matcher(name)(text) is named


def test_digits_points_and_flags_are_words() -> None:
    """Digits of any script meet those of ASCII, vowel points are optional, a flag is a word."""
    assert words("١٢٣ १२ ９") == ["123", "12", "9"]
    assert words("שָׁלוֹם مـــوعِد") == ["שלום", "موعد"]
    assert words("🇯🇵🇫🇷") == ["🇯🇵", "🇫🇷"]


def test_digits_of_a_newer_unicode_stay() -> None:
    """Digits that only one of the two Unicode tables knows are left as they are."""
    assert normalize("\U00011f50 \U0001e4f1 1") == "\U00011f50 \U0001e4f1 1"
    assert "1" in words("\U00011f50 1")
