"""The reply of a dialogue: the best of several cleaned drafts, with the results of tool calls."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from ...core import (
    NEXT_LINE_ROLE,
    Choice,
    Completion,
    Failed,
    Generate,
    Json,
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
from ..speech import choose_next_line
from ..steps import StepBuilder
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

# Longest result that must be reported word for word.
_MAX_VERBATIM_CHARS = 60
_MAX_ABOUT_CHARS = 400  # of the line that a choice is about
MAX_SENTENCES = 3  # of a reply; a small model drifts in longer ones
_RECITED_WORDS = 7  # in a row that are recited from the prompt
# Stage directions before a reply (in any brackets) and after it.
_ASIDE_BEFORE = re.compile(r"^(?:\s*(?:\*[^*]*\*|\([^)]*\)|\[[^\]]*\]|（[^）]*）)\s*)+")
_ASIDE_AFTER = re.compile(r"\s*(?:\*[^*]{1,200}\*|\[[^\]]{1,200}\])\s*$")
_TOOL_SAYS = re.compile(r"^\s*The \w+ says: ")  # as the prompt puts a result
_EMPTY_RESULTS = ("", "null", "{}", "[]", '""', "None")
# Errors whose text a tool wrote for its caller.
_ERROR_WITH_A_REASON = re.compile(r"(?:LookupError|ValueError): ([^\n]{1,200})")
_DENIAL = re.compile(r"\b(?:not|no|never|cannot)\b|n['’]t\b", re.IGNORECASE)
EMPTY_REPLY = Failed(
    reason="empty", detail="the model wrote no words; try it again, or another model"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplyContext:
    """What a draft of a reply is checked against: its speaker ``name``, the ``person`` and their
    ``line``, the speaker's earlier lines, the instructions of the prompt, the tool calls, and the
    names of others who do not speak.

    ``refusal`` names the rule by which a draft is refused (empty: none). ``candidates`` are replies
    that compete with the drafts, and are given where no draft is usable: the first one that was not
    said before, else the last one, which is the shortest. ``spare`` ones are given only then, and
    if the model wrote something. ``most``: sentences of a reply."""

    name: str
    person: str
    line: str
    own_lines: tuple[str, ...] = ()
    prompt_sentences: tuple[str, ...] = ()
    calls: tuple[ToolCallRecord, ...] = ()
    others: tuple[str, ...] = ()
    refusal: Callable[[str], str] = lambda draft: ""
    candidates: tuple[str, ...] = ()
    spare: tuple[str, ...] = ()
    most: int = MAX_SENTENCES


def best_reply(
    builder: StepBuilder,
    asks: Sequence[Generate],
    context: ReplyContext,
    *,
    count: int,
    seed: Seed,
    borne: float,
) -> Thought[str | Failed]:
    """The likeliest next line of ``count`` drafts of the first of ``asks``; of the next one if
    none of them is usable.

    Repetitions, recitations of the prompt, fragments and refused drafts are discarded; if no draft
    is usable, the reply is a candidate or spare one, else the draft that repeats least. For
    ``borne`` see ``ensure_results``. Failed if the model gave no text."""
    discarded: list[str] = []
    refused: Counter[str] = Counter()
    for number, ask in enumerate(asks):
        seeds = [seed.child(number, index).number for index in range(count)]
        answers = yield from all_of([generate(replace(ask, seed=value)) for value in seeds])
        failures = [answer for answer in answers if isinstance(answer, Failed)]
        if len(failures) == len(answers):
            if discarded or refused:
                break
            # The results of tools can be reported without a model.
            return ensure_results("", context, borne) or failures[0]
        completions = [answer for answer in answers if isinstance(answer, Completion)]
        cleaned = [clean_reply(c.text, context, cut=c.stopped == "limit") for c in completions]
        drafts = list(dict.fromkeys(text for text in cleaned if text))
        usable = []
        for text in drafts:
            rule = "stale" if _is_stale(text, context) else context.refusal(text)
            refused.update([rule] if rule else [])
            usable += [] if rule else [text]
            discarded += [text] if rule in ("", "stale") else []
        reporting = [text for text in usable if reports_results(text, context, borne)]
        if context.calls and result_texts(context.calls):
            # The results are reported in any case, so another attempt is not needed.
            return ensure_results((reporting or usable or drafts or [""])[0], context, borne)
        if usable or context.candidates:
            _explain_refusals(builder, refused)
            # What was said before is said again only if there is nothing else.
            rivals = [text for text in context.candidates if not _is_stale(text, context)][:1]
            rivals = rivals or ([] if usable else list(context.candidates[-1:]))
            options = list(dict.fromkeys((*usable, *rivals)))
            if len(options) == 1:
                return options[0]
            return (yield from _pick(builder, options, ask, context))
    _explain_refusals(builder, refused)
    if refused and context.spare:
        return fresh_first(context.spare, context)[0]
    if discarded:
        return min(discarded, key=lambda text: word_overlap(text, context.own_lines))
    return EMPTY_REPLY


def _pick(
    builder: StepBuilder, options: Sequence[str], ask: Generate, context: ReplyContext
) -> Thought[str]:
    """The likeliest next line of the conversation; the first option if the model fails."""
    about = excerpt(context.line, "", _MAX_ABOUT_CHARS)
    seed = builder.situation.seed.child(NEXT_LINE_ROLE, about).number
    answer = yield from choose_next_line(ask, options, about, seed)
    if not isinstance(answer, Choice):
        builder.explain(f"(no choice of {NEXT_LINE_ROLE}: {answer.detail})")
        return options[0]
    return max(zip(answer.probabilities, options), key=lambda pair: pair[0])[1]


def _explain_refusals(builder: StepBuilder, refused: Counter[str]) -> None:
    rules = ", ".join(f"{rule} {count}" for rule, count in sorted(refused.items()))
    if rules:
        builder.explain(f"Drafts refused: {rules}.")


def fresh_first(replies: Sequence[str], context: ReplyContext) -> list[str]:
    """Replies by how little they repeat the speaker's earlier lines, in a stable order."""
    return sorted(replies, key=lambda text: word_overlap(text, context.own_lines) > 0.9)


