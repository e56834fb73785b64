"""What a user gets wrong: every mistake is told by name, with what was expected, what came, and what to do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import dougong as dg
from dougong.core.errors import BuildError, ConfigError, DataError, DougongError, ShapeError, UnknownNameError

RNG = np.random.default_rng(3)
X = RNG.standard_normal((40, 4)).astype("float32")
Y = RNG.integers(0, 3, 40)
T = X.sum(1, keepdims=True)
ONE_HOT = np.eye(3, dtype="float32")[Y]


def changed(values: np.ndarray, index: int, value: float) -> np.ndarray:
    values = values.copy()
    values[index] = value
    return values


def classifier(loss: Any = "sparse_categorical_crossentropy", activation: str = "softmax", **compiling: Any) -> Any:
    layers = dg.layers
    model = dg.Sequential(
        [dg.Input((4,)), layers.Dense(5, name="hidden"), layers.Dense(3, activation=activation, name="head")]
    )
    model.compile("sgd", loss, **compiling)
    return model


def deferred() -> Any:
    model = dg.Sequential([dg.layers.Dense(5, name="hidden"), dg.layers.Dense(3, activation="softmax", name="head")])
    model.compile("sgd", "sparse_categorical_crossentropy")
    return model


def trained() -> Any:
    """One whose steps are captured."""
    model = classifier()
    model.fit(X, Y, epochs=20, batch_size=8, verbose=0)
    for _ in range(70):
        model.evaluate(X, Y, verbose=0)
        model.predict(X, verbose=0)
    return model


def regressor(units: int = 1) -> Any:
    model = dg.Sequential([dg.Input((4,)), dg.layers.Dense(units, name="out")])
    model.compile("sgd", "mse")
    return model


class Stack(dg.Model):
    def __init__(self) -> None:
        super().__init__()
        self.first = dg.layers.Dense(3, name="first")
        self.second = dg.layers.Dense(1, name="second")

    def call(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.second(self.first(inputs))


def stack() -> Any:
    model = Stack()
    model.compile("sgd", "mse")
    return model


def refused(error: type[DougongError], act: Callable[[], Any], *parts: str) -> None:
    with pytest.raises(error) as caught:
        act()
    for part in parts:
        assert part in str(caught.value)


@pytest.mark.parametrize("make", [classifier, trained])
@pytest.mark.parametrize("call", ["fit", "evaluate", "predict"])
def test_a_wrong_number_of_features(make: Callable[[], Any], call: str) -> None:
    arguments = (X[:, :3],) if call == "predict" else (X[:, :3], Y)
    refused(ShapeError, lambda: getattr(make(), call)(*arguments, verbose=0), "4", "received", "x has shape (40, 3)")


def test_a_wrong_number_of_features_where_no_input_is_declared() -> None:
    model = deferred()
    model.fit(X, Y, verbose=0)
    refused(ShapeError, lambda: model.fit(X[:, :3], Y, verbose=0), "4", "received", "x has shape (40, 3)")
    model = stack()
    model.fit(X, T, verbose=0)
    for call in (lambda: model.fit(X[:, :3], T, verbose=0), lambda: model.predict(X[:, :3], verbose=0)):
        refused(
            ShapeError, call, "Dense 'first' was built for 4 features but received shape (32, 3)", "x has shape (40, 3)"
        )


def test_one_sample_without_a_batch_axis() -> None:
    for model in (classifier(), trained()):
        refused(ShapeError, lambda: model.predict(X[0], verbose=0), "one sample needs a batch axis: x[None]")  # noqa: B023


def test_pictures_of_other_shapes() -> None:
    model = dg.Sequential([dg.Input((8, 8, 1)), dg.layers.Conv2D(2, 3), dg.layers.Flatten(), dg.layers.Dense(3)])
    model.compile("sgd", "mse")
    y = np.zeros((4, 3), "float32")
    flat = np.zeros((4, 64), "float32")
    refused(ShapeError, lambda: model.fit(flat, y, verbose=0), "(None, 8, 8, 1)", "received (4, 64)", "reshape")
    refused(ShapeError, lambda: model.fit(np.zeros((4, 1, 8, 8)), y, verbose=0), "x has shape (4, 1, 8, 8)")
    model.fit(np.zeros((4, 8, 8)), y, verbose=0)  # a missing channel axis is added, as in Keras


def test_validation_data_are_tried_before_training() -> None:
    seen: list[int] = []
    note = dg.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs: seen.append(epoch))
    for data, error, part in (
        ((X[:, :3], Y), ShapeError, "x has shape (40, 3)"),
        ((X, changed(Y, 7, 3)), DataError, "y[7] is 3"),
        ((X, ONE_HOT), ShapeError, "CategoricalCrossentropy"),
        (X, DataError, "y is missing"),
    ):
        act = lambda data=data: classifier().fit(X, Y, validation_data=data, callbacks=[note], verbose=0)  # noqa: E731
        refused(error, act, "validation_data: ", part)
    assert seen == []


@pytest.mark.parametrize(
    ("y", "part"),
    [
        (changed(Y, 7, 3), "y[7] is 3, but with 3 classes labels run from 0 to 2: 1 of 40 labels is out of range"),
        (changed(Y, 5, -1), "y[5] is -1"),
        (changed(Y, 7, 9)[:, None], "y[7, 0] is 9"),
        (Y + 0.5, "which is no class number"),
    ],
)
def test_labels_out_of_range(y: np.ndarray, part: str) -> None:
    model = trained()
    weights = model.get_weights()
    for call in (model.fit, model.evaluate):
        refused(DataError, lambda: call(X, y, verbose=0), part)  # noqa: B023
    refused(DataError, lambda: model.train_on_batch(X, y), part)
    assert all(np.array_equal(a, b) for a, b in zip(model.get_weights(), weights))


def test_labels_out_of_range_from_a_generator() -> None:
    def batches() -> Any:
        yield X, Y
        yield X, changed(Y, 7, 3)

    refused(DataError, lambda: classifier().fit(batches(), verbose=0), "in a batch of 40: y[7] is 3")
    refused(DataError, lambda: classifier().evaluate(batches(), verbose=0), "in a batch of 40: y[7] is 3")


def test_labels_of_several_outputs_are_named_by_output() -> None:
    x = dg.Input((4,))
    outputs = [dg.layers.Dense(size, activation="softmax", name=name)(x) for name, size in (("left", 3), ("right", 5))]
    model = dg.Model(x, outputs)
    model.compile("sgd", "sparse_categorical_crossentropy")
    model.fit(X, [Y, Y + 2], verbose=0)
    refused(DataError, lambda: model.fit(X, [Y + 2, Y], verbose=0), "y['left'][", "with 3 classes")


def test_a_class_that_is_ignored_may_be_out_of_range() -> None:
    model = classifier(dg.losses.SparseCategoricalCrossentropy(ignore_class=-1))
    assert np.isfinite(model.fit(X, changed(Y, 5, -1), verbose=0).history["loss"][0])


def test_binary_targets_that_are_no_probabilities() -> None:
    for name in ("binary_crossentropy", "bce"):
        model = dg.Sequential([dg.Input((4,)), dg.layers.Dense(1, activation="sigmoid")])
        model.compile("sgd", name)
        refused(DataError, lambda: model.fit(X, Y, verbose=0), "y holds values from 0 to 2")  # noqa: B023
        model.fit(X, Y > 0, verbose=0)
        model.fit(X, np.clip(Y - 0.5, 0, 1), verbose=0)
        model.fit(X, Y - 1, sample_weight=(Y > 0).astype("float32"), verbose=0)  # -1 marks what has weight 0


def test_one_hot_and_class_numbers_are_not_confused() -> None:
    refused(ShapeError, lambda: classifier().fit(X, ONE_HOT, verbose=0), "(32, 3)", "use CategoricalCrossentropy")
    for y in (Y, Y[:, None]):
        act = lambda y=y: classifier("categorical_crossentropy").fit(X, y, verbose=0)  # noqa: E731
        refused(ShapeError, act, "use SparseCategoricalCrossentropy", "to_categorical")
    refused(
        ShapeError,
        lambda: classifier("categorical_crossentropy").fit(X, np.eye(4)[Y], verbose=0),
        "y_true has shape (32, 4), but y_pred has (32, 3)",
    )


def test_targets_with_another_number_of_columns() -> None:
    act = lambda: regressor().fit(X, np.tile(T, 2), verbose=0)  # noqa: E731
    refused(ShapeError, act, "y_true has shape (32, 2), but y_pred has (32, 1)", "y has shape (40, 2)")
    refused(ShapeError, lambda: regressor(2).fit(X, T, verbose=0), "(32, 1), but y_pred has (32, 2)")
    refused(ShapeError, lambda: classifier("mse").fit(X, Y, verbose=0), "(32,), but y_pred has (32, 3)")


def test_rows_that_do_not_match() -> None:
    refused(DataError, lambda: regressor().fit(X, T[:30], verbose=0), "x has 40 rows, y has 30 rows")
    weights = np.ones(3)
    refused(DataError, lambda: regressor().fit(X, T, sample_weight=weights, verbose=0), "sample_weight has 3 rows")
    for call in ("fit", "evaluate"):
        refused(DataError, lambda: getattr(regressor(), call)(X[:0], T[:0], verbose=0), "x has no rows")  # noqa: B023
    refused(DataError, lambda: regressor().predict(X[:0], verbose=0), "x has no rows")


def test_missing_data() -> None:
    for call in ("fit", "evaluate"):
        refused(DataError, lambda: getattr(regressor(), call)(X, verbose=0), "y is missing")  # noqa: B023
    refused(DataError, lambda: regressor().fit(verbose=0), "x is None; give a NumPy array")
    refused(DataError, lambda: regressor().fit("data.csv", verbose=0), "x is a str; give")


def test_data_that_are_no_numbers() -> None:
    refused(
        DataError, lambda: classifier().fit(X, np.array(list("abcd" * 10)), verbose=0), "y holds text", "np.unique(y"
    )
    frame = pd.DataFrame({"a": [1.0] * 4, "town": ["u"] * 4, "c": [1] * 4, "d": [2] * 4})
    refused(DataError, lambda: regressor().fit(frame, T[:4], verbose=0), "columns that are not numbers: 'town'")
    mixed = np.array([[1, "a", None, 2]] * 4, dtype=object)
    refused(
        DataError, lambda: regressor().fit(mixed, T[:4], verbose=0), "Python objects (NoneType, int, str)", "astype"
    )
    refused(DataError, lambda: regressor().fit([[1, 2, 3, 4], [1, 2]], [1, 2], verbose=0), "rows of different length")


@pytest.mark.parametrize("kind", ["uint8", "int64", "bool", "float64", "float16"])
@pytest.mark.parametrize("make", [regressor, stack])
def test_numbers_of_any_kind_are_taken_as_keras_takes_them(kind: str, make: Callable[[], Any]) -> None:
    model = make()
    history = model.fit((X > 0).astype(kind), (T > 0).astype(kind), epochs=2, verbose=0)
    assert np.isfinite(history.history["loss"]).all()
    assert model.predict((X > 0).astype(kind), verbose=0).dtype == np.float32


@pytest.mark.parametrize(
    ("act", "name", "near"),
    [
        (lambda: regressor().compile("adma", "mse"), "optimizer 'adma'", "'Adam'"),
        (lambda: regressor().compile("sgd", "mean_squared_eror"), "loss 'mean_squared_eror'", "'mean_squared_error'"),
        (lambda: regressor().compile("sgd", {"out": "mea"}), "loss 'mea'", "'mae'"),
        (lambda: regressor().compile("sgd", "mse", metrics=["acuracy"]), "metric 'acuracy'", "'accuracy'"),
        (lambda: regressor().compile("sgd", "mse", weighted_metrics={"out": ["mea"]}), "metric 'mea'", "'mae'"),
        (lambda: dg.layers.Dense(3, activation="rellu"), "activation 'rellu'", "'relu'"),
        (lambda: dg.layers.Dense(3, kernel_initializer="he_norml"), "initializer 'he_norml'", "'he_normal'"),
        (lambda: classifier({"haed": "mse"}).fit(X, ONE_HOT, verbose=0), "output in loss 'haed'", "'head'"),
        (lambda: classifier().get_layer("hiden"), "'hiden'", "'hidden'"),
    ],
)
def test_unknown_names_tell_near_ones_at_once(act: Callable[[], Any], name: str, near: str) -> None:
    refused(UnknownNameError, act, name, "did you mean", near)


def test_names_that_mean_something_only_beside_data_are_known() -> None:
    model = classifier("crossentropy", metrics=["accuracy", "acc", ["ce"]][:2])
    assert set(model.fit(X, Y, verbose=0).history) == {"loss", "accuracy", "acc"}


def test_a_model_that_is_not_compiled() -> None:
    def bare() -> Any:
        return dg.Sequential([dg.Input((4,)), dg.layers.Dense(1)])

    for call in ("fit", "evaluate", "train_on_batch", "test_on_batch"):
        refused(BuildError, lambda: getattr(bare(), call)(X, T), "is not compiled: call compile(optimizer=…, loss=…)")  # noqa: B023
    assert bare().predict(X, verbose=0).shape == (40, 1)
    assert dg.Sequential([dg.layers.Dense(1)]).predict(X, verbose=0).shape == (40, 1)  # built by predict, as in Keras


def test_compile_arguments_that_do_not_fit_the_outputs() -> None:
    model = regressor()
    model.compile("sgd")
    refused(ConfigError, lambda: model.fit(X, T, verbose=0), "nothing to minimise", "loss=…")
    model.compile("sgd", ["mse", "mae"])
    refused(ConfigError, lambda: model.fit(X, T, verbose=0), "loss has 2 entries for 1 outputs ['out']")
    refused(ConfigError, lambda: model.compile(None, "mse"), "optimizer is None")
    refused(
        DataError, lambda: regressor().fit(X, [T, T], verbose=0), "y has 2 parts, but the model has 1 outputs ['out']"
    )
    refused(ShapeError, lambda: regressor().fit([X, X], T, verbose=0), "takes 1 inputs", "received 2")
    refused(ShapeError, lambda: regressor().fit({"a": X}, T, verbose=0), "needs inputs", "received ['a']")


@pytest.mark.parametrize(
    ("options", "part"),
    [
        ({"batch_size": 0}, "batch_size must be a whole number of at least 1"),
        ({"batch_size": 2.5}, "batch_size must be a whole number"),
        ({"epochs": 2.5}, "epochs must be a whole number, 0 or more; got 2.5"),
        ({"epochs": -1}, "epochs must be a whole number"),
        ({"initial_epoch": "2"}, "initial_epoch must be a whole number"),
        ({"validation_split": 1.5}, "validation_split must lie between 0 and 1"),
        ({"verbose": "loud"}, "verbose must be 0, 1, 2 or 'auto', got 'loud'"),
        ({"validation_data": (X, T), "validation_freq": 0}, "validation_freq must be at least 1"),
        ({"steps_per_epoch": 0}, "steps_per_epoch must be a whole number"),
    ],
)
def test_wrong_arguments_of_fit(options: dict[str, Any], part: str) -> None:
    refused(ConfigError, lambda: regressor().fit(X, T, **{"verbose": 0} | options), part)


def test_nothing_to_train() -> None:
    model = regressor()
    model.trainable = False
    refused(ConfigError, lambda: model.fit(X, T, verbose=0), "nothing to train", "unfreeze some layer")


def test_no_epochs_train_nothing() -> None:
    model = regressor()
    weights = model.get_weights()
    history = model.fit(X, T, epochs=0, verbose=0)
    assert (history.history, history.epoch) == ({}, [])
    assert all(np.array_equal(a, b) for a, b in zip(model.get_weights(), weights))
