"""``keras.distillation``: small models taught by large ones."""

from dougong.keras.facade import Facade
from dougong.models import distillation

__all__, __getattr__, __dir__ = Facade("keras.distillation", distillation).of()
