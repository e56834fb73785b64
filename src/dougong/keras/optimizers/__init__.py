"""``keras.optimizers``."""

from dougong import optimizers
from dougong.keras.facade import Facade

__all__, __getattr__, __dir__ = Facade(
    "keras.optimizers",
    optimizers,
    also={"legacy": "dougong.keras.optimizers.legacy", "schedules": "dougong.keras.optimizers.schedules"},
).of()
