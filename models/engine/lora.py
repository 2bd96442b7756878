"""Low-rank updates of linear layers (LoRA, Hu et al. 2022), each for some rows of a pass.

The rows of a pass belong to sequences with different adapters, or with none. Rows with the same
adapter lie side by side, so each adapter's update is two small products over a slice of the rows,
added to the product of all rows with the base weights.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, Protocol, TypeAlias

import torch
from torch import Tensor, nn

from ..files import Adapter, LowRankUpdate
from .linear import ActivationQuantizer, LinearOp, can_pack, make_linear

MAX_FLOAT32_ROWS = 32  # rows up to which float32 products are faster than those of oneDNN

Updates: TypeAlias = Sequence[LowRankUpdate | None]
"""An adapter's updates of stacked layers; None for a layer that it does not change."""


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


class SmallProduct:
    """A product with a narrow matrix (out, in), added in place.

    Few rows use float32 also where the model's dtype is bfloat16: oneDNN takes longer to start
    than to multiply.
    """

    def __init__(self, weight: Tensor, dtype: torch.dtype, device: torch.device) -> None:
        self._packed: LinearOp | None = None
        if dtype is not torch.float32 and can_pack(weight.to(device, dtype)):
            self._packed = make_linear([weight.to(device, dtype)], [None], None)
            dtype = torch.float32
        self._weight = weight.t().to(device, dtype).contiguous()

    def __call__(self, x: Tensor) -> Tensor:
        """The product of ``x`` (rows, in), in its dtype or in float32."""
        if self._packed is not None and len(x) > MAX_FLOAT32_ROWS:
            return self._packed(x.contiguous())
        return torch.mm(x.to(self._weight.dtype), self._weight)

    def add_to(self, out: Tensor, x: Tensor) -> None:
        """Add the product of ``x`` (rows, in) to ``out`` (rows, out)."""
        if out.dtype is x.dtype is self._weight.dtype:
            out.addmm_(x, self._weight)
        else:
            out.add_(self(x))


class LowRankProduct:
    """The updates of several stacked layers that read the same input.

    The ``down`` matrices are stacked, the ``up`` matrices are the blocks of a diagonal, so that
    two products are enough.
    """

    def __init__(
        self,
        updates: Updates,
        widths: Sequence[int],
        dtype: torch.dtype,
        device: torch.device,
    ) -> None:
        self._down = SmallProduct(stack_down(updates), dtype, device)
        self._up = SmallProduct(stack_up(updates, widths), dtype, device)

    def add_to(self, out: Tensor, x: Tensor) -> None:
        """Add the update for ``x`` (rows, in) to ``out`` (rows, out) in place."""
        self._up.add_to(out, self._down(x))


def stack_down(updates: Updates) -> Tensor:
    """The down matrices of stacked layers, one below the other: (ranks, in)."""
    return torch.cat([update.down for update in updates if update is not None])


def stack_up(updates: Updates, widths: Sequence[int]) -> Tensor:
    """The up matrices of stacked layers as the blocks of a diagonal: (out, ranks)."""
    ranks = sum(len(update.down) for update in updates if update is not None)
    up = torch.zeros(sum(widths), ranks)
    row = column = 0
    for update, width in zip(updates, widths):
        if update is not None:
            rank = len(update.down)
            up[row : row + width, column : column + rank] = update.up
            column += rank
        row += width
    return up


class FusedUpdate(Protocol):
    """The base product together with the updates of one adapter."""

    def __call__(self, x: Tensor, groups: Sequence[RowGroup]) -> Tensor:
        """The product of all rows, with the updates of the rows in ``groups``."""


class WidenedLinear:
    """A product with ``[weight, up]`` of ``[x, down @ x]``; zeros stand for rows without adapter.

    The up matrix costs no product of its own and little memory traffic. For layers that are wider
    than their input: there adding a second product would take longest.
    """

    def __init__(
        self, weight: Tensor, bias: Tensor | None, updates: Updates, widths: Sequence[int]
    ) -> None:
        up = stack_up(updates, widths)
        self._extra = up.shape[1]
        self._down = SmallProduct(stack_down(updates), weight.dtype, weight.device)
        self._base = make_linear([torch.cat([weight, up.to(weight)], dim=1)], [bias], None)

    def __call__(self, x: Tensor, groups: Sequence[RowGroup]) -> Tensor:
        if len(groups) == 1 and groups[0].end - groups[0].start == len(x):
            hidden = self._down(x).to(x.dtype)
        else:
            hidden = x.new_zeros((len(x), self._extra))
            for _, start, end in groups:
                hidden[start:end] = self._down(x[start:end])
        return self._base(torch.cat([x, hidden], dim=1))


