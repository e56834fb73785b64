"""``keras.ops``'s encodings of class numbers, and its cross-entropies, which keep one value a sample or element.

Shapes: N batch, C classes.   Units: nats.   Source: Keras 3 semantics; the formulas are in `dougong.ops.crossentropy`.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from dougong.core.dtypes import torch_dtype
from dougong.core.errors import ConfigError, ShapeError
from dougong.ops.crossentropy import NO_CLASS, binary_crossentropy_terms, log_probabilities, sparse_pair
from dougong.ops.op import floating, op, tensor
from dougong.ops.targets import check_same_shape

__all__ = [
    "binary_crossentropy",
    "categorical_crossentropy",
    "multi_hot",
    "one_hot",
    "sparse_categorical_crossentropy",
]


@op
def one_hot(x: Any, num_classes: int, axis: int = -1, dtype: Any = None, sparse: bool = False) -> Tensor:
    """1 where the new ``axis`` of length ``num_classes`` has the number given, else 0; other numbers give only 0.

    Keras: equals its namesake on TensorFlow and JAX; on torch Keras 3.15 refuses numbers of ``num_classes`` or more.

    >>> one_hot([1, -1], 2)
    tensor([[0., 1.],
            [0., 0.]])
    """
    _refuse(sparse)
    x = tensor(x).to(torch.int64)
    axis = axis + x.ndim + 1 if axis < 0 else axis
    if not 0 <= axis <= x.ndim:
        raise ShapeError(f"one_hot: the new axis {axis} does not fit numbers with {x.ndim} axes")
    classes = torch.arange(num_classes, device=x.device).reshape(-1, *[1] * (x.ndim - axis))
    return (x.unsqueeze(axis) == classes).to(torch_dtype(dtype))


@op
def multi_hot(
    inputs: Any,
    num_classes: int | None = None,
    axis: int = -1,
    dtype: Any = None,
    sparse: bool = False,
    *,
    num_tokens: int | None = None,
) -> Tensor:
    """1 for every class that stands in the list.   Shapes: ``(N, T) -> (N, C)``, or ``(T,) -> (C,)``.

    ``num_tokens`` is the historic name of ``num_classes``.   Keras: equals its namesake.

    >>> multi_hot([0, 2, 2], 3)
    tensor([1., 0., 1.])
    """
    _refuse(sparse)
    num_classes = num_tokens if num_classes is None else num_classes
    if num_classes is None:
        raise ConfigError("multi_hot needs num_classes, the length of its result")
    x = tensor(inputs)
    return one_hot(x, num_classes, axis, dtype).amax(1 if x.ndim > 1 else 0)


@op
def binary_crossentropy(target: Any, output: Any, from_logits: bool = False) -> Tensor:
    r""":math:`-t \ln p - (1 - t)\ln(1 - p)`, one value an element.   Keras: equals its namesake.

    >>> binary_crossentropy([0.0, 1.0], [0.5, 0.5])
    tensor([0.6931, 0.6931])
    """
    output = floating(output)
    target = tensor(target, output.dtype)
    check_same_shape(target, output)
    return binary_crossentropy_terms(target, output, from_logits)


@op
def categorical_crossentropy(target: Any, output: Any, from_logits: bool = False, axis: int = -1) -> Tensor:
    r""":math:`-\sum_c t_c \ln p_c` along ``axis``.   Shapes: ``(N, …, C)`` twice ``-> (N, …)``.

    Keras: equals its namesake.

    >>> categorical_crossentropy([[0.0, 1.0]], [[0.5, 0.5]])
    tensor([0.6931])
    """
    output = floating(output)
    target = tensor(target, output.dtype)
    check_same_shape(target, output, "give one-hot targets")
    if not output.ndim:
        raise ShapeError("categorical_crossentropy needs a class axis, but got single numbers")
    return -(target * log_probabilities(output, from_logits, axis)).sum(axis)


@op
def sparse_categorical_crossentropy(target: Any, output: Any, from_logits: bool = False, axis: int = -1) -> Tensor:
    r""":math:`-\ln p_t` for class numbers t.   Shapes: ``(N, …), (N, …, C) -> (N, …)``.   Keras: equals its namesake.

    >>> sparse_categorical_crossentropy([1], [[0.5, 0.5]])
    tensor([0.6931])
    """
    labels, scores, shape = sparse_pair(tensor(target), floating(output), axis)
    if not shape:  # one sample, whose only axis is that of the classes
        labels, scores = labels.reshape(1), scores.reshape(1, -1)
    logs = log_probabilities(scores, from_logits, 1)
    return F.nll_loss(logs, labels, reduction="none", ignore_index=NO_CLASS).reshape(shape)


def _refuse(sparse: bool) -> None:
    if sparse:
        raise ConfigError("sparse=True is not offered on PyTorch; leave it out for a dense result")
