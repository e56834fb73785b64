"""Weights of samples: from class weights, from one array for several outputs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from dougong.core.errors import ConfigError, DataError
from dougong.core.nested import is_nested, map_named, named_leaves, same_structure

__all__ = ["check_class_weight", "class_weights", "combine_weights"]


def check_class_weight(class_weight: object) -> dict[int, float] | None:
    """The mapping {class number: weight}.   Raises: ConfigError for anything else, or a negative weight."""
    if class_weight is None:
        return None
    if not isinstance(class_weight, Mapping):
        raise ConfigError(
            f"class_weight must be a dict such as {{0: 1.0, 1: 5.0}}, got {type(class_weight).__name__}; "
            "for a list use dict(enumerate(weights))."
        )
    try:
        weights = {int(label): float(weight) for label, weight in class_weight.items()}
    except (TypeError, ValueError) as error:
        raise ConfigError(f"class_weight must map class numbers to numbers, got {dict(class_weight)!r}.") from error
    if not all(weight >= 0.0 for weight in weights.values()):
        raise ConfigError(f"class_weight must not hold negative weights or NaN, got {weights}.")
    return weights


def class_weights(y: Tensor, weights: Mapping[int, float], dtype: torch.dtype = torch.float32) -> Tensor:
    """One weight per sample: that of its class; 1 for a class that is not mentioned.

    Shapes: labels ``[N]`` or ``[N, 1]`` (rounded), one-hot or probabilities ``[N, K]`` (the largest counts) -> ``[N]``.
    Raises: DataError for other shapes.   Keras: equals what ``fit(class_weight=...)`` does.

    >>> class_weights(torch.tensor([0, 1, 2]), {1: 3.0}), class_weights(torch.eye(2), {1: 3.0})
    (tensor([1., 3., 1.]), tensor([1., 3.]))
    """
    if y.ndim not in (1, 2):
        raise DataError(f"class_weight needs labels of shape (N,), (N, 1) or one-hot (N, K), got {tuple(y.shape)}.")
    if y.ndim == 2:
        y = y.argmax(dim=1) if y.shape[1] != 1 else y[:, 0]
    labels = y.round() if y.is_floating_point() else y
    result = torch.ones(labels.shape, dtype=dtype, device=labels.device)
    for label, weight in weights.items():
        result.masked_fill_(labels == label, weight)
    return result


def combine_weights(
    y: Any, sample_weight: Any, weights: Mapping[int, float] | None, dtype: torch.dtype | None = torch.float32
) -> Any:
    """The weights that the loss sees: one array per output, with class weights multiplied in.

    Keras: 3 refuses class_weight together with sample_weight; here, as in Keras 2, they are multiplied.
    Raises: DataError if weights and outputs do not match, or class weights meet several outputs.
    """
    if sample_weight is not None and is_nested(y):
        sample_weight = _one_per_output(y, sample_weight)
    if weights is None:
        return sample_weight
    if y is None:
        raise DataError("class_weight was given, but there are no targets y to weigh.")
    if is_nested(y):
        raise DataError("class_weight works for one output only; give sample_weight with one array per output.")
    by_class = class_weights(y, weights, dtype or torch.float32)
    if sample_weight is None:
        return by_class
    return sample_weight * by_class.reshape(-1, *[1] * (sample_weight.ndim - 1))


def _one_per_output(y: Any, sample_weight: Any) -> Any:
    if is_nested(sample_weight):
        if not same_structure(y, sample_weight):
            raise DataError(
                f"sample_weight must nest like y, one array per output: y has {[n for n, _ in named_leaves(y, 'y')]}, "
                f"sample_weight has {[n for n, _ in named_leaves(sample_weight, 'sample_weight')]}."
            )
        return sample_weight
    if sample_weight.ndim > 2 or (sample_weight.ndim == 2 and sample_weight.shape[1] != 1):
        raise DataError(
            f"one sample_weight for several outputs must have shape (N,), got {tuple(sample_weight.shape)}; "
            "for other weights give one array per output."
        )
    return map_named(lambda _name, _leaf: sample_weight, y)
