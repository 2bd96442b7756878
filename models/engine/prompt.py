"""Chat messages to token ids: the chat template, neutralised special tokens, truncation."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, TypeAlias

from ...core import ContextTooLong, Message, ModelError, Part, replace_surrogates

# Private-use characters: they only ever stand in the skeleton, never beside real text.
MARK = "\ue000{}\ue001"


MARKS = re.compile("\ue000(\\d+)\ue001")


TemplateFrame: TypeAlias = tuple[int | tuple[int, ...], ...]


"""A rendered chat: ids of the template's own pieces, and the numbers of the messages whose
texts stand between them."""


# What templates call the variable that turns reasoning off, and the value that does.
REASONING_SWITCHES: dict[str, Any] = {
    "enable_thinking": False,
    "enable_reasoning": False,
    "thinking": False,
    "reasoning": False,
    "think": False,
    "thinking_mode": "off",
    "thinking_budget": 0,
    "disable_thinking": True,
    "no_thinking": True,
    "skip_thinking": True,
}


# What templates compare thinking_mode with where it is off.
REASONING_OFF_MODES = ("off", "disabled", "disable", "none", "no_think", "nothink", "chat", "fast")


# The day that templates are told where they ask for today's: with the real one the same run
# would have another prompt each day, and no world's time stands in the system's own words.
TEMPLATE_DATE = datetime(2024, 7, 26)


# What opens a piece of reasoning, and what closes it.
REASONING_MARKERS = (
    (re.compile(r"<((?:\w+:)?(?:think(?:ing)?|thoughts?|reason(?:ing)?))>"), r"</\1>"),
    (re.compile(r"\[THINK\]"), "[/THINK]"),
    (re.compile(r"<\|START_THINKING\|>"), "<|END_THINKING|>"),
    (re.compile("◁think▷"), "◁/think▷"),
)


# Templates with channels: the reasoning's, the answer's, and where a channel is still to come.
CHANNEL = "<|channel|>"


ANALYSIS_CHANNEL = re.compile(r"<\|channel\|>analysis<\|message\|>\s*$")


FINAL_CHANNEL = f"{CHANNEL}final<|message|>"


CHANNEL_PENDING = re.compile(r"<\|start\|>assistant$")


REASONING_TOKENS = ("<think>", "<thinking>", "<thought>", "<seed:think>", "[THINK]")


class ChatTemplate:
    """Renders roles as a frame in which texts are put. Raises ModelError for a template that
    cannot show a user's message."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        name = getattr(tokenizer, "name_or_path", "") or "the model"
        remedy = "mend or remove it (chat_template.jinja or tokenizer_config.json)"
        try:
            self._source = (
                _with_fixed_date(tokenizer.get_chat_template()) if tokenizer.chat_template else ""
            )
            self._settings = _reasoning_settings(self._source)
            self.start = _start_tokens(tokenizer)
            for roles in (("user",), ("system", "user"), ("user", "assistant", "user")):
                self.frame(roles, True)
        except ValueError as error:
            raise ModelError(
                f"{name}: its chat template cannot be used: {error}; {remedy}"
            ) from error

    def frame(self, roles: tuple[str, ...], reply: bool) -> TemplateFrame:
        """The frame for some roles; with ``reply`` it opens the assistant's turn. A last role
        of the assistant is left open then. Raises ValueError where a message finds no place."""
        open_end = reply and roles[-1:] == ("assistant",)
        skeleton = self._skeleton(roles, reply and not open_end)
        if open_end:
            last = MARK.format(len(roles) - 1)
            skeleton = skeleton[: skeleton.rindex(last) + len(last)]
        pieces: list[int | tuple[int, ...]] = []
        at = 0
        for mark in MARKS.finditer(skeleton):
            pieces.append(self._ids(skeleton[at : mark.start()]))
            pieces.append(int(mark.group(1)))
            at = mark.end()
        pieces.append(self._ids(skeleton[at:]))
        pieces[0] = self._started(MARKS.split(skeleton, maxsplit=1)[0])
        return tuple(pieces)

    def _started(self, text: str) -> tuple[int, ...]:
        """Ids of the template's first piece, which begin as the tokenizer begins a text."""
        for ids in (self._ids(text), self._ids(text.lstrip())):
            if ids[: len(self.start[:1])] == self.start[:1]:
                return ids
        return self.start + self._ids(text)

    def end_tokens(self) -> set[int]:
        """Control tokens by which the template ends an assistant's message; where it has none,
        the one by which it begins the next."""
        control = set(self._tokenizer.added_tokens_decoder) | set(self._tokenizer.all_special_ids)
        for roles in (("user", "assistant"), ("user", "assistant", "user")):
            try:
                frame = self.frame(roles, False)
            except ValueError:  # a user's message alone can be rendered
                continue
            behind = frame[frame.index(1) + 1] if 1 in frame else ()
            found = [i for i in behind if i in control] if isinstance(behind, tuple) else []
            if found:
                return {found[0]}
        return set()

    def holds(self, token: str) -> bool:
        """Whether the template writes a token, or it begins reasoning."""
        return token in self._source or token in REASONING_TOKENS

    def reasoning_tokens(self) -> set[int]:
        """Tokens that begin a piece of reasoning, which nobody would cut out of the answer."""
        known = self._tokenizer.get_vocab()
        return {known[token] for token in REASONING_TOKENS if token in known}

    def _skeleton(self, roles: tuple[str, ...], reply: bool) -> str:
        if not self._source:
            lines = [f"{role.title()}: {MARK.format(i)}\n" for i, role in enumerate(roles)]
            return "".join(lines) + ("Assistant:" if reply else "")
        reason = ""
        plain = list(_arrangements(roles))
        for chat in [*plain, *map(_as_text_parts, plain)]:
            try:
                text = self._apply(chat, reply)
            except _template_errors() as error:
                # Some refuse system or tool messages, or two of one role in a row.
                reason = reason or str(error)
                continue
            order = list(dict.fromkeys(int(number) for number in MARKS.findall(text)))
            if set(order) != set(range(len(roles))):
                reason = reason or f"it leaves out messages of {', '.join(roles)}"
                continue
            # What the system says has a place of its own in some.
            said = [i for i in order if roles[i] != "system"]
            if said == sorted(said):
                return text
            reason = reason or "it shows messages in another order"
        raise ValueError(reason)

    def _apply(self, chat: list[dict[str, Any]], reply: bool) -> str:
        text = self._render(chat, reply)
        if not reply:
            return text
        if text == self._render(chat, False):
            text += self._opening(chat, text)
        return _close_reasoning(text, channels=CHANNEL in self._source)

    def _opening(self, chat: list[dict[str, Any]], text: str) -> str:
        """What a template that does not open the assistant's turn when asked to writes before
        an answer; empty where an answer follows at once."""
        content: Any = MARK.format("0" * 9)
        if chat and isinstance(chat[0]["content"], list):
            content = [{"type": "text", "text": content}]
        try:
            answered = self._render([*chat, {"role": "assistant", "content": content}], False)
        except _template_errors():
            return ""
        before = answered.partition(MARK.format("0" * 9))[0]
        added = before.removeprefix(text)
        return added if added.strip() and before != added and before != answered else ""

    def _render(self, chat: list[dict[str, Any]], reply: bool) -> str:
        return str(
            self._tokenizer.apply_chat_template(
                chat,
                chat_template=self._source,
                tokenize=False,
                add_generation_prompt=reply,
                **self._settings,
            )
        )

    def _ids(self, text: str) -> tuple[int, ...]:
        return tuple(self._tokenizer(text, add_special_tokens=False).input_ids)


