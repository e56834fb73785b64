"""A symbol stands for a tensor that is not there yet; what is applied to it, layer or torch function, is recorded."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dougong.core.dtypes import torch_dtype
from dougong.core.errors import BuildError, NotOfferedError, ShapeError
from dougong.core.names import unique_name
from dougong.core.nested import leaves, map_leaves
from dougong.core.text import STRING, StringType

__all__ = ["Input", "Node", "Shape", "Symbol", "contains_symbol", "in_order", "infer_outputs", "record"]

Shape = tuple[int | None, ...]

# Unknown axes are run at two sizes; what changes between the runs is unknown in the result too.  Both sizes divide by
# every power of two and by 3, 5 and 7 that networks stride or split by.
_SIZES = (1680, 3360)


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
        return (leaf for leaf in leaves((self.args, self.kwargs)) if isinstance(leaf, Symbol))


class Symbol:
    """A placeholder tensor: ``shape`` with None for unknown axes, ``dtype``, the ``node`` that makes it, its ``mask``.

    Any torch function, method or operator works on it, so ``x * 2 + 1`` and ``torch.mean(x, 1)`` need no layer.
    Keras: as ``keras.KerasTensor``; ``dtype`` may be given by name, and is torch's.

    >>> x = Input((28, 28, 3))
    >>> torch.mean(x * 2 + 1, dim=(1, 2)).shape
    (None, 3)
    """

    __slots__ = ("dtype", "mask", "name", "node", "shape")
    sparse = ragged = False
    ragged_rank = row_splits_dtype = None
    record_history = True

    def __init__(
        self,
        shape: Sequence[int | None],
        dtype: Any = torch.float32,
        sparse: bool = False,
        ragged: bool = False,
        record_history: bool = True,
        name: str | None = None,
        *,
        node: Node | None = None,
    ) -> None:
        _refuse_sparse(sparse, ragged)
        self.shape: Shape = tuple(None if size is None else int(size) for size in shape)
        self.dtype: Any = dtype if isinstance(dtype, torch.dtype | StringType) else torch_dtype(dtype)
        self.name = name or "symbol"
        self.mask: Symbol | None = None
        if node is None:
            node = Node(None, (), {})
            node.outputs = self
        self.node: Node = node

    @classmethod
    def __torch_function__(
        cls, function: Callable[..., Any], types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        if kwargs and kwargs.get("training"):
            raise BuildError(
                f"torch's {getattr(function, '__name__', function)} with training=True was applied to a symbol: its"
                " state would be lost. Wrap the torch module: dg.layers.TorchModuleWrapper(module)(x)."
            )
        return record(function, tuple(args), kwargs or {})

    @property
    def ndim(self) -> int:
        return len(self.shape)

    def dim(self) -> int:
        return len(self.shape)

    def size(self, axis: int | None = None) -> Any:
        return self.shape if axis is None else self.shape[axis]

    def __len__(self) -> int:
        if not self.shape or self.shape[0] is None:
            raise ShapeError(f"the length of symbol {self.name!r} of shape {self.shape} is not known yet")
        return self.shape[0]

    def reshape(self, *newshape: Any) -> Any:
        """The same values in another shape, batch axis included; -1 stands for what is left."""
        return record(Tensor.reshape, (self, *newshape), {})

    def squeeze(self, axis: Any = None) -> Any:
        """Without its axes of length 1, or without those of ``axis``."""
        return record(Tensor.squeeze, (self,) if axis is None else (self, axis), {})

    def __repr__(self) -> str:
        return f"<Symbol {self.name!r} shape={self.shape} dtype={str(self.dtype).removeprefix('torch.')}>"

    def __iter__(self) -> Iterator[Symbol]:
        return (record(operator.getitem, (self, index), {}) for index in range(len(self)))

    def __bool__(self) -> bool:
        raise BuildError(
            f"symbol {self.name!r} has no value yet, so Python cannot branch on it; use torch.where, or put the branch"
            " into a layer's call()"
        )

    def _no_value(self, *args: Any, **kwargs: Any) -> Any:
        raise BuildError(
            f"symbol {self.name!r} has no value yet, so it cannot become a number or an array; use torch or dg.ops"
            " functions on it, or put the code into a layer's call()"
        )

    __array__ = __float__ = __int__ = _no_value
    __array_ufunc__ = None  # so that ``array + symbol`` asks the symbol

    def __getattr__(self, name: str) -> Any:
        method = None if name.startswith("__") else getattr(Tensor, name, None)
        if method is None or isinstance(method, property):
            raise AttributeError(f"a Symbol has no attribute {name!r}")
        if not callable(method):
            return record(getattr, (self, name), {})
        return lambda *args, **kwargs: record(method, (self, *args), kwargs)

    __hash__ = object.__hash__


def _binary(function: Callable[..., Any], *, reflected: bool = False) -> Callable[[Symbol, Any], Any]:
    def apply(self: Symbol, other: Any) -> Any:
        if isinstance(other, np.ndarray | np.generic):
            other = other.item() if other.ndim == 0 else torch.as_tensor(other)
        return record(function, (other, self) if reflected else (self, other), {})

    return apply


def _unary(function: Callable[..., Any]) -> Callable[[Symbol], Any]:
    return lambda self: record(function, (self,), {})


for _name in ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul", "and_", "or_", "xor"):
    _function = getattr(operator, _name)
    _plain = _name.rstrip("_")
    setattr(Symbol, f"__{_plain}__", _binary(_function))
    setattr(Symbol, f"__r{_plain}__", _binary(_function, reflected=True))
for _name in ("lt", "le", "gt", "ge", "eq", "ne", "getitem"):
    setattr(Symbol, f"__{_name}__", _binary(getattr(operator, _name)))
for _name in ("neg", "abs", "invert"):
    setattr(Symbol, f"__{_name}__", _unary(getattr(operator, _name)))
Symbol.__round__ = lambda self, ndigits=0: record(torch.round, (self,), {"decimals": ndigits})  # type: ignore[attr-defined]


def _refuse_sparse(sparse: Any, ragged: Any) -> None:
    if sparse or ragged:
        kind = "sparse" if sparse else "ragged"
        raise NotOfferedError(f"{kind} tensors are not part of Dougong: give dense ones, padded and with a mask")


def Input(
    shape: Sequence[int | None] | None = None,
    batch_size: int | None = None,
    dtype: str | torch.dtype | StringType | None = None,
    sparse: bool | None = None,
    ragged: bool | None = None,
    batch_shape: Sequence[int | None] | None = None,
    name: str | None = None,
    tensor: Symbol | None = None,
    optional: bool = False,
) -> Symbol:
    """A symbol for data of ``shape`` (without the batch axis); ``dtype="string"`` is text.

    ``tensor``, a symbol that is there already, is given back as it is.   Raises: NotOfferedError for ``sparse``,
    ``ragged`` and ``optional`` inputs.   Keras: equals ``keras.Input`` otherwise.

    >>> Input((3,), name="x")
    <Symbol 'x' shape=(None, 3) dtype=float32>
    """
    _refuse_sparse(sparse, ragged)
    if optional:
        raise NotOfferedError("inputs that may be None are not part of Dougong: make a model for each case")
    if tensor is not None:
        if not isinstance(tensor, Symbol):
            raise BuildError(f"Input(tensor=…) takes a symbol, from Input or from a layer; got {tensor!r}")
        return tensor
    if batch_shape is None:
        if shape is None:
            raise BuildError("Input needs shape=(…) without the batch axis, or batch_shape=(…) with it")
        if isinstance(shape, int):
            raise ShapeError(f"Input's shape must be a tuple, got {shape}; write Input(({shape},))")
        batch_shape = (batch_size, *shape)
    kind = STRING if str(dtype) == "string" else torch_dtype(dtype)
    return Symbol(batch_shape, kind, name=name or unique_name("input_layer"))


def contains_symbol(*structures: Any) -> bool:
    """Whether a nested structure holds a symbol."""
    return any(isinstance(leaf, Symbol) for leaf in leaves(structures))


def record(
    target: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any], *, outputs: Any = None, name: str | None = None
) -> Any:
    """Note that ``target`` is applied to ``args``, and give the symbols that come out.

    ``outputs``, if the caller knows them, is a structure of symbols; otherwise shapes are found on the meta device.
    """
    node = Node(target, args, kwargs)
    if outputs is None:
        outputs = infer_outputs(target, args, kwargs)
    label = name or unique_name(getattr(target, "__name__", "value").strip("_"))

    def own(leaf: Any) -> Any:
        if isinstance(leaf, Symbol):
            leaf.node = node
            leaf.name = label
        return leaf

    node.outputs = map_leaves(own, outputs)
    return node.outputs


def infer_outputs(function: Callable[..., Any], args: Any, kwargs: Mapping[str, Any], device: str = "meta") -> Any:
    """Symbols of the shapes and dtypes that ``function`` gives, from runs on stand-in tensors of two sizes."""
    known = all(None not in leaf.shape for leaf in leaves((args, dict(kwargs))) if isinstance(leaf, Symbol))
    sizes = _SIZES if device == "meta" else (2, 4)
    runs = [_run(function, args, kwargs, size, device) for size in (sizes[:1] if known else sizes)]
    flat = [list(leaves(run)) for run in runs]
    symbols = iter([_symbol_from(*same) for same in zip(*flat)])
    return map_leaves(lambda _: next(symbols), runs[0])


def _run(function: Callable[..., Any], args: Any, kwargs: Mapping[str, Any], size: int, device: str) -> Any:
    def stand_in(leaf: Any) -> Any:
        if isinstance(leaf, Symbol):
            if leaf.dtype is STRING:
                raise ShapeError(f"{leaf.name!r} is text; apply TextVectorization, StringLookup or Hashing to it first")
            return torch.zeros([size if n is None else n for n in leaf.shape], dtype=leaf.dtype, device=device)
        return leaf.to(device) if isinstance(leaf, Tensor) else leaf

    try:
        with torch.no_grad():
            return function(*map_leaves(stand_in, tuple(args)), **map_leaves(stand_in, dict(kwargs)))
    except BuildError:
        raise  # a function that needs values, and says so
    except (RuntimeError, TypeError, ValueError, IndexError) as error:
        shapes = ", ".join(str(leaf.shape) for leaf in leaves((args, dict(kwargs))) if isinstance(leaf, Symbol))
        name = getattr(function, "__name__", type(function).__name__)
        raise ShapeError(f"{name} cannot be applied to inputs of shape {shapes}: {error}") from error


def _symbol_from(*runs: Any) -> Any:
    first, last = runs[0], runs[-1]
    if not isinstance(first, Tensor):
        return first
    shape = [a if a == b else None for a, b in zip(first.shape, last.shape, strict=True)]
    return Symbol(shape, first.dtype, name="value")


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
