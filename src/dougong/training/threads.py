"""How many threads a step deserves.

Measured: two threads on a small net are slower than one, up to 138 times on a busy two-core machine, since every
operator waits for the second thread to wake.  On two cores, milliseconds a step with one and two threads: LSTM(64) on
50 x 16 (98 M multiply-adds) 1.7 and 3.6, LeNet-5 (72 M) 3.7 and 7.5, a two-layer Transformer (1,745 M) 43 and 24.  The
choice depends on the work alone, never on a timing: sums by several threads round differently.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

__all__ = ["threads_for", "use_threads"]

_WORTH_MORE = 300_000_000  # multiply-adds in a step, forward and backward


def threads_for(multiply_adds: int, most: int) -> int:
    """One thread for small steps, all for large ones.

    >>> threads_for(10_000, 8), threads_for(10**9, 8)
    (1, 8)
    """
    return most if multiply_adds >= _WORTH_MORE else 1


@contextmanager
def use_threads(count: int) -> Iterator[None]:
    """Within the block torch's operators use ``count`` threads."""
    before = torch.get_num_threads()
    if count == before:
        yield
        return
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
