"""Inputs, targets and weights as one tuple."""

from __future__ import annotations

from typing import Any

from dougong.data.source import unpack_batch

__all__ = ["pack_x_y_sample_weight", "unpack_x_y_sample_weight"]


def unpack_x_y_sample_weight(data: Any) -> tuple[Any, Any, Any]:
    """``x``, ``(x,)``, ``(x, y)`` or ``(x, y, sample_weight)`` as three, None where absent.

    Raises: DataError for a longer tuple.   Keras: equals ``keras.utils.unpack_x_y_sample_weight``.

    >>> unpack_x_y_sample_weight((1, 2))
    (1, 2, None)
    """
    return unpack_batch(data)


def pack_x_y_sample_weight(x: Any, y: Any = None, sample_weight: Any = None) -> Any:
    """``(x, y, sample_weight)`` without what is absent; a single array stays as it is.

    Keras: equals ``keras.utils.pack_x_y_sample_weight``.

    >>> pack_x_y_sample_weight(1), pack_x_y_sample_weight([1, 2]), pack_x_y_sample_weight(1, 2)
    (1, ([1, 2],), (1, 2))
    """
    if y is None:
        return (x,) if isinstance(x, list | tuple) else x
    return (x, y) if sample_weight is None else (x, y, sample_weight)
