"""``keras.wrappers``."""

from dougong.keras.facade import Facade
from dougong.models import sklearn_wrappers

__all__, __getattr__, __dir__ = Facade("keras.wrappers", sklearn_wrappers).of()
