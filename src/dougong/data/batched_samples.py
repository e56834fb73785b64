"""Samples that are read by number and come in batches: what folders of files and windows over a series give."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Sequence
from copy import copy
from typing import Any, Self

import torch
from torch import Tensor
from torch.utils.data import Dataset as TorchDataset

from dougong.core.errors import ConfigError
from dougong.core.nested import map_leaves
from dougong.data.order import permutation
from dougong.data.py_dataset import prefetched
from dougong.data.source import Batch, IndexedSource

__all__ = ["BatchedSamples", "BatchedSource", "threads_that_pay"]

_AHEAD = 2  # batches that wait, for each thread that reads


def threads_that_pay() -> int:
    """Threads for reading and decoding files, which run beside Python: one for each core, up to eight."""
    return min(8, os.cpu_count() or 1)


class BatchedSamples(TorchDataset[Any]):
    """Batches as Keras's data sets give them: ``for x, y in dataset``, ``model.fit(dataset)``, ``len(dataset)``.

    ``read(rows)`` gives the samples of these rows, stacked; ``batch_size=None`` gives single samples.  With ``shuffle``
    each pass over the data has its own order, a function of (seed, number of the pass).  ``workers`` threads read
    ahead.  ``class_names`` and ``file_paths`` are None where there are no classes or files.
    It is a torch data set of batches too: ``DataLoader(dataset, batch_size=None, num_workers=4)`` reads by processes.
    Keras: takes the place of ``tf.data.Dataset``; of its methods there are `take`, `skip`, `map`, `cache`, `prefetch`.

    >>> numbers = torch.arange(10)
    >>> dataset = BatchedSamples(lambda rows: (numbers[rows], numbers[rows] ** 2), 10, batch_size=4)
    >>> [(x.tolist(), y.tolist()) for x, y in dataset.skip(1)]
    [([4, 5, 6, 7], [16, 25, 36, 49]), ([8, 9], [64, 81])]
    """

    def __init__(
        self,
        read: Callable[[list[int]], Any],
        count: int,
        *,
        batch_size: int | None,
        shuffle: bool = False,
        seed: int = 0,
        workers: int = 1,
        class_names: Sequence[str] | None = None,
        file_paths: Sequence[str] | None = None,
    ) -> None:
        if batch_size is not None and batch_size < 1:
            raise ConfigError(f"batch_size must be at least 1, or None for single samples; got {batch_size}")
        self.batch_size, self.num_samples = batch_size, count
        self.shuffle, self.seed, self.workers = shuffle, seed, workers
        self.class_names = None if class_names is None else list(class_names)
        self.file_paths = None if file_paths is None else list(file_paths)
        self.passes = 0  # how many have begun
        self._read, self._functions = read, ()
        self._only = range(math.ceil(count / (batch_size or 1)))
        self._kept: dict[int, Any] | None = None

    def __len__(self) -> int:
        return len(self._only)

    def __getitem__(self, index: int) -> Any:
        """Batch ``index`` of the pass that comes next."""
        return self._at(self._only[index], self.order(self.passes))

    def __iter__(self) -> Iterator[Any]:
        number = self.passes
        self.passes += 1
        return self.batches(number, 0, len(self))

    def order(self, number: int) -> Tensor:
        """The rows in the order of pass ``number``."""
        return permutation(self.num_samples, self.seed, number) if self.shuffle else torch.arange(self.num_samples)

    def batches(self, number: int, start: int, stop: int) -> Iterator[Any]:
        """Batches ``start .. stop - 1`` of pass ``number``."""
        order, wanted = self.order(number), self._only[start:stop]
        if self.workers < 2:
            return (self._at(index, order) for index in wanted)
        ahead = _AHEAD * self.workers
        return prefetched(
            lambda index: self._at(index, order), iter(wanted), workers=self.workers, max_queue_size=ahead
        )

    def _at(self, index: int, order: Tensor) -> Any:
        size = self.batch_size or 1
        found = self._samples(order[index * size : (index + 1) * size].tolist())
        if self.batch_size is None:
            found = map_leaves(lambda leaf: leaf[0], found)
        for function in self._functions:
            found = function(*found) if isinstance(found, tuple) else function(found)
        return found

    def _samples(self, rows: list[int]) -> Any:
        if self._kept is None:
            return self._read(rows)
        missing = [row for row in rows if row not in self._kept]
        for row in missing:
            self._kept[row] = map_leaves(lambda leaf: leaf[0], self._read([row]))
        first = self._kept[rows[0]]
        if not isinstance(first, tuple):
            return torch.stack([self._kept[row] for row in rows])
        return tuple(torch.stack(parts) for parts in zip(*(self._kept[row] for row in rows)))

    # ── tf.data's words ─────────────────────────────────────────────────────────────────────────────────────────────

    def _changed(self, **attributes: Any) -> Self:
        twin = copy(self)
        for name, value in attributes.items():
            setattr(twin, name, value)
        return twin

    def take(self, count: int) -> Self:
        """The first ``count`` batches of every pass; all for -1."""
        return self if count < 0 else self._changed(_only=self._only[:count])

    def skip(self, count: int) -> Self:
        """All batches of every pass but the first ``count``."""
        return self._changed(_only=self._only[count:])

    def map(self, map_func: Callable[..., Any], num_parallel_calls: Any = None) -> Self:
        """Batches as ``map_func(x, y)``, or ``map_func(x)`` where there are no labels, gives them."""
        return self._changed(_functions=(*self._functions, map_func))

    def cache(self) -> Self:
        """Keep samples, as read, in memory; so each is read once.  For samples of one shape, numbers only."""
        return self._changed(_kept={})

    def prefetch(self, buffer_size: Any = None) -> Self:
        """The same: batches are always read ahead."""
        return self

    def only(self, rows: Sequence[int]) -> Self:
        """The samples in ``rows`` alone, in this order."""
        kept, read = list(rows), self._read
        twin = self._changed(_read=lambda inner: read([kept[row] for row in inner]), num_samples=len(kept))
        twin._only = range(math.ceil(len(kept) / (self.batch_size or 1)))
        twin.file_paths = None if self.file_paths is None else [self.file_paths[row] for row in kept]
        return twin


class BatchedSource(IndexedSource):
    """`BatchedSamples` for training: every pass has its number, also over several calls of `fit`."""

    def __init__(
        self, dataset: BatchedSamples, make: Callable[[Any, int], Batch], *, steps_per_epoch: int | None
    ) -> None:
        super().__init__(steps_per_epoch)
        self._dataset, self._make, self._first = dataset, make, dataset.passes
        self.batch_size, self.num_samples = dataset.batch_size, dataset.num_samples
        self._peeked: Batch | None = None

    def batches_per_pass(self) -> int:
        return len(self._dataset)

    def peek(self) -> Batch:
        if self._peeked is None:  # files need not be read for every look
            self._peeked = self._make(self._dataset[0], 0)
        return self._peeked

    def batches(self, number: int, start: int, stop: int) -> Iterator[Batch]:
        self._dataset.passes = self._first + number + 1
        for index, raw in enumerate(self._dataset.batches(self._first + number, start, stop), start):
            yield self._make(raw, index)
