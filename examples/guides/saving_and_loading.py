"""Saving and loading: a whole model, the weights alone, the structure alone, a copy, and classes of one's own.

After half of its training a model is written, read again and trained on.  Since the file holds the optimizer's state,
the second half ends where the uninterrupted run ends.
"""

import tempfile
from pathlib import Path

import keras
import numpy as np
from keras import layers, ops
from sklearn.datasets import load_iris


@keras.saving.register_keras_serializable(package="guides")
class Scale(layers.Layer):
    """A factor for each feature, found in training."""

    def __init__(self, start: float = 1.0, **kwargs) -> None:
        super().__init__(**kwargs)
        self.start = start

    def build(self, input_shape) -> None:
        self.factor = self.add_weight(
            shape=(input_shape[-1],), initializer=keras.initializers.Constant(self.start), name="factor"
        )

    def call(self, inputs):
        return inputs * self.factor

    def get_config(self) -> dict:
        return {**super().get_config(), "start": self.start}


@keras.saving.register_keras_serializable(package="guides")
def bent(x):
    """An activation of one's own: the root of what is positive, the line for what is negative."""
    return ops.where(x > 0, ops.sqrt(ops.maximum(x, 0.0) + 0.25) - 0.5, x)


def network() -> keras.Model:
    inputs = keras.Input((4,))
    x = Scale(start=0.5)(inputs)
    x = layers.Dense(16, activation=bent)(x)
    x = layers.Concatenate()([x, inputs])
    return keras.Model(inputs, layers.Dense(3, activation="softmax")(x))


def main() -> dict[str, float]:
    keras.utils.set_random_seed(19)
    iris = load_iris()
    order = np.random.default_rng(0).permutation(150)
    x, y = iris.data[order].astype("float32"), iris.target[order]
    fit = {"batch_size": 30, "epochs": 15, "shuffle": False, "verbose": 0}

    model = network()
    model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy", metrics=["accuracy"])
    first = model.fit(x, y, **fit).history["loss"]
    with tempfile.TemporaryDirectory() as folder:
        whole, weights = Path(folder, "model.keras"), Path(folder, "model.weights.h5")
        model.save(whole)
        model.save_weights(weights)
        second = model.fit(x, y, **fit).history["loss"]

        loaded = keras.saving.load_model(whole)
        continued = loaded.fit(x, y, **fit).history["loss"]

        structure = keras.models.model_from_json(model.to_json())
        structure.load_weights(weights)

    clone = keras.models.clone_model(model)
    clone.set_weights(model.get_weights())
    trained, half = model.predict(x, verbose=0), structure.predict(x, verbose=0)
    return {
        "parameters": float(model.count_params()),
        "loss at the beginning": first[0],
        "loss after one half": first[-1],
        "loss at the end": second[-1],
        "loss at the end, loaded": continued[-1],
        "loaded model differs by": float(np.abs(loaded.predict(x, verbose=0) - trained).max()),
        "clone differs by": float(np.abs(clone.predict(x, verbose=0) - trained).max()),
        "second half changed": float(np.abs(half - trained).max()),
        "accuracy": float(model.evaluate(x, y, verbose=0)[1]),
        "sum of the factors": float(model.layers[1].get_weights()[0].sum()),
    }


if __name__ == "__main__":
    for name, value in main().items():
        print(f"{name:28} {value:10.4f}")
