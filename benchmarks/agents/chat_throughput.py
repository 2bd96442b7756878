"""Chats of many people at once with one agent, compared with the same chats one after another."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from statistics import median, quantiles
from tempfile import TemporaryDirectory
from typing import Any

from ...agents import Agent, ChatSettings, ReplyEnd, TextPiece
from ...core import Completion, Json, Model, Persona, Reply
from ...memory import Memory
from ...models import load_model

CHAT_MESSAGES = (
    "Good morning! Which bread is the freshest today?",
    "My sister visits me on Sunday. What would you bake for her?",
    "I have walked along the river this morning, and the fog was beautiful.",
    "Tell me about the bread fair, please.",
    "Do you ever grow tired of getting up so early?",
    "I am a bit sad, since my dog is ill.",
    "What do you do when the oven is cold?",
    "The new school opens on Monday, and all the children will pass your shop.",
)
_BAKER = Persona(
    name="Bo Lind",
    traits="warm, quick, curious",
    background="Bo Lind is the baker of a small town. Bo's rye bread is famous.",
    facts=("Bo Lind's oven broke last winter.", "Bo Lind hopes to win the bread fair."),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Talk:
    """Seconds of all chats and of processors, tokens in and out of all asks, seconds to each first
    piece."""

    seconds: float
    processor_seconds: float
    tokens_in: int
    tokens_out: int
    first: tuple[float, ...]
    replies: int


def measure_chats(
    model: str = "smollm2",
    *,
    device: str = "auto",
    dtype: str = "auto",
    chats: int = 32,
    messages: int = 2,
    drafts: int = 1,
    progress: Callable[[str], None] = lambda text: None,
) -> Json:
    """Replies of one agent to ``chats`` people, ``messages`` to each, at once and one person after
    the other: tokens per second (generated ones), and the time to the first piece of a reply."""
    progress(f"loading {model}")
    loaded = load_model(model, device=device, dtype=dtype)
    settings = ChatSettings(drafts=drafts, max_tokens=64)
    with _agent(loaded, settings) as warm:
        _reply(warm, "Warm", 0)
    progress(f"{chats} people, one after the other")
    with _agent(loaded, settings) as agent:
        alone = _talk(lambda work: list(map(work, range(chats))), agent, messages)
    progress(f"{chats} people at once")
    with _agent(loaded, settings) as agent, ThreadPoolExecutor(chats) as pool:
        together = _talk(lambda work: list(pool.map(work, range(chats))), agent, messages)
    return {
        "chats": {
            "people": chats,
            "messages_each": messages,
            "drafts": drafts,
            "alone": _figures(alone),
            "together": _figures(together),
            "times_the_tokens_per_second": _ratio(together, alone, "seconds"),
            "times_the_tokens_per_processor_second": _ratio(together, alone, "processor_seconds"),
        }
    }


@contextmanager
def _agent(model: Model, settings: ChatSettings) -> Iterator[Agent]:
    with TemporaryDirectory() as folder, Memory(Path(folder) / "bo.db", _BAKER.name) as memory:
        agent = Agent(_BAKER, model=model, memory=memory, chat=settings)
        agent.bootstrap(at=datetime(2026, 5, 2, 9))
        yield agent


def _talk(
    run: Callable[[Callable[[int], list[tuple[Reply, float]]]], Any], agent: Agent, messages: int
) -> _Talk:
    def chat(person: int) -> list[tuple[Reply, float]]:
        return [_reply(agent, f"Guest {person}", person + number) for number in range(messages)]

    started, processor = time.perf_counter(), time.process_time()
    results: Sequence[list[tuple[Reply, float]]] = run(chat)
    seconds = time.perf_counter() - started
    processor = time.process_time() - processor
    replies = [reply for result in results for reply, _ in result]
    answers = [asked.answer for reply in replies for asked in reply.step.asks]
    completions = [answer for answer in answers if isinstance(answer, Completion)]
    return _Talk(
        seconds=seconds,
        processor_seconds=processor,
        tokens_in=sum(int(getattr(answer, "tokens_in", 0)) for answer in answers),
        tokens_out=sum(completion.tokens_out for completion in completions),
        first=tuple(first for result in results for _, first in result),
        replies=sum(reply.resolve != "failed" for reply in replies),
    )


def _reply(agent: Agent, person: str, number: int) -> tuple[Reply, float]:
    """A reply, and the seconds to its first piece."""
    started, first = time.perf_counter(), 0.0
    text = CHAT_MESSAGES[number % len(CHAT_MESSAGES)]
    for event in agent.session(person).stream(text, at=datetime(2026, 5, 2, 10)):
        if isinstance(event, TextPiece) and not first:
            first = time.perf_counter() - started
        if isinstance(event, ReplyEnd):
            return event.reply, first or time.perf_counter() - started
    raise AssertionError("a stream without an end")


def _ratio(talk: _Talk, other: _Talk, time: str) -> float:
    """How many times the tokens of another talk one makes in its time."""
    first, second = (each.tokens_out / float(getattr(each, time)) for each in (talk, other))
    return round(first / second, 2)


def _figures(talk: _Talk) -> Json:
    tenths = quantiles(talk.first, n=20) if len(talk.first) > 1 else [talk.first[0]] * 19
    return {
        "seconds": round(talk.seconds, 2),
        "processor_seconds": round(talk.processor_seconds, 2),
        "replies": talk.replies,
        "tokens_out": talk.tokens_out,
        "tokens_out_per_second": round(talk.tokens_out / talk.seconds, 1),
        "tokens_read": talk.tokens_in,
        "first_piece_median": round(median(talk.first), 3),
        "first_piece_p95": round(tenths[-1], 3),
    }
