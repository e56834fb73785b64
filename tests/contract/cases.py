"""The table of layer cases: what each layer is made with, what it is called on, and what holds for it or does not.

Shapes leave out the batch axis, which every check chooses itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import dougong as dg
from closeness import close
from dougong.core.config import register_serializable
from dougong.core.nested import leaves
from dougong.core.weights import named_weights
from dougong.layers.layer import Layer

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


@dataclass(frozen=True)
class LayerCase:
    """One configuration of one layer.  What is not said of it holds: the defaults are the contract."""

    kind: str
    config: Mapping[str, Any] | Callable[[Any], Mapping[str, Any]]  # a function of Keras's or our `layers` where nested
    on: tuple[Any, ...]  # the call's positional arguments: a shape, or a list of shapes
    note: str = ""  # tells cases of one kind apart
    classes: int = 0  # inputs are whole numbers below this
    free: tuple[int, ...] = ()  # axes, batch not counted, that may be unknown
    wrong: Any = None  # a shape, batch included, that is refused; None where any shape is taken
    expected: str = ""  # what the refusal says was expected
    random: bool = False  # training draws random numbers
    trains: bool = False  # training computes something else, without random numbers
    keras: bool | str = True  # False, or a reason, where Keras has no such layer
    saved: str = ""  # why it cannot be written to a config and a file, where it cannot
    smooth: bool = True  # False: its gradient is 0 or has jumps at the inputs drawn
    call: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return f"{self.kind}-{self.note}" if self.note else self.kind

    @property
    def twin(self) -> bool:
        """Whether Keras has this layer."""
        return self.keras is True

    def make(self, layers: Any = dg.layers, **options: Any) -> Any:
        """The layer, from our `layers` or from Keras's."""
        config = dict(self.config(layers) if callable(self.config) else self.config) | options
        return getattr(layers, self.kind)(**config)

    def inputs(
        self, batch: int = 3, dtype: torch.dtype = torch.float32, seed: int = 0, grow: int = 0
    ) -> tuple[Any, ...]:
        """Random arguments for the call; ``grow`` makes the free axes longer."""
        generator = torch.Generator().manual_seed(seed)

        def draw(shape: tuple[int, ...]) -> Tensor:
            full = [batch, *(size + grow * (axis + 1 in self.free) for axis, size in enumerate(shape))]
            if self.classes:
                return torch.randint(0, self.classes, full, generator=generator)
            # Away from 0, where ReLU and its relatives have no derivative.
            values = torch.rand(full, generator=generator, dtype=torch.float64) * 1.5 + 0.1
            return (values * torch.where(torch.rand(full, generator=generator) < 0.5, -1.0, 1.0)).to(dtype)

        return with_batch(self.on, draw)

    def symbols(self, *, free: bool = False, dtype: Any = None) -> tuple[Any, ...]:
        """Symbols for the call's arguments, with the free axes unknown where asked for."""
        kind = "int64" if self.classes else dtype

        def symbol(shape: tuple[int, ...]) -> Any:
            return dg.Input([None if free and axis + 1 in self.free else n for axis, n in enumerate(shape)], dtype=kind)

        return with_batch(self.on, symbol)


def with_batch(on: tuple[Any, ...], make: Callable[[tuple[int, ...]], Any]) -> tuple[Any, ...]:
    """``make`` of every shape in a call's arguments; lists stay lists."""

    def put(item: Any) -> Any:
        return [put(one) for one in item] if isinstance(item, list) else make(item)

    return tuple(put(item) for item in on)


def outputs_of(layer: Any, args: tuple[Any, ...], **call: Any) -> list[Tensor]:
    """All tensors that a call gives, in order."""
    return [leaf for leaf in leaves(layer(*args, **call)) if leaf is not None]


def built(case: LayerCase, **options: Any) -> Layer:
    """The case's layer after a first call, with random weights."""
    torch.manual_seed(0)
    layer = case.make(**options)
    kind = torch.float64 if options.get("dtype") == "float64" else torch.float32
    layer(*case.inputs(dtype=kind), **case.call)
    refill(layer)
    return layer


def refill(layer: Any, seed: int = 1) -> None:
    """Random numbers for all weights; variances and widths stay positive, counters as they are."""
    draw = np.random.default_rng(seed)
    for _, weight in named_weights(layer):
        if not weight.tensor.is_floating_point():
            continue
        positive = "variance" in weight.name or "width" in weight.name
        values = draw.uniform(0.3 if positive else -0.7, 1.2, tuple(weight.value().shape))
        weight.assign(torch.as_tensor(values, dtype=weight.tensor.dtype))


def copy_weights(source: Any, target: Any) -> None:
    target.set_weights(source.get_weights())


@register_serializable(package="contract")
def doubled(x: Tensor) -> Tensor:
    """What the Lambda case computes."""
    return x * 2.0


VECTOR, SEQUENCE, PICTURE, VOLUME = (5,), (6, 4), (6, 7, 4), (5, 6, 7, 2)
SPACES = {1: (8, 4), 2: (8, 7, 4), 3: (5, 6, 7, 2)}
NOT_KERAS = "Keras has no such layer"


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
)

# Public names that are no layers to call, and why.
WITHOUT_CASE = {
    "Layer": "the base class: its cases are its subclasses",
    "Wrapper": "the base class of wrappers: TimeDistributed is its case",
}

ALL = {case.name: case for case in CASES}


def each(names: Iterable[str] = tuple(ALL)) -> Any:
    """A test for each of these cases."""
    return pytest.mark.parametrize("case", [pytest.param(ALL[name], id=name) for name in names])


def same(got: list[Tensor], want: list[Tensor], because: str, tolerance: float = 1e-6) -> None:
    """Raise unless two calls gave the same tensors."""
    assert len(got) == len(want), because
    for index, (a, b) in enumerate(zip(got, want)):
        close(a, b, because=f"{because}, output {index}", tolerance=tolerance)
