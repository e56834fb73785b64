"""Reshaping, activations, merging, dropout, embedding, wrappers and the classic layers, against Keras or by hand."""

from __future__ import annotations

import copy
import pickle
import sys

import keras
import numpy as np
import pytest
import torch
from torch import nn

from closeness import close
from dougong.core.errors import ConfigError, DataError, ShapeError
from dougong.core.symbol import Input
from dougong.layers.activation import ELU, LeakyReLU, PReLU, ReLU, Softmax
from dougong.layers.basic import Activation, Identity, InputLayer, Lambda, Masking, TorchModuleWrapper
from dougong.layers.classic import Maxout
from dougong.layers.embedding import Embedding
from dougong.layers.merging import (
    Add,
    Average,
    Concatenate,
    Dot,
    Maximum,
    Minimum,
    Multiply,
    Subtract,
    add,
    average,
    concatenate,
    dot,
    maximum,
    minimum,
    multiply,
    subtract,
)
from dougong.layers.normalization import BatchNormalization
from dougong.layers.recurrent import LSTM
from dougong.layers.regularization import (
    ActivityRegularization,
    AlphaDropout,
    Dropout,
    GaussianDropout,
    GaussianNoise,
    SpatialDropout1D,
    SpatialDropout2D,
    SpatialDropout3D,
)
from dougong.layers.reshaping import Flatten, Permute, RepeatVector, Reshape
from dougong.layers.wrappers import Bidirectional, TimeDistributed
from keras_twins import compare, numbers, traced_equals_eager

K = keras.layers

# ── Reshaping and activations ───────────────────────────────────────────────────────────────────────────────────────

ELEMENTARY = [
    (Flatten(), K.Flatten(), (2, 3, 4)),
    (Flatten("channels_first"), K.Flatten("channels_first"), (2, 3, 4, 5)),
    (Flatten(), K.Flatten(), (4,)),
    (Reshape((4, 3)), K.Reshape((4, 3)), (2, 12)),
    (Reshape((-1, 2, 3)), K.Reshape((-1, 2, 3)), (2, 4, 3)),
    (Reshape((-1,)), K.Reshape((-1,)), (2, 4, 3)),
    (Permute((3, 1, 2)), K.Permute((3, 1, 2)), (2, 3, 4, 5)),
    (RepeatVector(3), K.RepeatVector(3), (2, 4)),
    (Activation("tanh"), K.Activation("tanh"), (2, 3)),
    (Activation("softmax"), K.Activation("softmax"), (2, 3)),
    (Identity(), K.Identity(), (2, 3)),
    (ReLU(), K.ReLU(), (3, 4)),
    (ReLU(1.0, 0.2, 0.3), K.ReLU(1.0, 0.2, 0.3), (5, 6)),
    (ReLU(threshold=0.5), K.ReLU(threshold=0.5), (5, 6)),
    (LeakyReLU(), K.LeakyReLU(), (3, 4)),
    (ELU(0.7), K.ELU(0.7), (3, 4)),
    (PReLU(), K.PReLU(), (3, 4)),
    (PReLU(shared_axes=[1, 2]), K.PReLU(shared_axes=[1, 2]), (2, 3, 4, 5)),
    (PReLU(shared_axes=1), K.PReLU(shared_axes=1), (2, 3, 4)),
    (Softmax(), K.Softmax(), (3, 4)),
    (Softmax((1, 2)), K.Softmax((1, 2)), (3, 4, 5)),
    (Masking(), K.Masking(), (2, 3, 4)),
    (GaussianNoise(0.3), K.GaussianNoise(0.3), (2, 3)),
    (Dropout(0.3), K.Dropout(0.3), (2, 3)),
]


@pytest.mark.parametrize(("ours", "theirs", "shape"), ELEMENTARY, ids=lambda value: getattr(value, "name", None))
def test_equals_keras(ours, theirs, shape):
    compare(ours, theirs, numbers(*shape))
    if shape != (4,):
        traced_equals_eager(ours, torch.tensor(numbers(*shape)), training=True)


@pytest.mark.parametrize("shape", [(0, 3, 4), (1, 3, 4)])
@pytest.mark.parametrize("layer", [Flatten(), Reshape((-1, 2)), Permute((2, 1)), ReLU(), Softmax(), Dropout(0.5)])
def test_small_batches(layer, shape):
    outputs = layer(torch.zeros(shape), training=True)
    assert outputs.shape == layer.compute_output_shape(shape)


