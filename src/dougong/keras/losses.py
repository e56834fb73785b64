"""``keras.losses``."""

from dougong import losses
from dougong.keras.facade import Facade

__all__, __getattr__, __dir__ = Facade("keras.losses", losses).of()
