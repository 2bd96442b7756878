"""From chat messages to token ids: chat template, neutral special tokens, truncation.

Every message appears in the prompt, which begins as the tokenizer begins a text (BOS), and
reasoning is switched off in templates that allow it.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, TypeAlias

from ...core import (
    ContextTooLong,
    Message,
    ModelError,
    current_cache_owner,
    drop_order,
    replace_surrogates,
    without_parts,
)

# Placeholders for the messages' texts, in private-use characters; never next to real text.
MARK = "\ue000{}\ue001"
MARKS = re.compile("\ue000(\\d+)\ue001")

TemplateFrame: TypeAlias = tuple[int | tuple[int, ...], ...]
"""A rendered chat: token ids of the template's own text, and indices of the messages whose texts
are between them."""

# Template variables that turn reasoning off, and their values.
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
# Values of thinking_mode that templates compare with to turn it off.
REASONING_OFF_MODES = ("off", "disabled", "disable", "none", "no_think", "nothink", "chat", "fast")
# The date for templates that ask for today's: with the real one, prompts would differ from day
# to day, and the date of a simulated world does not belong into the system prompt.
TEMPLATE_DATE = datetime(2024, 7, 26)
# What begins reasoning, and what ends it.
REASONING_MARKERS = (
    (re.compile(r"<((?:\w+:)?(?:think(?:ing)?|thoughts?|reason(?:ing)?))>"), r"</\1>"),
    (re.compile(r"\[THINK\]"), "[/THINK]"),
    (re.compile(r"<\|START_THINKING\|>"), "<|END_THINKING|>"),
    (re.compile("◁think▷"), "◁/think▷"),
)
# Templates with channels: those of reasoning and answer, and a turn whose channel is not written.
CHANNEL = "<|channel|>"
ANALYSIS_CHANNEL = re.compile(r"<\|channel\|>analysis<\|message\|>\s*$")
FINAL_CHANNEL = f"{CHANNEL}final<|message|>"
CHANNEL_PENDING = re.compile(r"<\|start\|>assistant$")
REASONING_TOKENS = ("<think>", "<thinking>", "<thought>", "<seed:think>", "[THINK]")


class ChatTemplate:
    """Renders a chat as a frame for the messages' texts.

    Raises ModelError for a template that cannot render a user's message.
    """

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        name = getattr(tokenizer, "name_or_path", "") or "the model"
        remedy = "correct or remove it (chat_template.jinja or tokenizer_config.json)"
        try:
            source = tokenizer.get_chat_template() if tokenizer.chat_template else ""
            self._source = _with_fixed_date(source)
            self._settings = _reasoning_settings(self._source)
            self.start = _start_tokens(tokenizer)
            for roles in (("user",), ("system", "user"), ("user", "assistant", "user")):
                self.frame(roles, True)
        except ValueError as error:
            raise ModelError(
                f"{name}: its chat template cannot be used: {error}; {remedy}"
            ) from error

    def frame(self, roles: tuple[str, ...], reply: bool) -> TemplateFrame:
        """The frame of a chat with these roles.

        With ``reply`` it opens the assistant's turn; if the last role is the assistant's, that
        turn is left open. Raises ValueError if the template leaves a message out.
        """
        open_end = reply and roles[-1:] == ("assistant",)
        skeleton = self._skeleton(roles, reply and not open_end)
        if open_end:
            last = MARK.format(len(roles) - 1)
            skeleton = skeleton[: skeleton.rindex(last) + len(last)]
        frame: list[int | tuple[int, ...]] = []
        start = 0
        for mark in MARKS.finditer(skeleton):
            frame.append(self._ids(skeleton[start : mark.start()]))
            frame.append(int(mark.group(1)))
            start = mark.end()
        frame.append(self._ids(skeleton[start:]))
        frame[0] = self._start_ids(MARKS.split(skeleton, maxsplit=1)[0])
        return tuple(frame)

    def _start_ids(self, text: str) -> tuple[int, ...]:
        """Ids of the template's first text, with the tokenizer's own start tokens."""
        for ids in (self._ids(text), self._ids(text.lstrip())):
            if ids[: len(self.start[:1])] == self.start[:1]:
                return ids
        return self.start + self._ids(text)

    def end_tokens(self) -> set[int]:
        """The control token that ends an assistant's message, or the one that begins the next
        message; empty if there is neither."""
        control = set(self._tokenizer.added_tokens_decoder) | set(self._tokenizer.all_special_ids)
        for roles in (("user", "assistant"), ("user", "assistant", "user")):
            try:
                frame = self.frame(roles, False)
            except ValueError:  # only a user's message can be rendered
                continue
            after = frame[frame.index(1) + 1] if 1 in frame else ()
            ends = (
                [token for token in after if token in control] if isinstance(after, tuple) else []
            )
            if ends:
                return {ends[0]}
        return set()

    def uses(self, token: str) -> bool:
        """Whether the template writes a token, or the token begins reasoning."""
        return token in self._source or token in REASONING_TOKENS

    def reasoning_tokens(self) -> set[int]:
        """Tokens that begin reasoning; they are suppressed, since replies are not searched."""
        vocabulary = self._tokenizer.get_vocab()
        return {vocabulary[token] for token in REASONING_TOKENS if token in vocabulary}

    def _skeleton(self, roles: tuple[str, ...], reply: bool) -> str:
        """The rendered chat with a mark for each message. Raises ValueError."""
        if not self._source:
            lines = [f"{role.title()}: {MARK.format(i)}\n" for i, role in enumerate(roles)]
            return "".join(lines) + ("Assistant:" if reply else "")
        reason = ""
        chats = list(_arrangements(roles))
        for chat in [*chats, *map(_as_text_parts, chats)]:
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
            # Some put system messages in a place of their own.
            turns = [i for i in order if roles[i] != "system"]
            if turns == sorted(turns):
                return text
            reason = reason or "it shows messages in another order"
        raise ValueError(reason)

    def _apply(self, chat: list[dict[str, Any]], reply: bool) -> str:
        text = self._render(chat, reply)
        if not reply:
            return text
        if text == self._render(chat, False):
            text += self._reply_opening(chat, text)
        return _close_reasoning(text, channels=CHANNEL in self._source)

    def _reply_opening(self, chat: list[dict[str, Any]], text: str) -> str:
        """What a template without a generation prompt writes before an assistant's message."""
        mark = MARK.format("0" * 9)
        content: Any = mark
        if chat and isinstance(chat[0]["content"], list):
            content = [{"type": "text", "text": content}]
        try:
            answered = self._render([*chat, {"role": "assistant", "content": content}], False)
        except _template_errors():
            return ""
        before = answered.partition(mark)[0]
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
    """A prompt that ends where the answer begins: reasoning opened by the template is closed."""
    if channels:
        text = ANALYSIS_CHANNEL.sub(FINAL_CHANNEL, text)
        return text + FINAL_CHANNEL if CHANNEL_PENDING.search(text) else text
    last = max((mark.end() for mark in MARKS.finditer(text)), default=0)
    for pattern, end_marker in REASONING_MARKERS:
        for opened in list(pattern.finditer(text, last))[-1:]:
            end = opened.expand(end_marker)
            if end not in text[opened.end() :]:
                return f"{text.rstrip()}\n\n{end}\n\n"
    return text


