"""``keras.models``."""

from dougong import models
from dougong.keras.facade import Facade

__all__, __getattr__, __dir__ = Facade("keras.models", models).of()