def test_shapes_may_be_unknown():
    assert Flatten()(Input((None, 3))).shape == (None, None)
    assert Reshape((-1, 3))(Input((None,))).shape == (None, None, 3)
    assert Reshape((4, 3))(Input((None,))).shape == (None, 4, 3)
    assert RepeatVector(2)(Input((5,))).shape == (None, 2, 5)


def test_views_copy_nothing():
    x = torch.zeros(2, 3, 4)
    for layer in (Flatten(), Reshape((4, 3)), Permute((2, 1))):
        assert layer(x).data_ptr() == x.data_ptr()


def test_reshaping_refuses():
    with pytest.raises(ShapeError, match="12 numbers a sample"):
        Reshape((5, 2))(Input((3, 4)))
    with pytest.raises(ShapeError, match="12 numbers a sample"):
        Reshape((5, 2))(torch.zeros(2, 3, 4))
    with pytest.raises(ConfigError, match="at most one -1"):
        Reshape((-1, -1))
    with pytest.raises(ConfigError, match="each of 1"):
        Permute((0, 1))
    with pytest.raises(ShapeError, match="add Flatten"):
        RepeatVector(2)(torch.zeros(2, 3, 4))
    with pytest.raises(ConfigError, match="n must be"):
        RepeatVector(0)
    with pytest.raises(ConfigError, match="negative_slope"):
        LeakyReLU(-1.0)


def test_softmax_with_a_mask_equals_keras():
    x, mask = numbers(3, 4), torch.tensor([[1, 1, 0, 1], [0, 0, 0, 0], [1, 0, 0, 0]]).bool()
    close(Softmax()(torch.tensor(x), mask=mask), K.Softmax()(x, mask=mask), because="masked")
    close(Softmax((1,))(torch.tensor(x), mask=mask.int()), K.Softmax([1])(x, mask=mask.int()), because="integer mask")


def test_prelu_refuses_other_sizes():
    layer = PReLU(name="slopes")
    layer(torch.zeros(2, 3))
    assert list(layer.state_dict()) == ["weight"]
    with pytest.raises(ShapeError, match="'slopes' was built for slopes"):
        layer(torch.zeros(2, 4))


# ── Merging ─────────────────────────────────────────────────────────────────────────────────────────────────────────

MERGES = [
    (Add, K.Add, add),
    (Subtract, K.Subtract, subtract),
    (Multiply, K.Multiply, multiply),
    (Average, K.Average, average),
    (Maximum, K.Maximum, maximum),
    (Minimum, K.Minimum, minimum),
]


@pytest.mark.parametrize(("ours", "theirs", "function"), MERGES)
@pytest.mark.parametrize("shapes", [[(2, 3), (2, 3)], [(2, 3, 4), (2, 1, 4)], [(2, 3, 4), (2, 4)], [(2, 1), (2, 3, 4)]])
def test_merges_equal_keras(ours, theirs, function, shapes):
    arrays = [numbers(*shape, seed=i) for i, shape in enumerate(shapes)]
    if shapes[0] == (2, 1):
        arrays[0], arrays[1] = arrays[1], arrays[0]
    got = compare(ours(), theirs(), arrays)
    close(function([torch.tensor(a) for a in arrays]), got.detach(), because="the function")
    traced_equals_eager(ours(), [torch.tensor(a) for a in arrays], training=True)


@pytest.mark.parametrize(("ours", "theirs", "_"), MERGES)
@pytest.mark.parametrize("masked", [(True, True), (True, False), (False, True)])
def test_masked_merges_equal_keras(ours, theirs, _, masked):
    arrays = [numbers(2, 5, 3, seed=i) for i in range(2)]
    masks = [torch.tensor([[1, 1, 0, 0, 1]] * 2).bool(), torch.tensor([[1, 0, 1, 0, 1]] * 2).bool()]

    def run(layer):
        tensors = [torch.tensor(a) for a in arrays]
        for tensor, mask, wanted in zip(tensors, masks, masked):
            if wanted:
                tensor._keras_mask = mask
        return layer(tensors)

    got, want = run(ours()), run(theirs())
    close(got, want, because="values under masks")
    got, want = getattr(got, "_keras_mask", None), getattr(want, "_keras_mask", None)
    assert (got is None) == (want is None)
    if got is not None:
        close(got, want, because="mask")


@pytest.mark.parametrize("axis", [-1, 1, 2, -2])
def test_concatenate_equals_keras(axis):
    arrays = [numbers(2, 3, 4), numbers(2, 3, 4, seed=1)]
    got = compare(Concatenate(axis), K.Concatenate(axis), arrays)
    close(concatenate([torch.tensor(a) for a in arrays], axis), got.detach(), because="the function")
    a, b = (torch.tensor(x) for x in arrays)
    a._keras_mask = torch.tensor([[1, 0, 1], [1, 1, 0]]).bool()
    mask = Concatenate(axis)([a, b])._keras_mask
    close(mask, K.Concatenate(axis).compute_mask([a, b], [a._keras_mask, None]), because="mask")


