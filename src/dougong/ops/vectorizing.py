"""A function of single elements, or of small arrays, made one of whole tensors.   Keras: ``keras.ops.vectorize``."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from functools import wraps
from typing import Any

import torch
from torch import Tensor

from dougong.core.errors import ConfigError, ShapeError
from dougong.core.nested import map_leaves
from dougong.ops.op import op, tensor

__all__ = ["vectorize"]

_AXES = r"\(\s*(?:\w+\s*(?:,\s*\w+\s*)*)?\)"
_SIGNATURE = re.compile(rf"\s*{_AXES}\s*(?:,\s*{_AXES}\s*)*->\s*{_AXES}\s*(?:,\s*{_AXES}\s*)*")


def vectorize(
    pyfunc: Callable[..., Any], *, excluded: Collection[int | str] | None = None, signature: str | None = None
) -> Callable[..., Any]:
    """A function that applies ``pyfunc`` to every element of its arguments, which broadcast, in one run of torch.

    ``signature``, as ``"(n),(n)->()"``, says which last axes ``pyfunc`` takes whole; the others broadcast.  Arguments
    whose places or names are ``excluded``, arguments by name, and None are handed on as they are.
    ``pyfunc`` is run on stand-ins by ``torch.vmap``: it may not branch on values.
    Raises: ConfigError for a signature that cannot be read; ShapeError for arguments that do not fit it.
    Keras: 3.15 forgets ``excluded``.

    >>> vectorize(lambda a, b: torch.where(a > b, a, b))([1, 5], [[2], [3]])
    tensor([[2, 5],
            [3, 5]], dtype=torch.int32)
    >>> vectorize(torch.dot, signature="(n),(n)->()")([[1.0, 2.0], [3.0, 4.0]], [1.0, 1.0])
    tensor([3., 7.])
    """
    whole = None if signature is None else _whole_axes(signature)
    left_out = frozenset(excluded or ())

    @wraps(pyfunc)
    def applied(*args: Any, **kwargs: Any) -> Any:
        mapped = [place for place, one in enumerate(args) if place not in left_out and one is not None]
        names = [()] * len(mapped) if whole is None else whole
        if len(names) != len(mapped):
            raise ShapeError(f"the signature {signature!r} is of {len(names)} arguments, but {len(mapped)} were given")

        def single(*values: Tensor) -> Any:
            given = list(args)
            for place, value in zip(mapped, values):
                given[place] = value
            return pyfunc(*given, **kwargs)

        return _mapped(single, [tensor(args[place]) for place in mapped], names, signature)

    return op(applied)


def _mapped(
    function: Callable[..., Any], values: list[Tensor], names: list[tuple[str, ...]], signature: str | None
) -> Any:
    sizes: dict[str, int] = {}
    for value, own in zip(values, names):
        ends = tuple(value.shape[value.ndim - len(own) :]) if value.ndim >= len(own) else ()
        if len(ends) != len(own) or any(sizes.setdefault(name, size) != size for name, size in zip(own, ends)):
            shapes = [tuple(one.shape) for one in values]
            raise ShapeError(f"arguments of shapes {shapes} do not fit the signature {signature!r}")
    loop = torch.broadcast_shapes(*(value.shape[: value.ndim - len(own)] for value, own in zip(values, names)))
    if not loop:
        return function(*values)
    ends = [value.shape[value.ndim - len(own) :] for value, own in zip(values, names)]
    rows = [value.expand(*loop, *end).reshape(-1, *end) for value, end in zip(values, ends)]
    return map_leaves(lambda one: one.reshape(*loop, *one.shape[1:]), torch.vmap(function)(*rows))


def _whole_axes(signature: str) -> list[tuple[str, ...]]:
    """The names of the axes that each argument keeps: ``"(m,n),(n)->(m)"`` gives ``[("m", "n"), ("n",)]``."""
    if not _SIGNATURE.fullmatch(signature):
        raise ConfigError(f"signature {signature!r} cannot be read; write it as '(m,n),(n)->(m)'")
    inputs, _ = signature.split("->")
    return [tuple(re.findall(r"\w+", one)) for one in re.findall(_AXES, inputs)]
