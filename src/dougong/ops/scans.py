"""Loops along an axis: `scan` carries a state, `associative_scan` takes log n steps, the two maps carry nothing.

On symbols each is one node of the graph: the body runs once on stand-ins, so that shapes are known.
Ref: Blelloch 1990, "Prefix sums and their applications"; ``jax.lax.scan``, whose semantics Keras 3 follows.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from dougong.core.errors import ConfigError, ShapeError
from dougong.core.nested import leaves, map_leaves, pack
from dougong.core.symbol import contains_symbol
from dougong.ops.control_flow import record_loop, require_same, result
from dougong.ops.op import tensor

__all__ = ["associative_scan", "map", "scan", "vectorized_map"]


def scan(
    f: Callable[[Any, Any], tuple[Any, Any]],
    init: Any,
    xs: Any = None,
    length: int | None = None,
    reverse: bool = False,
    unroll: int | bool = 1,
) -> tuple[Any, Any]:
    """``carry, y = f(carry, x)`` for every x along the first axis; gives the last carry and all y, stacked.

    ``init``, ``xs`` and what ``f`` gives may be nested.  Without ``xs`` the loop runs ``length`` times with x None.
    ``reverse`` goes from the last x to the first, each y standing where its x stood.  ``unroll`` is taken and changes
    nothing.   Raises: ConfigError, ShapeError.   Keras: equals its namesake.

    >>> scan(lambda total, x: (total + x, total), 0, [1, 2, 3])
    (tensor(6, dtype=torch.int32), tensor([0, 1, 3], dtype=torch.int32))
    """
    if not callable(f):
        raise ConfigError(f"f must be a function of carry and x, got {f!r}")
    if not isinstance(unroll, bool) and (not isinstance(unroll, int) or unroll < 1):
        raise ConfigError(f"unroll must be a bool or an int >= 1, got {unroll!r}")
    if xs is None and length is None:
        raise ConfigError("scan needs xs to go along, or length=")
    if contains_symbol(init, xs):
        return record_loop(_scan, (f, init, xs, length, reverse), _scan_shapes)
    return _scan(f, init, xs, length, reverse)


def _scan(f: Callable[[Any, Any], Any], init: Any, xs: Any, length: int | None, reverse: bool) -> tuple[Any, Any]:
    carry, xs = map_leaves(tensor, init), _tensors(xs)
    count = _length(xs, length)
    if count == 0:  # nothing to stack: the shapes of one step tell what an empty stack looks like
        one = map_leaves(lambda x: x.new_zeros(x.shape[1:]), xs) if xs is not None else None
        with torch.no_grad():
            y = _step(f, carry, one)[1]
        return carry, map_leaves(lambda leaf: leaf.new_empty((0, *leaf.shape)), y)
    ys = []
    for index in range(count - 1, -1, -1) if reverse else range(count):
        carry, y = _step(f, carry, None if xs is None else map_leaves(lambda x, at=index: x[at], xs))
        ys.append(y)
    if reverse:
        ys.reverse()
    stacked = [torch.stack(same) for same in zip(*(list(leaves(y)) for y in ys))]
    return carry, pack(ys[0], stacked)


_scan.__name__ = "scan"


def _step(f: Callable[[Any, Any], Any], carry: Any, x: Any) -> tuple[Any, Any]:
    """One step; a y of None stands for zeros like the carry, as in Keras."""
    after, y = f(carry, x)
    return after, [torch.zeros_like(leaf) for leaf in leaves(carry)] if y is None else map_leaves(tensor, y)


def _scan_shapes(f: Any, init: Any, xs: Any, length: int | None, reverse: bool) -> Any:  # noqa: ARG001
    carry, xs = map_leaves(tensor, init), _tensors(xs)
    count = _length(xs, length)
    after, y = f(carry, None if xs is None else map_leaves(lambda x: x[0], xs))
    after = map_leaves(result, after)
    require_same(carry, after, "the carry before and after a step")
    y = [torch.zeros_like(leaf) for leaf in leaves(carry)] if y is None else map_leaves(result, y)
    return after, map_leaves(lambda leaf: leaf.expand(count, *leaf.shape), y)


def map(f: Callable[[Any], Any], xs: Any) -> Any:
    """``f`` of every x along the first axis, stacked; one call each, so ``f`` may branch on values.

    Keras: equals its namesake; `vectorized_map` is one call for all.

    >>> map(lambda x: x * 2, [1, 2])
    tensor([2, 4], dtype=torch.int32)
    """
    return scan(lambda carry, x: (carry, f(x)), (), xs)[1]


def vectorized_map(function: Callable[[Any], Any], elements: Any) -> Any:
    """``function`` of every element along the first axis, computed for all at once.

    It must not branch on values; random numbers differ between elements.   Keras: equals its namesake.

    >>> vectorized_map(lambda x: x.sum(), [[1, 2], [3, 4]])
    tensor([3, 7])
    """
    if contains_symbol(elements):
        return record_loop(_vectorized, (function, elements), _vectorized)
    return _vectorized(function, elements)


def _vectorized(function: Callable[[Any], Any], elements: Any) -> Any:
    return torch.vmap(function, randomness="different")(_tensors(elements))


_vectorized.__name__ = "vectorized_map"


def associative_scan(f: Callable[[Any, Any], Any], elems: Any, reverse: bool = False, axis: int = 0) -> Any:
    """All prefixes ``x₁``, ``f(x₁, x₂)``, ``f(f(x₁, x₂), x₃)`` … along ``axis``, in about 2 log n calls of ``f``.

    ``f`` must be associative; it is given many pairs at once, stacked along ``axis``.  ``reverse`` starts at the end.
    Raises: ShapeError if the elements' lengths differ.   Keras: equals its namesake.

    >>> associative_scan(lambda a, b: a + b, [1, 2, 3, 4])
    tensor([ 1,  3,  6, 10], dtype=torch.int32)
    """
    if not callable(f):
        raise ConfigError(f"f must be a function of two elements, got {f!r}")
    if contains_symbol(elems):
        return record_loop(_associative, (f, elems, reverse, axis), _as_elements)
    return _associative(f, elems, reverse, axis)


def _associative(f: Callable[[Any, Any], Any], elems: Any, reverse: bool, axis: int) -> Any:
    structure = _tensors(elems)
    flat = list(leaves(structure))
    axes = [axis % x.ndim if x.ndim else 0 for x in flat]
    lengths = {x.shape[at] for x, at in zip(flat, axes)}
    if len(lengths) != 1:
        raise ShapeError(f"associative_scan: all elements must have one length along axis {axis}, got {lengths}")

    def combine(first: list[Tensor], second: list[Tensor]) -> list[Tensor]:
        return [tensor(leaf) for leaf in leaves(f(pack(structure, first), pack(structure, second)))]

    if reverse:
        flat = [x.flip(at) for x, at in zip(flat, axes)]
    done = _prefixes(combine, flat, axes)
    return pack(structure, [x.flip(at) for x, at in zip(done, axes)] if reverse else done)


def _as_elements(f: Any, elems: Any, reverse: bool, axis: int) -> Any:  # noqa: ARG001
    return _tensors(elems)


_associative.__name__ = "associative_scan"


def _prefixes(
    combine: Callable[[list[Tensor], list[Tensor]], list[Tensor]], elems: list[Tensor], axes: list[int]
) -> list[Tensor]:
    """Prefixes of neighbours joined in pairs are every second prefix; one more call gives those between."""

    def part(values: list[Tensor], start: int, stop: int | None, step: int = 1) -> list[Tensor]:
        return [x[(slice(None),) * at + (slice(start, stop, step),)] for x, at in zip(values, axes)]

    length = elems[0].shape[axes[0]]
    if length < 2:
        return elems
    second = _prefixes(combine, combine(part(elems, 0, length - 1, 2), part(elems, 1, None, 2)), axes)
    first = part(elems, 0, 1)
    if length > 2:
        between = combine(part(second, 0, (length - 1) // 2), part(elems, 2, None, 2))
        first = [torch.cat(pair, at) for pair, at in zip(zip(first, between), axes)]
    paired = [
        torch.stack((a.narrow(at, 0, length // 2), b), at + 1).flatten(at, at + 1)
        for a, b, at in zip(first, second, axes)
    ]
    if length % 2:
        paired = [torch.cat((x, a.narrow(at, length // 2, 1)), at) for x, a, at in zip(paired, first, axes)]
    return paired


def _tensors(structure: Any) -> Any:
    """Tensors for the leaves; a list of plain numbers is one leaf."""
    if structure is None:
        return None
    if isinstance(structure, list | tuple) and structure and _is_array(structure):
        return tensor(structure)
    return map_leaves(tensor, structure)


def _is_array(structure: Any) -> bool:
    if isinstance(structure, list | tuple):
        return bool(structure) and all(_is_array(item) for item in structure)
    return isinstance(structure, bool | int | float | complex)


def _length(xs: Any, length: int | None) -> int:
    if length is not None:
        return int(length)
    sizes = {x.shape[0] if x.ndim else -1 for x in leaves(xs)}
    if len(sizes) != 1 or -1 in sizes:
        raise ShapeError(f"scan: all xs must have one length along the first axis, got {sizes}")
    return sizes.pop()
