"""``keras.legacy.saving``."""

from dougong.keras.facade import Facade

__all__, __getattr__, __dir__ = Facade(
    "keras.legacy.saving",
    also={
        "deserialize_keras_object": "dougong.keras.saving:deserialize_keras_object",
        "serialize_keras_object": "dougong.keras.saving:serialize_keras_object",
    },
).of()
