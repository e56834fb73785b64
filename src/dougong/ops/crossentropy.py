"""Losses of predicted probabilities.   Shapes: N batch, C classes.   Units: nats.   Ref: Keras 3 semantics.

Probabilities are kept within ``[ε, 1 - ε]``, so every value is finite for finite input; a NaN prediction gives NaN.
Raises: ShapeError, naming both shapes, where targets do not fit the predictions.
"""

from __future__ import annotations

import warnings
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from dougong.core.dtypes import torch_dtype
from dougong.core.errors import ConfigError, ShapeError
from dougong.core.settings import SETTINGS
from dougong.ops.targets import as_pair, as_tensor, check_same_shape, same_rank

__all__ = [
    "NO_CLASS",
    "binary_crossentropy",
    "binary_crossentropy_terms",
    "categorical_crossentropy",
    "categorical_crossentropy_terms",
    "categorical_pair",
    "kl_divergence",
    "log_probabilities",
    "poisson",
    "poisson_terms",
    "smooth_categorical",
    "sparse_categorical_crossentropy",
    "sparse_pair",
]

NO_CLASS = -(2**31)
"""An index to ignore that no label has; torch's own default would pass labels of -100 over in silence."""


class _ProbabilityCrossentropy(torch.autograd.Function):
    """Binary cross-entropy of a probability, from the clipped logit.

    torch's own `binary_cross_entropy` stops the process on CUDA, and raises on the CPU, when a prediction is NaN;
    this one gives NaN.  Its backward is torch's, which loses no digits near 0 and 1 as that of the logit would.
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(y_true: Tensor, y_pred: Tensor) -> Tensor:
        return functional.binary_cross_entropy_with_logits(
            torch.logit(y_pred, SETTINGS.epsilon), y_true, reduction="none"
        )

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:  # noqa: ARG004
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor]:  # pyright: ignore[reportIncompatibleMethodOverride]
        y_true, y_pred = ctx.saved_tensors
        clipped = y_pred.clamp(SETTINGS.epsilon, 1.0 - SETTINGS.epsilon)
        slope = torch.ops.aten.binary_cross_entropy_backward(gradient, clipped, y_true, None, 0)
        true_slope = -gradient * torch.logit(y_pred, SETTINGS.epsilon) if ctx.needs_input_grad[0] else None
        return true_slope, torch.where(clipped == y_pred, slope, 0.0)


def binary_crossentropy_terms(
    y_true: Tensor, y_pred: Tensor, from_logits: bool = False, label_smoothing: float = 0.0
) -> Tensor:
    """``-t·ln p - (1 - t)·ln(1 - p)``, one term an element."""
    if label_smoothing:
        y_true = y_true * (1.0 - label_smoothing) + 0.5 * label_smoothing
    if from_logits:
        return functional.binary_cross_entropy_with_logits(y_pred, y_true, reduction="none")
    return _ProbabilityCrossentropy.apply(y_true, y_pred)  # pyright: ignore[reportReturnType]


def binary_crossentropy(
    y_true: Any, y_pred: Any, from_logits: bool = False, label_smoothing: float = 0.0, axis: int = -1
) -> Tensor:
    r"""The mean over ``axis`` of :math:`-t \ln p - (1 - t)\ln(1 - p)`.

    ``label_smoothing`` s draws the targets to one half: :math:`t(1 - s) + s/2`.   Keras: equals its namesake.

    >>> binary_crossentropy([[0.0, 1.0]], [[0.5, 0.5]])
    tensor([0.6931])
    """
    return binary_crossentropy_terms(*as_pair(y_true, y_pred), from_logits, label_smoothing).mean(axis)


def log_probabilities(y_pred: Tensor, from_logits: bool, axis: int) -> Tensor:
    """Logarithms of class probabilities along ``axis``; probabilities are first scaled to sum to 1."""
    if from_logits:
        return functional.log_softmax(y_pred, axis)
    return (y_pred / y_pred.sum(axis, keepdim=True)).clamp(SETTINGS.epsilon, 1.0 - SETTINGS.epsilon).log()


def categorical_pair(y_true: Any, y_pred: Any, axis: int = -1) -> tuple[Tensor, Tensor]:
    """One-hot targets and class scores as floating-point tensors of one shape."""
    if isinstance(axis, bool):
        raise ConfigError(f"axis is the number of the class axis, got {axis}")
    y_pred = _floating(y_pred)
    y_true = as_tensor(y_true, y_pred.dtype, y_pred.device)
    if y_true.shape != y_pred.shape:
        y_true, y_pred = same_rank(y_true, y_pred)
    advice = "give one-hot targets"
    if list(y_true.shape) in _sparse_shapes(y_pred, axis):
        advice = "for class numbers use SparseCategoricalCrossentropy, or make the targets one-hot with to_categorical"
    check_same_shape(y_true, y_pred, advice)
    if y_pred.shape[-1] == 1:
        warnings.warn(
            f"a categorical loss on outputs of shape {tuple(y_pred.shape)} has one class, so nothing to choose from;"
            " use a binary loss for two classes",
            SyntaxWarning,
            stacklevel=2,
        )
    return y_true, y_pred


def smooth_categorical(y_true: Tensor, label_smoothing: float) -> Tensor:
    """Targets drawn to the uniform distribution.   Keras: C is the size of the *last* axis, whatever ``axis`` is."""
    if not label_smoothing:
        return y_true
    return y_true * (1.0 - label_smoothing) + label_smoothing / y_true.shape[-1]


def categorical_crossentropy_terms(
    y_true: Tensor, y_pred: Tensor, from_logits: bool = False, label_smoothing: float = 0.0, axis: int = -1
) -> Tensor:
    """``t·ln p``, to be summed over the classes and negated."""
    return smooth_categorical(y_true, label_smoothing) * log_probabilities(y_pred, from_logits, axis)


def categorical_crossentropy(
    y_true: Any, y_pred: Any, from_logits: bool = False, label_smoothing: float = 0.0, axis: int = -1
) -> Tensor:
    r""":math:`-\sum_c t_c \ln p_c` along ``axis``, for one-hot targets (or any distribution).

    Shapes: ``(N, ..., C), (N, ..., C) -> (N, ...)``.   Keras: equals its namesake, with its label smoothing
    :math:`t(1 - s) + s/C`.

    >>> categorical_crossentropy([[0, 1, 0]], [[0.2, 0.5, 0.3]])
    tensor([0.6931])
    """
    pair = categorical_pair(y_true, y_pred, axis)
    return -categorical_crossentropy_terms(*pair, from_logits, label_smoothing, axis).sum(axis)


def sparse_pair(y_true: Any, y_pred: Any, axis: int = -1) -> tuple[Tensor, Tensor, list[int]]:
    """Class numbers ``(M,)`` and scores ``(M, C)`` of all samples and steps, and the shape that M stands for."""
    y_pred = _floating(y_pred)
    y_true = as_tensor(y_true, torch.int64, y_pred.device)
    classless, with_one = _sparse_shapes(y_pred, axis)
    if list(y_true.shape) == with_one:
        y_true = y_true.squeeze(axis)
    elif list(y_true.shape) != classless:
        advice = f"give class numbers of shape {tuple(classless)}"
        if y_true.shape == y_pred.shape:
            advice = "for one-hot targets use CategoricalCrossentropy, or " + advice
        raise ShapeError(f"y_true has shape {tuple(y_true.shape)}, but y_pred has {tuple(y_pred.shape)}; {advice}.")
    if y_pred.ndim != 2 or axis not in (1, -1):
        y_true, y_pred = y_true.reshape(-1), y_pred.movedim(axis, -1).reshape(-1, y_pred.shape[axis])
    return y_true, y_pred, classless


def sparse_categorical_crossentropy(
    y_true: Any, y_pred: Any, from_logits: bool = False, ignore_class: int | None = None, axis: int = -1
) -> Tensor:
    r""":math:`-\ln p_t` for class numbers t.   Shapes: ``(N, ...), (N, ..., C) -> (N, ...)``; ``(N, ..., 1)`` will do.

    Samples of ``ignore_class`` (-1 or 255, say) give 0, and the result carries a mask so that a mean leaves them out.
    Class numbers are not checked here, since that would read values; `fit` checks its data once.
    Keras: equals its namesake.

    >>> sparse_categorical_crossentropy([1, 0], [[0.5, 0.5], [0.25, 0.75]])
    tensor([0.6931, 1.3863])
    """
    labels, scores, shape = sparse_pair(y_true, y_pred, axis)
    ignored = NO_CLASS if ignore_class is None else ignore_class
    logs = log_probabilities(scores, from_logits, 1)
    values = functional.nll_loss(logs, labels, reduction="none", ignore_index=ignored)
    if len(shape) != 1:
        values, labels = values.reshape(shape), labels.reshape(shape)
    if ignore_class is not None:
        setattr(values, "_keras_mask", labels != ignore_class)  # noqa: B010  an attribute torch does not declare
    return values


def kl_divergence(y_true: Any, y_pred: Any) -> Tensor:
    r""":math:`\sum t \ln(t / p)` over the last axis, with t and p clipped to :math:`[\epsilon, 1]`.

    Keras: equals its namesake.

    >>> kl_divergence([[0.5, 0.5]], [[0.25, 0.75]])
    tensor([0.1438])
    """
    y_true, y_pred = as_pair(y_true, y_pred)
    y_true, y_pred = y_true.clamp(SETTINGS.epsilon, 1.0), y_pred.clamp(SETTINGS.epsilon, 1.0)
    return (y_true * (y_true / y_pred).log()).sum(-1)


def poisson_terms(y_true: Tensor, y_pred: Tensor) -> Tensor:
    """``p - t·ln(p + ε)``, one term an element."""
    return y_pred - y_true * (y_pred + SETTINGS.epsilon).log()


def poisson(y_true: Any, y_pred: Any) -> Tensor:
    r"""The mean of :math:`p - t \ln(p + \epsilon)`: minus the log-likelihood of counts t at rate p, up to a constant.

    Keras: equals its namesake.

    >>> poisson([[2.0]], [[1.0]]).round(decimals=4)
    tensor([1.])
    """
    return poisson_terms(*as_pair(y_true, y_pred)).mean(-1)


def _floating(value: Any) -> Tensor:
    value = as_tensor(value)
    if not value.ndim:
        raise ShapeError("y_pred is a single number, but a loss over classes needs a class axis.")
    return value if value.is_floating_point() else value.to(torch_dtype(None))


def _sparse_shapes(y_pred: Tensor, axis: int) -> tuple[list[int], list[int]]:
    """The shapes that class numbers for these scores may have: without the class axis, or with one of length 1."""
    classless, with_one = list(y_pred.shape), list(y_pred.shape)
    del classless[axis]
    with_one[axis] = 1
    return classless, with_one
