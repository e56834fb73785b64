"""EinsumDense: a linear map between chosen axes, written as an equation.   Shapes: one letter an axis."""

from __future__ import annotations

import copy
import re
from collections.abc import Sequence
from functools import partial
from math import prod
from typing import Any, NamedTuple, Unpack

import torch
from torch import Tensor
from torch.nn import functional as F

from dougong.core.errors import ConfigError, ShapeError
from dougong.core.layout import IDENTITY, Layout
from dougong.core.symbol import Shape
from dougong.layers.layer import Layer, LayerOptions
from dougong.ops import activations, constraints, initializers, regularizers
from dougong.ops.activations import linear
from dougong.ops.initializers import VarianceScaling

__all__ = ["EinsumDense", "Equation"]


class _Sizes(NamedTuple):
    """What an equation means for an input's shape."""

    output: Shape
    kernel: Shape
    bias: Shape


class Equation:
    """``inputs,kernel->outputs`` in letters; three dots for further axes lead or end both inputs and outputs.

    Raises: ConfigError for anything else, or for a kernel letter that neither inputs nor outputs have.

    >>> rule = Equation("...ab,abc->...c"); rule.inputs, rule.kernel, rule.outputs, rule.dots
    ('ab', 'abc', 'c', 'left')
    """

    def __init__(self, text: str, bias_axes: str | None = None) -> None:
        match = re.fullmatch(r"(\.{3})?([a-zA-Z]+)(\.{3})?,([a-zA-Z]+)->(\.{3})?([a-zA-Z]+)(\.{3})?", text)
        left, self.inputs, right, self.kernel, left_out, self.outputs, right_out = match.groups() if match else [""] * 7
        if not match or left != left_out or right != right_out or (left and right):
            raise ConfigError(
                f"equation must read like 'ab,bc->ac', '...ab,bc->...ac' or 'ab...,bc->ac...'; got {text!r}"
            )
        self.text = text
        self.dots = "left" if left else "right" if right else ""
        self.bias_axes = bias_axes
        for letter in self.kernel:
            if letter not in self.inputs + self.outputs:
                raise ConfigError(f"axis {letter!r} of the kernel in {text!r} is in neither the inputs nor the outputs")
        for letter in self.outputs:
            if letter not in self.inputs + self.kernel:
                raise ConfigError(f"axis {letter!r} of the outputs in {text!r} is in neither the inputs nor the kernel")
        for letter in bias_axes or "":
            if letter not in self.outputs:
                raise ConfigError(f"bias axis {letter!r} is not among the outputs of {text!r}")

    @property
    def summed(self) -> str:
        """The kernel's axes that are summed over."""
        return "".join(letter for letter in self.kernel if letter not in self.outputs)

    @property
    def made(self) -> str:
        """The kernel's axes that the outputs have."""
        return "".join(letter for letter in self.kernel if letter in self.outputs)

    @property
    def is_matrix(self) -> bool:
        """Whether the last axes of the inputs become the last ones of the outputs: one product of matrices."""
        kept = self.inputs.removesuffix(self.summed)
        plain = self.dots != "right" and len(set(self.inputs)) == len(self.inputs)
        whole_bias = not self.bias_axes or set(self.bias_axes) == set(self.made)
        fits = self.kernel == self.summed + self.made and self.inputs == kept + self.summed
        return bool(self.summed and self.made and plain and whole_bias and fits and self.outputs == kept + self.made)

    def sizes(self, input_shape: Shape, output_shape: Sequence[int | None]) -> _Sizes:
        """The shapes of outputs, kernel and bias.

        ``output_shape`` is what the user knows of the outputs, without the first axis and those behind the dots.
        Raises: ShapeError where the shapes contradict the equation or each other.
        """
        extra = len(input_shape) - len(self.inputs)
        if extra < 0 or (extra > 0 and not self.dots):
            raise ShapeError(f"takes inputs of axes {self.text.partition(',')[0]!r} but received shape {input_shape}.")
        start = extra if self.dots == "left" else 0
        inputs = dict(zip(self.inputs, input_shape[start:]))
        hidden = input_shape[:start] if start else input_shape[len(self.inputs) :]
        known = tuple(output_shape) if start else (input_shape[0], *output_shape)
        if len(known) != len(self.outputs):
            raise ShapeError(
                f"makes axes {self.outputs!r} but output_shape={tuple(output_shape)} gives {len(known)} sizes."
            )
        sizes = dict(inputs)
        for letter, size in zip(self.outputs, known):
            if size is not None and sizes.get(letter) not in (None, size):
                raise ShapeError(
                    f"has {size} for axis {letter!r} in output_shape={tuple(output_shape)}, but received shape"
                    f" {input_shape}, which has {sizes[letter]} there."
                )
            sizes[letter] = sizes.get(letter) if size is None else size
        made = tuple(sizes[letter] for letter in self.outputs)
        bias: Shape = ()
        if self.bias_axes:
            first = min(self.outputs.index(letter) for letter in self.bias_axes)
            bias = tuple(sizes[letter] if letter in self.bias_axes else 1 for letter in self.outputs[first:])
            bias += (1,) * (extra if self.dots == "right" else 0)
        output = (*hidden, *made) if start else (*made, *hidden)
        return _Sizes(output, tuple(sizes[letter] for letter in self.kernel), bias)