DOTS = [
    ((2, 3), (2, 3), 1),
    ((2, 3), (2, 4, 3), (1, 2)),
    ((2, 3, 4), (2, 4, 5), (2, 1)),
    ((2, 3, 4), (2, 3), 1),
    ((2, 3, 4), (2, 5, 4), -1),
    ((2, 3, 4, 5), (2, 6, 3), (1, 2)),
]


@pytest.mark.parametrize("case", DOTS)
@pytest.mark.parametrize("normalize", [False, True])
def test_dot_equals_keras(case, normalize):
    first, second, axes = case
    arrays = [numbers(*first), numbers(*second, seed=1)]
    got = compare(Dot(axes, normalize), K.Dot(axes, normalize), arrays)
    close(dot([torch.tensor(a) for a in arrays], axes, normalize), got.detach(), because="the function")


def test_merges_refuse():
    with pytest.raises(ShapeError, match="a list of tensors"):
        Add()(torch.zeros(2, 3))
    with pytest.raises(ShapeError, match=r"sizes \[3, 4\] meet on one axis"):
        Add(name="sum")([torch.zeros(2, 3), torch.zeros(2, 4)])
    with pytest.raises(ShapeError, match="agree on every other axis"):
        Concatenate()([Input((3, 4)), Input((2, 4))])
    with pytest.raises(ShapeError, match="two inputs"):
        Subtract()([torch.zeros(2, 3)] * 3)
    with pytest.raises(ShapeError, match="batch axis"):
        Dot(0)([torch.zeros(2, 3)] * 2)
    with pytest.raises(ShapeError, match="sizes 3 and 4"):
        Dot(1)([Input((3,)), Input((4,))])
    with pytest.raises(ConfigError, match="axes"):
        Dot((1, 2, 3))


# ── Dropout and noise ───────────────────────────────────────────────────────────────────────────────────────────────

RANDOM = [
    (lambda seed: Dropout(0.4, seed=seed), (50, 40)),
    (lambda seed: Dropout(0.4, (None, 1, None), seed), (40, 5, 50)),
    (lambda seed: SpatialDropout1D(0.4, seed), (40, 5, 50)),
    (lambda seed: SpatialDropout2D(0.4, seed=seed), (40, 2, 3, 50)),
    (lambda seed: SpatialDropout2D(0.4, "channels_first", seed), (40, 50, 2, 3)),
    (lambda seed: SpatialDropout3D(0.4, seed=seed), (40, 2, 2, 2, 50)),
    (lambda seed: AlphaDropout(0.4, seed=seed), (50, 40)),
    (lambda seed: GaussianDropout(0.4, seed), (50, 40)),
    (lambda seed: GaussianNoise(0.4, seed), (50, 40)),
]


@pytest.mark.parametrize(("make", "shape"), RANDOM)
@pytest.mark.parametrize("seed", [None, 7])
def test_random_layers(make, shape, seed):
    layer, x = make(seed), torch.randn(shape, generator=torch.Generator().manual_seed(0))
    assert layer(x) is x
    torch.manual_seed(0)
    first, second = layer(x, training=True), layer(x, training=True)
    assert not torch.equal(first, second)
    assert first.shape == x.shape == layer.compute_output_shape(x.shape)
    if seed is not None:
        close(type(layer).from_config(layer.get_config())(x, training=True), first, because="the seed fixes the stream")
    if "Dropout" in type(layer).__name__ and type(layer) is not AlphaDropout and type(layer) is not GaussianDropout:
        share = (first == 0).float().mean().item()
        assert abs(share - 0.4) < 0.06
        kept = first != 0
        close(first[kept], x[kept] / 0.6, because="the others are scaled")
    layer.train()
    torch.manual_seed(0)
    assert torch.fx.experimental.proxy_tensor.make_fx(layer)(x)(x).shape == x.shape


@pytest.mark.parametrize(
    ("layer", "axes"),
    [
        (SpatialDropout1D(0.5, 1), (1,)),
        (SpatialDropout2D(0.5, seed=1), (1, 2)),
        (Dropout(0.5, (None, None, 1), 1), (2,)),
    ],
)
def test_noise_is_shared_along_axes(layer, axes):
    shape = (6, 4, 5) if len(axes) == 1 else (6, 4, 3, 5)
    dropped = layer(torch.ones(shape), training=True)
    for axis in axes:
        assert (dropped == dropped.narrow(axis, 0, 1)).all()
    assert dropped.unique().tolist() == [0, 2]


