"""Trains a voice: an adapter (LoRA, Hu et al. 2021) of a model's weights that has learned to speak.

Supervised fine-tuning on the speaker's own lines only: the loss is the mean negative
log-likelihood, in nats a token, of the targets of the samples, each with the token that ends its
turn.
"""

from __future__ import annotations

import json
import math
import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..models.engine import PromptBuilder
from .dialogues import PersonaDialogue
from .samples import Sample, plain_sample, voice_samples
from .told_facts import FactMatcher


@dataclass(frozen=True, slots=True, kw_only=True)
class VoiceSettings:
    """Settings of a training. ``tokens``: how many to train on, prompts included; ``batch``:
    samples per optimizer step; ``max_tokens``: longest sample, the rest is cut off."""

    rank: int = 16
    alpha: int = 32
    learning_rate: float = 6e-4
    tokens: int = 400_000
    batch: int = 4
    max_tokens: int = 512
    warmup: float = 0.05
    seed: int = 1


@dataclass(frozen=True, slots=True)
class TokenizedSample:
    """The token ids of a sample, and whether each is a target."""

    ids: tuple[int, ...]
    targets: tuple[bool, ...]


def tokenize_sample(builder: PromptBuilder, sample: Sample, max_tokens: int) -> TokenizedSample:
    """The ids as the engine builds them, cut off after ``max_tokens``. The first token behind a
    target, which ends its turn, is a target too."""
    frame = builder.template.frame(tuple(message.role for message in sample.messages), False)
    ids: list[int] = []
    targets: list[bool] = []
    ends_target = False
    for piece in frame:
        if isinstance(piece, int):
            text = builder.text_ids(sample.messages[piece].text)
            ends_target = piece in sample.targets
            ids += text
            targets += [ends_target] * len(text)
        else:
            ids += piece
            targets += [ends_target and index == 0 for index in range(len(piece))]
            ends_target = False
    return TokenizedSample(tuple(ids[:max_tokens]), tuple(targets[:max_tokens]))


def sample_losses(model: Any, sample: TokenizedSample) -> Tensor:
    """The loss of each target, in nats, shape (targets,). ``model``: a causal language model of
    transformers."""
    device = next(model.parameters()).device
    ids = torch.tensor([sample.ids], device=device)
    hidden = model.model(ids, use_cache=False).last_hidden_state[0]
    places = [place for place in range(1, len(sample.ids)) if sample.targets[place]]
    index = torch.tensor(places, device=device)
    # The head only where there is a target: it has a fifth of the weights.
    logits = model.get_output_embeddings()(hidden[index - 1]).float()
    return torch.nn.functional.cross_entropy(logits, ids[0][index], reduction="none")


@torch.no_grad()
def mean_loss(model: Any, samples: Sequence[TokenizedSample]) -> float:
    """The mean loss of all targets, in nats a token."""
    model.eval()
    losses = torch.cat([sample_losses(model, sample) for sample in samples])
    model.train()
    return float(losses.double().mean())


def check_samples(
    builder: PromptBuilder, dialogues: Sequence[PersonaDialogue], max_tokens: int
) -> list[TokenizedSample]:
    """Both sides of each dialogue, without notes."""
    samples = [plain_sample(dialogue, side) for dialogue in dialogues for side in (0, 1)]
    return [tokenize_sample(builder, sample, max_tokens) for sample in samples if sample.targets]


def endless_samples(
    builder: PromptBuilder, dialogues: Sequence[PersonaDialogue], settings: VoiceSettings
) -> Iterator[TokenizedSample]:
    """Epoch after epoch, each with new names, scenes and notes."""
    matcher = FactMatcher.of_dialogues(dialogues)
    epoch = 0
    while True:
        source = random.Random(f"{settings.seed} {epoch}")
        for sample in voice_samples(dialogues, matcher, source):
            yield tokenize_sample(builder, sample, settings.max_tokens)
        epoch += 1


def add_adapter(model: Any, settings: VoiceSettings) -> Any:
    """The model with a new LoRA adapter on every linear layer but the head, in float32."""
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(settings.seed)
    config = LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )
    return get_peft_model(model, config)


def train_voice(
    model: Any,
    builder: PromptBuilder,
    dialogues: Sequence[PersonaDialogue],
    check: Sequence[PersonaDialogue],
    settings: VoiceSettings,
    save: Callable[[Any, dict[str, Any]], None],
) -> dict[str, Any]:
    """Train an adapter of ``model`` on ``dialogues``; the figures of the training.

    ``save(adapted model, figures)`` is called after each evaluation on ``check``.
    """
    adapted = add_adapter(model, settings)
    inner = adapted.base_model.model
    weights = [weight for weight in adapted.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=settings.learning_rate, weight_decay=0.0)
    samples = endless_samples(builder, dialogues, settings)
    checked = check_samples(builder, check, settings.max_tokens)
    figures: dict[str, Any] = {"settings": asdict(settings), "losses": [], "check": []}
    with adapted.disable_adapter():
        figures["check_base"] = mean_loss(inner, checked)
    print(f"base: {figures['check_base']:.4f}", flush=True)
    seen = step = 0
    started = time.monotonic()
    evaluated = 0
    while seen < settings.tokens:
        batch = [next(samples) for _ in range(settings.batch)]
        rate = learning_rate(settings, seen)
        for group in optimizer.param_groups:
            group["lr"] = rate
        count = sum(sum(sample.targets) for sample in batch)
        total = 0.0
        for sample in batch:
            loss = sample_losses(inner, sample).sum() / count
            loss.backward()  # type: ignore[no-untyped-call]
            total += float(loss.detach())
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
        optimizer.zero_grad()
        seen += sum(len(sample.ids) for sample in batch)
        step += 1
        figures["losses"].append((seen, total))
        speed = seen / (time.monotonic() - started)
        print(f"{step} {seen} loss {total:.4f} lr {rate:.2e} {speed:.0f} tokens/s", flush=True)
        if seen - evaluated >= settings.tokens // 8 or seen >= settings.tokens:
            evaluated = seen
            figures["check"].append((seen, mean_loss(inner, checked)))
            print(f"check: {figures['check'][-1]}", flush=True)
            save(adapted, figures)
    return figures


def learning_rate(settings: VoiceSettings, seen: int) -> float:
    """A linear warm-up, then half a cosine down to a tenth."""
    share = min(1.0, seen / settings.tokens)
    if share < settings.warmup:
        return settings.learning_rate * (0.1 + 0.9 * share / settings.warmup)
    progress = (share - settings.warmup) / (1 - settings.warmup)
    return settings.learning_rate * (0.1 + 0.45 * (1 + math.cos(math.pi * progress)))


def write_figures(path: Path, figures: dict[str, Any]) -> None:
    """The figures as JSON."""
    path.write_text(json.dumps(figures, indent=1), encoding="utf-8")
