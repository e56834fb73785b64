"""From what inputs a symbol is made."""

from __future__ import annotations

from typing import Any

from dougong.core.errors import BuildError
from dougong.core.nested import leaves
from dougong.core.symbol import Symbol, in_order

__all__ = ["get_source_inputs"]


def get_source_inputs(tensor: Any) -> list[Symbol]:
    """The inputs that a symbol, or a structure of symbols, depends on; those that come first, first.

    Raises: BuildError for a tensor with values, which no graph made.   Keras: equals ``keras.utils.get_source_inputs``.

    >>> from dougong.core.symbol import Input
    >>> a, b = Input((2,), name="a"), Input((2,), name="b")
    >>> [symbol.name for symbol in get_source_inputs(a * 2 + b)]
    ['a', 'b']
    """
    symbols = list(leaves(tensor))
    wrong = [leaf for leaf in symbols if not isinstance(leaf, Symbol)]
    if wrong:
        raise BuildError(f"a {type(wrong[0]).__name__} was made from no inputs; give a symbol, from dg.Input(…)")
    return [node.outputs for node in in_order(symbols) if node.target is None]