class HeightenedLinear:
    """A product with the down matrix below the weight; the up matrix is a product of its own.

    For layers that are narrower than their input, and for 8-bit integers: ``down @ x`` has
    another scale than ``x``, so it is not rounded together with it.
    """

    def __init__(
        self,
        weight: Tensor,
        bias: Tensor | None,
        updates: Updates,
        widths: Sequence[int],
        quantizer: ActivationQuantizer | None,
    ) -> None:
        self._width = len(weight)
        self._up = SmallProduct(stack_up(updates, widths), weight.dtype, weight.device)
        down = stack_down(updates).to(weight)
        self._base = make_linear([weight, down], [bias, None], quantizer)

    def __call__(self, x: Tensor, groups: Sequence[RowGroup]) -> Tensor:
        whole = self._base(x)
        out = whole[:, : self._width]
        for _, start, end in groups:
            self._up.add_to(out[start:end], whole[start:end, self._width :])
        return out


class AdaptedLinear:
    """A product of stacked linear layers, at ``paths``, with the updates of any number of adapters.

    ``fused``: the adapter that the model is loaded with, whose updates are computed together with
    the base product. Others take two products of their own.
    """

    def __init__(
        self,
        linears: Sequence[Any],
        paths: Sequence[str],
        fused: Adapter | None,
        quantizer: ActivationQuantizer | None,
    ) -> None:
        self._paths = paths
        self._widths = [len(linear.weight) for linear in linears]
        weight, bias = stack_linears(linears)
        self._dtype, self._device = weight.dtype, weight.device
        self._products: dict[str, LowRankProduct] = {}
        self._fused = fused.digest if fused is not None else ""
        updates = self._updates(fused)
        self._base: LinearOp | None = None
        self._fused_base: FusedUpdate | None = None
        if not updates:
            self._base = make_linear([weight], [bias], quantizer)
        elif quantizer is None and len(weight) > weight.shape[1]:
            self._fused_base = WidenedLinear(weight, bias, updates, self._widths)
        else:
            self._fused_base = HeightenedLinear(weight, bias, updates, self._widths, quantizer)

    def add_adapter(self, adapter: Adapter) -> None:
        """Use an adapter for the rows of its groups from now on."""
        updates = self._updates(adapter)
        if updates and adapter.digest != self._fused:
            product = LowRankProduct(updates, self._widths, self._dtype, self._device)
            self._products[adapter.digest] = product

    def __call__(self, x: Tensor, groups: Sequence[RowGroup] = ()) -> Tensor:
        """The product of all rows (rows, in) with the updates of the rows in ``groups``."""
        if self._base is not None:
            out = self._base(x)
        else:
            assert self._fused_base is not None
            fused = [group for group in groups if group.adapter == self._fused]
            out = self._fused_base(x, fused)
        for adapter, start, end in groups:
            if adapter in self._products:
                self._products[adapter].add_to(out[start:end], x[start:end])
        return out

    def _updates(self, adapter: Adapter | None) -> Updates:
        """The adapter's updates of the stacked layers; empty if it has none of them."""
        updates = [adapter.updates.get(path) for path in self._paths] if adapter else []
        return updates if any(update is not None for update in updates) else []


def stack_linears(linears: Sequence[Any]) -> tuple[Tensor, Tensor | None]:
    """The weights of layers that read the same input, one below the other, and their biases."""
    weight = torch.cat([linear.weight.detach() for linear in linears])
    if all(linear.bias is None for linear in linears):
        return weight, None
    biases = [
        linear.weight.new_zeros(len(linear.weight)) if linear.bias is None else linear.bias
        for linear in linears
    ]
    return weight, torch.cat([bias.detach() for bias in biases])


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
