"""Run a plan once, on the inputs it was traced with, and compare what it gives with what the traced run gave."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

from dougong.training.capture.plan import Plan
from dougong.training.capture.recording import CaptureError, Trace

__all__ = ["verified"]

# Of the largest number in a tensor.  On a CPU both are equal to the bit; some GPU kernels add in any order.
_TOLERANCE = 1e-3


def verified(trace: Trace, plan: Plan, inputs: Sequence[Tensor], gradients: Sequence[Tensor]) -> None:
    """Do nothing if outputs and gradients agree.   Raises: CaptureError if they do not, or if the plan fails."""
    with _undone(trace, gradients), torch.inference_mode():
        try:
            result = plan.run(*[tensor.clone() for tensor in inputs])
        except RuntimeError as error:
            raise CaptureError(f"cannot capture: the replay fails, {error}") from error
        outputs = [result] if trace.single else list(result)
        written = [target for value, target in zip(trace.gradients, gradients) if value is not None]
        for number, (got, want) in enumerate(zip([*outputs, *written], trace.found, strict=True)):
            if not _agree(got, want):
                what = "output" if number < len(outputs) else "gradient"
                raise CaptureError(f"cannot capture: {what} {number} of the replay differs from that of the function")


def _agree(got: Tensor, want: Tensor) -> bool:
    if got.shape != want.shape or got.dtype is not want.dtype:
        return False
    if torch.equal(got, want) or not want.is_floating_point():
        return torch.equal(got, want)
    got, want = got.double(), want.double()
    finite = want.isfinite()
    if not torch.equal(got.isfinite(), finite):
        return False
    got, want = got[finite], want[finite]
    return bool((got - want).abs().max() <= _TOLERANCE * want.abs().max()) if want.numel() else True


@contextmanager
def _undone(trace: Trace, gradients: Sequence[Tensor]) -> Iterator[None]:
    """Put back, at the end, what a replay changes: states, gradients, and how far random numbers have been drawn."""
    tensors = [value.tensor for value in trace.written if value.tensor is not None] + list(gradients)
    before = [tensor.detach().clone() for tensor in tensors]
    generators = [(generator, generator.get_state()) for generator in trace.generators]
    try:
        yield
    finally:
        with torch.inference_mode():
            for tensor, value in zip(tensors, before):
                tensor.copy_(value)
        for generator, state in generators:
            generator.set_state(state)
