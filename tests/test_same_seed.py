"""After `set_random_seed` a model begins with the weights, to the bit, and the names that it has in Keras on torch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import torch

import dougong.keras as dk
from closeness import close


def stack(*parts: Any) -> Callable[[Any], Any]:
    """A function of a package that gives its Sequential of an input shape and layers."""
    shape, *layers = parts
    return lambda package: package.Sequential([package.Input(shape), *(make(package.layers) for make in layers)])


def attention(package: Any) -> Any:
    x = package.Input((5, 4))
    y = package.layers.MultiHeadAttention(2, 3, dropout=0.1)(x, x)
    y = package.layers.GroupQueryAttention(3, 4, 2)(y, y)
    y = package.layers.Attention(dropout=0.1, use_scale=True)([y, y])
    y = package.layers.AdditiveAttention()([y, y])
    return package.Model(x, package.layers.Dense(2)(y))


MODELS = {
    "pictures": stack(
        (8, 8, 3),
        lambda made: made.Conv2D(4, 3, kernel_initializer="he_normal"),
        lambda made: made.BatchNormalization(),
        lambda made: made.Dropout(0.3),
        lambda made: made.SeparableConv2D(4, 3),
        lambda made: made.DepthwiseConv2D(3, depthwise_initializer="lecun_uniform"),
        lambda made: made.Flatten(),
        lambda made: made.GaussianNoise(0.1),
        lambda made: made.Dense(3, kernel_initializer="orthogonal"),
    ),
    "sequences": stack(
        (5, 3),
        lambda made: made.LSTM(4, return_sequences=True, dropout=0.1),
        lambda made: made.GRU(4, return_sequences=True),
        lambda made: made.SimpleRNN(3, return_sequences=True),
        lambda made: made.Bidirectional(made.LSTM(2, return_sequences=True)),
        lambda made: made.TimeDistributed(made.Dense(2)),
        lambda made: made.Dense(2),
    ),
    "cells": stack(
        (5, 3),
        lambda made: made.RNN([made.LSTMCell(3), made.GRUCell(2)], return_sequences=True),
        lambda made: made.RNN(made.SimpleRNNCell(2)),
        lambda made: made.Dense(2),
    ),
    "films": stack((3, 6, 6, 2), lambda made: made.ConvLSTM2D(2, 3), lambda made: made.Dense(2)),
    "words": stack(
        (5,),
        lambda made: made.Embedding(7, 3),
        lambda made: made.SpatialDropout1D(0.2),
        lambda made: made.LayerNormalization(),
        lambda made: made.Dense(2, kernel_initializer="truncated_normal"),
    ),
    "augmentation": stack(
        (8, 8, 3),
        lambda made: made.RandomFlip(),
        lambda made: made.RandomRotation(0.1),
        lambda made: made.RandomZoom(0.1),
        lambda made: made.RandomContrast(0.1),
        lambda made: made.RandomTranslation(0.1, 0.1),
        lambda made: made.RandomBrightness(0.1),
        lambda made: made.Rescaling(2.0),
        lambda made: made.Dense(2),
    ),
    "others": stack(
        (5, 3),
        lambda made: made.EinsumDense("abc,cd->abd", output_shape=(None, 4)),
        lambda made: made.UnitNormalization(),
        lambda made: made.Conv1DTranspose(3, 2),
        lambda made: made.AlphaDropout(0.1),
        lambda made: made.Dense(2, kernel_initializer="random_uniform"),
    ),
    "attention": attention,
}


@pytest.mark.parametrize("name", MODELS)
def test_a_seed_gives_the_model_that_it_gives_in_keras(name: str) -> None:
    found = []
    for package in (dk, keras):
        package.utils.set_random_seed(5)
        package.backend.clear_session()
        found.append([(weight.path, weight.numpy()) for weight in MODELS[name](package).weights])
    assert [path for path, _ in found[0]] == [path for path, _ in found[1]]
    for (path, got), (_, want) in zip(*found):
        assert np.array_equal(got, want), path


def test_torch_s_own_seed_counts_where_it_was_set_last() -> None:
    first = []
    for _ in range(2):
        torch.manual_seed(3)
        first.append(dk.layers.Dense(4)(torch.ones(1, 3)))
    close(first[0].detach(), first[1].detach(), because="torch.manual_seed", tolerance=0)


def test_one_initializer_gives_one_set_of_numbers_and_layers_that_share_it_say_so() -> None:
    one = dk.initializers.GlorotUniform()
    close(one((3, 4)), one((3, 4)), because="the same object, as in Keras", tolerance=0)
    layer = dk.layers.MultiHeadAttention(2, 3)
    layer(torch.ones(1, 4, 6), torch.ones(1, 4, 6))
    query, key = layer.weights[0].numpy(), layer.weights[2].numpy()
    assert query.shape == key.shape and not np.array_equal(query, key), "each projection begins elsewhere"