def test_random_layers_keep_moments():
    x = torch.randn(400, 400, generator=torch.Generator().manual_seed(0))
    alpha = AlphaDropout(0.3, seed=1)(torch.selu(x), training=True)
    assert abs(alpha.mean()) < 0.02
    assert abs(alpha.std() - 1) < 0.03
    noise = GaussianNoise(0.5, 1)(torch.zeros(400, 400), training=True)
    assert abs(noise.std() - 0.5) < 0.01
    factor = GaussianDropout(0.2, 1)(torch.ones(400, 400), training=True)
    assert abs(factor.mean() - 1) < 0.01
    assert abs(factor.std() - 0.5) < 0.01
    assert not Dropout(1.0)(x, training=True).any()
    assert not Dropout(1.0, seed=1)(x, training=True).any()


def test_random_layers_refuse():
    for make in (Dropout, SpatialDropout2D, GaussianDropout, AlphaDropout):
        with pytest.raises(ConfigError, match="rate"):
            make(1.5)
    with pytest.raises(ConfigError, match="stddev"):
        GaussianNoise(-1)
    with pytest.raises(ShapeError, match="4 axes"):
        SpatialDropout2D(0.5)(torch.zeros(2, 3))
    assert "data_format" not in SpatialDropout1D(0.5).get_config()


def test_activity_regularization_equals_keras():
    x = numbers(4, 3)
    ours, theirs = ActivityRegularization(0.1, 0.2), K.ActivityRegularization(0.1, 0.2)
    close(ours(torch.tensor(x)), theirs(x), because="unchanged")
    close(ours.losses[0], theirs.losses[0], because="loss")
    assert ActivityRegularization.from_config(ours.get_config()).l2 == 0.2


# ── Embedding, functions, modules ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("mask_zero", [False, True])
@pytest.mark.parametrize("dtype", ["int32", "int64", "float32"])
def test_embedding_equals_keras(mask_zero, dtype):
    tokens = np.array([[0, 3, 4], [1, 0, 0]], dtype)
    ours, theirs = Embedding(5, 4, mask_zero=mask_zero), K.Embedding(5, 4, mask_zero=mask_zero)
    got = compare(ours, theirs, tokens)
    want = theirs(tokens)
    assert hasattr(got, "_keras_mask") is mask_zero
    if mask_zero:
        close(got._keras_mask, want._keras_mask, because="mask")
        assert ours(Input((3,), dtype="int32")).mask.shape == (None, 3)
    assert list(ours.state_dict()) == ["weight"]
    traced_equals_eager(ours, torch.tensor(tokens).long(), training=True)


def test_embedding_refuses():
    layer = Embedding(5, 4, name="words")
    with pytest.raises(DataError, match=r"'words' has rows 0 … 4 but received indices from 2 to 5"):
        layer(torch.tensor([2, 5]))
    with pytest.raises(ConfigError, match="input_dim"):
        Embedding(0, 4)
    assert layer.get_config()["input_dim"] == 5
    assert layer(torch.zeros(0, 3, dtype=torch.int64)).shape == (0, 3, 4)


def test_masking_equals_keras():
    x = numbers(2, 4, 3)
    x[:, 2] = 1.0
    ours, theirs = Masking(1.0)(torch.tensor(x)), K.Masking(1.0)(x)
    close(ours, theirs, because="hidden steps are zero")
    close(ours._keras_mask, theirs._keras_mask, because="mask")
    assert Masking()(Input((None, 3))).mask.shape == (None, None)


def test_lambda():
    x = torch.tensor(numbers(2, 3))
    close(Lambda(lambda t: t * 2)(x), x * 2, because="a function")
    assert Lambda(torch.sum, arguments={"dim": 1})(Input((3,))).shape == (None,)
    flags = []
    layer = Lambda(lambda t, training, mask=None: flags.append((training, mask)) or t)
    layer(x), layer(x, training=True)
    assert flags == [(False, None), (True, None)]
    masked = Lambda(lambda t: t, mask=lambda inputs, mask: inputs[..., 0] > 0)
    close(masked(x)._keras_mask, x[..., 0] > 0, because="mask function")
    with pytest.raises(ConfigError, match="cannot be saved by name"):
        layer.get_config()
    with pytest.raises(ConfigError, match="needs a function"):
        Lambda(3)


