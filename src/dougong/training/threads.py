"""How many threads a step deserves.

Measured on two quiet cores, milliseconds a step with one and two threads: MLP 784-256-128-10 (64 M multiply-adds) 1.43
and 0.79, LeNet-5 (72 M) 3.6 and 2.0, LSTM(64) on 50 x 16 (98 M) 1.55 and 1.19, a two-layer Transformer (1,745 M) 42 and
24.  Two threads on a small net are slower than one, up to 138 times on a busy machine, since every operator waits for
the second thread to wake.  The choice depends on the work alone, never on a timing: several threads round differently,
and the same seed must give the same result.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

__all__ = ["threads_for", "use_threads"]

_WORTH_MORE = 50_000_000  # multiply-adds in a step, forward and backward


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
