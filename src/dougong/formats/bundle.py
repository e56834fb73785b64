"""`Bundle`, the waist between file formats and models: a Keras-style config and named NumPy arrays."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

__all__ = ["Bundle", "digest"]


@dataclass(frozen=True)
class Bundle:
    """``config`` is a serialized model; ``weights`` maps Keras's variable paths to arrays in Keras's layout.

    ``optimizer`` maps the optimizer's state names to arrays; ``metadata`` says who wrote it and when; ``assets`` are
    the files that layers keep, by path (``layers/string_lookup/vocabulary.txt``); ``names`` are the layers' names, by
    the folder of their arrays, where the file says them.
    """

    config: Mapping[str, Any]
    weights: Mapping[str, np.ndarray]
    optimizer: Mapping[str, np.ndarray] = field(default_factory=dict)
    metadata: Mapping[str, Any] = field(default_factory=dict)
    assets: Mapping[str, bytes] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)


def digest(array: np.ndarray) -> str:
    """The SHA-256 of an array's dtype, shape and bytes.

    >>> digest(np.zeros(2)) == digest(np.zeros(2)), digest(np.zeros(2)) == digest(np.zeros((2, 1)))
    (True, False)
    """
    whole = hashlib.sha256(f"{array.dtype.str}{array.shape}".encode())
    whole.update(np.ascontiguousarray(array).tobytes())
    return whole.hexdigest()
