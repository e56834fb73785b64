"""``keras.optimizers.schedules``."""

from dougong.keras.facade import Facade
from dougong.optimizers import schedules

__all__, __getattr__, __dir__ = Facade("keras.optimizers.schedules", schedules).of()
