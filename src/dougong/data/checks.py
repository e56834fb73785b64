"""Checks of data before it is trained on: finite, labels in range, equal lengths.  Each names the row and column.

Rows and columns are counted from 0, as Python indexes them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from dougong.core.errors import DataError
from dougong.core.nested import named_leaves

__all__ = ["check_finite", "check_labels", "check_lengths"]


def check_finite(array: Any, name: str = "x", *, columns: Sequence[str] | None = None) -> None:
    """Refuse NaN and infinity in an array, tensor or DataFrame; integers pass unread.

    One pass: a finite sum proves that every element is finite.  Only when it is not are the elements looked at.
    Raises: DataError naming the first bad element, its row and its column (by name for a DataFrame, or by ``columns``).

    >>> check_finite(np.array([[1.0, 2.0], [3.0, np.nan]]), "x", columns=["age", "height"])
    Traceback (most recent call last):
    dougong.core.errors.DataError: x[1, 1] is nan (row 1, column 'height'): 1 of 4 values in 1 of 2 rows \
is not finite. Fill it in or leave the row out.
    """
    if hasattr(array, "iloc"):
        columns = [str(column) for column in (array.columns if array.ndim == 2 else [array.name])]
        array = array.to_numpy()
        if array.dtype == object:
            return
    if isinstance(array, torch.Tensor):
        array = array.detach().cpu().float() if array.dtype == torch.bfloat16 else array.detach().cpu()
        array = array.numpy()
    if not np.issubdtype(array.dtype, np.inexact):
        return
    with np.errstate(over="ignore", invalid="ignore"):
        total = array.sum(dtype=np.float32) if array.dtype == np.float16 else array.sum()
    if np.isfinite(total):
        return
    bad = ~np.isfinite(array)
    if bad.any():
        raise DataError(_not_finite(array, bad, name, columns))


def _not_finite(array: np.ndarray, bad: np.ndarray, name: str, columns: Sequence[str] | None) -> str:
    if array.ndim == 0:
        return f"{name} is {array}: a finite number is needed."
    first = tuple(int(index) for index in np.unravel_index(int(bad.argmax()), bad.shape))
    place = f"row {first[0]}"
    if columns is not None and len(first) <= 2:
        place += f", column {columns[first[-1] if len(first) == 2 else 0]!r}"
    elif len(first) == 2:
        place += f", column {first[1]}"
    count, rows = int(bad.sum()), int(bad.reshape(len(bad), -1).any(axis=1).sum())
    verb, what = ("is", "it in or leave the row out") if count == 1 else ("are", "them in or leave the rows out")
    return (
        f"{name}[{', '.join(map(str, first))}] is {array[first]} ({place}): {count} of {array.size} values in "
        f"{rows} of {len(array)} rows {verb} not finite. Fill {what}."
    )


def check_labels(labels: Any, num_classes: int, name: str = "y") -> None:
    """Refuse class numbers outside ``0 .. num_classes - 1`` and such as are no whole numbers.

    Shapes: ``[N]`` or ``[N, 1]`` (any shape is accepted).   Raises: DataError naming the value and its row.

    >>> check_labels(np.array([0, 2, 3]), 3)
    Traceback (most recent call last):
    dougong.core.errors.DataError: y[2] is 3, but with 3 classes labels run from 0 to 2: 1 of 3 labels is out \
of range. Give the last layer 4 units, or number the classes from 0.
    """
    array = labels.detach().cpu().numpy() if isinstance(labels, torch.Tensor) else np.asarray(labels)
    if array.dtype.kind not in "biuf":
        raise DataError(
            f"{name} holds {array.dtype} values; class labels are whole numbers from 0 to {num_classes - 1}."
        )
    if array.size == 0 or array.dtype.kind == "b":
        return
    if array.dtype.kind == "f":
        check_finite(array, name)
        fractional = array != np.floor(array)
        if fractional.any():
            index = np.unravel_index(int(fractional.argmax()), array.shape)
            raise DataError(
                f"{_at(name, index)} is {array[index]}, which is no class number; labels are whole numbers from 0 to "
                f"{num_classes - 1}. For values to be predicted as numbers use a regression loss such as 'mse'."
            )
    if array.min() >= 0 and array.max() < num_classes:
        return
    bad = (array < 0) | (array >= num_classes)
    index, count = np.unravel_index(int(bad.argmax()), array.shape), int(bad.sum())
    units = f"Give the last layer {int(array.max()) + 1} units, or number" if array.min() >= 0 else "Number"
    raise DataError(
        f"{_at(name, index)} is {array[index]:g}, but with {num_classes} classes labels run from 0 to "
        f"{num_classes - 1}: {count} of {array.size} labels {'is' if count == 1 else 'are'} out of range. "
        f"{units} the classes from 0."
    )


def _at(name: str, index: tuple[Any, ...]) -> str:
    return f"{name}[{', '.join(str(int(i)) for i in index)}]"


def check_lengths(x: Any, y: Any = None, sample_weight: Any = None) -> int:
    """The common number of rows of all arrays in the three structures.

    Raises: DataError naming the arrays and their lengths if they differ, or if there are no rows at all.

    >>> check_lengths(np.zeros((4, 2)), np.zeros(3))
    Traceback (most recent call last):
    dougong.core.errors.DataError: x has 4 rows, y has 3 rows: inputs, targets and weights need one row per sample.
    """
    lengths: dict[str, int] = {}
    for structure, name in ((x, "x"), (y, "y"), (sample_weight, "sample_weight")):
        for label, leaf in named_leaves(structure, name):
            if len(leaf.shape) == 0:
                raise DataError(f"{label} is a single number; an array with one row per sample is needed.")
            lengths[label] = int(leaf.shape[0])
    if not lengths:
        raise DataError("there is no data: x is None or an empty list.")
    if len(set(lengths.values())) > 1:
        listed = ", ".join(f"{label} has {length} rows" for label, length in lengths.items())
        raise DataError(f"{listed}: inputs, targets and weights need one row per sample.")
    label, length = next(iter(lengths.items()))
    if length == 0:
        raise DataError(f"{label} has no rows; at least one sample is needed.")
    return length
