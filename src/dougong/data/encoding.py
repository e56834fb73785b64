"""Labels and rows in the forms that networks want."""

from __future__ import annotations

from typing import Any

import numpy as np

from dougong.core.errors import DataError

__all__ = ["normalize", "to_categorical"]


def to_categorical(x: Any, num_classes: int | None = None) -> np.ndarray:
    """Class numbers as rows with a single 1.   Keras: equals ``keras.utils.to_categorical``.

    Shapes: ``[...] -> [..., C]``; a last axis of one is dropped first.
    Raises: DataError for a label outside ``0 … num_classes - 1``.

    >>> to_categorical([0, 2, 1]).tolist()
    [[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, 1.0, 0.0]]
    """
    labels = np.asarray(x).astype("int64")
    if labels.ndim > 1 and labels.shape[-1] == 1:
        labels = labels[..., 0]
    count = int(labels.max(initial=-1)) + 1 if num_classes is None else num_classes
    outside = (labels < 0) | (labels >= count)
    if outside.any():
        index = tuple(int(i) for i in np.argwhere(outside)[0])
        raise DataError(
            f"label {labels[index]} at {index} is outside 0 … {count - 1}; set num_classes or mend the labels"
        )
    return np.eye(count, dtype="float32")[labels]


def normalize(x: Any, axis: int = -1, order: int = 2) -> np.ndarray:
    """Vectors along ``axis`` divided by their norm; zero vectors stay.   Keras: equals ``keras.utils.normalize``.

    >>> normalize([[3.0, 4.0]]).tolist()
    [[0.6, 0.8]]
    """
    array = np.asarray(x)
    norms = np.atleast_1d(np.linalg.norm(array, order, axis))
    norms[norms == 0] = 1
    return array / np.expand_dims(norms, axis)
