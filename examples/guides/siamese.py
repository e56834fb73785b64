"""A siamese network: one encoder for both pictures of a pair, a distance, and the contrastive loss.

It learns from pairs of seven digits whether two pictures show the same digit.  Because it learns a distance and not
classes, it can also be asked about 0, 4 and 6, which it has never seen.
"""

import keras
import numpy as np
from keras import layers, ops
from sklearn.datasets import load_digits

MARGIN = 1.0


class Distance(layers.Layer):
    """The Euclidean distance of two batches of vectors."""

    def call(self, first, second):
        squares = ops.sum(ops.square(first - second), axis=1, keepdims=True)
        return ops.sqrt(ops.maximum(squares, 1e-7))


def contrastive(same, distance):
    """Same: the distance squared.  Different: what is missing to the margin, squared."""
    missing = ops.maximum(MARGIN - distance, 0.0)
    return ops.mean(same * ops.square(distance) + (1 - same) * ops.square(missing))


def pairs(x: np.ndarray, y: np.ndarray, count: int, seed: int) -> tuple[list[np.ndarray], np.ndarray]:
    """As many pairs of one digit as of two, mixed, and 1 for those of one."""
    draw = np.random.default_rng(seed)
    first = draw.integers(0, len(y), count)
    wanted = np.arange(count) % 2 == 1
    fits = (y[first][:, None] == y) == wanted[:, None]
    second = (draw.random(fits.shape) * fits).argmax(1)  # any of those that fit
    same = (y[first] == y[second]).astype("float32")[:, None]
    return [x[first], x[second]], same


def network() -> keras.Model:
    encoder = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Conv2D(16, 3, padding="same", activation="gelu"),
            layers.AveragePooling2D(2),
            layers.Flatten(),
            layers.Dense(32, activation="gelu"),
            layers.Dense(16),
        ],
        name="encoder",
    )
    first, second = keras.Input((8, 8, 1), name="first"), keras.Input((8, 8, 1), name="second")
    return keras.Model([first, second], Distance()(encoder(first), encoder(second)))


def accuracy(model: keras.Model, inputs: list[np.ndarray], same: np.ndarray) -> float:
    distance = model.predict(inputs, batch_size=200, verbose=0)
    return float(np.mean((distance < MARGIN / 2) == (same == 1)))


def main() -> dict[str, float]:
    keras.utils.set_random_seed(13)
    digits = load_digits()
    x, y = (digits.images / 16.0)[..., None].astype("float32"), digits.target
    known, held = ~np.isin(y, (0, 4, 6)), np.arange(len(y)) >= 1200
    train_x, train_same = pairs(x[known & ~held], y[known & ~held], 3000, seed=0)
    model = network()
    model.compile(keras.optimizers.RMSprop(0.001), loss=contrastive)
    history = model.fit(train_x, train_same, batch_size=100, epochs=10, shuffle=False, verbose=0)
    test = pairs(x[known & held], y[known & held], 400, seed=1)
    strangers = pairs(x[~known], y[~known], 400, seed=2)
    distance = model.predict(test[0], batch_size=200, verbose=0)
    encoder = model.get_layer("encoder")
    return {
        "parameters": float(model.count_params()),
        "of the encoder alone": float(encoder.count_params()),
        "first loss": history.history["loss"][0],
        "last loss": history.history["loss"][-1],
        "distance, same digit": float(distance[test[1] == 1].mean()),
        "distance, two digits": float(distance[test[1] == 0].mean()),
        "accuracy on new pictures": accuracy(model, *test),
        "accuracy on new digits": accuracy(model, *strangers),
    }


if __name__ == "__main__":
    for name, value in main().items():
        print(f"{name:26} {value:10.4f}")
