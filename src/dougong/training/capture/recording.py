"""What a recorded run is made of.

A `Memory` is one storage; a `Value` is one tensor seen in the run, a view of its memory; a `Call` is one kernel.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor
from torch._ops import OpOverload

from dougong.core.errors import DougongError

__all__ = ["Call", "CaptureError", "Memory", "Trace", "Value", "replaced", "values_in"]


class CaptureError(DougongError, RuntimeError):
    """The function cannot be captured; it must run eagerly.  The message is one sentence that names the cause."""


@dataclass(eq=False)
class Memory:
    """One storage.

    ``input``: comes with each call; ``outside``: made before the run and reached by closure (weights, states);
    ``constant``: the same in every run; ``inner``: made during the run.
    """

    kind: Literal["input", "outside", "constant", "inner"]
    nbytes: int
    written: bool = False


@dataclass(eq=False)
class Value:
    """One tensor of the run: where in its memory it lies.  ``tensor`` is kept for constants and outside tensors."""

    memory: Memory
    shape: tuple[int, ...]
    stride: tuple[int, ...]
    offset: int
    dtype: torch.dtype
    device: torch.device
    tensor: Tensor | None = None

    def same_place(self, other: Value) -> bool:
        """Do both name the same elements in the same order?"""
        return (
            self.memory is other.memory
            and self.shape == other.shape
            and self.stride == other.stride
            and self.offset == other.offset
            and self.dtype is other.dtype
        )

    @property
    def numel(self) -> int:
        return math.prod(self.shape)


@dataclass(eq=False)
class Call:
    """One kernel: Values stand where tensors stood, in the arguments and in the result (nested as it came).

    ``grad_mode`` is whether gradients were enabled: a few kernels (oneDNN's LSTM) keep more if they are.
    """

    overload: OpOverload
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    result: Any
    writes: tuple[Value, ...] = ()
    grad_mode: bool = False

    @property
    def name(self) -> str:
        return self.overload._schema.name.removeprefix("aten::")

    @property
    def is_random(self) -> bool:
        return torch.Tag.nondeterministic_seeded in self.overload.tags

    def arguments(self) -> Iterator[Value]:
        yield from values_in(self.args)
        yield from values_in(self.kwargs)

    def results(self) -> Iterator[Value]:
        yield from values_in(self.result)

    def is_view(self) -> bool:
        """No arithmetic: every result lies in the memory of an argument, and nothing is written."""
        memories = {id(value.memory) for value in self.arguments()}
        results = list(self.results())
        return bool(results) and not self.writes and all(id(value.memory) in memories for value in results)


@dataclass
class Trace:
    """A recorded run.

    ``gradients[i]`` belongs to parameter ``i``, None where the loss does not depend on it; ``single``: the function
    returned a tensor, not a tuple; ``generators``: where its random numbers come from; ``written``: the tensors made
    outside that it changes; ``found``: the outputs and gradients that it computed.
    """

    inputs: list[Value]
    calls: list[Call]
    outputs: list[Value]
    gradients: list[Value | None] = field(default_factory=list)
    single: bool = False
    generators: list[torch.Generator] = field(default_factory=list)
    written: list[Value] = field(default_factory=list)
    found: list[Tensor] = field(default_factory=list)


def values_in(tree: Any) -> Iterator[Value]:
    """The Values in nested tuples, lists and dicts, in order."""
    if isinstance(tree, Value):
        yield tree
    elif isinstance(tree, tuple | list):
        for item in tree:
            yield from values_in(item)
    elif isinstance(tree, dict):
        for item in tree.values():
            yield from values_in(item)


def replaced(tree: Any, leaf: type, function: Callable[[Any], Any]) -> Any:
    """The same nest with ``function`` applied to every instance of ``leaf``."""
    if isinstance(tree, leaf):
        return function(tree)
    if isinstance(tree, tuple | list):
        return type(tree)([replaced(item, leaf, function) for item in tree])
    if isinstance(tree, dict):
        return {key: replaced(item, leaf, function) for key, item in tree.items()}
    return tree
