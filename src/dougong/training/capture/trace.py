"""Record what a function of tensors does, once, as a flat list of ATen calls.

The function runs for real, under a dispatch mode that stands below autograd: it sees the kernels of the forward pass,
of every gradient, and the views between them, exactly as the eager run calls them.  Nothing else is changed: tensors
made outside of the function that it writes to (running statistics, metric states) and the random state are put back.

What cannot be written down as a list of calls (a branch on values, shapes that depend on values) is a `CaptureError`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal, NoReturn

import torch
from torch import Tensor
from torch._ops import OpOverload
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from dougong.training.capture.recording import Call, CaptureError, Memory, Trace, Value, replaced

__all__ = ["trace"]


def trace(
    function: Callable[..., Any], inputs: Sequence[Tensor], gradients_of: Sequence[Tensor] | None = None
) -> Trace:
    """Run ``function(*inputs)`` once and record it, with the gradients of its first output if parameters are given.

    Tensors written and random states are as before when this returns.   Raises: CaptureError naming the cause; whatever
    the function itself raises.

    >>> weight = torch.ones(2, requires_grad=True)
    >>> [call.name for call in trace(lambda x: (x * weight).sum(), [torch.ones(3, 2)], [weight]).calls]
    ['mul', 'sum', 'ones_like', 'expand', 'mul', 'sum', 'view']
    """
    recorder = _Recorder([tensor.detach() for tensor in inputs])
    learning = gradients_of is not None
    try:
        with torch.inference_mode(False), torch.set_grad_enabled(learning), _Watch(recorder), recorder:
            result = function(*recorder.inputs)
            outputs = list(result) if isinstance(result, tuple | list) else [result]
            if not all(isinstance(output, Tensor) for output in outputs):
                recorder.refuse("the function returns something that is not a tensor")
            gradients = _gradients(recorder, outputs[0], gradients_of) if gradients_of is not None else []
        found = [tensor for tensor in [*outputs, *gradients] if tensor is not None]
        return Trace(
            inputs=[recorder.value(tensor) for tensor in recorder.inputs],
            calls=recorder.calls,
            outputs=[recorder.value(output) for output in outputs],
            gradients=[None if grad is None else recorder.value(grad) for grad in gradients],
            single=not isinstance(result, tuple | list),
            generators=recorder.generators(),
            written=[value for value in recorder.outside() if value.memory.written],
            found=[recorder.kept(tensor) for tensor in found],
        )
    finally:
        recorder.restore()
        # The function may have caught the refusal, or changed it.
        if recorder.refusal is not None:
            raise recorder.refusal


def _gradients(recorder: _Recorder, loss: Tensor, parameters: Sequence[Tensor]) -> list[Tensor | None]:
    if loss.numel() != 1:
        recorder.refuse(f"the first output must be the scalar loss, but has shape {tuple(loss.shape)}")
    wanted = [parameter for parameter in parameters if parameter.requires_grad]
    if not wanted or not loss.requires_grad:
        return [None] * len(parameters)
    found = iter(torch.autograd.grad(loss, wanted, allow_unused=True))
    return [next(found) if parameter.requires_grad else None for parameter in parameters]


class _Recorder(TorchDispatchMode):
    """Sees every kernel below autograd.  A tensor made in the run carries its Value as an attribute, so that the
    recorder keeps nothing alive and the run needs no more memory than an eager one."""

    def __init__(self, inputs: list[Tensor]) -> None:
        super().__init__()
        self.inputs = inputs
        self._token = object()
        self.calls: list[Call] = []
        self.refusal: CaptureError | None = None
        self._outside: dict[int, Value] = {}
        self._storages: dict[int, Memory] = {}
        self._written: dict[int, tuple[Tensor, Tensor]] = {}
        self._first_states: dict[int, tuple[torch.Generator, Tensor]] = {}
        self._last_states: dict[int, Tensor] = {}
        for tensor in inputs:
            self._add_outside(tensor, "input")

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        # Nothing is compiled here, and the wrapper against it imports torch._dynamo: 2 s.
        return False

    def refuse(self, reason: str) -> NoReturn:
        self.refusal = CaptureError(f"cannot capture: {reason}")
        raise self.refusal

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        with torch._C.DisableTorchFunction():
            self._check_before(func, args, kwargs)
            if torch.Tag.inplace_view in func.tags:
                return self._turn(func, args, kwargs)
            tensors: list[tuple[Value, Tensor]] = []

            def note(tensor: Tensor) -> Value:
                value = self.value(tensor)
                tensors.append((value, tensor))
                return value

            recorded_args = replaced(tuple(args), Tensor, note)
            recorded_kwargs = replaced(dict(kwargs), Tensor, note)
            writes = self._note_writes(func, args, kwargs)
            result = func(*args, **kwargs)
            if func._schema.returns and not writes and not any(isinstance(item, Tensor) for item in _leaves(result)):
                # A choice of algorithm, by shapes.
                return result
            self._note_random(func, args, kwargs)
            storages = {} if func is _LIFT else {_storage(tensor): value.memory for value, tensor in tensors}
            recorded = replaced(result, Tensor, lambda tensor: self._result(tensor, storages))
            self.calls.append(Call(func, recorded_args, recorded_kwargs, recorded, writes, torch.is_grad_enabled()))
            return result

    def _turn(self, func: OpOverload, args: Any, kwargs: Any) -> Any:
        """`transpose_` and its like: the same tensor is from now on a view of what it was."""
        before = self.value(args[0])
        view = _out_of_place(func)
        if view is None or before.memory.kind != "inner":
            self.refuse(f"{func._schema.name.removeprefix('aten::')} changes the shape of a tensor in place")
        result = func(*args, **kwargs)
        after = _value(args[0], before.memory)
        setattr(args[0], _MARK, (self._token, after))
        self.calls.append(Call(view, (before, *args[1:]), dict(kwargs), after, (), torch.is_grad_enabled()))
        return result

    def value(self, tensor: Tensor) -> Value:
        """The Value of a tensor; one never seen was made outside."""
        token, value = getattr(tensor, _MARK, (None, None))
        if token is self._token and value is not None:
            return value
        found = self._outside.get(id(tensor))
        if found is None:
            if tensor.grad_fn is not None:
                self.refuse("a tensor computed before the step carries a gradient graph of its own")
            found = self._add_outside(tensor, "outside")
        return found

    def restore(self) -> None:
        """Put back what the run has changed outside: tensors written to, generators drawn from."""
        for generator, state in self._first_states.values():
            generator.set_state(state)
        with torch.inference_mode():
            for tensor, before in reversed(self._written.values()):
                tensor.copy_(before)
        self._written.clear()

    def outside(self) -> list[Value]:
        """All tensors made outside that were read or written, without the inputs."""
        return [value for value in self._outside.values() if value.memory.kind == "outside"]

    def kept(self, tensor: Tensor) -> Tensor:
        """The tensor as it is now; an input, which may have been written to, is about to be put back."""
        return tensor.detach().clone() if self.value(tensor).memory.kind == "input" else tensor.detach()

    def generators(self) -> list[torch.Generator]:
        return [generator for generator, _ in self._first_states.values()]

    def _add_outside(self, tensor: Tensor, kind: Literal["input", "outside"]) -> Value:
        if tensor.layout is not torch.strided:
            self.refuse(f"a tensor has the layout {tensor.layout}")
        if getattr(type(tensor), "__torch_dispatch__", None) is not torch._C._disabled_torch_dispatch_impl:
            self.refuse(f"a tensor is of the class {type(tensor).__name__}")
        storage = tensor.untyped_storage()
        memory = self._storages.setdefault(storage._cdata, Memory(kind, storage.nbytes()))
        value = _value(tensor, memory)
        value.tensor = tensor
        self._outside[id(tensor)] = value
        return value

    def _result(self, tensor: Tensor, storages: dict[int, Memory]) -> Value:
        token, value = getattr(tensor, _MARK, (None, None))
        if token is self._token and value is not None:
            return value
        if id(tensor) in self._outside:
            return self._outside[id(tensor)]
        if tensor.layout is not torch.strided:
            self.refuse(f"a tensor has the layout {tensor.layout}")
        storage = tensor.untyped_storage()
        memory = storages.get(storage._cdata) or Memory("inner", storage.nbytes())
        value = _value(tensor, memory)
        setattr(tensor, _MARK, (self._token, value))
        return value

    def _check_before(self, func: OpOverload, args: Any, kwargs: Any) -> None:
        name = func._schema.name.removeprefix("aten::")
        if torch.Tag.data_dependent_output in func.tags or name in _READS:
            self.refuse(f"the value of a tensor decides what is done next ({name.strip('_')})")
        if name in _CHANGES_SHAPE:
            self.refuse(f"{name} changes the shape of a tensor in place")
        grows = torch.Tag.dynamic_output_shape in func.tags and name != "_ctc_loss"  # only its workspace does
        if grows and (name != "index" or _has_mask(args[1])):
            self.refuse(f"the shape of the result of {name} depends on values")
        for generator in _generators(func, args, kwargs):
            before = self._last_states.get(id(generator))
            if before is None:
                self._first_states[id(generator)] = (generator, generator.get_state())
            elif not torch.equal(before, generator.get_state()):
                # A replay would go on from where it is.
                self.refuse("the function sets the random state itself")

    def _note_random(self, func: OpOverload, args: Any, kwargs: Any) -> None:
        for generator in _generators(func, args, kwargs):
            self._last_states[id(generator)] = generator.get_state()

    def _note_writes(self, func: OpOverload, args: Any, kwargs: Any) -> tuple[Value, ...]:
        written: list[Value] = []
        for tensor in _written_tensors(func, args, kwargs):
            value = self.value(tensor)
            value.memory.written = True
            written.append(value)
            if value.memory.kind != "inner" and id(value) not in self._written:
                self._written[id(value)] = (tensor.detach(), tensor.detach().clone())
        return tuple(written)


_MARK = "_dougong_value"
_LIFT = torch.ops.aten.lift_fresh.default
# Kernels that give a value to Python, or a shape that depends on values, and are not tagged so.
_READS = {"is_nonzero", "equal", "allclose", "_pack_padded_sequence"}
_CHANGES_SHAPE = {"set_", "resize_", "resize_as_", "set_data", "_resize_output_", "rename_"}
# Kernels whose schema does not say what they write: positions of running statistics, and of the flag that says so.
_WRITES_UNDECLARED = {
    "native_batch_norm": ((3, 4), 5),
    "cudnn_batch_norm": ((3, 4), 5),
    "miopen_batch_norm": ((3, 4), 5),
}


@functools.cache
def _write_positions(func: OpOverload) -> tuple[tuple[int, str], ...]:
    arguments = enumerate(func._schema.arguments)
    return tuple((i, a.name) for i, a in arguments if a.alias_info is not None and a.alias_info.is_write)


@functools.cache
def _out_of_place(func: OpOverload) -> OpOverload | None:
    """`transpose.int` for `transpose_`."""
    packet = getattr(torch.ops.aten, func._schema.name.removeprefix("aten::")[:-1], None)
    wanted = [(a.name, str(a.type)) for a in func._schema.arguments]
    for overload in packet.overloads() if packet is not None else ():
        candidate = getattr(packet, overload)
        if [(a.name, str(a.type)) for a in candidate._schema.arguments] == wanted:
            return candidate
    return None


def _written_tensors(func: OpOverload, args: Any, kwargs: Any) -> Iterator[Tensor]:
    undeclared, flag = _WRITES_UNDECLARED.get(func._schema.name.removeprefix("aten::"), ((), 0))
    if undeclared and args[flag]:
        yield from (args[i] for i in undeclared if args[i] is not None)
    for position, name in _write_positions(func):
        argument = args[position] if position < len(args) else kwargs.get(name)
        yield from (item for item in _leaves(argument) if isinstance(item, Tensor))


def _generators(func: OpOverload, args: Any, kwargs: Any) -> list[torch.Generator]:
    """The sources of the random numbers that a kernel draws."""
    if torch.Tag.nondeterministic_seeded not in func.tags:
        return []
    given = [item for item in _leaves((args, kwargs)) if isinstance(item, torch.Generator)]
    if given:
        return given
    places = [item.device for item in _leaves((args, kwargs)) if isinstance(item, Tensor)]
    device = next(iter(places), kwargs.get("device") or torch.device("cpu"))
    return [_default_generator(device)]


def _default_generator(device: torch.device) -> torch.Generator:
    """PyTorch's own source of random numbers on a device."""
    if device.type != "cuda":
        return torch.default_generator
    index = torch.cuda.current_device() if device.index is None else device.index
    return torch.cuda.default_generators[index]


