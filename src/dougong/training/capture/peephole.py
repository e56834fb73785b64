"""Small rewrites of a recorded run, each of which leaves every number as it is.

Dropped: detach and other views that change nothing; what is computed twice; what nobody reads; multiplication by one
and addition of zero (which may turn -0.0 into 0.0).  Computed once: whatever depends on neither inputs, nor weights,
nor chance, such as the gradient 1 that a backward pass starts from and what a mean makes of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from dougong.training.capture.recording import Call, Memory, Trace, Value, replaced, values_in

__all__ = ["EMPTY", "fill_value", "simplified"]

aten = torch.ops.aten

# Larger constants are computed again at each call: memory that is always held is worth more than the time.
_LARGEST_CONSTANT = 1 << 16
_SPECIAL_VIEWS = {"_conj", "_neg_view"}
_FILLS = {"zeros": 0, "zeros_like": 0, "new_zeros": 0, "ones": 1, "ones_like": 1, "new_ones": 1}
_FILLS_GIVEN = {"full": 1, "full_like": 1, "new_full": 2}
EMPTY = {"empty", "empty_like", "empty_strided", "new_empty", "new_empty_strided", "empty_permuted"}


def simplified(trace: Trace) -> Trace:
    """The same run with fewer calls.  The calls of ``trace`` are changed in place.

    >>> from dougong.training.capture.trace import trace
    >>> recorded = trace(lambda x: x.detach() * 1 + torch.ones(2).exp(), [torch.ones(2)])
    >>> [call.name for call in recorded.calls], [call.name for call in simplified(recorded).calls]
    (['detach', 'mul', 'ones', 'exp', 'add'], ['add'])
    """
    calls: list[Call] = []
    same = _Same()
    for call in trace.calls:
        same.bring_up_to_date(call)
        kept = _unchanged(call)
        if kept is not None:
            same.stands_for(call.result, kept)
        elif not _folded(call) and not same.seen_before(call):
            calls.append(_rewritten(call))
    outputs, gradients = same.now(trace.outputs), same.now(trace.gradients)
    return replace(trace, calls=_needed(calls, [*outputs, *gradients]), outputs=outputs, gradients=gradients)


def fill_value(call: Call) -> Any:
    """The number with which a call fills a new tensor, or None if it does something else."""
    if call.name in _FILLS_GIVEN:
        value = call.args[_FILLS_GIVEN[call.name]]
        return None if isinstance(value, Value) else value
    return _FILLS.get(call.name)


class _Same:
    """Which Value stands for which, and what has been computed already."""

    def __init__(self) -> None:
        self._instead: dict[int, Value] = {}
        self._keep: list[Value] = []
        self._versions: dict[int, int] = {}
        self._known: dict[str, Any] = {}
        self._moved: dict[int, tuple[Memory, int]] = {}

    def now(self, tree: Any) -> Any:
        return replaced(tree, Value, lambda value: self._instead.get(id(value), value))

    def bring_up_to_date(self, call: Call) -> None:
        """Let the call speak of Values, and of memories, that are still there."""
        call.args, call.kwargs = self.now(call.args), self.now(call.kwargs)
        call.writes, call.result = self.now(call.writes), self.now(call.result)
        for value in call.results():
            if id(value.memory) in self._moved:
                memory, distance = self._moved[id(value.memory)]
                value.memory, value.offset = memory, value.offset + distance
                if call.name == "as_strided" and len(call.args) == 4 and call.args[3] is not None:
                    call.args = (*call.args[:3], call.args[3] + distance)

    def stands_for(self, old: Any, new: Any) -> None:
        for before, after in zip(values_in(old), values_in(new), strict=True):
            self._instead[id(before)] = after
            if before.memory is not after.memory:
                self._moved[id(before.memory)] = after.memory, after.offset - before.offset
            self._keep.append(before)

    def seen_before(self, call: Call) -> bool:
        if call.writes:
            for value in call.writes:
                self._versions[id(value.memory)] = self._versions.get(id(value.memory), 0) + 1
            return False
        is_view = call.is_view()
        if call.is_random or (not is_view and any(value.memory.written for value in call.results())):
            return False
        key = f"{call.overload}{self._text(call.args, is_view)}{self._text(call.kwargs, is_view)}"
        known = self._known.get(key)
        if known is not None:
            self.stands_for(call.result, known)
            return True
        self._known[key] = call.result
        self._keep.extend(call.arguments())
        return False

    def _text(self, tree: Any, is_view: bool) -> str:
        def name(value: Value) -> str:
            version = 0 if is_view else self._versions.get(id(value.memory), 0)
            return f"<{id(value)} {version}>"

        return repr(replaced(tree, Value, name))


def _unchanged(call: Call) -> Value | None:
    """The argument that a call gives back as it is."""
    result = call.result
    if not isinstance(result, Value) or not call.args or not isinstance(call.args[0], Value) or call.writes:
        return None
    first = call.args[0]
    if result.same_place(first):
        return None if call.name in _SPECIAL_VIEWS else first
    if result.memory.written or any(value.memory.written for value in call.arguments()):
        return None
    if call.name in ("mul", "div") and len(call.args) == 2 and not call.kwargs:
        neutral: float = 1
    elif call.name in ("add", "sub") and len(call.args) == 2 and not call.kwargs:
        neutral = 0
    else:
        return None
    fits = first.shape == result.shape and first.stride == result.stride and first.dtype is result.dtype
    return first if fits and _is_number(call.args[1], neutral) else None


def _is_number(item: Any, number: float) -> bool:
    if isinstance(item, Value):
        return item.tensor is not None and item.memory.kind == "constant" and bool((item.tensor == number).all())
    return isinstance(item, int | float) and item == number


def _folded(call: Call) -> bool:
    """Compute now what is the same in every run.  True if the call is no longer needed."""
    results = list(call.results())
    if call.writes or call.is_random or call.name in EMPTY or any(value.memory.written for value in results):
        return False
    if not results or sum(_elements(value) for value in results) > _LARGEST_CONSTANT:
        return False
    if call.name == "lift_fresh" and call.args[0].tensor is not None:
        made: Any = call.args[0].tensor
    elif fill_value(call) is not None:
        value = results[0]
        made = torch.empty_strided(value.shape, value.stride, dtype=value.dtype, device=value.device)
        made.fill_(fill_value(call))
    elif all(value.memory.kind == "constant" and value.tensor is not None for value in call.arguments()):
        with torch.no_grad():
            made = call.overload(*_tensors(call.args), **_tensors(call.kwargs))
    else:
        return False
    for value, tensor in zip(results, _flat(made), strict=True):
        value.tensor = tensor
        value.memory.kind = "constant"
    return True


def _elements(value: Value) -> int:
    return max(value.numel, value.memory.nbytes // max(value.dtype.itemsize, 1))


def _tensors(tree: Any) -> Any:
    return replaced(tree, Value, lambda value: value.tensor)


def _flat(made: Any) -> list[Tensor]:
    return [made] if isinstance(made, Tensor) else [item for item in made if isinstance(item, Tensor)]


def _rewritten(call: Call) -> Call:
    """The same computation by a kernel that can write into a given buffer."""
    if call.name == "relu":
        return replace(call, overload=aten.clamp_min.default, args=(call.args[0], 0))
    if call.overload is aten.sum.default:
        return replace(call, overload=aten.sum.dim_IntList, args=(call.args[0], [], False))
    return call


def _needed(calls: Sequence[Call], wanted: Sequence[Value | None]) -> list[Call]:
    """Leave out what nobody reads.  Random numbers are drawn all the same: those after them must stay the same."""
    values: set[int] = set()
    memories: set[int] = set()

    def need(value: Value) -> None:
        values.add(id(value))
        memories.add(id(value.memory))

    for value in values_in(list(wanted)):
        need(value)
    kept: list[Call] = []
    for call in reversed(calls):
        written = {id(value.memory) for value in call.writes}
        seen_outside = any(_lasts(value.memory) for value in call.writes)
        read = any(id(value) in values for value in call.results())
        if read or seen_outside or written & memories or call.is_random or not (call.writes or list(call.results())):
            kept.append(call)
            for value in [*call.arguments(), *call.writes]:
                need(value)
    return kept[::-1]


def _lasts(memory: Memory) -> bool:
    return memory.kind in ("outside", "input")
