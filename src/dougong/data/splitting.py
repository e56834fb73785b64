"""Data in two parts."""

from __future__ import annotations

from typing import Any

import torch
from torch.utils.data import Dataset as TorchDataset
from torch.utils.data import Subset, TensorDataset

from dougong.core.errors import ConfigError, DataError
from dougong.core.nested import is_nested, leaves
from dougong.data.arrays import to_tensor
from dougong.data.batched_samples import BatchedSamples
from dougong.data.checks import check_lengths

__all__ = ["split_dataset"]


def split_dataset(
    dataset: Any,
    left_size: int | float | None = None,
    right_size: int | float | None = None,
    shuffle: bool = False,
    seed: int | None = None,
    preferred_backend: str | None = None,
) -> tuple[Any, Any]:
    """The first samples and the last ones: sizes are counts or parts of 1; one left out is what remains.

    ``dataset`` is an array, a list or tuple of arrays, a torch Dataset, or what ``…_dataset_from_directory`` gives.
    With ``shuffle``, samples are dealt by ``seed``.   Gives two torch Datasets of samples; batches stay batches.
    Raises: DataError for other data; ConfigError for sizes that do not fit.
    Keras: ``keras.utils.split_dataset`` on torch, which shuffles with ``shuffle=False`` too; here that keeps the order.

    >>> left, right = split_dataset(torch.arange(10), left_size=0.8)
    >>> len(left), [int(x) for x, in right]
    (8, [8, 9])
    """
    if preferred_backend not in (None, "torch"):
        raise ConfigError(f"Dougong gives torch data sets only; preferred_backend={preferred_backend!r} is not offered")
    whole = _as_dataset(dataset)
    total = whole.num_samples if isinstance(whole, BatchedSamples) else len(whole)
    left, right = _sizes(left_size, right_size, total)
    order = list(range(total))
    if shuffle:
        generator = torch.Generator()
        generator.manual_seed(seed) if seed is not None else generator.seed()
        order = torch.randperm(total, generator=generator).tolist()
    parts = order[:left], order[total - right :]
    if isinstance(whole, BatchedSamples):
        return whole.only(parts[0]), whole.only(parts[1])
    return Subset(whole, parts[0]), Subset(whole, parts[1])


def _as_dataset(dataset: Any) -> Any:
    if isinstance(dataset, TorchDataset):
        if not hasattr(dataset, "__len__"):
            raise DataError(f"{type(dataset).__name__} has no length, so it has no parts; give it __len__")
        return dataset
    if not is_nested(dataset) and not hasattr(dataset, "__array__"):
        raise DataError(
            f"split_dataset takes an array, a list of arrays or a torch Dataset; got a {type(dataset).__name__}"
        )
    arrays = [to_tensor(leaf, "dataset", None) for leaf in (leaves(dataset) if is_nested(dataset) else [dataset])]
    check_lengths(arrays)
    return TensorDataset(*arrays)


def _sizes(left: int | float | None, right: int | float | None, total: int) -> tuple[int, int]:
    """Both sizes as counts.   Raises: ConfigError."""
    if left is None and right is None:
        raise ConfigError("give left_size or right_size: a number of samples, or a part between 0 and 1")
    for name, size in (("left_size", left), ("right_size", right)):
        if size is not None and (type(size) not in (int, float) or not 0 < size < (total if type(size) is int else 1)):
            raise ConfigError(f"{name} must be a count below {total}, or a part between 0 and 1; got {size!r}")
    if isinstance(left, float) and isinstance(right, float) and left + right > 1:
        raise ConfigError(f"left_size {left} and right_size {right} add up to more than 1")
    first, last = (round(size * total) if isinstance(size, float) else size for size in (left, right))
    first = total - (last or 0) if first is None else first
    last = total - first if last is None else last
    if first + last > total:
        raise ConfigError(f"left_size and right_size are {first + last} samples together; there are {total}")
    if not first or not last:
        raise ConfigError(f"{first} and {last} of {total} samples: one part is empty; choose other sizes")
    return first, last