def clean_reply(text: str, context: ReplyContext, *, cut: bool = False) -> str:
    """A completion as a reply in the first person: without speaker names, quotation marks and
    repeated sentences, and at most ``context.most`` sentences long.

    If the completion was ``cut`` at its token limit, an unfinished last sentence is removed.
    Empty for a fragment, an echo of the line and a recitation of the prompt.

    >>> context = ReplyContext(name="Bo Lind", person="Ada", line="What do you bake?")
    >>> clean_reply('Bo: "Bo Lind bakes rye. Bo Lind bakes rye." Ada: Thanks!', context)
    'I bake rye.'
    """
    line = first_spoken_line(text, context.name, (context.person, *context.others))
    line = _TOOL_SAYS.sub("", line)
    line = strip_quotes(_ASIDE_AFTER.sub("", _ASIDE_BEFORE.sub("", line)).strip("` "))
    finished, rest = _finished_and_rest(line)
    if finished and (cut or is_unfinished(rest)):
        rest = ""
    parts = list(dict.fromkeys([*finished, rest] if rest else finished))
    parts = [part for part in parts if not is_recited(part, context.prompt_sentences)]
    # "When are you open? We open at nine.": the line is repeated before its answer.
    if len(parts) > 1 and len(words(parts[0])) > 2 and words(parts[0]) == words(context.line):
        parts = parts[1:]
    parts = [
        part
        for index, part in enumerate(parts)
        if len(words(part)) < 3 or not repeats(part, parts[:index], share=0.9)
    ][: context.most]
    reply = speaker_as_i(strip_quotes(join_sentences(parts)), context.name)
    if not reply or is_fragment(reply) or is_unfinished(reply) or not words(reply):
        return ""
    is_echo = normalize(reply) == normalize(context.line) and len(words(reply)) > 2
    return "" if is_echo else reply


def speaker_as_i(text: str, me: str) -> str:
    """A line in the first person. Sentences that introduce the speaker keep the name; sentences
    that address somebody else by it are removed.

    >>> speaker_as_i("Bo Lind is a baker. I am Bo Lind. You may call me Bo. Hello, Bo!", "Bo Lind")
    'I am a baker. I am Bo Lind. You may call me Bo.'
    """
    forms = "|".join(map(re.escape, (me, short_name(me))))
    naming = re.compile(
        rf"\b(?:I am|I['’]m|name is|name['’]s|call(?:ed|s)? me|this is|here is)\s+(?:{forms})",
        re.IGNORECASE,
    )
    parts = []
    english = is_english(text, (me,))
    for part in _all_sentences(text):
        rewritten = part if naming.search(part) or not english else to_first_person(part, me)
        if words(rewritten).count("me") == words(part).count("me"):
            parts.append(rewritten)
    return join_sentences(parts)


