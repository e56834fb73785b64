"""Batches from objects that make them: PyDataset, torch Dataset and DataLoader, generators, any iterable of batches."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import torch
from torch.utils.data import Dataset as TorchDataset
from torch.utils.data import default_collate

from dougong.core.errors import DataError
from dougong.data.arrays import scalars_to_arrays, to_tensors
from dougong.data.checks import check_lengths
from dougong.data.order import Shuffle, permutation
from dougong.data.py_dataset import PyDataset, prefetched
from dougong.data.source import Batch, IndexedSource, Source, unpack_batch
from dougong.data.weights import combine_weights

__all__ = ["BatchMaker", "IterableSource", "PyDatasetSource", "TorchDatasetSource"]


class BatchMaker:
    """Turns what a user's object yields into a batch of tensors, and says which batch was wrong."""

    def __init__(
        self,
        kind: str,
        class_weight: Mapping[int, float] | None,
        dtype: torch.dtype | None,
        device: torch.device | None,
        *,
        text: bool = False,
    ) -> None:
        self.kind = kind
        self._text = text
        self._class_weight = class_weight
        self._dtype = dtype
        self._device = device

    def __call__(self, raw: Any, number: int) -> Batch:
        try:
            x, y, sample_weight = (
                to_tensors(scalars_to_arrays(part), name, self._dtype, self._device, text=self._text and name == "x")
                for part, name in zip(unpack_batch(raw), ("x", "y", "sample_weight"))
            )
            check_lengths(x, y, sample_weight)
            return x, y, combine_weights(y, sample_weight, self._class_weight, self._dtype)
        except DataError as error:
            raise DataError(f"batch {number} of the {self.kind}: {error}") from error


class PyDatasetSource(IndexedSource):
    """Batches by number; ``shuffle`` permutes the batches, not the samples within.   Keras: as for a PyDataset."""

    def __init__(
        self, dataset: PyDataset, make: BatchMaker, *, steps_per_epoch: int | None, shuffle: Shuffle, seed: int
    ) -> None:
        super().__init__(steps_per_epoch)
        self._dataset, self._make, self._shuffle, self._seed = dataset, make, bool(shuffle), seed
        if self.batches_per_pass() == 0:
            raise DataError(f"{type(dataset).__name__} has no batches: its __len__ returns 0.")

    def batches_per_pass(self) -> int | None:
        return self._dataset.num_batches

    def peek(self) -> Batch:
        return self._make(self._dataset[0], 0)

    def epoch(self, index: int, start: int = 0) -> Iterator[Batch]:
        # Objects in Keras's style that are no PyDataset of ours may lack the two.
        getattr(self._dataset, "on_epoch_begin", _nothing)()
        yield from super().epoch(index, start)
        getattr(self._dataset, "on_epoch_end", _nothing)()

    def advance(self, epochs: range) -> None:
        for _ in epochs:
            getattr(self._dataset, "on_epoch_begin", _nothing)()
            getattr(self._dataset, "on_epoch_end", _nothing)()

    def batches(self, number: int, start: int, stop: int) -> Iterator[Batch]:
        count, indices = self.batches_per_pass(), range(start, stop)
        order = (
            [int(i) for i in permutation(count, self._seed, number)[start:stop]] if self._shuffle and count else indices
        )
        workers = getattr(self._dataset, "workers", 1)
        if workers > 1:
            ahead = self._dataset.max_queue_size
            raws = prefetched(self._dataset.__getitem__, iter(order), workers=workers, max_queue_size=ahead)
        else:
            raws = map(self._dataset.__getitem__, order)
        for index, raw in zip(order, raws):
            yield self._make(raw, index)


class TorchDatasetSource(IndexedSource):
    """Batches of samples of a ``torch.utils.data.Dataset`` with a length, in an order as for arrays."""

    def __init__(
        self,
        dataset: TorchDataset[Any],
        make: BatchMaker,
        *,
        batch_size: int,
        steps_per_epoch: int | None,
        shuffle: Shuffle,
        seed: int,
    ) -> None:
        super().__init__(steps_per_epoch)
        if not hasattr(dataset, "__len__"):
            raise DataError(f"{type(dataset).__name__} has no __len__; give it one, or derive it from IterableDataset.")
        self._dataset, self._make, self._shuffle, self._seed = dataset, make, bool(shuffle), seed
        self._size, self._count = batch_size, len(dataset)  # type: ignore[arg-type]
        self.batch_size, self.num_samples = self._size, self._count
        if self._count == 0:
            raise DataError(f"{type(dataset).__name__} has no samples: its __len__ returns 0.")

    def batches_per_pass(self) -> int:
        return math.ceil(self._count / self._size)

    def peek(self) -> Batch:
        return self._collated(range(min(self._size, self._count)), 0)

    def batches(self, number: int, start: int, stop: int) -> Iterator[Batch]:
        size = self._size
        order = permutation(self._count, self._seed, number) if self._shuffle else torch.arange(self._count)
        for step, rows in enumerate(order[start * size : stop * size].split(size)):
            yield self._collated(rows.tolist(), start + step)

    def _collated(self, rows: Iterable[int], number: int) -> Batch:
        many = getattr(self._dataset, "__getitems__", None)
        samples = many(list(rows)) if many else [self._dataset[row] for row in rows]
        try:
            raw = default_collate(samples)
        except (TypeError, RuntimeError) as error:
            raise DataError(f"the samples of batch {number} cannot be stacked: {error}") from error
        return self._make(raw, number)


