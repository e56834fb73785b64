"""Which steps are captured, when again, and what runs eagerly; memory and machines."""

from __future__ import annotations

import gc
import sys
import time
from typing import Any

import keras
import numpy as np
import pytest
import torch

import dougong as dg
from closeness import close
from dougong.core import device as devices
from dougong.core.errors import ConfigError, DeviceError, OutOfMemoryError
from training_cases import T, X, Y, classifier, regressor, same

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


def test_a_layer_that_counts_its_calls_is_captured_once() -> None:
    class Counting(dg.layers.Layer):
        calls = 0

        def call(self, inputs: torch.Tensor) -> torch.Tensor:
            self.calls += 1
            return inputs

    layer = Counting()
    model = regressor(layer)
    note = dg.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: None)
    model.fit(X, T, batch_size=8, epochs=20, verbose=0, callbacks=[note])
    assert layer.calls < 20


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
    reason = devices.mixed_refusal(torch.bfloat16, devices.default())
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
    assert "neither AVX512_BF16 nor AMX" in (devices.mixed_refusal(torch.bfloat16, torch.device("cpu")) or "")
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


def fastest(act: Any, *, calls: int, repeats: int = 7) -> float:
    """Seconds of processor time a call, the best of several rounds: what it costs however busy the machine is."""
    best = float("inf")
    for _ in range(repeats):
        began = time.process_time()
        for _ in range(calls):
            act()
        best = min(best, time.process_time() - began)
    return best / calls


def test_fit_costs_little_beyond_its_steps() -> None:
    x, y = torch.randn(94, 2), torch.randn(94, 1)
    model = dg.Sequential([dg.Input((2,)), dg.layers.Dense(10, activation="tanh"), dg.layers.Dense(1)])
    model.compile(dg.optimizers.SGD(0.01), "mse")
    epochs = 1000
    epoch = fastest(lambda: model.fit(x, y, epochs=epochs, batch_size=94, verbose=0), calls=1) / epochs
    step = model.compiled.step("train", model)
    replay = step._captured_for((x, y, None), (x, y))
    update = fastest(lambda: (replay(x, y), model.optimizer.step()), calls=1000)
    assert epoch - update < 100e-6, "an epoch of one step: 8 us where this was written"
    whole = fastest(lambda: step((x, y, None)), calls=1000)
    assert whole - update < 30e-6, "a step: 4 us where this was written"
    row = fastest(lambda: model.predict(x[:1], verbose=0), calls=200)
    assert row < 300e-6, "predict of one row: 76 us where this was written"
