"""The layers that Keras has not: local response normalisation, maxout, radial basis units, hard limits."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import torch
from torch import nn

from closeness import close
from dougong.core.errors import ConfigError, ShapeError
from dougong.core.symbol import Input
from dougong.layers.classic import RBF, HardLim, LocalResponseNormalization, Maxout, Sign
from keras_twins import numbers, traced_equals_eager

K = keras.layers


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_local_response_normalization_by_hand(data_format):
    x = numbers(2, 3, 4, 7)
    radius, bias, alpha, beta = 2, 1.5, 0.3, 0.6
    want = np.empty_like(x)
    for c in range(7):
        near = np.square(x[..., max(0, c - radius) : c + radius + 1]).sum(-1)
        want[..., c] = x[..., c] / (bias + alpha * near) ** beta
    layer = LocalResponseNormalization(radius, bias, alpha, beta, data_format=data_format)
    last = data_format == "channels_last"
    got = layer(torch.tensor(x)) if last else layer(torch.tensor(x).movedim(-1, 1)).movedim(1, -1)
    close(got, want, because="the paper's formula")


@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_local_response_normalization_equals_torch(size):
    x = torch.tensor(numbers(2, 7, 3, 4))
    layer = LocalResponseNormalization(size=size, bias=2.0, alpha=0.5, beta=0.7, data_format="channels_first")
    close(layer(x), nn.functional.local_response_norm(x, size, 0.5, 0.7, 2.0), because="alpha is divided by the size")
    with pytest.raises(ConfigError, match="not both"):
        LocalResponseNormalization(2, size=5)
    traced_equals_eager(LocalResponseNormalization(), x, training=True)


def test_maxout_by_hand():
    x = numbers(4, 5)
    layer = Maxout(3, pieces=2)
    layer(torch.tensor(x))
    kernel, bias = layer.get_weights()
    assert kernel.shape == (5, 3, 2)
    layer.set_weights([kernel, numbers(3, 2, seed=3)])
    kernel, bias = layer.get_weights()
    want = np.stack([x @ kernel[:, :, p] + bias[:, p] for p in range(2)]).max(0)
    close(layer(torch.tensor(x)), want, because="the largest piece")
    assert Maxout.from_config(layer.get_config()).pieces == 2
    assert Maxout(3)(Input((5,))).shape == (None, 3)
    with pytest.raises(ShapeError, match=r"was built for 5 features but received shape \(4, 6\)"):
        layer(torch.zeros(4, 6))
    with pytest.raises(ConfigError, match="pieces"):
        Maxout(3, 0)
    traced_equals_eager(Maxout(3), torch.tensor(x), training=True)


def test_rbf_by_hand():
    x = numbers(4, 2)
    layer = RBF(3)
    layer(torch.tensor(x))
    centers, widths = numbers(3, 2, seed=1), np.array([0.5, 1.0, 2.0], "float32")
    layer.set_weights([centers, widths])
    squared = np.square(x[:, None] - centers).sum(-1)
    close(layer(torch.tensor(x)), np.exp(-squared / (2 * widths**2)), because="Gaussians")
    double = RBF(3, dtype="float64")
    y = torch.tensor(x).double().requires_grad_()
    double(y)
    assert torch.autograd.gradcheck(double, y)
    with pytest.raises(ShapeError, match="add Flatten"):
        layer(torch.zeros(4, 3, 3))
    assert RBF(3)(Input((2,))).shape == (None, 3)
    traced_equals_eager(RBF(3), torch.tensor(x), training=True)


def test_hard_limits():
    x = torch.tensor([-2.0, -0.0, 0.0, 3.0, float("inf")])
    assert HardLim()(x).tolist() == [0, 1, 1, 1, 1]
    assert Sign()(x).tolist() == [-1, 0, 0, 1, 1]
    assert Sign()(Input((3,))).shape == (None, 3)
