"""``keras.constraints``."""

from dougong.keras.facade import Facade
from dougong.ops import constraints

_AT = "dougong.ops.constraints:"

__all__, __getattr__, __dir__ = Facade(
    "keras.constraints",
    constraints,
    also={
        "max_norm": f"{_AT}MaxNorm",
        "min_max_norm": f"{_AT}MinMaxNorm",
        "non_neg": f"{_AT}NonNeg",
        "unit_norm": f"{_AT}UnitNorm",
    },
).of()
