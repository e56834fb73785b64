"""Nested structures as Keras's ``tree`` sees them: the keys of a plain dict are in sorted order, None is a leaf.

Elsewhere in Dougong `nested` is used, which keeps the order in which a dict was written.
"""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

__all__ = [
    "MAP_TO_NONE",
    "assert_same_paths",
    "assert_same_structure",
    "flatten",
    "flatten_with_path",
    "is_nested",
    "lists_to_tuples",
    "map_shape_structure",
    "map_structure",
    "map_structure_up_to",
    "pack_sequence_as",
    "traverse",
]


class MAP_TO_NONE:
    """What a function given to `traverse` returns to put None in a place; None itself means "go on below"."""


def is_nested(structure: Any) -> bool:
    """Whether this is a list, tuple or dict.

    >>> is_nested([]), is_nested("ab")
    (True, False)
    """
    return isinstance(structure, list | tuple | dict)


def _items(structure: Any) -> list[tuple[Any, Any]]:
    """The children of one nesting, with the key or index of each."""
    if isinstance(structure, OrderedDict):
        return list(structure.items())
    if isinstance(structure, dict):
        try:
            return [(key, structure[key]) for key in sorted(structure)]
        except TypeError:  # keys of several kinds
            return list(structure.items())
    return list(enumerate(structure))


def _rebuilt(structure: Any, values: dict[Any, Any]) -> Any:
    """The same nesting with other children."""
    if isinstance(structure, defaultdict):
        return defaultdict(structure.default_factory, {key: values[key] for key in structure})
    if isinstance(structure, dict):
        return type(structure)((key, values[key]) for key in structure)
    children = [values[index] for index in range(len(structure))]
    return type(structure)(*children) if hasattr(structure, "_fields") else type(structure)(children)


def flatten(structure: Any) -> list[Any]:
    """The leaves.

    >>> flatten({"b": 1, "a": [2, None]})
    [2, None, 1]
    """
    return [leaf for _, leaf in flatten_with_path(structure)]


def flatten_with_path(structure: Any) -> list[tuple[tuple[Any, ...], Any]]:
    """The leaves, each with the keys and indices that lead to it.

    >>> flatten_with_path({"b": 1, "a": [2]})
    [(('a', 0), 2), (('b',), 1)]
    """

    def walk(node: Any, path: tuple[Any, ...]) -> Iterator[tuple[tuple[Any, ...], Any]]:
        if is_nested(node):
            for key, child in _items(node):
                yield from walk(child, (*path, key))
        else:
            yield path, node

    return list(walk(structure, ()))


def map_structure(func: Callable[..., Any], *structures: Any, none_is_leaf: bool = True) -> Any:
    """``func`` of the leaves at the same place of all ``structures``; with ``none_is_leaf=False`` None stays None.

    Raises: ValueError or TypeError if they do not nest alike.

    >>> map_structure(lambda a, b: a + b, {"x": 1, "y": (2,)}, {"x": 10, "y": (20,)})
    {'x': 11, 'y': (22,)}
    """
    if not callable(func):
        raise TypeError(f"map_structure takes a function first, got {func!r}")
    if not structures:
        raise ValueError("map_structure needs at least one structure")
    for other in structures[1:]:
        assert_same_structure(structures[0], other)
    if none_is_leaf:
        return _map_together(func, structures, is_nested)
    return _map_together(lambda *leaves: None if leaves[0] is None else func(*leaves), structures, is_nested)


def map_structure_up_to(shallow_structure: Any, func: Callable[..., Any], *structures: Any) -> Any:
    """``func`` of what stands in ``structures`` where ``shallow_structure`` has its leaves.

    >>> map_structure_up_to([0, 0], len, [[1, 2], [3]])
    [2, 1]
    """
    if not structures:
        raise ValueError("map_structure_up_to needs at least one structure")
    return _map_together(lambda _, *rest: func(*rest), (shallow_structure, *structures), is_nested)


def _map_together(func: Callable[..., Any], structures: Sequence[Any], nests: Callable[[Any], bool]) -> Any:
    first = structures[0]
    if not nests(first):
        return func(*structures)
    _assert_alike(*structures)
    columns = [dict(_items(one)) for one in structures]
    values = {key: _map_together(func, [column[key] for column in columns], nests) for key in columns[0]}
    return _rebuilt(first, values)


