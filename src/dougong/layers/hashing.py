"""Categories, words or whole numbers, into a fixed number of bins by a hash.   Ref: Keras 3 semantics."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Unpack

import numpy as np
import torch
from torch import Tensor

from dougong.core.dtypes import default_policy
from dougong.core.errors import ConfigError
from dougong.core.symbol import Shape
from dougong.core.text import as_text, is_text, utf8
from dougong.layers.adapting import numbers
from dougong.layers.category_encoding import check_output_mode, encoded, encoded_shape
from dougong.layers.fingerprints import buckets
from dougong.layers.host import HostLayer, on_device
from dougong.layers.layer import LayerOptions

__all__ = ["Hashing", "as_salt"]


class Hashing(HostLayer):
    """The bin of each word or whole number: its 64-bit hash modulo ``num_bins``, the same on every machine.

    FarmHash64, or SipHash under a secret ``salt`` (one number or two).  Numbers are hashed as decimal text, fractions
    cut off.  ``mask_value`` goes to bin 0, which nothing else does then.
    Shapes: any; output modes as in `encoded`.   Output: int64, or the layer's dtype where encoded.
    Raises: ConfigError for arguments that cannot be, DataError for values that are neither words nor numbers.
    Keras: equals ``keras.layers.Hashing``, bin for bin, without TensorFlow.

    >>> Hashing(3)([["A"], ["B"], ["C"]])
    tensor([[1],
            [0],
            [1]])
    >>> Hashing(3, mask_value="", salt=[133, 137])(["A", "", "B"])
    tensor([1, 0, 1])
    """

    def __init__(
        self,
        num_bins: int,
        mask_value: Any = None,
        salt: int | Sequence[int] | None = None,
        output_mode: str = "int",
        sparse: bool = False,
        **options: Unpack[LayerOptions],
    ) -> None:
        modes = ("int", "one_hot", "multi_hot", "count")
        self_mode = check_output_mode(type(self).__name__, output_mode, modes, sparse=sparse)
        if options.get("dtype") is None:
            options["dtype"] = "int64" if self_mode == "int" else default_policy().name
        super().__init__(**options)
        if num_bins is None or num_bins < 1:
            raise ConfigError(f"{self._label} needs num_bins, a whole number of at least 1, got {num_bins}")
        if self_mode == "int" and self.dtype_policy.name not in ("int32", "int64"):
            raise ConfigError(f"{self._label} gives whole numbers: dtype must be 'int64' or 'int32', not {self.dtype}")
        self.num_bins, self.mask_value, self.output_mode, self.sparse = num_bins, mask_value, self_mode, sparse
        self.salt = as_salt(self._label, salt)

    @property
    def output_dtype(self) -> torch.dtype:
        return self.dtype_policy.weights

    def call(self, inputs: Any) -> Tensor:
        if is_text(inputs):
            values: Any = as_text(inputs, self._label)
            texts = utf8(values, name=self._label)
            masked = np.array([text == _as_bytes(self.mask_value) for text in texts], bool)
        else:
            values = numbers(inputs, self._label)
            masked = np.equal(values, self.mask_value).reshape(-1) if _is_number(self.mask_value) else None
            texts = _decimal(values)
        if self.mask_value is None or self.num_bins == 1:
            bins = buckets(texts, self.num_bins, self.salt)
        else:
            bins = buckets(texts, self.num_bins - 1, self.salt) + 1
            bins = bins if masked is None else np.where(masked, 0, bins)
        found = on_device(bins.reshape(values.shape))
        if self.output_mode == "int":
            return found.to(self.output_dtype)
        return encoded(found, self.output_mode, self.num_bins, self.output_dtype)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        if self.output_mode == "int":
            return tuple(input_shape)
        return encoded_shape(tuple(input_shape), self.output_mode, self.num_bins)


def as_salt(owner: str, salt: Any) -> list[int] | None:
    """The two numbers of a key, from two or one.   Raises: ConfigError.

    >>> as_salt("Hashing", 133)
    [133, 133]
    """
    if salt is None:
        return None
    if isinstance(salt, int):
        return [salt, salt]
    if isinstance(salt, list | tuple) and len(salt) == 2:
        return list(salt)
    raise ConfigError(f"{owner}: salt must be a whole number or two of them, got {salt!r}")


def _as_bytes(value: Any) -> Any:
    return value.encode() if isinstance(value, str) else value


def _is_number(value: Any) -> bool:
    return isinstance(value, bool | int | float | np.generic)


def _decimal(values: np.ndarray) -> list[bytes]:
    """Numbers as TensorFlow writes them, fractions cut off."""
    if values.dtype.kind == "b":
        return [b"true" if value else b"false" for value in values.ravel().tolist()]
    if values.dtype.kind == "f":
        with np.errstate(invalid="ignore"):
            values = values.astype(np.int64)
    return values.ravel().astype("S").tolist()
