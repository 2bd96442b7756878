"""Clean-up of generated lines of speech: speaker names, quotation marks, stage directions."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache

from ...core import replace_surrogates, short_name
from .sentences import (
    has_two_words,
    is_fragment,
    is_unfinished,
    sentence_ends,
)

# Characters of a draft that are looked at.
_MAX_CHARS = 2_000
_QUOTES = {
    '"': '"',
    "“": "”",
    "„": "“”",
    "«": "»",
    "»": "«",
    "「": "」",
    "『": "』",
    "‘": "’",
    "'": "'",
}
_BRACKETS = re.compile(r"[*(\[{<（［｛＜【]")
_DIRECTION = re.compile(r"^(?:[^\w¡¿]*[*(（][^*)）]*[*)）])+")
_ITEM = re.compile(r"^(?:[-•–*]|\d{1,2}[.)]) (?=\S)")
# What marks turns in the prompts of chat models, written out.
_CONTROL = re.compile(r"<\|[\w ]{1,40}\|>|</?s>|\[/?INST\]|<(?:start|end)_of_turn>")


def clean_line(text: str, me: str, others: Sequence[str] = ()) -> str:
    """A generated line as speech: no name, quotation marks or stage direction around it, at
    most two sentences, and no unfinished last one where a whole one stands before it.

    Who says a line is settled before it is written, so the name of any of ``others`` before it
    is cut off like one's own, and so is what another would say next. Empty for what is no
    speech in any script: a fragment that begins in the middle of a sentence or breaks off at a
    comma, or a stage direction inside it.

    >>> clean_line('Bo: *smiles* "Good morning! How are you? I was', "Bo Li")
    'Good morning! How are you?'
    >>> clean_line("to the post office every day", "Bo Li")
    ''
    >>> clean_line("Ada: 早上好！今天的面包怎么样？ Bo: 很好。", "Bo Li", ["Ada Ek"])
    '早上好！今天的面包怎么样？'
    """
    said = _DIRECTION.sub("", first_spoken_line(text[:_MAX_CHARS], me, others)).strip(" *")
    said = strip_quotes(said)
    if not said or _BRACKETS.search(said) or is_fragment(said):
        return ""
    ends = sentence_ends(said)
    whole = strip_quotes(said[: ends[:2][-1]] if ends else said).strip(" *")
    return whole if has_two_words(whole) and not is_unfinished(whole) else ""


def first_spoken_line(text: str, me: str, others: Sequence[str] = ()) -> str:
    """The first line of a text that holds words, without the name of a speaker before it, and
    only up to where another speaker's name begins.

    >>> first_spoken_line("**Bo Li:** Hello! Ada: Hi.", "Bo Li", ["Ada Ek"])
    'Hello!'
    """
    label, later = _speaker_patterns((me, *others))
    text = _CONTROL.sub("\n", unicodedata.normalize("NFC", replace_surrogates(text)))
    lines = _join_list_items(
        [said for line in text.splitlines() if (said := " ".join(line.split()))]
    )
    for place, said in enumerate(lines):
        # "Here is my answer as Bo:", "In a warm voice:" before what is said.
        if said[-1] in ":：" and place + 1 < len(lines):
            continue
        for _ in range(3):
            said, cut = label.subn("", strip_quotes(said) if _is_quoted(said) else said)
            if not cut:
                break
        if found := later.search(said):
            said = said[: found.start()]
        if said := said.strip():
            return said
    return ""


def _join_list_items(lines: Sequence[str]) -> list[str]:
    """Lines with the items of a list in one line, after what announces them."""
    told: list[str] = []
    after_item = False
    for line in lines:
        item = _ITEM.match(line)
        if item and told and (after_item or told[-1][-1] in ":："):
            told[-1] += f"{',' if after_item else ''} {line[item.end() :]}"
        else:
            told.append(line[item.end() :] if item else line)
        after_item = item is not None
    return told


def _is_quoted(text: str) -> bool:
    """Whether a quotation mark stands before everything in a text."""
    return text[:1] in _QUOTES and text[:1] != "'"


@lru_cache(maxsize=256)
def _speaker_patterns(names: tuple[str, ...]) -> tuple[re.Pattern[str], re.Pattern[str]]:
    """What matches a speaker's name before a line, and one within it."""
    known = {
        unicodedata.normalize("NFC", form)
        for name in names
        if name.strip()
        for form in (name, short_name(name), name.strip().partition(" ")[2].strip())
        if form
    }
    sides = {"Assistant", "AI", "User", "Human", "System"}
    listed = "|".join(re.escape(one) for one in sorted(known | sides, key=len, reverse=True))
    answer = "|A|Answer|Reply|Response"
    says = r"(?:\s+(?:says|said|replies|replied|answers|answered)\b[^:：\n\"“]{0,40})?"
    mark = r"\s*(?:\([^)]*\)\s*)?[*_\"”]*\s*[:：][*_]*\s*"
    before = re.compile(rf"^[*_#>\[\s]*(?:{listed}{answer})\]?{says}{mark}", re.IGNORECASE)
    # A name within a sentence is addressed: "I asked Will: will you come?"
    within = re.compile(
        rf"(?<![\w@])(?<![\w,]\s)[*_\[]*(?:{listed})[*_\]]*\s?[:：](?=[*_\s\"“]|$)",
        re.IGNORECASE,
    )
    return before, within


def strip_quotes(text: str) -> str:
    """A text without quotation marks around all of it, and without one that has no other.

    >>> strip_quotes('"The loaf called "Ada" is gone.'), strip_quotes('Say "rye" to me.')
    ('The loaf called "Ada" is gone.', 'Say "rye" to me.')
    """
    said = text.strip()
    while True:
        before = said
        if len(said) > 1 and said[-1] in _QUOTES.get(said[0], "") and _is_wrapped(said):
            said = said[1:-1].strip()
        if said.count('"') % 2:
            said = said[1:] if said[0] == '"' else _remove_marks(said, '"', said.rfind('"') - 1)
        for first, last in (("“„", "”"), ("«", "»"), ("「", "」"), ("『", "』")):
            opened = sum(said.count(mark) for mark in first)
            if opened != said.count(last):
                said = _remove_marks(said, first + last)
        said = said.strip()
        if said == before:
            return said


def _is_wrapped(text: str) -> bool:
    """Whether the marks at both ends of a text belong together."""
    mark, inner = text[0], text[1:-1]
    if mark == "'":
        return re.search(r"(?<!\w)'|'(?!\w)", inner) is None
    if mark != '"':
        return mark not in inner and text[-1] not in inner
    place = inner.find('"')
    # What opens after a blank stands inside; what closes after a word ends the first one.
    return place < 0 or (place > 0 and inner[place - 1].isspace()) or not inner.strip('" ')


def _remove_marks(text: str, marks: str, start: int = 0) -> str:
    """A text without marks from a place on; a blank keeps two words apart."""
    start = max(0, start)
    rest = re.sub(rf"(?<=\w)[{marks}](?=\w)", " ", text[start:])
    return text[:start] + re.sub(rf"[{marks}]", "", rest)
