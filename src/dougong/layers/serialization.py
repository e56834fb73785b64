"""Layers to and from their serialized form, Keras's; the package's own list of names is the table of classes."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from dougong.core.config import custom_object_scope
from dougong.core.config import deserialize as deserialize_from
from dougong.core.config import serialize as serialize_any
from dougong.core.errors import ConfigError

__all__ = ["deserialize", "layer_classes", "layer_of", "serialize"]


@cache
def layer_classes() -> Mapping[str, type]:
    """Every public layer by name; files and configs can make these and what the user registered, nothing else."""
    from dougong import layers  # lazy: the face of the package imports this file

    found = {name: getattr(layers, name) for name in layers.__all__}
    return {name: cls for name, cls in found.items() if isinstance(cls, type)}


def serialize(layer: Any) -> dict[str, Any]:
    """A layer as plain data: class and config.   Keras: equals ``keras.layers.serialize``.

    >>> from dougong.layers.dense import Dense
    >>> entry = serialize(Dense(3, name="last")); entry["class_name"], entry["config"]["units"]
    ('Dense', 3)
    """
    return serialize_any(layer)


def deserialize(config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Any:
    """The layer, unbuilt, that `serialize` wrote.   Keras: equals ``keras.layers.deserialize``.

    Raises: UnknownNameError for a class that is neither Dougong's, nor registered, nor in ``custom_objects``.

    >>> from dougong.layers.dense import Dense
    >>> deserialize(serialize(Dense(3, name="last")))
    Dense(name='last')
    """
    if not isinstance(config, Mapping):
        raise ConfigError(f"a serialized layer is a dict with 'class_name' and 'config'; got {config!r}")
    with custom_object_scope(custom_objects):
        return layer_of(config)


def layer_of(given: Any) -> Any:
    """The layer that a config's value means: a serialized one is made, anything else stays as it is."""
    return deserialize_from(given, layer_classes(), "layer") if isinstance(given, Mapping) else given
