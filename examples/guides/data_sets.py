"""Feeding data: arrays, a generator, a PyDataset and a torch DataLoader, which must all train the same network.

The pictures do not fit in memory, we pretend: each batch is made when it is asked for.  All four ways show the batches
in one order, so the same start must lead to the same weights.
"""

import keras
import numpy as np
import torch
from keras import layers
from sklearn.datasets import load_digits

BATCH, EPOCHS = 40, 4


class Batches(keras.utils.PyDataset):
    """Batch ``index`` of the pictures, scaled when it is asked for."""

    def __init__(self, pictures: np.ndarray, labels: np.ndarray, **kwargs) -> None:
        super().__init__(**kwargs)
        self.pictures, self.labels, self.epochs = pictures, labels, 0

    def __len__(self) -> int:
        return (len(self.pictures) + BATCH - 1) // BATCH

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        rows = slice(index * BATCH, (index + 1) * BATCH)
        return self.pictures[rows].astype("float32") / 16.0, self.labels[rows]

    def on_epoch_end(self) -> None:
        self.epochs += 1


def generated(pictures: np.ndarray, labels: np.ndarray):
    """The same batches for ever."""
    batches = Batches(pictures, labels)
    while True:
        yield from (batches[index] for index in range(len(batches)))


def network() -> keras.Model:
    keras.utils.set_random_seed(27)
    model = keras.Sequential(
        [keras.Input((8, 8)), layers.Flatten(), layers.Dense(32, activation="relu"), layers.Dense(10)]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.2, momentum=0.9), loss=loss, metrics=["accuracy"])
    return model


def main() -> dict[str, float]:
    digits = load_digits()
    pictures, labels = digits.images.astype("uint8"), digits.target
    train, test = slice(0, 1190), slice(1190, None)
    scaled = pictures[train].astype("float32") / 16.0
    dataset = torch.utils.data.TensorDataset(torch.tensor(scaled), torch.tensor(labels[train]))
    batches = Batches(pictures[train], labels[train])
    ways = {
        "arrays": {"x": scaled, "y": labels[train], "batch_size": BATCH},
        "PyDataset": {"x": batches},
        "generator": {"x": generated(pictures[train], labels[train]), "steps_per_epoch": len(batches)},
        "DataLoader": {"x": torch.utils.data.DataLoader(dataset, batch_size=BATCH)},
    }
    held_out = Batches(pictures[test], labels[test])
    results, weights = {}, {}
    for name, data in ways.items():
        model = network()
        history = model.fit(**data, epochs=EPOCHS, shuffle=False, verbose=0, validation_data=held_out)
        weights[name] = model.get_weights()
        results[f"{name}: loss"] = history.history["loss"][-1]
        results[f"{name}: validation"] = history.history["val_accuracy"][-1]
    for name in list(ways)[1:]:
        gaps = [np.abs(a - b).max() for a, b in zip(weights[name], weights["arrays"])]
        results[f"{name}: differs by"] = float(max(gaps))
    results["predicted from batches"] = float(len(model.predict(held_out, verbose=0)))
    return results


if __name__ == "__main__":
    for name, value in main().items():
        print(f"{name:26} {value:10.4f}")
