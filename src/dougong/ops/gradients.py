"""What a gradient is to be: none (`stop_gradient`), one of your own (`custom_gradient`), or forward-mode (`jvp`)."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

import torch
from torch import Tensor

from dougong.core.errors import ConfigError
from dougong.core.nested import leaves, map_leaves, pack
from dougong.core.symbol import contains_symbol
from dougong.ops.op import floating, op, tensor
from dougong.ops.symbolic_calls import record_call

__all__ = ["custom_gradient", "jvp", "stop_gradient"]


@op
def stop_gradient(variable: Any) -> Tensor:
    """The same values, as a constant.   Keras: equals its namesake.

    >>> stop_gradient(torch.ones(1, requires_grad=True)).requires_grad
    False
    """
    return tensor(variable).detach()


def custom_gradient(f: Callable[..., tuple[Any, Callable[..., Any]]]) -> Callable[..., Any]:
    """Decorator for a function that gives its output and ``grad(*args, upstream)``, one gradient for each argument.

    ``grad`` may use what ``f`` computed; higher derivatives then go through it, too.  With several outputs ``upstream``
    is a tuple.   Raises: ConfigError if ``f`` gives no pair.   Keras: equals its namesake, on symbols as well.

    >>> @custom_gradient
    ... def tripled_backwards(x):
    ...     return x * 1.0, lambda *args, upstream: 3.0 * upstream
    >>> x = torch.ones(1, requires_grad=True); tripled_backwards(x).backward(); x.grad
    tensor([3.])
    """

    def call(*args: Any, **kwargs: Any) -> Any:
        made = f(*args, **kwargs)
        if not isinstance(made, tuple) or len(made) != 2 or not callable(made[1]):
            raise ConfigError(f"{getattr(f, '__name__', f)} under custom_gradient must give (output, grad function)")
        output, grad = made
        flat = [tensor(leaf) for leaf in leaves(output)]
        attached = _Attached.apply(grad, len(args), *args, *(leaf.detach() for leaf in flat))
        return pack(output, attached)

    @wraps(f)
    def apply(*args: Any, **kwargs: Any) -> Any:
        args = map_leaves(lambda leaf: tensor(leaf) if isinstance(leaf, float) else leaf, args)
        return record_call(wraps(f)(call), args, kwargs) if contains_symbol(args, kwargs) else call(*args, **kwargs)

    return apply


class _Attached(torch.autograd.Function):
    """Outputs without a graph, hung below the arguments by a gradient function."""

    @staticmethod
    def forward(ctx: Any, grad: Callable[..., Any], count: int, *values: Any) -> tuple[Tensor, ...]:
        ctx.grad, ctx.args = grad, [None if isinstance(value, Tensor) else value for value in values[:count]]
        ctx.save_for_backward(*(value for value in values[:count] if isinstance(value, Tensor)))
        ctx.outputs = len(values) - count
        return tuple(value.view_as(value) for value in values[count:])

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Any, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        saved = iter(ctx.saved_tensors)
        args = [next(saved) if value is None else value for value in ctx.args]
        grads = ctx.grad(*args, upstream=upstream[0] if len(upstream) == 1 else upstream)
        grads = tuple(grads) if isinstance(grads, list | tuple) else (grads,)
        if len(grads) != len(args):
            raise ConfigError(f"a custom gradient gave {len(grads)} gradients for {len(args)} arguments")
        return (None, None, *grads, *[None] * ctx.outputs)


def jvp(fun: Callable[..., Any], primals: Sequence[Any], tangents: Sequence[Any], has_aux: bool = False) -> Any:
    r""":math:`f(x)` and its derivative :math:`J_f(x)\, v` in the direction v, in one forward pass.

    ``has_aux``: ``fun`` gives ``(output, other)``, and the other comes third.   Keras: equals its namesake.

    >>> jvp(torch.square, (3.0,), (1.0,))
    (tensor(9.), tensor(6.))
    """
    if contains_symbol(primals, tangents):
        return record_call(_jvp, (fun, tuple(primals), tuple(tangents), has_aux), {})
    return _jvp(fun, primals, tangents, has_aux)


def _jvp(fun: Callable[..., Any], primals: Sequence[Any], tangents: Sequence[Any], has_aux: bool) -> Any:
    at, along = map_leaves(floating, tuple(primals)), map_leaves(floating, tuple(tangents))
    with warnings.catch_warnings():  # torch's first use of forward mode calls what torch deprecates
        warnings.filterwarnings("ignore", message=".*torch.jit.script", category=DeprecationWarning)
        return torch.func.jvp(fun, at, along, has_aux=has_aux)


_jvp.__name__ = "jvp"
