"""Dense: every output is a weighted sum of all inputs.   Shapes: N batch, I inputs, U units."""

from __future__ import annotations

from typing import Any, Unpack

from torch import Tensor
from torch.nn import functional as F

from dougong.core.arithmetic import per_axis
from dougong.core.errors import ShapeError
from dougong.core.layout import TRANSPOSED
from dougong.core.symbol import Shape
from dougong.layers.layer import Layer, LayerOptions
from dougong.ops import activations, constraints, initializers, regularizers
from dougong.ops.activations import linear

__all__ = ["Dense"]


class Dense(Layer):
    r"""A fully connected layer.

    .. math:: y = f(x W + b)

    Shapes: ``[N, ..., I] -> [N, ..., U]``; ``kernel`` is ``[I, U]``, ``weight``, torch's view of it, ``[U, I]``.
    Raises: ConfigError for bad arguments, ShapeError for an input whose last axis is not the one it was built for.
    Keras: equals ``keras.layers.Dense``, without LoRA and quantization.

    >>> import torch
    >>> layer = Dense(2, "relu", kernel_initializer="ones")
    >>> layer(torch.tensor([[1.0, 2.0]])).tolist(), layer.kernel.shape
    ([[3.0, 3.0]], torch.Size([2, 2]))
    """

    supports_masking = True

    def __init__(
        self,
        units: int,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        *,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(**options)
        (self.units,) = per_axis(units, 1, "units")
        self.activation = activations.get(activation)
        self.use_bias = use_bias
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        self.kernel_constraint = constraints.get(kernel_constraint)
        self.bias_constraint = constraints.get(bias_constraint)

    def build(self, input_shape: Shape) -> None:
        if len(input_shape) < 2 or input_shape[-1] is None:
            raise ShapeError(
                f"Dense {self.name!r} needs inputs [batch, ..., features] with the features known, but received shape"
                f" {input_shape}; give Input a full shape"
            )
        self.weight = self.add_weight(
            (input_shape[-1], self.units),
            self.kernel_initializer,
            name="kernel",
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
            layout=TRANSPOSED,
        )
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight(
                (self.units,),
                self.bias_initializer,
                name="bias",
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
            )

    def call(self, inputs: Tensor) -> Tensor:
        outputs = F.linear(inputs, self.weight, self.bias)
        return outputs if self.activation is linear else self.activation(outputs)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (*input_shape[:-1], self.units)

    def input_problem(self, shape: Any) -> str | None:
        features = self.weight.shape[1]
        if shape and shape[-1] in (None, features):
            return None
        return (
            f"was built for {features} features but received shape {shape}; add Flatten() before it or build a new"
            " one for this input"
        )
