"""Cells upon cells, and what any cell, the user's own too, must be asked: to run, its sizes, its first states.

A cell is a module with `state_size`, called as ``cell(inputs, states) -> output, states``.   Shapes: N batch, T steps.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self, Unpack

import torch
from torch import Tensor

from dougong.core import device
from dougong.core.errors import ConfigError
from dougong.core.nested import leaves, map_leaves, pack
from dougong.core.symbol import Shape
from dougong.layers.layer import Layer, LayerOptions
from dougong.layers.serialization import layer_of

__all__ = ["StackedRNNCells", "initial_state", "output_size", "run_cell"]

States = list[Any]


class StackedRNNCells(Layer):
    """Cells one upon the other as one cell; over a sequence each runs through before the next begins.

    States are a list with the states of each cell.   Keras: equals ``keras.layers.StackedRNNCells``.
    """

    def __init__(self, cells: Sequence[Any], **options: Unpack[LayerOptions]) -> None:
        super().__init__(**options)
        if not cells:
            raise ConfigError("StackedRNNCells needs at least one cell")
        self.cells = list(cells)

    @property
    def state_size(self) -> list[Any]:
        return [cell.state_size for cell in self.cells]

    @property
    def output_size(self) -> int:
        return output_size(self.cells[-1])

    def build(self, input_shape: Shape) -> None:
        for cell in self.cells:
            if isinstance(cell, Layer) and not cell.built:
                cell.build(input_shape)
            input_shape = (input_shape[0], output_size(cell))

    def compute_output_shape(self, input_shape: Shape) -> Any:
        return (input_shape[0], self.output_size), map_leaves(lambda size: (input_shape[0], size), self.state_size)

    def input_problem(self, shape: Shape) -> str | None:
        first = self.cells[0]
        return first.input_problem(shape) if isinstance(first, Layer) else None

    def get_initial_state(self, batch_size: int) -> list[Any]:
        return [initial_state(cell, batch_size) for cell in self.cells]

    def call(self, inputs: Tensor, states: States) -> tuple[Tensor, States]:
        outputs, new = self.sequence(inputs.unsqueeze(1), states)
        return outputs[:, 0], new

    def sequence(self, x: Tensor, states: States, every: bool = False) -> tuple[Tensor, States]:
        new: States = []
        for cell, state in zip(self.cells, states):
            nested = isinstance(state, list | tuple)
            x, state = run_cell(cell, x, list(state) if nested else [state], every)
            new.append(state if nested else state[0])
        return x, new

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        options: dict[str, Any] = dict(config)
        return cls([layer_of(cell) for cell in options.pop("cells")], **options)


def run_cell(cell: Any, x: Tensor, states: States, every: bool = False) -> tuple[Tensor, States]:
    """`sequence` of a cell; step by step where it has none."""
    if hasattr(cell, "sequence"):
        return cell.sequence(x, states, every)
    outputs, history = [], []
    for step in x.unbind(1):
        output, states = cell(step, states)
        states = list(states) if isinstance(states, list | tuple) else [states]
        outputs.append(output)
        history.append(states)
    if every:
        states = pack(states, [torch.stack(after, 1) for after in zip(*map(leaves, history))])
    return torch.stack(outputs, 1), states


def output_size(cell: Any) -> int:
    """How many values a cell gives at each step."""
    size = getattr(cell, "output_size", None)
    if size is None:
        size = cell.state_size[0] if isinstance(cell.state_size, list | tuple) else cell.state_size
    return size


def initial_state(cell: Any, batch_size: int) -> list[Any]:
    """Zeros for each state of a cell, or what it says itself."""
    if hasattr(cell, "get_initial_state"):
        state = cell.get_initial_state(batch_size)
        return list(state) if isinstance(state, list | tuple) else [state]
    sizes = cell.state_size if isinstance(cell.state_size, list | tuple) else [cell.state_size]
    first = next(cell.parameters(), None) if isinstance(cell, torch.nn.Module) else None
    first = torch.empty(0, device=device.default()) if first is None else first
    return [first.new_zeros(batch_size, size) for size in sizes]
