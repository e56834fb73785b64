"""torch's own functions that Keras has too, under Keras's names.

The table of activations starts from this one, and a config writes such a function by its name here: a builtin of torch
carries no module that would tell it from any other function.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["TORCH_FUNCTIONS", "keras_name"]

TORCH_FUNCTIONS: Mapping[str, Callable[..., Tensor]] = MappingProxyType(
    {
        "celu": torch.celu,
        "elu": F.elu,
        "exponential": torch.exp,
        "gelu": F.gelu,
        "glu": F.glu,
        "hard_shrink": torch.hardshrink,
        "hard_sigmoid": F.hardsigmoid,
        "hard_silu": F.hardswish,
        "hard_tanh": F.hardtanh,
        "log_sigmoid": F.logsigmoid,
        "mish": F.mish,
        "relu": torch.relu,
        "relu6": F.relu6,
        "selu": torch.selu,
        "sigmoid": torch.sigmoid,
        "silu": F.silu,
        "soft_shrink": F.softshrink,
        "softplus": F.softplus,
        "softsign": F.softsign,
        "tanh": torch.tanh,
        "tanh_shrink": F.tanhshrink,
    }
)


def keras_name(function: Callable[..., object]) -> str | None:
    """Keras's name of a torch function, or None for any other.  torch has some functions twice; either will do.

    >>> keras_name(torch.exp), keras_name(F.relu), keras_name(torch.matmul)
    ('exponential', 'relu', None)
    """
    for name, known in TORCH_FUNCTIONS.items():
        if function is known:
            return name
    name = getattr(function, "__name__", "")
    twins = (getattr(place, name, None) for place in (torch, F))
    return name if name in TORCH_FUNCTIONS and any(function is twin for twin in twins) else None
