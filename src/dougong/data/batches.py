"""The door through which data enter fit, evaluate and predict."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from types import GeneratorType
from typing import Any, cast

import torch
from torch.utils.data import DataLoader, IterableDataset, TensorDataset
from torch.utils.data import Dataset as TorchDataset

from dougong.core.errors import ConfigError, DataError
from dougong.core.nested import map_named, named_leaves
from dougong.core.text import is_text
from dougong.data.array_source import ArraySource
from dougong.data.arrays import is_array, scalars_to_arrays, to_tensors
from dougong.data.batched_samples import BatchedSamples, BatchedSource
from dougong.data.checks import check_lengths
from dougong.data.order import Shuffle, check_shuffle
from dougong.data.py_dataset import PyDataset
from dougong.data.source import Batch, Source, check_count, unpack_batch
from dougong.data.stream_source import BatchMaker, IterableSource, PyDatasetSource, TorchDatasetSource
from dougong.data.text_rows import text_as_rows, with_text
from dougong.data.weights import check_class_weight, combine_weights

__all__ = ["as_source", "split_validation", "unpack_validation"]

_DEFAULT_BATCH_SIZE = 32
_ACCEPTED = (
    "a NumPy array, a torch tensor, a pandas DataFrame or Series, a list, tuple or dict of these, a PyDataset, a torch "
    "Dataset or DataLoader, or a generator of (x, y) batches"
)


def as_source(
    x: Any,
    y: Any = None,
    sample_weight: Any = None,
    *,
    batch_size: int | None = None,
    steps_per_epoch: int | None = None,
    shuffle: Shuffle = False,
    class_weight: Mapping[int, float] | None = None,
    seed: int = 0,
    device: torch.device | str | None = None,
    dtype: torch.dtype | None = torch.float32,
    text: bool = False,
) -> Source:
    """Anything that Keras's ``fit`` accepts as a source of batches of tensors.

    ``dtype`` is what floats become (None: stay).  ``text`` lets x hold strings, which stay NumPy arrays.
    Without ``batch_size``, arrays are cut into ``steps_per_epoch`` batches, else into batches of 32.  ``shuffle``
    concerns arrays, torch Datasets and PyDatasets (whole batches of the latter); what yields batches by itself also
    orders them by itself.
    Raises: DataError for data of an unknown type, unequal length or without numbers; ConfigError for other arguments.
    Keras: the types of ``fit``; besides, torch Datasets and any iterable of batches.

    >>> import numpy as np
    >>> source = as_source(np.arange(10.0).reshape(5, 2), np.array([0, 1, 0, 1, 0]), batch_size=4)
    >>> [(tuple(x.shape), y.tolist()) for x, y, _ in source.epoch(0)]
    [((4, 2), [0, 1, 0, 1]), ((1, 2), [0])]
    """
    if isinstance(x, Source):
        return x
    shuffle = check_shuffle(shuffle)
    batch_size, steps = check_count("batch_size", batch_size), check_count("steps_per_epoch", steps_per_epoch)
    weights = check_class_weight(class_weight)
    device = None if device is None else torch.device(device)
    if isinstance(x, TensorDataset):
        _refuse_targets("TensorDataset", y, sample_weight)
        x, y, sample_weight = unpack_batch(x.tensors)
    x = scalars_to_arrays(x)
    if _all_arrays(x):
        y, sample_weight = scalars_to_arrays(y), scalars_to_arrays(sample_weight)
        texts = text and any(is_text(leaf) for _, leaf in named_leaves(x))
        parts = [
            to_tensors(part, name, dtype, text=texts and name == "x")
            for part, name in zip((x, y, sample_weight), _NAMES)
        ]
        num_samples = check_lengths(*parts)
        parts[2] = combine_weights(parts[1], parts[2], weights, dtype)
        if batch_size is None:
            batch_size = math.ceil(num_samples / steps) if steps else _DEFAULT_BATCH_SIZE
        inputs = parts[0]
        parts[0] = text_as_rows(inputs) if texts else inputs
        source = ArraySource(
            *parts, num_samples=num_samples, batch_size=batch_size, steps_per_epoch=steps, shuffle=shuffle, seed=seed,
            device=device,
        )  # fmt: skip
        return source if not texts else with_text(source, inputs)
    kind = _kind(x)
    _refuse_targets(kind, y, sample_weight)
    make = BatchMaker(kind, weights, dtype, device, text=text)
    if isinstance(x, BatchedSamples) and x.batch_size is not None:
        return BatchedSource(x, make, steps_per_epoch=steps)
    if kind == "PyDataset":
        return PyDatasetSource(cast(PyDataset, x), make, steps_per_epoch=steps, shuffle=shuffle, seed=seed)
    if kind == "IterableDataset":
        x = DataLoader(x, batch_size=batch_size or _DEFAULT_BATCH_SIZE)
    elif kind == "Dataset":
        size = batch_size or _DEFAULT_BATCH_SIZE
        return TorchDatasetSource(x, make, batch_size=size, steps_per_epoch=steps, shuffle=shuffle, seed=seed)
    return IterableSource(x, make, steps_per_epoch=steps)


_NAMES = ("x", "y", "sample_weight")


def _all_arrays(x: Any) -> bool:
    found = [leaf for _, leaf in named_leaves(x)]
    return bool(found) and all(is_array(leaf) or hasattr(leaf, "tocsr") for leaf in found)


def _kind(x: Any) -> str:
    """What the source is called in messages.   Raises: DataError for a type that is none."""
    if isinstance(x, PyDataset):
        return "PyDataset"
    if isinstance(x, DataLoader):
        return "DataLoader"
    if isinstance(x, IterableDataset):
        return "IterableDataset"
    if isinstance(x, TorchDataset):
        return "Dataset"
    if isinstance(x, GeneratorType):
        return "generator"
    if x is None or isinstance(x, str | bytes | Mapping | list | tuple) or not isinstance(x, Iterable):
        wrong = next(
            (f"{name} is a {type(leaf).__name__}" for name, leaf in named_leaves(x, "x") if not is_array(leaf)), None
        )
        raise DataError(
            f"{wrong or f'x is an empty {type(x).__name__}' if x is not None else 'x is None'}; give {_ACCEPTED}."
        )
    return type(x).__name__


def _refuse_targets(kind: str, y: Any, sample_weight: Any) -> None:
    for name, value in (("y", y), ("sample_weight", sample_weight)):
        if value is not None:
            raise DataError(
                f"{name} must not be given beside a {kind}, which yields its own: let it yield (x, y, ...)."
            )


def unpack_validation(data: Any) -> Batch:
    """``validation_data``: a tuple (x, y) or (x, y, sample_weight), or a source, which comes back as x."""
    return unpack_batch(data) if isinstance(data, list | tuple) else (data, None, None)


def split_validation(x: Any, y: Any, sample_weight: Any, fraction: float) -> tuple[Batch, Batch]:
    """The first rows for training, the last ``fraction`` of them for validation, before any shuffling.

    Raises: DataError if x is no array or either part would be empty; ConfigError unless 0 < fraction < 1.
    Keras: ``validation_split``.

    >>> import numpy as np
    >>> (x, _, _), (held_out, _, _) = split_validation(np.arange(10), None, None, 0.3)
    >>> x, held_out
    (array([0, 1, 2, 3, 4, 5, 6]), array([7, 8, 9]))
    """
    if not 0.0 < fraction < 1.0:
        raise ConfigError(f"validation_split must lie between 0 and 1, got {fraction!r}.")
    parts = tuple(scalars_to_arrays(part) for part in (x, y, sample_weight))
    if not _all_arrays(parts[0]):
        raise DataError(f"validation_split needs arrays, got {type(x).__name__}; give validation_data instead.")
    num_samples = check_lengths(*parts)
    at = math.floor(num_samples * (1.0 - fraction))
    if at in (0, num_samples):
        raise DataError(
            f"validation_split={fraction} of {num_samples} samples leaves one part empty; give more samples."
        )
    first = map_named(lambda _name, leaf: _rows(leaf, 0, at), parts)
    last = map_named(lambda _name, leaf: _rows(leaf, at, num_samples), parts)
    return first, last


def _rows(array: Any, start: int, stop: int) -> Any:
    return array.iloc[start:stop] if hasattr(array, "iloc") else array[start:stop]
