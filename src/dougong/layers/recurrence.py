r"""The plain and the gated recurrence with gradients of their own: two or three kernels a step instead of thirty.

Automatic differentiation of a loop accumulates the gradient of the recurrent weights step by step.  Here the backward
loop carries the state's gradient only; what does not depend on it is computed for all steps at once before the loop,
and the weights' gradients are one product over all steps after it.

Shapes: T steps, N batch, U units, time first.  ``gates`` are the inputs' part of the sums, ``[T, N, G*U]``, with bias.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

__all__ = ["gated_recurrence", "own_gradients", "plain_recurrence"]


def own_gradients() -> bool:
    """Whether these functions pay: gradients are wanted, and by `backward`, not by a `torch.func` transform."""
    return torch.is_grad_enabled() and not torch._C._are_functorch_transforms_active()


def plain_recurrence(gates: Tensor, h: Tensor, weight: Tensor, rectified: bool) -> Tensor:
    r""":math:`h_t = \tanh(g_t + W h_{t-1})`, or relu where ``rectified``.   Gives all h, ``[T, N, U]``.

    >>> plain_recurrence(torch.ones(2, 1, 1), torch.zeros(1, 1), torch.eye(1), True).flatten()
    tensor([1., 2.])
    """
    return _Plain.apply(gates, h, weight, rectified)  # type: ignore[return-value]


def gated_recurrence(gates: Tensor, h: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    r"""The GRU with the reset after the product, gates r, z, n.   Gives all h, ``[T, N, U]``.

    .. math:: (a_r, a_z, a_n) = W h_{t-1} + b,\quad r = \sigma(g_r + a_r),\quad z = \sigma(g_z + a_z),\quad
              n = \tanh(g_n + r a_n),\quad h_t = n + z (h_{t-1} - n)
    """
    return _Gated.apply(gates, h, weight, bias)  # type: ignore[return-value]


class _Plain(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, gates: Tensor, h: Tensor, weight: Tensor, rectified: bool) -> Tensor:
        transposed, activation = weight.t(), torch.relu if rectified else torch.tanh
        states = [h]
        for gate in gates.unbind(0):
            states.append(activation(torch.addmm(gate, states[-1], transposed)))
        outputs = torch.stack(states[1:])
        ctx.save_for_backward(h, weight, outputs)
        ctx.rectified = rectified
        return outputs

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> Any:
        h, weight, outputs = ctx.saved_tensors
        slopes = (outputs > 0).to(outputs.dtype) if ctx.rectified else 1 - outputs.square()
        arriving, slope = grads[0].unbind(0), slopes.unbind(0)
        sums: list[Tensor] = []
        carried = arriving[-1]
        for step in reversed(range(len(slope))):
            sums.append(carried * slope[step])
            carried = torch.addmm(arriving[step - 1], sums[-1], weight) if step else sums[-1] @ weight
        d_gates = torch.stack(sums[::-1])
        return d_gates, carried, _product(d_gates, h, outputs), None


class _Gated(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, gates: Tensor, h: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        units, transposed = h.shape[1], weight.t()
        both, news, products, states = [], [], [], [h]
        for from_input, new_input in zip(gates[..., : 2 * units].unbind(0), gates[..., 2 * units :].unbind(0)):
            last = states[-1]
            product = last @ transposed if bias is None else torch.addmm(bias, last, transposed)
            rz = torch.sigmoid(from_input + product[:, : 2 * units])
            new = torch.tanh(torch.addcmul(new_input, rz[:, :units], product[:, 2 * units :]))
            states.append(torch.lerp(new, last, rz[:, units:]))
            both.append(rz)
            news.append(new)
            products.append(product[:, 2 * units :])
        outputs = torch.stack(states[1:])
        ctx.save_for_backward(h, weight, outputs, torch.stack(both), torch.stack(news), torch.stack(products))
        ctx.has_bias = bias is not None
        return outputs

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> Any:
        h, weight, outputs, both, new, product = ctx.saved_tensors
        r, z = both.chunk(2, -1)
        before = torch.cat([h.unsqueeze(0), outputs[:-1]])
        # By how much the sums in front of r, z and n move per unit of the state's gradient.
        to_new = (1 - z) * (1 - new.square())
        to_reset = to_new * product * r * (1 - r)
        to_update = (before - new) * z * (1 - z)
        factors = torch.stack([to_reset, to_update, to_new * r], 2)  # [T, N, 3, U]
        arriving, kept, factor = grads[0].unbind(0), z.unbind(0), factors.unbind(0)
        sums: list[Tensor] = []
        totals: list[Tensor] = []
        carried = arriving[-1]
        for step in reversed(range(len(kept))):
            totals.append(carried)
            sums.append((carried.unsqueeze(1) * factor[step]).flatten(1))
            rest = torch.addcmul(arriving[step - 1], carried, kept[step]) if step else carried * kept[step]
            carried = torch.addmm(rest, sums[-1], weight)
        d_sums, total = torch.stack(sums[::-1]), torch.stack(totals[::-1])
        d_gates = torch.cat([d_sums[..., : 2 * h.shape[1]], total * to_new], -1)
        d_bias = d_sums.sum((0, 1)) if ctx.has_bias else None
        return d_gates, carried, _product(d_sums, h, outputs), d_bias


def _product(d_sums: Tensor, h: Tensor, outputs: Tensor) -> Tensor:
    """The recurrent weights' gradient: every step's outer product in one."""
    before = torch.cat([h.unsqueeze(0), outputs[:-1]])
    return d_sums.flatten(0, 1).t() @ before.flatten(0, 1)


def stepwise(sequence: Sequence[Tensor]) -> Tensor:
    """Steps as a sequence, batch first."""
    return torch.stack(list(sequence), 1)
