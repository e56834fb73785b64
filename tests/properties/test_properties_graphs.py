"""A layer in a model of symbols gives what it gives by itself: outputs, and masks passed on as tensors of the graph."""

from __future__ import annotations

from typing import Any

import torch
from hypothesis import given
from hypothesis import strategies as st

import dougong as dg
from closeness import close
from dougong.core.errors import DougongError
from dougong.core.nested import leaves, map_leaves
from dougong.core.symbol import Symbol
from properties.case import Case, Draw, examples
from properties.comparison import inputs_of, layer_of
from properties.test_properties_activation import layer_cases as activation_cases
from properties.test_properties_attention import grouped_cases, head_cases, score_cases
from properties.test_properties_dense import dense_cases, einsum_cases
from properties.test_properties_merging import concatenate_cases, dot_cases, elementwise_cases
from properties.test_properties_normalization import batch_cases, layer_cases
from properties.test_properties_recurrent import bidirectional_cases, convolved_cases, distributed_cases
from properties.test_properties_recurrent import layer_cases as recurrent_cases


class Marked(dg.layers.Layer):
    """The first input, with the second one as its mask."""

    def call(self, inputs: Any) -> Any:
        return inputs[0]

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        return inputs[1]


def check_graph(case: Case) -> None:
    """Raise unless a model around the layer gives the layer's outputs and masks."""
    args, call = inputs_of(case)
    try:
        layer = layer_of(dg.layers, case.kind, case.config, case.dtype)
        want = layer(*args, **call)
    except DougongError:
        return
    fed: list[tuple[Symbol, torch.Tensor]] = []
    tensors = iter([leaf for leaf in (*leaves(args), *leaves(call)) if isinstance(leaf, torch.Tensor)])

    def symbol(leaf: Any) -> Any:
        if not isinstance(leaf, Draw):
            return leaf
        value = next(tensors)
        fed.append((dg.Input(batch_shape=(None, *value.shape[1:]), dtype=value.dtype), value))
        made = fed[-1][0]
        if not leaf.masked:
            return made
        mask = value._keras_mask  # type: ignore[attr-defined]
        fed.append((dg.Input(batch_shape=(None, *mask.shape[1:]), dtype="bool"), mask))
        return Marked()([made, fed[-1][0]])

    options = {name: value for name, value in call.items() if name == "training"}
    outputs = layer(*map_leaves(symbol, case.on), **map_leaves(symbol, case.call), **options)
    model = dg.Model([one for one, _ in fed], outputs)
    got = model([value.detach() for _, value in fed])
    for index, (a, b, said) in enumerate(zip(leaves(got), leaves(want), leaves(outputs), strict=True)):
        close(a.detach(), b.detach(), because=f"output {index} of the graph", tolerance=1e-6)
        mask = getattr(b, "_keras_mask", None)
        assert (said.mask is None) == (mask is None), f"mask of output {index}: {said.mask}, want {mask}"
        if mask is not None:
            found = dg.Model([one for one, _ in fed], said.mask)([value.detach() for _, value in fed])
            close(found, mask, because=f"mask of output {index} of the graph", tolerance=0)


def plain(case: Case) -> bool:
    """Whether nothing in it is drawn in training, kept between calls, or of half precision."""
    kept = case.config.get("stateful") or case.training is True
    return not kept and case.dtype in ("float32", "float64") and all(one.shape[0] > 1 for one in leaves(case.on))


@examples(60)
@given(st.one_of(elementwise_cases(), concatenate_cases(), dot_cases()).filter(plain))
def test_merging_in_a_graph(case: Case) -> None:
    check_graph(case)


@examples(60)
@given(st.one_of(activation_cases(), batch_cases(), layer_cases(), dense_cases(), einsum_cases()).filter(plain))
def test_simple_layers_in_a_graph(case: Case) -> None:
    check_graph(case)


@examples(60)
@given(st.one_of(score_cases(), head_cases(), grouped_cases()).filter(plain))
def test_attention_in_a_graph(case: Case) -> None:
    check_graph(case)


@examples(60)
@given(st.one_of(recurrent_cases(), bidirectional_cases(), distributed_cases(), convolved_cases()).filter(plain))
def test_recurrent_layers_in_a_graph(case: Case) -> None:
    check_graph(case)
