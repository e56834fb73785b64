"""`keras.ops` in functional models: one node each, written as source, saved by name, and captured with a step."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import dougong as dg
from closeness import close
from dougong import ops
from dougong.core.errors import UnknownNameError
from dougong.ops.recorded import function_called


def network() -> dg.Model:
    x = dg.Input((6,), name="x")
    hidden = dg.layers.Dense(4)(ops.concatenate([x, ops.square(x)], axis=-1))
    scaled = ops.multiply(hidden, np.array([1.0, 2.0, 3.0, 4.0], "float32"))
    mean = ops.mean(scaled, axis=-1, keepdims=True)
    return dg.Model(x, ops.where(ops.greater(mean, 0.0), mean, ops.exp(mean) - 1.0))


def test_a_graph_of_operations_is_source_and_goes_through_a_file(tmp_path) -> None:
    model = network()
    x = np.random.default_rng(0).normal(size=(9, 6)).astype("float32")
    assert "concatenate" in model.source()
    expected = model.predict(x, verbose=0)
    by_hand = model.layers[1](torch.tensor(np.concatenate([x, x**2], -1))) * torch.tensor([1.0, 2.0, 3.0, 4.0])
    mean = by_hand.mean(-1, keepdim=True)
    close(expected, torch.where(mean > 0, mean, mean.exp() - 1).detach(), because="by hand", tolerance=1e-6)
    model.save(tmp_path / "ops.keras")
    close(dg.models.load_model(tmp_path / "ops.keras").predict(x, verbose=0), expected, because="file", tolerance=0)


def test_operations_are_captured_with_the_step() -> None:
    x, y = np.random.default_rng(0).normal(size=(256, 6)).astype("float32"), np.ones((256, 1), "float32")
    model = network()
    model.compile("adam", "mse")
    model.fit(x, y, batch_size=8, epochs=2, verbose=0)
    assert model.compiled.step("train", model).plan.startswith("captured")


@pytest.mark.parametrize("name", ops.__all__)
def test_every_operation_can_be_named_in_a_file(name: str) -> None:
    assert callable(function_called(f"keras.ops.{name}"))


def test_a_file_cannot_name_anything_else() -> None:
    for name in ("keras.ops.recorded", "keras.ops.__builtins__", "os.system", "keras.ops.meen"):
        with pytest.raises(UnknownNameError):
            function_called(name)
