"""Branches and loops that work on values and on symbols.

On symbols a loop is one node of the graph: its body runs once on stand-ins, so that shapes are known, and in full when
the model runs.  A body must take what it needs as loop variables: a symbol from outside has no value in there.
Source: Keras 3 semantics.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor

from dougong.core.errors import BuildError, ConfigError, ShapeError
from dougong.core.nested import leaves, map_leaves, same_structure
from dougong.core.symbol import Symbol, contains_symbol
from dougong.ops.op import tensor
from dougong.ops.symbolic_calls import record_call

__all__ = ["cond", "fori_loop", "record_loop", "require_same", "result", "switch", "while_loop"]


def cond(pred: Any, true_fn: Callable[[], Any], false_fn: Callable[[], Any]) -> Any:
    """``true_fn()`` if ``pred`` else ``false_fn()``.

    For a symbol both branches are recorded, which may use other symbols, and one result is passed on when the model
    runs; they must have one structure, shape and dtype.   Raises: ShapeError.   Keras: equals its namesake.

    >>> cond(True, lambda: 1, lambda: 2)
    1
    """
    if not isinstance(pred, Symbol):
        return true_fn() if pred else false_fn()
    first, second = (map_leaves(_value, branch()) for branch in (true_fn, false_fn))
    require_same(first, second, "cond's two branches")
    return record_call(_chosen, (pred, first, second), {}, shapes=_first_branch)


def _chosen(pred: Tensor, first: Any, second: Any) -> Any:
    return first if bool(pred) else second


def _first_branch(pred: Tensor, first: Any, second: Any) -> Any:  # noqa: ARG001
    return first


_chosen.__name__ = "cond"


def switch(index: Any, branches: Sequence[Callable[..., Any]], *operands: Any) -> Any:
    """``branches[index](*operands)``; an index beyond the ends means the first or last branch.

    Keras: equals its namesake.

    >>> switch(1, [lambda x: x + 1, lambda x: x * 10], 3)
    30
    """
    if not branches:
        raise ConfigError("switch needs at least one branch")
    if contains_symbol(index, operands):
        return record_loop(_switch, (index, branches, *operands), _switch_shapes)
    return _switch(index, branches, *operands)


def _switch(index: Any, branches: Sequence[Callable[..., Any]], *operands: Any) -> Any:
    return branches[min(max(int(index), 0), len(branches) - 1)](*operands)


def _switch_shapes(index: Any, branches: Sequence[Callable[..., Any]], *operands: Any) -> Any:  # noqa: ARG001
    results = [map_leaves(result, branch(*operands)) for branch in branches]
    for other in results[1:]:
        require_same(results[0], other, "switch's branches")
    return results[0]


_switch.__name__ = "switch"


def while_loop(
    cond: Callable[..., Any], body: Callable[..., Any], loop_vars: Any, maximum_iterations: int | None = None
) -> Any:
    """``loop_vars = body(*loop_vars)`` while ``cond(*loop_vars)``, at most ``maximum_iterations`` times.

    A tuple or list of variables gives a tuple, anything else a single one.   Keras: equals its namesake.

    >>> while_loop(lambda i: i < 10, lambda i: i + 3, 0)
    tensor(12, dtype=torch.int32)
    """
    if contains_symbol(loop_vars):
        return record_loop(_while, (cond, body, loop_vars, maximum_iterations), _while_shapes)
    return _while(cond, body, loop_vars, maximum_iterations)


def _while(cond: Callable[..., Any], body: Callable[..., Any], loop_vars: Any, most: int | None) -> Any:
    several = isinstance(loop_vars, list | tuple)
    values = map_leaves(tensor, tuple(loop_vars) if several else (loop_vars,))
    count = 0
    while cond(*values) and (most is None or count < most):
        values = _as_tuple(body(*values))
        count += 1
    return values if several else values[0]


def _while_shapes(cond: Any, body: Callable[..., Any], loop_vars: Any, most: int | None) -> Any:  # noqa: ARG001
    several = isinstance(loop_vars, list | tuple)
    values = map_leaves(tensor, tuple(loop_vars) if several else (loop_vars,))
    require_same(values, map_leaves(result, _as_tuple(body(*values))), "the loop variables before and after the body")
    return values if several else values[0]


_while.__name__ = "while_loop"


def fori_loop(lower: Any, upper: Any, body_fun: Callable[[int, Any], Any], init_val: Any) -> Any:
    """``value = body_fun(i, value)`` for i from ``lower`` to ``upper - 1``.   Keras: equals its namesake.

    >>> fori_loop(0, 4, lambda i, total: total + i, 0)
    6
    """
    if contains_symbol(lower, upper, init_val):
        return record_loop(_fori, (lower, upper, body_fun, init_val), _fori_shapes)
    return _fori(lower, upper, body_fun, init_val)


def _fori(lower: Any, upper: Any, body_fun: Callable[[int, Any], Any], init_val: Any) -> Any:
    value = init_val
    for index in range(int(lower), int(upper)):
        value = body_fun(index, value)
    return value


def _fori_shapes(lower: Any, upper: Any, body_fun: Callable[[int, Any], Any], init_val: Any) -> Any:  # noqa: ARG001
    first = map_leaves(tensor, init_val)
    after = map_leaves(result, body_fun(0 if isinstance(lower, Tensor) else int(lower), first))
    require_same(first, after, "the value before and after body_fun")
    return first


_fori.__name__ = "fori_loop"


def _as_tuple(values: Any) -> tuple[Any, ...]:
    return tuple(values) if isinstance(values, list | tuple) else (values,)


def _value(leaf: Any) -> Any:
    return leaf if isinstance(leaf, Symbol) else tensor(leaf)


def record_loop(function: Callable[..., Any], args: tuple[Any, ...], shapes: Callable[..., Any]) -> Any:
    """`record_call` of a function that takes bodies.   Raises: BuildError if a body needs a symbol from outside."""
    try:
        return record_call(function, args, {}, shapes=shapes)
    except (ShapeError, BuildError) as error:
        bodies = [leaf for leaf in leaves(args) if callable(leaf)]
        cells = [cell.cell_contents for body in bodies for cell in getattr(body, "__closure__", None) or ()]
        outside = [one for one in leaves(cells) if isinstance(one, Symbol)]
        if not outside:
            raise
        raise BuildError(
            f"the body of {function.__name__} uses symbol {outside[0].name!r} from outside, which has no value"
            " in there; hand it over as a loop variable or operand"
        ) from error


def result(leaf: Any) -> Any:
    """What a body gave, as a tensor.   Raises: BuildError for a symbol, which has no value; see `record_loop`."""
    if isinstance(leaf, Symbol):
        raise BuildError(f"the body gave symbol {leaf.name!r}")
    return tensor(leaf)


def require_same(first: Any, second: Any, what: str) -> None:
    """Raises: ShapeError unless both structures have the same leaves, by shape and dtype."""
    alike = same_structure(first, second) and all(
        tuple(a.shape) == tuple(b.shape) and a.dtype == b.dtype for a, b in zip(leaves(first), leaves(second))
    )
    if not alike:
        shown = [map_leaves(lambda leaf: f"{leaf.dtype} {tuple(leaf.shape)}", one) for one in (first, second)]
        raise ShapeError(f"{what} differ in structure, shape or dtype: {shown[0]} and {shown[1]}; make them alike")
