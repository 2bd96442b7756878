"""Choosing and rating with a server's model: by its probabilities, else by a guided reply."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import islice
from math import fsum
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ...core import NONE_OF_THESE, Anchor, Answer, Choose, Failed, Message, Option, Rate, Rating
from ..decisions import (
    LM_FEATURES,
    PLAIN_SYSTEM,
    TOOL_INTRODUCTION,
    TOOL_ROLE,
    about_question,
    first_line,
    first_line_parts,
    large_model_calibration,
    option_text,
    rating_examples,
    shipped_calibration,
)
from .chat_completion import first_choice
from .chat_messages import (
    append_question,
    choice_question,
    option_labels,
    rating_question,
    transcript,
)
from .logprobs import (
    TokenLogprob,
    echo_logprobs,
    guided_label,
    guided_probabilities,
    guided_schema,
    invalid_choose,
    parse_steps,
    prompt_logprobs,
    read_leniently,
    sample_choice,
    softmax,
    suffix_logprobs,
)
from .request_errors import RequestError, RequestRejected, UnusableReply
from .structured_output import iter_json
from .transport import RequestUsage, parse_count

if TYPE_CHECKING:
    from .ask_handler import RemoteAskHandler

RERANK_TOP_K = 8  # options that the language model scores; the others lie behind by nearness
MAX_ABOUT_CHARACTERS = 640  # characters; more of a text changes no decision and costs a prefill
MAX_OPTION_CHARACTERS = 1280
UNUSABLE_WARNING = "answers a decision with what cannot be used"
TextPair: TypeAlias = tuple[str, str]
"""A prompt's beginning, and its end, which is scored."""


