"""``keras.ops.linalg``."""

from dougong.keras.facade import Facade
from dougong.ops import linear_algebra

__all__, __getattr__, __dir__ = Facade(
    "keras.ops.linalg", linear_algebra, also={"jvp": "dougong.ops.gradients:jvp"}, without=("logdet",)
).of()
