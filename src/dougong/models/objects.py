"""Any object of Keras's kinds to and from plain data: ``serialize_keras_object`` and its inverse."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import torch

from dougong import losses, metrics, optimizers
from dougong.core.config import custom_object_scope, custom_objects, deserialize, find_custom, serialize
from dougong.core.dtypes import policy, torch_dtype
from dougong.core.errors import ConfigError, UnknownNameError
from dougong.core.symbol import Symbol
from dougong.models import distillation_losses
from dougong.models.known import layer_from_config
from dougong.ops import activations, constraints, initializers, regularizers
from dougong.optimizers import schedules

__all__ = [
    "deserialize_keras_object",
    "get_registered_name",
    "get_registered_object",
    "serialize_keras_object",
]

# The part of a class's module path that tells its kind -> who makes objects of that kind.
_KINDS: Mapping[str, Callable[[Any], Any]] = MappingProxyType(
    {
        "schedules": schedules.deserialize,
        "optimizers": optimizers.deserialize,
        "losses": losses.deserialize,
        "metrics": metrics.deserialize,
        "initializers": initializers.deserialize,
        "regularizers": regularizers.deserialize,
        "constraints": constraints.deserialize,
        "activations": activations.deserialize,
        "dtype_policies": policy,
        "distillation": distillation_losses.deserialize,
        "layers": layer_from_config,
        "models": layer_from_config,
    }
)


def serialize_keras_object(obj: Any) -> Any:
    """``obj`` as plain data.   Keras: equals ``keras.saving.serialize_keras_object``; functions must be registered.

    Raises: ConfigError for what has no ``get_config`` and no name.

    >>> serialize_keras_object({"steps": slice(0, 3), "rate": np.float32(0.5)})
    {'steps': {'class_name': '__slice__', 'config': {'start': 0, 'stop': 3, 'step': None}}, 'rate': 0.5}
    """
    if isinstance(obj, list | tuple):
        return [serialize_keras_object(item) for item in obj]
    if isinstance(obj, dict):
        return {key: serialize_keras_object(item) for key, item in obj.items()}
    if isinstance(obj, bytes):
        return {"class_name": "__bytes__", "config": {"value": obj.decode()}}
    if isinstance(obj, slice):
        bounds = {name: serialize_keras_object(getattr(obj, name)) for name in ("start", "stop", "step")}
        return {"class_name": "__slice__", "config": bounds}
    if isinstance(obj, torch.Tensor):
        return {"class_name": "__tensor__", "config": _values(obj.detach().cpu().numpy())}
    if isinstance(obj, np.ndarray):
        return {"class_name": "__numpy__", "config": _values(obj)}
    if isinstance(obj, Symbol):
        shape, kind = list(obj.shape), str(obj.dtype).removeprefix("torch.")
        return {"class_name": "__keras_tensor__", "config": {"shape": shape, "dtype": kind}}
    found = serialize(obj)
    if callable(obj) and isinstance(found, str):
        return {"module": "builtins", "class_name": "function", "config": found, "registered_name": "function"}
    return found


def _values(array: np.ndarray) -> dict[str, Any]:
    return {"value": array.tolist(), "dtype": array.dtype.name}


def deserialize_keras_object(
    config: Any, custom_objects: Mapping[str, Any] | None = None, safe_mode: bool = True, **_: Any
) -> Any:
    """The object that `serialize_keras_object` wrote, also within lists and dicts.

    Only Dougong's own classes, what the user registered, and ``custom_objects`` are ever made; nothing is imported or
    executed, so ``safe_mode=False`` is refused.   Raises: ConfigError, UnknownNameError.

    >>> deserialize_keras_object(serialize_keras_object([np.float32(1), b"ab", slice(2)]))
    [1.0, b'ab', slice(None, 2, None)]
    """
    if not safe_mode:
        raise ConfigError("safe_mode=False would run code from a config; pass your functions in custom_objects={…}")
    with custom_object_scope(custom_objects):
        return _object(config)


def _object(config: Any) -> Any:
    if isinstance(config, list | tuple):
        return [_object(item) for item in config]
    if not isinstance(config, Mapping):
        return config
    name, inner = config.get("class_name"), config.get("config")
    if name is None or "config" not in config:
        return {key: _object(item) for key, item in config.items()}
    if name in ("__tensor__", "__numpy__") and isinstance(inner, Mapping):
        made = np.asarray(inner["value"], dtype=inner["dtype"])
        return torch.as_tensor(made, dtype=torch_dtype(inner["dtype"])) if name == "__tensor__" else made
    if name == "__bytes__" and isinstance(inner, Mapping):
        return str(inner["value"]).encode()
    if name == "__slice__" and isinstance(inner, Mapping):
        return slice(*(_object(inner.get(bound)) for bound in ("start", "stop", "step")))
    if name == "__keras_tensor__" and isinstance(inner, Mapping):
        return Symbol(inner["shape"], torch_dtype(inner["dtype"]))
    if name == "__lambda__":
        raise ConfigError("the config holds a lambda's bytecode, which is never run: register a named function instead")
    if name == "function":
        return _function(str(inner))
    return _made(config, str(name))


def _function(name: str) -> Any:
    found = find_custom(name)
    if found is not None:
        return found
    for source in (activations, losses, metrics):
        if name in source.__all__:
            return getattr(source, name)
    raise UnknownNameError("function", name, activations.__all__, "Register a function of your own.")


def _made(config: Mapping[str, Any], name: str) -> Any:
    parts = str(config.get("module") or "").split(".")
    kinds = [kind for kind in _KINDS if kind in parts]
    if find_custom(config) is not None:
        return deserialize(config, {}, "object")
    if name.endswith("DTypePolicy"):
        return policy(config)
    if not kinds or name == "Distiller":  # "keras" alone: models
        return layer_from_config(config)
    return _KINDS[kinds[0]](config)


def get_registered_name(obj: Any) -> str:
    """The name under which a class or function is registered, ``package>name``; else its own.

    >>> get_registered_name(len)
    'len'
    """
    registered = (name for name, known in custom_objects().items() if known is obj)
    return next(registered, getattr(obj, "__name__", type(obj).__name__))


def get_registered_object(
    name: str, custom_objects: Mapping[str, Any] | None = None, module_objects: Mapping[str, Any] | None = None
) -> Any:
    """What is registered under a name, or None.

    >>> get_registered_object("Custom>nothing")
    """
    with custom_object_scope(custom_objects):
        return find_custom(name) or (module_objects or {}).get(name)
