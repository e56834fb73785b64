"""Layers that work in Python on main memory, since text and hashes of it are nothing that torch computes."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from dougong.core import device
from dougong.core.symbol import Shape, Symbol
from dougong.layers.layer import Layer

__all__ = ["HostLayer", "on_device"]


class HostLayer(Layer):
    """A layer whose inputs come as the user gave them, text above all, and whose outputs are new tensors.

    A model applies such layers at its front to a whole batch, before the step that is captured; no gradient passes
    through them.  Subclasses write `call`, `compute_output_shape` and `output_dtype`.
    """

    on_host: bool = True  # False where a layer's settings let torch do it
    repeatable: bool = True  # False where a function of the user's may give something else the next time

    @property
    def output_dtype(self) -> Any:
        """The torch dtype of what comes out, or `STRING`."""
        return torch.int64

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return tuple(input_shape)

    def compute_output_spec(self, inputs: Any) -> Symbol:
        return Symbol(self.compute_output_shape(inputs.shape), self.output_dtype)

    def _as_tensor(self, leaf: Any) -> Any:
        return leaf

    @property
    def _label(self) -> str:
        return f"{type(self).__name__} {self.name!r}"


def on_device(array: np.ndarray) -> Tensor:
    """An array as a tensor where tensors are made."""
    return torch.from_numpy(array).to(device.default())
