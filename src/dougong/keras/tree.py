"""``keras.tree``."""

from dougong.core import tree
from dougong.keras.facade import Facade

__all__, __getattr__, __dir__ = Facade("keras.tree", tree).of()
