"""Random draws that torch has no kernel for, with the numbers that Keras's torch backend gives for a seed."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Generator, Tensor

__all__ = ["cut_normal"]


def cut_normal(shape: Sequence[int], dtype: torch.dtype, device: torch.device, generator: Generator | None) -> Tensor:
    """Standard normal numbers within ±2: of four that are drawn for each place, the first that fits.

    Keras: the same numbers; where all four are too large (4 in a million) Keras keeps one of them, here others are
    drawn.

    >>> bool(cut_normal((1000,), torch.float32, torch.device("cpu"), None).abs().max() < 2)
    True
    """
    drawn = torch.normal(0.0, 1.0, (*shape, 4), dtype=dtype, device=device, generator=generator)
    fits = drawn.abs() < 2
    first = fits.to(torch.uint8).argmax(-1, keepdim=True)
    made = drawn.gather(-1, first).squeeze(-1)
    missing = ~fits.any(-1)
    if made.device.type != "meta" and missing.any():
        count = int(missing.sum())
        made[missing] = cut_normal((count,), dtype, device, generator)
    return made
