"""Callbacks against the real Keras: the same calls in the same order, the same decisions, the same files."""

from __future__ import annotations

import csv
import math
import re
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import dougong as dg
from closeness import close
from dougong.core.errors import ConfigError, UnknownNameError
from dougong.training.callbacks.monitor import Monitor

X = np.random.default_rng(0).standard_normal((20, 4)).astype("float32")
Y = np.random.default_rng(1).integers(0, 3, 20)

HOOKS = [
    f"on_{what}_{when}"
    for what in ("train", "epoch", "train_batch", "test", "test_batch", "predict", "predict_batch")
    for when in ("begin", "end")
]


def network(k: Any) -> Any:
    model = k.Sequential([k.Input((4,)), k.layers.Dense(3, activation="softmax")])
    model.compile(k.optimizers.SGD(0.1), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


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


class Script:
    """A model whose epochs do nothing but number its one weight; logs come from a script."""

    def __init__(self, k: Any) -> None:
        self.inner = k.Sequential([k.Input((1,)), k.layers.Dense(1, use_bias=False)])
        self.inner.compile(k.optimizers.SGD(1.0), "mse", metrics=["mae"])
        self.inner.evaluate(np.ones((2, 1), "float32"), np.ones((2, 1), "float32"), verbose=0)  # binds the metrics

    def run(self, callback: Any, name: str, values: list[float]) -> dict[str, Any]:
        model = self.inner
        callback.set_params({"epochs": len(values), "verbose": 0, "steps": 1})
        callback.set_model(model)
        model.stop_training = False
        callback.on_train_begin({})
        rates, epoch = [], -1
        for epoch, value in enumerate(values):
            callback.on_epoch_begin(epoch, {})
            model.set_weights([np.full((1, 1), float(epoch), "float32")])
            callback.on_epoch_end(epoch, {"loss": 1.0, name: value})
            rates.append(float(model.optimizer.learning_rate))
            if model.stop_training:
                break
        callback.on_train_end({})
        names = ("stopped_epoch", "best_epoch", "wait", "best", "cooldown_counter")
        state = {n: getattr(callback, n) for n in names if hasattr(callback, n)}
        best = state.pop("best", None)
        return state | {
            "best": None if best is None else float(best),
            "last": epoch,
            "weight": float(model.get_weights()[0][0, 0]),
            "rates": np.round(rates, 8).tolist(),
        }


SEQUENCES = {
    "falls": [5.0, 4.0, 3.0, 2.0, 1.0],
    "rises": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0],
    "turns": [5.0, 3.0, 2.0, 2.5, 2.4, 2.2, 1.9, 3.0, 3.0, 3.0],
    "creeps": [1.0, 0.99, 0.98, 0.97, 0.96, 0.95, 0.94, 0.5, 0.5, 0.5],
    "flat": [1.0] * 7,
    "jumps": [9.0, 1.0, 9.0, 9.0, 0.9, 9.0, 9.0, 9.0, 9.0, 0.1],
}
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


# ── Files ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def names_of(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize(
    ("pattern", "options"),
    [
        ("{epoch:02d}.keras", {}),
        ("{epoch:02d}.weights.h5", {"save_weights_only": True}),
        ("e{epoch}-b{batch}.weights.h5", {"save_weights_only": True, "save_freq": 2}),
        ("e{epoch}-b{batch}.weights.h5", {"save_weights_only": True, "save_freq": 4}),
        ("e{epoch}.weights.h5", {"save_weights_only": True, "save_freq": 1}),
        ("best.weights.h5", {"save_weights_only": True, "save_best_only": True, "monitor": "loss"}),
    ],
)
def test_checkpoints_have_keras_names(pattern: str, options: dict[str, Any], tmp_path: Path) -> None:
    for k in (keras, dg):
        folder = tmp_path / k.__name__
        folder.mkdir()
        callback = k.callbacks.ModelCheckpoint(str(folder / pattern), **options)
        network(k).fit(X, Y, batch_size=8, epochs=3, verbose=0, callbacks=[callback])
    assert names_of(tmp_path / "dougong") == names_of(tmp_path / "keras")


@pytest.mark.parametrize("values", SEQUENCES.values(), ids=SEQUENCES)
@pytest.mark.parametrize("options", [{}, {"mode": "max"}, {"initial_value_threshold": 2.3}])
def test_only_the_best_is_saved_at_the_same_epochs_as_in_keras(
    values: list[float], options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    saved: list[list[str]] = []
    for k in (keras, dg):
        script, files = Script(k), []
        monkeypatch.setattr(
            script.inner, "save", lambda path, files=files, **_: files.append(Path(path).name), raising=False
        )
        callback = k.callbacks.ModelCheckpoint("of-{epoch}.keras", save_best_only=True, **options)
        if k is keras:
            callback._set_model = callback.set_model
            callback.set_model(script.inner)
            callback._set_monitor_op()
        script.run(callback, "val_loss", values)
        saved.append(files)
    assert saved[1] == saved[0]


def test_a_checkpoint_is_the_model_at_that_epoch(tmp_path: Path) -> None:
    model = network(dg)
    weights: list[Any] = []
    model.fit(
        X, Y, epochs=3, verbose=0, validation_data=(X, Y),
        callbacks=[
            dg.callbacks.ModelCheckpoint(tmp_path / "new" / "net-{epoch}-{val_loss:.3f}.keras"),
            dg.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: weights.append(model.get_weights())),
        ],
    )  # fmt: skip
    for epoch, want in enumerate(weights):
        (path,) = (tmp_path / "new").glob(f"net-{epoch + 1}-*.keras")
        for mine, theirs in zip(dg.models.load_model(path).get_weights(), want, strict=True):
            close(mine, theirs, because=f"epoch {epoch + 1}", tolerance=0)


