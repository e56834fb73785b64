r"""Normalization without a mean: by the root mean square, or to length 1.   Shapes: C values on the axes normalized.

torch's gradient of the root mean square is a chain of ten kernels on the CPU.  Here it is that of layer normalization,
one kernel, with the mean taken as 0 and what the mean's own gradient took away added again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Unpack

import torch
from torch import Tensor
from torch.nn import functional as F

from dougong.core.symbol import Shape
from dougong.layers.layer import LayerOptions
from dougong.layers.normalization_axes import AxesLayer
from dougong.layers.recurrence import own_gradient_pays

__all__ = ["RMSNormalization", "UnitNormalization"]

_OWN = (torch.float32, torch.float64)  # what the kernel of the gradient takes as it is
_SMALLEST = 1e-12


class RMSNormalization(AxesLayer):
    r"""Divides by the root mean square over ``axis`` and multiplies by a learnt scale.

    .. math:: y = \gamma \frac{x}{\sqrt{\overline{x^2} + \epsilon}}

    Shapes: ``[..., C] -> [..., C]``; ``scale``, stored as ``weight``, has the sizes of the axes.
    Keras: equals ``keras.layers.RMSNormalization``, which on torch fails for any but the last axes.
    Ref: Zhang & Sennrich 2019, arXiv:1910.07467.

    >>> RMSNormalization(epsilon=0.0)(torch.tensor([[1.0, 7.0]])).detach()   # divided by 5
    tensor([[0.2000, 1.4000]])
    """

    def __init__(self, axis: int | Sequence[int] = -1, epsilon: float = 1e-6, **options: Unpack[LayerOptions]) -> None:
        super().__init__(axis, **options)
        self.epsilon = epsilon

    def build(self, input_shape: Shape) -> None:
        super().build(input_shape)
        self.weight = self.add_weight(self._sizes, "ones", name="scale")

    def call(self, inputs: Tensor) -> Tensor:
        last = list(range(-len(self._axes), 0))
        x = inputs if self._trailing else inputs.movedim(self._axes, last)
        if own_gradient_pays(x) and x.dtype in _OWN and x.dtype is self.weight.dtype:
            y = _scaled(x, self.weight, self.epsilon)
        else:
            y = F.rms_norm(x, self._sizes, self.weight, self.epsilon)
        return y if self._trailing else y.movedim(last, self._axes)


def _scaled(x: Tensor, weight: Tensor, epsilon: float) -> Tensor:
    """Over as many last axes as the weight has, with the gradient of this file."""
    if weight.ndim == 1:
        return _RootMeanSquare.apply(x, weight, epsilon)  # type: ignore[return-value]
    flat: Any = _RootMeanSquare.apply(x.flatten(-weight.ndim), weight.flatten(), epsilon)
    return flat.unflatten(-1, weight.shape)


class _RootMeanSquare(torch.autograd.Function):
    """Over the last axis, with a gradient of its own."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, epsilon: float) -> Tensor:
        inverse = torch.linalg.vector_norm(x, 2, -1, True).square_().div_(x.shape[-1]).add_(epsilon).rsqrt_()
        ctx.save_for_backward(x, weight, inverse)
        ctx.epsilon = epsilon
        return (x * inverse).mul_(weight)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        (gradient,) = gradients
        x, weight, inverse = ctx.saved_tensors
        if torch.is_grad_enabled():  # a gradient of this gradient is wanted
            y = F.rms_norm(x, weight.shape, weight, ctx.epsilon)
            places = [x, weight][: 1 + ctx.needs_input_grad[1]]
            return (*torch.autograd.grad(y, places, gradient, create_graph=True), None, None)[:3]
        size, gradient = list(weight.shape), gradient.contiguous()
        wanted = [True, ctx.needs_input_grad[1], False]
        d_x, d_weight, _ = torch.ops.aten.native_layer_norm_backward(
            gradient, x, size, torch.zeros_like(inverse), inverse, weight, None, wanted
        )
        taken_away = (gradient @ weight).unsqueeze(-1) * inverse
        return torch.add(d_x, taken_away, alpha=1 / size[0]), d_weight if wanted[1] else None, None


class UnitNormalization(AxesLayer):
    r"""Divides by the Euclidean length over ``axis``, so that it becomes 1; zeros stay zeros.

    .. math:: y = x / \max(\|x\|_2, 10^{-12})

    Keras: equals ``keras.layers.UnitNormalization``.

    >>> UnitNormalization()(torch.tensor([[3.0, 4.0], [0.0, 0.0]]))
    tensor([[0.6000, 0.8000],
            [0.0000, 0.0000]])
    """

    supports_masking = True

    def __init__(self, axis: int | Sequence[int] = -1, **options: Unpack[LayerOptions]) -> None:
        super().__init__(axis, **options)

    def call(self, inputs: Tensor) -> Tensor:
        if inputs.ndim != self._rank:
            self._check_input(inputs)
        if self._trailing and own_gradient_pays(inputs) and inputs.dtype in _OWN:
            # The length is the root mean square times the root of the number of values.
            sizes = inputs.shape[-len(self._axes) :]
            number = sizes.numel()
            return _scaled(inputs, inputs.new_full(sizes, number**-0.5), _SMALLEST**2 / number)
        return inputs / torch.linalg.vector_norm(inputs, 2, self._axes, keepdim=True).clamp_min(_SMALLEST)

    def input_problem(self, shape: Shape) -> str | None:
        if len(shape) == self._rank:
            return None
        return f"was built for inputs of {self._rank} axes but received shape {tuple(shape)}; build one for these."
