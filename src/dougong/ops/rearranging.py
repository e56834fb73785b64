"""`rearrange`: reshape and transpose, written as a pattern.   Ref: Rogozhnikov 2022, "Einops"; Keras 3 semantics."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from dougong.core.errors import ConfigError, ShapeError
from dougong.ops.op import op
from dougong.ops.op import tensor as as_tensor

__all__ = ["rearrange"]


@op
def rearrange(tensor: Any, pattern: str, **axes_lengths: int) -> Tensor:
    """``pattern`` names the axes before and after ``->``; names in parentheses are one axis, the last the fastest.

    Lengths that do not follow from the shape are given by name.   Raises: ConfigError for a pattern that is none;
    ShapeError where it does not fit.   Keras: equals its namesake.

    >>> import torch
    >>> rearrange(torch.arange(8).reshape(1, 8), "b (h w) -> b w h", h=2).tolist()
    [[[0, 4], [1, 5], [2, 6], [3, 7]]]
    """
    x = as_tensor(tensor)
    sides = [_axes(side) for side in pattern.split("->")]
    if len(sides) != 2:
        raise ConfigError(f"a pattern has one '->', got {pattern!r}")
    before, after = ([name for group in side for name in group] for side in sides)
    if sorted(before) != sorted(after) or len(set(before)) != len(before):
        raise ConfigError(f"a pattern names each axis once on either side, got {pattern!r}")
    unknown = sorted(set(axes_lengths) - set(before))
    if unknown:
        raise ConfigError(f"lengths are given for {unknown}, which pattern {pattern!r} does not name")
    if len(sides[0]) != x.ndim:
        raise ShapeError(f"pattern {pattern!r} names {len(sides[0])} axes, but the shape is {tuple(x.shape)}")
    sizes: dict[str, int] = {}
    for group, size in zip(sides[0], x.shape):
        sizes |= _lengths(group, size, axes_lengths, pattern)
    apart = x.reshape([sizes[name] for name in before]).permute([before.index(name) for name in after])
    return apart.reshape([_product(sizes[name] for name in group) for group in sides[1]])


def _axes(side: str) -> list[list[str]]:
    """The names of each axis: ``"b (h w)"`` is ``[["b"], ["h", "w"]]``."""
    rest = re.sub(r"\([\w\s]*\)|\w+", "", side).strip()
    if rest:
        raise ConfigError(f"a pattern holds names and single parentheses, got {rest!r} in {side.strip()!r}")
    found = re.findall(r"\(([\w\s]*)\)|(\w+)", side)
    return [[single] if single else group.split() for group, single in found]


def _lengths(group: list[str], size: int, given: Mapping[str, int], pattern: str) -> dict[str, int]:
    """The length of each name in an axis of length ``size``; one may follow from the others."""
    missing = [name for name in group if name not in given]
    known = _product(given[name] for name in group if name in given)
    if len(missing) > 1:
        raise ConfigError(f"pattern {pattern!r}: give the length of {' or '.join(missing)}, too")
    if (known == 0 or size % known) if missing else known != size:
        raise ShapeError(f"pattern {pattern!r}: an axis of {size} cannot be split into {' x '.join(group)}")
    return {name: given.get(name, size // known if known else 0) for name in group}


def _product(numbers: Any) -> int:
    total = 1
    for number in numbers:
        total *= number
    return total
