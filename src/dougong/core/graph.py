"""The record of what was applied to symbols: nodes, their order, and nested structures of symbols."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dougong.core.symbol import Symbol

__all__ = ["Node", "in_order", "leaves", "map_leaves", "pack"]


class Node:
    """One application of ``target``, a layer or a function, to arguments that hold symbols.

    ``outputs`` is the structure of symbols that came out; an input node has no target.
    """

    __slots__ = ("__weakref__", "args", "kwargs", "outputs", "target")

    def __init__(self, target: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        self.target = target
        self.args = args
        self.kwargs = dict(kwargs)
        self.outputs: Any = None

    def inputs(self) -> Iterator[Symbol]:
        """The symbols that the call takes."""
        from dougong.core.symbol import Symbol  # lazy: symbol imports graph

        return (leaf for leaf in leaves((self.args, self.kwargs)) if isinstance(leaf, Symbol))


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


def in_order(outputs: Iterable[Symbol], inputs: Iterable[Symbol] = ()) -> list[Node]:
    """The nodes that make ``outputs``, each after the ones it needs; the search stops at ``inputs``."""
    stop = {id(symbol) for symbol in inputs}
    done: set[int] = set()
    order: list[Node] = []
    stack: list[tuple[Node, bool]] = [
        (symbol.node, False) for symbol in reversed(list(outputs)) if id(symbol) not in stop
    ]
    while stack:
        node, ready = stack.pop()
        if id(node) in done:
            continue
        if ready:
            done.add(id(node))
            order.append(node)
            continue
        stack.append((node, True))
        needed = [symbol for symbol in node.inputs() if id(symbol) not in stop]
        stack.extend((symbol.node, False) for symbol in reversed(needed) if id(symbol.node) not in done)
    return order
