"""Keras's own names and module paths for what stands elsewhere: ``import dougong.keras as keras``.

    import dougong.keras as keras
    from dougong.keras import layers

Names are resolved on first use, so that the import loads no torch.  A public name of Keras's that Dougong does not have
raises `NotOfferedError`, which says why and what to use.
"""

from __future__ import annotations

from typing import Any

from dougong.keras.facade import Facade

_MODULES = """
activations applications backend callbacks config constraints datasets distillation distribution dtype_policies export
initializers layers legacy losses metrics mixed_precision models ops optimizers preprocessing quantizers random
regularizers saving tree utils visualization wrappers
""".split()

_WITHOUT_STATE = "PyTorch's tensors hold their state; call layer.stateless_call, or torch.func.functional_call"

_FACADE = Facade(
    "keras",
    also={
        **{name: f"dougong.keras.{name}" for name in _MODULES},
        "DTypePolicy": "dougong.core.dtypes:Policy",
        "FloatDTypePolicy": "dougong.core.dtypes:Policy",
        "Function": "dougong.models:Model",
        "Initializer": "dougong.ops.initializers:Initializer",
        "Input": "dougong.core.symbol:Input",
        "InputSpec": "dougong.layers:InputSpec",
        "KerasTensor": "dougong.core.symbol:Symbol",
        "Layer": "dougong.layers:Layer",
        "Loss": "dougong.losses:Loss",
        "Metric": "dougong.metrics:Metric",
        "Model": "dougong.models:Model",
        "Operation": "dougong.layers:Layer",
        "Optimizer": "dougong.optimizers:Optimizer",
        "Regularizer": "dougong.ops.regularizers:Regularizer",
        "Sequential": "dougong.models:Sequential",
        "Variable": "dougong.core.variable:Variable",
        "device": "dougong.keras.backend:device",
        "name_scope": "dougong.core.names:name_scope",
        "remat": "dougong.keras.backend:remat",
        "version": "dougong.keras.backend:version",
    },
    refused={
        "Quantizer": "Dougong does not quantize in training; quantize a trained model when it is exported",
        "RematScope": "wrap what is to be computed again in keras.remat(function)",
        "StatelessScope": _WITHOUT_STATE,
        "SymbolicScope": "apply layers to keras.Input(...) instead",
        "src": "it is Keras's inside; use the public names",
    },
)

__version__ = "3.15.1"
__all__ = [*_FACADE.names()]  # noqa: PLE0604


def __getattr__(name: str) -> Any:
    found = _FACADE.get(name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
