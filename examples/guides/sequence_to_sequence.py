"""Sequence to sequence: an encoder reads digits, its state starts a decoder, which writes them sorted.

Training shows the decoder the right previous digit (teacher forcing).  For use, the same layers are put together again
as a model for one step, and the decoder is fed with what it has just written.
"""

import keras
import numpy as np
from keras import layers

LENGTH, DIGITS, START = 4, 5, 5  # digits 0 to 4; the sixth sign starts the decoder
WIDTH = 32


def sequences(count: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What the encoder reads, what the decoder reads, what the decoder has to write."""
    draw = np.random.default_rng(seed)
    given = draw.integers(0, DIGITS, (count, LENGTH)).astype("int32")
    wanted = np.sort(given, axis=1)
    previous = np.concatenate([np.full((count, 1), START, dtype="int32"), wanted[:, :-1]], axis=1)
    return given, previous, wanted


class Parts:
    """The layers that both models share."""

    def __init__(self) -> None:
        self.embed = layers.Embedding(DIGITS + 1, 12)
        self.encode = layers.GRU(WIDTH, return_state=True)
        self.decode = layers.GRU(WIDTH, return_sequences=True, return_state=True)
        self.write = layers.Dense(DIGITS, activation="softmax")

    def trainer(self) -> keras.Model:
        given = keras.Input((LENGTH,), dtype="int32", name="given")
        previous = keras.Input((LENGTH,), dtype="int32", name="previous")
        _, state = self.encode(self.embed(given))
        decoded, _ = self.decode(self.embed(previous), initial_state=state)
        return keras.Model([given, previous], self.write(decoded))

    def stepper(self) -> tuple[keras.Model, keras.Model]:
        given = keras.Input((LENGTH,), dtype="int32")
        encoder = keras.Model(given, self.encode(self.embed(given))[1])
        sign, state = keras.Input((1,), dtype="int32"), keras.Input((WIDTH,))
        decoded, after = self.decode(self.embed(sign), initial_state=state)
        return encoder, keras.Model([sign, state], [self.write(decoded), after])


def written(encoder: keras.Model, step: keras.Model, given: np.ndarray) -> np.ndarray:
    """The digits, each the most probable one after those before it."""
    state = encoder.predict(given, batch_size=500, verbose=0)
    sign = np.full((len(given), 1), START, dtype="int32")
    out = []
    for _ in range(LENGTH):
        probabilities, state = step.predict([sign, state], batch_size=500, verbose=0)
        sign = probabilities.argmax(-1).astype("int32")
        out.append(sign)
    return np.concatenate(out, axis=1)


def main() -> dict[str, float]:
    keras.utils.set_random_seed(22)
    given, previous, wanted = sequences(1600, seed=0)
    parts = Parts()
    model = parts.trainer()
    model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy", metrics=["accuracy"])
    history = model.fit([given, previous], wanted, batch_size=80, epochs=10, shuffle=False, verbose=0)

    given, previous, wanted = sequences(500, seed=1)
    forced_loss, forced = model.evaluate([given, previous], wanted, batch_size=500, verbose=0)
    digits = written(*parts.stepper(), given)
    return {
        "parameters": float(model.count_params()),
        "first loss": history.history["loss"][0],
        "last loss": history.history["loss"][-1],
        "forced: loss": forced_loss,
        "forced: digits right": forced,
        "free: digits right": float((digits == wanted).mean()),
        "free: sequences right": float((digits == wanted).all(1).mean()),
        "mean digit written": float(digits.mean()),
    }


if __name__ == "__main__":
    for name, value in main().items():
        print(f"{name:26} {value:10.4f}")
