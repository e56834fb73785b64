"""Randomness: one call seeds everything; what needs its own stream draws a seed from torch's generator."""

from __future__ import annotations

import random

import numpy as np
import torch

__all__ = ["default_seed", "draw_seed", "set_random_seed"]

# torch is seeded with another number than Python, so that a later ``torch.manual_seed`` of the same one can be told
# from `set_random_seed`.
_MARK = 1 << 32

# A twin of Python's generator, from which Keras draws: an import on the way may draw from that one, too.
_STREAM = random.Random()


def set_random_seed(seed: int) -> None:
    """Seed Python, NumPy and torch.  Same seed, same program, same machine: same numbers.

    Keras: equals ``keras.utils.set_random_seed``; layers made after it begin with the weights that they have in Keras
    on torch (see `default_seed`).
    """
    random.seed(seed)
    _STREAM.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed + _MARK)


def draw_seed() -> int:
    """A seed in [0, 2³¹) from torch's generator: the start of an independent stream.

    >>> set_random_seed(1); first = draw_seed(); set_random_seed(1); first == draw_seed()
    True
    """
    return int(torch.randint(2**31 - 1, ()))


def default_seed() -> int:
    """The seed of an initializer or random layer that was given none.

    After `set_random_seed` it is the one that Keras draws (from Python's generator, which nobody else may draw from
    in between, or Keras's numbers are others); after ``torch.manual_seed``, or if
    nothing was seeded, it comes from torch's.

    >>> set_random_seed(1); first = default_seed(); set_random_seed(1); first == default_seed()
    True
    >>> _ = torch.manual_seed(2); first = default_seed(); _ = torch.manual_seed(2); first == default_seed()
    True
    """
    if _MARK <= torch.initial_seed() < 2 * _MARK:
        return _STREAM.randint(1, 10**9)
    return draw_seed()
