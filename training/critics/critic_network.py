"""Fits the parts of a critic: the matcher of embeddings, and the network over the features."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from ...models.decisions import MATCH_INPUTS, CriticNetwork, LineMatcher, match_texts
from .critic_data import TRUE, LinePlace

FloatTable = NDArray[np.float64]

KIND_WEIGHTS = {
    "other": 0.25,
    "same_question": 0.2,
    "contradiction": 0.15,
    "partner": 0.1,
    "repeat": 0.1,
    "generated": 0.2,
}
"""The share of each kind among the false lines of the mixture for which probabilities are
calibrated; true and false lines weigh the same. A generated line that no feature tells from a true
one has the probability 1 / (1 + .2)."""

LISTWISE_KINDS = ("other", "same_question")
LISTWISE_WEIGHT = 0.5
MAX_FACTS = 8  # of a prompt that the matcher is trained with


@dataclass(frozen=True, slots=True, kw_only=True)
class MatcherSettings:
    """``rank`` of the projections, epochs at most, places per batch (the others' lines are the
    false ones), epochs without gain on the held-out places before it stops."""

    rank: int = 96
    epochs: int = 25
    batch: int = 256
    patience: int = 3
    learning_rate: float = 3e-3
    weight_decay: float = 0.02
    dropout: float = 0.2


@dataclass(frozen=True, slots=True)
class MatcherData:
    """The vectors of places: of their lines, shape (places, d), and of the texts of each of
    ``MATCH_INPUTS``, shape (places, texts, d), with a mask of those that exist."""

    lines: Tensor
    inputs: Mapping[str, Tensor]
    masks: Mapping[str, Tensor]
    dialogues: Tensor

    @classmethod
    def of_places(
        cls, places: Sequence[LinePlace], vectors: Mapping[str, NDArray[np.float32]]
    ) -> MatcherData:
        """``vectors`` by text."""
        lines = torch.from_numpy(np.stack([vectors[place.line] for place in places]))
        dimension = lines.shape[1]
        inputs, masks = {}, {}
        texts = [match_texts(place.talk) for place in places]
        for name in MATCH_INPUTS:
            width = MAX_FACTS if name == "facts" else 1
            table = np.zeros((len(places), width, dimension), dtype=np.float32)
            mask = np.zeros((len(places), width), dtype=bool)
            for row, by_name in enumerate(texts):
                for column, text in enumerate(by_name[name][:width]):
                    table[row, column] = vectors[text]
                    mask[row, column] = True
            inputs[name], masks[name] = torch.from_numpy(table), torch.from_numpy(mask)
        dialogues = torch.tensor([place.dialogue for place in places])
        return cls(lines, inputs, masks, dialogues)

    def rows(self, index: Tensor) -> MatcherData:
        """The places with the given indices."""
        return MatcherData(
            self.lines[index],
            {name: table[index] for name, table in self.inputs.items()},
            {name: mask[index] for name, mask in self.masks.items()},
            self.dialogues[index],
        )


class _MatcherModule(torch.nn.Module):
    """``LineMatcher`` with gradients. The projections begin as one random matrix, so that
    similarities begin as cosines."""

    def __init__(self, dimension: int, rank: int, dropout: float, generator: torch.Generator):
        super().__init__()
        start = torch.randn(rank, dimension, generator=generator) * (4.0 / rank) ** 0.5
        self.draft = torch.nn.Parameter(start.clone())
        self.inputs = torch.nn.ParameterDict(
            {name: torch.nn.Parameter(start.clone()) for name in MATCH_INPUTS}
        )
        self._dropout = dropout
        self._generator = generator

    def _drop(self, table: Tensor) -> Tensor:
        if not self.training or not self._dropout:
            return table
        kept = torch.rand(table.shape, generator=self._generator) >= self._dropout
        return table * kept / (1 - self._dropout)

    def forward(self, data: MatcherData) -> Tensor:
        """The sum of similarities of each place (row) and each line (column)."""
        drafts = self._drop(data.lines) @ self.draft.T
        total = torch.zeros(len(drafts), len(drafts))
        for name, projection in self.inputs.items():
            projected = self._drop(data.inputs[name]) @ projection.T
            scores = torch.einsum("ptr,lr->plt", projected, drafts)
            mask = data.masks[name][:, None, :]
            count = mask.sum(-1).clamp(min=1)
            scores = scores.masked_fill(~mask, -1e9).logsumexp(-1) - count.log()
            total = total + scores * data.masks[name].any(-1)[:, None]
        return total


def fit_matcher(data: MatcherData, settings: MatcherSettings, seed: int) -> LineMatcher:
    """A matcher that finds each place's own line among those of other dialogues; a tenth of the
    dialogues is held out to stop early."""
    generator = torch.Generator().manual_seed(seed)
    held = data.dialogues % 10 == 9
    train, check = (torch.nonzero(mask).flatten() for mask in (~held, held))
    check = check[torch.randperm(len(check), generator=generator)]
    module = _MatcherModule(data.lines.shape[1], settings.rank, settings.dropout, generator)
    optimizer = torch.optim.AdamW(
        module.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay
    )
    best, best_state, waited = float("inf"), _copied(module), 0
    for _ in range(settings.epochs):
        module.train()
        order = train[torch.randperm(len(train), generator=generator)]
        for start in range(0, len(order) - 1, settings.batch):
            loss = _in_batch_loss(module, data.rows(order[start : start + settings.batch]))
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        loss_now = _mean_loss(module, data, check, settings.batch)
        waited += 1
        if loss_now < best - 1e-4:
            best, best_state, waited = loss_now, _copied(module), 0
        if waited >= settings.patience:
            break
    arrays = {name: tensor.double().numpy() for name, tensor in best_state.items()}
    inputs = {name: arrays[f"inputs.{name}"] for name in MATCH_INPUTS}
    return LineMatcher(arrays["draft"], inputs)


def _copied(module: torch.nn.Module) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in module.state_dict().items()}


def _in_batch_loss(module: _MatcherModule, data: MatcherData) -> Tensor:
    scores = module(data)
    same = data.dialogues[:, None] == data.dialogues[None, :]
    same.fill_diagonal_(False)
    return cross_entropy(scores.masked_fill(same, -1e9), torch.arange(len(scores)))


@torch.no_grad()
def _mean_loss(module: _MatcherModule, data: MatcherData, rows: Tensor, batch: int) -> float:
    module.eval()
    losses = [
        float(_in_batch_loss(module, data.rows(rows[start : start + batch])))
        for start in range(0, max(len(rows) - batch // 2, 1), batch)
    ]
    return sum(losses) / len(losses)


@dataclass(frozen=True, slots=True)
class JudgedTable:
    """The features of the drafts of one item: shape (drafts, features), with their kinds."""

    features: FloatTable
    kinds: tuple[str, ...]
    dialogue: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkSettings:
    """The network is the mean of ``members`` small ones of ``units`` each, which differ in the
    dialogues that were held out (bagging: Breiman 1996). ``steps`` over all items at most."""

    members: int = 8
    units: int = 6
    steps: int = 400
    learning_rate: float = 0.005
    weight_decay: float = 0.1
    held_out: float = 0.25


def fit_network(
    tables: Sequence[JudgedTable], settings: NetworkSettings, seed: int
) -> tuple[CriticNetwork, float]:
    """The network and its temperature. Each member holds out a part of the dialogues, on which its
    number of steps is chosen, and the temperature that calibrates the probabilities."""
    generator = torch.Generator().manual_seed(seed)
    numbers = sorted({table.dialogue for table in tables})
    rows = np.concatenate([table.features for table in tables])
    deviation = rows.std(axis=0)
    mean, scale = rows.mean(axis=0), np.where(deviation > 1e-9, deviation, 1.0)
    members, judged = [], []
    for _ in range(settings.members):
        order = torch.randperm(len(numbers), generator=generator).tolist()
        held = {numbers[i] for i in order[: max(1, int(settings.held_out * len(numbers)))]}
        learned = _Batch.of_tables([t for t in tables if t.dialogue not in held], mean, scale)
        check = _Batch.of_tables([t for t in tables if t.dialogue in held], mean, scale)
        state = _fit_weights(learned, check, settings, generator)
        members.append(_member(state, mean, scale))
        judged.append(held)
    return _mean_network(members), _temperature(members, judged, tables)


def _member(state: Mapping[str, Tensor], mean: FloatTable, scale: FloatTable) -> CriticNetwork:
    arrays = {name: tensor.double().numpy() for name, tensor in state.items()}
    return CriticNetwork(
        mean=mean,
        scale=scale,
        hidden=arrays["hidden.weight"],
        bias=arrays["hidden.bias"],
        output=arrays["output.weight"][0],
        linear=arrays["linear.weight"][0],
        offset=float(arrays["linear.bias"][0]),
    )


def _mean_network(members: Sequence[CriticNetwork]) -> CriticNetwork:
    """One network whose logit is the mean of the members'."""
    return CriticNetwork(
        mean=members[0].mean,
        scale=members[0].scale,
        hidden=np.concatenate([member.hidden for member in members]),
        bias=np.concatenate([member.bias for member in members]),
        output=np.concatenate([member.output for member in members]) / len(members),
        linear=np.mean([member.linear for member in members], axis=0),
        offset=float(np.mean([member.offset for member in members])),
    )