def _finished_and_rest(text: str) -> tuple[list[str], str]:
    ends = finished_sentence_ends(text)
    return finished_sentences(text), text[ends[-1] if ends else 0 :].strip()


def _all_sentences(text: str) -> list[str]:
    whole, rest = _finished_and_rest(text)
    return [*whole, rest] if rest else whole


def is_recited(text: str, prompt_sentences: Sequence[str]) -> bool:
    """Whether a text repeats several words in a row of an instruction of the prompt.

    >>> is_recited("Write the answer of Bo.", ["Write the answer of Bo."])
    True
    """
    for sentence in prompt_sentences:
        size = min(_RECITED_WORDS, len(words(sentence)))
        if size >= 4 and _ngrams(sentence, size) & _ngrams(text, size):
            return True
    return False


def _ngrams(text: str, size: int) -> set[tuple[str, ...]]:
    tokens = words(text)
    return {tuple(tokens[start : start + size]) for start in range(len(tokens) - size + 1)}


def _is_stale(text: str, context: ReplyContext) -> bool:
    """Whether a reply, or one of its longer sentences, repeats an earlier line of the speaker."""
    if repeats(text, context.own_lines, share=0.75):
        return True
    earlier = [sentence for line in context.own_lines for sentence in _all_sentences(line)]
    return any(
        len(words(part)) > 4 and repeats(part, earlier, share=0.85) for part in _all_sentences(text)
    )


# -- results of tool calls -----------------------------------------------------------------


def result_texts(calls: Sequence[ToolCallRecord]) -> list[str]:
    """The results of calls as readable texts, without failed, doubted and empty ones."""
    texts = [
        _readable_result(call.text)
        for call in calls
        if call.ok and not call.doubted and not call.is_world_action
    ]
    return [text for text in texts if text.strip() not in _EMPTY_RESULTS]


def failure_text(call: ToolCallRecord) -> str:
    """What a person is told of a call that failed, and why.

    >>> failed = ToolCallRecord(
    ...     tool="find", arguments={}, ok=False, text="LookupError: no order 7", reason="failed")
    >>> failure_text(failed)
    'That did not work: no order 7.'
    """
    if call.reason == "denied":
        return "I may not do that: it was not approved, and nothing was done."
    if call.reason in ("timeout", "gone"):
        return "That did not work, and it is not known whether it was done."
    error = _ERROR_WITH_A_REASON.fullmatch(call.text)
    why = error[1].strip().rstrip(".") if error and call.reason == "failed" else ""
    return f"That did not work: {why}." if why else "That did not work."


def _readable_result(text: str) -> str:
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
            f"{name.replace('_', ' ')}: {_flatten_json(inner)}" for name, inner in value.items()
        )
    if isinstance(value, list):
        return "; ".join(map(_flatten_json, value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "nothing" if value is None else str(value)


def reports_results(text: str, context: ReplyContext, borne: float) -> bool:
    """Whether a reply reports the results and does not contradict them: a short result word for
    word, of a long one at least 40 % of the words. ``borne`` is the share of the reply's longer
    words that must occur in the line, the speaker's lines or the results (0: no check)."""
    results = result_texts(context.calls)
    if not results:
        return True
    for result in results:
        if len(result) > _MAX_VERBATIM_CHARS:
            if word_overlap(text, [result]) < 0.4:
                return False
        elif not _contains_result(normalize(text), normalize(result)) or (
            _DENIAL.search(text) and not _DENIAL.search(result)
        ):
            return False
    return not borne or is_grounded(text, [context.line, *context.own_lines, *results], borne)


def _contains_result(text: str, result: str) -> bool:
    # A number must not be part of another one.
    before = r"(?<!\d[.,])" if result[0].isdigit() else ""
    after = r"(?![.,]\d)" if result[-1].isdigit() else ""
    if before or after:
        return re.search(rf"(?<!\w){before}{re.escape(result)}{after}(?!\w)", text) is not None
    return name_matcher(result)(text)


def ensure_results(text: str, context: ReplyContext, borne: float) -> str:
    """The text if it reports the results of the calls or ``borne`` is 0, else the results."""
    if not borne or reports_results(text, context, borne):
        return text
    return "; ".join(result_texts(context.calls)) or text
