"""Choose and Rate by the local engine: no token is generated and no reply is parsed."""

from __future__ import annotations

import struct
from collections import OrderedDict
from collections.abc import Callable, Sequence
from hashlib import blake2b
from pathlib import Path

import numpy as np

from ...core import (
    NEXT_LINE_ROLE,
    Answer,
    Choose,
    ContextTooLong,
    Failed,
    Message,
    ModelError,
    Option,
    Rate,
    current_cache_owner,
)
from ..embedders import Embedder
from ..engine import PairScores, PairSums, PromptBuilder, ScoringPlan, TokenPair
from .calibration import Calibration
from .critic import LineCritic, LineMatcher, VectorsByText, read_critic
from .features import FEATURES
from .next_line_scorer import NextLineScorer, texts_of_next_line
from .option_scorer import (
    RERANK_TOP_K,
    OptionScorer,
    TargetScore,
    anchor_distribution,
    expected_rating,
    invalid_ask,
    option_similarities,
    rating_anchors,
    softmax,
    texts_to_embed,
)
from .scoring_method import FloatArray, ScoringMethod
from .scoring_prompts import PLAIN_SYSTEM, question_messages, system_text

ALL_FEATURES = ScoringMethod(dict.fromkeys(FEATURES, 1.0), 1.0)
MAX_CACHED_SUMS = 200_000  # 30 MB at most
MAX_ABOUT_TOKENS = 160  # longer texts do not change decisions, but cost a prefill
MAX_OPTION_TOKENS = 320


class Decider:
    """Answers Choose and Rate with a language model and an embedder.

    ``method`` names one of the methods of ``calibration``, or is ``auto``. With ``remember`` the
    log-probability of a pair is computed only once. While ``measuring``, every feature of every
    option is computed, so that ``features`` can return them afterwards.
    """

    def __init__(
        self,
        builder: PromptBuilder,
        embedder: Embedder,
        calibration: Calibration,
        *,
        method: str = "auto",
        remember: bool = True,
    ) -> None:
        self._prompts = _TokenPrompts(builder)
        self._embedder = embedder
        self.calibration = calibration
        self.method = method
        self.measuring = False
        self._remember = remember
        self._cache: OrderedDict[bytes, float] = OrderedDict()
        self._critics: dict[str, LineCritic] = {}

    def load_critic(self, voice: str, folder: Path) -> None:
        """Load the critic of a voice's folder, for asks with this ``voice``. Raises
        ModelCorrupt, and ModelError where it reads other embeddings."""
        self.set_critic(voice, read_critic(folder))

    def set_critic(self, voice: str, critic: LineCritic) -> None:
        """Judge next lines of a voice by a critic. Raises ModelError where it reads embeddings of
        another length."""
        if critic.dimension != self._embedder.dimension:
            raise ModelError(
                f"voice '{voice}': its critic reads embeddings of {critic.dimension} numbers, but "
                f"the embedder's have {self._embedder.dimension}; load the model with the "
                "embedder that the critic was trained with, or train it again"
            )
        self._critics[voice] = critic

    def critic(self, voice: str) -> LineCritic | None:
        """The critic of a voice, if one was loaded."""
        return self._critics.get(voice)

    def embed_ahead(self, asks: Sequence[Choose | Rate]) -> None:
        """Embed the texts of several asks in one batch, where their methods need embeddings."""
        lines = [ask for ask in asks if isinstance(ask, Choose) and self._judges_lines(ask)]
        others = [ask for ask in asks if ask not in lines and self._needs_embedder(ask)]
        texts = [text for ask in lines for text in texts_of_next_line(ask)]
        texts += [text for ask in others for text in texts_to_embed(ask)]
        if texts:
            self._embedder.vectors(texts)

    def _judges_lines(self, ask: Choose) -> bool:
        """Whether a critic answers the ask."""
        return ask.role == NEXT_LINE_ROLE and (self.measuring or ask.voice in self._critics)

    def _needs_embedder(self, ask: Choose | Rate) -> bool:
        needed = isinstance(ask, Rate) or self._method_for(ask).needs_embeddings
        return needed and bool(ask.about.strip())

    def _method_for(self, ask: Choose) -> ScoringMethod:
        return ALL_FEATURES if self.measuring else self.calibration.method(ask.role, self.method)

    def prepare(self, ask: Choose | Rate) -> Failed | ScoringPlan:
        """The pairs that must be scored before the ask can be answered."""
        if invalid := invalid_ask(ask):
            return invalid
        try:
            if isinstance(ask, Choose):
                pairs, answer = self._prepare_choose(ask)
            else:
                pairs, answer = self._prepare_rate(ask)
        except ContextTooLong as error:
            return Failed(reason="context_too_long", detail=str(error))
        keys = {pair: _pair_key(pair) for pair in sorted(set(pairs))}
        known = {pair: self._cache[key] for pair, key in keys.items() if key in self._cache}
        return ScoringPlan(tuple(pair for pair in keys if pair not in known), known, answer)

    def cache_scores(self, scores: PairScores) -> None:
        """Store the sums of scores, so that the same pairs need not be scored again."""
        if self._remember:
            self._cache.update((_pair_key(pair), sum(row)) for pair, row in scores.items())
            while len(self._cache) > MAX_CACHED_SUMS:
                self._cache.popitem(last=False)

    def _option_scorer(self, ask: Choose) -> OptionScorer[TokenPair]:
        method = self._method_for(ask)
        similarities: dict[str, FloatArray] = {}
        if method.needs_embeddings:
            similarities = option_similarities(ask, self._embedder.vectors(texts_to_embed(ask)))
        top_k = None if self.measuring else RERANK_TOP_K
        return OptionScorer(ask, method, self._prompts, similarities, top_k)

    def _prepare_choose(self, ask: Choose) -> tuple[list[TokenPair], Callable[[PairSums], Answer]]:
        if self._judges_lines(ask):
            judge = self._next_line_scorer(ask)
            return judge.pairs, judge.choice
        scorer = self._option_scorer(ask)
        pairs = scorer.pairs
        tokens = sum(len(pair.context) + len(pair.target) for pair in pairs)
        return pairs, lambda sums: scorer.choice(_target_scores(sums), tokens)

    def features(self, ask: Choose) -> dict[str, FloatArray]:
        """Every feature of an ask that was answered while ``measuring``, each of shape
        (options,)."""
        scorer = self._option_scorer(ask)
        sums = {pair: self._cache[_pair_key(pair)] for pair in scorer.pairs}
        return scorer.features(_target_scores(sums))

    def _next_line_scorer(self, ask: Choose) -> NextLineScorer:
        critic = None if self.measuring else self._critics[ask.voice]
        return NextLineScorer(ask, critic, self._prompts.whole_replies, self._vectors_by_text)

    def _vectors_by_text(self, texts: Sequence[str]) -> VectorsByText:
        return dict(zip(texts, self._embedder.vectors(texts), strict=True))

    def line_features(
        self, ask: Choose, matcher: LineMatcher | None = None
    ) -> list[dict[str, float]]:
        """The features by which a critic judges each draft of an ask with the role
        ``NEXT_LINE_ROLE`` that was answered while ``measuring``."""
        scorer = self._next_line_scorer(ask)
        sums = {pair: self._cache[_pair_key(pair)] for pair in scorer.pairs}
        return scorer.features(sums, matcher)

    def _prepare_rate(self, ask: Rate) -> tuple[list[TokenPair], Callable[[PairSums], Answer]]:
        """With anchors, by similarity to them; without, or with the calibrated share of it, by
        the log-probability of each number as the reply."""
        rule = self.calibration.rating
        share = rule.own if rating_anchors(ask) else 1.0
        pairs = self._prompts.digits(ask) if share > 0 else []

        def answer(sums: PairSums) -> Answer:
            reply = softmax(np.array([sums[pair] for pair in pairs])) if pairs else None
            anchored = None
            if share < 1:
                vectors = self._embedder.vectors(texts_to_embed(ask))
                anchored = anchor_distribution(ask, vectors, rule.sharpness)
            tokens = len(pairs[0].context) if pairs else 0
            return expected_rating(ask, share, reply, anchored, tokens)

        return pairs, answer


