"""``keras.ops``."""

from dougong import ops
from dougong.keras.facade import Facade

__all__, __getattr__, __dir__ = Facade(
    "keras.ops",
    ops,
    also={name: f"dougong.keras.ops.{name}" for name in ("image", "linalg", "nn", "numpy")},
).of()
