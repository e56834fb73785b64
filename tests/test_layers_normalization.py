"""Batch, layer, group, RMS, unit and spectral normalization, Normalization and Rescaling against Keras."""

from __future__ import annotations

import warnings

import keras
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from closeness import close
from dougong.core.errors import ConfigError, DataError, ShapeError
from dougong.core.symbol import Input
from dougong.layers.convolutional import Conv2D
from dougong.layers.dense import Dense
from dougong.layers.embedding import Embedding
from dougong.layers.normalization import BatchNormalization, GroupNormalization, LayerNormalization
from dougong.layers.normalization_norms import RMSNormalization, UnitNormalization
from dougong.layers.normalization_spectral import SpectralNormalization
from dougong.layers.preprocessing import Normalization, Rescaling
from keras_twins import compare, numbers, randomize, traced_equals_eager

SHAPES = [(5, 3), (4, 6, 3), (2, 4, 5, 3), (2, 3, 4, 2, 3), (2, 2, 2, 3, 2, 3)]


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("axis", [-1, 1])
def test_batch_normalization_equals_keras(shape, axis, training):
    ours, theirs = BatchNormalization(axis, momentum=0.8), keras.layers.BatchNormalization(axis, momentum=0.8)
    compare(ours, theirs, numbers(*shape), training=training, tolerance=2e-5)


@settings(max_examples=25, deadline=None)
@given(
    center=st.booleans(),
    scale=st.booleans(),
    momentum=st.floats(0.0, 1.0),
    epsilon=st.sampled_from([1e-3, 1e-5, 0.1]),
    axis=st.integers(-3, 3).filter(lambda a: a not in (0, -4)),
    batch=st.integers(1, 4),
)
def test_three_steps_of_running_statistics(batch, **options):
    ours, theirs = BatchNormalization(**options), keras.layers.BatchNormalization(**options)
    shape = (batch, 3, 4, 2)
    ours(torch.tensor(numbers(*shape))), theirs(numbers(*shape))
    randomize(ours, theirs)
    for step in range(3):
        x = numbers(*shape, seed=step) + step
        close(ours(torch.tensor(x), training=True), theirs(x, training=True).detach(), because="output", tolerance=3e-5)
    close(ours.running_mean, theirs.moving_mean.value, because="mean")
    close(ours.running_var, theirs.moving_variance.value, because="biased variance", tolerance=2e-5)
    close(ours(torch.tensor(x)), theirs(x).detach(), because="inference", tolerance=3e-5)


def test_masked_batch_normalization_equals_keras():
    mask = torch.tensor([[1, 1, 0, 0], [1, 0, 0, 1], [0, 0, 0, 0]]).bool()
    x = numbers(3, 4, 5)
    compare(BatchNormalization(), keras.layers.BatchNormalization(), x, training=True, mask=mask, symbols=False)
    with pytest.raises(ShapeError, match="one axis less"):
        BatchNormalization()(torch.tensor(x), mask=mask[0], training=True)


def test_frozen_batch_normalization_is_in_inference_mode():
    layer, x = BatchNormalization(), torch.tensor(numbers(6, 3))
    plain = layer(x)
    layer.trainable = False
    close(layer(x, training=True), plain.detach(), because="frozen")
    close(layer.running_mean, np.zeros(3), because="statistics stay")


def test_channels_last_runs_in_channels_last_memory():
    layer, x = BatchNormalization(), torch.tensor(numbers(2, 4, 5, 3))
    for training in (False, True):
        y = layer(x, training=training)
        assert y.is_contiguous()
        assert y.permute(0, 3, 1, 2).is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("shape", SHAPES[:3])
def test_batch_normalization_traces_with_its_statistics(shape, training):
    layer = BatchNormalization(momentum=0.5)
    graph = traced_equals_eager(layer, torch.tensor(numbers(*shape)), training=training)
    targets = [str(node.target) for node in graph.graph.nodes]
    assert ("aten.lerp_.Scalar" in targets) is training


def test_batch_normalization_names_and_dtypes():
    layer = BatchNormalization()
    layer(torch.zeros(2, 3))
    assert list(layer.state_dict()) == ["weight", "bias", "running_mean", "running_var"]
    assert [tuple(w.shape) for w in layer.get_weights()] == [(3,)] * 4
    assert layer.moving_variance.tolist() == [1, 1, 1]
    assert BatchNormalization(dtype="float64")(torch.zeros(2, 3).double()).dtype == torch.float64
    assert BatchNormalization()(torch.zeros(0, 3)).shape == (0, 3)
    half = layer(torch.ones(4, 3, dtype=torch.bfloat16), training=True)
    assert half.dtype == torch.bfloat16


