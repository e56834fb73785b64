"""ConvLSTM1D, ConvLSTM2D, ConvLSTM3D against Keras: outputs, gradients, masks, states, dropout."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import torch

from closeness import close
from dougong.core.errors import ConfigError, ShapeError
from dougong.core.symbol import Input
from dougong.layers.conv_lstm import ConvLSTM1D, ConvLSTM2D, ConvLSTM3D
from keras_twins import compare, numbers, randomize, traced_equals_eager

K = keras.layers
PAIRS = {1: (ConvLSTM1D, K.ConvLSTM1D), 2: (ConvLSTM2D, K.ConvLSTM2D), 3: (ConvLSTM3D, K.ConvLSTM3D)}
SHAPES = {1: (2, 3, 7, 2), 2: (2, 3, 6, 5, 2), 3: (2, 2, 4, 5, 4, 2)}
OPTIONS = [
    {},
    {"return_sequences": True, "padding": "same"},
    {"return_state": True, "strides": 2},
    {"data_format": "channels_first", "return_sequences": True, "return_state": True},
    {"dilation_rate": 2, "padding": "same"},
    {"go_backwards": True, "return_sequences": True},
    {"use_bias": False, "activation": "relu", "recurrent_activation": "hard_sigmoid"},
    {"unit_forget_bias": False, "kernel_size": 3},
]


def data(rank, seed=0, **options):
    x = numbers(*SHAPES[rank], seed=seed)
    return np.moveaxis(x, -1, 2).copy() if options.get("data_format") == "channels_first" else x


@pytest.mark.parametrize("rank", PAIRS)
@pytest.mark.parametrize("options", OPTIONS)
def test_equals_keras(rank, options):
    options = {"filters": 3, "kernel_size": 2} | options
    ours, theirs = (kind(**options) for kind in PAIRS[rank])
    compare(ours, theirs, data(rank, **options), tolerance=2e-5)
    assert [w.name for w in ours.weights] == [w.name for w in theirs.weights]
    assert set(theirs.get_config()) - set(ours.get_config()) <= {"activity_regularizer"}


@pytest.mark.parametrize("rank", PAIRS)
@pytest.mark.parametrize("options", [{}, {"return_sequences": True, "return_state": True}])
def test_masks_and_initial_states_equal_keras(rank, options):
    ours, theirs = (kind(3, 2, **options) for kind in PAIRS[rank])
    steps = SHAPES[rank][1]
    mask = torch.tensor([[1, 0, 1][:steps], [0, 0, 0][:steps]]).bool()
    compare(ours, theirs, data(rank), mask=mask, symbols=False)
    states = [torch.tensor(numbers(*one.shape, seed=5)) for one in ours.get_initial_state(2)]
    got = ours(torch.tensor(data(rank)), initial_state=states)
    want = theirs(torch.tensor(data(rank)), initial_state=states)
    for a, b in zip(*((one if options else (one,)) for one in (got, want)), strict=True):
        close(a, b.detach(), because="with states given")


@pytest.mark.parametrize("rank", PAIRS)
def test_stateful_equals_keras(rank):
    ours, theirs = (kind(3, 2, stateful=True, padding="same") for kind in PAIRS[rank])
    ours(torch.tensor(data(rank))), theirs(data(rank))
    randomize(ours, theirs)
    ours.reset_state(), theirs.reset_state()
    for seed in range(3):
        x = data(rank, seed)
        close(ours(torch.tensor(x)), theirs(x).detach(), because=f"batch {seed}")
    with pytest.raises(ShapeError, match="keeps the states of 2 samples but received 1"):
        ours(torch.tensor(data(rank)[:1]))


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_dropout_is_for_training_seeded_and_the_same_in_all_steps(data_format):
    options = {"dropout": 0.5, "recurrent_dropout": 0.5, "seed": 3, "data_format": data_format}
    layer, x = ConvLSTM2D(3, 2, return_sequences=True, **options), torch.tensor(data(2, data_format=data_format))
    plain = layer(x)
    close(layer(x), plain.detach(), because="inference draws nothing")
    drawn = layer(x, training=True)
    assert not torch.allclose(drawn, plain)
    twin = ConvLSTM2D.from_config(layer.get_config())
    twin(x)
    twin.set_weights(layer.get_weights())
    close(twin(x, training=True), drawn.detach(), because="the seed fixes the stream")


@pytest.mark.parametrize("rate", [0.0, 1.0])
def test_masks_reach_every_gate(rate, monkeypatch):
    """With masks of ones the groups of four convolutions are the plain layer; with zeros only the bias is left."""
    x = torch.tensor(data(2))
    layer = ConvLSTM2D(3, 2, dropout=0.5, recurrent_dropout=0.5, return_sequences=True)
    plain = layer(x)
    monkeypatch.setattr(
        type(layer.cell), "keep_mask", lambda self, like, shape, _: torch.full(tuple(shape), 0.5 - rate / 2)
    )
    got = layer(x, training=True)
    if rate:
        with torch.no_grad():
            layer.cell.weight_ih.zero_(), layer.cell.weight_hh.zero_()
        plain = layer(x)
    close(got, plain.detach(), because=f"masks of {1 - rate}")


def test_traces_and_unknown_lengths():
    traced_equals_eager(ConvLSTM2D(3, 2, return_sequences=True), torch.tensor(data(2)), training=True)
    assert ConvLSTM2D(3, 2, return_sequences=True)(Input((None, None, 5, 2))).shape == (None, None, None, 4, 3)


def test_refusals_say_what_to_do():
    layer = ConvLSTM1D(3, 2, name="film")
    layer(torch.tensor(data(1)))
    with pytest.raises(ShapeError, match="'film' was built for 2 channels"):
        layer(torch.zeros(2, 3, 7, 4))
    with pytest.raises(ShapeError, match=r"axes \(batch, steps, length, channels\)"):
        layer(torch.zeros(2, 7, 2))
    with pytest.raises(ShapeError, match="too small"):
        layer(torch.zeros(2, 3, 1, 2))
    with pytest.raises(ConfigError, match="strides"):
        ConvLSTM2D(3, 2, strides=2, dilation_rate=2)
    with pytest.raises(ShapeError, match="fixed batch size"):
        ConvLSTM1D(3, 2, stateful=True)(Input((3, 7, 2)))
