"""The same words with the real Keras and with Dougong: same weights in; same outputs, updates and metrics out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import torch

import dougong as dg
from closeness import close

RNG = np.random.default_rng(7)


def arrays(*shape: int) -> np.ndarray:
    return RNG.standard_normal(shape).astype("float32")


def labels(count: int, classes: int) -> np.ndarray:
    return RNG.integers(0, classes, count)


def mlp(k: Any) -> Any:
    layers = k.layers
    return k.Sequential(
        [
            k.Input((6,)),
            layers.Dense(8, activation="tanh", kernel_regularizer="l2"),
            layers.Dense(3, activation="softmax"),
        ]
    )


def lenet(k: Any) -> Any:
    layers = k.layers
    return k.Sequential(
        [
            k.Input((12, 12, 1)),
            layers.Conv2D(4, 3, padding="same", activation="relu"),
            layers.AveragePooling2D(2),
            layers.Conv2D(6, 3, use_bias=False),  # before a normalisation its gradient is nothing but rounding
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dense(3, activation="softmax"),
        ]
    )


def separable(k: Any) -> Any:
    layers = k.layers
    x = start = k.Input((12, 12, 3))
    x = layers.SeparableConv2D(6, 3, strides=2, padding="same", use_bias=False)(x)
    x = layers.BatchNormalization(momentum=0.9)(x)
    y = layers.DepthwiseConv2D(3, padding="same")(x)
    x = layers.GlobalAveragePooling2D()(layers.Add()([x, y]))
    return k.Model(start, layers.Dense(3, activation="softmax")(x))


def recurrent(kind: str) -> Callable[[Any], Any]:
    def build(k: Any) -> Any:
        layers = k.layers
        return k.Sequential(
            [
                k.Input((5, 6)),
                layers.Bidirectional(getattr(layers, kind)(4, return_sequences=True)),
                getattr(layers, kind)(5),
                layers.Dense(3, activation="softmax"),
            ]
        )

    return build


def attention(k: Any) -> Any:
    layers = k.layers
    start = k.Input((5, 6))
    x = layers.LayerNormalization()(start)
    x = layers.Add()([start, layers.MultiHeadAttention(2, 3)(x, x)])
    x = layers.GlobalAveragePooling1D()(layers.Dense(8, activation="gelu")(x))
    return k.Model(start, layers.Dense(3, activation="softmax")(x))


def embedded(k: Any) -> Any:
    layers = k.layers
    start = k.Input((7,), dtype="int32")
    x = layers.Embedding(9, 4, mask_zero=True)(start)
    return k.Model(start, layers.Dense(3, activation="softmax")(layers.LSTM(5)(x)))


CASES = {
    "mlp": (mlp, (6,)),
    "lenet": (lenet, (12, 12, 1)),
    "separable": (separable, (12, 12, 3)),
    "SimpleRNN": (recurrent("SimpleRNN"), (5, 6)),
    "LSTM": (recurrent("LSTM"), (5, 6)),
    "GRU": (recurrent("GRU"), (5, 6)),
    "attention": (attention, (5, 6)),
    "embedding with masks": (embedded, None),
}


@pytest.mark.parametrize("optimizer", ["SGD", "Adam"])
@pytest.mark.parametrize("name", CASES)
def test_three_epochs_give_keras_weights_and_logs(name: str, optimizer: str) -> None:
    build, shape = CASES[name]
    x = RNG.integers(0, 9, (20, 7)) if shape is None else arrays(20, *shape)
    y = labels(20, 3)
    models = [build(keras), build(dg)]
    models[1].set_weights(models[0].get_weights())
    close(models[1].predict(x, verbose=0), models[0].predict(x, verbose=0), because=f"{name}: outputs")
    histories = []
    for k, model in zip((keras, dg), models):
        model.compile(
            getattr(k.optimizers, optimizer)(1e-2),
            k.losses.SparseCategoricalCrossentropy(),
            metrics=["accuracy", k.metrics.SparseTopKCategoricalAccuracy(2)],
        )
        histories.append(
            model.fit(x, y, batch_size=8, epochs=3, shuffle=False, verbose=0, validation_data=(x, y)).history
        )
    theirs, ours = histories
    assert list(ours) == list(theirs) or set(ours) == set(theirs)
    for key, values in theirs.items():
        close(ours[key], values, because=f"{name}: {key}", tolerance=2e-4)
    for index, (mine, want) in enumerate(zip(models[1].get_weights(), models[0].get_weights())):
        close(mine, want, because=f"{name}: weight {index}", tolerance=1e-3 if optimizer == "Adam" else 2e-5)


def test_one_step_equals_keras_to_1e5() -> None:
    for name, (build, shape) in CASES.items():
        x = RNG.integers(0, 9, (8, 7)) if shape is None else arrays(8, *shape)
        y = labels(8, 3)
        models = [build(keras), build(dg)]
        models[1].set_weights(models[0].get_weights())
        for k, model in zip((keras, dg), models):
            model.compile(k.optimizers.SGD(0.1), "sparse_categorical_crossentropy")
            model.fit(x, y, batch_size=8, verbose=0)
        for index, (mine, want) in enumerate(zip(models[1].get_weights(), models[0].get_weights())):
            close(mine, want, because=f"{name}: weight {index} after one step")


def test_captured_and_eager_steps_give_the_same_numbers() -> None:
    x, y = arrays(64, 6), labels(64, 3)
    plans, results = [], []
    for eagerly in (False, True):
        dg.utils.set_random_seed(3)
        model = dg.Sequential(
            [
                dg.Input((6,)),
                dg.layers.Dense(8, "relu"),
                dg.layers.Dropout(0.3),
                dg.layers.BatchNormalization(),
                dg.layers.Dense(3),
            ]
        )
        loss = dg.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile("adam", loss, metrics=["accuracy"], run_eagerly=eagerly)
        history = model.fit(x, y, batch_size=16, epochs=20, verbose=0)
        plans.append(history.plan)
        results.append((history.history, model.get_weights()))
    assert plans[0].startswith("captured")
    assert plans[1] == "eager: run_eagerly=True"
    for key, values in results[1][0].items():
        close(results[0][0][key], values, because=key, tolerance=0)
    for mine, want in zip(results[0][1], results[1][1]):
        close(mine, want, because="weights", tolerance=0)


def test_class_and_sample_weights_equal_keras() -> None:
    x, y, w = arrays(24, 6), labels(24, 3), RNG.uniform(0, 2, 24).astype("float32")
    for arguments in ({"sample_weight": w}, {"class_weight": {0: 1.0, 1: 3.0, 2: 0.5}}):
        models = [mlp(keras), mlp(dg)]
        models[1].set_weights(models[0].get_weights())
        found = []
        for model in models:
            model.compile("sgd", "sparse_categorical_crossentropy", weighted_metrics=["accuracy"])
            found.append(model.fit(x, y, batch_size=8, epochs=2, shuffle=False, verbose=0, **arguments).history)
        for key, values in found[0].items():
            close(found[1][key], values, because=f"{key} with {list(arguments)}", tolerance=1e-5)


def test_metric_names_are_keras_names() -> None:
    names = [
        ["acc"],
        ["accuracy", "sparse_categorical_crossentropy"],
    ]
    for metrics in names:
        keys = []
        for model in (mlp(keras), mlp(dg)):
            model.compile("sgd", "sparse_categorical_crossentropy", metrics=metrics)
            keys.append(sorted(model.fit(arrays(8, 6), labels(8, 3), verbose=0).history))
        assert keys[1] == keys[0]


def test_regression_metric_names_are_keras_names() -> None:
    x, y = arrays(8, 6), arrays(8, 3)
    keys = []
    for model in (mlp(keras), mlp(dg)):
        model.compile("sgd", "mse", metrics=["mse", "mae", "cosine_similarity"])
        keys.append(sorted(model.fit(x, y, verbose=0).history))
    assert keys[1] == keys[0]


def test_gradient_accumulation_clipping_and_average_equal_keras() -> None:
    x, y = arrays(32, 6), labels(32, 3)
    for options in (
        {"gradient_accumulation_steps": 2},
        {"clipnorm": 0.1},
        {"global_clipnorm": 0.1},
        {"clipvalue": 0.01},
        {"use_ema": True, "ema_momentum": 0.8},
        {"weight_decay": 0.1},
    ):
        models = [mlp(keras), mlp(dg)]
        models[1].set_weights(models[0].get_weights())
        for k, model in zip((keras, dg), models):
            model.compile(k.optimizers.SGD(0.1, momentum=0.9, **options), "sparse_categorical_crossentropy")
            model.fit(x, y, batch_size=8, epochs=2, shuffle=False, verbose=0)
        for index, (mine, want) in enumerate(zip(models[1].get_weights(), models[0].get_weights())):
            close(mine, want, because=f"{options}: weight {index}", tolerance=2e-5)


def test_torch_is_the_engine() -> None:
    assert keras.backend.backend() == "torch"
    assert isinstance(mlp(dg), torch.nn.Module)
