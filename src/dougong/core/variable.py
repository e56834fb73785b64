"""A weight in Keras's words: a tensor with a name and a path, that can be read as an array and assigned to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Self, cast

import numpy as np
import torch
from torch import Tensor, nn

from dougong.core import device
from dougong.core.dtypes import torch_dtype
from dougong.core.errors import ConfigError, ShapeError
from dougong.core.layout import IDENTITY, Layout
from dougong.core.names import in_scope, unique_name

__all__ = ["Variable", "VariableKeeper", "View", "as_variable", "is_trainable", "stored", "view_of", "without_values"]


class _Words:
    """What Keras says of a variable, for a tensor that has one."""

    _name: str
    _path: str
    regularizer: Any = None
    constraint: Any = None
    aggregation = "none"  # how processes and gradients meet is torch.distributed's affair
    synchronization = "auto"
    overwrite_with_gradient = False
    autocast = True

    @property
    def name(self) -> str:
        """The weight's own name, as in ``kernel``."""
        return self._name

    @property
    def path(self) -> str:
        """Its layer's name and its own, as in ``dense/kernel``."""
        return self._path

    @property
    def value(self) -> Any:
        """The tensor itself, in Keras's layout; ``value.grad`` is its gradient."""
        return self

    def numpy(self, *, force: bool = False) -> np.ndarray:
        """A copy as an array, which later training does not change."""
        return cast(Tensor, self).detach().cpu().contiguous().as_subclass(Tensor).numpy().copy()

    def assign(self, value: Any) -> Self:
        """Write ``value``, in place and apart from any gradient.   Raises: ShapeError for another shape."""
        own = cast(Tensor, self)
        with torch.no_grad():
            self._write(_fitting(value, own, self._path))
        return self

    def assign_add(self, value: Any) -> Self:
        """Add ``value`` in place."""
        with torch.no_grad():
            return self.assign(cast(Tensor, self) + _as_tensor(value, cast(Tensor, self)))

    def assign_sub(self, value: Any) -> Self:
        """Subtract ``value`` in place."""
        with torch.no_grad():
            return self.assign(cast(Tensor, self) - _as_tensor(value, cast(Tensor, self)))

    def _write(self, value: Tensor) -> None:
        cast(Tensor, self).copy_(value)


class _EitherKind(type(nn.Parameter)):
    """Makes ``isinstance(weight, Variable)`` true of views, too."""

    def __instancecheck__(cls, instance: Any) -> bool:
        return super().__instancecheck__(instance) or (cls is Variable and type(instance) is View)


class Variable(_Words, nn.Parameter, metaclass=_EitherKind):
    """A tensor that a layer or metric keeps: a Parameter, or a Buffer of the module it is assigned to if not trainable.

    ``initializer`` is a value, or a function of shape and dtype; a name of an initializer needs ``shape``, too.
    `torch.autograd.grad` wants the leaves, ``model.parameters()``; after ``loss.backward()``, ``value.grad`` is there.
    Keras: equals ``keras.Variable``.

    >>> total = Variable([1.0, 2.0], trainable=False, name="total")
    >>> total.assign_add([1.0, 1.0]).numpy(), total.shape, total.name
    (array([2., 3.], dtype=float32), torch.Size([2]), 'total')
    """

    named_initializer: ClassVar[Callable[[str], Any]]  # handed over by `dougong.ops.initializers`
    _trainable: bool

    def __new__(
        cls,
        initializer: Any,
        shape: Sequence[int] | None = None,
        dtype: Any = None,
        trainable: bool = True,
        autocast: bool = True,  # noqa: ARG004  torch's autocast asks nobody
        aggregation: str = "none",  # noqa: ARG004  processes are torch.distributed's affair
        synchronization: str = "auto",  # noqa: ARG004
        name: str | None = None,
    ) -> Self:
        data = _initial(initializer, shape, dtype)
        name = name or unique_name("variable")
        return cls.around(data, name, path=in_scope(name), trainable=trainable)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__()

    @classmethod
    def around(cls, data: Tensor, name: str, *, path: str | None = None, trainable: bool = True) -> Self:
        """A variable that holds ``data`` itself."""
        learns = trainable and (data.is_floating_point() or data.is_complex())
        made = Tensor._make_subclass(cls, data, learns)  # type: ignore[attr-defined]
        made._name, made._path, made._trainable = name, path or name, trainable
        return made

    @property
    def trainable(self) -> bool:
        """Whether training changes it."""
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self._trainable = bool(value)
        self.requires_grad_(self._trainable and (self.is_floating_point() or self.is_complex()))

    def __repr__(self) -> str:
        return _shown(self)

    def like(self, data: Tensor) -> Self:
        """A variable of the same name and kind that holds ``data``."""
        return type(self).around(data, self._name, path=self._path, trainable=self._trainable)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        if id(self) not in memo:
            copied = self.like(self.detach().clone(memory_format=torch.preserve_format))
            copied.regularizer, copied.constraint = self.regularizer, self.constraint
            memo[id(self)] = copied.requires_grad_(self.requires_grad)
        return memo[id(self)]

    def __reduce_ex__(self, protocol: Any) -> Any:
        state = (self.data.as_subclass(Tensor), self._name, self._path, self._trainable, self.requires_grad)
        return _rebuilt, state


