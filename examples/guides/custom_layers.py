"""Layers of your own: weights, state that is not trained, a loss from within, layers in layers, and their config.

`Maxout` takes the largest of several linear maps, `Centre` subtracts a running mean that it keeps itself, and `Block`
puts both together and asks for small activations.  Together they read the 8×8 digits.
"""

import keras
import numpy as np
from keras import layers, ops
from sklearn.datasets import load_digits


class Maxout(layers.Layer):
    """The largest of ``pieces`` linear maps, unit by unit."""

    def __init__(self, units: int, pieces: int = 2, **kwargs) -> None:
        super().__init__(**kwargs)
        self.units, self.pieces = units, pieces

    def build(self, input_shape) -> None:
        self.kernel = self.add_weight(
            shape=(input_shape[-1], self.units * self.pieces), initializer="he_normal", name="kernel"
        )
        self.bias = self.add_weight(shape=(self.units * self.pieces,), initializer="zeros", name="bias")

    def call(self, inputs):
        maps = ops.matmul(inputs, self.kernel) + self.bias
        return ops.max(ops.reshape(maps, (-1, self.units, self.pieces)), axis=-1)

    def get_config(self) -> dict:
        return {**super().get_config(), "units": self.units, "pieces": self.pieces}


class Centre(layers.Layer):
    """Subtracts the mean of the batch in training, and the running mean of all batches otherwise."""

    def build(self, input_shape) -> None:
        self.mean = self.add_weight(shape=(input_shape[-1],), initializer="zeros", trainable=False, name="mean")
        self.calls = self.add_weight(shape=(), initializer="zeros", trainable=False, name="calls")

    def call(self, inputs, training=False):
        if not training:
            return inputs - self.mean
        mean = ops.mean(inputs, axis=0)
        self.mean.assign(0.9 * self.mean + 0.1 * mean)
        self.calls.assign_add(1.0)
        return inputs - mean


class Block(layers.Layer):
    """Maxout and Centre; large activations cost ``price`` each."""

    def __init__(self, units: int, price: float = 0.0, **kwargs) -> None:
        super().__init__(**kwargs)
        self.units, self.price = units, price
        self.maxout, self.centre = Maxout(units), Centre()

    def build(self, input_shape) -> None:
        self.maxout.build(input_shape)
        self.centre.build((input_shape[0], self.units))

    def call(self, inputs):
        outputs = self.centre(self.maxout(inputs))
        self.add_loss(self.price * ops.mean(ops.square(outputs)))
        return outputs

    def get_config(self) -> dict:
        return {**super().get_config(), "units": self.units, "price": self.price}


def main() -> dict[str, float]:
    keras.utils.set_random_seed(2)
    digits = load_digits()
    x, y = (digits.data / 16.0).astype("float32"), digits.target
    model = keras.Sequential([keras.Input((64,)), Block(32, price=0.05), Block(24, price=0.05), layers.Dense(10)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer="adam", loss=loss, metrics=["accuracy"])
    history = model.fit(x[:1200], y[:1200], batch_size=60, epochs=10, shuffle=False, verbose=0)
    test_loss, accuracy = model.evaluate(x[1200:], y[1200:], verbose=0)

    block = model.layers[0]
    copy = Block.from_config(block.get_config())
    copy.build((None, 64))
    copy.set_weights(block.get_weights())
    difference = ops.convert_to_numpy(copy(x[:9]) - block(x[:9]))
    return {
        "first loss": history.history["loss"][0],
        "last loss": history.history["loss"][-1],
        "test loss": test_loss,
        "test accuracy": accuracy,
        "weights not trained": float(len(model.non_trainable_weights)),
        "training calls": float(block.centre.calls.numpy()),
        "mean of running means": float(np.mean(block.centre.mean.numpy())),
        "copy differs by": float(np.abs(difference).max()),
    }


if __name__ == "__main__":
    for name, value in main().items():
        print(f"{name:24} {value:10.4f}")