class EinsumDense(Layer):
    r"""A dense layer between any axes, by the rule of `torch.einsum`.

    .. math:: y = f(\operatorname{einsum}(\text{equation}, x, W) + b)

    ``output_shape`` leaves out the first axis and those that three dots stand for; None means the input's size.
    ``bias_axes`` are the letters of the outputs that the bias differs along; None makes no bias.
    Shapes: those of the equation; ``kernel`` is Keras's.  Where the sums run over the last axes, ``weight`` is a
    matrix, ``[outputs, inputs]``, and the layer one product of matrices with the bias in it.
    Raises: ConfigError for a bad equation, ShapeError for inputs that do not fit it.
    Keras: equals ``keras.layers.EinsumDense``, without LoRA and quantization.

    >>> EinsumDense("...x,xy->...y", 64, bias_axes="y")(torch.zeros(2, 32, 128)).shape
    torch.Size([2, 32, 64])
    >>> EinsumDense("abc,cde->abde", (None, 4, 6), bias_axes="de")(torch.zeros(2, 5, 3)).shape
    torch.Size([2, 5, 4, 6])
    """

    def __init__(
        self,
        equation: str,
        output_shape: int | Sequence[int | None],
        activation: Any = None,
        bias_axes: str | None = None,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(**options)
        self.equation = equation
        self.output_shape = (output_shape,) if isinstance(output_shape, int) else tuple(output_shape)
        self.activation = activations.get(activation)
        self.bias_axes = bias_axes
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        self.kernel_constraint = constraints.get(kernel_constraint)
        self.bias_constraint = constraints.get(bias_constraint)
        self._rule = Equation(equation, bias_axes)
        self._matrix = self._rule.is_matrix
        self._folds = len(self._rule.summed), len(self._rule.made)

    def build(self, input_shape: Shape) -> None:
        sizes = self._sizes(input_shape)
        self._rank = len(input_shape)
        self._summed = tuple(n for n, letter in zip(sizes.kernel, self._rule.kernel) if letter in self._rule.summed)
        self._made = sizes.kernel[self._folds[0] :] if self._matrix else ()
        kernel_layout, bias_layout = IDENTITY, IDENTITY
        if self._matrix:
            both: Any = sizes.kernel, self._made
            kernel_layout = Layout(partial(_kernel_view, shape=both[0]), partial(_matrix, rows=prod(self._summed)))  # type: ignore[arg-type]
            bias_layout = Layout(partial(torch.Tensor.reshape, shape=both[1]), torch.flatten)
        self.weight = self.add_weight(
            sizes.kernel,  # type: ignore[arg-type]
            self._fitted_initializer(),
            name="kernel",
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
            layout=kernel_layout,
        )
        self.bias = None
        if self.bias_axes:
            self.bias = self.add_weight(
                sizes.bias,  # type: ignore[arg-type]
                self.bias_initializer,
                name="bias",
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
                layout=bias_layout,
            )

    def _fitted_initializer(self) -> Any:
        """The kernel's initializer, told which of its axes are summed over and which are made."""
        initializer = self.kernel_initializer
        if not isinstance(initializer, VarianceScaling) or None not in (
            initializer.input_axes,
            initializer.output_axes,
        ):
            return initializer
        fitted = copy.copy(initializer)
        rule = self._rule
        fitted.input_axes = [axis for axis, letter in enumerate(rule.kernel) if letter in rule.summed]
        fitted.output_axes = [axis for axis, letter in enumerate(rule.kernel) if letter in rule.made]
        return fitted

    def call(self, inputs: Tensor) -> Tensor:
        if self._matrix:
            if not self._rule.dots and inputs.ndim != self._rank:  # a product of matrices would take any rank
                self._check_input(inputs)
            summed, made = self._folds
            outputs = F.linear(inputs if summed == 1 else inputs.flatten(-summed), self.weight, self.bias)
            outputs = outputs if made == 1 else outputs.unflatten(-1, self._made)  # type: ignore[arg-type]
        else:
            outputs = torch.einsum(self.equation, inputs, self.weight)
            outputs = outputs if self.bias is None else outputs + self.bias
        return outputs if self.activation is linear else self.activation(outputs)

    def _sizes(self, input_shape: Shape) -> _Sizes:
        try:
            return self._rule.sizes(tuple(input_shape), self.output_shape)
        except ShapeError as error:
            raise ShapeError(f"EinsumDense {self.name!r} {error}") from error

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return self._sizes(input_shape).output

    def input_problem(self, shape: Any) -> str | None:
        if len(shape) != self._rank and self._rule.dots != "left":
            return f"was built for inputs of {self._rank} axes but received shape {tuple(shape)}."
        try:
            kernel = self._rule.sizes(tuple(shape), self.output_shape).kernel
        except ShapeError as error:
            return str(error)
        found = tuple(n for n, letter in zip(kernel, self._rule.kernel) if letter in self._rule.summed)
        if all(n in (None, m) for n, m in zip(found, self._summed)):
            return None
        return f"was built for {self._summed} values on axes {self._rule.summed!r} but received shape {tuple(shape)}."


def _kernel_view(weight: Tensor, shape: Sequence[int]) -> Tensor:
    return weight.t().reshape(shape)


def _matrix(kernel: Tensor, rows: int) -> Tensor:
    return kernel.reshape(rows, -1).t()