def test_batch_normalization_refuses():
    layer = BatchNormalization()
    layer(torch.zeros(2, 3))
    with pytest.raises(ShapeError, match=r"3 values on axis 1 of 2 but received shape \(2, 4\)"):
        layer(torch.zeros(2, 4))
    with pytest.raises(ShapeError, match="has axis 4"):
        BatchNormalization(axis=4)(torch.zeros(2, 3))
    with pytest.raises(ConfigError, match="synchronized"):
        BatchNormalization(synchronized=True)
    with pytest.raises(ShapeError, match="must be known"):
        BatchNormalization()(Input((None,)))


@pytest.mark.parametrize("clipping", [None, {"rmax": 1.1, "rmin": 0.9, "dmax": 0.1}])
@pytest.mark.parametrize("options", [{}, {"scale": False}, {"center": False}])
def test_batch_renormalization_equals_keras(clipping, options):
    options = options | {"renorm": True, "renorm_clipping": clipping, "renorm_momentum": 0.7, "momentum": 0.6}
    ours, theirs = BatchNormalization(**options), keras.layers.BatchNormalization(**options)
    compare(ours, theirs, numbers(6, 4, 3), training=True, tolerance=2e-5)


@pytest.mark.parametrize("axis", [-1, [2, 3], [-1, -2], [1, 3], (3,)])
@pytest.mark.parametrize("options", [{}, {"center": False}, {"scale": False, "epsilon": 1e-6}])
def test_layer_normalization_equals_keras(axis, options):
    x = numbers(3, 4, 5, 2)
    ours = LayerNormalization(axis, **options)
    theirs = keras.layers.LayerNormalization(axis, **options)
    if axis == [-1, -2]:  # Keras sorts negative axes after it made the weights; compare the equal positive ones
        theirs = keras.layers.LayerNormalization([2, 3], **options)
    compare(ours, theirs, x)


@pytest.mark.parametrize(("axis", "order"), [(1, (0, 2, 3, 1)), ([1, 2], (0, 3, 1, 2)), ((2,), (0, 1, 3, 2))])
def test_inner_axes_are_as_if_moved_to_the_end(axis, order):
    """Keras 3.15 on torch cannot take these axes, so it is given the transposed input."""
    x = numbers(3, 4, 5, 2)
    number = 1 if isinstance(axis, int) else len(axis)
    ours, theirs = LayerNormalization(axis), keras.layers.LayerNormalization(list(range(4 - number, 4)))
    ours(torch.tensor(x)), theirs(x.transpose(order))
    randomize(ours, theirs)
    close(ours(torch.tensor(x)).permute(order), theirs(x.transpose(order)).detach(), because=f"axis {axis}")


def test_layer_normalization_names_masks_and_traces():
    layer = LayerNormalization()
    x = torch.tensor(numbers(2, 3, 4))
    x._keras_mask = torch.ones(2, 3).bool()
    assert layer(x)._keras_mask is x._keras_mask
    assert list(layer.state_dict()) == ["weight", "bias"]
    traced_equals_eager(LayerNormalization(axis=(1,)), torch.tensor(numbers(2, 3, 4)), training=True)
    assert layer(torch.zeros(0, 3, 4)).shape == (0, 3, 4)
    with pytest.raises(ShapeError, match="was built for 4 values"):
        layer(torch.zeros(2, 3, 5))


def test_rms_scaling_is_keras_old_option():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = keras.layers.LayerNormalization(rms_scaling=True)
        compare(LayerNormalization(rms_scaling=True), theirs, numbers(3, 4))


@settings(max_examples=25, deadline=None)
@given(
    groups=st.sampled_from([1, 2, 3, 6, -1]),
    axis=st.sampled_from([-1, 1]),
    rank=st.integers(0, 3),
    center=st.booleans(),
    scale=st.booleans(),
)
def test_group_normalization_equals_keras(groups, axis, rank, **options):
    shape = (2, *(3, 4, 2)[:rank], 6) if axis == -1 else (2, 6, *(3, 4, 2)[:rank])
    ours = GroupNormalization(groups, axis, **options)
    theirs = keras.layers.GroupNormalization(groups, axis, **options)
    if rank == 0 and groups in (
        -1,
        6,
    ):  # one value a group: Keras divides rounding errors by the square root of epsilon
        return
    compare(ours, theirs, numbers(*shape), tolerance=1e-4)


def test_group_normalization_of_data_that_need_no_gradient():
    """torch 2.13 crashes on the gradient of channels-last groups whose input needs none."""
    layer = GroupNormalization(3)
    layer(torch.zeros(1, 4, 4, 6))
    layer(torch.tensor(numbers(2, 4, 4, 6))).square().sum().backward()
    assert layer.weight.grad.isfinite().all()


