"""Dtype policies: which dtype weights have, and which one the arithmetic uses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from dougong.core import device
from dougong.core.errors import ConfigError, DeviceError, UnknownNameError

__all__ = ["Policy", "default_policy", "policy", "set_default_policy", "torch_dtype"]

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
    "bool": torch.bool,
    "complex64": torch.complex64,
}


def torch_dtype(name: str | torch.dtype | None) -> torch.dtype:
    """The torch dtype that a name means; None means the default policy's.

    >>> torch_dtype("int32")
    torch.int32
    """
    if name is None:
        return default_policy().variable_dtype
    if isinstance(name, torch.dtype):
        return name
    found = _DTYPES.get(str(name).removeprefix("torch."))
    if found is None:
        raise UnknownNameError("dtype", name, _DTYPES)
    return found


@dataclass(frozen=True)
class Policy:
    """``name`` is Keras's: ``float32``, ``float64`` or ``mixed_bfloat16`` (float32 weights, bfloat16 arithmetic).

    Mixed precision is torch's autocast around the training step, so layers need no casts of their own.
    """

    name: str
    variable_dtype: torch.dtype
    compute_dtype: torch.dtype

    @property
    def mixed(self) -> bool:
        return self.variable_dtype is not self.compute_dtype


_MIXED = {"mixed_bfloat16": torch.bfloat16}
_default = Policy("float32", torch.float32, torch.float32)


def policy(identifier: str | torch.dtype | Policy | Mapping[str, Any] | None) -> Policy:
    """The policy that an argument means.

    Raises: UnknownNameError for an unknown name; DeviceError for bfloat16 where the device would only be slower.

    >>> policy("float64").variable_dtype
    torch.float64
    """
    if identifier is None:
        return _default
    if isinstance(identifier, Policy):
        return identifier
    if isinstance(identifier, Mapping):
        return policy(identifier.get("config", {}).get("name"))
    name = str(identifier).removeprefix("torch.")
    if name in _MIXED:
        refusal = device.bfloat16_refusal(device.default())
        if refusal:
            raise DeviceError(f"policy {name!r} is refused: {refusal}; use 'float32'")
        return Policy(name, torch.float32, _MIXED[name])
    if name == "mixed_float16":
        raise ConfigError("mixed_float16 is not offered: bfloat16 needs no loss scaling; use 'mixed_bfloat16'")
    if name not in _DTYPES:
        raise UnknownNameError("dtype policy", name, [*_DTYPES, *_MIXED])
    return Policy(name, _DTYPES[name], _DTYPES[name])


def default_policy() -> Policy:
    """The policy of layers that name none."""
    return _default


def set_default_policy(identifier: str | Policy) -> None:
    """Set the policy of layers made from now on.   Keras: ``keras.config.set_dtype_policy``."""
    global _default  # noqa: PLW0603  the one process-wide setting that Keras users expect
    _default = policy(identifier)
