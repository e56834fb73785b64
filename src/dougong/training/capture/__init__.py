"""Capture a function of tensors once, and replay it into fixed buffers.

`trace` runs the function and records its kernels, backward pass included (`recording`); `peephole` drops what changes
nothing; `plan` writes one line of Python for each kernel that is left, called by the cheapest of its `bindings`;
`buffers` gives every result its place (`placement`); `verify` compares one replay with the traced run.
"""

from dougong.training.capture.captured import Captured, capture, work_of
from dougong.training.capture.placement import Scratch
from dougong.training.capture.recording import CaptureError

__all__ = ["CaptureError", "Captured", "Scratch", "capture", "work_of"]