class IterableSource(Source):
    """Batches in the order in which the object yields them.

    Without steps_per_epoch an epoch is one iteration over the object; with it, the iteration goes on from epoch to
    epoch and begins anew at its end.  A generator cannot begin anew: it warns when it ends within an epoch, and
    ``exhausted`` is then True.
    """

    def __init__(self, iterable: Iterable[Any], make: BatchMaker, *, steps_per_epoch: int | None) -> None:
        super().__init__(steps_per_epoch)
        self._iterable, self._make = iterable, make
        self._once = isinstance(iterable, Iterator)
        self._iterator: Iterator[Any] | None = iter(iterable) if self._once else None
        self._waiting: list[Any] = []  # what peek took
        self._length = _length(iterable)
        self.batch_size = getattr(iterable, "batch_size", None)

    @property
    def num_batches(self) -> int | None:
        return self.steps_per_epoch or self._length

    def peek(self) -> Batch:
        if not self._waiting:
            if self._iterator is None:
                self._iterator = iter(self._iterable)
            found = next(self._iterator, _END)
            if found is _END:
                raise DataError(f"the {self._make.kind} yields no batches.")
            self._waiting.append(found)
        return self._make(self._waiting[0], 0)

    def epoch(self, index: int, start: int = 0) -> Iterator[Batch]:
        batches = self._epoch(index)
        for _ in range(start):  # at once, not when the first batch is asked for: reading may draw random numbers
            next(batches, None)
        return batches

    def advance(self, epochs: range) -> None:
        for index in epochs:
            for _ in self._epoch(index):
                pass

    def _epoch(self, index: int) -> Iterator[Batch]:
        if self.exhausted:
            raise DataError(
                f"the {self._make.kind} ran out of data before epoch {index + 1}: it can be read only once. Give one "
                "that does not end together with steps_per_epoch, or a PyDataset, which can be read again."
            )
        if self.steps_per_epoch is None and not self._once and not self._waiting:
            self._iterator = None  # the epoch before may have been left half-way
        steps, step = self.steps_per_epoch, 0
        while steps is None or step < steps:
            raw = self._next(begin=step == 0 or steps is not None)
            if raw is _END:
                break
            yield self._make(raw, step)
            step += 1
        self._finish(index, step)

    def _next(self, begin: bool) -> Any:
        """The next raw batch, beginning a new iteration where that is allowed."""
        if self._waiting:
            return self._waiting.pop()
        fresh = self._iterator is None
        if self._iterator is None:
            if not begin:
                return _END
            self._iterator = iter(self._iterable)
        found = next(self._iterator, _END)
        if found is not _END or self._once:
            return found
        self._iterator = None
        return _END if fresh or not begin else self._next(begin)

    def _finish(self, index: int, step: int) -> None:
        if step == 0:
            self.exhausted = self._once
            raise DataError(f"the {self._make.kind} ran out of data: it yielded no batch in epoch {index + 1}.")
        if self.steps_per_epoch is None:
            self.exhausted, self._length = self._once, step
            self._iterator = self._iterator if self._once else None
        elif step < self.steps_per_epoch:
            self.exhausted = True
            warnings.warn(
                f"the {self._make.kind} ran out of data: {step} of {self.steps_per_epoch} steps in epoch {index + 1}. "
                "Let it yield at least steps_per_epoch * epochs batches.",
                stacklevel=3,
            )


_END = object()


def _nothing() -> None:
    """Stands in for a hook that the user's class does not have."""


def _length(iterable: Iterable[Any]) -> int | None:
    try:
        return len(iterable)  # type: ignore[arg-type]
    except TypeError:  # no __len__, or a DataLoader over a stream
        return None