def _template_errors() -> tuple[type[Exception], ...]:
    from jinja2 import TemplateError

    return (TemplateError, ValueError, TypeError, KeyError, IndexError, AttributeError)


def _reasoning_settings(source: str) -> dict[str, Any]:
    """The switches that a template knows, with the values that turn reasoning off."""
    words = set(re.findall(r"\w+", source))
    settings = {name: value for name, value in REASONING_SWITCHES.items() if name in words}
    if "thinking_mode" in words:
        modes = re.findall(r"""thinking_mode\s*[!=]=\s*["']([\w-]+)["']""", source)
        off = next((mode for mode in REASONING_OFF_MODES if mode in modes), "off")
        settings["thinking_mode"] = off
    if "reasoning_effort" in words:
        settings["reasoning_effort"] = "none" if re.search("""["']none["']""", source) else "low"
    if "date_string" in words:
        settings["date_string"] = TEMPLATE_DATE.strftime("%d %b %Y")
    return settings


def _with_fixed_date(source: str) -> str:
    """The template with a fixed date in place of today's."""
    return re.sub(
        r"""strftime_now\(\s*(['"])([^'"\\]*)\1\s*\)""",
        lambda call: call[1] + TEMPLATE_DATE.strftime(call[2]) + call[1],
        source,
    )


