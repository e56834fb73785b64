"""Two networks that need only a name: ``lenet5`` for small pictures, ``mlp`` for tables.

Both take raw units: what scales inputs (and gives targets back their units) is a layer inside, measured on the training
part.   Shapes: N samples, H height, W width, C channels, F inputs, K classes, T targets.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dougong.core.errors import ShapeError
from dougong.core.symbol import Input
from dougong.layers import (
    AveragePooling2D,
    Conv2D,
    Dense,
    Flatten,
    Layer,
    MaxPooling2D,
    Normalization,
    Rescaling,
    UpSampling2D,
    ZeroPadding2D,
)
from dougong.models import Sequential

__all__ = ["BUILT_IN", "Recipe", "lenet5", "mlp", "moments"]


@dataclass(frozen=True)
class Recipe:
    """How a built-in network is trained when nothing else is asked for."""

    title: str
    epochs: int
    batch_size: int
    learning_rate: float | None
    """At the start (None: the optimizer's own); it falls to 0 along a cosine."""
    label_smoothing: float = 0.0
    """The share of certainty that targets give to the other classes; it keeps a small net from being too sure."""


BUILT_IN = {
    "lenet5": Recipe("LeNet-5", epochs=30, batch_size=32, learning_rate=2e-3, label_smoothing=0.1),
    "mlp": Recipe("MLP", epochs=200, batch_size=32, learning_rate=3e-3, label_smoothing=0.05),
}


def lenet5(input_shape: Sequence[int], classes: int, *, brightest: float = 255.0) -> Sequential:
    """LeCun's seven layers: C1 6@5x5, S2, C3 16@5x5, S4, C5 120, F6 84, output.   Shapes: ``[N, H, W, C] -> [N, K]``.

    They see 32x32 pixels from 0 to 1, as in the paper: smaller pictures are enlarged by a whole factor, larger ones
    averaged down by one, and the rest is a black margin.  ``brightest`` is the largest value of a pixel.
    Differences from the paper: ReLU, softmax, C3 sees all of S2's maps, and subsampling takes the maximum.
    Raises: ShapeError unless the input is a picture.   Ref: LeCun, Bottou, Bengio, Haffner 1998, doi:10.1109/5.726791.

    >>> lenet5((28, 28, 1), 10).count_params()
    61706
    """
    if len(input_shape) != 3:
        raise ShapeError(
            f"lenet5 takes pictures (height, width, channels), but one input here has shape {tuple(input_shape)}; "
            "for tables use mlp."
        )
    return Sequential(
        [
            Input(tuple(input_shape)),
            Rescaling(1.0 / brightest, name="scale"),
            *_to_32_pixels(*input_shape[:2]),
            Conv2D(6, 5, activation="relu", kernel_initializer="he_uniform", name="c1"),
            MaxPooling2D(2, name="s2"),
            Conv2D(16, 5, activation="relu", kernel_initializer="he_uniform", name="c3"),
            MaxPooling2D(2, name="s4"),
            Conv2D(120, 5, activation="relu", kernel_initializer="he_uniform", name="c5"),
            Flatten(name="flatten"),
            Dense(84, activation="relu", kernel_initializer="he_uniform", name="f6"),
            Dense(classes, activation="softmax", name="predictions"),
        ],
        name="lenet5",
    )


def _to_32_pixels(height: int, width: int) -> list[Layer]:
    """Layers that bring pictures to 32x32 and keep their proportions."""
    layers: list[Layer] = []
    enlarge, reduce = 32 // max(height, width), -(-max(height, width) // 32)
    if enlarge > 1:
        layers.append(UpSampling2D(enlarge, interpolation="bilinear", name="enlarge"))
        height, width = height * enlarge, width * enlarge
    if reduce > 1:
        layers.append(AveragePooling2D(reduce, padding="same", name="reduce"))
        height, width = -(-height // reduce), -(-width // reduce)
    above, left = (32 - height) // 2, (32 - width) // 2
    if (height, width) != (32, 32):
        layers.append(ZeroPadding2D(((above, 32 - height - above), (left, 32 - width - left)), name="margin"))
    return layers


def mlp(
    input_shape: Sequence[int],
    outputs: int,
    task: str,
    *,
    inputs: np.ndarray | None = None,
    targets: np.ndarray | None = None,
    hidden: Sequence[int] | None = None,
) -> Sequential:
    """Scaling, hidden ReLU layers, and softmax or plain outputs.   Shapes: ``[N, F] -> [N, K]`` or ``[N, T]``.

    The layers ``scale`` and ``unscale`` take means and deviations from ``inputs`` and ``targets`` of the training part.
    ``hidden`` is 32 units for less than 2,000 samples, which more would only memorise, else 128 and 64.

    >>> mlp((4,), 3, "classification").count_params(), mlp((4,), 1, "regression").layers[-1].name
    (259, 'unscale')
    """
    if hidden is None:
        hidden = (128, 64) if inputs is not None and len(inputs) >= 2000 else (32,)
    model = Sequential(name="mlp")
    model.add(Input(tuple(input_shape)))
    if len(input_shape) > 1:
        model.add(Flatten(name="flatten"))
    mean, deviation = moments(inputs, int(np.prod(input_shape)))
    model.add(Normalization(mean=mean, variance=deviation**2, name="scale"))
    for number, units in enumerate(hidden, start=1):
        model.add(Dense(units, activation="relu", kernel_initializer="he_uniform", name=f"hidden_{number}"))
    if task == "classification":
        model.add(Dense(outputs, activation="softmax", name="predictions"))
        return model
    mean, deviation = moments(targets, outputs)
    model.add(Dense(outputs, name="predictions"))
    model.add(Normalization(mean=mean, variance=deviation**2, invert=True, name="unscale"))
    return model


def moments(values: np.ndarray | None, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each column; a constant column keeps its scale."""
    if values is None:
        return np.zeros(width), np.ones(width)
    flat = np.asarray(values, dtype=np.float64).reshape(len(values), -1)
    deviation = flat.std(axis=0)
    return flat.mean(axis=0), np.where(deviation > 0, deviation, 1.0)
