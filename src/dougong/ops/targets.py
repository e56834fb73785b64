"""What losses and metrics share: how targets, predictions, weights and masks are brought together.

Everything here looks at shapes and dtypes only, never at values, so it can be traced.
Shapes: N batch, T steps, C classes.   Ref: Keras 3 semantics.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor

from dougong.core.dtypes import torch_dtype
from dougong.core.errors import ShapeError

__all__ = [
    "as_pair",
    "as_tensor",
    "check_same_shape",
    "divide_no_nan",
    "mask_of",
    "match_weights",
    "merge_mask",
    "same_rank",
    "target_kind",
]


def as_tensor(value: Any, dtype: torch.dtype | None = None, device: torch.device | None = None) -> Tensor:
    """A tensor from a tensor, an array or nested lists; as it is where nothing has to change.

    >>> as_tensor([1, 2], torch.float32)
    tensor([1., 2.])
    """
    if isinstance(value, Tensor):
        return value if dtype is None else value.to(dtype)
    return torch.as_tensor(value, dtype=dtype, device=device)


def same_rank(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """Give both the same rank where they differ by one axis of length 1 at the end.

    ``(N,)`` against ``(N, 1)`` becomes ``(N, 1)`` twice; of higher ranks the longer one is squeezed.

    >>> [tuple(x.shape) for x in same_rank(torch.zeros(4), torch.zeros(4, 1))]
    [(4, 1), (4, 1)]
    """
    difference = first.ndim - second.ndim
    if difference == 1 and first.shape[-1] == 1:
        return (first, second.unsqueeze(-1)) if second.ndim == 1 else (first.squeeze(-1), second)
    if difference == -1 and second.shape[-1] == 1:
        return (first.unsqueeze(-1), second) if first.ndim == 1 else (first, second.squeeze(-1))
    return first, second


def as_pair(y_true: Any, y_pred: Any) -> tuple[Tensor, Tensor]:
    """Targets and predictions as floating-point tensors of one dtype and one shape.

    Raises: ShapeError if the shapes differ: a silent broadcast of labels against outputs is always a mistake.
    """
    y_pred = as_tensor(y_pred)
    if not y_pred.is_floating_point():
        y_pred = y_pred.to(torch_dtype(None))
    y_true, y_pred = same_rank(as_tensor(y_true, y_pred.dtype, y_pred.device), y_pred)
    check_same_shape(y_true, y_pred)
    return y_true, y_pred


def check_same_shape(y_true: Tensor, y_pred: Tensor, advice: str = "") -> None:
    """Raises: ShapeError naming both shapes, unless they are equal."""
    if y_true.shape != y_pred.shape:
        advice = advice or "give one target for each output"
        raise ShapeError(f"y_true has shape {_show(y_true.shape)}, but y_pred has {_show(y_pred.shape)}; {advice}.")


def match_weights(values: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Line weights up with values so that they can be multiplied: weight axes are the *leading* axes of the values.

    Raises: ShapeError if they do not fit.   Keras: as `keras.losses`, where that works; there a weight a sample against
    values ``(N, T)`` is an error or, where N equals T, is taken for a weight a step.

    >>> values, weights = match_weights(torch.ones(2, 3), torch.tensor([1.0, 0.0]))
    >>> values * weights
    tensor([[1., 1., 1.],
            [0., 0., 0.]])
    """
    given = weights.shape
    values, weights = same_rank(values, weights)
    if weights.ndim < values.ndim:
        weights = weights.reshape(*weights.shape, *[1] * (values.ndim - weights.ndim))
    if values.ndim and any(w not in (1, v) for w, v in zip(weights.shape, values.shape, strict=True)):
        raise ShapeError(
            f"weights of shape {_show(given)} do not fit values of shape {_show(values.shape)};"
            " give one weight a sample, or one for each value."
        )
    return values, weights


def mask_of(value: Any) -> Tensor | None:
    """The mask a tensor carries from the layer that made it; False marks what shall not count."""
    return getattr(value, "_keras_mask", None)


def merge_mask(sample_weight: Tensor | None, mask: Tensor | None, dtype: torch.dtype) -> Tensor | None:
    """Weights that are zero where the mask is False.

    >>> merge_mask(torch.tensor([2.0, 3.0]), torch.tensor([[True, False], [True, True]]), torch.float32)
    tensor([[2., 0.],
            [3., 3.]])
    """
    if mask is None:
        return sample_weight
    kept = mask.to(dtype)
    if sample_weight is None:
        return kept
    kept, sample_weight = match_weights(kept, sample_weight)
    return kept * sample_weight


def divide_no_nan(numerator: Tensor, denominator: Tensor) -> Tensor:
    """``numerator / denominator``, and 0 where the denominator is 0.

    >>> divide_no_nan(torch.tensor([1.0, 1.0]), torch.tensor([2.0, 0.0]))
    tensor([0.5000, 0.0000])
    """
    empty = denominator == 0
    # The quotient is made safe before it is dropped: 0 * inf in the gradient of a plain `where` would be NaN.
    return torch.where(empty, 0.0, numerator / torch.where(empty, 1.0, denominator))


def target_kind(
    y_true_shape: Sequence[int | None], y_pred_shape: Sequence[int | None]
) -> Literal["binary", "sparse", "categorical"]:
    """What the shapes say the labels are: 0/1 for one output, a class number, or one column a class.

    Keras: the rule behind the names "accuracy" and "crossentropy" in ``compile``.

    >>> target_kind((8, 1), (8, 1)), target_kind((8,), (8, 10)), target_kind((8, 10), (8, 10))
    ('binary', 'sparse', 'categorical')
    """
    if not y_pred_shape:
        raise ShapeError("y_pred is a single number; losses and metrics need at least one axis, the batch.")
    outputs = y_pred_shape[-1]
    if outputs == 1:
        return "binary"
    several = outputs is None or outputs > 1
    sparse = len(y_true_shape) < len(y_pred_shape) or (y_true_shape[-1] == 1 and several)
    return "sparse" if sparse else "categorical"


def _show(shape: Sequence[int]) -> str:
    return str(tuple(shape))
