"""A transformer block from its parts: attention over positions, residuals, layer normalisation, position embeddings.

The network has to write a sequence of letters backwards.  Without attention every place knows only its own letter;
with it, each place learns to look at its opposite, which the attention scores show afterwards.
"""

import keras
import numpy as np
from keras import layers, ops

LETTERS, LENGTH, WIDTH = 10, 8, 24


class TokensAndPositions(layers.Layer):
    """The sum of an embedding of the token and one of its place."""

    def __init__(self, **kwargs) -> None:
        super().__init__(**kwargs)
        self.tokens, self.positions = layers.Embedding(LETTERS, WIDTH), layers.Embedding(LENGTH, WIDTH)

    def build(self, input_shape) -> None:
        self.tokens.build(input_shape)
        self.positions.build((LENGTH,))

    def call(self, inputs):
        return self.tokens(inputs) + self.positions(ops.arange(LENGTH))


class TransformerBlock(layers.Layer):
    def __init__(self, heads: int, **kwargs) -> None:
        super().__init__(**kwargs)
        self.attention = layers.MultiHeadAttention(num_heads=heads, key_dim=WIDTH // heads)
        self.feed_forward = keras.Sequential([layers.Dense(2 * WIDTH, activation="gelu"), layers.Dense(WIDTH)])
        self.first_norm, self.second_norm = layers.LayerNormalization(), layers.LayerNormalization()

    def build(self, input_shape) -> None:
        self.attention.build(input_shape, input_shape)
        for layer in (self.feed_forward, self.first_norm, self.second_norm):
            layer.build(input_shape)

    def call(self, inputs):
        x = self.first_norm(inputs + self.attention(inputs, inputs))
        return self.second_norm(x + self.feed_forward(x))


def sequences(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Random letters, and the same backwards."""
    x = np.random.default_rng(seed).integers(0, LETTERS, (count, LENGTH)).astype("int32")
    return x, x[:, ::-1].copy()


def main() -> dict[str, float]:
    keras.utils.set_random_seed(16)
    x, y = sequences(1600, seed=0)
    x_test, y_test = sequences(400, seed=1)
    inputs = keras.Input((LENGTH,), dtype="int32")
    embedded = TokensAndPositions()
    block = TransformerBlock(heads=2)
    bodies = {"each place alone": layers.Dense(WIDTH, activation="gelu"), "transformer": block}
    results = {}
    for name, body in bodies.items():
        letters = layers.Dense(LETTERS, activation="softmax")(body(embedded(inputs)))
        model = keras.Model(inputs, letters)
        model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy", metrics=["accuracy"])
        history = model.fit(x, y, batch_size=80, epochs=8, shuffle=False, verbose=0)
        results[f"{name}: first loss"] = history.history["loss"][0]
        results[f"{name}: last loss"] = history.history["loss"][-1]
        results[f"{name}: accuracy"] = model.evaluate(x_test, y_test, batch_size=200, verbose=0)[1]

    some = embedded(x_test)
    _, scores = block.attention(some, some, return_attention_scores=True)
    scores = ops.convert_to_numpy(ops.stop_gradient(scores)).mean((0, 1))  # over sequences and heads: [from, to]
    results["attention to the opposite"] = float(np.trace(scores[:, ::-1]) / LENGTH)
    results["attention to the same place"] = float(np.trace(scores) / LENGTH)
    return results


if __name__ == "__main__":
    for name, value in main().items():
        print(f"{name:30} {value:10.4f}")
