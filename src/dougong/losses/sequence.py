"""The loss of unaligned sequences.   Shapes: N batch, T steps, C classes with the blank, L labels."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from dougong.core.errors import ShapeError
from dougong.losses.loss import StandardLoss
from dougong.ops.targets import as_tensor

__all__ = ["CTC", "ctc"]

BLANK = 0


def ctc(y_true: Any, y_pred: Any) -> Tensor:
    r"""Minus the log-probability of a label sequence, summed over all ways to align it with the steps.

    Class 0 is the blank, and labels of 0 at the end of a row are padding: so labels are 1 … C - 1, and the length of a
    row is the number of labels that are not 0.  Predictions are logits (log-probabilities do as well), and all T steps
    count.  A sequence that cannot fit in T steps (labels, plus one for each that repeats its neighbour) gives inf, and
    NaN in its gradient.
    Shapes: ``(N, L), (N, T, C) -> (N,)``.   Units: nats a sequence, not divided by its length.
    Raises: ShapeError for other shapes.   Keras: equals ``keras.losses.ctc``; `keras.ops.ctc_loss` takes lengths.
    Ref: Graves et al. 2006, doi:10.1145/1143844.1143891.

    >>> ctc([[1, 0]], torch.zeros(1, 2, 3))
    tensor([1.0986])
    """
    y_pred = as_tensor(y_pred)
    y_true = as_tensor(y_true, torch.int64, y_pred.device)
    if y_true.ndim != 2 or y_pred.ndim != 3 or y_true.shape[0] != y_pred.shape[0]:
        raise ShapeError(
            f"ctc takes labels (N, L), padded with 0, and logits (N, T, C), got {tuple(y_true.shape)} and"
            f" {tuple(y_pred.shape)}."
        )
    samples, steps, _ = y_pred.shape
    logs = functional.log_softmax(y_pred.transpose(0, 1), -1, dtype=torch.promote_types(y_pred.dtype, torch.float32))
    step_counts = torch.full((samples,), steps, dtype=torch.int64, device=y_pred.device)
    # Lengths stay tensors: as numbers they would be frozen into a captured step.
    label_counts = (y_true != BLANK).sum(-1)
    return functional.ctc_loss(logs, y_true, step_counts, label_counts, blank=BLANK, reduction="none")


class CTC(StandardLoss):
    """Connectionist temporal classification: text from a line of steps; see `ctc` for the blank and the padding.

    >>> CTC()([[1, 0]], torch.zeros(1, 2, 3))
    tensor(1.0986)
    """

    default_name = "ctc"
    casts_targets = False

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        return ctc(y_true, y_pred)
