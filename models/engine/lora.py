"""Low-rank updates of linear layers (LoRA, Hu et al. 2022), each for some rows of a pass.

The rows of a pass belong to sequences with different adapters, or with none. Rows with the same
adapter lie side by side, so each adapter's update is two small products over a slice of the rows,
added to the product of all rows with the base weights.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import torch
from torch import Tensor, nn

from ..files import Adapter, LowRankUpdate
from .linear import LinearOp, can_pack, make_linear

MAX_FLOAT32_ROWS = 16  # rows up to which float32 products are faster than those of oneDNN

LinearShapes: TypeAlias = Mapping[str, tuple[int, int]]
"""The (out, in) sizes of a model's linear layers by path."""


class RowGroup(NamedTuple):
    """Consecutive rows, ``start`` to ``end``, that have one adapter, named by its digest."""

    adapter: str
    start: int
    end: int


class AdapterRows(NamedTuple):
    """The groups with an adapter among all rows of a pass, and among its wanted rows."""

    all: tuple[RowGroup, ...] = ()
    wanted: tuple[RowGroup, ...] = ()


NO_ADAPTERS = AdapterRows()


def row_groups(counts: Iterable[tuple[str, int]]) -> tuple[RowGroup, ...]:
    """The groups of rows that have an adapter, from (adapter, number of rows) in order; the
    adapter "" is none.

    >>> row_groups([("", 2), ("a", 1), ("a", 3), ("b", 0)])
    (RowGroup(adapter='a', start=2, end=6),)
    """
    groups: list[RowGroup] = []
    row = 0
    for adapter, count in counts:
        if groups and groups[-1].adapter == adapter and groups[-1].end == row:
            groups[-1] = groups[-1]._replace(end=row + count)
        elif adapter and count:
            groups.append(RowGroup(adapter, row, row + count))
        row += count
    return tuple(groups)


def linear_shapes(model: nn.Module) -> dict[str, tuple[int, int]]:
    """The sizes of all linear layers but the output layer, which no adapter changes."""
    shapes = {}
    get_head: Any = getattr(model, "get_output_embeddings", None)
    head = get_head() if get_head is not None else None
    for path, layer in model.named_modules():
        if layer is head:
            continue
        weight = getattr(layer, "weight", None)
        if isinstance(layer, nn.Linear):
            shapes[path] = (layer.out_features, layer.in_features)
        elif type(layer).__name__ == "Conv1D" and isinstance(weight, Tensor) and weight.dim() == 2:
            shapes[path] = (weight.shape[1], weight.shape[0])  # GPT-2's linear layer
    return shapes


class LowRankProduct:
    """The updates of several stacked layers that read the same input, as two products.

    The ``down`` matrices are stacked; the ``up`` matrices are the blocks of a diagonal. Small
    passes use float32 also where the model's dtype is bfloat16: oneDNN takes longer to start than
    to multiply.
    """

    def __init__(
        self,
        updates: Sequence[LowRankUpdate | None],
        widths: Sequence[int],
        dtype: torch.dtype,
        device: torch.device,
    ) -> None:
        down = torch.cat([update.down for update in updates if update is not None])
        up = torch.zeros(sum(widths), len(down))
        row = column = 0
        for update, width in zip(updates, widths):
            if update is not None:
                rank = update.up.shape[1]
                up[row : row + width, column : column + rank] = update.up
                column += rank
            row += width
        self._packed: tuple[LinearOp, LinearOp] | None = None
        if dtype is not torch.float32 and can_pack(down.to(device, dtype)):
            self._packed = (
                make_linear([down.to(dtype)], [None], None),
                make_linear([up.to(dtype)], [None], None),
            )
            dtype = torch.float32
        self._dtype = dtype
        self._down = down.t().to(device, dtype).contiguous()
        self._up = up.t().to(device, dtype).contiguous()

    def add_to(self, out: Tensor, x: Tensor) -> None:
        """Add the update for ``x`` (rows, in) to ``out`` (rows, out) in place."""
        if self._packed is not None and len(x) > MAX_FLOAT32_ROWS:
            down, up = self._packed
            out.add_(up(down(x)))
        elif out.dtype is self._dtype:
            out.addmm_(torch.mm(x, self._down), self._up)
        else:
            out.add_(torch.mm(torch.mm(x.to(self._dtype), self._down), self._up))


class AdaptedLinear:
    """A product of stacked linear layers with the updates of any number of adapters."""

    def __init__(self, base: LinearOp, paths: Sequence[str], widths: Sequence[int]) -> None:
        self._base, self._paths, self._widths = base, paths, widths
        self._products: dict[str, LowRankProduct] = {}

    def add_adapter(self, adapter: Adapter, dtype: torch.dtype, device: torch.device) -> None:
        """Use an adapter for the rows of its groups from now on."""
        updates = [adapter.updates.get(path) for path in self._paths]
        if any(update is not None for update in updates):
            product = LowRankProduct(updates, self._widths, dtype, device)
            self._products[adapter.digest] = product

    def __call__(self, x: Tensor, groups: Sequence[RowGroup] = ()) -> Tensor:
        """The product of all rows (rows, in) with the updates of the rows in ``groups``."""
        out = self._base(x)
        for adapter, start, end in groups:
            product = self._products.get(adapter)
            if product is not None:
                product.add_to(out[start:end], x[start:end])
        return out


class LoraHooks:
    """Adds updates to the linear layers of a transformers module, each to some of its rows.

    ``set_rows`` is called before the module runs; the inputs of its layers are (1, rows, in).
    """

    def __init__(self, model: nn.Module, dtype: torch.dtype, device: torch.device) -> None:
        self._model, self._dtype, self._device = model, dtype, device
        self._rows = 0
        self._groups: tuple[RowGroup, ...] = ()
        self._products: dict[str, dict[str, LowRankProduct]] = {}

    def set_rows(self, rows: int, groups: tuple[RowGroup, ...]) -> None:
        """The number of rows of the next pass, and those with an adapter."""
        self._rows, self._groups = rows, groups

    def add_adapter(self, adapter: Adapter) -> None:
        """Use an adapter for the rows of its groups from now on."""
        for path, update in adapter.updates.items():
            if path not in self._products:
                self._products[path] = {}
                self._model.get_submodule(path).register_forward_hook(self._hook(path))
            product = LowRankProduct([update], [len(update.up)], self._dtype, self._device)
            self._products[path][adapter.digest] = product

    def _hook(self, path: str) -> Any:
        products = self._products[path]

        def add_updates(module: nn.Module, inputs: tuple[Tensor, ...], out: Tensor) -> Tensor:
            if not self._groups:
                return out
            x, rows = inputs[0].flatten(0, -2), out.flatten(0, -2)
            if len(x) != self._rows:
                # An expert gets the rows that were routed to it, in another order.
                raise RuntimeError(f"{path} gets {len(x)} of {self._rows} rows; no adapter fits it")
            for adapter, start, end in self._groups:
                product = products.get(adapter)
                if product is not None:
                    product.add_to(rows[start:end], x[start:end])
            return rows.view(out.shape)

        return add_updates