def test_wrong_checkpoints_are_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"\.keras"):
        dg.callbacks.ModelCheckpoint(tmp_path / "net.pt")
    with pytest.raises(ConfigError, match=r"\.weights\.h5"):
        dg.callbacks.ModelCheckpoint(tmp_path / "net.keras", save_weights_only=True)
    with pytest.raises(ConfigError, match="save_freq"):
        dg.callbacks.ModelCheckpoint(tmp_path / "net.keras", save_freq="batch")
    with pytest.raises(ConfigError, match="'val_acc', which is not logged; there are"):
        network(dg).fit(X, Y, verbose=0, callbacks=[dg.callbacks.ModelCheckpoint(tmp_path / "{val_acc}.keras")])


@pytest.mark.parametrize("validation", [None, (X, Y)])
@pytest.mark.parametrize("separator", [",", ";"])
def test_the_csv_file_is_keras_file(validation: Any, separator: str, tmp_path: Path) -> None:
    texts = []
    for k in (keras, dg):
        path = tmp_path / f"{k.__name__}.csv"
        logger = k.callbacks.CSVLogger(str(path), separator=separator)
        network(k).fit(X, Y, epochs=3, verbose=0, validation_data=validation, callbacks=[logger])
        texts.append(path.read_bytes().decode())
    # The same but for the digits of the numbers.
    theirs, ours = (re.sub(r"\d+\.\d+(e-?\d+)?", "#", text) for text in texts)
    assert ours == theirs
    with (tmp_path / "dougong.csv").open(newline="") as file:
        rows = list(csv.DictReader(file, delimiter=separator))
    assert [row["epoch"] for row in rows] == ["0", "1", "2"]
    assert all(0 < float(row["loss"]) < 10 for row in rows)


def test_the_csv_logger_writes_arrays_as_keras_does_and_appends(tmp_path: Path) -> None:
    for k in (keras, dg):
        path = tmp_path / f"{k.__name__}.csv"
        for append in (False, True):
            logger = k.callbacks.CSVLogger(str(path), append=append)
            logger.set_model(network(k))
            logger.on_train_begin()
            logger.on_epoch_end(0, {"b": 1.5, "a": np.array([0.5, 2.0]), "val_c": 3})
            logger.on_epoch_end(1, {"b": 2.5, "a": np.array(7.0)})
            logger.on_train_end()
    assert (tmp_path / "dougong.csv").read_bytes() == (tmp_path / "keras.csv").read_bytes()


def test_tensorboard_files_are_read_by_tensorboard(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="the tensorboard extra is not installed")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    model = network(dg)
    board = dg.callbacks.TensorBoard(tmp_path, histogram_freq=1, update_freq=1, write_steps_per_second=True)
    history = model.fit(X, Y, batch_size=8, epochs=3, verbose=0, validation_data=(X, Y), callbacks=[board]).history
    train = EventAccumulator(str(tmp_path / "train")).Reload()
    held_out = EventAccumulator(str(tmp_path / "validation")).Reload()
    scalars = {
        "epoch_loss",
        "epoch_accuracy",
        "epoch_learning_rate",
        "epoch_steps_per_second",
        "batch_loss",
        "batch_accuracy",
    }
    assert set(train.Tags()["scalars"]) == scalars
    assert set(held_out.Tags()["scalars"]) == {
        "epoch_loss", "epoch_accuracy", "evaluation_loss_vs_iterations", "evaluation_accuracy_vs_iterations",
    }  # fmt: skip
    events = train.Scalars("epoch_loss")
    assert [event.step for event in events] == [0, 1, 2]
    close([event.value for event in events], history["loss"], because="epoch_loss")
    close([e.value for e in held_out.Scalars("epoch_loss")], history["val_loss"], because="validation")
    assert [event.step for event in train.Scalars("batch_loss")] == list(range(1, 10))
    assert [event.step for event in held_out.Scalars("evaluation_loss_vs_iterations")] == [3, 6, 9]
    assert len(train.Tags()["histograms"]) == 2


def test_tensorboard_refuses_what_it_does_not_write() -> None:
    for options in ({"write_images": True}, {"profile_batch": 2}, {"embeddings_freq": 1}):
        with pytest.raises(ConfigError, match="scalars and histograms"):
            dg.callbacks.TensorBoard(**options)
    with pytest.raises(ConfigError, match="update_freq"):
        dg.callbacks.TensorBoard(update_freq="step")


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
