"""``keras.saving``: registration of your own classes, and whole models to and from files."""

from dougong.core.config import custom_object_scope
from dougong.core.config import register_serializable as register_keras_serializable
from dougong.models import load_model, load_weights, save_model, save_weights

CustomObjectScope = custom_object_scope

__all__ = [
    "CustomObjectScope",
    "custom_object_scope",
    "load_model",
    "load_weights",
    "register_keras_serializable",
    "save_model",
    "save_weights",
]