@dataclass(frozen=True, slots=True)
class _Batch:
    """Standardized features of all drafts, with what each is: ``target`` 1 for a true line,
    ``weight`` of the binary loss, and ``lists``: (items, drafts) rows of the lists, padded with
    -1, whose first is the true line."""

    features: Tensor
    target: Tensor
    weight: Tensor
    lists: Tensor

    @classmethod
    def of_tables(
        cls, tables: Sequence[JudgedTable], mean: FloatTable, scale: FloatTable
    ) -> _Batch:
        kinds = [kind for table in tables for kind in table.kinds]
        features = np.concatenate(
            [table.features for table in tables] or [np.zeros((0, len(mean)))]
        )
        standardized = np.clip((features - mean) / scale, -4.0, 4.0)
        rows, start = [], 0
        for table in tables:
            listed = [start + i for i, kind in enumerate(table.kinds) if kind in LISTWISE_KINDS]
            true = [start + i for i, kind in enumerate(table.kinds) if kind == TRUE]
            if true and listed:
                rows.append(torch.tensor(true[:1] + listed))
            start += len(table.kinds)
        lists = torch.zeros(0, 2, dtype=torch.long)
        if rows:
            lists = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=-1)
        return cls(
            torch.from_numpy(standardized).float(),
            torch.tensor([float(kind == TRUE) for kind in kinds]),
            torch.from_numpy(mixture_weights(kinds)).float(),
            lists,
        )


