"""Randomness: one call seeds everything; what needs its own stream draws a seed from torch's generator."""

from __future__ import annotations

import random

import numpy as np
import torch

__all__ = ["draw_seed", "set_random_seed"]


def set_random_seed(seed: int) -> None:
    """Seed Python, NumPy and torch.  Same seed, same program, same machine: same numbers.

    Keras: equals ``keras.utils.set_random_seed``.
    """
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


def draw_seed() -> int:
    """A seed in [0, 2³¹) from torch's generator: the start of an independent stream.

    >>> set_random_seed(1); first = draw_seed(); set_random_seed(1); first == draw_seed()
    True
    """
    return int(torch.randint(2**31 - 1, ()))
