"""A layer's case: what it is made with, what it is called on, and what holds for it or does not.

Shapes leave out the batch axis, which every check chooses itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

import dougong as dg
from closeness import close
from dougong.core.config import register_serializable
from dougong.core.nested import leaves
from dougong.core.weights import named_weights
from dougong.layers.layer import Layer

__all__ = [
    "NOT_KERAS",
    "PICTURE",
    "SEQUENCE",
    "SPACES",
    "VECTOR",
    "VOLUME",
    "LayerCase",
    "built",
    "copy_weights",
    "doubled",
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


def same(got: list[Tensor], want: list[Tensor], because: str, tolerance: float = 1e-6) -> None:
    """Raise unless two calls gave the same tensors."""
    assert len(got) == len(want), because
    for index, (a, b) in enumerate(zip(got, want)):
        close(a, b, because=f"{because}, output {index}", tolerance=tolerance)
