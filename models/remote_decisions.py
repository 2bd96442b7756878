"""Choosing and rating with a server's model: by its probabilities, else by a guided reply."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import islice
from math import fsum
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..core import NONE, Anchor, Answer, Choose, Failed, Message, Option, Rate, Rating
from .calibration import by_hand, examples, shipped
from .framing import CAN, PLAIN, TOOL, first_line, pieces, question, said
from .remote_faults import Fault, Refused, Unusable
from .remote_json import json_values
from .remote_prompts import (
    choice_question,
    labels_of,
    rating_question,
    transcript,
    with_question,
)
from .remote_reply import first_choice
from .remote_scores import (
    Told,
    chosen,
    echoed,
    guided_label,
    guided_schema,
    guided_spread,
    prompt_logprobs,
    read,
    refusal,
    softmax,
    steps_of,
    tail,
)
from .remote_wire import Cost, count_of
from .signals import LANGUAGE

if TYPE_CHECKING:
    from .remote_asks import Asker

FINALISTS = 8  # options that the language model scores; the others lie behind by nearness
ABOUT = 640  # characters; more of a text changes no decision and costs a prefill
OPTION = 1280
UNUSABLE = "answers a decision with what cannot be used"
Pair: TypeAlias = tuple[str, str]
"""A prompt's beginning, and its end, which is scored."""


