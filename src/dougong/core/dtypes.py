"""Dtype policies: which dtype weights have, and which one the arithmetic uses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import torch

from dougong.core import device
from dougong.core.errors import DeviceError, UnknownNameError

__all__ = ["Policy", "arithmetic_dtype", "default_policy", "dtype_name", "policy", "set_default_policy", "torch_dtype"]

_DTYPES = {
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
    "float32": torch.float32,
    "float64": torch.float64,
    "int8": torch.int8,
    "int16": torch.int16,
    "int32": torch.int32,
    "int64": torch.int64,
    "uint8": torch.uint8,
    "uint16": torch.uint16,
    "uint32": torch.uint32,
    "uint64": torch.uint64,
    "float8_e4m3fn": torch.float8_e4m3fn,
    "float8_e5m2": torch.float8_e5m2,
    "complex128": torch.complex128,
    "bool": torch.bool,
    "complex64": torch.complex64,
}
_PYTHON_TYPES = {int: "int32", float: "float32", complex: "complex64"}


def torch_dtype(name: Any) -> torch.dtype:
    """The torch dtype that a name, a Python type or a NumPy dtype means; None means the default policy's.

    >>> torch_dtype("int32"), torch_dtype(int), torch_dtype(bool)
    (torch.int32, torch.int32, torch.bool)
    """
    if name is None:
        return default_policy().weights
    if isinstance(name, torch.dtype):
        return name
    if isinstance(name, type):
        name = _PYTHON_TYPES.get(name, name.__name__)
    found = _DTYPES.get(str(name).removeprefix("torch."))
    if found is None:
        raise UnknownNameError("dtype", name, _DTYPES)
    return found


def arithmetic_dtype(identifier: Any) -> torch.dtype:
    """The dtype of the arithmetic that a dtype, a policy, its config or a name means; None as in `torch_dtype`.

    >>> arithmetic_dtype("mixed_float16"), arithmetic_dtype("float64")
    (torch.float16, torch.float64)
    """
    if isinstance(identifier, Mapping):
        identifier = identifier.get("config", {}).get("name")
    if isinstance(identifier, str) and identifier in _MIXED:
        return _MIXED[identifier]
    return identifier.arithmetic if isinstance(identifier, Policy) else torch_dtype(identifier)


class Policy:
    """Which dtype weights have and which one the arithmetic uses, by Keras's name: ``float32``, ``mixed_bfloat16`` …

    ``weights`` and ``arithmetic`` are torch's dtypes.  Mixed precision (float32 weights, bfloat16 or float16
    arithmetic) is torch's autocast around the training step, so layers need no casts of their own.
    Keras: equals ``keras.DTypePolicy``.   Raises: UnknownNameError for an unknown name.

    >>> Policy("float64").weights, Policy("float64").variable_dtype
    (torch.float64, 'float64')
    """

    quantization_mode = None

    def __init__(self, name: str | None = None) -> None:
        name = _default.name if name is None else str(name).removeprefix("torch.")
        if name not in _DTYPES and name not in _MIXED:
            raise UnknownNameError("dtype policy", name, [*_DTYPES, *_MIXED])
        self.name = name
        self.weights: torch.dtype = _DTYPES.get(name, torch.float32)
        self.arithmetic: torch.dtype = _MIXED.get(name, self.weights)

    @property
    def mixed(self) -> bool:
        return self.weights is not self.arithmetic

    @property
    def variable_dtype(self) -> str:
        """The name of the weights' dtype."""
        return dtype_name(self.weights)

    @property
    def compute_dtype(self) -> str:
        """The name of the arithmetic's dtype."""
        return dtype_name(self.arithmetic)

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        return cls(config.get("name"))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Policy) and other.name == self.name

    def __hash__(self) -> int:
        return hash(self.name)

    def __repr__(self) -> str:
        return f'<DTypePolicy "{self.name}">'


_MIXED = {"mixed_bfloat16": torch.bfloat16, "mixed_float16": torch.float16}
_default = Policy("float32")


def dtype_name(dtype: torch.dtype) -> str:
    """Keras's name of a torch dtype.

    >>> dtype_name(torch.float32)
    'float32'
    """
    return str(dtype).removeprefix("torch.")


def policy(identifier: str | torch.dtype | Policy | Mapping[str, Any] | None) -> Policy:
    """The policy that an argument means, where the device can do it.

    Raises: UnknownNameError for an unknown name; DeviceError for bfloat16 where the device would only be slower, and
    for float16 where it has no arithmetic for it.

    >>> policy("float64").weights
    torch.float64
    """
    if identifier is None:
        return _default
    if isinstance(identifier, Mapping):
        return policy(identifier.get("config", {}).get("name"))
    wanted = identifier if isinstance(identifier, Policy) else Policy(str(identifier))
    if wanted.mixed:
        refusal = device.mixed_refusal(wanted.arithmetic, device.default())
        if refusal:
            raise DeviceError(f"policy {wanted.name!r} is refused: {refusal}; use 'float32'")
    return wanted


def default_policy() -> Policy:
    """The policy of layers that name none."""
    return _default


def set_default_policy(identifier: str | Policy) -> None:
    """Set the policy of layers made from now on.   Keras: ``keras.config.set_dtype_policy``."""
    global _default  # noqa: PLW0603  the one process-wide setting that Keras users expect
    _default = policy(identifier)
