"""Attention and AdditiveAttention against Keras: scores of every kind, masks, causality, dropout."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import torch

from closeness import close
from dougong.core.errors import ConfigError, ShapeError
from dougong.core.symbol import Input
from dougong.layers.attention_scores import AdditiveAttention, Attention
from dougong.layers.embedding import Embedding
from keras_twins import compare, numbers, randomize, traced_equals_eager

K = keras.layers
QUERY, VALUE, KEY = numbers(2, 5, 3), numbers(2, 4, 6, seed=1), numbers(2, 4, 3, seed=2)
QUERY_MASK = torch.tensor([[1, 1, 0, 1, 1], [0, 1, 1, 1, 1]]).bool()
VALUE_MASK = torch.tensor([[1, 0, 0, 1], [0, 0, 0, 0]]).bool()
KINDS = [
    (Attention, K.Attention, {}),
    (Attention, K.Attention, {"use_scale": True}),
    (Attention, K.Attention, {"score_mode": "concat"}),
    (Attention, K.Attention, {"score_mode": "concat", "use_scale": True}),
    (AdditiveAttention, K.AdditiveAttention, {}),
    (AdditiveAttention, K.AdditiveAttention, {"use_scale": False}),
]
each = pytest.mark.parametrize(("ours", "theirs", "options"), KINDS)


@each
@pytest.mark.parametrize("inputs", [[QUERY, VALUE, KEY], [QUERY, KEY]])
@pytest.mark.parametrize("call", [{}, {"use_causal_mask": True}])
def test_equals_keras(ours, theirs, options, inputs, call):
    ours, theirs = ours(**options), theirs(**options)
    compare(ours, theirs, inputs, **call)
    assert [w.name for w in ours.weights] == [w.name for w in theirs.weights]
    assert set(ours.get_config()) == set(theirs.get_config())


@each
@pytest.mark.parametrize("masks", [(QUERY_MASK, VALUE_MASK), (None, VALUE_MASK), (QUERY_MASK, None)])
@pytest.mark.parametrize("call", [{}, {"return_attention_scores": True, "use_causal_mask": True}])
def test_masks_and_scores_equal_keras(ours, theirs, options, masks, call):
    ours, theirs = ours(**options), theirs(**options)
    arrays = [QUERY, VALUE, KEY]
    ours([torch.tensor(a) for a in arrays]), theirs([torch.tensor(a) for a in arrays])
    randomize(ours, theirs)

    def run(layer):
        tensors = [torch.tensor(a).requires_grad_() for a in arrays]
        for tensor, mask in zip(tensors, masks):
            tensor._keras_mask = mask
        outputs = layer(tensors, **call)
        outputs = outputs if isinstance(outputs, tuple) else (outputs,)
        return outputs, torch.autograd.grad(sum(one.square().sum() for one in outputs), tensors)

    (got, gradients), (want, wanted) = run(ours), run(theirs)
    for a, b in zip((*got, *gradients), (*want, *wanted), strict=True):
        close(a, b.detach(), because="masked")
    own, other = (getattr(outputs[0], "_keras_mask", None) for outputs in (got, want))
    assert (own is None) == (other is None) == (masks[0] is None)
    assert all(getattr(one, "_keras_mask", None) is None for one in got[1:])


@pytest.mark.parametrize("kind", [Attention, AdditiveAttention])
def test_dropout_is_for_training_and_a_seed_fixes_it(kind):
    inputs = [torch.tensor(QUERY), torch.tensor(VALUE), torch.tensor(KEY)]
    layer = kind(dropout=0.5, seed=3)
    plain = layer(inputs)
    close(layer(inputs), plain.detach(), because="inference")
    drawn = layer(inputs, training=True)
    assert not torch.allclose(drawn, plain)
    twin = kind.from_config(layer.get_config())
    twin(inputs)
    twin.set_weights(layer.get_weights())
    close(twin(inputs, training=True), drawn.detach(), because="same seed")
    assert not kind(dropout=1.0)(inputs, training=True).any()


def test_symbols_and_their_masks():
    tokens = Input((5,), dtype="int32")
    embedded = Embedding(10, 6, mask_zero=True)(tokens)
    output = Attention()([embedded, embedded])
    assert output.shape == (None, 5, 6) and output.mask.shape == (None, 5)
    output, scores = AdditiveAttention()([Input((None, 3)), Input((4, 3))], return_attention_scores=True)
    assert (output.shape, scores.shape) == ((None, None, 3), (None, None, 4))
    traced_equals_eager(Attention(True, "concat"), [torch.tensor(QUERY), torch.tensor(KEY)], training=True)


def test_the_fused_kernel_gives_the_same():
    """On the GPU one kernel does it all; its arithmetic is checked here, where there is none."""
    layer = Attention(use_scale=True)
    tensors = [torch.tensor(a) for a in (QUERY, VALUE, KEY)]
    want = layer(tensors, mask=[None, VALUE_MASK])
    bias = layer._bias(tensors[0], tensors[1], [None, VALUE_MASK], False)
    close(layer._fused(tensors[0], tensors[1], tensors[2], bias).detach(), want.detach(), because="one kernel")


def test_refusals_say_what_to_do():
    with pytest.raises(ConfigError, match="'dot' or 'concat'"):
        Attention(score_mode="max")
    query = torch.tensor(QUERY)
    with pytest.raises(ShapeError, match=r"\[query, value\]"):
        Attention()(query)
    with pytest.raises(ShapeError, match=r"\[query, value\]"):
        Attention()([query])
    layer = Attention(name="look")
    layer([query, torch.tensor(KEY)])
    with pytest.raises(ShapeError, match="'look' compares queries with keys of equal width"):
        layer([query, torch.tensor(VALUE)])
    with pytest.raises(ShapeError, match="needs a value for each key"):
        layer([query, torch.tensor(VALUE)[:, :2], torch.tensor(KEY)])
    assert layer([query[:0], torch.tensor(KEY)[:0]]).shape == (0, 5, 3)
    assert np.isfinite(layer([query * 1e4, torch.tensor(KEY) * 1e4]).detach().numpy()).all()
