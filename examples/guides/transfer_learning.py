"""Transfer learning: features learned from the digits 0-4 read the digits 5-9 from four pictures of each.

First the base is frozen and only a new head learns; then everything is tuned at a low rate.  A network that starts from
nothing on the same twenty pictures is what it is measured against.
"""

import keras
import numpy as np
from keras import layers
from sklearn.datasets import load_digits


def data() -> tuple[tuple[np.ndarray, np.ndarray], ...]:
    """(old digits), (twenty new pictures), (the other new pictures)."""
    digits = load_digits()
    x, y = (digits.images / 16.0)[..., None].astype("float32"), digits.target
    new = np.concatenate([np.flatnonzero(y == digit)[:4] for digit in range(5, 10)])
    new = np.random.default_rng(0).permutation(new)
    rest = np.setdiff1d(np.flatnonzero(y >= 5), new)
    return (x[y < 5], y[y < 5]), (x[new], y[new] - 5), (x[rest], y[rest] - 5)


def base(name: str) -> keras.Model:
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Conv2D(12, 3, padding="same", use_bias=False),
            layers.BatchNormalization(momentum=0.9),
            layers.Activation("gelu"),
            layers.AveragePooling2D(2),
            layers.Conv2D(24, 3, padding="same", activation="gelu"),
            layers.AveragePooling2D(2),
            layers.Flatten(),
        ],
        name=name,
    )


def with_head(body: keras.Model) -> keras.Model:
    inputs = keras.Input((8, 8, 1))
    return keras.Model(inputs, layers.Dense(5, activation="softmax")(body(inputs)))


def train(model: keras.Model, x: np.ndarray, y: np.ndarray, rate: float, epochs: int) -> float:
    """Fit and return the last loss."""
    model.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy", metrics=["accuracy"])
    history = model.fit(x, y, batch_size=50, epochs=epochs, shuffle=False, verbose=0)
    return history.history["loss"][-1]


def main() -> dict[str, float]:
    keras.utils.set_random_seed(6)
    old, few, rest = data()
    body = base("body")
    old_loss = train(with_head(body), *old, rate=0.01, epochs=6)

    body.trainable = False
    before = [weight.copy() for weight in body.get_weights()]
    model = with_head(body)
    frozen_trainable = len(model.trainable_weights)
    frozen_loss = train(model, *few, rate=0.03, epochs=15)
    _, frozen_accuracy = model.evaluate(*rest, batch_size=200, verbose=0)
    moved = max(float(np.abs(a - b).max()) for a, b in zip(before, body.get_weights()))

    body.trainable = True
    for layer in body.layers:  # a BatchNormalization that is not trainable keeps the old statistics
        layer.trainable = not isinstance(layer, layers.BatchNormalization)
    tuned_loss = train(model, *few, rate=0.003, epochs=10)  # compile again: what is trainable is fixed then
    _, tuned_accuracy = model.evaluate(*rest, batch_size=200, verbose=0)

    fresh = with_head(base("fresh"))
    fresh_loss = train(fresh, *few, rate=0.01, epochs=25)
    _, fresh_accuracy = fresh.evaluate(*rest, batch_size=200, verbose=0)
    return {
        "old digits: loss": old_loss,
        "frozen: weights that learn": float(frozen_trainable),
        "frozen: the body moved by": moved,
        "frozen: loss": frozen_loss,
        "frozen: accuracy": frozen_accuracy,
        "tuned: loss": tuned_loss,
        "tuned: accuracy": tuned_accuracy,
        "from nothing: loss": fresh_loss,
        "from nothing: accuracy": fresh_accuracy,
    }


if __name__ == "__main__":
    for name, value in main().items():
        print(f"{name:28} {value:10.4f}")
