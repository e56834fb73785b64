"""``keras.dtype_policies``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dougong.core.dtypes import Policy as DTypePolicy
from dougong.core.dtypes import policy as get
from dougong.core.policy_map import DTypePolicyMap
from dougong.keras.facade import Facade

FloatDTypePolicy = DTypePolicy


def serialize(dtype_policy: DTypePolicy) -> dict[str, Any]:
    """A policy as Keras writes it in a config.

    >>> serialize(DTypePolicy("float64"))["config"]
    {'name': 'float64'}
    """
    return {
        "module": "keras",
        "class_name": "DTypePolicy",
        "config": dtype_policy.get_config(),
        "registered_name": None,
    }


def deserialize(config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> DTypePolicy:  # noqa: ARG001
    """The policy of a config."""
    return get(config)


_WHY = "Dougong does not quantize in training; quantize a trained model when it is exported"
_NAMES = "AWQDTypePolicy GPTQDTypePolicy Int4DTypePolicy QuantizedDTypePolicy QuantizedFloat8DTypePolicy".split()

__all__ = ["DTypePolicy", "DTypePolicyMap", "FloatDTypePolicy", "deserialize", "get", "serialize"]

_, __getattr__, __dir__ = Facade(
    "keras.dtype_policies",
    also={name: f"dougong.keras.dtype_policies:{name}" for name in __all__},
    refused=dict.fromkeys(_NAMES, _WHY),
).of()
