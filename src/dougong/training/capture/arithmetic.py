"""How much arithmetic a recorded run does, in multiply-adds: matrix products, convolutions, attention, recurrence.

Pointwise kernels are left out: they cost memory traffic, not arithmetic.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from dougong.training.capture.recording import Call, Value

__all__ = ["multiply_adds"]

_PRODUCTS = {"mm": 0, "bmm": 0, "mv": 0, "dot": 0, "linear": 0, "addmm": 1, "baddbmm": 1, "addbmm": 1, "addmv": 1}


def multiply_adds(calls: Iterable[Call]) -> int:
    """The sum over all calls.

    >>> import torch
    >>> from dougong.training.capture.trace import trace
    >>> multiply_adds(trace(torch.nn.Linear(4, 5), [torch.ones(10, 4)]).calls)
    200
    """
    return sum(_of(call) for call in calls)


def _of(call: Call) -> int:
    name = call.name
    shapes = [value.shape for value in call.arguments()]
    result = next(call.results(), None)
    if result is None:
        return 0
    if name in _PRODUCTS:
        # Every element of the result is a sum over the last axis of the left factor.
        return result.numel * (shapes[_PRODUCTS[name]] or (1,))[-1]
    if name == "convolution":
        return _convolution(call, result.shape, shapes[0], shapes[1])
    if name == "convolution_backward":
        products = sum(bool(wanted) for wanted in call.args[-1][:2])
        return products * _convolution(call, shapes[0], shapes[1], shapes[2])
    if name.startswith("mkldnn_rnn_layer"):
        return (2 if name.endswith("backward") else 1) * _recurrence(shapes)
    if name.startswith(("_scaled_dot_product", "_flash_attention")):
        return _attention(call, name)
    return 0


def _convolution(call: Call, grown: tuple[int, ...], source: tuple[int, ...], weight: tuple[int, ...]) -> int:
    """Each element of the result meets one filter; transposed, each element of the source does."""
    names = [argument.name for argument in call.overload._schema.arguments]
    transposed = bool(call.args[names.index("transposed")])
    return math.prod(source if transposed else grown) * math.prod(weight[1:])


def _recurrence(shapes: list[tuple[int, ...]]) -> int:
    steps, batch = shapes[0][:2]
    return steps * batch * (math.prod(shapes[1]) + math.prod(shapes[2]))


def _attention(call: Call, name: str) -> int:
    backward = "backward" in name
    query, key = [v for v in call.args if isinstance(v, Value)][int(backward) : int(backward) + 2]
    return (5 if backward else 2) * query.numel * key.shape[-2]
