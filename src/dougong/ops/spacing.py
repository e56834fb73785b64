"""Numbers spaced evenly, or by equal factors, between two ends; and the grids of several axes.

Computed in float64, then rounded once.   Keras: each equals ``keras.ops`` of its name; on torch Keras refuses ``axis``.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from dougong.core.dtypes import torch_dtype
from dougong.core.errors import ConfigError
from dougong.ops.op import common_dtype, op, tensor

__all__ = ["geomspace", "linspace", "logspace", "meshgrid"]


@op
def linspace(
    start: Any,
    stop: Any,
    num: int = 50,
    endpoint: bool = True,
    retstep: bool = False,
    dtype: Any = None,
    axis: int = 0,
) -> Any:
    """``num`` numbers at equal distances from ``start`` to ``stop``, or short of it without ``endpoint``.

    ``start`` and ``stop`` may be tensors, which broadcast; the numbers then make a new axis.  Whole dtypes round down.
    With ``retstep`` the distance comes second.

    >>> linspace(0, 1, 5), linspace(0, 1, 4, endpoint=False, retstep=True)[1]
    (tensor([0.0000, 0.2500, 0.5000, 0.7500, 1.0000]), tensor(0.2500))
    """
    kind = _kind(start, stop, dtype)
    start, stop = tensor(start, torch.float64), tensor(stop, torch.float64)
    values = _between(start, stop, num, endpoint).movedim(0, axis)
    values = _rounded(values, kind)
    if not retstep:
        return values
    steps = num - 1 if endpoint else num
    step = (stop - start) / steps if steps > 0 else torch.full_like(stop - start, torch.nan)
    return values, step.to(kind if kind.is_floating_point else torch_dtype(None))


@op
def logspace(
    start: Any,
    stop: Any,
    num: int = 50,
    endpoint: bool = True,
    base: Any = 10,
    dtype: Any = None,
    axis: int = 0,
) -> Tensor:
    """``base`` to the powers that `linspace` gives.

    >>> logspace(0, 2, 3)
    tensor([  1.,  10., 100.])
    """
    kind = _kind(start, stop, dtype)
    powers = _between(tensor(start, torch.float64), tensor(stop, torch.float64), num, endpoint)
    return _rounded(torch.pow(base, powers).movedim(0, axis), kind)


@op
def geomspace(start: Any, stop: Any, num: int = 50, endpoint: bool = True, dtype: Any = None, axis: int = 0) -> Tensor:
    """Numbers from ``start`` to ``stop``, of one sign, each the same multiple of the one before it.

    >>> geomspace(1, 1000, 4), geomspace(-1, -4, 3)
    (tensor([   1.,   10.,  100., 1000.]), tensor([-1., -2., -4.]))
    """
    kind = _kind(start, stop, dtype)
    start, stop = tensor(start, torch.float64), tensor(stop, torch.float64)
    powers = _between(start.abs().log(), stop.abs().log(), num, endpoint)
    sign = torch.where(start.sign() == stop.sign(), start.sign(), torch.nan)
    return _rounded((sign * torch.exp(powers)).movedim(0, axis), kind)


def _kind(start: Any, stop: Any, dtype: Any) -> torch.dtype:
    return common_dtype(start, stop, 1.0) if dtype is None else torch_dtype(dtype)


def _between(start: Tensor, stop: Tensor, num: int, endpoint: bool) -> Tensor:
    if num < 0:
        raise ConfigError(f"num must be 0 or more, got {num}")
    device = start.device if start.ndim else stop.device
    places = torch.arange(num, dtype=torch.float64, device=device) / max(num - 1 if endpoint else num, 1)
    start, stop = torch.broadcast_tensors(start, stop)
    return torch.lerp(start, stop, places.reshape(-1, *[1] * start.ndim))


def _rounded(values: Tensor, kind: torch.dtype) -> Tensor:
    return values.to(kind) if kind.is_floating_point else values.floor().to(kind)


@op
def meshgrid(*x: Any, indexing: str = "xy") -> list[Tensor]:
    """The coordinates of a grid's points, one tensor for each of the axes given.

    Of N abscissas and M ordinates: ``[M, N]`` for "xy", ``[N, M]`` for "ij".

    >>> meshgrid([1, 2, 3], [4, 5])
    [tensor([[1, 2, 3],
            [1, 2, 3]], dtype=torch.int32), tensor([[4, 4, 4],
            [5, 5, 5]], dtype=torch.int32)]
    """
    if indexing not in ("xy", "ij"):
        raise ConfigError(f"indexing must be 'xy' or 'ij'; got {indexing!r}")
    lines = [tensor(one).reshape(-1) for one in x]
    places = list(range(len(lines)))
    if indexing == "xy" and len(lines) > 1:
        places[:2] = 1, 0
    lines = [
        line.reshape([-1 if dim == place else 1 for dim in range(len(lines))]) for line, place in zip(lines, places)
    ]
    return [grid.clone() for grid in torch.broadcast_tensors(*lines)]
