"""How much memory a file may ask for, checked before any is taken."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from dougong.core.errors import DataError

__all__ = ["MAX_BYTES", "check_size"]

MAX_BYTES = 8 * 2**30


def check_size(path: Path, shape: Sequence[int], itemsize: int, max_bytes: int) -> int:
    """The bytes that an array needs.   Raises: DataError if they are more than ``max_bytes``.

    >>> check_size(Path("a.npz"), (2, 3), 4, max_bytes=100)
    24
    """
    # An axis of no length does not excuse the others: NumPy refuses such shapes too.
    declared = math.prod(max(length, 1) for length in shape) * itemsize
    if declared > max_bytes:
        raise DataError(
            f"{path} would need {declared / 2**30:.1f} GiB as an array of shape {tuple(shape)}, more than the "
            f"{max_bytes / 2**30:.1f} GiB allowed; use a part of it, or raise max_bytes."
        )
    return math.prod(shape) * itemsize
