"""Anything array-like becomes a torch tensor, sharing memory where that is possible.

Keras: as its array adapter, every float becomes ``floatx`` once, up front; integers and booleans keep their kind; a
pandas Series becomes a column ``[N, 1]``.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from numbers import Number
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dougong.core.errors import DataError
from dougong.core.nested import map_named
from dougong.core.text import as_text, is_text

__all__ = ["is_array", "scalars_to_arrays", "to_tensor", "to_tensors"]

# Unsigned integers that torch can hold but hardly compute with, and the next signed type that holds their values.
_SIGNED = {"uint16": np.int32, "uint32": np.int64, "uint64": np.int64}


def is_array(value: Any) -> bool:
    """Whether the value is one array: NumPy's, torch's, pandas's, or whatever offers ``__array__``."""
    return isinstance(value, np.ndarray | Tensor) or hasattr(value, "iloc") or hasattr(value, "__array__")


def scalars_to_arrays(structure: Any) -> Any:
    """Lists of numbers or strings, however nested, become arrays; lists of arrays stay lists.   Keras: as Keras 2.

    >>> scalars_to_arrays([[1.0, 2.0], [3.0, 4.0]]).shape
    (2, 2)
    """
    if isinstance(structure, list | tuple):
        if is_text(structure):
            return as_text(structure)
        converted = [scalars_to_arrays(item) for item in structure]
        if structure and _is_numbers(structure):
            try:
                return np.array(structure)
            except ValueError as error:
                raise DataError(f"a nested list of numbers has rows of different length: {error}") from error
        return tuple(converted) if type(structure) is tuple else converted if type(structure) is list else structure
    if isinstance(structure, Mapping):
        return {key: scalars_to_arrays(value) for key, value in structure.items()}
    return structure


def _is_numbers(structure: Any) -> bool:
    if isinstance(structure, list | tuple):
        return bool(structure) and all(_is_numbers(item) for item in structure)
    return isinstance(structure, Number)


def to_tensors(
    structure: Any, name: str, dtype: torch.dtype | None, device: torch.device | None = None, *, text: bool = False
) -> Any:
    """`to_tensor` on every leaf of a nested structure; where ``text`` may be, it becomes NumPy arrays of strings."""

    def converted(label: str, leaf: Any) -> Any:
        if text and is_text(leaf):
            found = as_text(leaf, label)
            return found[:, None] if hasattr(leaf, "iloc") and found.ndim == 1 else found
        return to_tensor(leaf, label, dtype, device)

    return map_named(converted, structure, name)


def to_tensor(
    value: Any, name: str, dtype: torch.dtype | None = torch.float32, device: torch.device | None = None
) -> Tensor:
    """One array as a tensor; floats become ``dtype`` (None: stay), the rest keeps its kind.

    The tensor shares the array's memory if neither dtype nor device changes.
    Raises: DataError for text, objects and sparse matrices, naming the array or its column, and what to do.

    >>> to_tensor(np.array([1.5, 2.0]), "x"), to_tensor(np.array([1, 2], dtype=np.uint16), "y").dtype
    (tensor([1.5000, 2.0000]), torch.int32)
    """
    if isinstance(value, Tensor):
        tensor = value.detach()
        if tensor.layout != torch.strided:
            raise DataError(f"{name} is a sparse tensor; give a dense one: {name}.to_dense().")
    else:
        tensor = _from_numpy(_to_numpy(value, name), name)
    if dtype is not None and tensor.is_floating_point() and tensor.dtype != dtype:
        return tensor.to(device=device, dtype=dtype)
    return tensor if device is None else tensor.to(device)


def _to_numpy(value: Any, name: str) -> np.ndarray:
    if hasattr(value, "iloc"):
        return _from_pandas(value, name)
    if hasattr(value, "tocsr"):
        raise DataError(f"{name} is a sparse matrix ({type(value).__name__}); give a dense one: {name}.toarray().")
    if isinstance(value, Number):
        return np.asarray(value)
    if not is_array(value):
        raise DataError(
            f"{name} is a {type(value).__name__}; give a NumPy array, a torch tensor, a pandas DataFrame or Series, "
            "a list of numbers, or a list, tuple or dict of such arrays."
        )
    return value if isinstance(value, np.ndarray) else np.asarray(value)


def _from_pandas(value: Any, name: str) -> np.ndarray:
    frame = value.to_frame() if value.ndim == 1 else value
    kinds = {column: getattr(kind, "kind", "O") for column, kind in zip(frame.columns, frame.dtypes)}
    texts = [str(column) for column, kind in kinds.items() if kind not in "biuf"]
    if texts:
        listed = ", ".join(map(repr, texts[:8])) + (" …" if len(texts) > 8 else "")
        raise DataError(
            f"{name} has columns that are not numbers: {listed}. Encode them (pandas.get_dummies, or .cat.codes for "
            f"labels) or leave them out ({name}.drop(columns=[...]))."
        )
    # Nullable columns, and mixtures of bool with numbers, would become objects.
    plain = all(isinstance(kind, np.dtype) for kind in frame.dtypes) and len({k == "b" for k in kinds.values()}) == 1
    if plain:
        return frame.to_numpy()
    return frame.to_numpy(dtype=np.float32, na_value=np.nan)


def _from_numpy(array: np.ndarray, name: str) -> Tensor:
    if array.dtype.kind not in "biufc":
        raise DataError(_not_numbers(array, name))
    if array.dtype.name in _SIGNED:
        if array.dtype == np.uint64 and array.size and array.max() > np.iinfo(np.int64).max:
            raise DataError(f"{name} holds uint64 values above {np.iinfo(np.int64).max}, which torch cannot hold.")
        array = array.astype(_SIGNED[array.dtype.name])
    if array.dtype == np.longdouble and array.dtype.itemsize > 8:
        array = array.astype(np.float64)
    if not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    if any(stride < 0 for stride in array.strides):
        array = np.ascontiguousarray(array)
    if not array.flags.writeable:
        if not isinstance(array, np.memmap):
            array = array.copy()
        # A file mapped read-only is shared all the same: it may be larger than memory, and batches are not written to.
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
            return torch.from_numpy(array)
    return torch.from_numpy(array)


def _not_numbers(array: np.ndarray, name: str) -> str:
    if array.dtype.kind in "UST" or (is_text(array) and all(isinstance(item, str | bytes) for item in array.flat)):
        return (
            f"{name} holds text (for example {str(array.flat[0])!r}); begin the model with a TextVectorization or a "
            f"StringLookup layer, or number classes: classes, {name} = np.unique({name}, return_inverse=True)."
            if array.size
            else f"{name} holds text; numbers are needed."
        )
    if array.dtype.kind == "O":
        kinds = sorted({type(item).__name__ for item in array.flat[:1000]})
        ragged = any(hasattr(item, "__len__") and not isinstance(item, str) for item in array.flat[:1000])
        advice = (
            "Its rows differ in shape: pad them to one, or give a list with one array per input."
            if ragged
            else f"Make it numeric: {name}.astype('float32')."
        )
        return f"{name} is an array of Python objects ({', '.join(kinds)}), not of numbers. {advice}"
    return f"{name} holds {array.dtype} values; convert them to numbers first."
