"""How a weight's torch layout and its Keras layout relate; each layer states it once, where it adds the weight."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Self

from torch import Tensor

__all__ = ["IDENTITY", "TRANSPOSED", "Layout"]


def _same(tensor: Tensor) -> Tensor:
    return tensor


def _permuted(tensor: Tensor, axes: tuple[int, ...]) -> Tensor:
    return tensor.permute(axes)


@dataclass(frozen=True)
class Layout:
    """Two inverse functions.  Where they only permute axes they return views, so a Keras view can be written to.

    >>> import torch
    >>> Layout.permuted(3, 2, 0, 1).from_keras(torch.empty(5, 3, 1, 8)).shape   # HWIO -> OIHW
    torch.Size([8, 1, 5, 3])
    """

    to_keras: Callable[[Tensor], Tensor]
    from_keras: Callable[[Tensor], Tensor]

    @classmethod
    def permuted(cls, *axes: int) -> Self:
        """torch's axis ``i`` is Keras's axis ``axes[i]``."""
        inverse = tuple(axes.index(axis) for axis in range(len(axes)))
        return cls(to_keras=partial(_permuted, axes=inverse), from_keras=partial(_permuted, axes=axes))


IDENTITY = Layout(_same, _same)
TRANSPOSED = Layout.permuted(1, 0)
