"""``keras.saving``: registration of your own classes, and whole models to and from files."""

from dougong.core.config import custom_object_scope
from dougong.core.config import custom_objects as get_custom_objects
from dougong.core.config import register_serializable as register_keras_serializable
from dougong.models import load_model, load_weights, save_model, save_weights
from dougong.models.file_editor import KerasFileEditor
from dougong.models.objects import (
    deserialize_keras_object,
    get_registered_name,
    get_registered_object,
    serialize_keras_object,
)

CustomObjectScope = custom_object_scope

__all__ = [
    "CustomObjectScope",
    "KerasFileEditor",
    "custom_object_scope",
    "deserialize_keras_object",
    "get_custom_objects",
    "get_registered_name",
    "get_registered_object",
    "load_model",
    "load_weights",
    "register_keras_serializable",
    "save_model",
    "save_weights",
    "serialize_keras_object",
]
