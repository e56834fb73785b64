"""The networks in Keras's words: one set of builders for Keras and for Dougong, which take the module to build with.

N batch, H height, W width, C channels, T time, D features.
"""

from __future__ import annotations

from typing import Any

from benchmarks.cases import LEARNING_RATE, Case

__all__ = ["MOBILE_BLOCKS", "build", "compiled"]

MOBILE_BLOCKS = ((32, 1), (64, 2), (64, 1), (128, 2), (128, 1))  # (pointwise filters, stride of the depthwise part)


def build(case: Case, k: Any) -> Any:
    """The case's network in module ``k`` (``keras`` or ``dougong``): ``[N, *case.shape] -> [N, case.outputs]``."""
    if case.hidden:
        return _perceptron(case, k)
    return {"lenet5": _lenet5, "lstm": _lstm, "mobile": _mobile, "transformer": _transformer}[case.name](case, k)


def compiled(case: Case, k: Any) -> Any:
    """:func:`build`, compiled with Adam and the case's loss on logits."""
    model = build(case, k)
    loss = k.losses.BinaryCrossentropy if case.loss == "binary" else k.losses.SparseCategoricalCrossentropy
    model.compile(optimizer=k.optimizers.Adam(LEARNING_RATE), loss=loss(from_logits=True))
    return model


def _perceptron(case: Case, k: Any) -> Any:
    hidden = [k.layers.Dense(width, activation=case.activation) for width in case.hidden]
    return k.Sequential([k.Input(case.shape), *hidden, k.layers.Dense(case.outputs)])


def _lenet5(case: Case, k: Any) -> Any:
    return k.Sequential(
        [
            k.Input(case.shape),
            k.layers.Conv2D(6, 5, padding="same", activation="tanh"),
            k.layers.AveragePooling2D(2),
            k.layers.Conv2D(16, 5, activation="tanh"),
            k.layers.AveragePooling2D(2),
            k.layers.Flatten(),
            k.layers.Dense(120, activation="tanh"),
            k.layers.Dense(84, activation="tanh"),
            k.layers.Dense(case.outputs),
        ]
    )


def _lstm(case: Case, k: Any) -> Any:
    return k.Sequential([k.Input(case.shape), k.layers.LSTM(64), k.layers.Dense(case.outputs)])


def _mobile(case: Case, k: Any) -> Any:
    layers = [k.Input(case.shape), k.layers.Conv2D(16, 3, strides=2, padding="same", use_bias=False)]
    layers += [k.layers.BatchNormalization(), k.layers.ReLU()]
    for filters, stride in MOBILE_BLOCKS:
        layers += [
            k.layers.DepthwiseConv2D(3, strides=stride, padding="same", use_bias=False),
            k.layers.BatchNormalization(),
            k.layers.ReLU(),
            k.layers.Conv2D(filters, 1, use_bias=False),
            k.layers.BatchNormalization(),
            k.layers.ReLU(),
        ]
    return k.Sequential([*layers, k.layers.GlobalAveragePooling2D(), k.layers.Dense(case.outputs)])


def _transformer(case: Case, k: Any) -> Any:
    inputs = k.Input(case.shape)
    x_NTD = inputs
    features = case.shape[-1]
    for _ in range(2):
        attended_NTD = k.layers.MultiHeadAttention(num_heads=4, key_dim=features // 4)(x_NTD, x_NTD)
        x_NTD = k.layers.LayerNormalization(epsilon=1e-5)(k.layers.Add()([x_NTD, attended_NTD]))
        fed_NTD = k.layers.Dense(features)(k.layers.Dense(256, activation="relu")(x_NTD))
        x_NTD = k.layers.LayerNormalization(epsilon=1e-5)(k.layers.Add()([x_NTD, fed_NTD]))
    outputs = k.layers.Dense(case.outputs)(k.layers.GlobalAveragePooling1D()(x_NTD))
    return k.Model(inputs, outputs)
