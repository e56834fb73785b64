"""Attention of heads, grouped or not, against Keras: masks, causality, several attention axes, gates, scores."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from closeness import close
from dougong.core.errors import ConfigError, ShapeError
from dougong.core.symbol import Input
from dougong.layers.attention import MultiHeadAttention
from dougong.layers.attention_grouped import GroupQueryAttention
from dougong.layers.embedding import Embedding
from keras_twins import numbers, randomize, traced_equals_eager


def pair(query, value, key=None, **options):
    """Both layers, built and with the same random weights."""
    ours, theirs = MultiHeadAttention(**options), keras.layers.MultiHeadAttention(**options)
    arrays = [query, value] if key is None else [query, value, key]
    ours(*map(torch.tensor, arrays)), theirs(*arrays)
    assert [w.shape for w in ours.get_weights()] == [tuple(w.shape) for w in theirs.weights]
    randomize(ours, theirs)
    return ours, theirs


def both(ours, theirs, *arrays, tolerance=2e-5, **call):
    """Outputs and gradients of both compared."""
    a = [torch.tensor(x).requires_grad_() for x in arrays]
    b = [torch.tensor(x).requires_grad_() for x in arrays]
    got, want = ours(*a, **call), theirs(*b, **call)
    got, want = (got, want) if isinstance(got, tuple) else ((got,), (want,))
    for one, other in zip(got, want, strict=True):
        close(one, other.detach(), because=f"output, {sorted(call)}", tolerance=tolerance)
    weight = torch.tensor(numbers(*got[0].shape, seed=9))
    grads = torch.autograd.grad((got[0] * weight).sum(), [*a, *ours.parameters()])
    wanted = torch.autograd.grad((want[0] * weight).sum(), [*b, *(w.value for w in theirs.trainable_weights)])
    layouts = [None] * len(a) + [w.layout for w in keras_order(ours)]
    for index, (one, other, layout) in enumerate(zip(grads, wanted, layouts, strict=True)):
        one = one if layout is None else layout.to_keras(one)
        close(one, other, because=f"gradient {index}", tolerance=5 * tolerance)
    return got


def keras_order(layer):
    from dougong.core.weights import keras_weights

    return list(keras_weights(layer))


Q, V, K = numbers(2, 5, 6), numbers(2, 4, 3, seed=1), numbers(2, 4, 7, seed=2)

OPTIONS = [
    {},
    {"value_dim": 5},
    {"use_bias": False},
    {"output_shape": 8},
    {"output_shape": (2, 3)},
    {"sliding_window": 2},
    {"use_gate": True, "value_dim": 3},
]


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("scores", [False, True])
def test_equals_keras(options, scores):
    ours, theirs = pair(Q, V, K, num_heads=2, key_dim=4, **options)
    both(ours, theirs, Q, V, K, return_attention_scores=scores)
    both(ours, theirs, Q, V, K, return_attention_scores=scores, use_causal_mask=True)
    again = MultiHeadAttention.from_config(ours.get_config())
    assert again.get_config() == ours.get_config()


@settings(max_examples=20, deadline=None)
@given(
    query_mask=st.booleans(),
    value_mask=st.booleans(),
    key_mask=st.booleans(),
    own=st.sampled_from([None, (2, 5, 4), (1, 5, 4), (2, 1, 5, 4)]),
    causal=st.booleans(),
    scores=st.booleans(),
    seed=st.integers(0, 50),
)
def test_masks_equal_keras(query_mask, value_mask, key_mask, own, causal, scores, seed):
    ours, theirs = pair(Q, V, K, num_heads=2, key_dim=4)
    draw = np.random.default_rng(seed)
    tensors = [torch.tensor(x) for x in (Q, V, K)]
    masks = []
    for tensor, wanted in zip(tensors, (query_mask, value_mask, key_mask)):
        mask = torch.tensor(draw.random(tensor.shape[:2]) < 0.7)
        masks.append(mask if wanted else None)
    call = {"use_causal_mask": causal, "return_attention_scores": scores}
    if own is not None and not (len(own) == 4 and any((query_mask, value_mask, key_mask, causal))):
        call["attention_mask"] = torch.tensor(draw.random(own) < 0.8)

    def run(layer):
        for tensor, mask in zip(tensors, masks):
            tensor._keras_mask = mask
        outputs = layer(*tensors, **call)
        return outputs if isinstance(outputs, tuple) else (outputs,)

    for got, want in zip(run(ours), run(theirs), strict=True):
        close(got, want.detach(), because="masked", tolerance=2e-5)


@pytest.mark.parametrize("options", [{}, {"dropout": 0.5}])
@pytest.mark.parametrize("scores", [False, True])
def test_a_query_that_may_see_nothing_equals_keras(options, scores):
    ours, theirs = pair(Q, V, num_heads=2, key_dim=4, **options)
    both(ours, theirs, Q, V, attention_mask=torch.zeros(2, 5, 4).bool(), return_attention_scores=scores)


@pytest.mark.parametrize("axes", [None, (1,), (2,), (1, 2), (-2,), (2, 3), (1, 3)])
@pytest.mark.parametrize("scores", [False, True])
def test_attention_axes_equal_keras(axes, scores):
    query = numbers(2, 3, 4, 2, 6) if axes in ((2, 3), (1, 3)) else numbers(2, 3, 4, 6)
    value = numbers(*query.shape[:-1], 5, seed=3)
    ours, theirs = pair(query, value, num_heads=2, key_dim=3, value_dim=2, attention_axes=axes)
    both(ours, theirs, query, value, return_attention_scores=scores)


def test_masks_over_several_axes_equal_keras():
    query = numbers(2, 3, 4, 6)
    ours, theirs = pair(query, query, num_heads=2, key_dim=3, attention_axes=(1, 2))
    mask = torch.tensor(np.random.default_rng(0).random((2, 3, 4, 3, 4)) < 0.7)
    both(ours, theirs, query, query, attention_mask=mask)
    ours, theirs = pair(query, query, num_heads=2, key_dim=3, attention_axes=(2,))
    mask = torch.tensor(np.random.default_rng(0).random((2, 3, 4, 4)) < 0.7)
    both(ours, theirs, query, query, attention_mask=mask)


def test_names_layouts_and_views():
    ours, theirs = pair(Q, V, num_heads=2, key_dim=4)
    names = ["query_dense", "key_dense", "value_dense", "output_dense"]
    assert list(ours.state_dict()) == [f"{name}.{part}" for name in names for part in ("weight", "bias")]
    assert ours.query_dense.weight.shape == (8, 6)
    close(ours.query_dense.kernel, theirs.query_dense.kernel.value, because="the Keras view")
    close(ours.query_dense(torch.tensor(Q)), theirs.query_dense(Q).detach(), because="the projection alone")
    close(
        ours.output_dense(torch.zeros(1, 3, 2, 4)), theirs.output_dense(np.zeros((1, 3, 2, 4))).detach(), because="out"
    )


def test_dropout_acts_in_training_and_a_seed_fixes_it():
    layer = MultiHeadAttention(2, 4, dropout=0.5, seed=3)
    q = torch.tensor(Q)
    plain = layer(q, q)
    close(layer(q, q), plain.detach(), because="inference")
    drawn = layer(q, q, training=True)
    assert not torch.allclose(drawn, plain)
    twin = MultiHeadAttention.from_config(layer.get_config())
    twin(q, q)
    twin.set_weights(layer.get_weights())
    close(twin(q, q, training=True), drawn.detach(), because="same seed")
    free = MultiHeadAttention(2, 4, dropout=0.5)
    free(q, q)
    assert not torch.allclose(free(q, q, training=True), free(q, q, training=True))


@pytest.mark.parametrize("options", [{}, {"dropout": 0.3}, {"sliding_window": 2}])
def test_traces(options):
    traced_equals_eager(MultiHeadAttention(2, 4, **options), torch.tensor(Q), torch.tensor(Q), training=True)
    graph = traced_equals_eager(MultiHeadAttention(2, 4), torch.tensor(Q), torch.tensor(Q), training=False)
    assert any("scaled_dot_product" in str(node.target) for node in graph.graph.nodes), "the fused kernel"


def test_symbols_and_their_masks():
    tokens = Input((5,), dtype="int32")
    embedded = Embedding(10, 6, mask_zero=True)(tokens)
    layer = MultiHeadAttention(2, 4)
    output, scores = layer(embedded, embedded, return_attention_scores=True)
    assert output.shape == (None, 5, 6)
    assert scores.shape == (None, 2, 5, 5)
    assert output.mask is embedded.mask
    assert output.node.kwargs["query_mask"] is embedded.mask
    assert layer(Input((None, 6)), Input((4, 6))).shape == (None, None, 6)


def test_extremes_and_refusals():
    layer = MultiHeadAttention(2, 4)
    x = torch.tensor(Q)
    layer(x, x)
    assert layer(x[:0], x[:0]).shape == (0, 5, 6)
    assert layer(x[:, :1], x[:, :1]).shape == (2, 1, 6)
    assert MultiHeadAttention(2, 4, dtype="float64")(x.double(), x.double()).dtype == torch.float64
    with pytest.raises(ShapeError, match="queries of 6 features"):
        layer(torch.zeros(2, 5, 7), x)
    with pytest.raises(ShapeError, match="values of 6 features"):
        layer(x, torch.zeros(2, 5, 7))
    with pytest.raises(ShapeError, match="query and a value"):
        MultiHeadAttention(2, 4)(x)
    for refused in ({"num_heads": 0}, {"key_dim": 0}, {"sliding_window": 0}):
        with pytest.raises(ConfigError):
            MultiHeadAttention(**({"num_heads": 1, "key_dim": 1} | refused))


# ── What heads, grouped or not, have in common ──────────────────────────────────────────────────────────────────────

KINDS = [
    (MultiHeadAttention, keras.layers.MultiHeadAttention, {"num_heads": 4, "key_dim": 3}),
    (GroupQueryAttention, keras.layers.GroupQueryAttention, GROUPED := {
        "head_dim": 3, "num_query_heads": 4, "num_key_value_heads": 2}),
]  # fmt: skip
V6, K7 = numbers(2, 4, 6, seed=1), numbers(2, 4, 7, seed=2)
OWN_MASK = torch.tensor(np.random.default_rng(0).random((2, 5, 4)) < 0.6)


def headed(kind, **options):
    """Layers of both libraries, with the same random weights."""
    ours, theirs, base = KINDS[kind]
    ours, theirs = ours(**base, **options), theirs(**base, **options)
    ours(*map(torch.tensor, (Q, V6, K7))), theirs(Q, V6, K7)
    assert [w.name for w in ours.weights] == [w.name for w in theirs.weights]
    randomize(ours, theirs)
    return ours, theirs


OF_HEADS = [{}, {"use_bias": False}, {"sliding_window": 2}, {"use_gate": True}, {"dropout": 0.3}]
OF_CALLS = {
    "plain": {},
    "scores": {"return_attention_scores": True},
    "causal": {"use_causal_mask": True},
    "mask": {"attention_mask": OWN_MASK},
    "hidden": {"attention_mask": torch.zeros(2, 5, 4)},
}


def masked_call(layer, masks, call):
    tensors = [torch.tensor(x) for x in (Q, V6, K7)]
    for tensor, mask in zip(tensors, masks):
        tensor._keras_mask = mask
    outputs = layer(*tensors, **call)
    return outputs if isinstance(outputs, tuple) else (outputs,)


@pytest.mark.filterwarnings(r"ignore:[\s\S]*does not support masking:UserWarning")
@pytest.mark.parametrize("kind", [0, 1])
@pytest.mark.parametrize("options", OF_HEADS)
@pytest.mark.parametrize("call", OF_CALLS)
def test_heads_equal_keras(kind, options, call):
    call = OF_CALLS[call]
    ours, theirs = headed(kind, **options)
    both(ours, theirs, Q, V6, K7, **call)
    assert set(theirs.get_config()) - set(ours.get_config()) <= {"activity_regularizer"}
    for masks in ((torch.rand(2, 5) < 0.6, torch.rand(2, 4) < 0.6, None), (None, None, torch.rand(2, 4) < 0.6)):
        got, want = masked_call(ours, masks, call), masked_call(theirs, masks, call)
        for a, b in zip(got, want, strict=True):
            close(a, b.detach(), because="with masks", tolerance=2e-5)
        assert (getattr(got[0], "_keras_mask", None) is None) == (getattr(want[0], "_keras_mask", None) is None)


@pytest.mark.parametrize("kind", [0, 1])
def test_the_activity_penalty_is_that_of_every_projection(kind):
    ours, theirs = headed(kind, activity_regularizer="l2", use_gate=True)
    ours(*map(torch.tensor, (Q, V6, K7))), theirs(Q, V6, K7)
    close(sum(ours.losses), sum(theirs.losses).detach(), because="penalty")
    assert type(ours).from_config(ours.get_config()).get_config() == ours.get_config()


def test_the_initial_spread_counts_all_heads():
    """As in Keras, 4 heads of 3 are 12 outputs of each input."""
    for kind in (0, 1):
        layer, reference = headed(kind)[0], KINDS[kind][1](**KINDS[kind][2])
        reference(np.zeros((1, 2, 60)), np.zeros((1, 2, 60)))
        layer = KINDS[kind][0](**KINDS[kind][2])
        layer(torch.zeros(1, 2, 60), torch.zeros(1, 2, 60))
        limit = (6 / (60 + 12)) ** 0.5
        for kernel in (layer.query_dense.weight, reference._query_dense.kernel.value):
            largest = kernel.detach().abs().max().item()
            assert 0.97 * limit < largest <= limit


def test_grouped_heads_symbols_traces_and_refusals():
    layer = GroupQueryAttention(**GROUPED)
    x = torch.tensor(Q)
    traced_equals_eager(layer, x, x, training=True)
    out, scores = layer(Input((None, 6)), Input((4, 6)), return_attention_scores=True)
    assert (out.shape, scores.shape) == ((None, None, 6), (None, 4, None, 4))
    with pytest.raises(ConfigError, match="must divide num_query_heads"):
        GroupQueryAttention(3, 4, 3)
    with pytest.raises(ConfigError, match="head_dim must be an int"):
        GroupQueryAttention(0, 4, 2)
    with pytest.raises(ShapeError, match="takes queries"):
        GroupQueryAttention(**GROUPED)(torch.zeros(2, 3, 4, 5), torch.zeros(2, 3, 4, 5))
    with pytest.raises(ShapeError, match="needs a value for each key"):
        GroupQueryAttention(**GROUPED)(x, x, x[:, :3])
    with pytest.raises(ConfigError, match="flash_attention"):
        MultiHeadAttention(2, 4, dropout=0.1, flash_attention=True)
