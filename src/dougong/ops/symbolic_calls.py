"""An operation applied to symbols: the shapes that come out, and a node that a program can write as source code."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from dougong.core import device
from dougong.core.errors import BuildError, ShapeError
from dougong.core.names import unique_name
from dougong.core.nested import leaves, map_leaves, pack
from dougong.core.symbol import Symbol, infer_outputs, record

__all__ = ["outputs_of", "record_call"]

# What a line of source can hold as it is.
_WRITABLE = (bool, int, float, complex, str, slice, type(None), type(Ellipsis), torch.dtype, torch.device)


def record_call(
    function: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    *,
    shapes: Callable[..., Any] | None = None,
    outputs: Any = None,
) -> Any:
    """Note that ``function`` is applied to arguments that hold symbols, and give the symbols that come out.

    Their shapes are those of ``shapes(*args, **kwargs)`` on stand-ins, if given, else those of ``function`` itself,
    unless the caller knows the ``outputs``.  Arrays become tensors, so that they are converted once; a function or a
    generator among the arguments is kept in the node's target.   Raises: ShapeError where the inputs do not fit.

    >>> from dougong.core.symbol import Input
    >>> record_call(torch.add, (Input((3,)), np.ones(3, "float32")), {}).shape
    (None, 3)
    """
    args, kwargs = map_leaves(_constant, (args, dict(kwargs)))
    if outputs is None:
        outputs = outputs_of(shapes or function, args, kwargs)
    name = unique_name(getattr(function, "__name__", "value").strip("_"))
    if all(_is_open(leaf) or type(leaf) in _WRITABLE for leaf in leaves((args, kwargs))):
        return record(function, args, kwargs, outputs=outputs, name=name)
    given = tuple(leaf for leaf in leaves((args, kwargs)) if _is_open(leaf))
    return record(_closed(function, args, kwargs), given, {}, outputs=outputs, name=name)


def outputs_of(function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """Symbols like what ``function`` gives, from a run without values or, where that cannot be, on small zeros.

    Raises: BuildError where the function says that shapes depend on values; ShapeError where inputs do not fit.
    """
    try:
        with _ConstantsOnMeta():
            return infer_outputs(function, args, kwargs)
    except ShapeError as error:
        if isinstance(error.__cause__, BuildError):
            raise error.__cause__ from None
        # An operator without a meta kernel, or one that looks at values and whose shapes do not depend on them.
    with torch.random.fork_rng(devices=[]):
        return infer_outputs(function, args, kwargs, device=str(device.default()))


class _ConstantsOnMeta(TorchDispatchMode):
    """Lets constants that a function makes on its way, which live on a real device, meet stand-ins without values."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = (args, kwargs or {})
        if any(isinstance(leaf, Tensor) and leaf.is_meta for leaf in leaves(given)):
            given = map_leaves(lambda leaf: leaf.to("meta") if isinstance(leaf, Tensor) else leaf, given)
        return func(*given[0], **given[1])


def _constant(leaf: Any) -> Any:
    return torch.as_tensor(leaf, device=device.default()) if isinstance(leaf, np.ndarray) else leaf


def _is_open(leaf: Any) -> bool:
    return isinstance(leaf, Symbol | Tensor)


def _closed(function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Callable[..., Any]:
    """``function`` of its symbols and tensors alone: what cannot be written as source is held here."""
    structure = (args, dict(kwargs))
    held = [None if _is_open(leaf) else leaf for leaf in leaves(structure)]
    places = [index for index, leaf in enumerate(leaves(structure)) if _is_open(leaf)]
    skeleton = map_leaves(lambda _: None, structure)

    @wraps(function)
    def apply(*values: Any) -> Any:
        flat = list(held)
        for place, value in zip(places, values):
            flat[place] = value
        positional, named = pack(skeleton, flat)
        return function(*positional, **named)

    return apply
