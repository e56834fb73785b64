"""``keras.utils.legacy``."""

from dougong.keras.saving import deserialize_keras_object, serialize_keras_object

__all__ = ["deserialize_keras_object", "serialize_keras_object"]
