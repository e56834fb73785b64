"""PyDataset: the user's own class that returns batches by number.   Keras: ``keras.utils.PyDataset``, ``Sequence``."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

__all__ = ["PyDataset", "prefetched"]


class PyDataset:
    """Subclass it with ``__getitem__(index)``, which returns one whole batch, and ``__len__``, the number of batches.

    A batch is ``(x,)``, ``(x, y)`` or ``(x, y, sample_weight)``.  ``on_epoch_begin`` and ``on_epoch_end`` may be
    written too.  For data without an end, let ``num_batches`` return None.

    ``workers``: with more than one, batches are prepared ahead by so many threads, at most ``max_queue_size`` of them.
    ``use_multiprocessing`` is accepted for Keras's sake; threads are used all the same, since NumPy, Pillow and file
    reading release Python's lock; for processes give a ``torch.utils.data.DataLoader``.

    >>> class Squares(PyDataset):
    ...     def __len__(self):
    ...         return 2
    ...     def __getitem__(self, index):
    ...         return [index, index**2]
    >>> list(Squares(workers=2))
    [[0, 0], [1, 1]]
    """

    # Class attributes, so that a subclass that forgets super().__init__() works.
    workers: int = 1
    use_multiprocessing: bool = False
    max_queue_size: int = 10

    def __init__(self, workers: int = 1, use_multiprocessing: bool = False, max_queue_size: int = 10) -> None:
        self.workers = workers
        self.use_multiprocessing = use_multiprocessing
        self.max_queue_size = max_queue_size

    def __getitem__(self, index: int) -> Any:
        raise NotImplementedError(f"{type(self).__name__} needs __getitem__(self, index), which returns a batch.")

    @property
    def num_batches(self) -> int | None:
        """The number of batches, or None if there is no end."""
        if not hasattr(self, "__len__"):
            raise NotImplementedError(f"{type(self).__name__} needs __len__(self): the number of batches.")
        return len(self)  # type: ignore[arg-type]

    def on_epoch_begin(self) -> None:
        """Called before the first batch of each epoch."""

    def on_epoch_end(self) -> None:
        """Called after the last batch of each epoch, for example to shuffle the user's own lists."""

    def __iter__(self) -> Iterator[Any]:
        index, count = 0, self.num_batches
        while count is None or index < count:
            yield self[index]
            index += 1


def prefetched(
    get: Callable[[int], Any], indices: Iterator[int], *, workers: int, max_queue_size: int
) -> Iterator[Any]:
    """``get(index)`` for each index, in order, prepared ahead by threads."""
    pending: deque[Future[Any]] = deque()
    with ThreadPoolExecutor(workers) as pool:
        try:
            for index in indices:
                pending.append(pool.submit(get, index))
                if len(pending) > max_queue_size:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            for future in pending:
                future.cancel()
