"""Capture a function of tensors once, and replay it into fixed buffers.

A replay runs one line for each kernel, under inference mode: no module, no autograd graph, and no allocation where a
kernel can write into a buffer.  The kernels, their order and their random numbers are those of the eager run, so the
numbers are, too.

What holds for every call is taken from the first: shapes, Python numbers (a learning rate, a flag), branches.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from dougong.core.errors import ShapeError
from dougong.training.capture.arithmetic import multiply_adds
from dougong.training.capture.peephole import simplified
from dougong.training.capture.placement import Scratch
from dougong.training.capture.plan import Plan, planned
from dougong.training.capture.recording import Trace
from dougong.training.capture.trace import trace
from dougong.training.capture.verify import verified

__all__ = ["Captured", "capture", "work_of"]


def capture(
    function: Callable[..., Any],
    inputs: Sequence[Tensor],
    *,
    gradients_of: Sequence[Tensor] | None = None,
    gradients: Sequence[Tensor] | None = None,
    scratch: Scratch | None = None,
    verify: bool = True,
) -> Captured:
    """Trace ``function(*inputs)`` and plan its replay; ``inputs`` are examples of shape, dtype and layout.

    ``function`` returns a tensor or a tuple of tensors; weights and states are reached through its closure, and states
    may be written in place.  With ``gradients_of`` (parameters) and ``gradients`` (tensors of the same shapes), the
    first output is the scalar loss, and each call leaves its gradients in ``gradients``, zero where the loss does not
    depend on a parameter.  Captures that never run at the same time may share a ``scratch``.  With ``verify`` the
    replay is run once on ``inputs`` and must give the numbers of the traced run.

    Nothing has changed when this returns: neither states nor random numbers.
    Raises: CaptureError with the reason, if the function must run eagerly (a branch on values, a result whose shape
    depends on values); whatever the function raises.

    >>> weight = torch.tensor([1.0, 2.0], requires_grad=True)
    >>> gradient = torch.zeros(2)
    >>> step = capture(lambda x: (x @ weight).sum(), [torch.ones(3, 2)], gradients_of=[weight], gradients=[gradient])
    >>> step(torch.full((3, 2), 10.0)), gradient
    (tensor(90.), tensor([30., 30.]))
    """
    targets = list(gradients or [])
    if len(targets) != len(gradients_of or []):
        raise ShapeError(f"{len(gradients_of or [])} parameters need as many gradients, got {len(targets)}")
    for parameter, target in zip(gradients_of or [], targets):
        if parameter.shape != target.shape:
            raise ShapeError(f"a parameter of shape {tuple(parameter.shape)} has a gradient of {tuple(target.shape)}")
    recorded = simplified(trace(function, inputs, gradients_of))
    plan = planned(recorded, targets, scratch or Scratch())
    with torch.inference_mode():
        for value, target in zip(recorded.gradients, targets):
            if value is None:
                target.zero_()
    if verify:
        verified(recorded, plan, inputs, targets)
    recorded.found.clear()
    return Captured(recorded, plan)


def work_of(function: Callable[..., Any], inputs: Sequence[Tensor]) -> int:
    """Multiply-adds of ``function(*inputs)``, from one run that changes nothing.   Raises: as `capture`.

    >>> work_of(torch.nn.Linear(4, 5), [torch.ones(10, 4)])
    200
    """
    return multiply_adds(trace(function, inputs).calls)


class Captured:
    """A captured function, to be called like the function itself.  ``multiply_adds`` is the arithmetic of one call."""

    def __init__(self, recorded: Trace, plan: Plan) -> None:
        self.multiply_adds = multiply_adds(recorded.calls)
        self._plan = plan
        self._run = plan.run
        self._forms = [(torch.Size(value.shape), value.stride, value.dtype) for value in recorded.inputs]
        self._outside = [
            (value.tensor, value.tensor.data_ptr(), value.tensor.dtype)
            for value in {id(v): v for call in recorded.calls for v in call.arguments()}.values()
            if value.tensor is not None and value.memory.kind == "outside"
        ]

    def __call__(self, *inputs: Tensor) -> Any:
        """Replay.  What is returned is overwritten by the next call; clone what must last.

        Raises: ShapeError if an input has not the captured shape and dtype.
        """
        if len(inputs) != len(self._forms):
            raise ShapeError(f"the captured step takes {len(self._forms)} tensors, got {len(inputs)}")
        for tensor, (shape, stride, dtype) in zip(inputs, self._forms):
            if tensor.shape != shape or tensor.stride() != stride or tensor.dtype is not dtype:
                inputs = tuple(_fitted(tensor, *form) for tensor, form in zip(inputs, self._forms))
                break
        # The context manager of torch itself, without the wrapper that makes it a decorator: 0.4 instead of 1.2 us.
        with torch._C._InferenceMode(True):
            return self._run(*inputs)

    @property
    def source(self) -> str:
        """The straight-line Python that runs; see `plan` for the names in it."""
        return self._plan.source

    @property
    def plan(self) -> str:
        """One sentence on how the step runs."""
        shared = self._plan.shared_bytes / 2**20
        return f"captured: {self._plan.num_lines} lines, {shared:.3g} MB of buffers"

    @property
    def is_current(self) -> bool:
        """False once a weight or state has been given other memory (``.data =``, ``.to()``): capture again."""
        return all(tensor.data_ptr() == place and tensor.dtype is dtype for tensor, place, dtype in self._outside)


def _fitted(tensor: Tensor, shape: torch.Size, stride: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    """The same values in the captured memory layout."""
    if tensor.shape != shape or tensor.dtype is not dtype:
        raise ShapeError(
            f"captured for {tuple(shape)} of {dtype}, got {tuple(tensor.shape)} of {tensor.dtype}; capture that, too"
        )
    if tensor.stride() == stride:
        return tensor
    return torch.empty_strided(shape, stride, dtype=dtype, device=tensor.device).copy_(tensor)
