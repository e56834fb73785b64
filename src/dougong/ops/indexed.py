"""Reading and writing parts of a tensor, by places or by ids.   Results are new tensors; gradients flow through both.

Shapes: I how many places, R axes that a place names.   Source: Keras 3 semantics.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from dougong.core.errors import ConfigError, ShapeError, UnknownNameError
from dougong.core.symbol import Symbol, contains_symbol
from dougong.ops.op import op, tensor
from dougong.ops.symbolic_calls import record_call

__all__ = [
    "scatter",
    "scatter_update",
    "segment_max",
    "segment_min",
    "segment_prod",
    "segment_sum",
    "slice",
    "slice_update",
    "unstack",
]

_REDUCTIONS = {"max": "amax", "min": "amin", "mul": "prod"}


@op
def scatter(indices: Any, values: Any, shape: Sequence[int]) -> Tensor:
    """Zeros of ``shape`` with ``values`` added at ``indices``.   Shapes: ``[…, R], […, *shape[R:]] -> shape``.

    Keras: equals its namesake.

    >>> scatter([[0], [2], [2]], [1.0, 2.0, 3.0], (4,))
    tensor([1., 0., 5., 0.])
    """
    places, values = tensor(indices, torch.int64), tensor(values)
    shape = tuple(int(size) for size in shape)
    rank = places.shape[-1]
    flat = places.reshape(-1, rank)
    return values.new_zeros(shape).index_put(flat.unbind(1), values.reshape(-1, *shape[rank:]), accumulate=True)


@op
def scatter_update(inputs: Any, indices: Any, updates: Any, reduction: str | None = None) -> Tensor:
    """``inputs`` with ``updates`` at ``indices``, in place of what is there or joined with it.

    ``reduction`` is None, "add", "max", "min" or "mul"; places named twice are then joined with both.
    Shapes: ``[*sizes], [I, R], [I, *sizes[R:]] -> [*sizes]``.   Raises: ShapeError, UnknownNameError.
    Keras: equals its namesake.

    >>> scatter_update([1.0, 1.0, 1.0], [[0], [2]], [5.0, 7.0], "max")
    tensor([5., 1., 7.])
    """
    x, places = tensor(inputs), tensor(indices, torch.int64)
    updates = tensor(updates, x.dtype)
    if places.ndim != 2 or places.shape[1] > x.ndim:
        raise ShapeError(f"indices must be [places, axes named], got {tuple(places.shape)} for {tuple(x.shape)}")
    word = reduction.lower() if isinstance(reduction, str) else reduction
    if word is None or word == "add":
        return x.index_put(places.unbind(1), updates, accumulate=word == "add")
    if word not in _REDUCTIONS:
        raise UnknownNameError("reduction", reduction, ["add", *_REDUCTIONS])
    rank = places.shape[1]
    rows = torch.zeros_like(places[:, 0])
    for axis, size in enumerate(x.shape[:rank]):  # the places' numbers when the axes they name are made one
        rows = rows * size + places[:, axis].remainder(size)
    flat = x.reshape(-1, *x.shape[rank:])
    where = rows.reshape(-1, *[1] * (flat.ndim - 1)).expand(-1, *flat.shape[1:])
    source = updates.expand(where.shape)
    return flat.scatter_reduce(0, where, source, _REDUCTIONS[word]).reshape(x.shape)


def slice(inputs: Any, start_indices: Any, shape: Sequence[int]) -> Tensor:
    """The block of ``shape`` that begins at ``start_indices``.

    Raises: ShapeError if it does not lie within; on torch Keras 3.15 cuts it short.

    >>> slice([[1, 2, 3], [4, 5, 6]], (0, 1), (2, 2))
    tensor([[2, 3],
            [5, 6]], dtype=torch.int32)
    """
    if contains_symbol(shape):
        raise ShapeError("slice: the shape must be known when the graph is made; only start_indices may be a symbol")
    if contains_symbol(inputs, start_indices):
        return record_call(_block, (inputs, start_indices, tuple(_whole(shape))), {})
    return _block(inputs, start_indices, shape)


def _block(inputs: Any, start_indices: Any, shape: Sequence[int]) -> Tensor:
    x = tensor(inputs)
    starts, sizes = _whole(start_indices), _whole(shape)
    if len(starts) != len(sizes) or len(starts) > x.ndim:
        raise ShapeError(f"a block starting at {starts} of shape {sizes} does not fit shape {tuple(x.shape)}")
    for axis, (start, size) in enumerate(zip(starts, sizes)):
        _require_within(x, axis, start, size)
        x = x.narrow(axis, start, size)
    return x


_block.__name__ = "slice"


@op
def slice_update(inputs: Any, start_indices: Any, updates: Any) -> Tensor:
    """``inputs`` with ``updates`` in the block that begins at ``start_indices``.   Raises: ShapeError if it sticks out.

    >>> slice_update([0, 0, 0], [1], [5, 6])
    tensor([0, 5, 6], dtype=torch.int32)
    """
    x = tensor(inputs)
    updates, starts = tensor(updates, x.dtype), _whole(start_indices)
    if len(starts) != x.ndim or updates.ndim != x.ndim:
        raise ShapeError(
            f"slice_update: {len(starts)} starts and updates of shape {tuple(updates.shape)} do not fit inputs of"
            f" shape {tuple(x.shape)}; give one start for each axis"
        )
    y = x.clone()
    block = y
    for axis, (start, size) in enumerate(zip(starts, updates.shape)):
        _require_within(x, axis, start, size)
        block = block.narrow(axis, start, size)
    block.copy_(updates)
    return y


@op
def unstack(x: Any, num: int | None = None, axis: int = 0) -> tuple[Tensor, ...]:
    """The parts along ``axis``, without that axis.   Raises: ConfigError if they are not ``num``, where given.

    >>> unstack([[1, 2], [3, 4]])
    (tensor([1, 2], dtype=torch.int32), tensor([3, 4], dtype=torch.int32))
    """
    x = tensor(x)
    if num is not None and num != x.shape[axis]:
        raise ConfigError(f"unstack: num={num}, but axis {axis} of shape {tuple(x.shape)} has {x.shape[axis]} parts")
    return x.unbind(axis)


def segment_sum(
    data: Any,
    segment_ids: Any,
    num_segments: int | None = None,
    sorted: bool = False,  # noqa: ARG001  Keras's argument
) -> Tensor:
    """The sum of the rows with each id from 0 to ``num_segments - 1``; other ids are left out.

    ``num_segments`` is by default the largest id plus 1, which has to be read from the device.  ``sorted`` is taken and
    changes nothing.   Shapes: ``[I, …], [I] -> [num_segments, …]``.   Keras: equals its namesake, in the data's own
    precision; on torch Keras 3.15 goes through float32.

    >>> segment_sum([1.0, 2.0, 4.0], [0, 2, 0])
    tensor([5., 0., 2.])
    """
    return _segments(data, segment_ids, num_segments, "sum")


def segment_max(
    data: Any,
    segment_ids: Any,
    num_segments: int | None = None,
    sorted: bool = False,  # noqa: ARG001  Keras's argument
) -> Tensor:
    """The largest of the rows with each id, -inf (for integers the least) where there is none; see `segment_sum`.

    >>> segment_max([1, 2, 4], [0, 1, 0])
    tensor([4, 2], dtype=torch.int32)
    """
    return _segments(data, segment_ids, num_segments, "amax")


def segment_min(
    data: Any,
    segment_ids: Any,
    num_segments: int | None = None,
    sorted: bool = False,  # noqa: ARG001  Keras's argument
) -> Tensor:
    """The least of the rows with each id, inf (for integers the largest) where there is none; see `segment_sum`.

    >>> segment_min([1, 2, 4], [0, 1, 0])
    tensor([1, 2], dtype=torch.int32)
    """
    return _segments(data, segment_ids, num_segments, "amin")


def segment_prod(
    data: Any,
    segment_ids: Any,
    num_segments: int | None = None,
    sorted: bool = False,  # noqa: ARG001  Keras's argument
) -> Tensor:
    """The product of the rows with each id, 1 where there is none; see `segment_sum`.

    >>> segment_prod([1, 2, 4], [0, 1, 0])
    tensor([4, 2], dtype=torch.int32)
    """
    return _segments(data, segment_ids, num_segments, "prod")


def _segments(data: Any, segment_ids: Any, num_segments: int | None, reduce: str) -> Any:
    if not isinstance(data, Symbol) and not isinstance(segment_ids, Symbol):
        return _reduced(data, segment_ids, num_segments, reduce)
    known = None
    if num_segments is None:  # how many there are is known when the ids are
        rows = data if isinstance(data, Symbol) else tensor(data)
        known = Symbol((None, *rows.shape[1:]), rows.dtype)
    return record_call(_reduced, (data, segment_ids, num_segments, reduce), {}, outputs=known)


def _reduced(data: Any, segment_ids: Any, num_segments: int | None, reduce: str) -> Tensor:
    x, ids = tensor(data), tensor(segment_ids, torch.int64)
    if ids.ndim != 1 or x.ndim < 1 or x.shape[0] != ids.shape[0]:
        raise ShapeError(f"one id for each row is needed; got ids {tuple(ids.shape)} for data {tuple(x.shape)}")
    count = (int(ids.max()) + 1 if ids.numel() else 0) if num_segments is None else num_segments
    # Ids outside the range go to one more segment at the end, which is cut off.
    ids = torch.where((ids >= 0) & (ids < count), ids, count)
    made = x.new_full((count + 1, *x.shape[1:]), _neutral(x.dtype, reduce))
    if reduce == "sum":
        return made.index_add(0, ids, x)[:-1]
    where = ids.reshape(-1, *[1] * (x.ndim - 1)).expand(x.shape)
    return made.scatter_reduce(0, where, x, reduce)[:-1]


_reduced.__name__ = "segments"


def _neutral(kind: torch.dtype, reduce: str) -> Any:
    if reduce in ("sum", "prod"):
        return int(reduce == "prod")
    if kind.is_floating_point:
        return float("-inf" if reduce == "amax" else "inf")
    limits = torch.iinfo(kind)
    return limits.min if reduce == "amax" else limits.max


def _whole(numbers: Any) -> list[int]:
    return [int(number) for number in (numbers.tolist() if isinstance(numbers, Tensor) else numbers)]


def _require_within(x: Tensor, axis: int, start: int, size: int) -> None:
    if start < 0 or size < 0 or start + size > x.shape[axis]:
        raise ShapeError(
            f"the block from {start} to {start + size} on axis {axis} is not within shape {tuple(x.shape)}"
        )
