"""What a voice has learned, measured on dialogues that it was not trained on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ...core import Json, Message
from ...planners.speech import Speaker, speech_messages
from ..dialogues import PersonaDialogue
from ..reply_items import NextLineItem, next_line_items
from ..samples import plain_sample
from .encoded_samples import EncodedSample
from .trainable_model import TrainableModel
from .voice_trainer import mean_loss

MAX_LINE_TOKENS = 48
"""Of a line that is sampled for the report."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VoiceEvaluation:
    """Figures of one state of the weights: ``loss`` of true lines in nats a token; ``reply_at_1``
    by ``mean`` log-likelihood and ``corrected`` by that of the line without the conversation, each
    the share of items whose true line is the most likely of 20 (NaN: not measured); ``said`` are
    the lines that the model says in the first situations."""

    loss: float
    mean: float
    corrected: float
    said: tuple[str, ...]

    @property
    def perplexity(self) -> float:
        """exp(loss)."""
        return math.exp(self.loss)

    def save(self) -> dict[str, Json]:
        """As JSON."""
        return {
            "loss": self.loss,
            "mean": self.mean,
            "corrected": self.corrected,
            "said": list(self.said),
        }

    @classmethod
    def load(cls, data: dict[str, Any]) -> VoiceEvaluation:
        """What ``save`` returned."""
        return cls(**{**data, "said": tuple(data["said"])})


class VoiceExam:
    """Measures a model on dialogues: the loss on ``losses`` of them, and the right one of 20
    replies at a place in each of ``replies``; lines are said at ``lines`` of these places."""

    def __init__(
        self,
        model: TrainableModel,
        dialogues: Sequence[PersonaDialogue],
        *,
        losses: int = 20,
        replies: int = 16,
        lines: int = 6,
        seed: int = 1,
    ) -> None:
        self.model = model
        self.samples = check_samples(model, dialogues[:losses])
        self.items = next_line_items(dialogues, replies, seed=seed)
        self.lines = lines

    def take(self) -> VoiceEvaluation:
        """Measure the weights as they are now."""
        with self.model.evaluation():
            found = [_right_reply(self.model, item) for item in self.items]
            said = tuple(_say(self.model, item.messages) for item in self.items[: self.lines])
        return VoiceEvaluation(
            loss=mean_loss(self.model, self.samples),
            mean=_share([mean for mean, _ in found]),
            corrected=_share([corrected for _, corrected in found]),
            said=said,
        )


def check_samples(
    model: TrainableModel, dialogues: Sequence[PersonaDialogue]
) -> list[EncodedSample]:
    """The dialogues as each learned side speaks them, without notes and names."""
    views = [
        plain_sample(dialogue, side)
        for dialogue in dialogues
        for side in (0, 1)
        if dialogue.learned[side]
    ]
    return model.encode([sample for sample in views if sample.targets])


def _share(hits: Sequence[bool]) -> float:
    return sum(hits) / len(hits) if hits else float("nan")


def _right_reply(model: TrainableModel, item: NextLineItem) -> tuple[bool, bool]:
    """Whether the true line is the most likely one, by the mean log-likelihood of its tokens, and
    by that less the one at the beginning of a conversation."""
    texts = (item.true, *item.others)
    system = speech_messages(Speaker(facts=item.facts), [])
    inside = _mean_likelihoods(model, item.messages, texts)
    alone = _mean_likelihoods(model, system, texts)
    corrected = [one - other for one, other in zip(inside, alone, strict=True)]
    return max(inside) == inside[0], max(corrected) == corrected[0]


def _mean_likelihoods(
    model: TrainableModel, messages: Sequence[Message], texts: Sequence[str]
) -> list[float]:
    """For each text the mean log-likelihood of its tokens, and of the one that ends the turn,
    after a prompt."""
    import torch

    builder = model.builder
    device = model.accelerator.device
    end = builder.closing_ids()
    targets = [builder.text_ids(text) + end for text in texts]
    context = builder.fit(messages, max(map(len, targets))).ids
    # The context runs once; the texts run side by side behind copies of its keys and values.
    first = model.model(input_ids=torch.tensor([context], device=device), use_cache=True)
    cache = first.past_key_values
    cache.batch_repeat_interleave(len(targets))
    longest = max(map(len, targets))
    ids = torch.zeros((len(targets), longest), dtype=torch.long)
    for row, target in enumerate(targets):
        ids[row, : len(target)] = torch.tensor(target)
    ids = ids.to(device)
    after = model.model(input_ids=ids, past_key_values=cache, use_cache=True).logits
    head = first.logits[:, -1:].expand(len(targets), -1, -1)
    logits = torch.cat([head, after[:, :-1]], dim=1).float()
    chosen = logits.log_softmax(-1).gather(2, ids[..., None])[..., 0]
    return [float(chosen[row, : len(target)].mean()) for row, target in enumerate(targets)]


def _say(model: TrainableModel, messages: Sequence[Message]) -> str:
    """The most likely next line, token by token."""
    import torch

    builder = model.builder
    device = model.accelerator.device
    ends = set(builder.closing_ids())
    ids = list(builder.fit(messages, MAX_LINE_TOKENS).ids)
    inputs, cache, said = ids, None, []
    for _ in range(MAX_LINE_TOKENS):
        output = model.model(
            input_ids=torch.tensor([inputs], device=device), past_key_values=cache, use_cache=True
        )
        cache = output.past_key_values
        token = int(output.logits[0, -1].argmax())
        if token in ends:
            break
        said.append(token)
        inputs = [token]
    return " ".join(str(model.tokenizer.decode(said, skip_special_tokens=True)).split())
