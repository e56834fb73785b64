"""``keras.backend``: what Keras 3 still has of it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch.utils.checkpoint import checkpoint

from dougong.core import device as devices
from dougong.core.dtypes import dtype_name, torch_dtype
from dougong.core.names import reset_names, unique_name
from dougong.core.symbol import Symbol
from dougong.keras.config import (
    backend,
    epsilon,
    floatx,
    image_data_format,
    set_epsilon,
    set_floatx,
    set_image_data_format,
)

__all__ = [
    "backend",
    "clear_session",
    "device",
    "epsilon",
    "floatx",
    "get_uid",
    "image_data_format",
    "is_float_dtype",
    "is_int_dtype",
    "is_keras_tensor",
    "remat",
    "result_type",
    "set_epsilon",
    "set_floatx",
    "set_image_data_format",
    "standardize_dtype",
    "version",
]

_PYTHON = {bool: "bool", int: "int32", float: "float32", complex: "complex64", "int": "int32", "float": "float32"}

_NARROW = {"float64": "float32", "int64": "int32", "uint64": "uint32", "complex128": "complex64"}


def clear_session(free_memory: bool = True) -> None:  # noqa: ARG001  Python frees what nobody holds
    """Let names begin afresh: the next Dense is ``dense`` again."""
    reset_names()


def get_uid(prefix: str = "") -> int:
    """How many names of this prefix were asked for, this one counted.

    >>> get_uid("made up"), get_uid("made up")
    (1, 2)
    """
    name = unique_name(prefix)
    return 1 if name == prefix else int(name.rpartition("_")[2]) + 1


def standardize_dtype(dtype: Any) -> str:
    """Keras's name of a dtype of Python, NumPy or torch.   Raises: UnknownNameError.

    >>> standardize_dtype(torch.int64), standardize_dtype(float), standardize_dtype(None)
    ('int64', 'float32', 'float32')
    """
    if dtype is None or dtype is float or dtype == "float":
        return floatx()
    if dtype in _PYTHON:
        return _PYTHON[dtype]
    if str(dtype) == "string" or dtype is str:
        return "string"
    return dtype_name(torch_dtype(getattr(dtype, "name", None) or getattr(dtype, "__name__", None) or dtype))


def is_float_dtype(dtype: Any) -> bool:
    """Whether a dtype is one of floating-point numbers."""
    return torch_dtype(standardize_dtype(dtype)).is_floating_point


def is_int_dtype(dtype: Any) -> bool:
    """Whether a dtype is one of whole numbers, signed or not."""
    return standardize_dtype(dtype).startswith(("int", "uint"))


def result_type(*dtypes: Any) -> str:
    """The dtype to which Keras raises all of these: 64 bits become 32, Python's int and float follow the others.

    Dougong's own operations keep 64 bits where they are given some.   Keras: equals ``keras.backend.result_type``.

    >>> result_type("int32", "float16"), result_type("uint8", "int8"), result_type("bfloat16", float)
    ('float16', 'int16', 'bfloat16')
    """
    weak = [dtype for dtype in dtypes if dtype is int or dtype is float]
    firm = [torch_dtype(standardize_dtype(dtype)) for dtype in dtypes if dtype is not int and dtype is not float]
    if not firm:
        return floatx() if float in weak or not weak else "int32"
    kind = firm[0]
    for other in firm[1:]:
        kind = torch.promote_types(kind, other)
    if float in weak and not (kind.is_floating_point or kind.is_complex):
        return floatx()
    if weak and kind is torch.bool:
        return "int32"
    return _NARROW.get(dtype_name(kind), dtype_name(kind))


def is_keras_tensor(x: Any) -> bool:
    """Whether this is a symbol.   Raises: ValueError for what is neither a symbol nor a tensor, as in Keras."""
    if not isinstance(x, Symbol | torch.Tensor):
        raise ValueError(  # noqa: TRY004
            f"is_keras_tensor takes a symbol or a tensor, got {type(x).__name__}"
        )
    return isinstance(x, Symbol)


def device(device_name: str) -> AbstractContextManager[Any]:
    """Within ``with keras.device("cpu"):`` torch makes tensors on this device; ``gpu:1`` is ``cuda:1``."""
    return devices.within(device_name.lower().replace("gpu", "cuda"))


def remat(f: Callable[..., Any]) -> Callable[..., Any]:
    """``f`` computed again in the backward pass, so that what it needs there is not kept: less memory, more time."""

    def again(*args: Any, **kwargs: Any) -> Any:
        return checkpoint(f, *args, use_reentrant=False, **kwargs)

    return again


def version() -> str:
    """The version of Keras whose names and numbers these are."""
    return "3.15.1"
