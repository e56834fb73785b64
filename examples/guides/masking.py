"""Masking: sequences of different lengths in one batch, and what the padding may not do.

Each sequence carries numbers and, for each, a tag; wanted is the mean of the numbers whose tag is 1.  Tags pass through
an Embedding that masks 0; a layer of one's own averages over what the mask leaves.  Longer padding changes nothing.
"""

import keras
import numpy as np
from keras import layers, ops

LENGTH, TAGS = 12, 4


class Scaled(layers.Layer):
    """A vector and itself times a number, step by step.  Of two inputs, the first says what is masked."""

    def call(self, inputs):
        vectors, numbers = inputs
        return ops.concatenate([vectors, vectors * numbers[..., None]], axis=-1)

    def compute_mask(self, inputs, mask=None):
        return None if mask is None else mask[0]


class MaskedMean(layers.Layer):
    """The mean over the steps that are not masked; after it there is no mask."""

    def __init__(self, **kwargs) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True

    def call(self, inputs, mask=None):
        if mask is None:
            return ops.mean(inputs, axis=1)
        weight = ops.cast(mask, inputs.dtype)[..., None]
        return ops.sum(inputs * weight, axis=1) / ops.maximum(ops.sum(weight, axis=1), 1.0)

    def compute_mask(self, inputs, mask=None):
        return None


def sequences(count: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Tags (0 is padding), numbers, and the wanted means."""
    draw = np.random.default_rng(seed)
    lengths = draw.integers(4, LENGTH + 1, count)
    real = np.arange(LENGTH) < lengths[:, None]
    tags = draw.integers(1, TAGS, (count, LENGTH)) * real
    numbers = (draw.normal(size=(count, LENGTH)) * real).astype("float32")
    chosen = tags == 1
    wanted = (numbers * chosen).sum(1) / np.maximum(chosen.sum(1), 1)
    return tags, numbers, wanted.astype("float32")


def network() -> keras.Model:
    tags = keras.Input((None,), dtype="int32")
    numbers = keras.Input((None,))
    embedded = layers.Embedding(TAGS, 4, mask_zero=True)(tags)
    x = Scaled()([embedded, numbers])
    x = layers.LSTM(24, return_sequences=True)(x)
    x = layers.TimeDistributed(layers.Dense(16, activation="relu"))(x)
    x = MaskedMean()(x)
    return keras.Model([tags, numbers], layers.Dense(1)(x))


def main() -> dict[str, float]:
    keras.utils.set_random_seed(5)
    tags, numbers, wanted = sequences(1200, seed=0)
    model = network()
    model.compile(optimizer=keras.optimizers.Adam(0.01), loss="mse")
    history = model.fit([tags, numbers], wanted, batch_size=60, epochs=10, shuffle=False, verbose=0)

    tags, numbers, wanted = sequences(300, seed=1)
    predicted = model.predict([tags, numbers], verbose=0)[:, 0]
    padding = ((0, 0), (0, 7))
    longer = model.predict([np.pad(tags, padding), np.pad(numbers, padding)], verbose=0)[:, 0]
    noise = np.where(tags == 0, 1e3, numbers).astype("float32")
    disturbed = model.predict([tags, noise], verbose=0)[:, 0]

    masked = layers.Masking(mask_value=-1.0)(np.array([[[1.0], [2.0], [-1.0]]], dtype="float32"))
    return {
        "first loss": history.history["loss"][0],
        "last loss": history.history["loss"][-1],
        "test mse": float(np.mean((predicted - wanted) ** 2)),
        "variance of the wanted": float(wanted.var()),
        "longer padding changes": float(np.abs(longer - predicted).max()),
        "numbers in the padding change": float(np.abs(disturbed - predicted).max()),
        "sum after Masking": float(ops.sum(masked)),
    }


if __name__ == "__main__":
    for name, value in main().items():
        print(f"{name:30} {value:10.4f}")
