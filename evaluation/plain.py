"""The other arm of the engine's benchmark: transformers' own ``generate``."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import torch

from ..core import Generate
from ..models.prompts import PromptBuilder


class TransformersBaseline:
    """A causal model of transformers as it is, asked in static batches."""

    def __init__(
        self, folder: str, dtype: torch.dtype, device: str, prompter: PromptBuilder
    ) -> None:
        import transformers

        # Untyped as released; Any says so once.
        library: Any = transformers
        loaded = library.AutoModelForCausalLM.from_pretrained(
            folder, dtype=dtype, use_safetensors=True, trust_remote_code=False
        )
        self.model = loaded.eval().to(device)
        self._device = device
        self._prompter = prompter

    def run(self, asks: Sequence[Generate], batch: int) -> float:
        """Seconds for all asks in batches of ``batch``, sorted by the length of the answer so
        that no row waits for a much longer one. Every row gets its whole length."""
        ordered = sorted(asks, key=lambda ask: ask.max_tokens)
        began = time.perf_counter()
        for start in range(0, len(ordered), batch):
            self._batch(ordered[start : start + batch])
        return time.perf_counter() - began

    @torch.inference_mode()
    def _batch(self, asks: Sequence[Generate]) -> None:
        rows = [self._prompter.ids(ask.messages) for ask in asks]
        width = max(map(len, rows))
        ids = torch.zeros((len(rows), width), dtype=torch.long)
        mask = torch.zeros((len(rows), width), dtype=torch.long)
        for place, row in enumerate(rows):
            ids[place, width - len(row) :] = torch.tensor(row)
            mask[place, width - len(row) :] = 1
        longest = max(ask.max_tokens for ask in asks)
        self.model.generate(
            input_ids=ids.to(self._device),
            attention_mask=mask.to(self._device),
            do_sample=False,
            repetition_penalty=1.0,
            min_new_tokens=longest,
            max_new_tokens=longest,
            pad_token_id=0,
        )
