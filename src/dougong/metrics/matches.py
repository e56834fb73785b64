"""Where predictions are right.   Shapes: N batch, C classes.   Ref: Keras 3 semantics.

A ``*_matches`` function gives True and False, which a mean counts as they are; the function named like Keras's gives
them as 1.0 and 0.0.   Raises: ShapeError, naming both shapes, where targets do not fit.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from dougong.ops.targets import as_tensor, check_same_shape, same_rank

__all__ = [
    "accuracy",
    "accuracy_matches",
    "binary_accuracy",
    "binary_matches",
    "categorical_accuracy",
    "categorical_matches",
    "sparse_categorical_accuracy",
    "sparse_matches",
    "sparse_top_k_categorical_accuracy",
    "sparse_top_k_matches",
    "top_k_categorical_accuracy",
    "top_k_matches",
]


def accuracy_matches(y_true: Any, y_pred: Any) -> Tensor:
    y_true, y_pred = _pair(y_true, y_pred)
    return y_true == y_pred


def accuracy(y_true: Any, y_pred: Any) -> Tensor:
    """1 where the prediction *is* the target.   Shapes: ``[...], [...] -> [...]``.   Keras: equals its namesake.

    >>> accuracy([1, 2], [1, 3])
    tensor([1., 0.])
    """
    return accuracy_matches(y_true, y_pred).to(torch.float32)


def binary_matches(y_true: Any, y_pred: Any, threshold: float = 0.5) -> Tensor:
    y_true, y_pred = _pair(y_true, y_pred)
    return (y_pred > threshold) == y_true


def binary_accuracy(y_true: Any, y_pred: Any, threshold: float = 0.5) -> Tensor:
    """1 where the prediction lies on its target's side of ``threshold``, which itself counts as 0.

    Shapes: ``[...], [...] -> [...]``.   Keras: equals its namesake.

    >>> binary_accuracy([[0.0], [1.0]], [[0.5], [0.6]])
    tensor([[1.],
            [1.]])
    """
    return binary_matches(y_true, y_pred, threshold).to(torch.float32)


def categorical_matches(y_true: Any, y_pred: Any) -> Tensor:
    y_true, y_pred = _pair(y_true, y_pred, "for class numbers use the sparse metric of that name")
    return y_true.argmax(-1) == y_pred.argmax(-1)


def categorical_accuracy(y_true: Any, y_pred: Any) -> Tensor:
    """1 where the largest score is the target's class.   Shapes: ``[..., C], [..., C] -> [...]``, targets one-hot.

    Keras: equals its namesake.

    >>> categorical_accuracy([[0, 1], [1, 0]], [[0.2, 0.8], [0.4, 0.6]])
    tensor([1., 0.])
    """
    return categorical_matches(y_true, y_pred).to(torch.float32)


def sparse_matches(y_true: Any, y_pred: Any) -> Tensor:
    y_true, y_pred = _sparse_pair(y_true, y_pred)
    return y_pred.argmax(-1) == y_true


def sparse_categorical_accuracy(y_true: Any, y_pred: Any) -> Tensor:
    """1 where the largest score is the target's class.   Shapes: ``[...] or [..., 1], [..., C] -> [...]``.

    Keras: equals its namesake.

    >>> sparse_categorical_accuracy([1, 0], [[0.2, 0.8], [0.4, 0.6]])
    tensor([1., 0.])
    """
    return sparse_matches(y_true, y_pred).to(torch.float32)


def top_k_matches(y_true: Any, y_pred: Any, k: int = 5) -> Tensor:
    y_true, y_pred = _pair(y_true, y_pred, "for class numbers use the sparse metric of that name")
    return _in_top_k(y_true.argmax(-1), y_pred, k)


def top_k_categorical_accuracy(y_true: Any, y_pred: Any, k: int = 5) -> Tensor:
    """1 where the target's class is among the ``k`` largest scores, or ties with the last of them; k > C is C.

    Shapes: ``[..., C], [..., C] -> [...]``, targets one-hot.   Keras: equals its namesake, which refuses k > C.

    >>> top_k_categorical_accuracy([[0, 1, 0]], [[0.5, 0.3, 0.2]], k=2)
    tensor([1.])
    """
    return top_k_matches(y_true, y_pred, k).to(torch.float32)


def sparse_top_k_matches(y_true: Any, y_pred: Any, k: int = 5, from_sorted_ids: bool = False) -> Tensor:
    y_true, y_pred = _sparse_pair(y_true, y_pred)
    if from_sorted_ids:
        return (y_pred[..., :k] == y_true.unsqueeze(-1)).any(-1)
    return _in_top_k(y_true.to(torch.int64), y_pred, k)


def sparse_top_k_categorical_accuracy(y_true: Any, y_pred: Any, k: int = 5, from_sorted_ids: bool = False) -> Tensor:
    """1 where the target's class is among the ``k`` largest scores, or ties with the last of them; k > C is C.

    With ``from_sorted_ids`` the predictions are class numbers, best first.
    Shapes: ``[...] or [..., 1], [..., C] -> [...]``.   Keras: equals its namesake, which refuses k > C.

    >>> sparse_top_k_categorical_accuracy([1, 2], [[0.5, 0.3, 0.2], [0.5, 0.3, 0.2]], k=2)
    tensor([1., 0.])
    """
    return sparse_top_k_matches(y_true, y_pred, k, from_sorted_ids).to(torch.float32)


def _in_top_k(labels: Tensor, scores: Tensor, k: int) -> Tensor:
    last = scores.topk(min(k, scores.shape[-1])).values[..., -1]
    return scores.gather(-1, labels.unsqueeze(-1)).squeeze(-1) >= last


def _pair(y_true: Any, y_pred: Any, advice: str = "") -> tuple[Tensor, Tensor]:
    y_pred = as_tensor(y_pred)
    y_true, y_pred = same_rank(as_tensor(y_true, device=y_pred.device), y_pred)
    check_same_shape(y_true, y_pred, advice)
    return y_true, y_pred


def _sparse_pair(y_true: Any, y_pred: Any) -> tuple[Tensor, Tensor]:
    y_pred = as_tensor(y_pred)
    y_true = as_tensor(y_true, device=y_pred.device)
    if y_true.ndim == y_pred.ndim and y_true.shape[-1] == 1:
        y_true = y_true.squeeze(-1)
    if y_true.shape != y_pred.shape[:-1]:
        check_same_shape(y_true, y_pred.select(-1, 0), "give one class number for each row of scores")
    return y_true, y_pred