class View(_Words, Tensor):
    """A weight in Keras's layout, seen through the tensor that a layer stores in torch's.

    Made anew at each access: one kept from before the optimizer gathered the weights in flat tensors has a stale
    content, but ``value``, `numpy`, `assign` and ``grad`` are always the stored tensor's.  Arithmetic is
    differentiable.
    """

    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]
    _stored: Tensor
    _layout: Layout

    @property
    def value(self) -> Any:
        """The weight as it is now, in Keras's layout; ``value.grad`` is its gradient."""
        return view_of(self._stored, self._layout, self._name, self._path)

    def numpy(self, *, force: bool = False) -> np.ndarray:
        return _Words.numpy(self.value, force=force)

    @property
    def trainable(self) -> bool:
        """Whether training changes it."""
        return self._stored.requires_grad

    @property
    def grad(self) -> Tensor | None:  # type: ignore[override]
        """The stored tensor's gradient in Keras's layout."""
        gradient = self._stored.grad
        return None if gradient is None else self._layout.to_keras(gradient)

    def _write(self, value: Tensor) -> None:
        self._stored.copy_(self._layout.from_keras(value))

    def __repr__(self) -> str:
        return _shown(self)

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        return self.detach().as_subclass(Tensor).clone()

    def __reduce_ex__(self, protocol: Any) -> Any:
        return self.detach().as_subclass(Tensor).__reduce_ex__(protocol)


def view_of(tensor: Tensor, layout: Layout, name: str, path: str) -> Any:
    """The weight that ``tensor`` stores as Keras sees it: itself if it is a Variable in Keras's layout, else a View."""
    if type(tensor) is Variable and layout is IDENTITY:
        return tensor
    seen = layout.to_keras(tensor)
    view = (seen.view_as(seen) if seen is tensor else seen).as_subclass(View)
    view._stored, view._layout, view._name, view._path = tensor, layout, name, path
    return view


def as_variable(parameter: Tensor, name: str, path: str) -> None:
    """Let a plain Parameter answer to Keras's words, too; it stays the same object."""
    if type(parameter) is nn.Parameter:
        parameter.__class__ = Variable
        parameter._name, parameter._path, parameter._trainable = name, path, True  # type: ignore[attr-defined]


def is_trainable(tensor: Tensor) -> bool:
    """Whether a stored tensor is one that training may change; freezing its layer does not alter that."""
    return tensor.trainable if type(tensor) is Variable else isinstance(tensor, nn.Parameter)


class VariableKeeper(nn.Module):
    """A module whose variables stay variables when it is moved: torch makes plain tensors of them."""

    def _apply(self, fn: Any, recurse: bool = True) -> Self:
        stores: tuple[dict[str, Any], ...] = (self._parameters, self._buffers)
        before: list[tuple[dict[str, Any], str, Variable]] = [
            (held, name, tensor) for held in stores for name, tensor in held.items() if type(tensor) is Variable
        ]
        super()._apply(fn, recurse)
        for held, name, tensor in before:
            now = held[name]
            if now is not None and type(now) is not Variable:
                held[name] = tensor.like(now.detach()).requires_grad_(tensor.requires_grad)
        return self


def without_values(tensor: Tensor) -> Tensor:
    """A stand-in on the meta device, which has a shape but no numbers; a variable's is a variable."""
    plain = tensor.detach().to("meta")
    return tensor.like(plain) if type(tensor) is Variable else plain


def stored(weight: Tensor) -> tuple[Tensor, Layout]:
    """The live tensor behind a weight, and the layout in which it is stored.

    >>> weight = nn.Parameter(torch.zeros(3, 2)); stored(weight)[0] is weight
    True
    """
    if type(weight) is View:
        return weight._stored, weight._layout
    return weight, IDENTITY


def _rebuilt(data: Tensor, name: str, path: str, trainable: bool, requires_grad: bool) -> Tensor:
    return Variable.around(data, name, path=path, trainable=trainable).requires_grad_(requires_grad)


def _shown(variable: Any) -> str:
    kind = str(variable.dtype).removeprefix("torch.")
    return f"<Variable path={variable.path}, shape={tuple(variable.shape)}, dtype={kind}, value={variable.numpy()}>"


def _initial(initializer: Any, shape: Sequence[int] | None, dtype: Any) -> Tensor:
    """The first value, on the default device."""
    if isinstance(initializer, str):
        initializer = Variable.named_initializer(initializer)
    if callable(initializer) and not isinstance(initializer, Tensor):
        if shape is None:
            raise ConfigError("a Variable made by an initializer needs shape=(…)")
        wanted = torch_dtype(dtype)
        value = torch.as_tensor(initializer(tuple(shape), dtype=wanted), dtype=wanted)
    else:
        value = _plain(initializer, dtype)
        if shape is not None and tuple(shape) != tuple(value.shape):
            raise ShapeError(f"a Variable of shape {tuple(shape)} cannot hold a value of shape {tuple(value.shape)}")
    return value.to(device.default())


def _plain(value: Any, dtype: Any) -> Tensor:
    """A copy of ``value``; Python's numbers become the default float and int32."""
    if isinstance(value, Tensor | np.ndarray | np.generic):
        made = torch.as_tensor(value).detach().clone()
        return made if dtype is None else made.to(torch_dtype(dtype))
    made = torch.tensor(value)
    if dtype is None:
        small = {torch.int64: torch.int32, torch.float32: torch_dtype(None)}
        return made.to(small.get(made.dtype, made.dtype))
    return made.to(torch_dtype(dtype))


def _as_tensor(value: Any, own: Tensor) -> Tensor:
    return torch.as_tensor(value).to(device=own.device, dtype=own.dtype)


def _fitting(value: Any, own: Tensor, path: str) -> Tensor:
    given = _as_tensor(value, own)
    if given.shape != own.shape:
        raise ShapeError(
            f"variable {path!r} has shape {tuple(own.shape)}; a value of {tuple(given.shape)} does not fit"
        )
    return given