def _close_reasoning(text: str, channels: bool) -> str:
    """A prompt that ends where the answer begins: reasoning that the template has opened by
    itself is closed."""
    if channels:
        text = ANALYSIS_CHANNEL.sub(FINAL_CHANNEL, text)
        return text + FINAL_CHANNEL if CHANNEL_PENDING.search(text) else text
    last = max((mark.end() for mark in MARKS.finditer(text)), default=0)
    for pattern, closing in REASONING_MARKERS:
        for opened in list(pattern.finditer(text, last))[-1:]:
            end = opened.expand(closing)
            if end not in text[opened.end() :]:
                return f"{text.rstrip()}\n\n{end}\n\n"
    return text


def _template_errors() -> tuple[type[Exception], ...]:
    from jinja2 import TemplateError

    return (TemplateError, ValueError, TypeError, KeyError, IndexError, AttributeError)


def _reasoning_settings(source: str) -> dict[str, Any]:
    """Which switches a template knows, with the values that turn reasoning off."""
    words = set(re.findall(r"\w+", source))
    settings = {name: value for name, value in REASONING_SWITCHES.items() if name in words}
    if "thinking_mode" in words:
        modes = re.findall(r"""thinking_mode\s*[!=]=\s*["']([\w-]+)["']""", source)
        settings["thinking_mode"] = next(
            (mode for mode in REASONING_OFF_MODES if mode in modes), "off"
        )
    if "reasoning_effort" in words:
        settings["reasoning_effort"] = "none" if re.search("""["']none["']""", source) else "low"
    if "date_string" in words:
        settings["date_string"] = TEMPLATE_DATE.strftime("%d %b %Y")
    return settings


