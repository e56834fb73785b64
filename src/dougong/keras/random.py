"""``keras.random``."""

from dougong.keras.facade import Facade
from dougong.ops import random_numbers, seed_generator

__all__, __getattr__, __dir__ = Facade("keras.random", random_numbers, seed_generator).of()
