"""Sequences of different length as one array."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from dougong.core.errors import ConfigError, DataError, UnknownNameError

__all__ = ["pad_sequences"]

_SIDES = ("pre", "post")


def pad_sequences(
    sequences: Sequence[Any],
    maxlen: int | None = None,
    dtype: Any = "int32",
    padding: str = "pre",
    truncating: str = "pre",
    value: Any = 0.0,
) -> np.ndarray:
    """Sequences cut to ``maxlen``, by default the longest one's length, and filled with ``value``; ``pre`` is in front.

    Shapes: N sequences ``[T_n, …] -> [N, maxlen, …]``.   For text use ``dtype=object``.
    Raises: DataError for what is no sequence, or items of different shape; ConfigError, UnknownNameError.
    Keras: equals ``keras.utils.pad_sequences``.

    >>> pad_sequences([[1], [2, 3], [4, 5, 6]], maxlen=2).tolist()
    [[0, 1], [2, 3], [5, 6]]
    """
    for argument in (padding, truncating):
        if argument not in _SIDES:
            raise UnknownNameError("padding or truncating", argument, _SIDES)
    if not hasattr(sequences, "__len__"):
        raise DataError(f"pad_sequences takes a list of sequences, got a {type(sequences).__name__}; make a list of it")
    for index, sequence in enumerate(sequences):
        if not hasattr(sequence, "__len__"):
            raise DataError(f"sequence {index} is {sequence!r}, which is no sequence; give a list of lists")
    if isinstance(value, str) and dtype is not object and not np.issubdtype(dtype, np.character):
        raise ConfigError(f"the value {value!r} does not fit dtype {dtype!r}; for text use dtype=object")
    length = max(map(len, sequences), default=0) if maxlen is None else maxlen
    item = next((np.asarray(sequence).shape[1:] for sequence in sequences if len(sequence)), ())
    padded = np.full((len(sequences), length, *item), value, dtype=dtype)
    for index, sequence in enumerate(sequences):
        if not len(sequence):
            continue
        # Keras's slice: with maxlen=0 the whole of it is "the last 0".
        kept = np.asarray(sequence[-length:] if truncating == "pre" else sequence[:length], dtype=dtype)
        if kept.shape[1:] != item:
            raise DataError(f"items of sequence {index} have shape {kept.shape[1:]}, those before {item}")
        if not length:
            continue
        if padding == "pre":
            padded[index, length - len(kept) :] = kept
        else:
            padded[index, : len(kept)] = kept
    return padded
