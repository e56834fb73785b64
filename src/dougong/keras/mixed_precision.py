"""``keras.mixed_precision``."""

from dougong.keras.facade import Facade

_POLICY, _CONFIG = "dougong.core.dtypes:Policy", "dougong.keras.config"

__all__, __getattr__, __dir__ = Facade(
    "keras.mixed_precision",
    also={
        "DTypePolicy": _POLICY,
        "LossScaleOptimizer": "dougong.optimizers:LossScaleOptimizer",
        "Policy": _POLICY,
        "dtype_policy": f"{_CONFIG}:dtype_policy",
        "global_policy": f"{_CONFIG}:dtype_policy",
        "set_dtype_policy": f"{_CONFIG}:set_dtype_policy",
        "set_global_policy": f"{_CONFIG}:set_dtype_policy",
    },
).of()
