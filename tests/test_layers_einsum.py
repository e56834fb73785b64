"""EinsumDense and ReversibleEmbedding against Keras: outputs, gradients, shapes, initial spread, refusals."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import torch

from closeness import close
from dougong.core.errors import ConfigError, ShapeError
from dougong.core.symbol import Input
from dougong.layers.einsum_dense import EinsumDense
from dougong.layers.embedding import ReversibleEmbedding
from keras_twins import compare, numbers, randomize, traced_equals_eager

K = keras.layers

# Equation, output_shape, bias_axes, the input's shape, and whether it is one product of matrices.
EQUATIONS = [
    ("ab,bc->ac", 4, "c", (2, 3), True),
    ("abc,cd->abd", (None, 6), "d", (2, 5, 3), True),
    ("abc,cde->abde", (None, 4, 6), "de", (2, 5, 3), True),
    ("abc,cde->abde", (None, 4, 6), "e", (2, 5, 3), False),
    ("abc,cde->abde", (5, 4, 6), "d", (2, 5, 3), False),
    ("abde,dec->abc", (None, 8), None, (2, 5, 3, 4), True),
    ("abc,bcd->abd", (5, 6), "d", (2, 5, 3), False),
    ("abc,dc->abd", (None, 6), None, (2, 5, 3), False),
    ("abc,cd->adb", (6, 5), "d", (2, 5, 3), False),
    ("abc,bc->abc", (5, 3), "bc", (2, 5, 3), False),
    ("abc,cde->abed", (None, 6, 4), "ed", (2, 5, 3), False),
    ("...x,xy->...y", 7, "y", (2, 3, 4, 5), True),
    ("...x,xy->...y", 7, "y", (2, 5), True),
    ("...xy,xyz->...z", 3, "z", (2, 4, 5), True),
    ("...ab,bc->...ac", (3, 6), "ac", (2, 3, 4), False),
    ("ab...,bc->ac...", (7,), "c", (2, 3, 4, 5), False),
]


@pytest.mark.parametrize(("equation", "output_shape", "bias_axes", "shape", "is_matrix"), EQUATIONS)
@pytest.mark.parametrize("activation", [None, "tanh"])
def test_every_form_of_equation_equals_keras(equation, output_shape, bias_axes, shape, is_matrix, activation):
    options = {"activation": activation, "bias_axes": bias_axes}
    ours, theirs = EinsumDense(equation, output_shape, **options), K.EinsumDense(equation, output_shape, **options)
    got = compare(ours, theirs, numbers(*shape))
    assert ours._matrix is is_matrix
    assert [w.name for w in ours.weights] == [w.name for w in theirs.weights]
    assert ours.compute_output_shape((None, *shape[1:])) == (None, *got.shape[1:])


def test_a_layer_around_two_unequal_axes_has_its_own_shape():
    """Keras 3.15 turns the order of hidden axes round in the shape that it states, not in the output."""
    ours = EinsumDense("...x,xy->...y", 7)
    assert ours.compute_output_shape((None, 3, 4, 5)) == (None, 3, 4, 7)
    assert K.EinsumDense("...x,xy->...y", 7).compute_output_shape((None, 3, 4, 5)) == (None, 4, 3, 7)
    assert ours(Input((3, 4, 5))).shape == (None, 3, 4, 7)


def test_the_initial_spread_counts_the_axes_that_are_summed():
    ours, theirs = EinsumDense("abc,cde->abde", (None, 8, 40)), K.EinsumDense("abc,cde->abde", (None, 8, 40))
    ours.build((1, 1, 50)), theirs.build((1, 1, 50))
    limit = np.sqrt(6 / (50 + 8 * 40))
    for kernel in (ours.weight, theirs.kernel.value):
        largest = kernel.detach().abs().max().item()
        assert 0.99 * limit < largest <= limit


def test_einsum_dense_refuses():
    for equation in ("ab,bc", "...ab,bc->ac", "ab,bz->ac", "ab,bc->acd", "...a...,ab->...b..."):
        with pytest.raises(ConfigError):
            EinsumDense(equation, 3)
    with pytest.raises(ConfigError, match="bias axis 'z'"):
        EinsumDense("ab,bc->ac", 3, bias_axes="z")
    with pytest.raises(ShapeError, match="'mine' has 4 for axis 'b'"):
        EinsumDense("abc,cd->abd", (4, 6), name="mine")(torch.zeros(2, 5, 3))
    with pytest.raises(ShapeError, match="takes inputs of axes 'abc'"):
        EinsumDense("abc,cd->abd", (4, 6))(torch.zeros(2, 3))
    with pytest.raises(ShapeError, match="gives 2 sizes"):
        EinsumDense("abc,cd->abd", 6)(torch.zeros(2, 5, 3))
    layer = EinsumDense("abc,cd->abd", (None, 6))
    layer(torch.zeros(2, 5, 3))
    with pytest.raises(ShapeError, match="3 axes"):
        layer(torch.zeros(2, 3))
    traced_equals_eager(layer, torch.tensor(numbers(2, 5, 3)), training=True)


TOKENS = np.array([[0, 3, 4], [1, 0, 0]])


@pytest.mark.parametrize("options", [{}, {"tie_weights": False}, {"logit_soft_cap": 2.0}, {"mask_zero": True}])
def test_reversible_embedding_equals_keras_both_ways(options):
    ours, theirs = ReversibleEmbedding(5, 4, **options), K.ReversibleEmbedding(5, 4, **options)
    ours(torch.tensor(TOKENS)), theirs(TOKENS)
    randomize(ours, theirs)
    assert [w.name for w in ours.weights] == [w.name for w in theirs.weights]
    got, want = ours(torch.tensor(TOKENS)), theirs(TOKENS)
    close(got, want.detach(), because="vectors")
    assert hasattr(got, "_keras_mask") == hasattr(want, "_keras_mask") == ("mask_zero" in options)
    hidden = numbers(2, 3, 4)
    a, b = torch.tensor(hidden).requires_grad_(), torch.tensor(hidden).requires_grad_()
    got, want = ours(a, reverse=True), theirs(b, reverse=True)
    close(got, want.detach(), because="scores")
    assert getattr(got, "_keras_mask", None) is None
    (got,), (want,) = (torch.autograd.grad(y.square().sum(), x) for y, x in ((got, a), (want, b)))
    close(got, want, because="gradient")
    symbol = ours(Input((3,), dtype="int32"))
    back = ours(symbol, reverse=True)
    assert (symbol.shape, back.shape, back.mask) == ((None, 3, 4), (None, 3, 5), None)
    assert (symbol.mask is not None) == ("mask_zero" in options)
    assert ReversibleEmbedding.from_config(ours.get_config()).get_config() == ours.get_config()


def test_reversible_embedding_takes_a_table_and_another_dtype():
    table = numbers(5, 4)
    layer = ReversibleEmbedding(5, 4, tie_weights=False, weights=table, reverse_dtype="bfloat16")
    close(layer(torch.tensor(TOKENS)), table[TOKENS], because="the table given")
    hidden = torch.tensor(numbers(2, 4))
    assert layer(hidden, reverse=True).dtype is torch.bfloat16
    assert layer(Input((4,)), reverse=True).dtype is torch.bfloat16
    assert layer.reverse_weight.shape == (5, 4) and layer.reverse_embeddings.shape == (4, 5)