def mixture_weights(kinds: Sequence[str]) -> FloatTable:
    """The weight of each draft, so that true lines weigh 1/2 together, and each kind of false
    line that there is its share of the other half."""
    counts = {kind: kinds.count(kind) for kind in set(kinds)}
    total = sum(share for kind, share in KIND_WEIGHTS.items() if kind in counts)
    return np.array(
        [
            0.5 / counts[kind] if kind == TRUE else 0.5 * KIND_WEIGHTS[kind] / total / counts[kind]
            for kind in kinds
        ]
    )


class _NetworkModule(torch.nn.Module):
    def __init__(self, features: int, units: int, generator: torch.Generator) -> None:
        super().__init__()
        self.hidden = torch.nn.Linear(features, units)
        self.output = torch.nn.Linear(units, 1, bias=False)
        self.linear = torch.nn.Linear(features, 1)
        with torch.no_grad():
            for parameter in self.parameters():
                noise = torch.randn(parameter.shape, generator=generator)
                parameter.copy_(noise * 0.3 / features**0.5)

    def forward(self, features: Tensor) -> Tensor:
        hidden = torch.tanh(self.hidden(features))
        return (self.output(hidden) + self.linear(features)).squeeze(-1)  # type: ignore[no-any-return]


def _loss(module: _NetworkModule, batch: _Batch) -> Tensor:
    logits = module(batch.features)
    binary = binary_cross_entropy_with_logits(
        logits, batch.target, weight=batch.weight, reduction="sum"
    )
    if not len(batch.lists):
        return binary
    listed = logits[batch.lists.clamp(min=0)].masked_fill(batch.lists < 0, -1e9)
    right = torch.zeros(len(listed), dtype=torch.long)
    return binary + LISTWISE_WEIGHT * cross_entropy(listed, right)


def _fit_weights(
    train: _Batch, check: _Batch, settings: NetworkSettings, generator: torch.Generator
) -> dict[str, Tensor]:
    """The weights with the least loss on ``check``."""
    module = _NetworkModule(train.features.shape[1], settings.units, generator)
    optimizer = torch.optim.AdamW(
        module.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay
    )
    best, best_state = float("inf"), _copied(module)
    for step in range(settings.steps):
        optimizer.zero_grad()
        _loss(module, train).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        if step % 10 == 9:
            with torch.no_grad():
                loss_now = float(_loss(module, check))
            if loss_now < best:
                best, best_state = loss_now, _copied(module)
    return best_state


def _temperature(
    members: Sequence[CriticNetwork],
    held_out: Sequence[set[int]],
    tables: Sequence[JudgedTable],
) -> float:
    """The temperature of the logits with the least loss in the mixture of ``KIND_WEIGHTS``; each
    item is judged by the members that did not learn from its dialogue."""
    logits: list[FloatTable] = []
    kinds: list[str] = []
    for table in tables:
        judges = [m for m, held in zip(members, held_out) if table.dialogue in held]
        if judges:
            logits.append(np.mean([judge.logits(table.features) for judge in judges], axis=0))
            kinds += table.kinds
    flat = np.concatenate(logits)
    weights = mixture_weights(kinds)
    signs = np.array([1.0 if kind == TRUE else -1.0 for kind in kinds])
    candidates: Any = np.exp(np.linspace(np.log(0.2), np.log(5.0), 161))
    losses = [float(weights @ np.logaddexp(0, -signs * flat / t)) for t in candidates]
    return float(candidates[int(np.argmin(losses))])
