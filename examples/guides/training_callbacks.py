"""Callbacks: stop early, keep the best, lower the rate, write a log, and one of your own.

A network large enough to learn the noise by heart is trained on few points.  What the callbacks did is read back from
the history, the log file and the checkpoint.
"""

import csv
import tempfile
from pathlib import Path

import keras
import numpy as np
from keras import layers


class WeightNorms(keras.callbacks.Callback):
    """Records the length of all weights after each epoch, and how many batches it has seen."""

    def on_train_begin(self, logs=None) -> None:
        self.norms, self.batches = [], 0

    def on_train_batch_end(self, batch, logs=None) -> None:
        self.batches += 1

    def on_epoch_end(self, epoch, logs=None) -> None:
        squares = sum(float(np.sum(weight**2)) for weight in self.model.get_weights())
        self.norms.append(squares**0.5)


def data() -> tuple[np.ndarray, ...]:
    draw = np.random.default_rng(4)
    x = draw.uniform(-1, 1, (260, 1)).astype("float32")
    y = np.sin(4 * x) + draw.normal(scale=0.3, size=x.shape)
    return x[:60], y[:60].astype("float32"), x[60:], y[60:].astype("float32")


def network() -> keras.Model:
    return keras.Sequential(
        [
            keras.Input((1,)),
            layers.Dense(64, activation="tanh"),
            layers.Dense(64, activation="tanh"),
            layers.Dense(1),
        ]
    )


def main() -> dict[str, float]:
    keras.utils.set_random_seed(17)
    x, y, x_new, y_new = data()
    model, norms = network(), WeightNorms()
    model.compile(optimizer=keras.optimizers.Adam(0.01), loss="mse")
    with tempfile.TemporaryDirectory() as folder:
        best, log = Path(folder, "best.keras"), Path(folder, "log.csv")
        history = model.fit(
            x,
            y,
            validation_data=(x_new, y_new),
            batch_size=20,
            epochs=60,
            shuffle=False,
            verbose=0,
            callbacks=[
                keras.callbacks.ReduceLROnPlateau(factor=0.5, patience=4, min_lr=1e-4),
                keras.callbacks.EarlyStopping(patience=10, restore_best_weights=True),
                keras.callbacks.ModelCheckpoint(best, monitor="val_loss", save_best_only=True),
                keras.callbacks.CSVLogger(log),
                norms,
            ],
        )
        with log.open(newline="") as file:
            rows = list(csv.DictReader(file))
        saved = keras.saving.load_model(best)
    losses = history.history["val_loss"]
    restored = model.evaluate(x_new, y_new, batch_size=200, verbose=0)
    return {
        "epochs": float(len(losses)),
        "best epoch": float(np.argmin(losses) + 1),
        "best validation loss": min(losses),
        "last validation loss": losses[-1],
        "restored weights give": restored,
        "the checkpoint gives": saved.evaluate(x_new, y_new, batch_size=200, verbose=0),
        "rate at the end": float(history.history["learning_rate"][-1]),
        "rows of the log": float(len(rows)),
        "last loss in the log": float(rows[-1]["loss"]),
        "batches": float(norms.batches),
        "length of the weights, first": norms.norms[0],
        "length of the weights, last": norms.norms[-1],
    }


if __name__ == "__main__":
    for name, value in main().items():
        print(f"{name:30} {value:10.4f}")
