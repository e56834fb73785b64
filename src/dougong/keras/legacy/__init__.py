"""``keras.legacy``."""

from dougong.keras.facade import Facade

__all__, __getattr__, __dir__ = Facade("keras.legacy", also={"saving": "dougong.keras.legacy.saving"}).of()
