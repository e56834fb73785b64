"""Weights in Keras's words: named, assignable, shown in Keras's layout, and torch's own parameters all the same."""

from __future__ import annotations

import copy
import pickle

import keras
import numpy as np
import pytest
import torch

import dougong as dg
from closeness import close
from dougong.core.errors import ShapeError
from dougong.core.variable import Variable, View, stored


class Total(dg.Layer):
    """Keeps a sum of what it saw, as Keras's guides do."""

    def __init__(self, **options) -> None:
        super().__init__(**options)
        self.total = self.add_weight(shape=(3,), initializer="zeros", trainable=False, name="total")
        self.factor = self.add_weight(shape=(3,), initializer="ones", name="factor")

    def call(self, inputs):
        self.total.assign_add(inputs.sum(0))
        return inputs * self.factor


def test_a_variable_does_what_keras_says() -> None:
    whole = {"initializer": np.arange(2), "trainable": False}
    for arguments in ({"initializer": [1.0, 2.0]}, {"initializer": "ones", "shape": (2,)}, whole):
        ours, theirs = Variable(**arguments, name="v"), keras.Variable(**arguments, name="v")
        close(ours.numpy(), theirs.numpy(), because="value")
        assert str(ours.dtype).removeprefix("torch.") == theirs.dtype
        assert (ours.name, ours.trainable, tuple(ours.shape)) == (theirs.name, theirs.trainable, theirs.shape)
        for word in ("assign_add", "assign_sub", "assign"):
            getattr(ours, word)([3, 4])
            getattr(theirs, word)([3, 4])
            close(ours.numpy(), theirs.numpy(), because=word)
    with pytest.raises(ShapeError, match="does not fit"):
        Variable([1.0, 2.0]).assign([1.0])


def test_what_is_not_trainable_is_a_buffer_and_the_rest_are_parameters() -> None:
    layer = Total()
    layer(torch.ones(2, 3))
    assert [name for name, _ in layer.named_parameters()] == ["factor"]
    assert [name for name, _ in layer.named_buffers()] == ["total"]
    assert [weight.name for weight in layer.weights] == ["factor", "total"]
    assert layer.total.numpy().tolist() == [2, 2, 2]
    assert layer.factor is next(layer.parameters())
    layer.to(torch.float64)
    assert type(layer.total) is Variable and layer.total.dtype is torch.float64
    layer(torch.ones(1, 3, dtype=torch.float64))
    assert layer.total.numpy().tolist() == [3, 3, 3]


@pytest.mark.parametrize("clone", [copy.deepcopy, lambda layer: pickle.loads(pickle.dumps(layer))])
def test_copies_are_independent_and_still_variables(clone) -> None:
    layer = Total(name="sum")
    layer(torch.ones(2, 3))
    again = clone(layer)
    again(torch.ones(1, 3))
    assert layer.total.numpy().tolist() == [2, 2, 2]
    assert again.total.numpy().tolist() == [3, 3, 3]
    assert again.total.path == "sum/total"
    assert again.factor.requires_grad


def test_a_captured_fit_changes_a_variable_as_an_eager_one_does() -> None:
    x, y = np.ones((320, 3), "float32"), np.zeros((320, 3), "float32")
    model = dg.Sequential([dg.Input((3,)), Total()])
    model.layers[-1].total.assign([0, 0, 0])  # what the look at the graph added
    model.compile(optimizer="sgd", loss="mse")
    model.fit(x, y, batch_size=4, verbose=0)
    assert model.compiled.step("train", model).plan.startswith("captured")
    assert model.layers[-1].total.numpy().tolist() == [320, 320, 320]


def test_weights_are_seen_in_keras_layout_and_written_through() -> None:
    layer = dg.layers.Conv2D(2, 3, use_bias=True, name="conv")
    layer(torch.zeros(1, 5, 5, 4))
    kernel, bias = layer.weights
    assert (kernel.path, bias.path) == ("conv/kernel", "conv/bias")
    assert tuple(kernel.shape) == (3, 3, 4, 2) and isinstance(kernel, Variable) and type(kernel) is View
    kernel.assign(np.ones((3, 3, 4, 2)))
    assert layer.weight.detach().unique().tolist() == [1]
    assert layer.bias.numpy().tolist() == [0, 0]
    layer(torch.ones(1, 5, 5, 4)).sum().backward()
    assert stored(kernel)[0] is layer.weight
    close(kernel.value.grad, layer.weight.grad.permute(2, 3, 1, 0), because="gradient")
    assert list(layer.parameters()) == [layer.weight, layer.bias]


def test_an_optimizer_takes_gradients_in_the_layout_of_what_it_is_given() -> None:
    def layer():
        made = dg.layers.Dense(4, name="dense")  # square, so that shapes cannot tell
        made(torch.zeros(1, 4))
        made.kernel.assign(np.arange(16.0).reshape(4, 4))
        made(torch.tensor([[1.0, 2.0, 3.0, 4.0]])).square().sum().backward()
        return made

    by_keras, by_torch = layer(), layer()
    dg.optimizers.SGD(1e-3).apply([v.value.grad for v in by_keras.trainable_variables], by_keras.trainable_variables)
    dg.optimizers.SGD(1e-3).apply([p.grad for p in by_torch.parameters()], list(by_torch.parameters()))
    close(by_keras.kernel.numpy(), by_torch.kernel.numpy(), because="kernel", tolerance=0)
    assert not np.array_equal(by_keras.kernel.numpy(), np.arange(16.0).reshape(4, 4))


def test_lists_of_weights_are_found() -> None:
    class Many(dg.Layer):
        def build(self, input_shape):
            self.scales = [self.add_weight((3,), "ones", name=f"scale_{i}", trainable=i > 0) for i in range(3)]

        def call(self, inputs):
            return inputs * self.scales[0] * self.scales[1] * self.scales[2]

    layer = Many()
    layer(torch.ones(1, 3))
    assert [w.name for w in layer.trainable_weights] == ["scale_1", "scale_2"]
    assert [w.name for w in layer.non_trainable_weights] == ["scale_0"]
    layer.to(torch.float64)
    assert layer(torch.ones(1, 3, dtype=torch.float64)).dtype is torch.float64


def test_a_free_variable_becomes_a_weight_of_the_layer_it_is_assigned_to() -> None:
    class Shift(dg.Layer):
        def __init__(self) -> None:
            super().__init__()
            self.offset = Variable(np.zeros(3, "float32"), name="offset")
            self.calls = Variable(0, trainable=False, name="calls")

        def call(self, inputs):
            self.calls.assign_add(1)
            return inputs + self.offset

    layer = Shift()
    layer(torch.ones(1, 3))
    assert [w.name for w in layer.weights] == ["offset", "calls"]
    assert layer.calls.numpy() == 1 and layer.calls.dtype is torch.int32


def test_variables_leave_torch_its_own_ways() -> None:
    layer = dg.layers.Dense(4)
    x = torch.randn(2, 3)
    expected = layer(x)
    program = torch.export.export(layer, (x,))
    close(program.module()(x), expected, because="torch.export")
    assert type(dg.layers.BatchNormalization()(x)) is torch.Tensor
    state = pickle.loads(pickle.dumps(layer.state_dict()))
    assert {name: type(value) for name, value in state.items()} == {"weight": torch.Tensor, "bias": torch.Tensor}
