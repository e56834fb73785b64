"""Layers and models from their configs; the table of classes is `layer_classes`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from dougong.core.config import custom_object_scope, deserialize, find_custom
from dougong.core.errors import ConfigError, ModelFormatError
from dougong.core.symbol import Input
from dougong.layers.layer import Layer
from dougong.layers.serialization import layer_classes
from dougong.models.distillation import Distiller
from dougong.models.graph_config import graph_from_config
from dougong.models.model import Model
from dougong.models.sequential import Sequential

__all__ = ["deserialize_layer", "layer_from_config", "model_from_config", "model_of"]

_MODELS = ("Sequential", "Functional", "Model")


def layer_from_config(entry: Mapping[str, Any]) -> Layer:
    """The layer, or nested model, of a serialized entry; unbuilt unless it is a model that knows its inputs.

    Raises: UnknownNameError for a class that is neither Dougong's nor registered.
    """
    if find_custom(entry) is None and entry.get("class_name") in _MODELS:
        return model_of(entry, layer_from_config)
    config = entry.get("config")
    if isinstance(config, Mapping):  # a wrapper takes a model that is made already
        made = {key: layer_from_config(one) if _holds_model(one) else one for key, one in config.items()}
        entry = {**entry, "config": made}
    return deserialize(entry, {**layer_classes(), "Distiller": Distiller}, "layer")


def deserialize_layer(config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Layer:
    """`layer_from_config`, with classes of the user's own.   Keras: equals ``keras.layers.deserialize``."""
    if not isinstance(config, Mapping):
        raise ConfigError(f"a serialized layer is a dict with 'class_name' and 'config'; got {config!r}")
    with custom_object_scope(custom_objects):
        return layer_from_config(config)


def _holds_model(value: Any) -> bool:
    """Whether a config's value is a serialized model, or a layer around one."""
    if not isinstance(value, Mapping) or not isinstance(value.get("config"), Mapping):
        return False
    return value.get("class_name") in _MODELS or any(map(_holds_model, value["config"].values()))


def model_of(entry: Mapping[str, Any], layer_of: Callable[[Mapping[str, Any]], Any], cls: type[Model] = Model) -> Model:
    """The sequential or functional model of a serialized entry; ``layer_of`` makes its layers from theirs."""
    config = entry.get("config")
    if not isinstance(config, Mapping):
        raise ModelFormatError(f"a {entry.get('class_name')} needs a config")
    name, trainable = config.get("name"), config.get("trainable", True)
    if entry.get("class_name") != "Sequential":
        inputs, outputs = graph_from_config(config, layer_of)
        return cls(inputs, outputs, name=name, trainable=trainable)
    stack: list[Any] = []
    for item in config.get("layers", ()):
        if item.get("class_name") == "InputLayer":
            settings = item["config"]
            shape = settings.get("batch_shape") or settings.get("batch_input_shape")
            stack.append(Input(batch_shape=shape, dtype=settings.get("dtype"), name=settings.get("name")))
        else:
            stack.append(layer_of(item))
    if not issubclass(cls, Sequential):
        return Sequential(stack, name=name, trainable=trainable)
    own = cls(name=name)
    for layer in stack:
        own.add(layer)
    return own


def model_of_class(
    cls: type[Model], config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None
) -> Model:
    """A model of class ``cls`` from the config of a graph or a stack."""
    kind = "Sequential" if issubclass(cls, Sequential) else "Functional"
    with custom_object_scope(custom_objects):
        return model_of({"class_name": kind, "config": config}, layer_from_config, cls)


def model_from_config(
    config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None, *, compiled: bool = True
) -> Model:
    """A model, with fresh weights, from its serialized form, compiled if the config says how.

    Raises: ModelFormatError for a config that is not one; UnknownNameError for unknown classes.
    """
    if not isinstance(config, Mapping) or "class_name" not in config:
        raise ModelFormatError("the config names no class; it is no model's")
    with custom_object_scope(custom_objects):
        model = layer_from_config(config)
        if not isinstance(model, Model):
            raise ConfigError(f"{config['class_name']} is a layer, not a model")
        settings = config.get("compile_config")
        if compiled and isinstance(settings, Mapping):
            model.compile_from_config(settings)
    return model
