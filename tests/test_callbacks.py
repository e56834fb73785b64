"""Callbacks against the real Keras: the same calls in the same order, the same decisions."""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np
import pytest

import dougong as dg
from callback_cases import SEQUENCES, Script, X, Y, network
from closeness import close
from dougong.core.errors import ConfigError, UnknownNameError
from dougong.training.callbacks.monitor import Monitor

HOOKS = [
    f"on_{what}_{when}"
    for what in ("train", "epoch", "train_batch", "test", "test_batch", "predict", "predict_batch")
    for when in ("begin", "end")
]


def recorder(k: Any, seen: list[Any], **extra: Any) -> Any:
    """A callback with every method; it writes down its name, its position and the names of its logs."""

    def noting(name: str) -> Any:
        def method(self: Any, *args: Any, logs: Any = None) -> None:
            if args and (args[-1] is None or isinstance(args[-1], dict)):
                *args, logs = args  # type: ignore[assignment]
            seen.append((name, tuple(args), tuple(sorted(logs or {}))))

        return method

    return type("Recorder", (k.callbacks.Callback,), {name: noting(name) for name in HOOKS} | extra)()


@pytest.mark.parametrize(
    "options",
    [
        {"epochs": 2},
        {"epochs": 2, "validation_data": (X, Y)},
        {"epochs": 3, "validation_split": 0.4, "validation_freq": 2},
        {"epochs": 4, "validation_data": (X, Y), "validation_freq": [1, 3], "initial_epoch": 1},
        {"epochs": 1, "steps_per_epoch": 2, "validation_data": (X, Y), "validation_steps": 1},
    ],
)
def test_every_hook_is_called_as_keras_calls_it(options: dict[str, Any]) -> None:
    calls = []
    for k in (keras, dg):
        model, seen = network(k), []
        model.fit(X, Y, batch_size=8, verbose=0, callbacks=[recorder(k, seen)], **options)
        calls.append(seen)
    assert calls[1] == calls[0]


def test_evaluate_and_predict_call_their_hooks_as_keras_does() -> None:
    calls = []
    for k in (keras, dg):
        model, seen = network(k), []
        model.evaluate(X, Y, batch_size=8, verbose=0, callbacks=[recorder(k, seen)])
        model.predict(X, batch_size=8, verbose=0, callbacks=[recorder(k, seen)])
        calls.append(seen)
    assert calls[1] == calls[0]


def test_params_and_model_are_given_as_in_keras() -> None:
    found = []
    for k in (keras, dg):
        callback, model = k.callbacks.Callback(), network(k)
        model.fit(X, Y, batch_size=8, epochs=3, verbose=0, callbacks=[callback])
        assert callback.model is model
        found.append(callback.params)
    assert found[1] == found[0] == {"verbose": 0, "epochs": 3, "steps": 3}


@pytest.mark.parametrize("where", ["on_train_batch_end", "on_epoch_end", "on_epoch_begin"])
def test_stop_training_ends_where_keras_ends(where: str) -> None:
    calls = []
    for k in (keras, dg):
        model, seen = network(k), []

        def stop(self: Any, index: int, logs: Any = None, seen: list[Any] = seen) -> None:
            seen.append((where, index))
            self.model.stop_training = self.model.stop_training or index == 1

        history = model.fit(
            X,
            Y,
            batch_size=8,
            epochs=4,
            verbose=0,
            validation_data=(X, Y),
            callbacks=[recorder(k, seen, **{where: stop})],
        )
        calls.append((seen, history.epoch, {name: len(values) for name, values in history.history.items()}))
    assert calls[1] == calls[0]
    assert "stopped by a callback in epoch" in history.stopped


def test_short_names_of_the_batch_hooks_work_alone() -> None:
    for k in (keras, dg):
        seen: list[int] = []
        short = {"on_batch_end": lambda self, batch, logs=None: seen.append(batch)}  # noqa: B023
        network(k).fit(X, Y, batch_size=8, verbose=0, callbacks=[type("Short", (k.callbacks.Callback,), short)()])
        assert seen == [0, 1, 2], k.__name__


def test_batch_logs_are_running_means_as_in_keras() -> None:
    logs: list[list[dict[str, float]]] = []
    weights = network(keras).get_weights()
    for k in (keras, dg):
        model, seen = network(k), []
        model.set_weights(weights)
        note = k.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: seen.append(dict(logs)))  # noqa: B023
        model.fit(X, Y, batch_size=8, epochs=2, shuffle=False, verbose=0, callbacks=[note])
        logs.append(seen)
    for ours, theirs in zip(logs[1], logs[0], strict=True):
        assert set(ours) == set(theirs)
        close([ours[name] for name in theirs], list(theirs.values()), because="batch logs")