class RemoteDecider:
    """Answers Choose and Rate by the methods of the local engine (docs/decisions.md).

    Where the server tells no probabilities of prompts, what needs them is answered by a
    reply bound to the options: method ``direct``, and ``auto`` unless the model is known to
    be small, when it goes by nearness alone.
    """

    def __init__(self, asker: RemoteAskHandler, method: str) -> None:
        self._handler = asker
        self._method = method
        self._calibration = (
            shipped_calibration() if asker.served.is_small else large_model_calibration()
        )
        self._logprob_source: str | None = None
        self._probe_lock = asyncio.Lock()

    async def choose(self, ask: Choose, cost: RequestUsage) -> Answer:
        """The option and all probabilities. Raises RequestError."""
        if fault := invalid_choose(ask):
            return fault
        name = self._method
        if name not in ("cosine", "parts") and await self._find_logprob_source(cost) == "none":
            if name == "auto" and self._handler.served.is_small:
                name = "parts"
            elif name in ("auto", "direct"):
                spread = await self._guided_choice(ask, cost, required=name == "direct")
                if spread is not None:
                    return sample_choice(ask, spread, cost.tokens_in)
                name = "parts"
            else:
                return Failed(
                    reason="refused",
                    detail=f"{self._handler.transport.endpoint.url} tells no probabilities of "
                    "prompts, "
                    f"which method '{name}' needs; use method auto, direct, cosine or parts",
                )
        method = self._calibration.method(ask.role, name)
        none = ask.options.index(NONE_OF_THESE) if NONE_OF_THESE in ask.options else None
        scores = method.scores(await self._features(ask, tuple(method.weights), cost), none)
        return sample_choice(ask, softmax([float(score) for score in scores]), cost.tokens_in)

    async def _guided_choice(
        self, ask: Choose, cost: RequestUsage, *, required: bool
    ) -> list[float] | None:
        """Each option's probability; None where the reply cannot be used and need not be."""
        labels = option_labels(ask)
        messages = append_question(ask.messages, choice_question(ask, labels))
        try:
            return await self._guided_reply("choice", messages, labels, cost)
        except RequestError as fault:
            if required or not _is_unusable(fault):
                raise
            self._handler.warn_once(
                f"{UNUSABLE_WARNING}; it goes by nearness of meaning", str(fault)
            )
            return None

    async def _features(
        self, ask: Choose, names: Sequence[str], cost: RequestUsage
    ) -> dict[str, NDArray[np.float64]]:
        """Each signal's numbers, shape (options,). One that did not reach the finals is no
        likelier than the last finalist."""
        near = await self._similarities(ask, names, cost)
        finals = list(range(len(ask.options)))
        if near and len(finals) > RERANK_TOP_K:
            first = next(iter(near.values()))
            ranked = sorted(finals, key=lambda i: (-first[i], ask.options[i].name))
            finals = [i for i in ranked if ask.options[i] != NONE_OF_THESE][:RERANK_TOP_K]
            finals += [i for i in ranked if ask.options[i] == NONE_OF_THESE]
        found = dict(near)
        for name in names:
            if name in LM_FEATURES:
                own = dict(zip(finals, await self._lm_feature(ask, name, finals, cost)))
                least = min(own.values())
                found[name] = [own.get(i, least) for i in range(len(ask.options))]
        return {name: np.array(numbers) for name, numbers in found.items()}

    async def _similarities(
        self, ask: Choose, names: Sequence[str], cost: RequestUsage
    ) -> dict[str, list[float]]:
        """The embedder's signals among ``names``; 0 for none of these."""
        wanted = [name for name in names if name not in LM_FEATURES]
        if not wanted:
            return {}
        parts: list[tuple[str, ...]] = [
            (first_line(option), *(first_line_parts(option) if ask.role == TOOL_ROLE else ()))
            for option in ask.options
        ]
        texts = [ask.about, *(text for one in parts for text in one)]
        about, *rows = await self._embed(texts, cost)
        found: dict[str, list[float]] = {name: [] for name in wanted}
        left = iter(rows)
        for option, own_texts in zip(ask.options, parts):
            own = islice(left, len(own_texts))
            whole, *others = [fsum(a * b for a, b in zip(about, row)) for row in own]
            mixed = (whole + others[0] + max(others)) / 3 if others else whole
            for name in wanted:
                near = whole if name == "cosine" else mixed
                found[name].append(0.0 if option == NONE_OF_THESE else near)
        return found

    async def _embed(self, texts: Sequence[str], cost: RequestUsage) -> list[list[float]]:
        found: list[list[float]] = (await self._handler.embeddings.vectors(texts, cost)).tolist()
        return found

    async def _lm_feature(
        self, ask: Choose, name: str, finals: Sequence[int], cost: RequestUsage
    ) -> list[float]:
        """The language model's signal of each of ``finals``."""
        options = [ask.options[i] for i in finals]
        if name == "channel":
            target = " " + ask.about[:MAX_ABOUT_CHARACTERS]
            told = [option for option in options if option != NONE_OF_THESE]
            pairs = [(_user_turn(_option_prompt(option, ask.role)), target) for option in told]
            prior, *own = await self._target_logprobs(
                [(_user_turn(PLAIN_SYSTEM), target), *pairs], cost
            )
            surprise = max(-fsum(prior), 1e-6)
            left = iter(own)
            return [
                0.0 if o == NONE_OF_THESE else fsum(next(left)) / surprise + 1.0 for o in options
            ]
        messages = ask.messages
        if not messages or messages[-1].role not in ("user", "tool"):
            messages = (*messages, about_question(ask))
        contexts = [transcript(messages)]
        if name == "pmi":
            contexts.append(transcript((Message.of("user", ""),)))
        end = "\n" if name == "whole" else ""
        rows = await self._target_logprobs(
            [(c, f" {o.name}{end}") for o in options for c in contexts], cost
        )
        if name == "whole":
            return [fsum(row) for row in rows]
        if name == "direct":
            return [fsum(row) / len(row) for row in rows]
        return [(fsum(own) - fsum(bare)) / len(own) for own, bare in zip(rows[::2], rows[1::2])]

    async def rate(self, ask: Rate, cost: RequestUsage) -> Answer:
        """The expected rating, of the likelihood of each number as the reply, of nearness to
        the anchors and the shipped examples, or of both. Raises RequestError."""
        if ask.high < ask.low:
            return Failed(
                reason="refused", detail=f"a Rate from {ask.low} to {ask.high} has no values"
            )
        values = range(ask.low, ask.high + 1)
        anchors = (*ask.anchors, *rating_examples(ask.role, ask.low, ask.high))
        own = self._calibration.rating.own if anchors else 1.0
        spread = [0.0] * len(values)
        if own > 0:
            try:
                spread = [own * p for p in await self._lm_rating(ask, values, cost)]
            except RequestError as fault:
                if not anchors or not _is_unusable(fault):
                    raise
                self._handler.warn_once(
                    f"{UNUSABLE_WARNING}; it goes by nearness to examples", str(fault)
                )
                own = 0.0
        if own < 1:
            near = await self._anchor_distribution(ask, anchors, cost)
            spread = [p + (1 - own) * q for p, q in zip(spread, near)]
        return Rating(
            value=fsum(p * value for p, value in zip(spread, values)),
            probabilities=tuple(spread),
            tokens_in=cost.tokens_in,
        )

    async def _lm_rating(self, ask: Rate, values: range, cost: RequestUsage) -> list[float]:
        if await self._find_logprob_source(cost) == "none":
            labels = [str(value) for value in values]
            messages = append_question(ask.messages, rating_question(ask))
            return await self._guided_reply("rating", messages, labels, cost)
        plain = rating_question(ask).partition("\n")[0]
        context = transcript(ask.messages or (Message.of("user", plain),))
        # The line break ends the number: without it "1" would also count for "10".
        found = await self._target_logprobs([(context, f" {value}\n") for value in values], cost)
        return softmax([fsum(scores) for scores in found])

    async def _anchor_distribution(
        self, ask: Rate, anchors: Sequence[Anchor], cost: RequestUsage
    ) -> list[float]:
        texts = [ask.about, *(anchor.text for anchor in anchors)]
        about, *rows = await self._embed(texts, cost)
        sharpness = self._calibration.rating.sharpness
        weights = softmax([fsum(a * b for a, b in zip(about, row)) for row in rows], sharpness)
        spread = [0.0] * (ask.high - ask.low + 1)
        for anchor, weight in zip(anchors, weights):
            spread[min(max(anchor.value, ask.low), ask.high) - ask.low] += weight
        return spread

    async def _guided_reply(
        self, field: str, messages: Sequence[Message], labels: Sequence[str], cost: RequestUsage
    ) -> list[float]:
        """Each label's probability where a reply bound to them was written. Raises RequestError."""

        fields: dict[str, Any] = {
            "max_tokens": 24 + max(map(len, labels)),
            "temperature": 0.0,
            "logprobs": True,
            "top_logprobs": 20,
        }
        schema = guided_schema(field, labels)
        reply, _ = await self._handler.chat(messages, fields, cost, schema=schema)
        if guided_label(field, reply.text, labels) is None:
            detail = (
                f"the reply is none of the {len(labels)} {field}s offered: {reply.text[-80:]!r}"
            )
            raise UnusableReply("limit" if reply.truncated else "schema", detail)
        if next(iter_json(reply.text), None) is None:
            self._handler.warn_once("answers decisions in words, not in JSON", reply.text)
        # The tokens of a reasoning model's reply do not begin with its answer.
        steps = [] if reply.has_reasoning else read_leniently(parse_steps, reply.choice)
        return guided_probabilities(field, reply.text, steps, labels)

    async def _target_logprobs(
        self, pairs: Sequence[TextPair], cost: RequestUsage
    ) -> list[list[float]]:
        """Log-probabilities of each target's tokens behind its context. Raises RequestError."""
        way = await self._find_logprob_source(cost)
        told = await asyncio.gather(*(self._prompt_logprobs(way, a + b, cost) for a, b in pairs))
        found = [suffix_logprobs(one, target) for one, (_, target) in zip(told, pairs)]
        if not all(found):
            raise RequestError("engine", "the server's tokens of a prompt do not spell it")
        return found

    async def _find_logprob_source(self, cost: RequestUsage) -> str:
        """How this server tells probabilities of a prompt: echo, prompt_logprobs or none.
        Tried once. Raises RequestError when the server fails altogether."""
        async with self._probe_lock:
            for way in ("echo", "prompt_logprobs"):
                if self._logprob_source is None and await self._supports(way, cost):
                    self._logprob_source = way
            self._logprob_source = self._logprob_source or "none"
            return self._logprob_source

    async def _supports(self, way: str, cost: RequestUsage) -> bool:
        try:
            found = suffix_logprobs(
                await self._prompt_logprobs(way, "The sun rises in the east.", cost), " the east."
            )
        except (RequestRejected, UnusableReply):
            return False
        return len(found) > 1 and all(score <= 0 for score in found)

    async def _prompt_logprobs(
        self, way: str, prompt: str, cost: RequestUsage
    ) -> list[TokenLogprob]:
        fields: dict[str, Any] = {"model": self._handler.served.model, "prompt": prompt}
        # One token, which nobody reads: not all servers can write none.
        fields |= {"max_tokens": 1, "temperature": 0.0}
        if way == "echo":
            reply = await self._handler.transport.complete(
                fields | {"echo": True, "logprobs": 1}, cost
            )
            usage = reply.get("usage")
            count = parse_count(usage.get("prompt_tokens")) if isinstance(usage, dict) else 0
            return read_leniently(
                lambda choice: echo_logprobs(choice, count or 0), first_choice(reply)
            )
        fields["prompt_logprobs"] = 0
        return read_leniently(
            prompt_logprobs, first_choice(await self._handler.transport.complete(fields, cost))
        )


def _is_unusable(fault: RequestError) -> bool:
    """Whether the server answered or would have, but not in a form that decides."""
    if isinstance(fault, RequestRejected):
        return fault.is_adaptable
    return isinstance(fault, UnusableReply) and fault.failed.reason != "engine"


def _option_prompt(option: Option, role: str) -> str:
    """An option as what an assistant is told, as the local engine tells it."""
    return (
        PLAIN_SYSTEM + TOOL_INTRODUCTION + option_text(option)
        if role == TOOL_ROLE
        else option_text(option)
    )[:MAX_OPTION_CHARACTERS]


def _user_turn(told: str) -> str:
    """A chat in which an assistant that was told something hears a user's words next."""
    return f"System: {told}\nUser:"
