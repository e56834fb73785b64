"""Recurrent networks: an answer at every step, both directions, a cell of one's own, and state kept between calls.

Brackets open and close at random; at every step the question is how deep we are, 0 to 3.  GRU, bidirectional LSTM and a
cell written here learn it; then the GRU's weights read one long sequence piece by piece with ``stateful=True``.
"""

import keras
import numpy as np
from keras import layers, ops

STEPS, DEPTHS = 16, 4


class MinimalCell(layers.Layer):
    """``state ← tanh(W x + U state)``, the least that remembers."""

    def __init__(self, units: int, **kwargs) -> None:
        super().__init__(**kwargs)
        self.units = units
        self.state_size = units

    def build(self, input_shape) -> None:
        self.kernel = self.add_weight(shape=(input_shape[-1], self.units), name="kernel")
        self.recurrent = self.add_weight(shape=(self.units, self.units), initializer="orthogonal", name="recurrent")

    def call(self, inputs, states):
        state = ops.tanh(ops.matmul(inputs, self.kernel) + ops.matmul(states[0], self.recurrent))
        return state, [state]


def sequences(count: int, steps: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Opening (+1) and closing (-1) as one number a step, and the depth after each step."""
    draw = np.random.default_rng(seed)
    moves, depths = np.zeros((2, count, steps))
    depth = np.zeros(count)
    for step in range(steps):
        up = np.where(depth == 0, 1.0, np.where(depth == DEPTHS - 1, 0.0, draw.integers(0, 2, count)))
        moves[:, step] = 2 * up - 1
        depth = depth + moves[:, step]
        depths[:, step] = depth
    return moves[..., None].astype("float32"), depths.astype("int32")


def tagger(recurrent: layers.Layer) -> keras.Model:
    model = keras.Sequential([keras.Input((None, 1)), recurrent, layers.Dense(DEPTHS, activation="softmax")])
    model.compile(keras.optimizers.Adam(0.02), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def main() -> dict[str, float]:
    keras.utils.set_random_seed(7)
    x, y = sequences(400, STEPS, seed=0)
    x_test, y_test = sequences(200, STEPS, seed=1)
    kinds = {
        "gru": layers.GRU(12, return_sequences=True),
        "bidirectional lstm": layers.Bidirectional(layers.LSTM(8, return_sequences=True)),
        "own cell": layers.RNN(MinimalCell(12), return_sequences=True),
    }
    results, models = {}, {}
    for name, layer in kinds.items():
        models[name] = model = tagger(layer)
        history = model.fit(x, y, batch_size=40, epochs=6, shuffle=False, verbose=0)
        results[f"{name}: last loss"] = history.history["loss"][-1]
        results[f"{name}: accuracy"] = model.evaluate(x_test, y_test, batch_size=200, verbose=0)[1]

    # The same weights, one piece of the sequence after the other: the state stays between the calls.
    piecewise = keras.Sequential(
        [
            keras.Input(batch_shape=(200, 4, 1)),
            layers.GRU(12, return_sequences=True, stateful=True),
            layers.Dense(DEPTHS, activation="softmax"),
        ]
    )
    piecewise.set_weights(models["gru"].get_weights())
    pieces = [ops.convert_to_numpy(piecewise.predict_on_batch(x_test[:, i : i + 4])) for i in range(0, STEPS, 4)]
    whole = models["gru"].predict(x_test, batch_size=200, verbose=0)
    results["piecewise differs by"] = float(np.abs(np.concatenate(pieces, axis=1) - whole).max())
    piecewise.layers[0].reset_states()
    again = ops.convert_to_numpy(piecewise.predict_on_batch(x_test[:, :4]))
    results["after a reset by"] = float(np.abs(again - pieces[0]).max())
    return results


if __name__ == "__main__":
    for name, value in main().items():
        print(f"{name:32} {value:10.4f}")
