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
        ops,
        optimizers,
    )
    from dougong.core import errors, tree
    from dougong.core.symbol import Input
    from dougong.core.variable import Variable
    from dougong.keras import (
        backend,
        config,
        dtype_policies,
        preprocessing,
        random,
        saving,
        utils,
        visualization,
        wrappers,
    )
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
    "ops": "dougong.ops",
    "tree": "dougong.core.tree",
    "backend": "dougong.keras.backend",
    "config": "dougong.keras.config",
    "dtype_policies": "dougong.keras.dtype_policies",
    "keras": "dougong.keras",
    "preprocessing": "dougong.keras.preprocessing",
    "random": "dougong.keras.random",
    "saving": "dougong.keras.saving",
    "utils": "dougong.keras.utils",
    "visualization": "dougong.keras.visualization",
    "wrappers": "dougong.keras.wrappers",
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
    "Variable": "dougong.core.variable",
}

__all__ = [
    "Input",
    "Layer",
    "Model",
    "Sequential",
    "Variable",
    "__version__",
    "activations",
    "backend",
    "callbacks",
    "config",
    "constraints",
    "data",
    "dtype_policies",
    "errors",
    "initializers",
    "layers",
    "losses",
    "metrics",
    "models",
    "ops",
    "optimizers",
    "preprocessing",
    "random",
    "regularizers",
    "saving",
    "tree",
    "utils",
    "visualization",
    "wrappers",
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
