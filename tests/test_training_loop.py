"""The loop: same seed same numbers, stopping, bad numbers, every kind of data, what is captured and what is not."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import textwrap
import time
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest
import torch

import dougong as dg
from closeness import close
from dougong.core import device as devices
from dougong.core.errors import ConfigError, DeviceError, NonFiniteError, OutOfMemoryError

RNG = np.random.default_rng(5)
X = RNG.standard_normal((40, 4)).astype("float32")
Y = RNG.integers(0, 3, 40)
T = X.sum(1, keepdims=True)


def mlp(k: Any) -> Any:
    return k.Sequential([k.Input((4,)), k.layers.Dense(6, activation="tanh"), k.layers.Dense(3, activation="softmax")])


def classifier(k: Any = dg, **options: Any) -> Any:
    model = mlp(k)
    model.compile(k.optimizers.SGD(0.1), "sparse_categorical_crossentropy", metrics=["accuracy"], **options)
    return model


def regressor(*layers: Any, optimizer: Any = "sgd", **options: Any) -> Any:
    model = dg.Sequential([dg.Input((4,)), *layers, dg.layers.Dense(1)])
    model.compile(optimizer, "mse", **options)
    return model


def state_of(model: Any) -> list[Any]:
    """Everything that training changes: weights, running means, metrics, optimizer."""
    metrics = [tensor.clone() for metric in model.metrics for tensor in metric.variables if metric.name != "loss"]
    return [*model.get_weights(), *metrics, *model.optimizer.state().values()]


def same(got: list[Any], want: list[Any], because: str) -> None:
    assert len(got) == len(want), because
    for mine, theirs in zip(got, want):
        close(mine, theirs, because=because, tolerance=0)


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


# ── Ctrl-C ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def interrupted(body: str, *, presses: int = 1, pause: float = 0.3) -> subprocess.CompletedProcess[str]:
    """Run a program, and press Ctrl-C once it says 'now'."""
    program = textwrap.dedent(
        """
        import sys, numpy as np, dougong as dg
        x = np.random.default_rng(0).standard_normal((64, 4)).astype("float32")
        y = x.sum(1, keepdims=True)
        model = dg.Sequential([dg.Input((4,)), dg.layers.Dense(1)])
        model.compile(dg.optimizers.SGD(0.001), "mse")
        ready = dg.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs: epoch == 3 and print("now", flush=True))
        """
    ) + textwrap.dedent(body)
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        for _ in range(presses):
            time.sleep(pause)
            process.send_signal(signal.SIGINT)
        out, errors = process.communicate(timeout=60)
        return subprocess.CompletedProcess([], process.returncode, first + out, errors)


def test_ctrl_c_ends_fit_with_the_best_weights() -> None:
    done = interrupted(
        """
        best = []
        watch = dg.callbacks.LambdaCallback(
            on_epoch_end=lambda epoch, logs: best.append((logs.get("val_loss", np.inf), model.get_weights())),
            on_train_end=lambda logs: print("end", flush=True),
        )
        history = model.fit(x, y, epochs=10**7, verbose=0, validation_data=(x, -y), callbacks=[ready, watch])
        kept = min(best, key=lambda pair: pair[0])[1]
        print(history.stopped, all((a == b).all() for a, b in zip(model.get_weights(), kept)), len(history.epoch) > 3)
        print(model.training, abs(model.evaluate(x, -y, verbose=0) - min(best)[0] if len(best) == 1 else 0) < 1)
        """
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    assert lines[:2] == ["now", "end"]
    assert lines[2].startswith("stopped by Ctrl-C in epoch ")
    assert "; kept the weights of epoch 1 (val_loss " in lines[2]
    assert lines[2].endswith("True True")
    assert lines[3].startswith("False")


def test_ctrl_c_within_a_long_epoch_ends_it_after_the_step() -> None:
    done = interrupted(
        """
        def batches():
            print("now", flush=True)
            while True:
                yield x, y
        history = model.fit(batches(), steps_per_epoch=10**9, epochs=2, verbose=2)
        print(len(history.epoch), history.stopped)
        """
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "1 stopped by Ctrl-C in epoch 1"
    assert "stopped by Ctrl-C in epoch 1" in done.stdout.splitlines()[-2]


def test_ctrl_c_during_validation_ends_it() -> None:
    done = interrupted(
        """
        def batches():
            print("now", flush=True)
            while True:
                yield x, y
        history = model.fit(x, y, validation_data=batches(), validation_steps=10**9, epochs=2, verbose=0)
        print(sorted(history.history), history.stopped)
        """
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "['loss'] stopped by Ctrl-C in epoch 1"


def test_a_second_ctrl_c_interrupts_at_once() -> None:
    done = interrupted(
        """
        import time
        class Slow(dg.layers.Layer):
            def call(self, inputs):
                if self.training:
                    print("now", flush=True)
                    time.sleep(30)
                return inputs
        model = dg.Sequential([dg.Input((4,)), Slow(), dg.layers.Dense(1)])
        model.compile("sgd", "mse", run_eagerly=True)
        try:
            model.fit(x, y, epochs=2, verbose=0)
        except KeyboardInterrupt:
            print("interrupted", model.training)
        """,
        presses=2,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "interrupted False"


# ── Numbers that are not finite ─────────────────────────────────────────────────────────────────────────────────────


def run_into(model: Any, x: Any, y: Any, *, epochs: int, **options: Any) -> str:
    """Train until it fails; nothing may have changed by the bad step.   Returns the message."""
    seen: list[Any] = []
    note = dg.callbacks.LambdaCallback(on_train_batch_begin=lambda batch, logs: seen.append(state_of(model)))
    with pytest.raises(NonFiniteError) as caught:
        model.fit(x, y, verbose=0, epochs=epochs, callbacks=[note], **options)
    same(state_of(model), seen[-1], "the state before the bad step")
    return str(caught.value)


@pytest.mark.parametrize("eagerly", [False, True])
def test_a_bad_loss_names_the_first_layer_and_changes_nothing(eagerly: bool) -> None:
    class Reciprocal(dg.layers.Layer):
        def call(self, inputs: torch.Tensor) -> torch.Tensor:
            return 1.0 / inputs

    norm = dg.layers.BatchNormalization(center=False)
    model = regressor(norm, Reciprocal(name="over"), optimizer="adam", metrics=["mae"], run_eagerly=eagerly)
    x = X[:32].copy()
    model.fit(x, T[:32], batch_size=8, epochs=20, verbose=0)
    assert model.history.plan.startswith("eager: run_eagerly" if eagerly else "captured")
    x[24:] = 0.0  # the mean is subtracted, so 0 stays 0: the last batch fails
    message = run_into(model, x, T[:32], batch_size=8, epochs=20, shuffle=False)
    assert message.startswith("epoch 1, step 4: the loss is ")
    assert "layer 'over' (Reciprocal) is the first to give NaN or Inf" in message
    assert "The weights are those before this step." in message


@pytest.mark.parametrize("eagerly", [False, True])
def test_a_bad_gradient_names_weight_and_function(eagerly: bool) -> None:
    class Root(dg.layers.Layer):
        def call(self, inputs: torch.Tensor) -> torch.Tensor:
            return torch.sqrt(inputs.abs())

    model = regressor(dg.layers.Dense(3, name="first", use_bias=False), Root(), optimizer="adam", run_eagerly=eagerly)
    x = np.abs(X[:32])
    model.set_weights([np.ones((4, 3)), np.ones((3, 1)), np.zeros(1)])
    model.fit(x, T[:32] * 0, batch_size=8, epochs=1, verbose=0)
    x[16] = 0.0
    message = run_into(model, x, T[:32], batch_size=8, epochs=30, shuffle=False)
    assert "step 3: a gradient is not finite" in message
    assert "weight 'first.weight'" in message
    assert "sqrt has no finite derivative there" in message


def test_bad_data_are_named_by_their_row_in_the_data() -> None:
    x, t = X.copy(), T.copy()
    x[33, 2] = np.nan
    assert "x[33, 2] is nan (row 33, column 2)" in run_into(regressor(), x, T, batch_size=8, epochs=2)
    t[7] = np.inf
    assert "y[7, 0] is inf (row 7, column 0)" in run_into(regressor(), X, t, batch_size=8, epochs=2)
    w = np.ones(40, "float32")
    w[5] = np.nan
    assert "sample_weight[5] is nan (row 5)" in run_into(regressor(), X, T, sample_weight=w, batch_size=8, epochs=2)


def test_bad_data_from_a_generator_are_named_by_their_row_in_the_batch() -> None:
    def batches() -> Any:
        for start in range(0, 40, 8):
            x = X[start : start + 8].copy()
            x[3, 1] = np.nan if start == 16 else 1.0
            yield x, T[start : start + 8]

    with pytest.raises(NonFiniteError, match=r"epoch 1, step 3: .*x\[3, 1\] is nan \(row 3, column 1\).*of the batch"):
        regressor().fit(batches(), verbose=0)


def test_a_layer_may_mend_bad_data() -> None:
    class Mend(dg.layers.Layer):
        def call(self, inputs: torch.Tensor) -> torch.Tensor:
            return torch.nan_to_num(inputs)

    x = X.copy()
    x[3, 1] = np.nan
    history = regressor(Mend()).fit(x, T, epochs=2, verbose=0)
    assert np.isfinite(history.history["loss"]).all()


def test_a_bad_weight_is_named() -> None:
    model = regressor(dg.layers.Dense(3, name="first"))
    model.set_weights([np.full_like(w, np.nan) for w in model.get_weights()])
    with pytest.raises(NonFiniteError, match=r"weight 'first\.weight' was not finite before the step"):
        model.fit(X, T, verbose=0)


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


def test_best_weights_are_those_that_validation_saw() -> None:
    model = regressor(optimizer=dg.optimizers.SGD(0.1, use_ema=True, ema_momentum=0.9))
    stopping = dg.callbacks.EarlyStopping(restore_best_weights=True, patience=9)
    model.fit(X, T, batch_size=8, epochs=4, verbose=0, validation_data=(X, -T), callbacks=[stopping])
    close(model.evaluate(X, -T, verbose=0), stopping.best, because="the restored weights")


# ── Captured or not ─────────────────────────────────────────────────────────────────────────────────────────────────


def plan_of(model: Any, x: Any = X, y: Any = T) -> str:
    return model.fit(x, y, batch_size=8, epochs=20, verbose=0).plan


def test_a_plain_model_is_captured_once() -> None:
    model = regressor()
    assert plan_of(model).startswith("captured: ")
    step = model.compiled.step("train", model)
    model.fit(X, T, batch_size=8, epochs=20, verbose=0)
    model.evaluate(X, T, verbose=0)
    assert model.compiled.step("train", model) is step


def test_what_cannot_be_captured_runs_eagerly_and_says_why() -> None:
    class Item(dg.layers.Layer):
        def call(self, inputs: torch.Tensor) -> torch.Tensor:
            return inputs * inputs.abs().max().item()

    class Branch(dg.layers.Layer):
        def call(self, inputs: torch.Tensor) -> torch.Tensor:
            return inputs if inputs.mean() > 0 else -inputs

    for layer in (Item(), Branch()):
        model = regressor(layer, optimizer=dg.optimizers.SGD(0.001))
        plan = plan_of(model)
        assert plan.startswith("eager: "), plan
        assert "value" in plan or "item" in plan, plan
        assert np.isfinite(model.history.history["loss"]).all()


def test_what_was_captured_is_captured_again_when_it_has_changed() -> None:
    first = dg.layers.Dense(3, name="first")
    drop = dg.layers.Dropout(0.0)
    model = regressor(first, drop, optimizer=dg.optimizers.SGD(0.01))
    plan_of(model)

    def trained() -> bool:
        before = model.get_weights()
        assert plan_of(model).startswith("captured")
        return not np.array_equal(before[0], model.get_weights()[0])

    assert trained()
    first.trainable = False
    assert not trained()
    first.trainable = True
    assert trained()
    model.set_weights([np.zeros_like(w) for w in model.get_weights()])
    close(model.predict(X, verbose=0), np.zeros((40, 1)), because="set_weights is seen by captured steps", tolerance=0)
    model.to(torch.float64).to(torch.float32)
    model.set_weights([np.ones_like(w) for w in model.get_weights()])
    assert trained()
    drop.rate = 1.0
    before = model.get_weights()
    plan_of(model)
    same(model.get_weights()[:1], before[:1], "with everything dropped the first kernel stands still")
    drop.rate = 0.0
    model.compile(dg.optimizers.SGD(0.0), "mae")
    assert not trained()
    close(model.evaluate(X, T, verbose=0), np.abs(model.predict(X, verbose=0) - T).mean(), because="the new loss")


def test_load_weights_reaches_captured_steps(tmp_path: Any) -> None:
    model = regressor()
    plan_of(model)
    scores = model.evaluate(X, T, verbose=0)
    model.save_weights(tmp_path / "a.weights.h5")
    plan_of(model)
    model.load_weights(tmp_path / "a.weights.h5")
    close(model.evaluate(X, T, verbose=0), scores, because="the loaded weights", tolerance=0)
    again = model.fit(X, T, batch_size=40, epochs=1, verbose=0).history["loss"][0]
    close(again, scores, because="training starts from the loaded weights")


def test_a_callback_may_change_layers_between_epochs() -> None:
    first = dg.layers.Dense(3, name="first")
    model = regressor(first)
    seen: list[Any] = []

    def freeze(epoch: int, logs: Any) -> None:
        seen.append(first.get_weights()[0])
        if epoch == 10:
            first.trainable = False

    model.fit(X, T, batch_size=8, epochs=20, verbose=0, callbacks=[dg.callbacks.LambdaCallback(on_epoch_begin=freeze)])
    assert not np.array_equal(seen[9], seen[10])
    same([first.get_weights()[0]], [seen[10]], "frozen from the eleventh epoch on")


def test_a_new_optimizer_for_another_model() -> None:
    optimizer = dg.optimizers.Adam(0.01)
    first, second = regressor(optimizer=optimizer), regressor(optimizer=optimizer)
    first.fit(X, T, verbose=0)
    with pytest.raises(ConfigError, match="trains another model"):
        second.fit(X, T, verbose=0)
    first.fit(X, T, verbose=0)


def losses_of(eagerly: bool, build: Any, **compiling: Any) -> list[float]:
    dg.utils.set_random_seed(1)
    model = build()
    model.compile(dg.optimizers.SGD(0.05), run_eagerly=eagerly, **compiling)
    history = model.fit(X, T, batch_size=8, epochs=20, verbose=0, shuffle=False)
    assert history.plan.startswith("eager" if eagerly else "captured"), history.plan
    return history.history["loss"]


def test_added_losses_and_regularizers_are_captured() -> None:
    class Sparse(dg.layers.Layer):
        def call(self, inputs: torch.Tensor) -> torch.Tensor:
            self.add_loss(0.1 * inputs.abs().mean())
            return inputs

    def build(k: Any = dg, extra: Any = None) -> Any:
        stack = [
            k.Input((4,)),
            k.layers.Dense(5, activation="tanh", kernel_regularizer="l2", activity_regularizer="l1"),
            *([extra] if extra else []),
            k.layers.Dense(1, bias_regularizer=k.regularizers.L1L2(0.1, 0.2)),
        ]
        return k.Sequential(stack)

    captured, eager = (losses_of(eagerly, lambda: build(extra=Sparse()), loss="mse") for eagerly in (False, True))
    close(captured, eager, because="captured and eager", tolerance=0)
    models = [build(keras), build(dg)]
    models[1].set_weights(models[0].get_weights())
    found = []
    for k, model in zip((keras, dg), models):
        model.compile(k.optimizers.SGD(0.05), "mse")
        history = model.fit(X, T, batch_size=8, epochs=5, verbose=0, shuffle=False).history["loss"]
        found.append([*history, model.evaluate(X, T, verbose=0)])
    close(found[1], found[0], because="regularized losses, keras")


def test_compute_loss_of_ones_own_is_captured_with_ones_own_metrics() -> None:
    class Own(dg.Model):
        def __init__(self) -> None:
            super().__init__()
            self.dense = dg.layers.Dense(1)
            self.size = dg.metrics.Mean(name="size")

        def call(self, inputs: torch.Tensor) -> torch.Tensor:
            return self.dense(inputs)

        def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True) -> torch.Tensor:
            self.size.update_state(y_pred.detach().abs())
            return ((y_pred - y) ** 2).mean() + 0.1 * y_pred.abs().mean()

    captured, eager = (losses_of(eagerly, Own) for eagerly in (False, True))
    close(captured, eager, because="captured and eager", tolerance=0)
    model = Own()
    model.compile("sgd")
    history = model.fit(X, T, batch_size=8, epochs=20, verbose=0, validation_data=(X, T)).history
    assert set(history) == {"loss", "size", "val_loss", "val_size"}
    close(history["val_size"][-1], np.abs(model.predict(X, verbose=0)).mean(), because="the own metric begins anew")


class OwnSteps(dg.Model):
    """Keras's words for steps of one's own."""

    def __init__(self) -> None:
        super().__init__()
        self.dense = dg.layers.Dense(1)

    def call(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.dense(inputs)

    def train_step(self, data: Any) -> dict[str, Any]:
        x, y = data
        return super().train_step((x, y * 2)) | {"extra": 1.0}

    def test_step(self, data: Any) -> dict[str, Any]:
        x, y = data
        y_pred = self(x, training=False)
        return {"loss": self.compute_loss(x, y, y_pred), **self.compute_metrics(x, y, y_pred)}

    def predict_step(self, data: Any) -> Any:
        return super().predict_step(data) + 100.0


def test_steps_of_ones_own_may_call_the_standard_ones() -> None:
    model = OwnSteps()
    model.compile(dg.optimizers.SGD(0.1), "mse", metrics=["mae"])
    history = model.fit(X, T, batch_size=8, epochs=30, verbose=0, validation_data=(X, T * 2)).history
    assert set(history) == {"loss", "mae", "extra", "val_loss", "val_mae"}
    assert history["val_loss"][-1] < 1e-3
    close(model.predict(X, verbose=0), T * 2 + 100, because="predict_step", tolerance=1e-2)


def test_a_metric_object_is_made_for_its_shapes() -> None:
    model = regressor()
    model.compile("sgd", "mse", metrics=[dg.metrics.R2Score(), dg.metrics.MeanSquaredError(name="own")])
    history = model.fit(X, T, batch_size=8, epochs=20, verbose=0).history
    assert set(history) == {"loss", "r2_score", "own"}


def test_memory_does_not_grow() -> None:
    def resident() -> int:
        gc.collect()
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * 4096

    if not sys.platform.startswith("linux"):
        pytest.skip("memory is read from /proc")
    x, y = np.tile(X, (8, 64)).astype("float32"), np.tile(T, (8, 1))
    for eagerly in (False, True):
        model = dg.Sequential(
            [dg.Input((256,)), dg.layers.Dense(64, "relu"), dg.layers.BatchNormalization(), dg.layers.Dense(1)]
        )
        model.compile("adam", "mse", metrics=["mae"], run_eagerly=eagerly)
        fitted = {"batch_size": 32, "verbose": 0, "validation_data": (x, y)}
        model.fit(x, y, epochs=20, **fitted)
        before = resident()
        model.fit(x, y, epochs=100 if eagerly else 200, **fitted)
        assert resident() - before < 3_000_000, f"eager: {eagerly}"


# ── Machines ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_mixed_bfloat16_trains_or_is_refused_with_the_reason() -> None:
    reason = devices.bfloat16_refusal(devices.default())
    if reason:
        with pytest.raises(DeviceError, match="bfloat16"):
            dg.config.set_dtype_policy("mixed_bfloat16")
        pytest.skip(reason)
    dg.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = classifier()
        history = model.fit(X, Y, batch_size=8, epochs=30, verbose=0, validation_data=(X, Y))
    finally:
        dg.config.set_dtype_policy("float32")
    assert history.plan.startswith("captured")
    assert {w.dtype for w in model.weights} == {torch.float32}
    assert history.history["loss"][-1] < history.history["loss"][0]
    outputs = model.predict(X, verbose=0)
    assert outputs.dtype == np.float32
    exact = dg.models.clone_model(model)
    assert model.dtype_policy.name == "mixed_bfloat16"
    assert np.abs(outputs.sum(1) - 1).max() < 2e-2
    del exact


def test_bfloat16_is_refused_where_it_would_be_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False, raising=False)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False, raising=False)
    monkeypatch.setattr(devices, "default", lambda: torch.device("cpu"))
    assert "neither AVX512_BF16 nor AMX" in (devices.bfloat16_refusal(torch.device("cpu")) or "")
    with pytest.raises(DeviceError, match=r"'mixed_bfloat16' is refused: .*slower; use 'float32'"):
        dg.config.set_dtype_policy("mixed_bfloat16")


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
        RuntimeError(
            "[enforce fail at alloc_cpu.cpp:98] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9"
        ),
        MemoryError("Unable to allocate 9 GiB"),
    ],
)
@pytest.mark.parametrize("act", ["fit", "evaluate", "predict"])
def test_too_little_memory_suggests_a_batch_size(error: Exception, act: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = regressor(dg.layers.Dense(3, name="first"))

    def fail(inputs: torch.Tensor) -> torch.Tensor:
        if len(inputs) > 8:
            raise error
        return inputs[:, :3]

    monkeypatch.setattr(model.get_layer("first"), "call", fail)
    with pytest.raises(OutOfMemoryError, match=r"try batch_size=8 instead of 16\. \(.*allocate") as caught:
        getattr(model, act)(X, *([] if act == "predict" else [T]), batch_size=16, verbose=0)
    assert isinstance(caught.value, MemoryError)


def test_calling_a_model_is_inference_unless_told_otherwise() -> None:
    model = regressor(dg.layers.Dropout(0.5))
    model.set_weights([np.ones((4, 1)), np.zeros(1)])
    x = torch.ones(64, 4)
    for _ in range(2):
        close(model(x), torch.full((64, 1), 4.0), because="inference", tolerance=0)
        close(model(x, training=False), torch.full((64, 1), 4.0), because="inference", tolerance=0)
        assert len(model(x, training=True).unique()) > 1
        assert not model.training
        model.fit(X, T, verbose=0)
        assert not model.training
        model.set_weights([np.ones((4, 1)), np.zeros(1)])
