"""Clean-up of generated lines: removes speaker names, quotation marks and stage directions."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache

from ...core import replace_surrogates, short_name
from .sentences import finished_sentence_ends, has_two_words, is_fragment, is_unfinished

# Longest prefix of a completion that is read.
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
# Control tokens of chat templates, written out as text.
_CONTROL = re.compile(r"<\|[\w ]{1,40}\|>|</?s>|\[/?INST\]|<(?:start|end)_of_turn>")


def clean_line(text: str, me: str, others: Sequence[str] = ()) -> str:
    """A completion as a line of speech: without speaker name, quotation marks and stage
    directions, and at most two finished sentences.

    The names of ``me`` and of ``others`` before the line are removed, and so is the text after a
    further speaker's name. Empty if the line is no speech: a fragment, a text that ends with a
    comma, or one with a stage direction inside.

    >>> clean_line('Bo: *smiles* "Good morning! How are you? I was', "Bo Li")
    'Good morning! How are you?'
    >>> clean_line("to the post office every day", "Bo Li")
    ''
    >>> clean_line("Ada: 早上好！今天的面包怎么样？ Bo: 很好。", "Bo Li", ["Ada Ek"])
    '早上好！今天的面包怎么样？'
    """
    line = _DIRECTION.sub("", first_spoken_line(text[:_MAX_CHARS], me, others)).strip(" *")
    line = strip_quotes(line)
    if not line or _BRACKETS.search(line) or is_fragment(line):
        return ""
    ends = finished_sentence_ends(line)
    line = strip_quotes(line[: ends[:2][-1]] if ends else line).strip(" *")
    return line if has_two_words(line) and not is_unfinished(line) else ""


def first_spoken_line(text: str, me: str, others: Sequence[str] = ()) -> str:
    """The first non-empty line of a text, without the speaker name before it and without the
    text from a further speaker name on.

    >>> first_spoken_line("**Bo Li:** Hello! Ada: Hi.", "Bo Li", ["Ada Ek"])
    'Hello!'
    """
    name_before, name_within = _speaker_patterns((me, *others))
    text = _CONTROL.sub("\n", unicodedata.normalize("NFC", replace_surrogates(text)))
    lines = _join_list_items([line for raw in text.splitlines() if (line := " ".join(raw.split()))])
    for index, line in enumerate(lines):
        # "Here is my answer as Bo:" and "In a warm voice:" introduce the line after them.
        if line[-1] in ":：" and index + 1 < len(lines):
            continue
        for _ in range(3):
            line, count = name_before.subn("", strip_quotes(line) if _is_quoted(line) else line)
            if not count:
                break
        if next_speaker := name_within.search(line):
            line = line[: next_speaker.start()]
        if line := line.strip():
            return line
    return ""


def _join_list_items(lines: Sequence[str]) -> list[str]:
    """The lines with list items appended to the line that introduces them."""
    joined: list[str] = []
    after_item = False
    for line in lines:
        item = _ITEM.match(line)
        if item and joined and (after_item or joined[-1][-1] in ":："):
            joined[-1] += f"{',' if after_item else ''} {line[item.end() :]}"
        else:
            joined.append(line[item.end() :] if item else line)
        after_item = item is not None
    return joined


def _is_quoted(text: str) -> bool:
    return text[:1] in _QUOTES and text[:1] != "'"


@lru_cache(maxsize=256)
def _speaker_patterns(names: tuple[str, ...]) -> tuple[re.Pattern[str], re.Pattern[str]]:
    known = {
        unicodedata.normalize("NFC", form)
        for name in names
        if name.strip()
        for form in (name, short_name(name), name.strip().partition(" ")[2].strip())
        if form
    }
    roles = {"Assistant", "AI", "User", "Human", "System"}
    listed = "|".join(re.escape(name) for name in sorted(known | roles, key=len, reverse=True))
    answer = "|A|Answer|Reply|Response"
    says = r"(?:\s+(?:says|said|replies|replied|answers|answered)\b[^:：\n\"“]{0,40})?"
    mark = r"\s*(?:\([^)]*\)\s*)?[*_\"”]*\s*[:：][*_]*\s*"
    before = re.compile(rf"^[*_#>\[\s]*(?:{listed}{answer})\]?{says}{mark}", re.IGNORECASE)
    # A name directly after a word is no speaker: "I asked Will: will you come?"
    within = re.compile(
        rf"(?<![\w@])(?<![\w,]\s)[*_\[]*(?:{listed})[*_\]]*\s?[:：](?=[*_\s\"“]|$)", re.IGNORECASE
    )
    return before, within


def strip_quotes(text: str) -> str:
    """A text without quotation marks around it, and without unpaired quotation marks.

    >>> strip_quotes('"The loaf called "Ada" is gone.'), strip_quotes('Say "rye" to me.')
    ('The loaf called "Ada" is gone.', 'Say "rye" to me.')
    """
    text = text.strip()
    while True:
        before = text
        if len(text) > 1 and text[-1] in _QUOTES.get(text[0], "") and _is_wrapped(text):
            text = text[1:-1].strip()
        if text.count('"') % 2:
            text = text[1:] if text[0] == '"' else _remove_marks(text, '"', text.rfind('"') - 1)
        for opening, closing in (("“„", "”"), ("«", "»"), ("「", "」"), ("『", "』")):
            if sum(text.count(mark) for mark in opening) != text.count(closing):
                text = _remove_marks(text, opening + closing)
        text = text.strip()
        if text == before:
            return text


def _is_wrapped(text: str) -> bool:
    mark, inner = text[0], text[1:-1]
    if mark == "'":
        return re.search(r"(?<!\w)'|'(?!\w)", inner) is None
    if mark != '"':
        return mark not in inner and text[-1] not in inner
    position = inner.find('"')
    # An inner mark after a space opens a quotation; one after a word closes the first one.
    return position < 0 or (position > 0 and inner[position - 1].isspace()) or not inner.strip('" ')


def _remove_marks(text: str, marks: str, start: int = 0) -> str:
    """A text without ``marks`` from ``start`` on; a space replaces a mark between two words."""
    start = max(0, start)
    rest = re.sub(rf"(?<=\w)[{marks}](?=\w)", " ", text[start:])
    return text[:start] + re.sub(rf"[{marks}]", "", rest)
