"""Segmentation: a small U-Net that finds discs among bars, pixel by pixel, with skips from the way down to the way up.

The loss is cross-entropy plus the Dice loss; the score is the intersection over union, against the best threshold on
brightness, which cannot tell a disc from a bar.
"""

import keras
import numpy as np
from keras import layers, ops

SIZE = 16


def pictures(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Noisy pictures with a disc and a bar of one brightness, and 1 where the disc is."""
    draw = np.random.default_rng(seed)
    row, column = np.mgrid[:SIZE, :SIZE]
    x, y = np.zeros((2, count, SIZE, SIZE), dtype="float32")
    for index in range(count):
        centre, radius = draw.uniform(4, SIZE - 4, 2), draw.uniform(2.5, 4)
        y[index] = (row - centre[0]) ** 2 + (column - centre[1]) ** 2 < radius**2
        start, across = draw.integers(0, SIZE - 2), draw.random() < 0.5
        bar = (start <= (row if across else column)) & ((row if across else column) < start + 2)
        x[index] = np.maximum(y[index], bar) * 0.8 + draw.normal(scale=0.15, size=(SIZE, SIZE))
    return x[..., None], y[..., None]


def double(x, filters: int):
    for _ in range(2):
        x = layers.Conv2D(filters, 3, padding="same", activation="swish", kernel_initializer="he_normal")(x)
    return x


def unet() -> keras.Model:
    inputs = keras.Input((SIZE, SIZE, 1))
    first = double(inputs, 8)
    second = double(layers.AveragePooling2D(2)(first), 16)
    x = double(layers.AveragePooling2D(2)(second), 16)
    x = layers.Concatenate()([layers.UpSampling2D(interpolation="bilinear")(x), second])
    x = double(x, 16)
    x = layers.Concatenate()([layers.Conv2DTranspose(8, 2, strides=2)(x), first])
    x = double(x, 8)
    return keras.Model(inputs, layers.Conv2D(1, 1, activation="sigmoid")(x))


def loss(y_true, y_pred):
    crossentropy = ops.mean(keras.losses.binary_crossentropy(y_true, y_pred))
    overlap = 2 * ops.sum(y_true * y_pred) + 1.0
    dice = 1 - overlap / (ops.sum(y_true) + ops.sum(y_pred) + 1.0)
    return crossentropy + dice


def iou(truth: np.ndarray, found: np.ndarray) -> float:
    return float(np.logical_and(truth, found).sum() / np.logical_or(truth, found).sum())


def main() -> dict[str, float]:
    keras.utils.set_random_seed(21)
    x, y = pictures(200, seed=0)
    x_test, y_test = pictures(100, seed=1)
    model = unet()
    metric = keras.metrics.BinaryIoU(target_class_ids=[1], threshold=0.5, name="iou")
    model.compile(keras.optimizers.Adam(0.005), loss=loss, metrics=[metric])
    history = model.fit(x, y, batch_size=20, epochs=6, shuffle=False, verbose=0)
    scores = model.evaluate(x_test, y_test, batch_size=100, verbose=0, return_dict=True)
    found = model.predict(x_test, batch_size=100, verbose=0) > 0.5
    bright = max(iou(y_test > 0.5, x_test > threshold) for threshold in np.linspace(0.2, 0.8, 7))
    return {
        "parameters": float(model.count_params()),
        "first loss": history.history["loss"][0],
        "last loss": history.history["loss"][-1],
        "test loss": scores["loss"],
        "iou: best threshold": bright,
        "iou: metric": scores["iou"],
        "iou: counted here": iou(y_test > 0.5, found),
        "share of disc pixels": float(found.mean()),
    }


if __name__ == "__main__":
    for name, value in main().items():
        print(f"{name:26} {value:10.4f}")
