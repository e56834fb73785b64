"""``compile(auto_scale_loss=True)``: under ``mixed_float16`` the optimizer scales the loss, as Keras's does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import dougong as dg
from closeness import close
from dougong import keras as dg_keras
from dougong.core import device

X = np.random.default_rng(0).random((32, 4), dtype=np.float32)
Y = X.sum(1, keepdims=True)


@pytest.fixture(autouse=True)
def half_precision(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """float16 arithmetic, which Dougong refuses on CPUs because it is slow there."""
    monkeypatch.setattr(device, "mixed_refusal", lambda dtype, where: None)
    for k in (keras, dg_keras):
        k.config.set_dtype_policy("mixed_float16")
    yield
    for k in (keras, dg_keras):
        k.config.set_dtype_policy("float32")


def _made(k: Any, **options: Any) -> Any:
    k.utils.set_random_seed(1)
    model = k.Sequential([k.Input((4,)), k.layers.Dense(8, "relu"), k.layers.Dense(1)])
    model.compile(k.optimizers.SGD(0.05), "mse", **options)
    return model


def test_the_optimizer_is_wrapped_as_keras_wraps_it() -> None:
    theirs, ours = _made(keras).optimizer, _made(dg_keras).optimizer
    assert type(ours).__name__ == type(theirs).__name__ == "LossScaleOptimizer"
    assert ours.name == theirs.name == "loss_scale_optimizer"
    assert type(ours.inner_optimizer).__name__ == "SGD"
    assert ours.initial_scale == theirs.initial_scale


def test_it_is_left_as_it_is_where_that_is_asked_for() -> None:
    for k in (keras, dg_keras):
        assert type(_made(k, auto_scale_loss=False).optimizer).__name__ == "SGD"
    given = dg.optimizers.LossScaleOptimizer(dg.optimizers.SGD(0.1), initial_scale=4.0)
    model = dg.Sequential([dg.Input((4,)), dg.layers.Dense(1)])
    model.compile(given, "mse")
    assert model.optimizer is given
    dg.config.set_dtype_policy("float32")
    assert type(_made(dg_keras).optimizer).__name__ == "SGD"


@pytest.mark.parametrize("eagerly", [True, False])
def test_training_is_keras_training(eagerly: bool) -> None:
    theirs = _made(keras)
    want = theirs.fit(X, Y, batch_size=8, epochs=8, shuffle=False, verbose=0).history["loss"]
    model = _made(dg_keras, run_eagerly=eagerly)
    history = model.fit(X, Y, batch_size=8, epochs=8, shuffle=False, verbose=0)
    close(history.history["loss"], want, because="losses in half precision", tolerance=5e-3)
    assert history.plan.startswith("eager" if eagerly else "captured")
    assert float(model.optimizer.dynamic_scale) == float(theirs.optimizer.dynamic_scale)
    assert int(model.optimizer.iterations) == int(theirs.optimizer.iterations)


def test_an_overflow_skips_the_step_and_halves_the_factor() -> None:
    model = _made(dg_keras)
    before = model.get_weights()
    model.train_on_batch(X * 60.0, Y * 3e4)  # the scaled gradients do not fit into half precision
    assert float(model.optimizer.dynamic_scale) == 2.0**14
    assert all(np.array_equal(one, other) for one, other in zip(before, model.get_weights()))


@pytest.mark.parametrize("scaled", [True, False])
def test_files_and_clones_keep_it(scaled: bool, tmp_path: Path) -> None:
    model = _made(dg_keras, auto_scale_loss=scaled)
    model.fit(X, Y, verbose=0)
    model.save(tmp_path / "net.keras")
    again = dg.models.load_model(tmp_path / "net.keras")
    assert type(again.optimizer) is type(model.optimizer) is type(dg.models.clone_model(model).optimizer)
    assert again.optimizer.iterations == model.optimizer.iterations
