"""How well an independent discriminator tells generated lines from true ones."""

from __future__ import annotations

from collections.abc import Sequence

from ...core import DEFAULT_VOICE, Json
from ...models import LocalModel
from ...training import NextLineItem
from ...training.critics import discriminator_auc, draft_lines

DRAFTS = 4
SEED = 11


def measure_discriminator(model: LocalModel, items: Sequence[NextLineItem]) -> dict[str, Json]:
    """The area under the ROC curve of a discriminator that is trained, by cross-validation, on
    nothing but the judged lines; .5 is perfect. ``discriminator_auc``: lines of the voice that the
    critic picks of four drafts; ``..._voice``: single drafts of the voice; ``..._base``: of the
    base weights."""
    prompts, true = [item.messages for item in items], [item.true for item in items]
    figures: dict[str, Json] = {}
    for name, voice, drafts in (
        ("discriminator_auc", DEFAULT_VOICE, DRAFTS),
        ("discriminator_auc_voice", DEFAULT_VOICE, 1),
        ("discriminator_auc_base", "", 1),
    ):
        ours = draft_lines(model, prompts, voice, seed=SEED, drafts=drafts)
        figures[name] = round(discriminator_auc(model, prompts, true, ours), 3)
    return figures
