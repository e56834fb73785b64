"""Nested structures: tuples, lists and dicts of symbols, tensors or arrays, and their leaves."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

__all__ = ["is_nested", "leaves", "map_leaves", "map_named", "named_leaves", "pack", "same_structure"]


def leaves(structure: Any) -> Iterator[Any]:
    """The leaves of nested tuples, lists and dicts, in order.

    >>> list(leaves({"a": (1, 2), "b": [3]}))
    [1, 2, 3]
    """
    if isinstance(structure, tuple | list):
        for item in structure:
            yield from leaves(item)
    elif isinstance(structure, dict):
        for item in structure.values():
            yield from leaves(item)
    else:
        yield structure


def map_leaves(function: Callable[[Any], Any], structure: Any) -> Any:
    """The same nesting with ``function`` applied to every leaf.

    >>> map_leaves(lambda n: n + 1, {"a": (1, 2)})
    {'a': (2, 3)}
    """
    if isinstance(structure, tuple | list):
        items = [map_leaves(function, item) for item in structure]
        if hasattr(structure, "_fields"):
            return type(structure)(*items)
        return tuple(items) if isinstance(structure, tuple) else items
    if isinstance(structure, dict):
        return {key: map_leaves(function, item) for key, item in structure.items()}
    return function(structure)


def pack(structure: Any, flat: Iterable[Any]) -> Any:
    """The nesting of ``structure`` filled from ``flat``, in the order of `leaves`."""
    source = iter(flat)
    return map_leaves(lambda _: next(source), structure)


def is_nested(structure: Any) -> bool:
    """Whether this is a list, tuple or dict of arrays rather than one array."""
    return isinstance(structure, list | tuple | Mapping)


def _children(structure: Any) -> list[tuple[str, Any]]:
    if isinstance(structure, Mapping):
        return [(f"[{key!r}]", value) for key, value in structure.items()]
    return [(f"[{index}]", value) for index, value in enumerate(structure)]


def named_leaves(structure: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Every leaf that is not None, with its name as one would write it in Python.

    >>> list(named_leaves({"age": 1, "sizes": [2, None]}, "x"))
    [("x['age']", 1), ("x['sizes'][0]", 2)]
    """
    if is_nested(structure):
        for suffix, child in _children(structure):
            yield from named_leaves(child, name + suffix)
    elif structure is not None:
        yield name, structure


def map_named(function: Callable[[str, Any], Any], structure: Any, name: str = "") -> Any:
    """The same structure with ``function(name, leaf)`` in place of each leaf; None stays None.

    >>> map_named(lambda name, leaf: leaf + 1, {"a": (1, None)})
    {'a': (2, None)}
    """
    if structure is None:
        return None
    if not is_nested(structure):
        return function(name, structure)
    mapped = [map_named(function, child, name + suffix) for suffix, child in _children(structure)]
    if isinstance(structure, Mapping):
        return dict(zip(structure, mapped))
    if isinstance(structure, list):
        return mapped
    return type(structure)(*mapped) if hasattr(structure, "_fields") else tuple(mapped)


def same_structure(one: Any, other: Any) -> bool:
    """Whether both nest alike (a list and a tuple count as alike), whatever their leaves.

    >>> same_structure([1, {"a": 2}], (3, {"a": None})), same_structure([1], [1, 2])
    (True, False)
    """
    if not is_nested(one) or not is_nested(other):
        return is_nested(one) == is_nested(other)
    if isinstance(one, Mapping) != isinstance(other, Mapping) or len(one) != len(other):
        return False
    if isinstance(one, Mapping):
        return one.keys() == other.keys() and all(same_structure(one[key], other[key]) for key in one)
    return all(same_structure(a, b) for a, b in zip(one, other))