def test_group_normalization_refuses_and_traces():
    with pytest.raises(ShapeError, match="cannot split 5 channels into 2 equal groups"):
        GroupNormalization(2)(torch.zeros(1, 5))
    with pytest.raises(ConfigError, match="groups"):
        GroupNormalization(0)
    traced_equals_eager(GroupNormalization(3), torch.tensor(numbers(2, 4, 4, 6)), training=True)


# ── Normalization and Rescaling ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("axis", [-1, None, 1, (1, 2), (-1, -2)])
@pytest.mark.parametrize("invert", [False, True])
def test_adapted_normalization_equals_keras(axis, invert):
    data, x = numbers(20, 4, 3) * 5 + 2, numbers(2, 4, 3, seed=1)
    ours, theirs = Normalization(axis, invert=invert), keras.layers.Normalization(axis, invert=invert)
    ours.adapt(data), theirs.adapt(data)
    close(ours(torch.tensor(x)), theirs(x), because=f"axis {axis}")
    assert [w.shape for w in ours.get_weights()] == [tuple(w.shape) for w in theirs.weights]
    assert type(ours).from_config(ours.get_config()).get_config() == ours.get_config()


def test_given_mean_and_variance_equal_keras():
    x = numbers(5, 3)
    for mean, variance in ((3.0, 2.0), ([1.0, 2.0, 3.0], [1.0, 4.0, 9.0])):
        ours, theirs = (
            Normalization(mean=mean, variance=variance),
            keras.layers.Normalization(mean=mean, variance=variance),
        )
        close(ours(torch.tensor(x)), theirs(x), because="given")
        assert ours.get_config()["mean"] == theirs.get_config()["mean"]
        assert ours.get_weights() == []
        again = Normalization.from_config(ours.get_config())
        close(again(torch.tensor(x)), ours(torch.tensor(x)), because="from the config")


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(0, 7), min_size=1, max_size=5).filter(any))
def test_adapt_in_batches_is_adapt_at_once(sizes):
    data = np.random.default_rng(0).normal(1e4, 1.0, size=(sum(sizes), 3))
    batches = np.split(data, np.cumsum(sizes)[:-1])
    layer = Normalization(dtype="float64")
    layer.adapt(batches)
    close(layer.adapt_mean, data.mean(0), because="mean", tolerance=1e-10)
    close(layer.adapt_variance, data.var(0), because="variance", tolerance=1e-9)
    assert int(layer.count) == len(data)


def test_normalization_extremes():
    layer = Normalization()
    layer.adapt(np.array([[1, 5], [3, 5]]))
    out = layer(torch.tensor([[2, 5]]))
    assert out.dtype == torch.float32
    close(out, [[0, 0]], because="a constant column divides by the smallest deviation, not by zero")
    layer.adapt([(np.ones((2, 2)), "label")])
    with pytest.raises(DataError, match="no data"):
        Normalization().adapt([])
    with pytest.raises(DataError, match="numbers"):
        Normalization().adapt(np.array([["a"]]))
    with pytest.raises(ShapeError, match=r"shape \(None, 2\)"):
        layer.adapt(np.ones((2, 3)))
    with pytest.raises(ConfigError, match="both mean and variance"):
        Normalization(mean=1.0)
    with pytest.raises(ConfigError, match="one shape"):
        Normalization(mean=1.0, variance=[1.0])


def test_rescaling_equals_keras():
    for scale, offset in ((1 / 255, 0.0), (2.0, -1.0), ([1.0, 2.0, 3.0], [0.0, 1.0, 2.0])):
        compare(Rescaling(scale, offset), keras.layers.Rescaling(scale, offset), numbers(4, 3))
    pixels = np.arange(6, dtype="uint8").reshape(2, 3)
    close(Rescaling(0.5)(torch.tensor(pixels)), keras.layers.Rescaling(0.5)(pixels), because="integers")
    traced_equals_eager(Rescaling(0.5), torch.tensor(numbers(2, 3)), training=False)


# ── Without a mean ──────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("axis", [-1, [-2, -1], 2])
def test_rms_normalization_equals_keras(axis):
    ours, theirs = RMSNormalization(axis, 1e-4), keras.layers.RMSNormalization(axis, 1e-4)
    compare(ours, theirs, numbers(4, 5, 6))
    assert [w.name for w in ours.weights] == [w.name for w in theirs.weights] == ["scale"]
    with torch.no_grad():  # torch's own function
        close(ours(torch.tensor(numbers(4, 5, 6))), theirs(numbers(4, 5, 6)), because="without a gradient")


