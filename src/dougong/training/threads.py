"""How many threads a step deserves.

Measured: two threads on a small net are slower than one, up to 138 times on a busy two-core machine, since every
operator waits for the second thread to wake.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

__all__ = ["threads_for", "use_threads"]

_WORTH_TWO = 20_000_000  # multiply-adds in a step, forward and backward


def threads_for(multiply_adds: int, most: int) -> int:
    """One thread for small steps, all for large ones.

    >>> threads_for(10_000, 8), threads_for(10**9, 8)
    (1, 8)
    """
    return most if multiply_adds >= _WORTH_TWO else 1


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
