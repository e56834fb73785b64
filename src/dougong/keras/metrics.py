"""``keras.metrics``."""

from dougong import metrics
from dougong.keras.facade import Facade

__all__, __getattr__, __dir__ = Facade(
    "keras.metrics",
    metrics,
    also={
        "binary_focal_crossentropy": "dougong.losses:binary_focal_crossentropy",
        "categorical_focal_crossentropy": "dougong.losses:categorical_focal_crossentropy",
    },
).of()
