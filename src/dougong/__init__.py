"""Dougong: neural networks from standard blocks.  Keras's words on native PyTorch.

    import dougong as dg

    model = dg.Sequential([dg.Input((4,)), dg.layers.Dense(10, activation="tanh"), dg.layers.Dense(3)])
    model.compile(optimizer="adam", loss=dg.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(x, y, epochs=50)

Names are resolved on first use, so that ``import dougong`` loads nothing heavy.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dougong import (
        data,
        layers,
        losses,
        metrics,
        models,
        optimizers,
    )
    from dougong.core import errors
    from dougong.core.symbol import Input
    from dougong.keras import config, saving, utils
    from dougong.layers import Layer
    from dougong.models import Model, Sequential
    from dougong.ops import activations, constraints, initializers, regularizers
    from dougong.training import callbacks

__version__ = "0.1.0"

# Public name -> where it stands.
_MODULES = {
    "activations": "dougong.ops.activations",
    "callbacks": "dougong.training.callbacks",
    "constraints": "dougong.ops.constraints",
    "data": "dougong.data",
    "errors": "dougong.core.errors",
    "initializers": "dougong.ops.initializers",
    "layers": "dougong.layers",
    "losses": "dougong.losses",
    "metrics": "dougong.metrics",
    "models": "dougong.models",
    "optimizers": "dougong.optimizers",
    "regularizers": "dougong.ops.regularizers",
    "config": "dougong.keras.config",
    "saving": "dougong.keras.saving",
    "utils": "dougong.keras.utils",
}
_OBJECTS = {
    "Initializer": "dougong.ops.initializers",
    "Input": "dougong.core.symbol",
    "Layer": "dougong.layers",
    "Loss": "dougong.losses",
    "Metric": "dougong.metrics",
    "Model": "dougong.models",
    "Optimizer": "dougong.optimizers",
    "Regularizer": "dougong.ops.regularizers",
    "Sequential": "dougong.models",
}

__all__ = [
    "Input",
    "Layer",
    "Model",
    "Sequential",
    "__version__",
    "activations",
    "callbacks",
    "config",
    "constraints",
    "data",
    "errors",
    "initializers",
    "layers",
    "losses",
    "metrics",
    "models",
    "optimizers",
    "regularizers",
    "saving",
    "utils",
]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        found: Any = importlib.import_module(_MODULES[name])
    elif name in _OBJECTS:
        found = getattr(importlib.import_module(_OBJECTS[name]), name)
    else:
        from dougong.core.errors import no_attribute  # lazy: only a wrong name needs it

        raise no_attribute("dougong", name, [*_MODULES, *_OBJECTS])
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*__all__, *_OBJECTS})
