"""Text in a world of tensors: torch has no strings, so a batch of text is a NumPy array of them.

A symbol of text has the dtype `STRING`.  Inside the layers that take text it is UTF-8 bytes, as in TensorFlow, whose
numbers (case, white space, order, hashes) are all defined on bytes.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from torch import Tensor

from dougong.core.errors import DataError

__all__ = ["STRING", "StringType", "as_text", "is_text", "utf8"]

_LOOKED_AT = 100  # items of an object array that tell whether it holds text


class StringType:
    """What stands in ``Symbol.dtype`` where torch has no dtype; it answers what a dtype is asked."""

    is_floating_point = False
    is_complex = False

    def __repr__(self) -> str:
        return "string"

    def __reduce__(self) -> str:
        return "STRING"  # copies and pickles are the one object


STRING: Final = StringType()


def is_text(value: Any) -> bool:
    """Whether the value is text: a string, an array or pandas column of strings, or lists of strings.

    >>> is_text("a"), is_text([["a"], ["b"]]), is_text(np.array(["a"])), is_text([1]), is_text([])
    (True, True, True, False, False)
    """
    if isinstance(value, str | bytes):
        return True
    if isinstance(value, Tensor):
        return False
    if isinstance(value, list | tuple):
        return bool(value) and all(map(is_text, value))
    if hasattr(value, "iloc"):
        if value.ndim == 2:
            return len(value.columns) > 0 and all(is_text(value[column]) for column in value.columns)
        value = _from_pandas(value[:_LOOKED_AT])
    if not isinstance(value, np.ndarray):
        return False
    if value.dtype.kind != "O":
        return value.dtype.kind in "UST"
    return any(isinstance(item, str | bytes) for item in value.flat[:_LOOKED_AT])


def as_text(value: Any, name: str = "the input") -> np.ndarray:
    """An array of strings, of the value's shape.   Raises: DataError for what is no text, naming the first such item.

    >>> as_text(["one", "two"]), as_text("one").shape
    (array(['one', 'two'], dtype=object), ())
    """
    if isinstance(value, Tensor):
        raise DataError(f"{name} takes text but received a tensor of {str(value.dtype)[6:]} numbers; give strings")
    if hasattr(value, "iloc"):
        value = _from_pandas(value)
    try:
        array = value if isinstance(value, np.ndarray) else np.array(value, dtype=object)
    except ValueError:
        array = None
    if array is None or any(isinstance(item, list | tuple | np.ndarray) for item in array.flat[:_LOOKED_AT]):
        raise DataError(f"{name} takes an array of strings but received rows of different length; pad them with ''")
    if array.dtype.kind in "US" or array.size == 0:
        return array
    if array.dtype.kind == "T":
        return array.astype(object)
    if array.dtype.kind != "O":
        raise DataError(f"{name} takes text but received {array.dtype} numbers; give strings: x.astype(str)")
    flat = array.ravel().tolist()
    if all(issubclass(kind, str | bytes) for kind in set(map(type, flat))):
        return array
    row, item = next((row, item) for row, item in enumerate(flat) if not isinstance(item, str | bytes))
    place = tuple(int(i) for i in np.unravel_index(row, array.shape)) if array.ndim != 1 else row
    raise DataError(
        f"{name} takes text but item {place} is {item!r}; fill what is missing with '' and write numbers as text"
    )


def utf8(array: np.ndarray, encoding: str = "utf-8", name: str = "the input") -> list[bytes]:
    """The items of `as_text`'s array in order, as UTF-8; ``encoding`` is that of items which are bytes already.

    Raises: DataError for bytes that are not in the encoding.

    >>> utf8(np.array(["é", "a"]))
    [b'\\xc3\\xa9', b'a']
    """
    flat = array.ravel().tolist()
    try:
        if not any(issubclass(kind, bytes) for kind in set(map(type, flat))):
            return list(map(str.encode, flat))
        return [(item.decode(encoding) if isinstance(item, bytes) else item).encode() for item in flat]
    except UnicodeError as error:
        raise DataError(f"{name} holds text that is not in {encoding}: {error}; say its encoding=") from error


def _from_pandas(value: Any) -> np.ndarray:
    return value.to_numpy(dtype=object)
