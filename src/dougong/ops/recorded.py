"""The functions, torch's and Keras's, that a saved graph may name: a table, so that no file chooses what is called."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from dougong import ops
from dougong.core.errors import ConfigError, UnknownNameError

__all__ = ["function_called", "name_of"]

_TORCH = """
abs acos add addmm all amax amin any arange argmax argmin asin atan atan2 baddbmm bitwise_and bitwise_not
bitwise_or bmm cat ceil chunk clamp clamp_max clamp_min concat cos cosh count_nonzero cummax cumprod cumsum
deg2rad diag diagonal diff div dot einsum eq erf erfc exp expand_copy expm1 flatten flip floor floor_divide fmod
full_like gather ge gt heaviside hstack index_select isfinite isinf isnan isclose le lerp log log10 log1p log2
log_softmax logaddexp logical_and logical_not logical_or logical_xor logsumexp lt masked_fill matmul max maximum
mean median min minimum mm moveaxis movedim mul multiply nan_to_num ne neg negative norm numel ones_like outer
permute pow prod quantile rad2deg real reciprocal relu remainder repeat_interleave reshape roll rot90 round
rsqrt scatter searchsorted select sigmoid sign sin sinh slice_copy softmax sort split sqrt square squeeze stack
std sub subtract sum swapaxes t take tan tanh tensordot tile topk transpose tril triu true_divide trunc unbind
unflatten unsqueeze var var_mean vstack where zeros_like
""".split()

_FUNCTIONAL = """
adaptive_avg_pool1d adaptive_avg_pool2d avg_pool1d avg_pool2d celu conv1d conv2d conv3d elu gelu glu hardsigmoid
hardswish hardtanh interpolate layer_norm leaky_relu linear logsigmoid max_pool1d max_pool2d mish normalize
one_hot pad pixel_shuffle pixel_unshuffle relu relu6 scaled_dot_product_attention selu silu softmax softplus
softsign unfold
""".split()

_METHODS = """
bool char clone contiguous detach double expand expand_as float int long masked_fill narrow repeat short sum to
type_as type unfold unsqueeze view view_as
""".split()

_OPERATORS = """
add sub mul truediv floordiv mod pow matmul and_ or_ xor lt le gt ge eq ne getitem neg abs invert
""".split()


def _table() -> dict[str, Callable[..., Any]]:
    table: dict[str, Callable[..., Any]] = {}
    for prefix, names, owner in (
        ("torch", _TORCH, torch),
        ("torch.nn.functional", _FUNCTIONAL, functional),
        ("operator", _OPERATORS, operator),
        ("torch.Tensor", sorted({*_METHODS, *_TORCH}), Tensor),
    ):
        for name in names:
            if hasattr(owner, name):
                table[f"{prefix}.{name}"] = getattr(owner, name)
    for name in ops.__all__:  # a graph holds what stands behind the decorator
        table[f"keras.ops.{name}"] = getattr(getattr(ops, name), "__wrapped__", getattr(ops, name))
    return table


_FUNCTIONS = _table()


def name_of(function: Callable[..., Any]) -> str:
    """The name under which a graph's function is saved.   Raises: ConfigError for one that is not in the table.

    >>> name_of(torch.mean)
    'torch.mean'
    >>> name_of(ops.mean.__wrapped__)
    'keras.ops.mean'
    """
    for name, known in _FUNCTIONS.items():
        if known is function:
            return name
    raise ConfigError(
        f"the function {getattr(function, '__name__', function)!r} in the graph cannot be saved by name;"
        " put it into a layer of your own and register that"
    )


def function_called(name: str) -> Callable[..., Any]:
    """The function of a saved name.   Raises: UnknownNameError."""
    found = _FUNCTIONS.get(name)
    if found is None:
        raise UnknownNameError("function in the graph", name, _FUNCTIONS)
    return found
