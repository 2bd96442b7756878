"""What a chat says: the best of several drafts, in one's own words, with what a tool gave."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ...core import (
    Completion,
    Failed,
    Generate,
    Json,
    Option,
    Seed,
    Thought,
    all_of,
    generate,
    name_matcher,
    normalize,
    short_name,
    words,
)
from ..goals import ToolCallRecord
from ..steps import StepBuilder, pick_option
from ..text import (
    excerpt,
    finished_sentence_ends,
    finished_sentences,
    first_spoken_line,
    is_english,
    is_fragment,
    is_grounded,
    is_unfinished,
    join_sentences,
    repeats,
    strip_quotes,
    to_first_person,
    word_overlap,
)

# A result that is no longer is said word for word.
_MAX_VERBATIM_CHARS = 60
# Characters of a line that a choice is about.
_MAX_ABOUT_CHARS = 400
# A tiny model strays the further the longer it speaks.
_MAX_SENTENCES = 3
# So many words in a row that stand in the prompt are recited from it.
_RECITED_WORDS = 7
# Stage directions: before a reply in any brackets, after it in those that no speech has.
_ASIDE_BEFORE = re.compile(r"^(?:\s*(?:\*[^*]*\*|\([^)]*\)|\[[^\]]*\]|（[^）]*）)\s*)+")
_ASIDE_AFTER = re.compile(r"\s*(?:\*[^*]{1,200}\*|\[[^\]]{1,200}\])\s*$")
_EMPTY_RESULTS = ("", "null", "{}", "[]", '""', "None")
_DENIAL = re.compile(r"\b(?:not|no|never|cannot)\b|n['’]t\b", re.IGNORECASE)
EMPTY_REPLY = Failed(
    reason="empty", detail="the model wrote no words; try it again, or another model"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplyContext:
    """What a draft of a reply is held against: who says it to whom, the line it answers, what
    was said before by oneself, the words of the prompt that are no memories, what calls of
    tools gave, and the names of others, who do not speak here."""

    name: str
    person: str
    line: str
    own_lines: tuple[str, ...] = ()
    prompt_sentences: tuple[str, ...] = ()
    calls: tuple[ToolCallRecord, ...] = ()
    others: tuple[str, ...] = ()


def best_reply(
    builder: StepBuilder,
    asks: Sequence[Generate],
    frame: ReplyContext,
    *,
    count: int,
    seed: Seed,
    borne: float,
) -> Thought[str | Failed]:
    """What is said: of ``count`` drafts of the first of ``asks`` the one that fits the line best
    by likelihood, and of those of the next where none can be used.

    Drafts that say again what was said, recite the prompt or are fragments are thrown away;
    where nothing else is left, what repeats least is said. ``borne`` see ``ensure_results``.
    Failed where the model gave no words."""
    kept: list[str] = []
    for number, ask in enumerate(asks):
        # Side by side, so that the drafts of a prompt are read once.
        seeds = [seed.child(number, place).number for place in range(count)]
        answers = yield from all_of([generate(replace(ask, seed=one)) for one in seeds])
        failures = [one for one in answers if isinstance(one, Failed)]
        if len(failures) == len(answers):
            if kept:
                break
            # What a tool gave can be said without a model, and what it did must be.
            return ensure_results("", frame, borne) or failures[0]
        texts = [one for one in answers if isinstance(one, Completion)]
        cleaned = [clean_reply(one.text, frame, cut=one.stopped == "limit") for one in texts]
        found = list(dict.fromkeys(text for text in cleaned if text))
        kept += found
        usable = [text for text in found if not _is_stale(text, frame)]
        stating = [text for text in usable if reports_results(text, frame, borne)]
        if frame.calls and result_texts(frame.calls):
            # A result is said in any case, and a second try would not make it truer.
            return ensure_results((stating or usable or found or [""])[0], frame, borne)
        if usable:
            return (yield from _likeliest(builder, usable, frame))
    if kept:
        return min(kept, key=lambda text: word_overlap(text, frame.own_lines))
    return EMPTY_REPLY


def _likeliest(builder: StepBuilder, texts: Sequence[str], frame: ReplyContext) -> Thought[str]:
    if len(texts) == 1:
        return texts[0]
    about = excerpt(frame.line, "", _MAX_ABOUT_CHARS)
    return (
        yield from pick_option(builder, [Option(text) for text in texts], about=about, role="line")
    )


def clean_reply(text: str, frame: ReplyContext, *, cut: bool = False) -> str:
    """A generated reply as it is said: no speaker's name or quotation marks around it, nothing
    of what another would say next, at most three sentences, none twice, and of oneself as I.
    Where the text was ``cut`` at its longest, an unfinished last sentence goes. Empty for a
    fragment, for what echoes the line it answers, and for what recites the prompt.

    >>> frame = ReplyContext(me="Bo Lind", person="Ada", line="What do you bake?")
    >>> clean_reply('Bo: "Bo Lind bakes rye. Bo Lind bakes rye." Ada: Thanks!', frame)
    'I bake rye.'
    """
    bare = first_spoken_line(text, frame.name, (frame.person, *frame.others))
    said = strip_quotes(_ASIDE_AFTER.sub("", _ASIDE_BEFORE.sub("", bare)).strip("` "))
    whole, rest = _finished_and_rest(said)
    if whole and (cut or is_unfinished(rest)):
        rest = ""
    parts = list(dict.fromkeys([*whole, rest] if rest else whole))
    parts = [part for part in parts if not is_recited(part, frame.prompt_sentences)]
    # "When are you open? We open at nine.": the line given back before its answer.
    if len(parts) > 1 and len(words(parts[0])) > 2 and words(parts[0]) == words(frame.line):
        parts = parts[1:]
    parts = [
        part
        for place, part in enumerate(parts)
        if len(words(part)) < 3 or not repeats(part, parts[:place], share=0.9)
    ][:_MAX_SENTENCES]
    said = speaker_as_i(strip_quotes(join_sentences(parts)), frame.name)
    if not said or is_fragment(said) or is_unfinished(said) or not words(said):
        return ""
    asked, answer = normalize(frame.line), normalize(said)
    return "" if answer == asked and len(words(said)) > 2 else said


def speaker_as_i(text: str, me: str) -> str:
    """A line in which its speaker is I. What gives the name stays, and a sentence that calls
    somebody else by it goes.

    >>> speaker_as_i("Bo Lind is a baker. I am Bo Lind. You may call me Bo. Hello, Bo!", "Bo Lind")
    'I am a baker. I am Bo Lind. You may call me Bo.'
    """
    forms = "|".join(map(re.escape, (me, short_name(me))))
    naming = re.compile(
        rf"\b(?:I am|I['’]m|name is|name['’]s|call(?:ed|s)? me|this is|here is)\s+(?:{forms})",
        re.IGNORECASE,
    )
    told = []
    english = is_english(text, (me,))
    for part in _all_sentences(text):
        turned = part if naming.search(part) or not english else to_first_person(part, me)
        if words(turned).count("me") == words(part).count("me"):
            told.append(turned)
    return join_sentences(told)


def _finished_and_rest(text: str) -> tuple[list[str], str]:
    """The finished sentences of a text, and what stands behind them."""
    ends = finished_sentence_ends(text)
    return finished_sentences(text), text[ends[-1] if ends else 0 :].strip()


def _all_sentences(text: str) -> list[str]:
    whole, rest = _finished_and_rest(text)
    return [*whole, rest] if rest else whole


def is_recited(text: str, shown: Sequence[str]) -> bool:
    """Whether a sentence is taken from the frame of a prompt word for word.

    >>> is_recited("Write the answer of Bo.", ["Write the answer of Bo."])
    True
    """
    said = words(text)
    for one in shown:
        known = words(one)
        size = min(_RECITED_WORDS, len(known))
        if size < 4 or len(said) < size:
            continue
        runs = {tuple(known[at : at + size]) for at in range(len(known) - size + 1)}
        if any(tuple(said[at : at + size]) in runs for at in range(len(said) - size + 1)):
            return True
    return False


def _is_stale(text: str, frame: ReplyContext) -> bool:
    """Whether a reply was given before, or most of it was."""
    if repeats(text, frame.own_lines, share=0.75):
        return True
    told = [sentence for line in frame.own_lines for sentence in _all_sentences(line)]
    return any(
        len(words(part)) > 4 and repeats(part, told, share=0.85) for part in _all_sentences(text)
    )


# -- what tools gave ---------------------------------------------------------------------------


def result_texts(calls: Sequence[ToolCallRecord]) -> list[str]:
    """What calls gave, in words to be said; calls that failed or gave nothing tell nothing."""
    told = [
        _readable_result(one.text)
        for one in calls
        if one.ok and not one.doubted and not one.is_world_action
    ]
    return [text for text in told if text.strip() not in _EMPTY_RESULTS]


def _readable_result(text: str) -> str:
    """A result as it is said: what is JSON as its values under their names."""
    if text[:1] not in "{[":
        return text.strip()
    try:
        value = json.loads(text)
    except ValueError:
        return text.strip()
    return _flatten_json(value)


def _flatten_json(value: Json) -> str:
    if isinstance(value, dict):
        return ", ".join(
            f"{name.replace('_', ' ')}: {_flatten_json(one)}" for name, one in value.items()
        )
    if isinstance(value, list):
        return "; ".join(map(_flatten_json, value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "nothing" if value is None else str(value)


def reports_results(text: str, frame: ReplyContext, borne: float) -> bool:
    """Whether a reply says what the calls gave and nothing against it: a short result word for
    word, of a long one the numbers and words that it takes up. ``borne`` is the share of the
    reply's longer words that stand in the line or the results."""
    found = result_texts(frame.calls)
    if not found:
        return True
    said = normalize(text)
    for result in found:
        short = len(result) <= _MAX_VERBATIM_CHARS
        if short and not _contains_result(said, normalize(result)):
            return False
        if not short and word_overlap(text, [result]) < 0.4:
            return False
        if short and _DENIAL.search(text) and not _DENIAL.search(result):
            return False
    return not borne or is_grounded(text, [frame.line, *frame.own_lines, *found], borne)


def _contains_result(text: str, result: str) -> bool:
    # A number must not be a part of another one.
    first = r"(?<!\d[.,])" if result[0].isdigit() else ""
    last = r"(?![.,]\d)" if result[-1].isdigit() else ""
    if first or last:
        return re.search(rf"(?<!\w){first}{re.escape(result)}{last}(?!\w)", text) is not None
    return name_matcher(result)(text)


def ensure_results(text: str, frame: ReplyContext, borne: float) -> str:
    """A reply that says what the calls gave: the text where it does, else the results alone.
    0 as ``borne`` leaves the text as it is."""
    if not borne or reports_results(text, frame, borne):
        return text
    return "; ".join(result_texts(frame.calls)) or text