def _with_fixed_date(source: str) -> str:
    """The template with one day where it asks for today's date."""
    return re.sub(
        r"""strftime_now\(\s*(['"])([^'"\\]*)\1\s*\)""",
        lambda call: call[1] + TEMPLATE_DATE.strftime(call[2]) + call[1],
        source,
    )


def _start_tokens(tokenizer: Any) -> tuple[int, ...]:
    """What the tokenizer itself puts before a text, mostly BOS or nothing."""
    text = list(tokenizer("a", add_special_tokens=False).input_ids)
    whole = list(tokenizer("a").input_ids)
    for at in range(len(whole) - len(text) + 1 if text else 0):
        if whole[at : at + len(text)] == text:
            return tuple(whole[:at])
    return ()


def _as_text_parts(chat: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same for templates that take a message as a list of texts and pictures."""
    return [{**turn, "content": [{"type": "text", "text": turn["content"]}]} for turn in chat]


def _arrangements(roles: Sequence[str]) -> Iterator[list[dict[str, Any]]]:
    """A chat as it is; with each system message at the head of the next user's turn, for
    templates that leave it out; as turns that alternate; as one user's turn."""
    yield [{"role": role, "content": MARK.format(i)} for i, role in enumerate(roles)]
    if "system" in roles:
        yield _fold_system(roles)
    yield _alternating(roles)
    last = len(roles) - 1 if roles[-1:] == ("assistant",) else len(roles)
    texts = [f"{role.title()}: {MARK.format(i)}" for i, role in enumerate(roles[:last])]
    turns = [{"role": "user", "content": "\n".join(texts)}] if texts else []
    yield turns + [{"role": "assistant", "content": MARK.format(last)}] * (last < len(roles))


def _fold_system(roles: Sequence[str]) -> list[dict[str, Any]]:
    chat: list[dict[str, Any]] = []
    waiting = ""
    for i, role in enumerate(roles):
        if role == "system":
            waiting += MARK.format(i) + "\n"
        elif role == "user" or not waiting:
            chat.append({"role": role, "content": waiting + MARK.format(i)})
            waiting = ""
        else:
            chat.append({"role": "user", "content": waiting.rstrip("\n")})
            chat.append({"role": role, "content": MARK.format(i)})
            waiting = ""
    if waiting:
        chat.append({"role": "user", "content": waiting.rstrip("\n")})
    return chat


def _alternating(roles: Sequence[str]) -> list[dict[str, Any]]:
    chat: list[dict[str, Any]] = []
    for i, role in enumerate(roles):
        side = "assistant" if role == "assistant" else "user"
        if chat and chat[-1]["role"] == side:
            chat[-1]["content"] += "\n" + MARK.format(i)
        else:
            chat.append({"role": side, "content": MARK.format(i)})
    return chat


@dataclass(frozen=True, slots=True)
class Prompt:
    """Token ids ready for the model, and the texts that did not fit."""

    ids: tuple[int, ...]
    dropped: tuple[str, ...] = ()


class PromptBuilder:
    """Renders messages with a tokenizer's chat template. Raises ModelError where it cannot.

    Only the template's own pieces may hold control tokens: a message's text is tokenised
    apart with the splitting of special tokens off, so "<|im_end|>" in it is plain text.
    ``rows``: how many tokens the model knows, which may be fewer than the tokenizer has.
    """

    def __init__(self, tokenizer: Any, window: int, rows: int | None = None) -> None:
        self._tokenizer = tokenizer
        self.template = ChatTemplate(tokenizer)
        self.window = window
        self._excluded = self._excluded_tokens(rows)
        names = sorted(self._excluded.values(), key=len, reverse=True)
        self._excluded_pattern = re.compile("|".join(map(re.escape, names))) if names else None
        self._cached_text_ids = lru_cache(maxsize=4096)(self._tokenise_text)
        self._cached_template = lru_cache(maxsize=1024)(self.template.frame)
        self._require_rows(rows)

    def _require_rows(self, rows: int | None) -> None:
        for piece in self._cached_template(("user",), True):
            for id in piece if isinstance(piece, tuple) else ():
                if rows is not None and id >= rows:
                    name = self._tokenizer.convert_ids_to_tokens(id)
                    raise ModelError(
                        f"{self._tokenizer.name_or_path}: its chat template writes the token "
                        f"'{name}', for which the model has no row; take the tokenizer and the "
                        "chat template of the model's own folder"
                    )

    def _excluded_tokens(self, rows: int | None) -> dict[int, str]:
        """Added tokens that a message's text may not hold though they are not marked as
        special: the template's own, and those that the model has no row for."""
        added = self._tokenizer.added_tokens_decoder.items()
        texts = {i: str(token.content) for i, token in added if not token.special}
        return {
            i: text
            for i, text in texts.items()
            if (rows is not None and i >= rows)
            or (re.search(r"[^\w\s]", text) and self.template.holds(text))
        }

    def text_ids(self, text: str) -> tuple[int, ...]:
        """Ids of plain text."""
        return self._cached_text_ids(text)

    def ids(self, messages: Sequence[Message], reply: bool = True) -> tuple[int, ...]:
        """Ids of a whole chat; with ``reply`` the template opens the assistant's turn.

        A last message of the assistant is the beginning of its answer: its turn is left
        open, so that what is generated goes on from its last word."""
        texts = [message.text for message in messages]
        roles = tuple(message.role for message in messages)
        return self.fill_template(roles, texts, reply)

    def fill_template(
        self, roles: tuple[str, ...], texts: Sequence[str], reply: bool
    ) -> tuple[int, ...]:
        """Ids of texts in the template's frame for ``roles``."""
        out: list[int] = []
        begun = reply and roles[-1:] == ("assistant",)
        frame = (
            self._cached_template(roles, False)[:-1]
            if begun
            else self._cached_template(roles, reply)
        )
        for piece in frame:
            if isinstance(piece, int):
                out.extend(self._cached_text_ids(texts[piece]))
            else:
                out.extend(piece)
        return tuple(out)

    def opening_ids(self, roles: tuple[str, ...], told: Sequence[Sequence[int]]) -> tuple[int, ...]:
        """Ids up to where the last role's text begins; ``told`` are the ids of the texts
        before it."""
        out: list[int] = []
        for piece in self._cached_template(roles, False):
            if piece == len(roles) - 1:
                break
            out.extend(told[piece] if isinstance(piece, int) else piece)
        return tuple(out)

    def closing_ids(self) -> tuple[int, ...]:
        """The id by which the template ends an assistant's message; empty where it has none."""
        last = self._cached_template(("user", "assistant"), False)[-1]
        return last[:1] if isinstance(last, tuple) else ()

    def fit(self, messages: Sequence[Message], reserve: int) -> Prompt:
        """The chat's ids, trimmed so that ``reserve`` more tokens fit the window.

        Parts go whole, highest ``drop`` first, the earlier of equals first; a message whose
        parts are all gone goes too. Raises ContextTooLong when the undroppable does not fit.
        """
        prompt = self.ids(messages)
        if len(prompt) + reserve <= self.window:
            return Prompt(prompt)
        parts = [
            (-part.drop, where, place)
            for where, message in enumerate(messages)
            for place, part in enumerate(message.parts)
            if part.drop > 0
        ]
        parts = sorted(parts)

        def without(count: int) -> tuple[int, ...]:
            return self.ids(_without(messages, {(where, at) for _, where, at in parts[:count]}))

        # Each try renders all that is left: by halves, since there may be thousands of parts.
        count = bisect_left(
            range(len(parts)), True, lo=1, key=lambda n: len(without(n)) + reserve <= self.window
        )
        prompt = without(count)
        texts = tuple(messages[where].parts[at].text for _, where, at in parts[:count])
        if len(prompt) + reserve <= self.window:
            return Prompt(prompt, texts)
        raise ContextTooLong(
            f"the prompt takes {len(prompt)} tokens and {reserve} are reserved for the answer, "
            f"more than the window of {self.window}, with {len(texts)} part(s) dropped; shorten "
            "it, give more parts a drop priority, or load the model with a larger window"
        )

    def _tokenise_text(self, text: str) -> tuple[int, ...]:
        text = replace_surrogates(text)
        pieces: list[str] = []
        start = 0
        for match in self._excluded_pattern.finditer(text) if self._excluded_pattern else ():
            pieces.append(text[start : match.start() + 1])
            start = match.start() + 1
        ids: list[int] = []
        for piece in [*pieces, text[start:]]:
            encoded = self._tokenizer(piece, add_special_tokens=False, split_special_tokens=True)
            ids.extend(encoded.input_ids)
        return tuple(id for id in ids if id not in self._excluded)


def _without(messages: Sequence[Message], dropped: set[tuple[int, int]]) -> list[Message]:
    kept: list[Message] = []
    for where, message in enumerate(messages):
        parts: tuple[Part, ...] = tuple(
            part for place, part in enumerate(message.parts) if (where, place) not in dropped
        )
        if parts or not message.parts:
            kept.append(Message(message.role, parts, message.who))
    return kept
