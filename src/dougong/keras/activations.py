"""``keras.activations``."""

from dougong.keras.facade import Facade
from dougong.ops import activations

__all__, __getattr__, __dir__ = Facade("keras.activations", activations).of()
