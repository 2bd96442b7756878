"""Choose and Rate by a remote model: by log-probabilities of prompts, else by a guided reply."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import fsum
from typing import Any, TypeAlias

import numpy as np

from ...core import Answer, Choose, Failed, Message, Option, Rate
from ..decisions import (
    PLAIN_SYSTEM,
    OptionScorer,
    TargetScore,
    anchor_distribution,
    expected_rating,
    invalid_ask,
    large_model_calibration,
    option_similarities,
    question_messages,
    rating_anchors,
    sample_choice,
    shipped_calibration,
    softmax,
    system_text,
    texts_to_embed,
)
from .chat_client import ChatClient
from .chat_completion import first_choice
from .chat_messages import (
    append_question,
    choice_question,
    option_labels,
    rating_question,
    transcript,
)
from .embeddings import TextEmbeddings
from .logprobs import (
    TokenLogprob,
    echo_logprobs,
    guided_label,
    guided_probabilities,
    guided_schema,
    parse_steps,
    prompt_logprobs,
    read_leniently,
    suffix_logprobs,
)
from .request_errors import RequestError, RequestRejected, UnusableReply
from .structured_output import iter_json
from .transport import RequestUsage, parse_count

MAX_ABOUT_CHARACTERS = 640  # longer texts do not change decisions, but cost a prefill
MAX_OPTION_CHARACTERS = 1280
UNUSABLE_WARNING = "answers decisions in a form that cannot be used"

TextPair: TypeAlias = tuple[str, str]
"""A prompt's context and its target, whose log-probability is wanted."""


class _TextPrompts:
    """``ScoringPrompts`` as plain text, for servers that give log-probabilities of prompts."""

    def channel(self, option: Option, about: str, role: str) -> TextPair:
        system = system_text(option, role)[:MAX_OPTION_CHARACTERS]
        return f"System: {system}\nUser:", f" {about[:MAX_ABOUT_CHARACTERS]}"

    def prior(self, about: str) -> TextPair:
        return f"System: {PLAIN_SYSTEM}\nUser:", f" {about[:MAX_ABOUT_CHARACTERS]}"

    def direct(self, ask: Choose) -> list[TextPair]:
        context = transcript(question_messages(ask))
        return [(context, f" {option.name}") for option in ask.options]

    def whole(self, ask: Choose) -> list[TextPair]:
        return [(context, f"{target}\n") for context, target in self.direct(ask)]

    def bare(self, option: Option) -> TextPair:
        return transcript((Message.of("user", ""),)), f" {option.name}"

    def digits(self, ask: Rate) -> list[TextPair]:
        question = Message.of("user", rating_question(ask).partition("\n")[0])
        context = transcript(ask.messages or (question,))
        # The line break ends the number: without it "1" would also count for "10".
        return [(context, f" {value}\n") for value in range(ask.low, ask.high + 1)]


