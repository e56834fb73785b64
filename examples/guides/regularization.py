"""Against learning by heart: weight penalties, constraints, dropout, noise, label smoothing and averaged weights.

A wide network sees 150 digits, a quarter of them with a wrong label.  Each remedy is judged by the accuracy on digits
that it has not seen and by how sure the network is of the wrong labels it was told.
"""

import keras
import numpy as np
from keras import layers
from sklearn.datasets import load_digits

UNITS = 96


def dense(**options) -> layers.Layer:
    return layers.Dense(UNITS, activation="gelu", **options)


def hidden(remedy: str) -> list[layers.Layer]:
    """The hidden layers of a network with this remedy."""
    if remedy == "penalty":
        penalty = keras.regularizers.L1L2(l1=1e-4, l2=1e-2)
        return [dense(kernel_regularizer=penalty), dense(kernel_regularizer=penalty)]
    if remedy == "constraint":
        limit = keras.constraints.MaxNorm(0.8)
        return [dense(kernel_constraint=limit), dense(kernel_constraint=limit)]
    if remedy == "dropout":
        return [dense(), layers.Dropout(0.5), dense(), layers.Dropout(0.5)]
    if remedy == "noise":
        return [layers.GaussianNoise(0.3), dense(), dense()]
    return [dense(), dense()]


def data() -> tuple[np.ndarray, ...]:
    """(pictures, labels as told, whether told wrong, new pictures, new labels)."""
    digits = load_digits()
    draw = np.random.default_rng(7)
    order = draw.permutation(len(digits.data))
    x, y = (digits.data[order] / 16.0).astype("float32"), digits.target[order]
    wrong = np.arange(150) % 4 == 0
    told = np.where(wrong, (y[:150] + draw.integers(1, 10, 150)) % 10, y[:150])
    return x[:150], told, wrong, x[150:], y[150:]


def main() -> dict[str, float]:
    x, told, wrong, x_new, y_new = data()
    results = {}
    for name in ("nothing", "penalty", "constraint", "dropout", "noise", "smoothing", "average"):
        keras.utils.set_random_seed(28)
        model = keras.Sequential([keras.Input((64,)), *hidden(name), layers.Dense(10, activation="softmax")])
        model.compile(
            optimizer=keras.optimizers.Adam(0.003, use_ema=name == "average", ema_momentum=0.98),
            loss=keras.losses.CategoricalCrossentropy(label_smoothing=0.3 if name == "smoothing" else 0.0),
        )
        targets = keras.utils.to_categorical(told, 10)
        history = model.fit(x, targets, batch_size=50, epochs=30, shuffle=False, verbose=0)
        belief = model.predict(x, batch_size=150, verbose=0)[np.arange(150), told]
        accuracy = (model.predict(x_new, batch_size=600, verbose=0).argmax(1) == y_new).mean()
        results[f"{name}: loss"] = history.history["loss"][-1]
        results[f"{name}: believes errors"] = float(belief[wrong].mean())
        results[f"{name}: accuracy"] = float(accuracy)
    return results


if __name__ == "__main__":
    for name, value in main().items():
        print(f"{name:30} {value:10.4f}")
