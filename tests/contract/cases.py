"""The table of layer cases, one for every public layer."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
import torch

from contract import cases_preprocessing as preprocessing
from contract.cases_attention import CASES as ATTENTION
from contract.cases_convlstm import CASES as CONVLSTM
from contract.cases_picture_color import CASES as PICTURE_COLOR
from contract.cases_picture_geometry import CASES as PICTURE_GEOMETRY
from contract.layer_case import (
    NOT_KERAS,
    PICTURE,
    SEQUENCE,
    SPACES,
    VECTOR,
    LayerCase,
    built,
    copy_weights,
    doubled,
    outputs_of,
    refill,
    same,
    with_batch,
)

__all__ = [
    "ALL",
    "CASES",
    "WITHOUT_CASE",
    "LayerCase",
    "built",
    "copy_weights",
    "each",
    "outputs_of",
    "refill",
    "same",
    "with_batch",
]


def _elementwise() -> list[LayerCase]:
    return [
        LayerCase("Activation", {"activation": "tanh"}, (VECTOR,)),
        LayerCase("Activation", {"activation": "softmax"}, (SEQUENCE,), "softmax", free=(1,)),
        LayerCase("ELU", {"alpha": 0.7}, (VECTOR,)),
        LayerCase("HardLim", {}, (VECTOR,), keras=NOT_KERAS, smooth=False),
        LayerCase("Identity", {}, (SEQUENCE,), free=(1, 2)),
        LayerCase("InputLayer", {"shape": VECTOR}, (VECTOR,), keras="Keras's cannot be called", saved="an Input is it"),
        LayerCase("Lambda", {"function": doubled}, (VECTOR,), keras="Keras's holds code"),
        LayerCase("LeakyReLU", {}, (VECTOR,)),
        LayerCase("Masking", {"mask_value": 0.5}, (SEQUENCE,), free=(1,)),
        LayerCase("PReLU", {"shared_axes": [1]}, (SEQUENCE,), free=(1,), wrong=(2, 6, 3), expected="(1, 4)"),
        LayerCase("PReLU", {"alpha_initializer": "ones"}, (VECTOR,), "own", wrong=(2, 6), expected="(5,)"),
        LayerCase("ReLU", {"max_value": 1.0, "negative_slope": 0.1}, (VECTOR,)),
        LayerCase("ReLU", {}, (VECTOR,), "plain"),
        LayerCase("Rescaling", {"scale": 0.5, "offset": -1.0}, (VECTOR,)),
        LayerCase("Sign", {}, (VECTOR,), keras=NOT_KERAS, smooth=False),
        LayerCase("Softmax", {}, (SEQUENCE,), free=(1,)),
        LayerCase("Softmax", {"axis": [1, 2]}, (SEQUENCE,), "two axes"),
        LayerCase("TorchModuleWrapper", lambda _: {"module": torch.nn.Linear(5, 3)}, (VECTOR,),
                  keras="weights in another order of axes", saved="files hold no code"),
    ]  # fmt: skip


def _linear() -> list[LayerCase]:
    dense = {"units": 3, "activation": "tanh"}
    regularized = {"units": 3, "kernel_regularizer": "l2", "bias_constraint": "non_neg", "use_bias": True}
    return [
        LayerCase("Dense", dense, (VECTOR,), wrong=(2, 6), expected="5 features"),
        LayerCase("Dense", regularized, (SEQUENCE,), "sequence", free=(1,), wrong=(2, 6, 5), expected="4 features"),
        LayerCase("Dense", {"units": 3, "activity_regularizer": "l1"}, (VECTOR,), "activity"),
        LayerCase("Embedding", {"input_dim": 7, "output_dim": 3}, ((4,),), classes=7, free=(1,)),
        LayerCase("Embedding", {"input_dim": 7, "output_dim": 3, "mask_zero": True}, ((4,),), "masked", classes=7,
                  free=(1,)),
        LayerCase("Maxout", {"units": 3, "pieces": 2}, (VECTOR,), wrong=(2, 6), expected="5 features", keras=NOT_KERAS),
        LayerCase("RBF", {"units": 3}, (VECTOR,), wrong=(2, 6), expected="5 features", keras=NOT_KERAS),
        *_attention(),
    ]  # fmt: skip


def _attention() -> list[LayerCase]:
    heads = {"num_heads": 2, "key_dim": 3}
    pair = ((4, 5), (6, 5))
    return [
        LayerCase("MultiHeadAttention", heads, pair, wrong=[(2, 4, 6), (2, 6, 5)], expected="5"),
        LayerCase("MultiHeadAttention", heads | {"dropout": 0.5, "use_bias": False, "value_dim": 2}, ((4, 5), (6, 3)),
                  "dropout", random=True),
        LayerCase("MultiHeadAttention", heads, pair, "scores", call={"return_attention_scores": True}),
    ]  # fmt: skip


def _normalizing() -> list[LayerCase]:
    given = {"mean": [1.0, 2.0, 3.0, 4.0], "variance": [0.5, 1.0, 2.0, 4.0]}
    return [
        LayerCase("BatchNormalization", {}, (SEQUENCE,), free=(1,), wrong=(2, 6, 5), expected="4", trains=True),
        LayerCase("BatchNormalization", {"axis": 1, "scale": False}, (PICTURE,), "axis 1", wrong=(2, 5, 7, 4),
                  expected="6", trains=True),
        LayerCase("GroupNormalization", {"groups": 2}, (PICTURE,), free=(1, 2), wrong=(2, 6, 7, 5), expected="4"),
        LayerCase("LayerNormalization", {}, (SEQUENCE,), free=(1,), wrong=(2, 6, 5), expected="4"),
        LayerCase("LayerNormalization", {"rms_scaling": True}, (SEQUENCE,), "rms", free=(1,)),
        LayerCase("LocalResponseNormalization", {}, (PICTURE,), free=(1, 2), keras=NOT_KERAS),
        LayerCase("LocalResponseNormalization", {"size": 3, "data_format": "channels_first"}, (PICTURE,), "first",
                  keras=NOT_KERAS),
        LayerCase("Normalization", {}, (SEQUENCE,), free=(1,), wrong=(2, 6, 5), expected="4"),
        LayerCase("Normalization", given, (SEQUENCE,), "given", free=(1,), wrong=(2, 6, 5), expected="4"),
        LayerCase("Normalization", {"axis": None}, (VECTOR,), "one"),
    ]  # fmt: skip


def _random() -> list[LayerCase]:
    return [
        LayerCase("ActivityRegularization", {"l1": 0.1, "l2": 0.2}, (VECTOR,)),
        LayerCase("AlphaDropout", {"rate": 0.5}, (VECTOR,), random=True),
        LayerCase("Dropout", {"rate": 0.5}, (VECTOR,), random=True),
        LayerCase("Dropout", {"rate": 0.5, "noise_shape": [None, 1, 4], "seed": 3}, (SEQUENCE,), "shape", random=True,
                  free=(1,), wrong=(2, 6), expected="noise_shape"),
        LayerCase("GaussianDropout", {"rate": 0.5}, (VECTOR,), random=True),
        LayerCase("GaussianNoise", {"stddev": 0.5, "seed": 1}, (VECTOR,), random=True),
        *(LayerCase(f"SpatialDropout{rank}D", {"rate": 0.5}, (SPACES[rank],), random=True, wrong=(2, 5),
                    expected=f"{rank + 2} axes", free=tuple(range(1, rank + 1))) for rank in (1, 2, 3)),
    ]  # fmt: skip


def _shapes() -> list[LayerCase]:
    return [
        LayerCase("Flatten", {}, (PICTURE,), free=(1,)),
        LayerCase("Flatten", {"data_format": "channels_first"}, (PICTURE,), "first", free=(2,)),
        LayerCase("Permute", {"dims": [2, 3, 1]}, (PICTURE,), free=(1, 2, 3), wrong=(2, 5), expected="3 axes"),
        LayerCase("RepeatVector", {"n": 3}, (VECTOR,), wrong=(2, 3, 4), expected="(batch, features)"),
        LayerCase("Reshape", {"target_shape": [8, 3]}, (SEQUENCE,), wrong=(2, 5), expected="(8, 3)"),
        LayerCase("Reshape", {"target_shape": [-1, 2]}, (SEQUENCE,), "rest", free=(1,), wrong=(2, 5),
                  expected="(-1, 2)"),
    ]  # fmt: skip


def _merging() -> list[LayerCase]:
    two, three = ([SEQUENCE, SEQUENCE],), ([SEQUENCE, (1, 4), SEQUENCE],)
    merge: dict[str, Any] = {"wrong": [[(2, 6, 4), (2, 6, 3)]], "expected": "equal or 1"}
    return [
        *(LayerCase(kind, {}, three, **merge) for kind in ("Add", "Average", "Maximum", "Minimum", "Multiply")),
        LayerCase("Subtract", {}, two, **merge),
        LayerCase("Concatenate", {}, ([SEQUENCE, (6, 2)],), free=(1,), wrong=[[(2, 6, 4), (2, 5, 4)]],
                  expected="agree on every other axis"),
        LayerCase("Concatenate", {"axis": 1}, ([SEQUENCE, (2, 4)],), "axis 1", free=(1,)),
        LayerCase("Dot", {"axes": 2}, ([(3, 4), (5, 4)],), free=(1,), wrong=[[(2, 3, 4), (2, 5, 3)]],
                  expected="equal size"),
        LayerCase("Dot", {"axes": 1, "normalize": True}, ([VECTOR, VECTOR],), "cosine"),
    ]  # fmt: skip


def _spatial() -> list[LayerCase]:
    found: list[LayerCase] = []
    for rank, shape in SPACES.items():
        space = tuple(range(1, rank + 1))
        common: dict[str, Any] = {"on": (shape,), "free": space, "wrong": (2, 5), "expected": "axes (batch,"}
        channels: dict[str, Any] = {"wrong": (2, *shape[:-1], 3), "expected": f"{shape[-1]} channels"}
        conv = {"filters": 3, "kernel_size": 2}
        first = {"data_format": "channels_first", "padding": "same"}
        found += [
            LayerCase(f"Conv{rank}D", conv | {"strides": 2, "activation": "tanh"}, **common | channels),
            LayerCase(f"Conv{rank}D", conv | first, note="first", **common | {"free": ()}),
            LayerCase(f"Conv{rank}DTranspose", conv | {"strides": 2}, **common | channels),
            LayerCase(f"Conv{rank}DTranspose", conv | first | {"strides": 2}, note="first", **common | {"free": ()}),
            *(LayerCase(f"{kind}Pooling{rank}D", {"pool_size": 2, "padding": padding}, note=note, **common)
              for kind, padding, note in (("Max", "valid", ""), ("Max", "same", "same"), ("Average", "valid", ""))),
            LayerCase(f"AveragePooling{rank}D", {"padding": "same"}, note="same",
                      **common | {"keras": "Keras on torch counts the zeros of the padding"}),
            *(LayerCase(f"Global{kind}Pooling{rank}D", {"keepdims": kind == "Max"}, **common)
              for kind in ("Max", "Average")),
            *(LayerCase(f"Adaptive{kind}Pooling{rank}D", {"output_size": 2}, **common) for kind in ("Max", "Average")),
            LayerCase(f"ZeroPadding{rank}D", {"padding": 2}, **common),
            LayerCase(f"Cropping{rank}D", {"cropping": 1}, **common),
            LayerCase(f"UpSampling{rank}D", {"size": 2}, **common),
        ]  # fmt: skip
    for rank in (1, 2):
        shape, space = SPACES[rank], tuple(range(1, rank + 1))
        both: dict[str, Any] = {"on": (shape,), "free": space, "wrong": (2, *shape[:-1], 3), "expected": "4 channels"}
        found += [
            LayerCase(f"DepthwiseConv{rank}D", {"kernel_size": 3, "depth_multiplier": 2}, **both),
            LayerCase(f"SeparableConv{rank}D", {"filters": 3, "kernel_size": 3, "activation": "tanh"}, **both),
        ]
    return found


def _recurrent() -> list[LayerCase]:
    wrong: dict[str, Any] = {"on": (SEQUENCE,), "free": (1,), "wrong": (2, 6, 5), "expected": "4"}
    found: list[LayerCase] = []
    for kind in ("SimpleRNN", "LSTM", "GRU"):
        found += [
            LayerCase(kind, {"units": 3}, **wrong),
            LayerCase(kind, {"units": 3, "return_sequences": True, "return_state": True}, note="states", **wrong),
            LayerCase(kind, {"units": 3, "go_backwards": True, "activation": "relu", "use_bias": False}, note="loop",
                      **wrong),
            LayerCase(kind, {"units": 3, "dropout": 0.4}, note="dropout", random=True, **wrong),
        ]  # fmt: skip
        states = [(3,), (3,)] if kind == "LSTM" else [(3,)]
        found.append(LayerCase(f"{kind}Cell", {"units": 3}, ((4,), states)))
    both = lambda layers: {"cells": [layers.LSTMCell(3), layers.GRUCell(2)]}  # noqa: E731
    return [
        *found,
        LayerCase("RNN", lambda layers: {"cell": layers.GRUCell(3), "return_sequences": True}, **wrong),
        LayerCase("RNN", lambda layers: {"cell": layers.StackedRNNCells([layers.LSTMCell(3), layers.GRUCell(2)])},
                  note="stacked", **wrong),
        LayerCase("StackedRNNCells", both, ((4,), [[(3,), (3,)], [(2,)]])),
        LayerCase("Bidirectional", lambda layers: {"layer": layers.LSTM(3, return_sequences=True)}, **wrong),
        LayerCase("Bidirectional", lambda layers: {"layer": layers.GRU(3), "merge_mode": "sum"}, note="sum",
                  **wrong),
        LayerCase("TimeDistributed", lambda layers: {"layer": layers.Dense(3)}, **wrong),
        LayerCase("TimeDistributed", lambda layers: {"layer": layers.Conv2D(2, 3)}, ((3, 6, 6, 2),), "pictures",
                  free=(1,)),
    ]  # fmt: skip


CASES: tuple[LayerCase, ...] = (
    *_elementwise(),
    *_linear(),
    *_normalizing(),
    *_random(),
    *_shapes(),
    *_merging(),
    *_spatial(),
    *_recurrent(),
    *ATTENTION,
    *CONVLSTM,
    *preprocessing.CASES,
    *PICTURE_COLOR,
    *PICTURE_GEOMETRY,
)

# Public names that are no layers to call, and why.
WITHOUT_CASE = {
    "InputSpec": "it says what a layer takes and is none",
    "Layer": "the base class: its cases are its subclasses",
    "Wrapper": "the base class of wrappers: TimeDistributed is its case",
} | preprocessing.WITHOUT_CASE

ALL = {case.name: case for case in CASES}


def each(names: Iterable[str] = tuple(ALL)) -> Any:
    """A test for each of these cases."""
    return pytest.mark.parametrize("case", [pytest.param(ALL[name], id=name) for name in names])
