"""Where buffers lie: those that are never needed at the same time share memory.

Greedy by size: the largest buffer first, each at the lowest place that is free for as long as it is needed.  This comes
close to the largest sum of buffers needed at one time.   Ref: Pisarchyk and Lee 2020, arXiv:2001.03288.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

__all__ = ["Scratch", "placed"]

_ALIGNMENT = 64


def placed(sizes: Sequence[int], firsts: Sequence[int], lasts: Sequence[int]) -> tuple[list[int], int]:
    """Byte offsets of buffers of ``sizes`` bytes, each needed in steps ``firsts..lasts`` (inclusive), and the total.

    >>> placed([64, 64, 128], [0, 1, 2], [1, 2, 3])
    ([0, 128, 0], 192)
    """
    count = len(sizes)
    needs = [-(-size // _ALIGNMENT) * _ALIGNMENT for size in sizes]
    order = sorted(range(count), key=lambda i: (-needs[i], firsts[i]))
    begin, end = np.zeros(count, np.int64), np.zeros(count, np.int64)
    first, last = np.asarray(firsts, np.int64), np.asarray(lasts, np.int64)
    done = np.zeros(count, np.bool_)
    for i in order:
        near = np.flatnonzero(done & (first <= last[i]) & (last >= first[i]))
        near = near[np.argsort(begin[near], kind="stable")]
        # The free gaps lie between what ends so far and what begins next.
        ends = np.concatenate([[0], np.maximum.accumulate(end[near])])
        gaps = np.flatnonzero(begin[near] - ends[:-1] >= needs[i])
        begin[i] = ends[gaps[0]] if gaps.size else ends[-1]
        end[i] = begin[i] + needs[i]
        done[i] = True
    return begin.tolist(), int(end.max(initial=0))


class Scratch:
    """One block of memory per device for steps that never run at the same time (training, its last smaller batch,
    validation): nothing in it is needed after a call."""

    def __init__(self) -> None:
        self._blocks: dict[torch.device, Tensor] = {}

    def block(self, device: torch.device, nbytes: int) -> Tensor:
        """At least ``nbytes`` bytes; the same memory as before if that is large enough."""
        held = self._blocks.get(device)
        if held is None or held.numel() < nbytes:
            with torch.inference_mode():
                held = self._blocks[device] = torch.empty(nbytes, dtype=torch.uint8, device=device)
        return held