# ── A scripted run: logs are made up, decisions compared ────────────────────────────────────────────────────────────


STOPPING = [
    {},
    {"patience": 2},
    {"patience": 3, "min_delta": 0.05},
    {"patience": 2, "baseline": 0.95},
    {"patience": 2, "baseline": 100.0},
    {"patience": 1, "start_from_epoch": 3},
    {"patience": 2, "mode": "max"},
    {"patience": 4, "min_delta": -0.5},
]


@pytest.mark.parametrize("options", STOPPING, ids=str)
@pytest.mark.parametrize("restore", [False, True])
def test_early_stopping_decides_as_keras_does(options: dict[str, Any], restore: bool) -> None:
    scripts = Script(keras), Script(dg)
    for label, values in SEQUENCES.items():
        found = [
            script.run(k.callbacks.EarlyStopping(restore_best_weights=restore, **options), "val_loss", values)
            for k, script in zip((keras, dg), scripts)
        ]
        assert found[1] == found[0], label


@pytest.mark.parametrize(
    "options",
    [
        {"patience": 1},
        {"patience": 2, "factor": 0.5},
        {"patience": 2, "cooldown": 2},
        {"patience": 1, "min_lr": 0.05},
        {"patience": 2, "min_delta": 0.05, "factor": 0.2},
        {"patience": 2, "mode": "max"},
        {"patience": 0},
    ],
    ids=str,
)
def test_the_rate_falls_on_a_plateau_as_in_keras(options: dict[str, Any]) -> None:
    for label, values in SEQUENCES.items():
        found = []
        for k in (keras, dg):
            script = Script(k)
            found.append(script.run(k.callbacks.ReduceLROnPlateau(**options), "val_loss", values))
        assert found[1] == found[0], label


def test_an_early_stopping_is_fresh_in_every_fit() -> None:
    model = network(dg)
    stopping = dg.callbacks.EarlyStopping("loss", patience=1, min_delta=10.0)
    lengths = [len(model.fit(X, Y, epochs=9, verbose=0, callbacks=[stopping]).epoch) for _ in range(2)]
    assert lengths == [2, 2]


def test_nan_is_never_the_best() -> None:
    found = Script(dg).run(dg.callbacks.EarlyStopping(patience=3), "val_loss", [math.nan, 2.0, 1.0, math.nan])
    assert (found["best_epoch"], found["best"]) == (2, 1.0)


@pytest.mark.parametrize(
    ("name", "metric", "rising"),
    [
        ("val_loss", None, False),
        ("accuracy", "accuracy", True),
        ("val_auc", "AUC", True),
        ("val_mean_absolute_error", "mean_absolute_error", False),
        ("mine", ("MeanSquaredError", "mine"), False),
        ("val_mine", ("R2Score", "mine"), True),
        ("val_word_error", None, False),
        ("f1_score", None, True),
    ],
)
def test_auto_mode_asks_the_metric_as_keras_does(name: str, metric: Any, rising: bool) -> None:
    model = dg.Sequential([dg.Input((4,)), dg.layers.Dense(1)])
    chosen = getattr(dg.metrics, metric[0])(name=metric[1]) if isinstance(metric, tuple) else metric
    model.compile("sgd", "mse", metrics=[chosen] if chosen else None)
    model.evaluate(X, X[:, :1], verbose=0)
    monitor = Monitor(name)
    monitor.ask(model)
    assert monitor.rising is rising


def test_auto_mode_refuses_to_guess() -> None:
    with pytest.raises(ConfigError, match="mode='max' or mode='min'"):
        Script(dg).run(dg.callbacks.EarlyStopping("val_wobble"), "val_wobble", [1.0, 2.0])
    with pytest.raises(ConfigError, match="mode must be one of auto, min, max"):
        dg.callbacks.EarlyStopping(mode="least")


def test_a_value_that_is_not_logged_is_told_with_near_names(caplog: pytest.LogCaptureFixture) -> None:
    network(dg).fit(X, Y, verbose=0, callbacks=[dg.callbacks.EarlyStopping("val_los")])
    assert "nothing is logged as 'val_los'; there are loss, accuracy" in caplog.text
    assert "Give fit validation data." in caplog.text
    caplog.clear()
    network(dg).fit(X, Y, verbose=0, callbacks=[dg.callbacks.EarlyStopping("acuracy")])
    assert "did you mean 'accuracy'?" in caplog.text