class RemoteDecider:
    """Answers Choose and Rate by the same methods as the local engine (docs/decisions.md).

    Where the server gives no log-probabilities of prompts, the model generates a reply that is
    constrained to the options: with method ``direct``, and with ``auto`` unless the model is known
    to be small. A small model under ``auto`` is not asked; the embeddings alone decide.
    """

    def __init__(self, chat: ChatClient, embeddings: TextEmbeddings, method: str) -> None:
        self._chat = chat
        self._embeddings = embeddings
        self._method = method
        small = chat.served.is_small
        self._calibration = shipped_calibration() if small else large_model_calibration()
        self._prompts = _TextPrompts()
        self._logprob_source: str | None = None
        self._probe_lock = asyncio.Lock()

    async def choose(self, ask: Choose, usage: RequestUsage) -> Answer:
        """The choice and the probabilities of all options. Raises RequestError."""
        if invalid := invalid_ask(ask):
            return invalid
        name = self._method
        if name not in ("cosine", "parts") and await self._find_logprob_source(usage) == "none":
            if name not in ("auto", "direct"):
                detail = (
                    f"{self._chat.transport.endpoint.url} gives no log-probabilities of prompts, "
                    f"which method '{name}' needs; use method auto, direct, cosine or parts"
                )
                return Failed(reason="refused", detail=detail)
            if name == "direct" or not self._chat.served.is_small:
                required = name == "direct"
                with self._unusable_allowed(not required, "the embeddings decide instead"):
                    return await self._guided_choice(ask, usage)
            name = "parts"
        method = self._calibration.method(ask.role, name)
        similarities = {}
        if method.needs_embeddings:
            vectors = await self._embeddings.vectors(texts_to_embed(ask), usage)
            similarities = option_similarities(ask, vectors)
        scorer = OptionScorer(ask, method, self._prompts, similarities)
        scores = await self._score(scorer.pairs, usage)
        return scorer.choice(scores, usage.tokens_in)

    async def _guided_choice(self, ask: Choose, usage: RequestUsage) -> Answer:
        labels = option_labels(ask)
        messages = append_question(ask.messages, choice_question(ask, labels))
        probabilities = await self._guided_reply("choice", messages, labels, usage)
        return sample_choice(ask, probabilities, usage.tokens_in)

    async def rate(self, ask: Rate, usage: RequestUsage) -> Answer:
        """The expected rating: by the log-probability of each number as the reply, by similarity
        to the anchors and the shipped examples, or by both. Raises RequestError."""
        if invalid := invalid_ask(ask):
            return invalid
        rule = self._calibration.rating
        anchors = rating_anchors(ask)
        share = rule.own if anchors else 1.0
        reply = anchored = None
        if share > 0:
            with self._unusable_allowed(bool(anchors), "the examples decide instead"):
                reply = await self._reply_distribution(ask, usage)
            share = share if reply is not None else 0.0
        if share < 1:
            vectors = await self._embeddings.vectors(texts_to_embed(ask), usage)
            anchored = anchor_distribution(ask, vectors, rule.sharpness)
        return expected_rating(ask, share, reply, anchored, usage.tokens_in)

    async def _reply_distribution(self, ask: Rate, usage: RequestUsage) -> Sequence[float]:
        """The probability of each number as the reply."""
        if await self._find_logprob_source(usage) == "none":
            labels = [str(value) for value in range(ask.low, ask.high + 1)]
            messages = append_question(ask.messages, rating_question(ask))
            return await self._guided_reply("rating", messages, labels, usage)
        pairs = self._prompts.digits(ask)
        scores = await self._score(pairs, usage)
        logits = np.array([scores[pair].total for pair in pairs])
        return [float(probability) for probability in softmax(logits)]

    @contextmanager
    def _unusable_allowed(self, allowed: bool, fallback: str) -> Iterator[None]:
        """Replace the error of a reply that cannot be used by a warning, where allowed."""
        try:
            yield
        except RequestError as error:
            if isinstance(error, RequestRejected):
                unusable = error.is_adaptable
            else:
                unusable = isinstance(error, UnusableReply) and error.failed.reason != "engine"
            if not allowed or not unusable:
                raise
            self._chat.warn_once(f"{UNUSABLE_WARNING}; {fallback}", str(error))

    async def _guided_reply(
        self, field: str, messages: Sequence[Message], labels: Sequence[str], usage: RequestUsage
    ) -> list[float]:
        """The probability of each label, by a reply constrained to them. Raises RequestError."""
        fields: dict[str, Any] = {
            "max_tokens": 24 + max(map(len, labels)),
            "temperature": 0.0,
            "logprobs": True,
            "top_logprobs": 20,
        }
        schema = guided_schema(field, labels)
        reply, _ = await self._chat.chat(messages, fields, usage, schema=schema)
        if guided_label(field, reply.text, labels) is None:
            detail = (
                f"the reply is none of the {len(labels)} {field}s offered: {reply.text[-80:]!r}"
            )
            raise UnusableReply("limit" if reply.truncated else "schema", detail)
        if next(iter_json(reply.text), None) is None:
            self._chat.warn_once("answers decisions in words, not in JSON", reply.text)
        # The first tokens of a reasoning model's reply are not those of its answer.
        steps = [] if reply.has_reasoning else read_leniently(parse_steps, reply.choice)
        return guided_probabilities(field, reply.text, steps, labels)

    async def _score(
        self, pairs: Sequence[TextPair], usage: RequestUsage
    ) -> dict[TextPair, TargetScore]:
        """The log-probability of each target after its context. Raises RequestError."""
        if not pairs:
            return {}
        source = await self._find_logprob_source(usage)
        prompts = [self._prompt_logprobs(source, "".join(pair), usage) for pair in pairs]
        scores: dict[TextPair, TargetScore] = {}
        for pair, tokens in zip(pairs, await asyncio.gather(*prompts)):
            logprobs = suffix_logprobs(tokens, pair[1])
            if not logprobs:
                raise RequestError("engine", "the server's tokens do not spell the prompt")
            scores[pair] = TargetScore(fsum(logprobs), len(logprobs))
        return scores

    async def _find_logprob_source(self, usage: RequestUsage) -> str:
        """How the server gives log-probabilities of a prompt: echo, prompt_logprobs or none.

        Probed once. Raises RequestError when the server does not answer at all.
        """
        async with self._probe_lock:
            for source in ("echo", "prompt_logprobs"):
                if self._logprob_source is None and await self._supports(source, usage):
                    self._logprob_source = source
            self._logprob_source = self._logprob_source or "none"
            return self._logprob_source

    async def _supports(self, source: str, usage: RequestUsage) -> bool:
        try:
            tokens = await self._prompt_logprobs(source, "The sun rises in the east.", usage)
        except (RequestRejected, UnusableReply):
            return False
        logprobs = suffix_logprobs(tokens, " the east.")
        return len(logprobs) > 1 and all(logprob <= 0 for logprob in logprobs)

    async def _prompt_logprobs(
        self, source: str, prompt: str, usage: RequestUsage
    ) -> list[TokenLogprob]:
        fields: dict[str, Any] = {"model": self._chat.served.model, "prompt": prompt}
        # One token is generated and not read: some servers cannot generate none.
        fields |= {"max_tokens": 1, "temperature": 0.0}
        if source == "prompt_logprobs":
            reply = await self._chat.transport.complete(fields | {"prompt_logprobs": 0}, usage)
            return read_leniently(prompt_logprobs, first_choice(reply))
        reply = await self._chat.transport.complete(fields | {"echo": True, "logprobs": 1}, usage)
        counts = reply.get("usage")
        count = parse_count(counts.get("prompt_tokens")) if isinstance(counts, dict) else 0
        return read_leniently(lambda choice: echo_logprobs(choice, count or 0), first_choice(reply))