def _start_tokens(tokenizer: Any) -> tuple[int, ...]:
    """What the tokenizer itself puts before a text: BOS or nothing, as a rule."""
    bare = list(tokenizer("a", add_special_tokens=False).input_ids)
    full = list(tokenizer("a").input_ids)
    for start in range(len(full) - len(bare) + 1 if bare else 0):
        if full[start : start + len(bare)] == bare:
            return tuple(full[:start])
    return ()


def _as_text_parts(chat: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The chat for templates that take a message as a list of texts and images."""
    return [{**turn, "content": [{"type": "text", "text": turn["content"]}]} for turn in chat]


def _arrangements(roles: Sequence[str]) -> Iterator[list[dict[str, Any]]]:
    """A chat in the forms that templates accept: as it is; with each system message at the head
    of the next user's turn; as alternating turns; as one user's turn."""
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
    system = ""
    for i, role in enumerate(roles):
        if role == "system":
            system += MARK.format(i) + "\n"
        elif role == "user" or not system:
            chat.append({"role": role, "content": system + MARK.format(i)})
            system = ""
        else:
            chat.append({"role": "user", "content": system.rstrip("\n")})
            chat.append({"role": role, "content": MARK.format(i)})
            system = ""
    if system:
        chat.append({"role": "user", "content": system.rstrip("\n")})
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
    """The token ids of a chat, and the texts of the parts that did not fit."""

    ids: tuple[int, ...]
    dropped: tuple[str, ...] = ()


class PromptBuilder:
    """Builds token ids of messages with a tokenizer's chat template.

    Only the template's own text may contain control tokens: a message's text is tokenised
    separately, without special tokens, so "<|im_end|>" in it is plain text. ``rows``: the size
    of the model's vocabulary, which may be smaller than the tokenizer's. Raises ModelError for
    a template that cannot be used.
    """

    def __init__(self, tokenizer: Any, window: int, rows: int | None = None) -> None:
        self._tokenizer = tokenizer
        self.template = ChatTemplate(tokenizer)
        self.window = window
        self._excluded = self._excluded_tokens(rows)
        names = sorted(self._excluded.values(), key=len, reverse=True)
        self._excluded_pattern = re.compile("|".join(map(re.escape, names))) if names else None
        self._text_ids_of = lru_cache(maxsize=4096)(self._tokenise_text)
        self._cached_frame = lru_cache(maxsize=1024)(self.template.frame)
        self._require_rows(rows)

    def _require_rows(self, rows: int | None) -> None:
        """Raises ModelError for a template that writes a token the model has no row for."""
        for ids in self._cached_frame(("user",), True):
            for token in ids if isinstance(ids, tuple) else ():
                if rows is not None and token >= rows:
                    name = self._tokenizer.convert_ids_to_tokens(token)
                    raise ModelError(
                        f"{self._tokenizer.name_or_path}: its chat template writes the token "
                        f"'{name}', for which the model has no row; take the tokenizer and the "
                        "chat template of the model's own folder"
                    )

    def _excluded_tokens(self, rows: int | None) -> dict[int, str]:
        """Added tokens that a message's text may not contain although they are not marked as
        special: the template's own, and those that the model has no row for."""
        added = self._tokenizer.added_tokens_decoder.items()
        texts = {i: str(token.content) for i, token in added if not token.special}
        return {
            i: text
            for i, text in texts.items()
            if (rows is not None and i >= rows)
            or (re.search(r"[^\w\s]", text) and self.template.uses(text))
        }

    def text_ids(self, text: str) -> tuple[int, ...]:
        """Ids of plain text."""
        # For each owner apart: a cached text is there sooner.
        return self._text_ids_of(text, current_cache_owner())

    def ids(self, messages: Sequence[Message], reply: bool = True) -> tuple[int, ...]:
        """Ids of a whole chat; with ``reply`` the template opens the assistant's turn.

        A last message of the assistant is the beginning of its answer: its turn is left open,
        so that generation continues after its last word.
        """
        texts = [message.text for message in messages]
        roles = tuple(message.role for message in messages)
        return self.fill_template(roles, texts, reply)

    def fill_template(
        self, roles: tuple[str, ...], texts: Sequence[str], reply: bool
    ) -> tuple[int, ...]:
        """Ids of texts in the template's frame for ``roles``."""
        continued = reply and roles[-1:] == ("assistant",)
        frame = self._cached_frame(roles, reply and not continued)
        if continued:
            frame = frame[:-1]
        ids: list[int] = []
        for piece in frame:
            ids.extend(self.text_ids(texts[piece]) if isinstance(piece, int) else piece)
        return tuple(ids)

    def opening_ids(
        self, roles: tuple[str, ...], texts: Sequence[Sequence[int]]
    ) -> tuple[int, ...]:
        """Ids up to the text of the last role; ``texts`` are the ids of the texts before it."""
        ids: list[int] = []
        for piece in self._cached_frame(roles, False):
            if piece == len(roles) - 1:
                break
            ids.extend(texts[piece] if isinstance(piece, int) else piece)
        return tuple(ids)

    def closing_ids(self) -> tuple[int, ...]:
        """The id with which the template ends an assistant's message; empty if it has none."""
        last = self._cached_frame(("user", "assistant"), False)[-1]
        return last[:1] if isinstance(last, tuple) else ()

    def fit(self, messages: Sequence[Message], reserve: int) -> Prompt:
        """The chat's ids, truncated so that ``reserve`` more tokens fit the window.

        Whole parts are dropped, those with the highest ``drop`` first, the earlier of equals
        first; a message without parts is dropped too. Raises ContextTooLong if the parts that
        must stay do not fit.
        """
        ids = self.ids(messages)
        if len(ids) + reserve <= self.window:
            return Prompt(ids)
        droppable = drop_order(messages)

        def without(count: int) -> tuple[int, ...]:
            return self.ids(without_parts(messages, set(droppable[:count])))

        def fits(count: int) -> bool:
            return len(without(count)) + reserve <= self.window

        # By bisection, since each attempt tokenises the chat and there may be thousands of parts.
        count = bisect_left(range(len(droppable)), True, lo=1, key=fits)
        ids = without(count)
        texts = tuple(messages[place].parts[index].text for place, index in droppable[:count])
        if len(ids) + reserve <= self.window:
            return Prompt(ids, texts)
        raise ContextTooLong(
            f"the prompt takes {len(ids)} tokens and {reserve} are reserved for the answer, "
            f"more than the window of {self.window}, with {len(texts)} part(s) dropped; shorten "
            "it, give more parts a drop priority, or load the model with a larger window"
        )

    def _tokenise_text(self, text: str, _owner: str = "") -> tuple[int, ...]:
        text = replace_surrogates(text)
        # Split within the name of each excluded token, so that no token stands for it.
        pieces: list[str] = []
        start = 0
        for match in self._excluded_pattern.finditer(text) if self._excluded_pattern else ():
            pieces.append(text[start : match.start() + 1])
            start = match.start() + 1
        ids: list[int] = []
        for piece in [*pieces, text[start:]]:
            encoded = self._tokenizer(piece, add_special_tokens=False, split_special_tokens=True)
            ids.extend(encoded.input_ids)
        return tuple(token for token in ids if token not in self._excluded)
