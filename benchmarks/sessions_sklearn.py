"""scikit-learn's multilayer perceptron, one ``partial_fit`` a batch."""

from __future__ import annotations

import numpy as np
from sklearn.neural_network import MLPClassifier

from benchmarks.cases import LEARNING_RATE, Case

__all__ = ["SklearnSession"]


class SklearnSession:
    """``MLPClassifier`` with Adam and without its L2 penalty; float32 like everyone.

    All losses of the cases are classification losses, so ``MLPRegressor``, which runs the same code, is not timed apart.
    """

    def __init__(self, case: Case, x: np.ndarray, y: np.ndarray) -> None:
        self.case, self.x, self.y = case, x, y.ravel().astype(np.int64)
        self.sample = x[: case.batch]
        self.generator = np.random.default_rng(0)
        self.classes = np.arange(max(case.outputs, 2))
        self.model = MLPClassifier(
            case.hidden,
            activation=case.activation,
            solver="adam",
            alpha=0.0,
            batch_size=case.batch,
            learning_rate_init=LEARNING_RATE,
            random_state=0,
        )

    def train(self, steps: int) -> float:
        """Make ``steps`` training steps by one ``partial_fit`` each; the last batch's loss."""
        batch = self.case.batch
        rows = batch if self.case.unit == "epoch" else steps * batch
        order = np.concatenate([self.generator.permutation(rows) for _ in range(steps * batch // rows)])
        for start in range(0, len(order), batch):
            chosen = order[start : start + batch]
            self.model.partial_fit(self.x[chosen], self.y[chosen], classes=self.classes)
        return float(self.model.loss_)

    def predict(self) -> np.ndarray:
        """Probabilities of one batch, NumPy in and out: ``[N, D] -> [N, classes]``."""
        return self.model.predict_proba(self.sample)

    def parameters(self) -> int:
        """Number of trainable values."""
        return sum(weights.size for weights in (*self.model.coefs_, *self.model.intercepts_))

    def threads(self) -> int | None:
        """Not known: NumPy's BLAS decides."""
        return None
