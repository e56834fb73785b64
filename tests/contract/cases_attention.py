"""Cases of the attention layers, and of the dense layers by equation and by table."""

from __future__ import annotations

from typing import Any

from contract.layer_case import SEQUENCE, LayerCase

__all__ = ["CASES"]

_PAIR: Any = ([(4, 5), (6, 5)],)
_TRIPLE: Any = ([(4, 5), (6, 3), (6, 5)],)
_WRONG: Any = [[(2, 4, 5), (2, 6, 4)]]
_GROUPED = {"head_dim": 3, "num_query_heads": 4, "num_key_value_heads": 2}
_SCORES = {"return_attention_scores": True}


def _scores() -> list[LayerCase]:
    return [
        LayerCase("Attention", {}, _PAIR, wrong=_WRONG, expected="equal width"),
        LayerCase("Attention", {"use_scale": True, "score_mode": "concat"}, _TRIPLE, "concat", wrong=_WRONG,
                  expected="equal width"),
        LayerCase("Attention", {"use_scale": True, "dropout": 0.5, "seed": 1}, _PAIR, "dropout", random=True),
        LayerCase("Attention", {}, _TRIPLE, "causal scores", call=_SCORES | {"use_causal_mask": True}),
        LayerCase("AdditiveAttention", {}, _PAIR, wrong=_WRONG, expected="equal width"),
        LayerCase("AdditiveAttention", {"use_scale": False, "dropout": 0.5}, _TRIPLE, "dropout", random=True),
    ]  # fmt: skip


def _grouped() -> list[LayerCase]:
    pair, heads = ((4, 5), (6, 5)), {"num_heads": 2, "key_dim": 3}
    gated = _GROUPED | {"use_gate": True, "sliding_window": 3, "use_bias": False}
    return [
        LayerCase("GroupQueryAttention", _GROUPED, pair, wrong=[(2, 4, 6), (2, 6, 5)], expected="5"),
        LayerCase("GroupQueryAttention", gated, pair, "gated", call={"use_causal_mask": True}),
        LayerCase("GroupQueryAttention", _GROUPED | {"dropout": 0.5}, pair, "dropout", random=True),
        LayerCase("GroupQueryAttention", _GROUPED, pair, "scores", call=_SCORES),
        LayerCase("MultiHeadAttention", heads | {"activity_regularizer": "l2"}, pair, "activity"),
        LayerCase("MultiHeadAttention", heads | {"use_gate": True}, pair, "gated"),
    ]


def _dense() -> list[LayerCase]:
    heads = {"equation": "abc,cde->abde", "output_shape": [None, 2, 3], "bias_axes": "de", "activation": "tanh"}
    turned = {"equation": "abc,bd->adc", "output_shape": [5, None], "bias_axes": "d"}
    ended = {"equation": "ab...,bc->ac...", "output_shape": [3], "bias_axes": "c"}
    table = {"input_dim": 7, "output_dim": 4}
    return [
        LayerCase("EinsumDense", heads, (SEQUENCE,), free=(1,), wrong=(2, 6, 5), expected="(4,)"),
        LayerCase("EinsumDense", turned, (SEQUENCE,), "turned", free=(2,), wrong=(2, 5, 4), expected="(6,)"),
        LayerCase("EinsumDense", {"equation": "...x,xy->...y", "output_shape": 3}, (SEQUENCE,), "dots", free=(1,),
                  wrong=(2, 6, 5), expected="(4,)"),
        LayerCase("EinsumDense", ended, (SEQUENCE,), "dots at the end", free=(2,), wrong=(2, 5, 4), expected="(6,)"),
        LayerCase("ReversibleEmbedding", table, ((4,),), classes=7, free=(1,)),
    ]  # fmt: skip


CASES: tuple[LayerCase, ...] = (*_scores(), *_grouped(), *_dense())
