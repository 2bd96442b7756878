"""The forward passes of a causal language model, over cached beginnings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from .cache import Batch, PrefixStore, Strip, common, empty, growing, padded

SCORE_TOKENS = 4096  # padded tokens of one scoring pass
SCORE_LOGITS = 64_000_000  # numbers of its logits: 256 MB in float32


class Net:
    """Wraps a transformers causal model. With ``exact`` nothing is reused between calls."""

    def __init__(
        self, model: Any, device: torch.device, vocabulary: int, *, exact: bool, budget: int
    ) -> None:
        self._model = model
        self.device = device
        self.exact = exact
        self.layers = int(model.config.get_text_config().num_hidden_layers)
        self.vocabulary = vocabulary
        self._store = None if exact else PrefixStore(budget)

    @torch.inference_mode()
    def extend(
        self,
        prefixes: Sequence[Strip | None],
        suffixes: Sequence[Sequence[int]],
        keep: int = 1,
        room: int = 64,
    ) -> tuple[Tensor, Batch]:
        """Run ``suffixes`` after cached ``prefixes``.

        Returns the logits of the last ``keep`` columns, (rows, keep, vocabulary), and the
        batch. Rows are padded on the left, prefix and suffix apart, the gap masked.
        """
        heads = [0 if strip is None else len(strip.ids) for strip in prefixes]
        before, width = max(heads), max(len(ids) for ids in suffixes)
        ids = torch.zeros((len(suffixes), width), dtype=torch.long)
        mask = torch.zeros((len(suffixes), before + width), dtype=torch.long)
        positions = torch.zeros((len(suffixes), width), dtype=torch.long)
        for row, suffix in enumerate(suffixes):
            ids[row, width - len(suffix) :] = torch.tensor(suffix)
            mask[row, before - heads[row] : before] = 1
            mask[row, before + width - len(suffix) :] = 1
            positions[row, width - len(suffix) :] = torch.arange(len(suffix)) + heads[row]
        if before == 0:
            cache = empty(self.layers, room)
        else:
            cache = growing(self._stacked(prefixes, before), room)
        length = mask.sum(dim=1)
        ids, mask, positions = (t.to(self.device) for t in (ids, mask, positions))
        out = self._model(
            input_ids=ids,
            attention_mask=mask,
            position_ids=positions,
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=keep,
        )
        return out.logits.float(), Batch(cache, mask, length.to(self.device))

    @torch.inference_mode()
    def step(self, batch: Batch, tokens: Sequence[int]) -> Tensor:
        """One token for every row, in place; the next logits, (rows, vocabulary)."""
        ids = torch.tensor(tokens, device=self.device).unsqueeze(1)
        batch.mask = torch.nn.functional.pad(batch.mask, (0, 1), value=1)
        out = self._model(
            input_ids=ids,
            attention_mask=batch.mask,
            position_ids=batch.length.unsqueeze(1),
            past_key_values=batch.cache,
            use_cache=True,
            logits_to_keep=1,
        )
        batch.length = batch.length + 1
        logits: Tensor = out.logits[:, -1].float()
        return logits

    def prefill(self, ids: tuple[int, ...]) -> tuple[Tensor, Batch]:
        """One prompt: its next logits, (1, vocabulary), and its batch of one.

        Starts at the longest stored beginning and stores the whole for later.
        """
        strip = None if self._store is None else self._store.longest(ids)
        rest = ids if strip is None else ids[len(strip.ids) :]
        logits, batch = self.extend([strip], [rest])
        if self._store is not None:
            self._store.add(batch.strip(0, ids))
        return logits[:, -1], batch

    def score(self, rows: Sequence[tuple[tuple[int, ...], tuple[int, ...]]]) -> list[list[float]]:
        """Log-probabilities of each target's tokens after its context.

        Computed in an order of their own, so the result does not depend on the rows'
        order. The beginning that all share is run once. Contexts must not be empty.
        """
        unique = sorted(set(rows), key=lambda row: (len(row[0]) + len(row[1]), row))
        shared = self._shared(unique)
        skip = 0 if shared is None else len(shared.ids)
        found: dict[tuple[tuple[int, ...], tuple[int, ...]], list[float]] = {}
        for chunk in self._chunks(unique, skip):
            suffixes = [(context + target)[skip:-1] for context, target in chunk]
            keep = max(len(target) for _, target in chunk)
            logits, _ = self.extend([shared] * len(chunk), suffixes, keep, room=0)
            for place, (context, target) in enumerate(chunk):
                own = logits[place, keep - len(target) :]
                wanted = torch.tensor(target, device=self.device).unsqueeze(1)
                scores = own.gather(1, wanted).squeeze(1) - own.logsumexp(dim=1)
                found[(context, target)] = [float(score) for score in scores]
        return [found[row] for row in rows]

    def _shared(self, rows: Sequence[tuple[tuple[int, ...], tuple[int, ...]]]) -> Strip | None:
        if len(rows) < 2:
            return None
        first = rows[0][0]
        length = min(min(common(first, context), len(context) - 1) for context, _ in rows)
        if length < 8:
            return None
        _, batch = self.prefill(first[:length])
        return batch.strip(0, first[:length])

    def _chunks(
        self, rows: Sequence[tuple[tuple[int, ...], tuple[int, ...]]], skip: int
    ) -> list[list[tuple[tuple[int, ...], tuple[int, ...]]]]:
        chunks: list[list[tuple[tuple[int, ...], tuple[int, ...]]]] = []
        for row in rows:
            width = len(row[0]) + len(row[1]) - skip
            if chunks:
                count = len(chunks[-1]) + 1
                keep = max(len(row[1]), *(len(target) for _, target in chunks[-1]))
                small = count * keep * self.vocabulary <= SCORE_LOGITS
                if small and count * width <= SCORE_TOKENS:
                    chunks[-1].append(row)
                    continue
            chunks.append([row])
        return chunks

    def _stacked(self, prefixes: Sequence[Strip | None], before: int) -> list[Any]:
        first = prefixes[0]
        if first is not None and all(strip is first for strip in prefixes):
            size = len(prefixes)
            return [
                (k.expand(size, -1, -1, -1), v.expand(size, -1, -1, -1)) for k, v in first.pairs
            ]
        some = next(strip for strip in prefixes if strip is not None)
        blank = some.crop(0)
        rows = [blank if strip is None else strip for strip in prefixes]
        return [
            (
                torch.cat([padded(k, before) for k, _ in layer]),
                torch.cat([padded(v, before) for _, v in layer]),
            )
            for layer in zip(*(strip.pairs for strip in rows))
        ]
