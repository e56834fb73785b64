"""Padding: a tensor with more elements at the ends of its axes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from dougong.core.errors import ConfigError, ShapeError
from dougong.ops.op import op, tensor

__all__ = ["pad"]


@op
def pad(x: Any, pad_width: Any, mode: str = "constant", constant_values: Any = None) -> Tensor:
    """``x`` with elements added before and after each axis.

    ``pad_width`` is one number, one pair (before, after), or a pair for each axis.  ``mode`` says what is added:
    "constant" (``constant_values``, 0 by default), "edge" (the last element), "reflect" (the mirror image without the
    last element), "symmetric" (the mirror image with it), "wrap" or "circular" (the other end).
    Raises: ConfigError for another mode; ShapeError for widths that do not fit.
    Keras: on torch "symmetric" repeats the last element, and the mirrors take only some ranks; this is NumPy's.

    >>> pad([1, 2, 3], 1)
    tensor([0, 1, 2, 3, 0], dtype=torch.int32)
    >>> pad([1, 2, 3], (2, 1), mode="reflect"), pad([1, 2, 3], (2, 1), mode="symmetric")
    (tensor([3, 2, 1, 2, 3, 2], dtype=torch.int32), tensor([2, 1, 1, 2, 3, 3], dtype=torch.int32))
    """
    x = tensor(x)
    widths = _widths(pad_width, x)
    if mode == "constant":
        flat = [width for pair in reversed(widths) for width in pair]
        return torch.nn.functional.pad(x, flat, value=0 if constant_values is None else constant_values)
    if constant_values is not None:
        raise ConfigError(f"constant_values are for mode='constant'; got mode={mode!r}")
    places = _PLACES.get(mode)
    if places is None:
        raise ConfigError(f"mode must be one of 'constant', {', '.join(map(repr, _PLACES))}; got {mode!r}")
    for axis, (before, after) in enumerate(widths):
        if before or after:
            steps = torch.arange(-before, x.shape[axis] + after, device=x.device)
            x = x.index_select(axis, places(steps, x.shape[axis]))
    return x


def _widths(pad_width: Any, x: Tensor) -> list[list[int]]:
    """One pair for each axis, spread as NumPy does.   Raises: ShapeError."""
    try:
        widths: list[list[int]] = torch.as_tensor(pad_width).broadcast_to((x.ndim, 2)).tolist()
    except (RuntimeError, TypeError, ValueError) as error:
        raise ShapeError(f"pad_width must be a number, a pair, or {x.ndim} pairs; got {pad_width!r}") from error
    if any(width < 0 for pair in widths for width in pair):
        raise ShapeError(f"pad_width must not be negative, got {pad_width!r}; cut with x[1:-1]")
    return widths


def _reflected(steps: Tensor, length: int) -> Tensor:
    period = max(2 * (length - 1), 1)
    steps = steps.remainder(period)
    return torch.minimum(steps, period - steps) if length > 1 else torch.zeros_like(steps)


def _symmetric(steps: Tensor, length: int) -> Tensor:
    steps = steps.remainder(2 * length)
    return torch.minimum(steps, 2 * length - 1 - steps)


_PLACES: dict[str, Callable[[Tensor, int], Tensor]] = {
    "circular": torch.remainder,
    "edge": lambda steps, length: steps.clamp(0, length - 1),
    "reflect": _reflected,
    "symmetric": _symmetric,
    "wrap": torch.remainder,
}
