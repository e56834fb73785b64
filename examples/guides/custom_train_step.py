"""A model's own ``train_step``: what `fit` does with a batch, written by hand; `fit` keeps callbacks, epochs and logs.

The noise of the data grows with x.  The network predicts a mean and a standard deviation and learns both by the
likelihood of what it sees, with the gradient clipped and reported, which a plain compile could not do.
"""

import keras
import numpy as np
import torch
from keras import layers, ops


class Heteroscedastic(keras.Model):
    """Predicts ``[mean, log deviation]`` and is trained by the normal likelihood."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden = layers.Dense(32, activation="tanh")
        self.inner = layers.Dense(32, activation="tanh")
        self.head = layers.Dense(2)
        self.loss_tracker = keras.metrics.Mean(name="loss")
        self.error_tracker = keras.metrics.MeanAbsoluteError(name="mae")
        self.norm_tracker = keras.metrics.Mean(name="gradient_norm")

    @property
    def metrics(self) -> list:
        return [self.loss_tracker, self.error_tracker, self.norm_tracker]

    def call(self, x):
        return self.head(self.inner(self.hidden(x)))

    def likelihood_loss(self, y, outputs):
        mean, log_deviation = outputs[:, :1], outputs[:, 1:]
        return ops.mean(0.5 * ops.square((y - mean) / ops.exp(log_deviation)) + log_deviation)

    def train_step(self, data) -> dict:
        x, y = data
        self.zero_grad()
        outputs = self(x, training=True)
        loss = self.likelihood_loss(y, outputs)
        loss.backward()
        weights = self.trainable_weights
        gradients = [weight.value.grad for weight in weights]
        norm = ops.sqrt(sum(ops.sum(ops.square(gradient)) for gradient in gradients))
        scale = ops.minimum(1.0, 5.0 / norm)
        with torch.no_grad():
            self.optimizer.apply([gradient * scale for gradient in gradients], weights)
        self.loss_tracker.update_state(loss)
        self.error_tracker.update_state(y, outputs[:, :1])
        self.norm_tracker.update_state(norm)
        return {metric.name: metric.result() for metric in self.metrics}

    def test_step(self, data) -> dict:
        x, y = data
        outputs = self(x, training=False)
        self.loss_tracker.update_state(self.likelihood_loss(y, outputs))
        self.error_tracker.update_state(y, outputs[:, :1])
        return {metric.name: metric.result() for metric in self.metrics[:2]}


def main() -> dict[str, float]:
    keras.utils.set_random_seed(3)
    draw = np.random.default_rng(3)
    x = draw.uniform(-1, 1, (1500, 1)).astype("float32")
    deviation = 0.1 + 0.3 * (x + 1) / 2
    y = (np.sin(3 * x) + deviation * draw.normal(size=x.shape)).astype("float32")

    model = Heteroscedastic()
    model.compile(optimizer=keras.optimizers.Adam(learning_rate=0.01))
    history = model.fit(x[:1000], y[:1000], batch_size=50, epochs=15, shuffle=False, verbose=0)
    scores = model.evaluate(x[1000:], y[1000:], verbose=0, return_dict=True)

    outputs = model.predict(x[1000:], verbose=0)
    found = np.exp(outputs[:, 1:])
    return {
        "first loss": history.history["loss"][0],
        "last loss": history.history["loss"][-1],
        "last gradient norm": history.history["gradient_norm"][-1],
        "test loss": scores["loss"],
        "test mae": scores["mae"],
        "error of the mean": float(np.abs(outputs[:, :1] - np.sin(3 * x[1000:])).mean()),
        "error of the deviation": float(np.abs(found - deviation[1000:]).mean()),
        "deviation, steady to noisy": float(np.corrcoef(found[:, 0], deviation[1000:, 0])[0, 1]),
    }


if __name__ == "__main__":
    for name, value in main().items():
        print(f"{name:28} {value:10.4f}")
