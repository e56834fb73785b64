"""Cross-entropies that weigh samples by how well they are predicted already.   Shapes: N batch, C classes.

Ref: Lin et al. 2017, arXiv:1708.02002 (focal); Zhang & Sabuncu 2018, arXiv:1805.07836 (generalized).   Keras: equal.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from dougong.core.dtypes import Policy
from dougong.core.errors import ConfigError
from dougong.core.settings import SETTINGS
from dougong.losses.loss import PointwiseLoss, Reduction, StandardLoss
from dougong.ops.crossentropy import binary_crossentropy_terms, categorical_pair, smooth_categorical
from dougong.ops.targets import as_pair, as_tensor, check_same_shape

__all__ = [
    "BinaryFocalCrossentropy",
    "CategoricalFocalCrossentropy",
    "CategoricalGeneralizedCrossEntropy",
    "binary_focal_crossentropy",
    "categorical_focal_crossentropy",
    "categorical_generalized_cross_entropy",
]


def binary_focal_terms(
    y_true: Tensor,
    y_pred: Tensor,
    *,
    apply_class_balancing: bool,
    alpha: float,
    gamma: float,
    from_logits: bool,
    label_smoothing: float,
) -> Tensor:
    """``(1 - p_t)^γ`` times the binary cross-entropy, one term an element; p_t is the probability of the target."""
    if label_smoothing:
        y_true = y_true * (1.0 - label_smoothing) + 0.5 * label_smoothing
    probability = y_pred.sigmoid() if from_logits else y_pred
    of_target = y_true * probability + (1.0 - y_true) * (1.0 - probability)
    terms = (1.0 - of_target).pow(gamma) * binary_crossentropy_terms(y_true, probability)
    if apply_class_balancing:
        terms = terms * (y_true * alpha + (1.0 - y_true) * (1.0 - alpha))
    return terms


def binary_focal_crossentropy(
    y_true: Any,
    y_pred: Any,
    apply_class_balancing: bool = False,
    alpha: float = 0.25,
    gamma: float = 2.0,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Tensor:
    r"""The mean over ``axis`` of :math:`(1 - p_t)^\gamma` times the binary cross-entropy.

    :math:`p_t` is the probability given to the target.  ``apply_class_balancing`` weighs ones by ``alpha``, zeros by
    1 - ``alpha``.   Raises: ShapeError if the shapes differ.   Keras: equals its namesake.

    >>> binary_focal_crossentropy([[1.0]], [[0.5]])
    tensor([0.1733])
    """
    terms = binary_focal_terms(
        *as_pair(y_true, y_pred),
        apply_class_balancing=apply_class_balancing,
        alpha=alpha,
        gamma=gamma,
        from_logits=from_logits,
        label_smoothing=label_smoothing,
    )
    return terms.mean(axis)


def categorical_focal_crossentropy(
    y_true: Any,
    y_pred: Any,
    alpha: float = 0.25,
    gamma: float = 2.0,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Tensor:
    r""":math:`-\sum_c \alpha (1 - p_c)^\gamma t_c \ln p_c` for one-hot targets.

    Shapes: ``(N, ..., C), (N, ..., C) -> (N, ...)``.   Raises: ShapeError for class numbers.
    Keras: equals its namesake.

    >>> categorical_focal_crossentropy([[1, 0]], [[0.5, 0.5]])
    tensor([0.0433])
    """
    y_true, y_pred = categorical_pair(y_true, y_pred, axis)
    y_true = smooth_categorical(y_true, label_smoothing)
    if from_logits:
        y_pred = functional.softmax(y_pred, axis)
    output = (y_pred / y_pred.sum(axis, keepdim=True)).clamp(SETTINGS.epsilon, 1.0 - SETTINGS.epsilon)
    return ((1.0 - output).pow(gamma) * (-alpha) * y_true * output.log()).sum(axis)


def categorical_generalized_cross_entropy(y_true: Any, y_pred: Any, q: float = 0.5) -> Tensor:
    r""":math:`(1 - p_t^q) / q` for class numbers t: between cross-entropy (q to 0) and absolute error (q = 1).

    Robust against wrong labels.   Shapes: ``(N,), (N, C) -> (N,)``; class numbers outside 0 … C - 1 count as p = 0.
    Raises: ShapeError if the shapes do not fit.   Keras: equals its namesake.

    >>> categorical_generalized_cross_entropy([1], [[0.75, 0.25]])
    tensor([1.])
    """
    y_pred = as_tensor(y_pred)
    y_true = as_tensor(y_true, torch.int64, y_pred.device)
    if y_true.ndim == y_pred.ndim and y_true.shape[-1] == 1:
        y_true = y_true.squeeze(-1)
    check_same_shape(y_true, y_pred.select(-1, 0), "give one class number for each row of outputs")
    of_target = (y_pred * (y_true.unsqueeze(-1) == torch.arange(y_pred.shape[-1], device=y_pred.device))).sum(-1)
    return (1.0 - of_target.pow(q)) / q


class BinaryFocalCrossentropy(PointwiseLoss):
    """Binary cross-entropy for rare positives; see `binary_focal_crossentropy`.

    >>> BinaryFocalCrossentropy()([[1.0]], [[0.5]])
    tensor(0.1733)
    """

    def __init__(
        self,
        apply_class_balancing: bool = False,
        alpha: float = 0.25,
        gamma: float = 2.0,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: Reduction = "sum_over_batch_size",
        name: str | None = "binary_focal_crossentropy",
        dtype: str | torch.dtype | Policy | None = None,
    ) -> None:
        super().__init__(reduction, name, dtype)
        self.apply_class_balancing = apply_class_balancing
        self.alpha = alpha
        self.gamma = gamma
        self.from_logits = from_logits
        self.label_smoothing = label_smoothing
        self.axis = axis

    def terms(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        return binary_focal_terms(
            y_true,
            y_pred,
            apply_class_balancing=self.apply_class_balancing,
            alpha=self.alpha,
            gamma=self.gamma,
            from_logits=self.from_logits,
            label_smoothing=self.label_smoothing,
        )

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        return self.terms(*as_pair(y_true, y_pred)).mean(self.axis)


class CategoricalFocalCrossentropy(StandardLoss):
    """Categorical cross-entropy for unequal classes; see `categorical_focal_crossentropy`.

    >>> CategoricalFocalCrossentropy()([[1, 0]], [[0.5, 0.5]])
    tensor(0.0433)
    """

    def __init__(
        self,
        alpha: float = 0.25,
        gamma: float = 2.0,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: Reduction = "sum_over_batch_size",
        name: str | None = "categorical_focal_crossentropy",
        dtype: str | torch.dtype | Policy | None = None,
    ) -> None:
        super().__init__(reduction, name, dtype)
        self.alpha = alpha
        self.gamma = gamma
        self.from_logits = from_logits
        self.label_smoothing = label_smoothing
        self.axis = axis

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        return categorical_focal_crossentropy(
            y_true, y_pred, self.alpha, self.gamma, self.from_logits, self.label_smoothing, self.axis
        )


class CategoricalGeneralizedCrossEntropy(StandardLoss):
    """Cross-entropy that wrong labels hurt less; see `categorical_generalized_cross_entropy`.

    Raises: ConfigError unless 0 < ``q`` < 1.

    >>> CategoricalGeneralizedCrossEntropy()([1], [[0.75, 0.25]])
    tensor(1.)
    """

    casts_targets = False

    def __init__(
        self,
        q: float = 0.5,
        reduction: Reduction = "sum_over_batch_size",
        name: str | None = "categorical_generalized_cross_entropy",
        dtype: str | torch.dtype | Policy | None = None,
    ) -> None:
        super().__init__(reduction, name, dtype)
        if not 0.0 < q < 1.0:
            raise ConfigError(f"q must lie between 0 and 1, both excluded, got {q}")
        self.q = q

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        return categorical_generalized_cross_entropy(y_true, y_pred, self.q)