# ── Rates ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("schedule", [lambda epoch, rate: rate * 0.5, lambda epoch: 0.1 / (epoch + 1)])
def test_the_scheduler_sets_and_logs_the_rate_as_keras_does(schedule: Any) -> None:
    histories = [
        network(k).fit(X, Y, epochs=3, verbose=0, callbacks=[k.callbacks.LearningRateScheduler(schedule)]).history
        for k in (keras, dg)
    ]
    close(histories[1]["learning_rate"], histories[0]["learning_rate"], because="rates", tolerance=1e-6)


def test_the_scheduler_takes_numbers_of_any_kind_and_refuses_others() -> None:
    model = network(dg)
    for rate in (np.float32(0.25), np.float64(0.25), np.array(0.25), 1):
        model.fit(X, Y, verbose=0, callbacks=[dg.callbacks.LearningRateScheduler({0: rate}.__getitem__)])
        assert model.optimizer.learning_rate == float(rate)
    with pytest.raises(ConfigError, match="must give a number, got 'fast' for epoch 0"):
        model.fit(X, Y, verbose=0, callbacks=[dg.callbacks.LearningRateScheduler(lambda epoch: "fast")])
    with pytest.raises(ConfigError, match="factor must be below 1"):
        dg.callbacks.ReduceLROnPlateau(factor=1.0)


# ── NaN, functions, lists ───────────────────────────────────────────────────────────────────────────────────────────


def test_terminate_on_nan_ends_quietly_with_the_weights_before_the_bad_step() -> None:
    model = dg.Sequential([dg.Input((4,)), dg.layers.Dense(1)])
    model.compile(dg.optimizers.SGD(0.01), "mse")
    x = X.copy()
    x[17, 2] = np.inf
    before: list[Any] = []
    seen: list[Any] = []
    history = model.fit(
        x, X[:, :1], batch_size=8, shuffle=False, epochs=5, verbose=0, validation_data=(X, X[:, :1]),
        callbacks=[
            dg.callbacks.TerminateOnNaN(),
            dg.callbacks.LambdaCallback(
                on_train_batch_end=lambda batch, logs: before.append(model.get_weights()),
                on_epoch_end=lambda epoch, logs: seen.append(("epoch", epoch)),
                on_train_end=lambda logs: seen.append("end"),
            ),
        ],
    )  # fmt: skip
    assert history.stopped.startswith("epoch 1, step 3: the loss is")
    assert "x[17, 2] is inf (row 17, column 2)" in history.stopped
    assert math.isnan(history.history["loss"][0])
    assert math.isfinite(history.history["val_loss"][0])
    assert seen == [("epoch", 0), "end"]
    for mine, want in zip(model.get_weights(), before[1], strict=True):
        close(mine, want, because="the weights before the bad step", tolerance=0)


def test_terminate_on_nan_may_raise() -> None:
    model = network(dg)
    x = np.full_like(X, np.nan)
    with pytest.raises(dg.errors.NonFiniteError, match=r"x\[0, 0\] is nan"):
        model.fit(x, Y, verbose=0, callbacks=[dg.callbacks.TerminateOnNaN(raise_error=True)])


def test_a_lambda_callback_knows_the_methods_there_are() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'on_epoch_end'"):
        dg.callbacks.LambdaCallback(on_epoch_ends=print)
    seen: list[str] = []
    callback = dg.callbacks.LambdaCallback(
        on_train_begin=lambda logs: seen.append("begin"), on_test_end=lambda logs: seen.append(f"test {'loss' in logs}")
    )
    network(dg).fit(X, Y, verbose=0, validation_data=(X, Y), callbacks=callback)
    assert seen == ["begin", "test True"]


def test_callbacks_may_be_nested_and_others_are_refused() -> None:
    seen: list[int] = []
    note = [dg.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(epoch))]
    network(dg).fit(X, Y, verbose=0, callbacks=[note, None, (note,)])
    assert seen == [0, 0]
    for wrong in (print, dg.callbacks.EarlyStopping, "EarlyStopping"):
        with pytest.raises(ConfigError, match="is no callback"):
            network(dg).fit(X, Y, verbose=0, callbacks=[wrong])


def test_history_is_the_models_and_tells_more_than_keras() -> None:
    model = network(dg)
    history = model.fit(X, Y, batch_size=8, epochs=2, verbose=0)
    assert model.history is history
    assert history.epoch == [0, 1]
    assert history.params == {"verbose": 0, "epochs": 2, "steps": 3}
    assert (history.plan, history.stopped) == ("eager", "")
    assert history.seconds > 0
