"""What `adapt` takes: whole data, or anything that yields batches of it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

import numpy as np
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, IterableDataset

from dougong.core.errors import ConfigError, DataError
from dougong.core.text import is_text

__all__ = ["batches_of", "numbers"]

_SAMPLES = 256  # of a torch Dataset, taken at once


def batches_of(data: Any, steps: int | None = None, *, lists_are_data: bool = False) -> Iterator[Any]:
    """The inputs of each batch: one batch for an array, tensor or table, else what the iterable yields.

    Of a batch ``(x, y)`` or ``(x, y, sample_weight)`` x is taken.  ``lists_are_data`` tells whether a list is one
    batch, as it is for words, or yields batches.
    Raises: DataError for what is neither; ConfigError for ``steps`` of a whole array.

    >>> [batch.tolist() for batch in batches_of(iter([(np.zeros(2), np.ones(2))]))]
    [[0.0, 0.0]]
    """
    whole = isinstance(data, np.ndarray | Tensor | str | bytes) or hasattr(data, "iloc") or hasattr(data, "__array__")
    if whole or (lists_are_data and isinstance(data, list | tuple)):
        if steps is not None:
            raise ConfigError("adapt() takes steps only with data that come in batches, not with a whole array")
        yield data
        return
    batches: Any = data
    if isinstance(data, IterableDataset | Dataset):
        batches = DataLoader(data, batch_size=_SAMPLES)
    elif hasattr(batches, "num_batches"):  # a PyDataset, which may have no end
        batches = map(batches.__getitem__, range(batches.num_batches if steps is None else steps))
    if not hasattr(batches, "__iter__"):
        raise DataError(f"adapt() takes an array, a torch Dataset, or batches; received a {type(data).__name__}")
    yield from map(_inputs, islice(batches, steps))


def _inputs(batch: Any) -> Any:
    """``x`` of a batch that has targets beside it, as a tuple or, from a DataLoader, as a list."""
    if not isinstance(batch, tuple | list) or not batch or is_text(batch):
        return batch
    first = batch[0]
    whole = isinstance(first, Tensor | np.ndarray) or hasattr(first, "iloc")
    if whole or (isinstance(first, tuple | list) and (isinstance(batch, tuple) or is_text(first))):
        return first
    return batch


def numbers(data: Any, name: str) -> np.ndarray:
    """A batch as an array of numbers.   Raises: DataError for text and objects.

    >>> numbers([[1, 2]], "Normalization").shape
    (1, 2)
    """
    array = data.detach().cpu().numpy() if isinstance(data, Tensor) else np.asarray(data)
    if array.dtype.kind not in "buif":
        raise DataError(f"{name} needs numbers but received {array.dtype}; leave out or encode other columns")
    return array
