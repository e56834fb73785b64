"""A transformer block from its parts: attention over positions, residuals, layer normalisation, position embeddings.

The question for each sequence of letters is whether its first letter comes again.  A model that averages letters cannot
know which one was first; attention can look from one place to another, and afterwards shows where it looked.
"""

import keras
import numpy as np
from keras import layers, ops

LETTERS, LENGTH, WIDTH = 12, 10, 16


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
    """Random letters; in every second sequence one place repeats the first letter, in the others none does."""
    draw = np.random.default_rng(seed)
    x = draw.integers(0, LETTERS, (count, LENGTH))
    x[:, 1:] = np.where(x[:, 1:] == x[:, :1], (x[:, 1:] + 1) % LETTERS, x[:, 1:])
    again = np.arange(count) % 2 == 0
    place = draw.integers(1, LENGTH, count)
    x[again, place[again]] = x[again, 0]
    return x.astype("int32"), again.astype("float32")


def main() -> dict[str, float]:
    keras.utils.set_random_seed(16)
    x, y = sequences(1600, seed=0)
    x_test, y_test = sequences(400, seed=1)
    results = {}
    inputs = keras.Input((LENGTH,), dtype="int32")
    embedded = TokensAndPositions()
    bodies = {"average": lambda tokens: tokens, "transformer": TransformerBlock(heads=2)}
    for name, body in bodies.items():
        features = layers.GlobalAveragePooling1D()(body(embedded(inputs)))
        model = keras.Model(inputs, layers.Dense(1, activation="sigmoid")(features))
        model.compile(keras.optimizers.Adam(0.005), "binary_crossentropy", metrics=["accuracy"])
        history = model.fit(x, y, batch_size=50, epochs=8, shuffle=False, verbose=0)
        results[f"{name}: first loss"] = history.history["loss"][0]
        results[f"{name}: last loss"] = history.history["loss"][-1]
        results[f"{name}: accuracy"] = model.evaluate(x_test, y_test, batch_size=200, verbose=0)[1]

    block, positive = bodies["transformer"], x_test[::2]
    letters = embedded(positive)
    _, scores = block.attention(letters, letters, return_attention_scores=True)
    scores = ops.convert_to_numpy(ops.stop_gradient(scores)).mean(1)  # over the heads: [sequence, from, to]
    repeats = (positive == positive[:, :1]) & (np.arange(LENGTH) > 0)
    results["from the repeat to the first"] = float(scores[:, :, 0][repeats].mean())
    results["from others to the first"] = float(scores[:, 1:, 0][~repeats[:, 1:]].mean())
    return results


if __name__ == "__main__":
    for name, value in main().items():
        print(f"{name:30} {value:10.4f}")