def _target_scores(sums: PairSums) -> dict[TokenPair, TargetScore]:
    return {pair: TargetScore(total, len(pair.target)) for pair, total in sums.items()}


def _pair_key(pair: TokenPair) -> bytes:
    """A digest of 16 bytes: the ids themselves would take kilobytes."""
    context, target, voice, owner = pair
    ids = struct.pack(f"<{len(context) + len(target) + 1}q", len(context), *context, *target)
    names = f"{voice}\0{owner}" if owner else voice
    return blake2b(ids + names.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _own_pair(context: tuple[int, ...], target: tuple[int, ...]) -> TokenPair:
    """A pair of the owner whose ask is prepared."""
    return TokenPair(context, target, owner=current_cache_owner())


class _TokenPrompts:
    """``ScoringPrompts`` as token ids, for the local engine."""

    def __init__(self, builder: PromptBuilder) -> None:
        self._builder = builder

    def channel(self, option: Option, about: str, role: str) -> TokenPair:
        return self._user_turn(system_text(option, role), about)

    def prior(self, about: str) -> TokenPair:
        return self._user_turn(PLAIN_SYSTEM, about)

    def _user_turn(self, system: str, about: str) -> TokenPair:
        window = self._builder.window
        ids = self._builder.text_ids(system)[: min(MAX_OPTION_TOKENS, window // 2)]
        target = self._builder.text_ids(about)[: min(MAX_ABOUT_TOKENS, window // 4)]
        return _own_pair(self._builder.opening_ids(("system", "user"), (ids,)), target)

    def direct(self, ask: Choose) -> list[TokenPair]:
        return self._replies(question_messages(ask), [option.name for option in ask.options])

    def whole(self, ask: Choose) -> list[TokenPair]:
        names = [option.name for option in ask.options]
        return self._replies(question_messages(ask), names, self._builder.closing_ids())

    def whole_replies(
        self, messages: Sequence[Message], replies: list[str], voice: str
    ) -> list[TokenPair]:
        pairs = self._replies(tuple(messages), replies, self._builder.closing_ids())
        return [pair._replace(voice=voice) for pair in pairs]

    def bare(self, option: Option) -> TokenPair:
        context = self._builder.ids((Message.of("user", ""),))
        return _own_pair(context, self._builder.text_ids(option.name))

    def digits(self, ask: Rate) -> list[TokenPair]:
        messages = ask.messages or (Message.of("user", ask.about),)
        # The line break ends the number: without it "1" would also count for "10".
        return self._replies(messages, [f"{i}\n" for i in range(ask.low, ask.high + 1)])

    def _replies(
        self, messages: tuple[Message, ...], replies: list[str], end: tuple[int, ...] = ()
    ) -> list[TokenPair]:
        targets = [self._builder.text_ids(reply) + end for reply in replies]
        context = self._builder.fit(messages, max(map(len, targets))).ids
        return [_own_pair(context, target) for target in targets]
