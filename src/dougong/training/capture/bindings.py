"""The cheapest way to call a kernel from Python.

``torch.addmm`` costs less than ``torch.ops.aten.addmm``, which matters when the kernel itself takes a microsecond; but
a binding chooses among overloads, and fills in defaults, by itself (``binary_cross_entropy`` fills in a wrong one).  So
a candidate is tried under a mode that stops the call and tells what it came to: it is taken only if that is the
overload recorded, with the same arguments.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from types import FunctionType
from typing import Any

import torch
from torch._ops import OpOverload
from torch.utils._python_dispatch import TorchDispatchMode

from dougong.training.capture.recording import Value, replaced

__all__ = ["Bindings", "out_overload"]


@functools.cache
def out_overload(overload: OpOverload, device_type: str) -> tuple[OpOverload, tuple[str, ...]] | None:
    """The variant of a kernel that writes into given tensors, and the names of those arguments; None if there is none
    that saves an allocation: those that PyTorch generates compute as before and copy.

    >>> out_overload(torch.ops.aten.tanh_backward.default, "cpu")[1]
    ('grad_input',)
    >>> out_overload(torch.ops.aten.convolution.default, "cpu") is None
    True
    """
    packet = overload.overloadpacket
    plain = [(a.name, str(a.type)) for a in overload._schema.arguments]
    for name in packet.overloads():
        candidate: OpOverload = getattr(packet, name)
        arguments = candidate._schema.arguments
        outs = tuple(a.name for a in arguments if a.is_out)
        if not outs or torch.Tag.generated in candidate.tags:
            continue
        if [(a.name, str(a.type)) for a in arguments if not a.is_out] != plain:
            continue
        if torch._C._dispatch_has_computed_kernel_for_dispatch_key(candidate.name(), device_type.upper()):
            return candidate, outs
    return None


class Bindings:
    """Finds and remembers the callable for each overload and kind of arguments."""

    def __init__(self) -> None:
        self._known: dict[tuple[OpOverload, str], Callable[..., Any]] = {}
        self._stand_ins: dict[Any, torch.Tensor] = {}

    def find(self, overload: OpOverload, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Callable[..., Any]:
        """A callable that, with these arguments (Values for tensors), calls ``overload`` with them and nothing else.

        What was found holds for arguments of the same kinds: which are given, and the type of each.
        """
        key = (overload, f"{_kinds(args)}{_kinds(kwargs)}")
        if key not in self._known:
            given, named = self._with_stand_ins(args), self._with_stand_ins(kwargs)
            found = (c for c in _candidates(overload) if _same_call(c, overload, given, named))
            self._known[key] = next(found, overload._op)
        return self._known[key]

    def _with_stand_ins(self, tree: Any) -> Any:
        """Tensors without memory in the place of Values; the mode stops the call before any kernel sees them."""

        def stand_in(value: Value) -> torch.Tensor:
            key = (value.shape, value.stride, value.dtype)
            if key not in self._stand_ins:
                made = torch.empty_strided(value.shape, value.stride, dtype=value.dtype, device="meta")
                self._stand_ins[key] = made
            return self._stand_ins[key]

        return replaced(tree, Value, stand_in)


def _kinds(tree: Any) -> str:
    if isinstance(tree, tuple | list):
        return f"[{','.join(_kinds(item) for item in tree)}]"
    if isinstance(tree, dict):
        return f"[{','.join(f'{name}={_kinds(item)}' for name, item in tree.items())}]"
    return type(tree).__name__


def _candidates(overload: OpOverload) -> Iterator[Callable[..., Any]]:
    name = overload._schema.name.partition("::")[2]
    native = [getattr(torch._C, module) for module in ("_nn", "_linalg", "_special", "_fft")]
    for owner in (torch, torch.Tensor, *native):
        candidate = getattr(owner, name, None)
        if callable(candidate) and not isinstance(candidate, FunctionType):
            yield candidate


class _ReachedError(Exception):
    """Carries what a call came to out of PyTorch."""

    def __init__(self, overload: OpOverload, arguments: dict[str, Any]) -> None:
        super().__init__()
        self.overload, self.arguments = overload, arguments


class _Stop(TorchDispatchMode):
    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # as in the recorder: the wrapper would import torch._dynamo

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        raise _ReachedError(func, _complete(func, args, kwargs or {}))


def _same_call(
    candidate: Callable[..., Any], overload: OpOverload, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> bool:
    try:
        with torch.inference_mode(), _Stop():
            candidate(*args, **kwargs)
    except _ReachedError as reached:
        return reached.overload is overload and _alike(reached.arguments, _complete(overload, args, kwargs))
    except (TypeError, RuntimeError, ValueError, NotImplementedError):
        return False
    return False


def _complete(overload: OpOverload, args: Sequence[Any], kwargs: dict[str, Any]) -> dict[str, Any]:
    """All arguments by name, defaults filled in as the schema says."""
    arguments = overload._schema.arguments
    defaults = {a.name: a.default_value for a in arguments}
    return {**defaults, **dict(zip(defaults, args)), **kwargs}


def _alike(got: Any, want: Any) -> bool:
    if isinstance(want, torch.Tensor) or isinstance(got, torch.Tensor):
        return got is want
    if isinstance(want, dict):
        return got.keys() == want.keys() and all(_alike(got[name], want[name]) for name in want)
    if isinstance(want, tuple | list) and isinstance(got, tuple | list):
        return len(got) == len(want) and all(map(_alike, got, want))
    return bool(got == want)