def test_torch_modules_are_layers():
    module = nn.Sequential(nn.Conv1d(3, 4, 2), nn.BatchNorm1d(4))
    layer = TorchModuleWrapper(module, name="old")
    assert layer(Input((3, 8))).shape == (None, 4, 7)
    x = torch.tensor(numbers(2, 3, 8))
    layer(x, training=True)
    assert module[1].num_batches_tracked == 1
    layer(x)
    assert module[1].num_batches_tracked == 1
    assert len(layer.trainable_weights) == 4
    assert "module.0.weight" in layer.state_dict()
    with pytest.raises(ConfigError, match="no code"):
        layer.get_config()
    with pytest.raises(ConfigError, match=r"torch\.nn\.Module"):
        TorchModuleWrapper(3)


def test_input_layer_is_a_shape():
    layer = InputLayer((3, None), batch_size=4, dtype="int32")
    again = InputLayer.from_config(layer.get_config())
    assert again.batch_shape == (4, 3, None) == again.declared_input
    assert again.get_config()["dtype"] == "int32"
    with pytest.raises(ConfigError, match="shape"):
        InputLayer()
    with pytest.raises(ConfigError, match="sparse"):
        InputLayer((3,), sparse=True)


# ── Wrappers ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_time_distributed_equals_keras():
    compare(TimeDistributed(LSTM(3)), K.TimeDistributed(K.LSTM(3)), numbers(2, 3, 4, 5), symbols=True)
    compare(TimeDistributed(PReLU()), K.TimeDistributed(K.PReLU()), numbers(2, 3, 4))
    normalized = (TimeDistributed(BatchNormalization()), K.TimeDistributed(K.BatchNormalization()))
    compare(*normalized, numbers(2, 3, 4))
    compare(*normalized, numbers(4, 3, 4), training=True)
    mask = torch.tensor(np.random.default_rng(0).random((4, 3)) < 0.7)
    compare(*normalized, numbers(4, 3, 4), training=True, mask=mask, symbols=False)
    traced_equals_eager(TimeDistributed(PReLU()), torch.tensor(numbers(2, 3, 4)), training=True)


def test_time_distributed_masks_and_refusals():
    x, mask = torch.tensor(numbers(2, 3, 4)), torch.tensor([[1, 1, 0], [1, 0, 0]]).bool()
    with pytest.raises(ShapeError, match="needs a mask of 2 samples of 3 steps"):
        TimeDistributed(ReLU())(x, mask=mask[:1])
    x._keras_mask = mask
    assert TimeDistributed(ReLU())(x)._keras_mask is mask
    with pytest.raises(ShapeError, match="time axis"):
        TimeDistributed(ReLU())(torch.zeros(2, 3))
    with pytest.raises(ConfigError, match="wraps a layer"):
        TimeDistributed(3)


def test_wrapped_layers_come_back_from_their_configs():
    for layer in (TimeDistributed(LSTM(3)), Bidirectional(LSTM(3, return_sequences=True), merge_mode="sum")):
        again = type(layer).from_config(layer.get_config())
        assert again.get_config() == layer.get_config()


# ── What all have in common ─────────────────────────────────────────────────────────────────────────────────────────

COMMON = [
    (PReLU, (3, 4)),
    (lambda: LSTM(3), (2, 3, 4)),
    (lambda: Maxout(3), (2, 4)),
    (BatchNormalization, (4, 3)),
    (lambda: Bidirectional(LSTM(2)), (2, 3, 4)),
]


@pytest.mark.parametrize(("make", "shape"), COMMON)
def test_state_dicts_copies_and_pickles(make, shape):
    x = torch.tensor(numbers(*shape))
    layer = make()
    want = layer(x)
    twin = make()
    twin(x)
    twin.load_state_dict(layer.state_dict())
    for other in (twin, copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        close(other(x), want.detach(), because="same weights")


@pytest.mark.parametrize(("make", "shape"), COMMON)
def test_at_most_five_frames_to_the_kernel(make, shape):
    layer, x = make(), torch.tensor(numbers(*shape))
    layer(x)
    depth, found = 0, []

    def count(frame, event, argument):
        nonlocal depth
        depth += {"call": 1, "return": -1}.get(event, 0)
        if event == "c_call" and argument.__name__ in ("_prelu_kernel", "where", "lstm", "linear", "batch_norm"):
            found.append(depth)

    with torch.no_grad():
        sys.setprofile(count)
        try:
            layer(x)
        finally:
            sys.setprofile(None)
    assert found, "no kernel was seen"
    assert max(found) <= (6 if isinstance(layer, Bidirectional) else 5)
