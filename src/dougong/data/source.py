"""What the training loop reads: a source of batches, epoch by epoch.

A batch is ``(x, y, sample_weight)``: nested structures of tensors, None where absent.  It is valid until the next one
is asked for, since buffers are used again, and it must not be written to, since it may be the user's own array.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import Any

from dougong.core.errors import ConfigError, DataError

__all__ = ["Batch", "IndexedSource", "MappedSource", "Source", "check_count", "unpack_batch"]

Batch = tuple[Any, Any, Any]


class Source(ABC):
    """Batches for training, evaluation or prediction.

    ``batch_size`` and ``num_samples`` are None where only the user's own loader knows them.
    """

    batch_size: int | None = None
    num_samples: int | None = None
    arrays: Batch | None = None  # ``(x, y, sample_weight)`` of all samples, where the source has them whole
    exhausted: bool = False  # True once a generator has ended: no further epoch can be had

    def __init__(self, steps_per_epoch: int | None = None) -> None:
        self.steps_per_epoch = check_count("steps_per_epoch", steps_per_epoch)

    @property
    @abstractmethod
    def num_batches(self) -> int | None:
        """Batches in one epoch; None while unknown."""

    @abstractmethod
    def epoch(self, index: int, start: int = 0) -> Iterator[Batch]:
        """The batches of epoch ``index`` from number ``start`` on, both counted from 0."""

    def advance(self, epochs: range) -> None:  # noqa: B027  not abstract: most sources have nothing to do
        """Stand where one stands after ``epochs``: nothing to do where any epoch can be had without those before."""

    @abstractmethod
    def peek(self) -> Batch:
        """One batch as epochs give them, to build a model from; no data is used up."""


class IndexedSource(Source):
    """A source whose batches have numbers: pass ``p`` over the data holds batches ``0 .. batches_per_pass() - 1``.

    Passes follow each other without end, and epoch ``e`` is the stretch ``[e * steps, (e + 1) * steps)`` of them, so
    that any epoch can be had without those before it.  Keras: the same while the data last; where Keras stops with a
    warning because steps_per_epoch asks for more than one pass, the next pass is begun here.
    """

    @abstractmethod
    def batches_per_pass(self) -> int | None:
        """Batches in one pass; None if there is no end."""

    @abstractmethod
    def batches(self, number: int, start: int, stop: int) -> Iterator[Batch]:
        """Batches ``start .. stop - 1`` of pass ``number``."""

    @property
    def num_batches(self) -> int | None:
        return self.steps_per_epoch or self.batches_per_pass()

    def epoch(self, index: int, start: int = 0) -> Iterator[Batch]:
        steps, length = self.num_batches, self.batches_per_pass()
        if steps is None:
            raise DataError("the data have no end, so an epoch has none; give steps_per_epoch.")
        if length is None:
            yield from self.batches(0, index * steps + start, (index + 1) * steps)
            return
        position, end = index * steps + start, (index + 1) * steps
        while position < end:
            number, first = divmod(position, length)
            stop = min(length, first + end - position)
            yield from self.batches(number, first, stop)
            position += stop - first


class MappedSource(Source):
    """The batches of another source, each as ``function`` makes it; ``arrays`` are all samples, where known."""

    def __init__(self, source: Source, function: Callable[[Batch], Batch], arrays: Batch | None) -> None:
        super().__init__(source.steps_per_epoch)
        self._source, self._function, self.arrays = source, function, arrays
        self.batch_size, self.num_samples = source.batch_size, source.num_samples

    @property
    def num_batches(self) -> int | None:
        return self._source.num_batches

    @property
    def exhausted(self) -> bool:  # type: ignore[override]
        return self._source.exhausted

    def epoch(self, index: int, start: int = 0) -> Iterator[Batch]:
        return map(self._function, self._source.epoch(index, start))

    def advance(self, epochs: range) -> None:
        self._source.advance(epochs)

    def peek(self) -> Batch:
        return self._function(self._source.peek())


def unpack_batch(batch: Any) -> Batch:
    """``x``, ``(x,)``, ``(x, y)`` or ``(x, y, sample_weight)`` as three.   Keras: ``unpack_x_y_sample_weight``.

    >>> unpack_batch((1, 2)), unpack_batch({"a": 1})
    ((1, 2, None), ({'a': 1}, None, None))
    """
    if not isinstance(batch, list | tuple):
        return batch, None, None
    if not 1 <= len(batch) <= 3:
        raise DataError(
            f"a batch must be x, (x,), (x, y) or (x, y, sample_weight), got a {type(batch).__name__} of {len(batch)}; "
            "several inputs go into one inner tuple: ((x1, x2), y)."
        )
    x, y, sample_weight = [*batch, None, None][:3]
    return x, y, sample_weight


def check_count(name: str, value: int | None) -> int | None:
    """A whole number of at least 1, or None.   Raises: ConfigError."""
    if value is None:
        return None
    if isinstance(value, bool) or not hasattr(value, "__index__") or int(value) < 1:
        raise ConfigError(f"{name} must be a whole number of at least 1, or None; got {value!r}.")
    return int(value)
