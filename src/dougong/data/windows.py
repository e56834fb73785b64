"""Windows that slide over a series.   Letters: T steps of the series, N windows, L steps of a window."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from dougong.core.errors import ConfigError
from dougong.data.arrays import scalars_to_arrays, to_tensor
from dougong.data.batched_samples import BatchedSamples
from dougong.data.picture_folders import check_format

__all__ = ["timeseries_dataset_from_array"]


def timeseries_dataset_from_array(
    data: Any,
    targets: Any,
    sequence_length: int,
    sequence_stride: int = 1,
    sampling_rate: int = 1,
    batch_size: int | None = 128,
    shuffle: bool = False,
    seed: int | None = None,
    start_index: int | None = None,
    end_index: int | None = None,
    format: str = "tf",
) -> BatchedSamples:
    """Windows of ``sequence_length`` steps over ``data``, with the target that stands at each window's first step.

    Window ``i`` begins at step ``i * sequence_stride`` and takes every ``sampling_rate``-th step; only ``data`` from
    ``start_index`` up to ``end_index``, exclusive, is used.  Without ``targets`` batches hold windows alone.
    Shapes: ``[T, …] -> [N, L, …]``, ``[T', …] -> [N, …]``.
    Raises: ConfigError for numbers that do not fit the data, and if no window does.
    Keras: equals ``keras.utils.timeseries_dataset_from_array``, the order of each shuffled pass apart.

    >>> dataset = timeseries_dataset_from_array(np.arange(10), np.arange(3, 10), sequence_length=3, sequence_stride=2)
    >>> [(x.tolist(), y.tolist()) for x, y in dataset]
    [([[0, 1, 2], [2, 3, 4], [4, 5, 6], [6, 7, 8]], [3, 5, 7, 9])]
    """
    series = to_tensor(scalars_to_arrays(data), "data", None)
    answers = None if targets is None else to_tensor(scalars_to_arrays(targets), "targets", None)
    length = len(series)
    check_format(format)
    _check(length, sequence_stride, sampling_rate, start_index, end_index)
    start, end = start_index or 0, end_index or length
    count = end - start - (sequence_length - 1) * sampling_rate
    if answers is not None:
        answers = answers[start:]
        count = min(count, len(answers))
    if sequence_length < 1 or count < 1:
        needed = (sequence_length - 1) * sampling_rate + 1
        raise ConfigError(
            f"no window fits: sequence_length={sequence_length} at sampling_rate={sampling_rate} takes {needed} steps, "
            f"and there are {end - start}" + ("" if answers is None else f" and {len(answers)} targets")
        )
    starts = np.arange(0, count, sequence_stride)
    if shuffle:
        seed = int(np.random.randint(10**6)) if seed is None else seed
        np.random.RandomState(seed).shuffle(starts)
    places, steps = torch.from_numpy(starts), torch.arange(sequence_length) * sampling_rate
    series = series[start:end]

    def read(rows: list[int]) -> Any:
        begins = places[rows]
        windows = series[begins[:, None] + steps]
        return windows if answers is None else (windows, answers[begins])

    return BatchedSamples(read, len(starts), batch_size=batch_size, shuffle=shuffle, seed=seed or 0)


def _check(length: int, stride: int, rate: int, start: int | None, end: int | None) -> None:
    """Refuse numbers outside of the data.   Raises: ConfigError."""
    limits: dict[str, tuple[int, int]] = {"sampling_rate": (rate, 1), "sequence_stride": (stride, 1)}
    if start:
        limits["start_index"] = start, 0
    if end:  # 0, as in Keras, is none
        limits["end_index"] = end, (start or 0) + 1
    for name, (value, least) in limits.items():
        if not least <= value < length:
            raise ConfigError(f"{name} must be from {least} to {length - 1} for data of {length} steps, got {value}")
