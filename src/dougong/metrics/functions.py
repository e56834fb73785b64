"""Keras's metric functions by name, its short and its historic names with them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from torch import Tensor

from dougong.metrics.matches import (
    accuracy,
    binary_accuracy,
    categorical_accuracy,
    sparse_categorical_accuracy,
    sparse_top_k_categorical_accuracy,
    top_k_categorical_accuracy,
)
from dougong.ops.crossentropy import (
    binary_crossentropy,
    categorical_crossentropy,
    kl_divergence,
    poisson,
    sparse_categorical_crossentropy,
)
from dougong.ops.hinges import categorical_hinge, hinge, squared_hinge
from dougong.ops.regression_errors import (
    huber,
    log_cosh,
    mean_absolute_error,
    mean_absolute_percentage_error,
    mean_squared_error,
    mean_squared_logarithmic_error,
)
from dougong.ops.similarity import concordance_correlation, cosine_similarity, pearson_correlation

__all__ = ["FUNCTIONS"]

_NAMED: tuple[Callable[..., Tensor], ...] = (
    accuracy,
    binary_accuracy,
    binary_crossentropy,
    categorical_accuracy,
    categorical_crossentropy,
    categorical_hinge,
    concordance_correlation,
    cosine_similarity,
    hinge,
    huber,
    kl_divergence,
    log_cosh,
    mean_absolute_error,
    mean_absolute_percentage_error,
    mean_squared_error,
    mean_squared_logarithmic_error,
    pearson_correlation,
    poisson,
    sparse_categorical_accuracy,
    sparse_categorical_crossentropy,
    sparse_top_k_categorical_accuracy,
    squared_hinge,
    top_k_categorical_accuracy,
)

FUNCTIONS: Mapping[str, Callable[..., Tensor]] = {function.__name__: function for function in _NAMED}
