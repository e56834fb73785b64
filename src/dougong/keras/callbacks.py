"""``keras.callbacks``."""

from dougong.keras.facade import Facade
from dougong.training import callbacks

__all__, __getattr__, __dir__ = Facade(
    "keras.callbacks",
    callbacks,
    refused={"OrbaxCheckpoint": "Orbax is JAX's; use ModelCheckpoint or BackupAndRestore"},
).of()
