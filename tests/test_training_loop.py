"""The loop: same seed same numbers, every kind of data, what single batches and evaluations return."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest
import torch

import dougong as dg
from closeness import close
from training_cases import RNG, T, X, Y, classifier, mlp, regressor, same

# ── The same again ──────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("eagerly", [False, True])
def test_the_same_seed_gives_the_same_bits(eagerly: bool) -> None:
    runs = []
    for _ in range(2):
        dg.utils.set_random_seed(11)
        model = dg.Sequential(
            [
                dg.Input((4,)),
                dg.layers.Dense(8, "relu"),
                dg.layers.Dropout(0.3),
                dg.layers.BatchNormalization(),
                dg.layers.Dense(3),
            ]
        )
        loss = dg.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile("adam", loss, metrics=["accuracy"], run_eagerly=eagerly)
        history = model.fit(X, Y, batch_size=16, epochs=30, verbose=0, validation_data=(X, Y)).history
        runs.append([*model.get_weights(), *history.values()])
    same(runs[1], runs[0], "a run and its repetition")


def test_another_seed_gives_other_weights_and_another_order() -> None:
    runs = []
    for seed in (1, 2):
        model = regressor(optimizer=dg.optimizers.SGD(0.05))
        model.set_weights([np.ones((4, 1)), np.zeros(1)])
        dg.utils.set_random_seed(seed)
        model.fit(X, T + X[:, :1] ** 2, batch_size=4, verbose=0)
        runs.append(model.get_weights()[0])
    assert not np.array_equal(runs[0], runs[1])


def test_more_epochs_go_on_where_fewer_ended() -> None:
    weights = classifier().get_weights()
    ends = []
    for parts in ([(0, 6)], [(0, 2), (2, 3), (3, 6)]):
        model = classifier()
        model.set_weights(weights)
        model.compile(dg.optimizers.Adam(0.01), "sparse_categorical_crossentropy")
        epochs = []
        for start, stop in parts:
            epochs += model.fit(X, Y, batch_size=8, initial_epoch=start, epochs=stop, shuffle=False, verbose=0).epoch
        assert epochs == list(range(6))
        ends.append(model.get_weights())
    same(ends[1], ends[0], "three runs for one")


# ── Every kind of data ──────────────────────────────────────────────────────────────────────────────────────────────


class Batches(dg.data.PyDataset):
    def __len__(self) -> int:
        return 5

    def __getitem__(self, index: int) -> Any:
        return X[index * 8 : index * 8 + 8], T[index * 8 : index * 8 + 8]


def endless() -> Any:
    while True:
        for index in range(5):
            yield X[index * 8 : index * 8 + 8], T[index * 8 : index * 8 + 8]


SOURCES = {
    "arrays": lambda: ((X, T), {"batch_size": 8}),
    "tensors": lambda: ((torch.from_numpy(X), torch.from_numpy(T)), {"batch_size": 8}),
    "lists": lambda: ((X.tolist(), T.tolist()), {"batch_size": 8}),
    "pandas": lambda: ((pd.DataFrame(X, columns=list("abcd")), pd.Series(T[:, 0])), {"batch_size": 8}),
    "steps for size": lambda: ((X, T), {"steps_per_epoch": 5}),
    "a PyDataset": lambda: ((Batches(),), {}),
    "a generator": lambda: ((endless(),), {"steps_per_epoch": 5}),
    "a DataLoader": lambda: (
        (torch.utils.data.DataLoader(torch.utils.data.TensorDataset(torch.from_numpy(X), torch.from_numpy(T)), 8),),
        {},
    ),
    "a Dataset": lambda: (
        (torch.utils.data.TensorDataset(torch.from_numpy(X), torch.from_numpy(T)),),
        {"batch_size": 8},
    ),
}


@pytest.mark.parametrize("kind", SOURCES)
def test_all_kinds_of_data_train_alike(kind: str) -> None:
    weights = [np.ones((4, 1)), np.zeros(1)]
    model = regressor()
    model.set_weights(weights)
    arguments, options = SOURCES[kind]()
    history = model.fit(*arguments, epochs=3, shuffle=False, verbose=0, validation_data=(X, T), **options)
    reference = regressor()
    reference.set_weights(weights)
    want = reference.fit(X, T, batch_size=8, epochs=3, shuffle=False, verbose=0, validation_data=(X, T))
    for name, values in want.history.items():
        close(history.history[name], values, because=name, tolerance=0)
    same(model.get_weights(), reference.get_weights(), kind)
    assert history.params["steps"] == 5


def two_by_two(k: Any) -> Any:
    a, b = k.Input((4,), name="a"), k.Input((2,), name="b")
    hidden = k.layers.Concatenate()([k.layers.Dense(3, activation="tanh")(a), b])
    return k.Model(
        [a, b], [k.layers.Dense(1, name="p")(hidden), k.layers.Dense(3, activation="softmax", name="q")(hidden)]
    )


@pytest.mark.parametrize("by_name", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
def test_several_inputs_and_outputs_train_as_in_keras(by_name: bool, weighted: bool) -> None:
    b, w = X[:, :2] * 2, RNG.uniform(0, 2, (2, 40)).astype("float32")
    x = {"a": X, "b": b} if by_name else [X, b]
    y = {"p": T, "q": Y} if by_name and not weighted else [T, Y]  # Keras takes no weights by name
    sample_weight = [w[0], w[1]] if weighted else None
    models = [two_by_two(keras), two_by_two(dg)]
    models[1].set_weights(models[0].get_weights())
    found = []
    for k, model in zip((keras, dg), models):
        losses = {"p": "mse", "q": "sparse_categorical_crossentropy"}
        metrics = {"p": ["mae"], "q": ["accuracy"]}
        model.compile(
            k.optimizers.SGD(0.05),
            losses if by_name else list(losses.values()),
            loss_weights={"p": 0.5, "q": 2.0} if by_name else [0.5, 2.0],
            metrics=metrics if by_name else list(metrics.values()),
            weighted_metrics=metrics if by_name else list(metrics.values()),
        )
        history = model.fit(
            x, y, sample_weight=sample_weight, batch_size=16, epochs=3, shuffle=False, verbose=0
        ).history
        scores = model.evaluate(x, y, batch_size=16, sample_weight=sample_weight, return_dict=True, verbose=0)
        found.append((history, scores, model.evaluate(x, y, batch_size=16, verbose=0), model.predict(x, verbose=0)))
    (history, scores, listed, outputs), ours = found
    for name, values in history.items():
        close(ours[0][name], values, because=name)
    for name, value in scores.items():
        close(ours[1][name], value, because=name)
    assert set(ours[0]) == set(history)
    close(ours[2], listed, because="evaluate's list")
    for mine, theirs in zip(ours[3], outputs, strict=True):
        close(mine, theirs, because="outputs")


def test_weights_of_outputs_may_be_given_by_name() -> None:
    w = RNG.uniform(0, 2, (2, 40)).astype("float32")
    model = two_by_two(dg)
    model.compile("sgd", ["mse", "sparse_categorical_crossentropy"], weighted_metrics={"p": ["mae"]})
    x = [X, X[:, :2]]
    listed = model.evaluate(x, [T, Y], sample_weight=[w[0], w[1]], verbose=0)
    named = model.evaluate(x, {"q": Y, "p": T}, sample_weight={"q": w[1], "p": w[0]}, verbose=0)
    close(named, listed, because="by name", tolerance=0)


def test_the_last_batch_may_be_smaller_captured_and_eager_alike() -> None:
    ends = []
    weights = classifier().get_weights()
    for eagerly in (False, True):
        model = classifier(run_eagerly=eagerly)
        model.set_weights(weights)
        history = model.fit(X, Y, batch_size=12, epochs=70, shuffle=False, verbose=0)
        ends.append([*model.get_weights(), *history.history.values()])
    same(ends[0], ends[1], "batches of 12, 12, 12 and 4")


def test_batches_of_many_shapes_train_as_eager_ones() -> None:
    def batches() -> Any:
        for _ in range(80):
            for size in (3, 5, 8):
                yield X[:size], T[:size]

    ends = []
    for eagerly in (False, True):
        model = regressor(run_eagerly=eagerly)
        model.set_weights([np.ones((4, 1)), np.zeros(1)])
        history = model.fit(batches(), verbose=0)
        ends.append(model.get_weights())
    assert history.plan == "eager: run_eagerly=True"
    same(ends[0], ends[1], "three shapes")


@pytest.mark.parametrize("metrics", [None, ["accuracy"]])
def test_single_batches_and_evaluate_return_what_keras_returns(metrics: Any) -> None:
    models = [mlp(keras), mlp(dg)]
    models[1].set_weights(models[0].get_weights())
    w = RNG.uniform(0, 2, 8).astype("float32")
    found = []
    for k, model in zip((keras, dg), models):
        model.compile(k.optimizers.SGD(0.1), "sparse_categorical_crossentropy", metrics=metrics)
        found.append(
            [
                model.train_on_batch(X[:8], Y[:8]),
                model.train_on_batch(X[8:16], Y[8:16], sample_weight=w),
                model.train_on_batch(X[8:16], Y[8:16], class_weight={0: 1.0, 1: 2.0, 2: 0.0}),
                model.test_on_batch(X[:8], Y[:8]),
                model.test_on_batch(X[:8], Y[:8], sample_weight=w),
                model.evaluate(X, Y, batch_size=12, verbose=0),
                model.evaluate(X, Y, steps=2, batch_size=4, verbose=0),
                model.predict_on_batch(X[:5]),
                *model.get_weights(),
            ]
        )
        named = [
            model.train_on_batch(X[:8], Y[:8], return_dict=True),
            model.test_on_batch(X[:8], Y[:8], return_dict=True),
            model.evaluate(X, Y, return_dict=True, verbose=0),
        ]
        found[-1] += [value for logs in named for _, value in sorted(logs.items())]
        found[-1].append([len(logs) for logs in named])
    for index, (mine, theirs) in enumerate(zip(found[1], found[0], strict=True)):
        assert isinstance(mine, list) == isinstance(theirs, list)
        close(mine, theirs, because=f"result {index}")


def test_evaluate_and_validation_see_the_average_of_the_weights() -> None:
    model = regressor(optimizer=dg.optimizers.SGD(0.1, use_ema=True, ema_momentum=0.9))
    model.set_weights([np.ones((4, 1)), np.zeros(1)])
    seen: list[Any] = []

    def look(epoch: int, logs: dict[str, Any]) -> None:
        raw = model.get_weights()
        with model.optimizer.averaged():
            average = model.get_weights()
        error = ((X @ average[0] + average[1] - T * 2) ** 2).mean()
        seen.append((raw, average, error, logs["val_loss"], model.evaluate(X, T * 2, verbose=0)))

    note = dg.callbacks.LambdaCallback(on_epoch_end=look)
    model.fit(X, T * 2, batch_size=8, epochs=4, verbose=0, validation_data=(X, T * 2), callbacks=[note])
    for raw, average, error, validated, evaluated in seen:
        assert not np.allclose(raw[0], average[0])
        close([validated, evaluated], [error, error], because="validation and evaluate use the average")
    same(model.get_weights(), seen[-1][1], "at the end the weights are the average")


def test_predict_within_fit_shows_the_average_too() -> None:
    model = regressor(optimizer=dg.optimizers.SGD(0.1, use_ema=True, ema_momentum=0.9))
    pairs: list[Any] = []

    def look(epoch: int, logs: dict[str, Any]) -> None:
        with model.optimizer.averaged():
            average = model.get_weights()
        pairs.append((model.predict(X[:2], verbose=0), X[:2] @ average[0] + average[1]))

    note = dg.callbacks.LambdaCallback(on_epoch_end=look)
    model.fit(X, T * 2, batch_size=8, epochs=80, verbose=0, callbacks=[note])  # long enough for predict to be captured
    for got, want in pairs:
        close(got, want, because="the average")


def test_best_weights_are_those_that_validation_saw() -> None:
    model = regressor(optimizer=dg.optimizers.SGD(0.1, use_ema=True, ema_momentum=0.9))
    stopping = dg.callbacks.EarlyStopping(restore_best_weights=True, patience=9)
    model.fit(X, T, batch_size=8, epochs=4, verbose=0, validation_data=(X, -T), callbacks=[stopping])
    close(model.evaluate(X, -T, verbose=0), stopping.best, because="the restored weights")
