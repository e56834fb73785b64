"""``keras.ops``'s pooling.   Shapes: N batch, space one to three axes, C channels; channels may also come first.

Source: Keras 3 semantics; the arithmetic is in `dougong.ops.pooling`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from dougong.core.arithmetic import data_format_of, padding_of, per_axis
from dougong.core.errors import ShapeError
from dougong.ops import pooling
from dougong.ops.op import floating, op, tensor

__all__ = ["adaptive_average_pool", "adaptive_max_pool", "average_pool", "max_pool"]

Axes = int | Sequence[int]
_ADAPTIVE_AVERAGE = {3: torch.adaptive_avg_pool1d, 4: F.adaptive_avg_pool2d, 5: F.adaptive_avg_pool3d}
_ADAPTIVE_MAX = {3: F.adaptive_max_pool1d, 4: F.adaptive_max_pool2d, 5: F.adaptive_max_pool3d}


@op
def max_pool(
    inputs: Any, pool_size: Axes, strides: Axes | None = None, padding: str = "valid", data_format: str | None = None
) -> Tensor:
    """The largest value in each window.   Shapes: ``[N, *space, C] -> [N, *space', C]``.   Keras: equals its namesake.

    >>> max_pool([[[-3.0], [-1.0], [-2.0]]], 2, padding="same").flatten()
    tensor([-1., -2.])
    """
    x = _checked(tensor(inputs))
    return pooling.max_pool(x, **_arguments(x, pool_size, strides, padding, data_format))


@op
def average_pool(
    inputs: Any, pool_size: Axes, strides: Axes | None = None, padding: str = "valid", data_format: str | None = None
) -> Tensor:
    """The mean of those values in each window that are not padding.   Shapes: ``[N, *space, C] -> [N, *space', C]``.

    Keras: equals its namesake on TensorFlow and JAX; on torch Keras counts the end's padding.

    >>> average_pool([[[1.0], [2.0], [6.0]]], 2, padding="same").flatten()
    tensor([1.5000, 6.0000])
    """
    x = _checked(floating(inputs))
    return pooling.average_pool(x, **_arguments(x, pool_size, strides, padding, data_format))


@op
def adaptive_average_pool(inputs: Any, output_size: Axes, data_format: str | None = None) -> Tensor:
    """The mean of each of ``output_size`` windows along each axis.   Shapes: ``[N, *space, C] -> [N, *size, C]``.

    Keras: equals its namesake.

    >>> adaptive_average_pool([[[1.0], [3.0], [5.0], [9.0]]], 2).flatten()
    tensor([2., 7.])
    """
    return _adaptive(_ADAPTIVE_AVERAGE, floating(inputs), output_size, data_format)


@op
def adaptive_max_pool(inputs: Any, output_size: Axes, data_format: str | None = None) -> Tensor:
    """The largest value of each of ``output_size`` windows along each axis.

    Shapes: ``[N, *space, C] -> [N, *size, C]``.   Keras: equals its namesake.

    >>> adaptive_max_pool([[[1.0], [3.0], [5.0], [9.0]]], 2).flatten()
    tensor([3., 9.])
    """
    return _adaptive(_ADAPTIVE_MAX, floating(inputs), output_size, data_format)


def _adaptive(
    pools: Mapping[int, Callable[..., Tensor]], inputs: Tensor, output_size: Axes, data_format: str | None
) -> Tensor:
    x = _checked(inputs)
    sizes = per_axis(output_size, x.ndim - 2, "output_size")
    if data_format_of(data_format) == "channels_first":
        return pools[x.ndim](x, sizes)
    return pools[x.ndim](x.movedim(-1, 1), sizes).movedim(1, -1)


def _arguments(
    x: Tensor, pool_size: Axes, strides: Axes | None, padding: str, data_format: str | None
) -> dict[str, Any]:
    rank = x.ndim - 2
    sizes = per_axis(pool_size, rank, "pool_size")
    return {
        "pool_size": sizes,
        "strides": sizes if strides is None else per_axis(strides, rank, "strides"),
        "padding": padding_of(padding),
        "data_format": data_format_of(data_format),
    }


def _checked(x: Tensor) -> Tensor:
    if x.ndim not in (3, 4, 5):
        raise ShapeError(f"pooling takes inputs [N, *space, C] with one to three axes of space, got {tuple(x.shape)}")
    return x
