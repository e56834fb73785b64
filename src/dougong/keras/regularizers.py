"""``keras.regularizers``."""

from dougong.keras.facade import Facade
from dougong.ops import regularizers

_AT = "dougong.ops.regularizers:"

__all__, __getattr__, __dir__ = Facade(
    "keras.regularizers",
    regularizers,
    also={
        "l1": f"{_AT}L1",
        "l1_l2": f"{_AT}L1L2",
        "l2": f"{_AT}L2",
        "orthogonal_regularizer": f"{_AT}OrthogonalRegularizer",
    },
).of()
