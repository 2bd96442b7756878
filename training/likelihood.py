"""Log-probabilities of true lines and of any texts, computed in batches by the engine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from ..core import Choice, Choose, Failed, Message, ModelError, Option, Rate, answer_all
from ..models import LocalModel
from ..models.engine import PairScores, PromptBuilder, ScoringPlan, TokenPair

LogProbs = tuple[float, ...]
"""The log-probability of each token of a target after its context, in nats."""


def score_replies(
    model: LocalModel,
    prompts: Sequence[tuple[Message, ...]],
    replies: Sequence[str],
    voice: str = "",
) -> list[LogProbs]:
    """The log-probabilities of each reply's tokens, the one that ends the turn included, after
    its prompt, by the base weights or by a ``voice`` as in ``Generate``. Raises ContextTooLong for
    a prompt that cannot be shortened to the window, and ModelError where the engine fails."""
    builder = model.prompt_builder
    end = builder.closing_ids()
    pairs = []
    for messages, reply in zip(prompts, replies, strict=True):
        target = builder.text_ids(reply) + end
        pairs.append(TokenPair(builder.fit(messages, len(target)).ids, target, voice))
    return score_pairs(model, pairs)


def score_pairs(model: LocalModel, pairs: Sequence[TokenPair]) -> list[LogProbs]:
    """The log-probabilities of the target tokens of each pair. Pairs with an equal context and
    voice next to each other share its computation. Only while no other client uses the
    model. Raises ModelError where the engine fails."""
    groups: list[list[TokenPair]] = []
    for pair in pairs:
        if groups and (groups[-1][0].context, groups[-1][0].voice) == (pair.context, pair.voice):
            groups[-1].append(pair)
        else:
            groups.append([pair])
    recorder = _PairRecorder(groups)
    engine = model.engine
    decider, engine.decider = engine.decider, recorder
    try:
        asks = [
            Choose(messages=(), options=(Option("pairs"),), about="pairs", seed=number)
            for number in range(len(groups))
        ]
        answers = answer_all(model.client(), asks)
    finally:
        engine.decider = decider
    for answer in answers:
        if isinstance(answer, Failed):
            raise ModelError(f"texts could not be scored: {answer.detail}")
    return [recorder.scores[pair] for pair in pairs]


@dataclass(slots=True)
class _PairRecorder:
    """A DecisionScorer that has the pairs of group ``ask.seed`` scored and keeps the scores."""

    groups: Sequence[Sequence[TokenPair]]
    scores: dict[TokenPair, LogProbs] = field(default_factory=dict)

    def embed_ahead(self, asks: Sequence[Choose | Rate]) -> None:
        """Nothing is embedded."""

    def prepare(self, ask: Choose | Rate) -> Failed | ScoringPlan:
        assert isinstance(ask, Choose)
        pairs = tuple(sorted(set(self.groups[ask.seed])))
        return ScoringPlan(pairs, {}, lambda sums: Choice(index=0, probabilities=(1.0,)))

    def cache_scores(self, scores: PairScores) -> None:
        self.scores.update(scores)


@dataclass(frozen=True, slots=True)
class SpokenTurns:
    """A conversation as one sequence: a context and a target, and where in the target the
    speaker's own turns are, as (first, behind the last) positions. The last token of a turn is the
    one that ends it."""

    pair: TokenPair
    turns: tuple[tuple[int, int], ...]


def spoken_turns(
    builder: PromptBuilder, messages: Sequence[Message], window: int | None = None
) -> SpokenTurns | None:
    """The token ids of a conversation in chat form, as the engine's prompts for its turns have
    them: every prompt is a prefix of the sequence. Turns behind ``window`` tokens (default: the
    model's) are left out; None if no turn of the assistant is left."""
    window = builder.window if window is None else min(window, builder.window)
    end = builder.closing_ids()
    ids: tuple[int, ...] = ()
    spans: list[tuple[int, int]] = []
    for index, message in enumerate(messages):
        if message.role != "assistant":
            continue
        prompt = builder.ids(messages[:index], reply=True)
        longer = prompt + builder.text_ids(message.text) + end
        if prompt[: len(ids)] != ids or len(longer) > window:
            break
        spans.append((len(prompt), len(longer)))
        ids = longer
    if not spans:
        return None
    first = spans[0][0]
    turns = tuple((start - first, stop - first) for start, stop in spans)
    return SpokenTurns(TokenPair(ids[:first], ids[first:]), turns)
