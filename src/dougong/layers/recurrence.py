r"""The plain and the gated recurrence with gradients of their own: two or three kernels a step instead of thirty.

Automatic differentiation of a loop accumulates the gradient of the recurrent weights step by step.  Here the backward
loop carries the state's gradient only; what does not depend on it is computed for all steps at once before the loop,
and the weights' gradients are one product over all steps after it.

Shapes: T steps, N batch, U units, time first.  ``gates`` are the inputs' part of the sums, ``[T, N, G*U]``, with bias.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

__all__ = ["gated_recurrence", "own_gradient_pays", "plain_recurrence"]


def own_gradient_pays(x: Tensor) -> bool:
    """Whether to use these functions for ``x``: a gradient is wanted, by `backward` and on the CPU.

    CUDA has a fused kernel, `torch.func` transforms look into the loop, autocast mixes dtypes.
    """
    return (
        torch.is_grad_enabled()
        and x.device.type == "cpu"
        and not torch._C._are_functorch_transforms_active()
        and not torch.is_autocast_enabled("cpu")
    )


def plain_recurrence(gates: Tensor, h: Tensor, weight: Tensor, rectified: bool) -> tuple[Tensor, Tensor]:
    r""":math:`h_t = \tanh(g_t + W h_{t-1})`, or relu where ``rectified``.   Gives all h, ``[T, N, U]``, and the last.

    >>> plain_recurrence(torch.ones(2, 1, 1), torch.zeros(1, 1), torch.eye(1), True)[0].flatten()
    tensor([1., 2.])
    """
    return _Plain.apply(gates, h, weight, rectified)  # type: ignore[return-value]


def gated_recurrence(gates: Tensor, h: Tensor, weight: Tensor, bias: Tensor | None) -> tuple[Tensor, Tensor]:
    r"""The GRU that resets after the product, gates r, z, n.   Gives all h, ``[T, N, U]``, and the last.

    .. math:: (a_r, a_z, a_n) = W h_{t-1} + b,\quad r = \sigma(g_r + a_r),\quad z = \sigma(g_z + a_z),\quad
              n = \tanh(g_n + r a_n),\quad h_t = n + z (h_{t-1} - n)
    """
    return _Gated.apply(gates, h, weight, bias)  # type: ignore[return-value]


class _Plain(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, gates: Tensor, h: Tensor, weight: Tensor, rectified: bool) -> tuple[Tensor, Tensor]:
        transposed, activation = weight.t(), torch.relu if rectified else torch.tanh
        states = [h]
        for gate in gates.unbind(0):
            states.append(activation(torch.addmm(gate, states[-1], transposed)))
        history = torch.stack(states)
        ctx.save_for_backward(weight, history)
        ctx.rectified = rectified
        ctx.set_materialize_grads(False)
        return history[1:], states[-1]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_outputs: Tensor | None, d_last: Tensor | None) -> Any:
        if d_outputs is None and d_last is None:
            return None, None, None, None
        weight, history = ctx.saved_tensors
        after = history[1:]
        slopes = ((after > 0).to(after.dtype) if ctx.rectified else 1 - after.square()).unbind(0)
        arriving, carried = _gradients(d_outputs, d_last)
        sums: list[Tensor] = []
        for step in reversed(range(len(slopes))):
            sums.append(carried * slopes[step])
            if step and arriving is not None:
                carried = torch.addmm(arriving[step - 1], sums[-1], weight)
            else:
                carried = sums[-1] @ weight
        d_gates = torch.stack(sums[::-1])
        return d_gates, carried, _product(d_gates, history[:-1]), None


class _Gated(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, gates: Tensor, h: Tensor, weight: Tensor, bias: Tensor | None) -> tuple[Tensor, Tensor]:
        units, transposed = h.shape[1], weight.t()
        both, news, products, states = [], [], [], [h]
        for for_both, for_new in zip(gates[..., : 2 * units].unbind(0), gates[..., 2 * units :].unbind(0)):
            last = states[-1]
            product = last @ transposed if bias is None else torch.addmm(bias, last, transposed)
            rz = torch.sigmoid(for_both + product[:, : 2 * units])
            new = torch.tanh(torch.addcmul(for_new, rz[:, :units], product[:, 2 * units :]))
            states.append(torch.lerp(new, last, rz[:, units:]))
            both.append(rz)
            news.append(new)
            products.append(product[:, 2 * units :])
        history = torch.stack(states)
        ctx.save_for_backward(weight, history, torch.stack(both), torch.stack(news), torch.stack(products))
        ctx.has_bias = bias is not None
        ctx.set_materialize_grads(False)
        return history[1:], states[-1]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_outputs: Tensor | None, d_last: Tensor | None) -> Any:
        if d_outputs is None and d_last is None:
            return None, None, None, None
        weight, history, both, new, product = ctx.saved_tensors
        before, (r, z) = history[:-1], both.chunk(2, -1)
        # By how much the sums in front of r, z and n move per unit of the state's gradient.
        to_new = (1 - z) * (1 - new.square())
        to_reset = to_new * product * r * (1 - r)
        to_update = (before - new) * z * (1 - z)
        factors = torch.stack([to_reset, to_update, to_new * r], 2).unbind(0)  # each [N, 3, U]
        arriving, carried = _gradients(d_outputs, d_last)
        kept = z.unbind(0)
        sums: list[Tensor] = []
        totals: list[Tensor] = []
        for step in reversed(range(len(kept))):
            totals.append(carried)
            sums.append((carried.unsqueeze(1) * factors[step]).flatten(1))
            if step and arriving is not None:
                rest = torch.addcmul(arriving[step - 1], carried, kept[step])
            else:
                rest = carried * kept[step]
            carried = torch.addmm(rest, sums[-1], weight)
        d_sums = torch.stack(sums[::-1])
        d_gates = torch.cat([d_sums[..., : 2 * z.shape[-1]], torch.stack(totals[::-1]) * to_new], -1)
        d_bias = d_sums.sum((0, 1)) if ctx.has_bias else None
        return d_gates, carried, _product(d_sums, before), d_bias


def _gradients(outputs: Tensor | None, last: Any) -> tuple[tuple[Tensor, ...] | None, Tensor]:
    """What arrives at each step, None if nothing does, and what arrives at the last state in all."""
    if outputs is None:
        return None, last
    arriving = outputs.unbind(0)
    return arriving, arriving[-1] if last is None else arriving[-1] + last


def _product(d_sums: Tensor, before: Tensor) -> Tensor:
    """The recurrent weights' gradient: every step's outer product in one."""
    return d_sums.flatten(0, 1).t() @ before.flatten(0, 1)
