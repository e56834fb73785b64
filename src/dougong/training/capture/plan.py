"""Turn a recorded run into buffers, made once, and a straight line of Python that fills them.

Each call takes one of these forms:

- *view*: of a buffer: made once, here, and no line at all; of an input or of a plain result: a line;
- *out*: the kernel writes into a buffer (``addmm(p0, x0, p1, out=b2)``); a pointwise one over an argument that nobody
  reads any more, if that has the same layout;
- *copy*, *fill*, *empty*: a new tensor becomes a buffer, and a line that fills it;
- *plain*: as recorded, results bound to names and deleted after their last use (convolutions, writes in place).

Names in the source: ``x`` inputs, ``p`` tensors made outside (weights, states), ``c`` constants, ``b`` buffers and
their views, ``t`` results of plain calls, ``o`` outputs copied out, ``g`` gradients copied out.
Buffers share memory by lifetime, except outputs, which have their own, and gradients, which lie in the given tensors.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch._ops import OpOverload

from dougong.training.capture.bindings import Bindings, out_overload
from dougong.training.capture.buffers import Buffers, Lifetimes, shifted
from dougong.training.capture.peephole import fill_value
from dougong.training.capture.placement import Scratch
from dougong.training.capture.recording import Call, Memory, Trace, Value, values_in

__all__ = ["Plan", "planned"]

aten = torch.ops.aten

_WORTH_DELETING = 1 << 14  # bytes


@dataclass(frozen=True)
class Plan:
    """``run(*inputs)`` must be called under inference mode; ``source`` is what it does."""

    run: Callable[..., Any]
    source: str
    num_lines: int
    buffer_bytes: int
    shared_bytes: int


def planned(trace: Trace, gradients: Sequence[Tensor], scratch: Scratch) -> Plan:
    """Make the buffers and the source.   Raises: CaptureError for a view that would depend on where an input lies."""
    with torch.inference_mode(False), torch.no_grad():
        lifetimes = Lifetimes(trace)
        buffers = Buffers(trace, lifetimes, gradients, scratch)
        return _Writer(trace, lifetimes, buffers).plan(gradients)


class _Writer:
    """Writes the lines."""

    def __init__(self, trace: Trace, lifetimes: Lifetimes, buffers: Buffers) -> None:
        self.trace, self.lifetimes, self.buffers = trace, lifetimes, buffers
        self.lines: list[str] = []
        self.space: dict[str, Any] = {"torch": torch, "inf": math.inf, "nan": math.nan}
        self._names: dict[int, str] = {}
        self._by_object: dict[int, str] = {}
        self._counts: dict[str, int] = {}
        self._bindings = Bindings()
        self._held: list[Any] = []
        self._bound: dict[int, list[str]] = {}
        self._grad_mode = False

    def plan(self, gradients: Sequence[Tensor]) -> Plan:
        for number, value in enumerate(self.trace.inputs):
            self._names[id(value)] = f"x{number}"
        deaths: dict[int, list[int]] = {}
        for memory, step in self.lifetimes.last.items():
            deaths.setdefault(step, []).append(memory)
        for step, call in enumerate(self.trace.calls):
            self._write(self.lifetimes.forms[step], call)
            dead = [name for memory in deaths.get(step, ()) for name in self._bound.get(memory, ())]
            if dead:
                self.lines.append(f"del {', '.join(dead)}")
        self._write_gradients(gradients)
        returned = [self._output(value) for value in self.trace.outputs]
        num_lines = len(self.lines)
        self.lines.append(
            f"return {returned[0] if self.trace.single else '(' + ''.join(f'{r}, ' for r in returned) + ')'}"
        )
        header = f"def replay({', '.join(f'x{i}' for i in range(len(self.trace.inputs)))}):"
        source = "\n    ".join([header, *self.lines]) + "\n"
        exec(compile(source, "<captured step>", "exec"), self.space)
        return Plan(self.space["replay"], source, num_lines, self.buffers.total_bytes, self.buffers.shared_bytes)

    def _write(self, form: str, call: Call) -> None:
        if form == "out":
            overload, names = out_overload(call.overload, next(call.results()).device.type) or (call.overload, ())
            results = call.result if isinstance(call.result, tuple) else (call.result,)
            for value in results:
                if id(value) in self.lifetimes.over:
                    self._names.setdefault(id(value), self._name(self.lifetimes.over[id(value)]))
            self._line(call, overload, call.args, {**call.kwargs, **dict(zip(names, results))})
        elif form == "copy":
            self._line(call, aten.copy_.default, (call.result, call.args[0]), {})
        elif form == "fill":
            self._line(call, aten.fill_.Scalar, (call.result, fill_value(call)), {})
        elif form == "plain" or (form == "view" and any(self._is_new(value) for value in call.results())):
            args = shifted(call, self.buffers.tensor) if form == "view" else call.args
            self._line(call, call.overload, args, call.kwargs, assign=True)

    def _is_new(self, value: Value) -> bool:
        return id(value) not in self._names and self.buffers.tensor(value) is None

    def _line(
        self, call: Call, overload: OpOverload, args: tuple[Any, ...], kwargs: dict[str, Any], *, assign: bool = False
    ) -> None:
        if assign and call.grad_mode is not self._grad_mode and _asks_for_grad_mode(call):
            self._grad_mode = call.grad_mode
            self.lines.append(f"{self._object(torch._C._set_grad_enabled, 'set_grad_enabled')}({call.grad_mode})")
        args = self._numbers_ready(call, overload, args)
        word = overload._schema.name.partition("::")[2].lstrip("_")
        function = self._object(self._bindings.find(overload, args, kwargs), word if len(word) > 1 else f"aten_{word}")
        given = [self._text(item) for item in args] + [f"{name}={self._text(item)}" for name, item in kwargs.items()]
        target = ""
        if assign and any(self._is_new(value) for value in call.results()):
            target = f"{self._pattern(call.result)} = "
        shape = "  ".join("x".join(map(str, value.shape)) or "scalar" for value in call.results())
        self.lines.append(f"{target}{function}({', '.join(given)})" + (f"  # {shape}" if shape else ""))

    def _numbers_ready(self, call: Call, overload: OpOverload, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """A number among tensors is made a tensor once, not at each call, where that changes nothing."""
        types = [str(a.type) for a in overload._schema.arguments]
        tensors = [*values_in(list(args)), *call.results()]
        dtypes = {value.dtype for value in tensors}
        dtype = next(iter(dtypes), None)
        if len(dtypes) != 1 or dtype not in (torch.float32, torch.float64, torch.int64):
            return args
        whole = dtype is torch.int64

        def ready(item: Any, kind: str) -> Any:
            plain = type(item) is int if whole else type(item) in (int, float)
            if kind != "Tensor" or not plain:
                return item
            made = torch.tensor(item, dtype=dtype)
            value = Value(Memory("constant", made.nbytes), (), (), 0, made.dtype, made.device, made)
            self._held.append(value)
            return value

        return tuple(ready(item, kind) for item, kind in zip(args, types))

    def _pattern(self, result: Any) -> str:
        if isinstance(result, Value):
            if not self._is_new(result):
                return self._new_name("t")
            name = self._names[id(result)] = self._new_name("t")
            home = self.lifetimes.home(result.memory)
            if home.kind == "inner" and home.nbytes >= _WORTH_DELETING:
                self._bound.setdefault(id(home), []).append(name)
            return name
        if isinstance(result, tuple | list):
            return f"[{', '.join(self._pattern(item) for item in result)}]"
        return "_"

    def _name(self, value: Value) -> str:
        known = self._names.get(id(value))
        if known is not None:
            return known
        tensor = self.buffers.tensor(value)
        if tensor is None:
            raise AssertionError("a value is used before it is made")
        kind = {"outside": "p", "constant": "c"}.get(value.memory.kind, "b")
        name = self._names[id(value)] = self._object(tensor, kind)
        return name

    def _object(self, thing: Any, prefix: str) -> str:
        """The name of an object in the source's namespace."""
        name = self._by_object.get(id(thing))
        if name is None:
            name = self._new_name(prefix)
            self._by_object[id(thing)] = name
            self._held.append(thing)
            self.space[name] = thing
        return name

    def _new_name(self, prefix: str) -> str:
        number = self._counts[prefix] = self._counts.get(prefix, -1) + 1
        if len(prefix) == 1:
            return f"{prefix}{number}"
        return f"{prefix}_{number}" if number else prefix

    def _text(self, item: Any) -> str:
        if isinstance(item, Value):
            return self._name(item)
        if isinstance(item, tuple | list):
            return f"[{', '.join(self._text(part) for part in item)}]"
        if item is None or isinstance(item, bool | int | float | str | torch.dtype):
            return repr(item)
        return self._object(item, type(item).__name__)

    def _write_gradients(self, gradients: Sequence[Tensor]) -> None:
        targets, found = [], []
        for index, (value, target) in enumerate(zip(self.trace.gradients, gradients)):
            if value is not None and index not in self.buffers.in_place:
                targets.append(self._object(target.detach(), "g"))
                found.append(self._name(value))
        if targets:
            copy = self._object(torch._foreach_copy_, "foreach_copy_")
            self.lines.append(f"{copy}([{', '.join(targets)}], [{', '.join(found)}])")

    def _output(self, value: Value) -> str:
        if value.memory.kind == "outside" and value.tensor is not None:
            return self._object(value.tensor, "p")
        if value.memory.kind == "input" or self.lifetimes.is_fixed(value):
            return self._name(value)
        # A result of a plain call is an inference tensor: autograd would refuse it.
        own = torch.empty_strided(value.shape, value.stride, dtype=value.dtype, device=value.device)
        name = self._object(own, "o")
        self.lines.append(f"{self._object(torch.Tensor.copy_, 'copy_')}({name}, {self._name(value)})")
        return name


def _asks_for_grad_mode(call: Call) -> bool:
    """Might the kernel keep more when gradients are enabled?  Not one that maps, views or writes elements."""
    return not (call.is_view() or call.writes or torch.Tag.pointwise in call.overload.tags)