def test_rms_normalization_of_an_inner_axis_keeps_its_scale_there():
    layer, x = RMSNormalization(1), numbers(2, 3, 4)
    layer(torch.tensor(x))
    scale = np.array([1.0, 2.0, 3.0])
    layer.set_weights([scale])
    want = x / np.sqrt((x**2).mean(1, keepdims=True) + 1e-6) * scale[:, None]
    close(layer(torch.tensor(x)), want, because="by hand")


@pytest.mark.parametrize("axis", [-1, 1, [1, 2], (0,)])
def test_unit_normalization_equals_keras(axis):
    compare(UnitNormalization(axis), keras.layers.UnitNormalization(axis), numbers(3, 5, 6))


@pytest.mark.parametrize("layer", [RMSNormalization(dtype="float64"), UnitNormalization(dtype="float64")])
def test_own_gradients_are_right_to_the_second_order(layer):
    x = torch.randn(2, 3, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0), requires_grad=True)
    layer(x)
    names = [name for name, _ in layer.named_parameters()]

    def run(x, *weights):
        return torch.func.functional_call(layer, dict(zip(names, weights)), (x,))

    assert torch.autograd.gradcheck(run, (x, *layer.parameters()))
    assert torch.autograd.gradgradcheck(run, (x, *layer.parameters()))
    (own,) = torch.autograd.grad(layer(x).pow(3).sum(), x)
    close(torch.func.grad(lambda t: layer(t).pow(3).sum())(x.detach()), own, because="torch.func.grad")


def test_norms_at_the_extremes():
    zeros = torch.zeros(2, 3, requires_grad=True)
    for layer in (RMSNormalization(), UnitNormalization()):
        y = layer(zeros)
        assert not y.any() and torch.isfinite(torch.autograd.grad(y.sum(), zeros)[0]).all()
        assert layer(torch.zeros(0, 3)).shape == (0, 3)
        traced_equals_eager(layer, torch.tensor(numbers(2, 3)), training=True)
    frozen, x = RMSNormalization(trainable=False), torch.randn(2, 3, requires_grad=True)
    assert torch.autograd.grad(frozen(x).sum(), x)[0].shape == (2, 3)
    with pytest.raises(ConfigError, match="axis must be"):
        UnitNormalization("last")
    with pytest.raises(ShapeError, match="has axis 2 but inputs of shape"):
        RMSNormalization(2)(torch.zeros(2, 3))


SPECTRAL = [
    (lambda: Dense(3), lambda: keras.layers.Dense(3), (2, 4)),
    (lambda: Conv2D(3, 2), lambda: keras.layers.Conv2D(3, 2), (2, 4, 4, 2)),
]


@pytest.mark.parametrize(("ours", "theirs", "shape"), SPECTRAL)
@pytest.mark.parametrize("iterations", [1, 3])
def test_spectral_normalization_equals_keras(ours, theirs, shape, iterations):
    a, b = SpectralNormalization(ours(), iterations), keras.layers.SpectralNormalization(theirs(), iterations)
    compare(a, b, numbers(*shape), training=True)
    assert [w.name for w in a.weights] == [w.name for w in b.weights] == ["kernel", "vector_u", "bias"]
    for kernel in (np.zeros_like(a.get_weights()[0]), numbers(*a.get_weights()[0].shape)):
        a.set_weights([kernel, *a.get_weights()[1:]])
        b.set_weights(a.get_weights())
        for seed in range(3):
            x = numbers(*shape, seed=seed)
            close(a(torch.tensor(x), training=True), b(x, training=True).detach(), because="after another call")
            for got, want in zip(a.get_weights(), b.get_weights(), strict=True):
                close(got, want, because="kernel and vector")


def test_spectral_normalization_reaches_one_and_takes_embeddings():
    layer = SpectralNormalization(Embedding(6, 3), power_iterations=50)
    outputs = layer(torch.tensor([[1, 2]]), training=True)
    assert outputs.shape == (1, 2, 3) and outputs.dtype is torch.float32
    close(
        torch.linalg.matrix_norm(layer.layer.weight.detach(), 2),
        1.0,
        because="the largest singular value",
        tolerance=1e-4,
    )
    before = layer.get_weights()
    layer(torch.tensor([[1, 2]]))
    for got, want in zip(layer.get_weights(), before, strict=True):
        close(got, want, because="inference changes nothing", tolerance=0)
    with pytest.raises(ConfigError, match="power_iterations"):
        SpectralNormalization(Dense(3), 0)
    with pytest.raises(ConfigError, match="kernel or embeddings"):
        SpectralNormalization(RMSNormalization())(torch.zeros(2, 3))
