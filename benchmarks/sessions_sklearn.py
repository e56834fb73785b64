"""scikit-learn's multilayer perceptron."""

from __future__ import annotations

import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

from benchmarks.cases import LEARNING_RATE, Case

__all__ = ["SklearnSession"]


class SklearnSession:
    """``MLPClassifier`` with Adam and without its L2 penalty, on float32 like everyone; shuffling is left on.

    All cases are classifications, so ``MLPRegressor``, which runs the same code, is not timed apart.
    """

    def __init__(self, case: Case, x: np.ndarray, y: np.ndarray) -> None:
        self.case, self.x, self.y = case, x, y.ravel().astype(np.int64)
        self.sample = x[: case.batch]
        self.model = MLPClassifier(
            case.hidden,
            activation=case.activation,
            solver="adam",
            alpha=0.0,
            batch_size=case.batch,  # pyright: ignore[reportArgumentType]  its stubs know 'auto' only
            learning_rate_init=LEARNING_RATE,
            tol=0.0,
            n_iter_no_change=10**9,
            warm_start=case.unit == "epoch",  # partial_fit goes on by itself, and refuses other classes with it
            random_state=0,
        )
        warnings.simplefilter("ignore", ConvergenceWarning)  # it expects to stop by itself; here it never may

    def train(self, steps: int) -> float:
        """Make ``steps`` training steps by one ``partial_fit``, or ``steps`` epochs by one ``fit``; the mean loss."""
        if self.case.unit == "epoch":
            self.model.set_params(max_iter=steps).fit(self.x, self.y)
        else:
            rows = steps * self.case.batch
            classes = np.arange(max(self.case.outputs, 2))
            self.model.partial_fit(self.x[:rows], self.y[:rows], classes=classes)
        return float(self.model.loss_)

    def predict(self) -> np.ndarray:
        """Probabilities of one batch, NumPy in and out: ``[N, D] -> [N, classes]``."""
        return np.asarray(self.model.predict_proba(self.sample))

    def parameters(self) -> int:
        """Number of trainable values."""
        return sum(weights.size for weights in (*self.model.coefs_, *self.model.intercepts_))

    def threads(self) -> int | None:
        """Not known: NumPy's BLAS decides."""
        return None
