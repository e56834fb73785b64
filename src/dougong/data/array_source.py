"""Batches from whole arrays: slices of them in order, or rows gathered into buffers made once.

Cost of a batch of small arrays: below 10 µs shuffled, below 1 µs in order, nothing when one batch holds all samples.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from dougong.core.nested import map_named, named_leaves
from dougong.data.order import Shuffle, shuffle_into
from dougong.data.source import Batch, IndexedSource

__all__ = ["ArraySource"]

# Views and packed batches are kept for speed, some hundred bytes each; beyond this number they are made when needed.
_MOST_KEPT = 4096


class ArraySource(IndexedSource):
    """Batches of ``batch_size`` consecutive rows of an order; the last batch of a pass may be smaller.

    ``shuffle``: False keeps the order of the arrays; True permutes all rows by (seed, pass); "batch" permutes rows
    inside each batch only.  When one batch holds every row, the arrays themselves are that batch, unpermuted, as the
    order within a batch means nothing to a loss.

    Tensors that fit live on ``device``; larger ones stay in main memory and are moved batch by batch.
    """

    def __init__(
        self,
        x: Any,
        y: Any,
        sample_weight: Any,
        *,
        num_samples: int,
        batch_size: int,
        steps_per_epoch: int | None = None,
        shuffle: Shuffle = False,
        seed: int = 0,
        device: torch.device | None = None,
    ) -> None:
        super().__init__(steps_per_epoch)
        self._count, self._size = num_samples, batch_size
        self.num_samples, self.batch_size = num_samples, batch_size
        self._structure = self.arrays = (x, y, sample_weight)
        self._seed = seed
        # Fortran order, as pandas gives, would make every gather jump through memory.
        tensors = [tensor.contiguous() for _, tensor in named_leaves(self._structure)]
        self._move_to = None if device is None or _fits(tensors, device) else device
        if device is not None and self._move_to is None:
            tensors = [tensor.to(device) for tensor in tensors]
        self._tensors = tensors
        self._shuffle: Shuffle = shuffle if num_samples > batch_size else False
        self._length = math.ceil(num_samples / batch_size)
        with torch.inference_mode(False):  # buffers made inside it could never be used for training
            if self._shuffle:
                self._make_buffers()
        self._kept: list[Batch] | None = None

    def batches_per_pass(self) -> int:
        return self._length

    def peek(self) -> Batch:
        return self._slice(0)

    def batches(self, number: int, start: int, stop: int) -> Iterator[Batch]:
        if self._shuffle:
            return self._gathered(number, start, stop)
        if self._length > _MOST_KEPT or self._move_to is not None:
            return map(self._slice, range(start, stop))
        if self._kept is None:
            self._kept = [self._slice(step) for step in range(self._length)]
        return iter(self._kept if stop - start == self._length else self._kept[start:stop])

    def _slice(self, step: int) -> Batch:
        size = self._size
        if self._length == 1:
            return self._pack(self._tensors)
        return self._pack([tensor[step * size : (step + 1) * size] for tensor in self._tensors])

    def _make_buffers(self) -> None:
        """Room for a full batch; the last, smaller batch uses its first rows."""
        pinned = self._move_to is not None and self._move_to.type == "cuda"
        full = [
            torch.empty((self._size, *t.shape[1:]), dtype=t.dtype, device=t.device, pin_memory=pinned and t.is_cpu)
            for t in self._tensors
        ]
        rest = [buffer[: self._count % self._size] for buffer in full]
        self._full, self._rest = full, rest
        self._full_batch, self._rest_batch = self._assemble(full), self._assemble(rest)
        self._generator = torch.Generator()
        self._drawn = torch.empty(self._count, dtype=torch.int64)
        self._order = self._drawn if self._tensors[0].is_cpu else self._drawn.to(self._tensors[0].device)
        self._windows = list(self._order.split(self._size)) if self._length <= _MOST_KEPT else None

    def _gathered(self, number: int, start: int, stop: int) -> Iterator[Batch]:
        within = self._size if self._shuffle == "batch" else None
        shuffle_into(self._drawn, self._generator, self._seed, number, within=within)
        if self._order is not self._drawn:
            self._order.copy_(self._drawn)
        pairs = list(zip(self._tensors, self._full))
        smaller = stop == self._length and self._rest[0].shape[0] > 0
        yield from self._gather(pairs, self._full_batch, start, stop - smaller)
        if smaller:
            yield from self._gather(list(zip(self._tensors, self._rest)), self._rest_batch, stop - 1, stop)

    def _gather(self, pairs: list[tuple[Tensor, Tensor]], batch: Batch, start: int, stop: int) -> Iterator[Batch]:
        select = torch.index_select
        for rows in self._rows(start, stop):
            for tensor, buffer in pairs:
                select(tensor, 0, rows, out=buffer)
            yield batch if self._move_to is None else self._pack([buffer for _, buffer in pairs])

    def _rows(self, start: int, stop: int) -> Iterator[Tensor] | Sequence[Tensor]:
        if self._windows is not None:
            return self._windows[start:stop]
        size = self._size
        return (self._order[step * size : (step + 1) * size] for step in range(start, stop))

    def _pack(self, tensors: Sequence[Tensor]) -> Batch:
        """The structure of the user's arrays around these tensors, on the device."""
        device = self._move_to
        return self._assemble(tensors if device is None else [tensor.to(device) for tensor in tensors])

    def _assemble(self, tensors: Sequence[Tensor]) -> Batch:
        upcoming = iter(tensors)
        return map_named(lambda _name, _leaf: next(upcoming), self._structure)


def _fits(tensors: Sequence[Tensor], device: torch.device) -> bool:
    """Whether the arrays may live on the device: at most a quarter of the memory that is free there."""
    if device.type != "cuda":
        return True
    size = sum(tensor.nbytes for tensor in tensors if tensor.device.type != device.type)
    return 4 * size <= torch.cuda.mem_get_info(device)[0]