class Decisions:
    """Answers Choose and Rate by the methods of the local engine (docs/decisions.md).

    Where the server tells no probabilities of prompts, what needs them is answered by a
    reply bound to the options: method ``direct``, and ``auto`` unless the model is known to
    be small, when it goes by nearness alone.
    """

    def __init__(self, asker: Asker, method: str) -> None:
        self._asker = asker
        self._method = method
        self._calibration = shipped() if asker.served.small else by_hand()
        self._way: str | None = None
        self._probing = asyncio.Lock()

    async def choose(self, ask: Choose, cost: Cost) -> Answer:
        """The option and all probabilities. Raises Fault."""
        if fault := refusal(ask):
            return fault
        name = self._method
        if name not in ("cosine", "parts") and await self._told_way(cost) == "none":
            if name == "auto" and self._asker.served.small:
                name = "parts"
            elif name in ("auto", "direct"):
                spread = await self._guided_choice(ask, cost, required=name == "direct")
                if spread is not None:
                    return chosen(ask, spread, cost.tokens_in)
                name = "parts"
            else:
                return Failed(
                    reason="refused",
                    detail=f"{self._asker.wire.name.url} tells no probabilities of prompts, "
                    f"which method '{name}' needs; use method auto, direct, cosine or parts",
                )
        method = self._calibration.method(ask.role, name)
        none = ask.options.index(NONE) if NONE in ask.options else None
        scores = method.scores(await self._signals(ask, tuple(method.weights), cost), none)
        return chosen(ask, softmax([float(score) for score in scores]), cost.tokens_in)

    async def _guided_choice(
        self, ask: Choose, cost: Cost, *, required: bool
    ) -> list[float] | None:
        """Each option's probability; None where the reply cannot be used and need not be."""
        labels = labels_of(ask)
        messages = with_question(ask.messages, choice_question(ask, labels))
        try:
            return await self._guided("choice", messages, labels, cost)
        except Fault as fault:
            if required or not _no_use(fault):
                raise
            self._asker.warn(f"{UNUSABLE}; it goes by nearness of meaning", str(fault))
            return None

    async def _signals(
        self, ask: Choose, names: Sequence[str], cost: Cost
    ) -> dict[str, NDArray[np.float64]]:
        """Each signal's numbers, shape (options,). One that did not reach the finals is no
        likelier than the last finalist."""
        near = await self._nearness(ask, names, cost)
        finals = list(range(len(ask.options)))
        if near and len(finals) > FINALISTS:
            first = next(iter(near.values()))
            ranked = sorted(finals, key=lambda i: (-first[i], ask.options[i].name))
            finals = [i for i in ranked if ask.options[i] != NONE][:FINALISTS]
            finals += [i for i in ranked if ask.options[i] == NONE]
        found = dict(near)
        for name in names:
            if name in LANGUAGE:
                own = dict(zip(finals, await self._likelihood(ask, name, finals, cost)))
                least = min(own.values())
                found[name] = [own.get(i, least) for i in range(len(ask.options))]
        return {name: np.array(numbers) for name, numbers in found.items()}

    async def _nearness(
        self, ask: Choose, names: Sequence[str], cost: Cost
    ) -> dict[str, list[float]]:
        """The embedder's signals among ``names``; 0 for none of these."""
        wanted = [name for name in names if name not in LANGUAGE]
        if not wanted:
            return {}
        parts: list[tuple[str, ...]] = [
            (first_line(option), *(pieces(option) if ask.role == TOOL else ()))
            for option in ask.options
        ]
        texts = [ask.about, *(text for one in parts for text in one)]
        about, *rows = await self._vectors(texts, cost)
        found: dict[str, list[float]] = {name: [] for name in wanted}
        left = iter(rows)
        for option, own_texts in zip(ask.options, parts):
            own = islice(left, len(own_texts))
            whole, *others = [fsum(a * b for a, b in zip(about, row)) for row in own]
            mixed = (whole + others[0] + max(others)) / 3 if others else whole
            for name in wanted:
                near = whole if name == "cosine" else mixed
                found[name].append(0.0 if option == NONE else near)
        return found

    async def _vectors(self, texts: Sequence[str], cost: Cost) -> list[list[float]]:
        found: list[list[float]] = (await self._asker.vectoriser.vectors(texts, cost)).tolist()
        return found

    async def _likelihood(
        self, ask: Choose, name: str, finals: Sequence[int], cost: Cost
    ) -> list[float]:
        """The language model's signal of each of ``finals``."""
        options = [ask.options[i] for i in finals]
        if name == "channel":
            target = " " + ask.about[:ABOUT]
            told = [option for option in options if option != NONE]
            pairs = [(_heard(_told(option, ask.role)), target) for option in told]
            prior, *own = await self._scored([(_heard(PLAIN), target), *pairs], cost)
            surprise = max(-fsum(prior), 1e-6)
            left = iter(own)
            return [0.0 if o == NONE else fsum(next(left)) / surprise + 1.0 for o in options]
        messages = ask.messages
        if not messages or messages[-1].role not in ("user", "tool"):
            messages = (*messages, question(ask))
        contexts = [transcript(messages)]
        if name == "pmi":
            contexts.append(transcript((Message.of("user", ""),)))
        end = "\n" if name == "whole" else ""
        rows = await self._scored([(c, f" {o.name}{end}") for o in options for c in contexts], cost)
        if name == "whole":
            return [fsum(row) for row in rows]
        if name == "direct":
            return [fsum(row) / len(row) for row in rows]
        return [(fsum(own) - fsum(bare)) / len(own) for own, bare in zip(rows[::2], rows[1::2])]

    async def rate(self, ask: Rate, cost: Cost) -> Answer:
        """The expected rating, of the likelihood of each number as the reply, of nearness to
        the anchors and the shipped examples, or of both. Raises Fault."""
        if ask.high < ask.low:
            return Failed(
                reason="refused", detail=f"a Rate from {ask.low} to {ask.high} has no values"
            )
        values = range(ask.low, ask.high + 1)
        anchors = (*ask.anchors, *examples(ask.role, ask.low, ask.high))
        own = self._calibration.rating.own if anchors else 1.0
        spread = [0.0] * len(values)
        if own > 0:
            try:
                spread = [own * p for p in await self._own_rating(ask, values, cost)]
            except Fault as fault:
                if not anchors or not _no_use(fault):
                    raise
                self._asker.warn(f"{UNUSABLE}; it goes by nearness to examples", str(fault))
                own = 0.0
        if own < 1:
            near = await self._near(ask, anchors, cost)
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
        plain = rating_question(ask).partition("\n")[0]
        context = transcript(ask.messages or (Message.of("user", plain),))
        # The line break ends the number: without it "1" would also count for "10".
        found = await self._scored([(context, f" {value}\n") for value in values], cost)
        return softmax([fsum(scores) for scores in found])

    async def _near(self, ask: Rate, anchors: Sequence[Anchor], cost: Cost) -> list[float]:
        texts = [ask.about, *(anchor.text for anchor in anchors)]
        about, *rows = await self._vectors(texts, cost)
        sharpness = self._calibration.rating.sharpness
        weights = softmax([fsum(a * b for a, b in zip(about, row)) for row in rows], sharpness)
        spread = [0.0] * (ask.high - ask.low + 1)
        for anchor, weight in zip(anchors, weights):
            spread[min(max(anchor.value, ask.low), ask.high) - ask.low] += weight
        return spread

    async def _guided(
        self, field: str, messages: Sequence[Message], labels: Sequence[str], cost: Cost
    ) -> list[float]:
        """Each label's probability where a reply bound to them was written. Raises Fault."""

        fields: dict[str, Any] = {
            "max_tokens": 24 + max(map(len, labels)),
            "temperature": 0.0,
            "logprobs": True,
            "top_logprobs": 20,
        }
        schema = guided_schema(field, labels)
        reply, _ = await self._asker.chat(messages, fields, cost, schema=schema)
        if guided_label(field, reply.text, labels) is None:
            detail = (
                f"the reply is none of the {len(labels)} {field}s offered: {reply.text[-80:]!r}"
            )
            raise Unusable("limit" if reply.cut else "schema", detail)
        if next(json_values(reply.text), None) is None:
            self._asker.warn("answers decisions in words, not in JSON", reply.text)
        # The tokens of a reasoning model's reply do not begin with its answer.
        steps = [] if reply.reasoned else read(steps_of, reply.choice)
        return guided_spread(field, reply.text, steps, labels)

    async def _scored(self, pairs: Sequence[Pair], cost: Cost) -> list[list[float]]:
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
        except (Refused, Unusable):
            return False
        return len(found) > 1 and all(score <= 0 for score in found)

    async def _told(self, way: str, prompt: str, cost: Cost) -> list[Told]:
        fields: dict[str, Any] = {"model": self._asker.served.model, "prompt": prompt}
        # One token, which nobody reads: not all servers can write none.
        fields |= {"max_tokens": 1, "temperature": 0.0}
        if way == "echo":
            reply = await self._asker.wire.complete(fields | {"echo": True, "logprobs": 1}, cost)
            usage = reply.get("usage")
            count = count_of(usage.get("prompt_tokens")) if isinstance(usage, dict) else 0
            return read(lambda choice: echoed(choice, count or 0), first_choice(reply))
        fields["prompt_logprobs"] = 0
        return read(prompt_logprobs, first_choice(await self._asker.wire.complete(fields, cost)))


def _no_use(fault: Fault) -> bool:
    """Whether the server answered or would have, but not in a form that decides."""
    if isinstance(fault, Refused):
        return fault.untaken
    return isinstance(fault, Unusable) and fault.failed.reason != "engine"


def _told(option: Option, role: str) -> str:
    """An option as what an assistant is told, as the local engine tells it."""
    return (PLAIN + CAN + said(option) if role == TOOL else said(option))[:OPTION]


def _heard(told: str) -> str:
    """A chat in which an assistant that was told something hears a user's words next."""
    return f"System: {told}\nUser:"
