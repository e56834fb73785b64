"""What a layer says of its inputs in advance, to refuse others with a clear message."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dougong.core.config import Configurable
from dougong.core.dtypes import dtype_name, torch_dtype
from dougong.core.errors import ConfigError
from dougong.core.nested import leaves
from dougong.core.symbol import Shape

__all__ = ["InputSpec", "unfit"]

_SHOWN = ("dtype", "shape", "ndim", "max_ndim", "min_ndim", "axes")


class InputSpec(Configurable):
    """The rank, sizes and dtype that an input must have; None, and a None within ``shape``, means any.

    ``axes`` maps an axis to its size.  ``allow_last_axis_squeeze`` lets a last axis of size 1 be there or not.
    ``name`` is the key of this input where inputs come as a dict.  An ``optional`` one may be None.
    A layer that sets ``self.input_spec`` to one, or to a list of them for several inputs, refuses what does not fit.
    Raises: ConfigError for axes that are no ints, or beyond the rank.   Keras: equals ``keras.InputSpec``.

    >>> spec = InputSpec(min_ndim=2, axes={-1: 3}); spec.problem((2, 4), None)
    'expects size 3 on axis -1 but received shape (2, 4)'
    """

    keras_module = "keras"

    def __init__(
        self,
        dtype: Any = None,
        shape: Sequence[int | None] | None = None,
        ndim: int | None = None,
        max_ndim: int | None = None,
        min_ndim: int | None = None,
        axes: Mapping[int, int | None] | None = None,
        allow_last_axis_squeeze: bool = False,
        name: str | None = None,
        optional: bool = False,
    ) -> None:
        self.dtype = None if dtype is None else dtype_name(torch_dtype(dtype))
        self.shape: Shape | None = None if shape is None else tuple(shape)
        self.ndim = ndim if self.shape is None else len(self.shape)
        self.max_ndim = max_ndim
        self.min_ndim = min_ndim
        try:
            self.axes = {int(axis): size for axis, size in (axes or {}).items()}
        except (AttributeError, TypeError, ValueError) as error:
            raise ConfigError(f"axes must map whole numbers to sizes; got {axes!r}") from error
        self.allow_last_axis_squeeze = allow_last_axis_squeeze
        self.name = name
        self.optional = optional
        rank = self.ndim or max_ndim
        if self.axes and rank is not None and max(self.axes) >= rank:
            raise ConfigError(f"axis {max(self.axes)} is beyond the last one of inputs of {rank} axes")

    def problem(self, shape: Shape | None, dtype: Any) -> str | None:
        """Why an input does not fit, None if it does; a ``dtype`` of None is not checked."""
        if shape is None:
            return None if self.optional else "received None; give a tensor, or make the input optional"
        rank, got = len(shape), f"but received shape {tuple(shape)}"
        if self.ndim is not None and rank != self.ndim and not self.allow_last_axis_squeeze:
            return f"expects {self.ndim} axes {got}"
        if self.max_ndim is not None and rank > self.max_ndim:
            return f"expects at most {self.max_ndim} axes {got}"
        if self.min_ndim is not None and rank < self.min_ndim:
            return f"expects at least {self.min_ndim} axes {got}"
        if self.dtype is not None and dtype is not None and dtype_name(dtype) != self.dtype:
            return f"expects {self.dtype} but received {dtype_name(dtype)}"
        for axis, size in self.axes.items():
            if size is not None and shape[axis] not in (size, None):
                return f"expects size {size} on axis {axis} {got}"
        wanted, found = self.shape or (), shape
        if self.allow_last_axis_squeeze:
            wanted, found = (one[:-1] if one and one[-1] == 1 else one for one in (wanted, found))
        if self.shape is not None and any(None not in (m, n) and m != n for m, n in zip(wanted, found)):
            return f"expects shape {self.shape} {got}"
        return None

    def get_config(self) -> dict[str, Any]:
        return {word: getattr(self, word) for word in (*_SHOWN, "optional")}

    def __repr__(self) -> str:
        return f"InputSpec({', '.join(f'{word}={getattr(self, word)}' for word in _SHOWN if getattr(self, word))})"


def unfit(specs: Any, inputs: Any) -> str | None:
    """Why ``inputs``, tensors or symbols, do not fit one `InputSpec` or a list of them; None if they do.

    >>> import torch
    >>> unfit([InputSpec(ndim=2), InputSpec(ndim=1)], [torch.zeros(2, 2), torch.zeros(2, 2)])
    'expects 1 axes but received shape (2, 2) as input 1'
    """
    flat = list(leaves(specs))
    names = [spec.name for spec in flat if spec is not None]
    if isinstance(inputs, dict) and len(names) == len(flat) and all(names):
        missing = [name for name in names if name not in inputs]
        if missing:
            return f"has no input {missing[0]!r} among {sorted(inputs)}; it takes {names}"
        inputs = [inputs[name] for name in names]
    given = list(leaves(inputs))
    if len(given) != len(flat):
        return f"takes {len(flat)} inputs{f' named {names}' if all(names) and names else ''} but received {len(given)}"
    for index, (spec, one) in enumerate(zip(flat, given)):
        shape = None if one is None else getattr(one, "shape", None)
        if one is not None and shape is None:
            return f"takes tensors but received {one!r}"
        problem = spec and spec.problem(None if shape is None else tuple(shape), getattr(one, "dtype", None))
        if problem:
            return problem if len(given) == 1 else f"{problem} as input {index}"
    return None