def _value(tensor: Tensor, memory: Memory) -> Value:
    offset = int(tensor.storage_offset())
    return Value(memory, tuple(tensor.shape), tensor.stride(), offset, tensor.dtype, tensor.device)


def _storage(tensor: Tensor) -> int:
    return tensor.untyped_storage()._cdata


def _has_mask(indices: Any) -> bool:
    return any(index is not None and index.dtype in (torch.bool, torch.uint8) for index in indices)


def _leaves(tree: Any) -> Iterator[Any]:
    if isinstance(tree, tuple | list):
        for item in tree:
            yield from _leaves(item)
    elif isinstance(tree, dict):
        for item in tree.values():
            yield from _leaves(item)
    else:
        yield tree


def _one_hot(input: Tensor, num_classes: int = -1) -> Tensor:
    """PyTorch's own `one_hot`, without its look at the smallest class; `scatter_` checks the range anyway."""
    if num_classes <= 0:
        num_classes = int(input.max().item()) + 1
    return input.new_zeros((*input.shape, num_classes)).scatter_(-1, input.unsqueeze(-1), 1)


class _Watch(TorchFunctionMode):
    """Refuses the few ways in which a function gets at values, or swaps memory, without calling a kernel."""

    def __init__(self, recorder: _Recorder) -> None:
        super().__init__()
        self._recorder = recorder

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = getattr(func, "__name__", "")
        if func in _UNSEEN:
            self._recorder.refuse(f"the values of a tensor leave torch ({name})")
        if func is torch.Tensor.backward:
            self._recorder.refuse("the function calls backward() itself")
        if name == "__set__" and func == torch.Tensor.data.__set__:  # pyright: ignore[reportAttributeAccessIssue]
            self._recorder.refuse("the function assigns to .data")
        if func is torch.nn.functional.one_hot:
            func = _one_hot
        return func(*args, **(kwargs or {}))


_UNSEEN = (torch.Tensor.numpy, torch.Tensor.tolist, torch.Tensor.__array__, torch.Tensor.__dlpack__)
