"""Losses and metrics of your own, class weights and sample weights, on classes of unequal size.

One in twelve samples is positive.  Missing one costs more than a false alarm: four ways to say so are compared by the
share of positives found and by a metric that counts the cost, written here as a class with its own state.
"""

import keras
import numpy as np
from keras import layers, ops

MISSED, FALSE_ALARM = 8.0, 1.0


class Cost(keras.metrics.Metric):
    """The mean cost of the decisions at 0.5."""

    def __init__(self, name: str = "cost", **kwargs) -> None:
        super().__init__(name=name, **kwargs)
        self.total = self.add_variable(shape=(), initializer="zeros", name="total")
        self.count = self.add_variable(shape=(), initializer="zeros", name="count")

    def update_state(self, y_true, y_pred, sample_weight=None) -> None:
        truth, said = ops.cast(y_true, "float32"), ops.cast(y_pred > 0.5, "float32")
        self.total.assign_add(ops.sum(MISSED * truth * (1 - said) + FALSE_ALARM * (1 - truth) * said))
        self.count.assign_add(ops.cast(ops.size(said), "float32"))

    def result(self):
        return self.total / self.count


class Focal(keras.losses.Loss):
    """Cross-entropy in which easy samples count little."""

    def __init__(self, gamma: float = 2.0, positive: float = 0.85, **kwargs) -> None:
        super().__init__(**kwargs)
        self.gamma, self.positive = gamma, positive

    def call(self, y_true, y_pred):
        p = ops.clip(y_pred, 1e-6, 1 - 1e-6)
        right = ops.where(y_true > 0.5, p, 1 - p)
        weight = ops.where(y_true > 0.5, self.positive, 1 - self.positive)
        return ops.mean(-weight * (1 - right) ** self.gamma * ops.log(right), axis=-1)


def asymmetric(y_true, y_pred):
    """A loss can be a plain function: squared error, dearer below than above."""
    error = y_true - y_pred
    return ops.mean(ops.where(error > 0, MISSED, FALSE_ALARM) * ops.square(error), axis=-1)


def data(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(seed)
    y = (draw.random(count) < 1 / 12).astype("float32")
    x = draw.normal(size=(count, 6)) + 1.1 * y[:, None] * np.array([1, -1, 0.5, 0, 0, 0.5])
    return x.astype("float32"), y[:, None]


def main() -> dict[str, float]:
    x, y = data(1500, seed=0)
    x_test, y_test = data(2000, seed=1)
    weights = np.where(y[:, 0] == 1, MISSED, FALSE_ALARM)
    ways = {
        "plain": ("binary_crossentropy", {}),
        "class weight": ("binary_crossentropy", {"class_weight": {0: FALSE_ALARM, 1: MISSED}}),
        "sample weight": ("binary_crossentropy", {"sample_weight": weights}),
        "focal": (Focal(), {}),
        "asymmetric": (asymmetric, {}),
    }
    results = {}
    for name, (loss, extra) in ways.items():
        keras.utils.set_random_seed(18)
        model = keras.Sequential(
            [keras.Input((6,)), layers.Dense(16, activation="relu"), layers.Dense(1, activation="sigmoid")]
        )
        model.compile(keras.optimizers.Adam(0.01), loss=loss, metrics=[Cost(), keras.metrics.Recall(name="recall")])
        history = model.fit(x, y, batch_size=100, epochs=6, shuffle=False, verbose=0, **extra)
        scores = model.evaluate(x_test, y_test, batch_size=500, verbose=0, return_dict=True)
        results[f"{name}: loss"] = history.history["loss"][-1]
        results[f"{name}: found"] = scores["recall"]
        results[f"{name}: cost"] = scores["cost"]
    return results


if __name__ == "__main__":
    for name, value in main().items():
        print(f"{name:24} {value:10.4f}")
