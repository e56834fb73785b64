"""Arrays read between their elements: `map_coordinates`, and the kernel that all warps of pictures share.

Letters: R rows of a table, C numbers in a row, P points, K corners around a point (1 for order 0, 2 an axis for 1).
All corners of all points are one gather: torch's embedding bag, a weighted sum of rows of a table.
Source: Keras 3 semantics.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import product
from math import prod
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from dougong.core.errors import ConfigError, ShapeError, UnknownNameError
from dougong.ops.op import floating, op, tensor

__all__ = ["FILL_MODES", "ORDERS", "map_coordinates", "sample"]

ORDERS: Mapping[str, int] = {"nearest": 0, "bilinear": 1}


def _mirrored(index: Tensor, size: int) -> Tensor:
    last = size - 1
    return ((index + last) % (2 * last) - last).abs() if last else torch.zeros_like(index)


def _reflected(index: Tensor, size: int) -> Tensor:
    return (_mirrored(2 * index + 1, 2 * size + 1) - 1) // 2


# Which element stands for one beyond the ends.
FILL_MODES: Mapping[str, Callable[[Tensor, int], Tensor]] = {
    "constant": lambda index, _: index,
    "nearest": lambda index, size: index.clamp(0, size - 1),
    "wrap": lambda index, size: index % size,
    "mirror": _mirrored,
    "reflect": _reflected,
}


@op
def map_coordinates(
    inputs: Any, coordinates: Any, order: int, fill_mode: str = "constant", fill_value: float = 0
) -> Tensor:
    """``inputs`` at places between its elements, by interpolation of order 0 (nearest) or 1 (linear).

    ``fill_mode`` says what stands beyond the ends of ``a b c d``: ``constant`` k k, ``nearest`` d d, ``wrap`` a b,
    ``mirror`` c b, ``reflect`` d c.   Shapes: ``[n1, …, nd], [d, *points] -> [*points]``, in the inputs' dtype.
    Raises: ShapeError where there is not one row of coordinates for each axis; ConfigError for another order.
    Keras: equals ``keras.ops.image.map_coordinates``.

    >>> map_coordinates(torch.tensor([0.0, 10.0, 20.0]), [[0.5, 1.25, 5.0]], 1, "nearest")
    tensor([ 5.0000, 12.5000, 20.0000])
    """
    x = tensor(inputs)
    places = [floating(one) for one in coordinates]
    if len(places) != x.ndim or x.ndim == 0:
        raise ShapeError(
            f"map_coordinates needs one row of coordinates for each axis of its inputs of shape {tuple(x.shape)},"
            f" but received {len(places)}; coordinates[i] goes along axis i"
        )
    if places[0].ndim < 1:
        raise ShapeError("map_coordinates needs coordinates of at least 2 axes, [axis of the inputs, points]")
    if order not in (0, 1):
        raise ConfigError(f"map_coordinates interpolates with order 0 (nearest) or 1 (linear); got {order!r}")
    return sample(x.reshape(-1, 1), places, x.shape, order, fill_mode, fill_value).squeeze(-1)


def sample(
    table: Tensor,
    places: Sequence[Tensor],
    sizes: Sequence[int],
    order: int,
    fill_mode: str,
    fill_value: float = 0.0,
    first: Tensor | None = None,
) -> Tensor:
    """Rows of ``table``, a flattened array of ``sizes``, interpolated at ``places``, one tensor of them for each axis.

    ``first`` is the row where each point's own array begins, in a table of many.
    Shapes: ``[R, C], d times [*points] -> [*points, C]``, in the table's dtype; whole numbers are rounded.
    """
    if fill_mode not in FILL_MODES:
        raise UnknownNameError("fill_mode", fill_mode, FILL_MODES)
    whole = not table.is_floating_point()
    kind = places[0].dtype if whole else torch.promote_types(table.dtype, places[0].dtype)
    rows = table if order == 0 else table.to(kind)
    constant = fill_mode == "constant"
    if constant:  # the row before all others is what fills
        fill = rows.new_full((1, rows.shape[1]), int(fill_value) if whole else fill_value)
        rows = torch.cat([fill, rows])
    count = rows.shape[0]
    number = torch.int32 if (len(sizes) + 2) * count < 2**31 else torch.int64
    strides = [prod(sizes[axis + 1 :]) for axis in range(len(sizes))]
    axes = [
        [(_offset(index, size, stride, fill_mode, count, number), weight) for index, weight in _corners(place, order)]
        for place, size, stride in zip(places, sizes, strides)
    ]
    if first is not None or constant:
        start = (0 if first is None else first.to(number)) + int(constant)
        axes[0] = [(offset + start, weight) for offset, weight in axes[0]]
    found = _gathered(rows, axes, kind, constant)
    return (found.round() if whole and order else found).to(table.dtype)


def _corners(place: Tensor, order: int) -> list[tuple[Tensor, Any]]:
    """The whole numbers around each place, and how much each counts."""
    if order == 0:
        return [(place.round(), None)]
    below = place.floor()
    share = place - below
    return [(below, 1 - share), (below + 1, share)]


def _offset(index: Tensor, size: int, stride: int, fill_mode: str, count: int, number: torch.dtype) -> Tensor:
    """How many rows to go for an index along one axis; far below zero where the filling row is meant."""
    index = index.detach()
    if fill_mode == "constant":
        inside = (index >= 0) & (index < size)
        return torch.where(inside, index.to(number) * stride, -count)
    return FILL_MODES[fill_mode](index.to(number), size) * stride


def _gathered(rows: Tensor, axes: Sequence[Sequence[tuple[Tensor, Any]]], kind: torch.dtype, constant: bool) -> Tensor:
    """The weighted sum of the rows at all corners."""
    corners = list(product(*axes))
    shape = torch.broadcast_shapes(*(offset.shape for offset, _ in corners[0]))
    index = torch.empty((*shape, len(corners)), dtype=corners[0][0][0].dtype, device=rows.device)
    for k, corner in enumerate(corners):
        index[..., k] = sum(offset for offset, _ in corner)
    if constant:
        index = index.clamp_min_(0)
    index = index.view(-1, len(corners))
    if len(corners) == 1:
        return rows.index_select(0, index.view(-1)).view(*shape, rows.shape[1])
    weights = torch.empty((*shape, len(corners)), dtype=kind, device=rows.device)
    for k, corner in enumerate(corners):
        weights[..., k] = prod(w for _, w in corner)
    weights = weights.view(-1, len(corners))
    if rows.requires_grad and torch.is_grad_enabled():  # the bag's own way back is three times as slow
        around = rows.index_select(0, index.view(-1)).view(*index.shape, rows.shape[1])
        return (weights[:, None] @ around).view(*shape, rows.shape[1])
    return F.embedding_bag(index, rows, mode="sum", per_sample_weights=weights).view(*shape, rows.shape[1])
