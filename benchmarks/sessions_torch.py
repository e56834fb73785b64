"""PyTorch by hand: a model, an Adam, a loop over shuffled batches.   N batch, H height, W width, C channels."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.cases import LEARNING_RATE, Case
from benchmarks.torch_models import build

__all__ = ["TorchSession", "dense_call"]


class TorchSession:
    """A training loop in plain PyTorch.

    ``tuned`` adds what the PyTorch performance guide advises on a CPU: fused Adam, ``channels_last`` images,
    ``inference_mode`` for prediction. Both forms set gradients to None, and read the loss once per pass, not per step.
    """

    def __init__(self, case: Case, x: np.ndarray, y: np.ndarray, *, tuned: bool) -> None:
        torch.manual_seed(0)
        self.case, self.tuned = case, tuned
        self.images = len(case.shape) == 3
        self.x, self.y = self._stored(x), torch.from_numpy(y)
        self.sample = np.ascontiguousarray(self.x[: case.batch].numpy())
        self.model = build(case)
        if tuned and self.images:
            self.model.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]  its stubs lack it
        self.loss = nn.BCEWithLogitsLoss() if case.loss == "binary" else nn.CrossEntropyLoss()
        options: dict[str, Any] = {"fused": True} if tuned else {}
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=LEARNING_RATE, **options)

    def _stored(self, x: np.ndarray) -> Tensor:
        """Images as each form keeps them: NCHW, or NHWC to be viewed as channels_last NCHW."""
        stored = torch.from_numpy(x)
        return stored.permute(0, 3, 1, 2).contiguous() if self.images and not self.tuned else stored

    def _seen(self, batch: Tensor) -> Tensor:
        return batch.permute(0, 3, 1, 2) if self.images and self.tuned else batch

    def train(self, steps: int) -> float:
        """Make ``steps`` training steps (epochs, for an epoch case); the mean loss."""
        if self.case.unit == "epoch":
            return float(sum(self._one_pass(self.case.rows) for _ in range(steps)) / steps)
        return float(self._one_pass(steps * self.case.batch) / steps)

    def _one_pass(self, rows: int) -> Tensor:
        """One shuffled pass over the first ``rows`` samples; the sum of the batch losses."""
        model, loss_of, optimizer = self.model.train(), self.loss, self.optimizer
        total = torch.zeros(())
        for chosen in torch.randperm(rows).split(self.case.batch):
            optimizer.zero_grad(set_to_none=True)
            loss = loss_of(model(self._seen(self.x[chosen])), self.y[chosen])
            loss.backward()
            optimizer.step()
            total += loss.detach()
        return total

    def predict(self) -> np.ndarray:
        """Logits of one batch, NumPy in and out: ``[N, *shape] -> [N, outputs]``."""
        if self.model.training:
            self.model.eval()
        with torch.inference_mode() if self.tuned else torch.no_grad():
            return self.model(self._seen(torch.from_numpy(self.sample))).numpy()

    def parameters(self) -> int:
        """Number of trainable values."""
        return sum(p.numel() for p in self.model.parameters())

    def threads(self) -> int | None:
        """Threads PyTorch computes with."""
        return torch.get_num_threads()


def dense_call() -> Callable[[], Any]:
    """One dense layer with ReLU on ``[32, 64]``, ready to be called: for counting Python frames."""
    return partial(nn.Sequential(nn.Linear(64, 64), nn.ReLU()), torch.zeros(32, 64))
