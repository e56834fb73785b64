"""RNN over cells of the user's own, beside Keras's RNN over the same cells: nested states, masks, options, files."""

from __future__ import annotations

import keras
import pytest
import torch

import dougong as dg
from closeness import close
from dougong.core.config import custom_object_scope
from dougong.core.errors import ShapeError
from dougong.core.nested import leaves
from keras_twins import numbers

X = numbers(3, 5, 4)
MASK = torch.tensor([[1, 0, 1, 1, 0], [0, 1, 1, 0, 1], [0, 0, 0, 0, 0]]).bool()
OPTIONS = [
    {},
    {"return_sequences": True, "return_state": True},
    {"return_state": True, "go_backwards": True},
    {"unroll": True, "return_sequences": True},
    {"zero_output_for_mask": True, "return_sequences": True, "return_state": True},
    {"stateful": True, "return_state": True},
]


def two_states(layers):
    class Cell(layers.Layer):
        """States of two widths that begin at one, an output of a third; it hears of training."""

        state_size, output_size = [3, 2], 4

        def build(self, input_shape):
            self.gain = self.add_weight(shape=(input_shape[-1], 4), initializer="ones", name="gain")

        def get_initial_state(self, batch_size=None):
            return [torch.ones(batch_size, 3), torch.full((batch_size, 2), 0.5)]

        def call(self, inputs, states, training=False):
            a, b = states
            y = torch.tanh(inputs @ getattr(self.gain, "value", self.gain) + a.sum(-1, keepdim=True) + b[:, :1])
            return y * (2.0 if training else 1.0), [y[:, :3] * 0.5 + a * 0.5, b * 0.9]

    return Cell()


def nested_states(layers):
    class Cell(layers.Layer):
        state_size, output_size = [[3, 2], 3], 3

        def get_initial_state(self, batch_size=None):
            return [[torch.zeros(batch_size, 3), torch.zeros(batch_size, 2)], torch.zeros(batch_size, 3)]

        def call(self, inputs, states):
            (a, b), c = states
            y = torch.tanh(inputs[:, :3] + a + c)
            return y, [[y, b + 1], c * 0.5 + y]

    return Cell()


def bare_state(layers):
    class Cell(layers.Layer):
        state_size = 3

        def call(self, inputs, states):
            y = torch.tanh(inputs[:, :3] + states[0])
            return y, y

    return Cell()


@pytest.mark.parametrize("cell", [two_states, nested_states, bare_state])
@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("mask", [None, MASK])
@pytest.mark.parametrize("training", [False, True])
def test_cells_of_the_users_own_equal_keras(cell, options, mask, training):
    results, shapes = [], []
    for layers in (dg.layers, keras.layers):
        layer = layers.RNN(cell(layers), **options)
        x = torch.tensor(X)
        outputs = layer(x, mask=mask, training=training)
        if layer.stateful:
            outputs = layer(x, mask=mask)
        results.append([one.detach() for one in leaves(outputs)])
        shapes.append(layer.compute_output_shape((None, 5, 4)))
    for got, want in zip(*results, strict=True):
        close(got, want, because="outputs and states")
    assert str(shapes[0]) == str(shapes[1])


def test_a_cell_need_not_be_a_layer():
    class Sum:
        state_size = 4

        def __call__(self, inputs, states):
            total = inputs + states[0]
            return total, [total]

    close(dg.layers.RNN(Sum())(torch.tensor(X)), X.sum(1), because="the last sum")


def test_first_states_sizes_and_other_batches():
    layer = dg.layers.LSTM(3, stateful=True)
    layer(torch.tensor(X))
    assert layer.state_size == [3, 3] and [tuple(s.shape) for s in layer.get_initial_state(2)] == [(2, 3)] * 2
    assert dg.layers.GRU(4).state_size == [4]
    with pytest.raises(ShapeError, match="keeps the states of 3 samples but received 2"):
        layer(torch.tensor(X[:2]))


@pytest.mark.parametrize("kind", ["GRU", "LSTM", "SimpleRNN"])
def test_states_given_as_symbols_stay_in_the_file(kind, tmp_path):
    number = 2 if kind == "LSTM" else 1
    x, states = dg.Input((5, 4)), [dg.Input((3,)) for _ in range(number)]
    outputs = getattr(dg.layers, kind)(3, return_state=True)(x, initial_state=states)
    model = dg.Model([x, *states], list(outputs))
    data = [torch.tensor(X), *(torch.tensor(numbers(3, 3, seed=n)) for n in range(number))]
    model.save(tmp_path / "states.keras")
    theirs = keras.saving.load_model(tmp_path / "states.keras")
    again = dg.models.load_model(tmp_path / "states.keras")
    for got, same, want in zip(model(data), again(data), theirs(data), strict=True):
        close(got.detach(), want.detach(), because="Keras reads our file")
        close(same.detach(), got.detach(), because="we read it again")


class Doubling(dg.layers.Layer):
    """A cell that a config can name."""

    state_size = 3

    def call(self, inputs, states):
        y = torch.tanh(inputs[:, :3] * 2 + states[0])
        return y, [y]


def test_a_registered_cell_comes_back_from_its_config():
    layer = dg.layers.RNN([Doubling(), dg.layers.GRUCell(2)])
    with custom_object_scope({"Doubling": Doubling}):
        again = dg.layers.RNN.from_config(layer.get_config())
    assert type(again.cell.cells[0]) is Doubling
    assert again(torch.tensor(X)).shape == (3, 2)
