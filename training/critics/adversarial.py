"""Rounds of voice against critic: ``denizens train adversarial``.

Text is discrete, so no gradient flows from the critic to the voice. In each round the voice drafts
several lines for each prompt, the critic picks, the voice learns the best of the picks (expert
iteration: Anthony et al. 2017; best-of-n as in Gulcehre et al. 2023, "Reinforced Self-Training")
beside as many true lines, which hold it to the language of people, and a new critic learns the new
drafts. A discriminator that took part in nothing (``discriminator``) judges every stage.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from ...core import DEFAULT_VOICE, DataError, Json, Message, Seed, SettingError
from ...models import LocalModel
from ..dialogues import PersonaDialogue
from ..samples import Sample
from .critic_data import LinePlace, line_places
from .critic_trainer import WORK_FOLDER, CriticSettings, train_critic
from .discriminator import discriminator_auc, draft_lines, picked_lines

Progress = Callable[[str], None]

MIN_PROMPTS = 20


class VoiceLearner(Protocol):
    """Trains a voice on samples: ``training.voice`` by default."""

    def __call__(self, samples: Sequence[Sample], start: Path, out: Path) -> None:
        """Train the voice of folder ``start`` once on the samples and write it to ``out``."""


LoadModel = Callable[[Path], LocalModel]
"""Loads the base model with the voice of a folder, and its critic where it has one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AdversarialSettings:
    """``prompts`` of a round, ``drafts`` for each, the share of picks that is learned (those the
    critic likes best), prompts on which a stage is judged, items of each new critic."""

    rounds: int = 2
    prompts: int = 200
    drafts: int = 4
    learned_share: float = 0.5
    judged: int = 200
    critic: CriticSettings = field(default_factory=lambda: CriticSettings(places=200))
    seed: int = 1

    def __post_init__(self) -> None:
        """Raises SettingError, which names the setting."""
        bounds = {
            "rounds": (self.rounds, 0, 100),
            "prompts": (self.prompts, MIN_PROMPTS, 10**6),
            "drafts": (self.drafts, 2, 64),
            "learned_share": (self.learned_share, 0.01, 1),
            "judged": (self.judged, MIN_PROMPTS, 10**6),
        }
        for name, (value, low, high) in bounds.items():
            if not low <= value <= high:
                raise SettingError(f"{name} is {value}; it must lie between {low} and {high}")


@dataclass(frozen=True, slots=True)
class Stage:
    """A voice as the independent discriminator sees it: the area under its ROC curve against true
    lines, of its first drafts and of those that its critic picked (None without critic)."""

    name: str
    auc: float
    auc_picked: float | None = None

    def to_json(self) -> dict[str, Json]:
        return {"stage": self.name, "auc": self.auc, "auc_picked": self.auc_picked}


def train_adversarial(
    dialogues: Sequence[PersonaDialogue],
    check: Sequence[PersonaDialogue],
    start: Path,
    out: Path,
    *,
    load: LoadModel,
    learn: VoiceLearner,
    settings: AdversarialSettings | None = None,
    progress: Progress | None = None,
) -> list[Stage]:
    """The stages: the base model, the voice in ``start``, and the voice after each round, which
    is written with its new critic to ``out/round-N``.

    ``dialogues`` give prompts and true lines to learn from, ``check`` those that are judged.
    Raises DataError for too little data, ModelError, OSError.
    """
    chosen, report = settings or AdversarialSettings(), progress or _silent
    rng = Seed.of(chosen.seed).child("adversarial").rng()
    judged = _drawn(line_places(check, rng), chosen.judged, rng, "check data")
    report("judging the base model and the voice before the rounds")
    model = load(start)
    stages = [_judged(model, judged, "", "base", chosen)]
    stages.append(_judged(model, judged, DEFAULT_VOICE, "voice", chosen))
    places = line_places(dialogues, rng)
    folder = start
    for number in range(1, chosen.rounds + 1):
        report(f"round {number}: drafts of {chosen.prompts} prompts")
        drawn = _drawn(places, chosen.prompts, rng, "data")
        samples = best_samples(model, drawn, chosen, number, rng)
        report(f"round {number}: learning {len(samples)} lines")
        after = out / f"round-{number}"
        learn(samples, folder, after)
        model = load(after)
        critic = train_critic(model, dialogues, after / WORK_FOLDER, chosen.critic, report)
        critic.write(after)
        model.decider.set_critic(DEFAULT_VOICE, critic)
        stages.append(_judged(model, judged, DEFAULT_VOICE, f"round {number}", chosen))
        report(f"round {number}: discriminator {stages[-1].auc:.3f}")
        folder = after
    return stages


def best_samples(
    model: LocalModel,
    places: Sequence[LinePlace],
    settings: AdversarialSettings,
    number: int,
    rng: random.Random,
) -> list[Sample]:
    """What a round teaches: the drafts that the critic picked and likes best, and the true lines
    of the same prompts, mixed."""
    prompts = [place.messages for place in places]
    seed = Seed.of(settings.seed).child("round", number).number >> 32
    picks = picked_lines(model, prompts, DEFAULT_VOICE, seed=seed, drafts=settings.drafts)
    ranked = sorted(range(len(picks)), key=lambda i: (-picks[i][1], i))
    best = [i for i in ranked[: round(settings.learned_share * len(picks))] if picks[i][0]]
    samples = [_sample(prompts[i], picks[i][0]) for i in best]
    samples += [_sample(prompts[i], places[i].line) for i in best]
    rng.shuffle(samples)
    return samples


def _sample(messages: tuple[Message, ...], line: str) -> Sample:
    return Sample((*messages, Message.of("assistant", line)), (len(messages),))


def _drawn(
    places: Sequence[LinePlace], count: int, rng: random.Random, what: str
) -> list[LinePlace]:
    if len(places) < MIN_PROMPTS:
        raise DataError(
            f"the {what} hold {len(places)} lines to answer, fewer than {MIN_PROMPTS}; give more"
        )
    return rng.sample(list(places), min(count, len(places)))


def _judged(
    model: LocalModel,
    places: Sequence[LinePlace],
    voice: str,
    name: str,
    settings: AdversarialSettings,
) -> Stage:
    prompts, true = [place.messages for place in places], [place.line for place in places]

    def auc(drafts: int) -> float:
        seed = Seed.of(settings.seed).child("judged").number >> 32
        ours = draft_lines(model, prompts, voice, seed=seed, drafts=drafts)
        return discriminator_auc(model, prompts, true, ours)

    picked = auc(settings.drafts) if model.decider.critic(voice) is not None else None
    return Stage(name, auc(1), picked)


def _silent(text: str) -> None:
    """Report nothing."""
