"""Keras's loss functions by name, its short and its historic names with them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from torch import Tensor

from dougong.losses.focal import (
    binary_focal_crossentropy,
    categorical_focal_crossentropy,
    categorical_generalized_cross_entropy,
)
from dougong.losses.segmentation import dice, tversky
from dougong.losses.sequence import ctc
from dougong.losses.similarity import circle, cosine_similarity
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

__all__ = ["FUNCTIONS"]

_NAMED: tuple[Callable[..., Tensor], ...] = (
    binary_crossentropy,
    binary_focal_crossentropy,
    categorical_crossentropy,
    categorical_focal_crossentropy,
    categorical_generalized_cross_entropy,
    categorical_hinge,
    circle,
    cosine_similarity,
    ctc,
    dice,
    hinge,
    huber,
    kl_divergence,
    log_cosh,
    mean_absolute_error,
    mean_absolute_percentage_error,
    mean_squared_error,
    mean_squared_logarithmic_error,
    poisson,
    sparse_categorical_crossentropy,
    squared_hinge,
    tversky,
)

FUNCTIONS: Mapping[str, Callable[..., Tensor]] = {
    **{function.__name__: function for function in _NAMED},
    "bce": binary_crossentropy,
    "BCE": binary_crossentropy,
    "huber_loss": huber,
    "kld": kl_divergence,
    "KLD": kl_divergence,
    "kullback_leibler_divergence": kl_divergence,
    "logcosh": log_cosh,
    "mae": mean_absolute_error,
    "MAE": mean_absolute_error,
    "mape": mean_absolute_percentage_error,
    "MAPE": mean_absolute_percentage_error,
    "mse": mean_squared_error,
    "MSE": mean_squared_error,
    "msle": mean_squared_logarithmic_error,
    "MSLE": mean_squared_logarithmic_error,
}