def _assert_alike(*structures: Any) -> None:
    first = structures[0]
    for other in structures[1:]:
        if not is_nested(other) or isinstance(first, dict) != isinstance(other, dict):
            raise ValueError(f"structures do not nest alike: {first!r} and {other!r}")
        if {key for key, _ in _items(first)} != {key for key, _ in _items(other)}:
            raise ValueError(f"structures have other keys or lengths: {first!r} and {other!r}")


def map_shape_structure(func: Callable[[Any], Any], structure: Any) -> Any:
    """``func`` of every shape, a list or tuple of sizes and None, in a structure.

    >>> map_shape_structure(len, {"a": (None, 3), "b": [(1,), (2, 2)]})
    {'a': 2, 'b': [1, 2]}
    """
    return _map_together(func, (structure,), lambda node: is_nested(node) and not _is_shape(node))


def _is_shape(node: Any) -> bool:
    return isinstance(node, list | tuple) and all(size is None or isinstance(size, int) for size in node)


def assert_same_structure(a: Any, b: Any, check_types: Any = None) -> None:  # noqa: ARG001  Keras ignores it, too
    """Raises ValueError unless both nest alike, with the same types, lengths and keys.

    >>> assert_same_structure([1, (2,)], [3, (4,)])
    """
    if is_nested(a) != is_nested(b):
        raise ValueError(f"structures do not nest alike: {a!r} and {b!r}")
    if not is_nested(a):
        return
    both_dicts = isinstance(a, dict) and isinstance(b, dict)
    if type(a) is not type(b) and not both_dicts:
        raise ValueError(f"structures have other types: {type(a).__name__} and {type(b).__name__}")
    _assert_alike(a, b)
    others = dict(_items(b))
    for key, child in _items(a):
        assert_same_structure(child, others[key])


def assert_same_paths(a: Any, b: Any) -> None:
    """Raises ValueError unless the same keys lead to leaves in both, whatever kinds of nesting they are.

    >>> assert_same_paths([1, 2], (3, 4))
    """
    first, second = ({path for path, _ in flatten_with_path(one)} for one in (a, b))
    if first != second:
        raise ValueError(f"`a` and `b` don't have the same paths: {sorted(map(str, first ^ second))} are in one only")


def pack_sequence_as(structure: Any, flat_sequence: Iterable[Any]) -> Any:
    """The nesting of ``structure`` with leaves from ``flat_sequence``, in the order of `flatten`.

    >>> pack_sequence_as({"b": 0, "a": [0]}, [1, 2])
    {'b': 2, 'a': [1]}
    """
    flat = list(flat_sequence)
    wanted = len(flatten(structure))
    if len(flat) != wanted:
        raise ValueError(f"the structure has {wanted} leaves, the sequence {len(flat)}")
    source = iter(flat)
    return _map_together(lambda _: next(source), (structure,), is_nested)


def traverse(func: Callable[[Any], Any], structure: Any, top_down: bool = True) -> Any:
    """``func`` of every nesting and leaf; what it returns, unless None, stands in its place (`MAP_TO_NONE`: None).

    From the top down what is put in place of a nesting is not entered; from the bottom up children come first.

    >>> traverse(lambda node: tuple(node) if isinstance(node, list) else None, [1, [2]], top_down=False)
    (1, (2,))
    """
    if top_down:
        put = func(structure)
        if put is not None:
            return None if put is MAP_TO_NONE else put
    result = structure
    if is_nested(structure):
        result = _rebuilt(structure, {key: traverse(func, child, top_down) for key, child in _items(structure)})
    if not top_down:
        put = func(result)
        if put is not None:
            return None if put is MAP_TO_NONE else put
    return result


def lists_to_tuples(structure: Any) -> Any:
    """The same structure with tuples in place of lists.

    >>> lists_to_tuples([1, {"a": [2]}])
    (1, {'a': (2,)})
    """
    return traverse(lambda node: tuple(node) if isinstance(node, list) else None, structure, top_down=False)
