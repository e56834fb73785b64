"""Activations that are layers of their own: ReLU and its relatives, PReLU with learned slopes, Softmax with a mask.

Ref: Keras 3 semantics.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Unpack

import torch
from torch import Tensor
from torch.nn import functional as F

from dougong.core.errors import ConfigError, ShapeError
from dougong.core.symbol import Shape
from dougong.layers.layer import Layer, LayerOptions
from dougong.ops import activations, constraints, initializers, regularizers

__all__ = ["ELU", "LeakyReLU", "PReLU", "ReLU", "Softmax"]


class _Elementwise(Layer):
    supports_masking = True

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return input_shape


def _not_negative(name: str, value: float | None) -> float:
    if value is None or value < 0:
        raise ConfigError(f"{name} must be a number >= 0; got {value!r}")
    return value


class ReLU(_Elementwise):
    r"""The positive part, with options.   Keras: equals ``keras.layers.ReLU``.

    .. math:: \min(x, m)\ (x \ge \theta),\qquad \alpha (x - \theta)\ (x < \theta)

    with m = ``max_value``, α = ``negative_slope``, θ = ``threshold``.

    >>> ReLU(max_value=10, negative_slope=0.5)(torch.tensor([-10.0, 5.0, 20.0]))
    tensor([-5.,  5., 10.])
    """

    def __init__(
        self,
        max_value: float | None = None,
        negative_slope: float = 0.0,
        threshold: float = 0.0,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(**options)
        self.max_value = None if max_value is None else _not_negative("max_value", max_value)
        self.negative_slope = _not_negative("negative_slope", negative_slope)
        self.threshold = _not_negative("threshold", threshold)

    def call(self, inputs: Tensor) -> Tensor:
        return activations.relu(inputs, self.negative_slope, self.max_value, self.threshold)


class LeakyReLU(_Elementwise):
    r""":math:`x` above 0 and :math:`\alpha x` below.   Keras: equals ``keras.layers.LeakyReLU``; the slope is 0.3.

    >>> LeakyReLU()(torch.tensor([-1.0, 1.0]))
    tensor([-0.3000,  1.0000])
    """

    def __init__(self, negative_slope: float = 0.3, **options: Unpack[LayerOptions]) -> None:
        super().__init__(**options)
        self.negative_slope = _not_negative("negative_slope", negative_slope)

    def call(self, inputs: Tensor) -> Tensor:
        return F.leaky_relu(inputs, self.negative_slope)


class ELU(_Elementwise):
    r""":math:`x` above 0 and :math:`\alpha (e^x - 1)` below.   Keras: equals ``keras.layers.ELU``.

    Ref: Clevert et al. 2015, arXiv:1511.07289.
    """

    def __init__(self, alpha: float = 1.0, **options: Unpack[LayerOptions]) -> None:
        super().__init__(**options)
        self.alpha = alpha

    def call(self, inputs: Tensor) -> Tensor:
        return F.elu(inputs, self.alpha)


class PReLU(_Elementwise):
    r""":math:`x` above 0 and :math:`\alpha x` below, α learned: one for every position that is not shared.

    Shapes: ``[N, ...] -> [N, ...]``, weight ``[...]`` with 1 at ``shared_axes`` (which count the batch as 0).
    Keras: equals ``keras.layers.PReLU``.   Ref: He et al. 2015, arXiv:1502.01852.
    """

    def __init__(
        self,
        alpha_initializer: Any = "zeros",
        alpha_regularizer: Any = None,
        alpha_constraint: Any = None,
        shared_axes: int | Sequence[int] | None = None,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(**options)
        self.alpha_initializer = initializers.get(alpha_initializer)
        self.alpha_regularizer = regularizers.get(alpha_regularizer)
        self.alpha_constraint = constraints.get(alpha_constraint)
        self.shared_axes = [shared_axes] if isinstance(shared_axes, int) else shared_axes and list(shared_axes)

    def build(self, input_shape: Shape) -> None:
        shape = list(input_shape[1:])
        for axis in self.shared_axes or ():
            shape[axis - 1] = 1
        self.weight = self.add_weight(
            shape,  # type: ignore[arg-type]
            self.alpha_initializer,
            name="alpha",
            regularizer=self.alpha_regularizer,
            constraint=self.alpha_constraint,
        )

    def call(self, inputs: Tensor) -> Tensor:
        if torch.is_grad_enabled():  # three kernels, whose gradients take a third of the time of the one's below
            return torch.relu(inputs) - self.weight * torch.relu(-inputs)
        # The kernel below F.prelu, which takes slopes for channels in the second axis only; this one broadcasts.
        return torch._prelu_kernel(inputs, self.weight)

    def input_problem(self, shape: Shape) -> str | None:
        want = tuple(self.weight.shape)
        if len(shape) == len(want) + 1 and all(w in (1, s) or s is None for w, s in zip(want, shape[1:])):
            return None
        return f"was built for slopes of shape {want} but received shape {tuple(shape)}; share the axes that vary."


class Softmax(Layer):
    r""":math:`e^{x_i} / \sum_j e^{x_j}` over one axis, or over several at once.

    Where a mask of the input's shape is False the result is 0 and the others share the sum.
    Keras: equals ``keras.layers.Softmax``.

    >>> Softmax()(torch.zeros(1, 4), mask=torch.tensor([[True, True, False, False]]))
    tensor([[0.5000, 0.5000, 0.0000, 0.0000]])
    """

    supports_masking = True

    def __init__(self, axis: int | Sequence[int] = -1, **options: Unpack[LayerOptions]) -> None:
        super().__init__(**options)
        self.axis = axis if isinstance(axis, int) else tuple(axis)

    def call(self, inputs: Tensor, mask: Tensor | None = None) -> Tensor:
        if mask is not None:
            self._check_mask(inputs, mask)
            mask = mask if mask.dtype == torch.bool else mask > 0.5
            # Not -inf: a row that is masked throughout must give zeros, not NaN.
            inputs = inputs.masked_fill(~mask, -3e4 if inputs.dtype == torch.float16 else -1e9)
        if isinstance(self.axis, int):
            outputs = torch.softmax(inputs, self.axis)
        else:
            outputs = torch.exp(inputs - torch.logsumexp(inputs, self.axis, keepdim=True))
        return outputs if mask is None else outputs.masked_fill(~mask, 0.0)

    def _check_mask(self, inputs: Tensor, mask: Tensor) -> None:
        sizes = zip(reversed(mask.shape), reversed(inputs.shape))
        if mask.ndim > inputs.ndim or any(own not in (1, size) for own, size in sizes):
            raise ShapeError(
                f"Softmax {self.name!r} cannot spread a mask of shape {tuple(mask.shape)} over inputs of shape"
                f" {tuple(inputs.shape)}; give it as many axes, or end the mask before this layer."
            )

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return input_shape
