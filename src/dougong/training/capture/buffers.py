"""The buffers of a recorded run: which results have one, how long it is needed, and where it lies."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from dougong.training.capture.bindings import out_overload
from dougong.training.capture.peephole import EMPTY, fill_value
from dougong.training.capture.placement import Scratch, placed
from dougong.training.capture.recording import Call, CaptureError, Memory, Trace, Value, replaced, values_in

__all__ = ["Buffers", "Lifetimes", "shifted"]

_COPIES = {"clone", "_to_copy", "lift_fresh"}


def _form(call: Call) -> str:
    """How a call is written; see `plan`."""
    if call.is_view():
        return "view"
    results = list(call.results())
    if call.writes or not isinstance(call.result, Value | tuple) or any(r.memory.kind != "inner" for r in results):
        return "plain"
    if call.name in EMPTY:
        return "empty"
    if fill_value(call) is not None:
        return "fill"
    if call.name in _COPIES:
        return "copy"
    found = out_overload(call.overload, results[0].device.type) if results and not _resizes(call) else None
    whole = isinstance(call.result, Value) or all(isinstance(item, Value) for item in call.result)
    return "out" if found and whole else "plain"


def _resizes(call: Call) -> bool:
    """Losses that use the scalar they are to fill as room for one value per sample."""
    names = [argument.name for argument in call.overload._schema.arguments]
    return "reduction" in names and not call.name.startswith("nll_loss") and not call.name.endswith("_backward")


class Lifetimes:
    """When each memory is first and last needed, and which results are written over a dying argument."""

    def __init__(self, trace: Trace) -> None:
        self.forms = [_form(call) for call in trace.calls]
        self.end = len(trace.calls)
        self.kept = {id(value.memory) for value in values_in([*trace.outputs, *trace.gradients])}
        self.first: dict[int, int] = {}
        self.last: dict[int, int] = {}
        self.root: dict[int, Value] = {}
        self.fixed: set[int] = set()
        self.over: dict[int, Value] = {}
        self._home: dict[int, Memory] = {}
        self._uses(trace)
        for step, call in enumerate(trace.calls):
            self._place(step, call)

    def home(self, memory: Memory) -> Memory:
        """The memory in which a memory really lies."""
        return self._home.get(id(memory), memory)

    def is_fixed(self, value: Value) -> bool:
        """Does the tensor stay the same one at each call?"""
        memory = self.home(value.memory)
        return memory.kind in ("outside", "constant") or id(memory) in self.fixed

    def _uses(self, trace: Trace) -> None:
        for step, call in enumerate(trace.calls):
            for value in [*call.arguments(), *call.results()]:
                self.first.setdefault(id(value.memory), step)
                self.last[id(value.memory)] = step
        for memory in self.kept:
            self.last[memory] = self.end

    def _place(self, step: int, call: Call) -> None:
        form = self.forms[step]
        if form in ("view", "plain"):
            return
        for value in call.results():
            self.root[id(value.memory)] = value
            dying = self._dying_argument(step, call, value) if form == "out" else None
            if dying is None:
                self.fixed.add(id(value.memory))
                continue
            home = self.home(dying.memory)
            self._home[id(value.memory)] = home
            self.last[id(home)] = max(self.last[id(home)], self.last[id(value.memory)])
            self.over[id(value)] = dying

    def _dying_argument(self, step: int, call: Call, result: Value) -> Value | None:
        """An argument over which a pointwise kernel may write its result."""
        if torch.Tag.pointwise not in call.overload.tags or result is not call.result or id(result.memory) in self.kept:
            return None
        arguments = list(call.arguments())
        for value in arguments:
            home = self.home(value.memory)
            if home.kind != "inner" or self.last[id(home)] != step or id(home) in self.kept:
                continue
            alone = all(other.same_place(value) for other in arguments if self.home(other.memory) is home)
            if alone and _layout(value) == _layout(result):
                return value
        return None


class Buffers:
    """The real tensors of everything that stays the same at each call."""

    def __init__(self, trace: Trace, lifetimes: Lifetimes, gradients: Sequence[Tensor], scratch: Scratch) -> None:
        self.lifetimes = lifetimes
        self.total_bytes = self.shared_bytes = 0
        self.in_place: set[int] = set()
        self._roots: dict[int, Tensor] = {}
        self._tensors: dict[int, Tensor] = {}
        self._outputs(trace.outputs)
        for index, (value, target) in enumerate(zip(trace.gradients, gradients)):
            if value is not None and self._gradient(value, target):
                self.in_place.add(index)
        self._shared(scratch)
        for step, call in enumerate(trace.calls):
            self._add(lifetimes.forms[step], call)

    def tensor(self, value: Value) -> Tensor | None:
        """The tensor of a fixed value, None for one that each call makes anew."""
        if value.tensor is not None and value.memory.kind in ("outside", "constant"):
            return self._tensors.setdefault(id(value), value.tensor.detach())
        return self._tensors.get(id(value))

    def _outputs(self, outputs: Sequence[Value]) -> None:
        for value in outputs:
            memory = self.lifetimes.home(value.memory)
            if id(memory) in self.lifetimes.fixed and id(memory) not in self._roots:
                root = self.lifetimes.root[id(memory)]
                self._roots[id(memory)] = torch.empty_strided(
                    root.shape, root.stride, dtype=root.dtype, device=root.device
                )

    def _gradient(self, value: Value, target: Tensor) -> bool:
        """Let the memory of a gradient be the given tensor itself, if it has the same layout."""
        memory = self.lifetimes.home(value.memory)
        if id(memory) not in self.lifetimes.fixed or id(memory) in self._roots:
            return False
        root = self.lifetimes.root[id(memory)]
        fits = (
            value.dtype is target.dtype
            and root.dtype is target.dtype
            and value.device == target.device
            and root.offset == value.offset
            and root.numel == value.numel == _span(root.shape, root.stride) == _span(target.shape, target.stride())
            and _strides(value.shape, value.stride) == _strides(target.shape, target.stride())
        )
        if fits:
            self._roots[id(memory)] = target.detach().as_strided(root.shape, root.stride, target.storage_offset())
        return fits

    def _shared(self, scratch: Scratch) -> None:
        lifetimes = self.lifetimes
        by_device: dict[torch.device, list[int]] = {}
        for memory in lifetimes.fixed - self._roots.keys():
            by_device.setdefault(lifetimes.root[memory].device, []).append(memory)
        for device, memories in by_device.items():
            roots = [lifetimes.root[memory] for memory in memories]
            sizes = [_span(root.shape, root.stride) * root.dtype.itemsize for root in roots]
            firsts, lasts = ([times[m] for m in memories] for times in (lifetimes.first, lifetimes.last))
            offsets, total = placed(sizes, firsts, lasts)
            block = scratch.block(device, total)
            self.total_bytes += sum(sizes)
            self.shared_bytes += total
            for memory, root, offset, size in zip(memories, roots, offsets, sizes):
                flat = block[offset : offset + size].view(root.dtype)
                self._roots[memory] = flat.as_strided(root.shape, root.stride)

    def _add(self, form: str, call: Call) -> None:
        lifetimes = self.lifetimes
        if form == "view":
            if all(self.tensor(value) is not None for value in call.arguments()):
                made = call.overload(*self._real(shifted(call, self.tensor)), **self._real(call.kwargs))
                for value, tensor in zip(call.results(), [made] if isinstance(made, Tensor) else made, strict=True):
                    self._tensors[id(value)] = tensor
        elif form != "plain":
            for value in call.results():
                over = lifetimes.over.get(id(value))
                tensor = self._roots[id(value.memory)] if over is None else self.tensor(over)
                if tensor is not None:
                    self._tensors[id(value)] = tensor

    def _real(self, tree: Any) -> Any:
        return replaced(tree, Value, self.tensor)


def shifted(call: Call, tensor: Callable[[Value], Tensor | None]) -> tuple[Any, ...]:
    """The arguments of a call; those of `as_strided`, which counts from the start of the memory, for where the buffer
    lies now."""
    if call.name != "as_strided" or len(call.args) < 4 or call.args[3] is None:
        return call.args
    base = call.args[0]
    distance = call.args[3] - base.offset
    real = tensor(base)
    if distance == 0:
        return call.args[:3]
    if real is None:
        raise CaptureError("cannot capture: as_strided with an offset needs a tensor that stays at its place")
    return (*call.args[:3], real.storage_offset() + distance)


def _layout(value: Value) -> tuple[Any, ...]:
    return value.shape, value.stride, value.dtype, value.device


def _span(shape: Sequence[int], strides: Sequence[int]) -> int:
    """Elements from the first to the last, inclusive."""
    return 1 + sum((size - 1) * stride for size, stride in zip(shape, strides)) if 0 not in shape else 0


def _strides(shape: Sequence[int], strides: Sequence[int]) -> list[tuple[int, int]]:
    """Sizes and strides that matter: those of dimensions longer than one."""
    return [(size, stride) for size, stride in zip(shape, strides) if size != 1]
