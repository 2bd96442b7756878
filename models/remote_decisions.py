"""Choosing and rating with a server's model: by its probabilities, else by a guided reply."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from math import exp, fsum
from typing import TYPE_CHECKING, Any

from ..core import Answer, Choose, Failed, Message, Option, Rate, Rating
from .remote_prompts import (
    choice_question,
    labels_of,
    rating_question,
    transcript,
    turns,
    with_question,
)
from .remote_schema import json_format
from .remote_scores import (
    SHARPNESS,
    Told,
    chosen,
    echoed,
    guided_label,
    guided_schema,
    guided_spread,
    prompt_logprobs,
    refusal,
    shares,
    softmax,
    steps_of,
    tail,
)
from .remote_wire import Cost, Fault, Refused, first_choice

if TYPE_CHECKING:
    from .remote_asks import Asker

# As in the local engine: one nat per token of channel is worth a third of a cosine of 1.
COSINE = 3.0
NEARNESS = 16.0  # how fast an anchor's weight falls with its distance
FINALISTS = 8  # options that the language model scores; the others lie behind by cosine
ABOUT = 640  # characters; more of a text changes no decision and costs a prefill
OPTION = 1280


class Decisions:
    """Answers Choose and Rate.

    ``method`` cosine: the embedder alone. channel: mean log p(token of ``about`` | the
    option's description). direct: log p(the option's name | the messages), or a guided
    reply where the server tells no probabilities of prompts. auto: channel + 3 * cosine
    where it does; else cosine for a model known to be small, and a guided reply.
    """

    def __init__(self, asker: Asker, method: str) -> None:
        self._asker = asker
        self._method = method
        self._way: str | None = None
        self._probing = asyncio.Lock()
        self._tells = True

    async def choose(self, ask: Choose, cost: Cost) -> Answer:
        """The option and all probabilities. Raises Fault."""
        if fault := refusal(ask):
            return fault
        way = "none" if self._method == "cosine" else await self._told_way(cost)
        if way == "none" and self._method == "channel":
            return Failed(
                reason="refused",
                detail=f"{self._asker.wire.name.url} tells no probabilities of prompts, which "
                "method 'channel' needs; use method auto, direct or cosine",
            )
        if self._method == "cosine" or (
            self._method == "auto" and way == "none" and self._asker.served.small
        ):
            scores = [COSINE * near for near in await self._cosines(ask, cost)]
            return chosen(ask, softmax(scores, SHARPNESS), cost.tokens_in)
        if way == "none":
            labels = labels_of(ask)
            messages = with_question(ask.messages, choice_question(ask, labels))
            spread = await self._guided("choice", messages, labels, cost)
        elif self._method == "direct":
            messages = ask.messages or (Message.of("user", ask.about),)
            targets = [f" {option.name}" for option in ask.options]
            found = await self._scored([(transcript(messages), t) for t in targets], cost)
            spread = softmax([_mean(scores) for scores in found], SHARPNESS)
        else:
            spread = softmax(await self._by_channel(ask, cost), SHARPNESS)
        return chosen(ask, spread, cost.tokens_in)

    async def _by_channel(self, ask: Choose, cost: Cost) -> list[float]:
        fused = self._method == "auto"
        near = await self._cosines(ask, cost) if fused else [0.0] * len(ask.options)
        places = list(range(len(ask.options)))
        if fused and len(places) > FINALISTS:
            places = sorted(places, key=lambda i: (-near[i], ask.options[i].name))[:FINALISTS]
        pairs = [
            (_said(ask.options[i])[:OPTION] + "\nRequest:", " " + ask.about[:ABOUT]) for i in places
        ]
        found = dict(zip(places, map(_mean, await self._scored(pairs, cost))))
        # One that did not reach the finals is no likelier than the last finalist.
        least = min(found.values())
        return [found.get(i, least) + COSINE * near[i] for i in range(len(ask.options))]

    async def _cosines(self, ask: Choose, cost: Cost) -> list[float]:
        texts = [ask.about, *map(_said, ask.options)]
        about, *options = (await self._asker.vectoriser.vectors(texts, cost)).tolist()
        return [fsum(a * b for a, b in zip(about, option)) for option in options]

    async def rate(self, ask: Rate, cost: Cost) -> Answer:
        """The expected rating. With anchors half of it, or with a small model all, is the
        anchors' values weighted by exp(16 * cosine(about, anchor)). Raises Fault."""
        if ask.high < ask.low:
            return Failed(
                reason="refused", detail=f"a Rate from {ask.low} to {ask.high} has no values"
            )
        values = range(ask.low, ask.high + 1)
        own = (0.0 if self._asker.served.small else 0.5) if ask.anchors else 1.0
        spread = [0.0] * len(values)
        if own > 0:
            spread = [own * p for p in await self._own_rating(ask, values, cost)]
        if own < 1:
            near = await self._near(ask, cost)
            spread = [p + (1 - own) * q for p, q in zip(spread, near)]
        return Rating(
            value=fsum(p * value for p, value in zip(spread, values)),
            probabilities=tuple(spread),
            tokens_in=cost.tokens_in,
        )

    async def _own_rating(self, ask: Rate, values: range, cost: Cost) -> list[float]:
        if await self._told_way(cost) == "none":
            labels = [str(value) for value in values]
            messages = with_question(ask.messages, rating_question(ask))
            return await self._guided("rating", messages, labels, cost)
        messages = ask.messages or (Message.of("user", rating_question(replace(ask, anchors=()))),)
        context = transcript(messages)
        # The line break ends the number: without it "1" would also count for "10".
        found = await self._scored([(context, f" {value}\n") for value in values], cost)
        return softmax([fsum(scores) for scores in found])

    async def _near(self, ask: Rate, cost: Cost) -> list[float]:
        texts = [ask.about, *(anchor.text for anchor in ask.anchors)]
        about, *rows = (await self._asker.vectoriser.vectors(texts, cost)).tolist()
        weights = [exp(NEARNESS * fsum(a * b for a, b in zip(about, row))) for row in rows]
        spread = [0.0] * (ask.high - ask.low + 1)
        for anchor, weight in zip(ask.anchors, shares(weights)):
            spread[min(max(anchor.value, ask.low), ask.high) - ask.low] += weight
        return spread

    async def _guided(
        self, field: str, messages: Sequence[Message], labels: Sequence[str], cost: Cost
    ) -> list[float]:
        """Each label's probability where a reply bound to them was written. Raises Fault."""

        async def send(messages: Sequence[Message], merged: bool) -> dict[str, Any]:
            fields = {
                "model": self._asker.served.model,
                "messages": turns(messages, merged),
                "max_tokens": 24 + max(map(len, labels)),
                "temperature": 0.0,
                "response_format": json_format(guided_schema(field, labels)),
                "extra_body": self._asker.extra(messages),
            }
            if not self._tells:
                return await self._asker.wire.chat(fields, cost)
            asked = {**fields, "logprobs": True, "top_logprobs": 20}
            try:
                return await self._asker.wire.chat(asked, cost)
            except Refused as refused:
                if "logprob" not in str(refused):
                    raise
                self._tells = False
                return await self._asker.wire.chat(fields, cost)

        reply, _ = await self._asker.fitted(messages, send)
        choice = first_choice(reply)
        text = str((choice.get("message") or {}).get("content") or "")
        if guided_label(field, text, labels) is None:
            cut = choice.get("finish_reason") == "length"
            detail = f"the reply is none of the {len(labels)} {field}s offered: {text[-80:]!r}"
            raise Fault("limit" if cut else "schema", detail)
        return guided_spread(field, text, steps_of(choice), labels)

    async def _scored(self, pairs: Sequence[tuple[str, str]], cost: Cost) -> list[list[float]]:
        """Log-probabilities of each target's tokens behind its context. Raises Fault."""
        way = await self._told_way(cost)
        told = await asyncio.gather(*(self._told(way, a + b, cost) for a, b in pairs))
        found = [tail(one, target) for one, (_, target) in zip(told, pairs)]
        if not all(found):
            raise Fault("engine", "the server's tokens of a prompt do not spell it")
        return found

    async def _told_way(self, cost: Cost) -> str:
        """How this server tells probabilities of a prompt: echo, prompt_logprobs or none.
        Tried once. Raises Fault when the server fails altogether."""
        async with self._probing:
            for way in ("echo", "prompt_logprobs"):
                if self._way is None and await self._tells_by(way, cost):
                    self._way = way
            self._way = self._way or "none"
            return self._way

    async def _tells_by(self, way: str, cost: Cost) -> bool:
        try:
            found = tail(await self._told(way, "The sun rises in the east.", cost), " the east.")
        except Refused:
            return False
        return len(found) > 1 and all(score <= 0 for score in found)

    async def _told(self, way: str, prompt: str, cost: Cost) -> list[Told]:
        fields: dict[str, Any] = {"model": self._asker.served.model, "prompt": prompt}
        # One token, which nobody reads: not all servers can write none.
        fields |= {"max_tokens": 1, "temperature": 0.0}
        if way == "echo":
            reply = await self._asker.wire.complete(fields | {"echo": True, "logprobs": 1}, cost)
            usage = reply.get("usage") or {}
            return echoed(first_choice(reply), int(usage.get("prompt_tokens") or 0))
        fields["extra_body"] = {"prompt_logprobs": 0}
        return prompt_logprobs(first_choice(await self._asker.wire.complete(fields, cost)))


def _said(option: Option) -> str:
    return option.description or option.name


def _mean(scores: Sequence[float]) -> float:
    return fsum(scores) / len(scores)
