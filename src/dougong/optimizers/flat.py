"""Parameters laid end to end, so that an update costs one call however many layers there are.

A `FlatGroup` holds the parameters of one dtype on one device in one tensor.  Each parameter's ``data`` becomes a view
into it with the strides it had (channels_last stays channels_last); gradients and slots are laid out alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["FlatGroup", "Placement"]

_ALIGNMENT = 64  # bytes: a cache line, and what vector loads and cuBLAS need of a matrix's first element


class Placement(NamedTuple):
    """Where one parameter lies in the flat tensors of its group."""

    offset: int
    shape: torch.Size
    stride: tuple[int, ...]

    def view(self, flat: Tensor) -> Tensor:
        """The parameter-shaped window on ``flat``."""
        return flat.as_strided(self.shape, self.stride, self.offset)


class FlatGroup:
    """The parameters of one kind and dtype on one device, moved into one tensor.

    ``values`` and ``gradients`` are flat; ``slots`` are flat tensors by name; ``indices`` are the parameters' positions
    in the optimizer's list; ``kind`` says which rule updates them, where there are several.  Between parameters stand
    unused elements, for alignment: zero in ``gradients``, and whatever a zero gradient makes of them elsewhere.

    >>> weight = torch.nn.Parameter(torch.ones(2, 3))
    >>> group = FlatGroup([0], [weight])
    >>> _ = group.values.zero_()
    >>> weight.sum().item()
    0.0
    """

    def __init__(self, indices: Sequence[int], parameters: Sequence[Tensor], kind: str = "") -> None:
        self.indices, self.kind = tuple(indices), kind
        self.dtype, self.device = parameters[0].dtype, parameters[0].device
        self.places = _placements(parameters)
        end = self.places[-1]
        self._size = end.offset + _padded(end.shape.numel(), self.dtype)
        self._scratch: list[Tensor] = []
        self._scratch_views: dict[int, list[Tensor]] = {}
        self._counts: Tensor | None = None
        self.slots: dict[str, Tensor] = {}
        self.values = self.allocate()
        self.gradients = self.allocate()
        self.value_views = self.views(self.values)
        self.gradient_views = self.views(self.gradients)
        with torch.inference_mode(False), torch.no_grad():
            # Fused kernels read the step number from a tensor.
            self.counter = torch.zeros((), dtype=torch.float32, device=self.device)
            for parameter, view in zip(parameters, self.value_views):
                view.copy_(parameter.detach())
                parameter.data = view

    def allocate(self, fill: float = 0.0) -> Tensor:
        """A flat tensor of the group's size."""
        with torch.inference_mode(False):  # an inference tensor could not be written to outside inference mode
            return torch.full((self._size,), fill, dtype=self.dtype, device=self.device)

    def views(self, flat: Tensor) -> list[Tensor]:
        """The parameter-shaped windows on ``flat``, in the group's order."""
        with torch.inference_mode(False):
            return [place.view(flat) for place in self.places]

    def scratch(self, index: int = 0) -> Tensor:
        """A flat tensor for intermediate results: allocated at the first call, the same one ever after."""
        while len(self._scratch) <= index:
            self._scratch.append(self.allocate())
        return self._scratch[index]

    def scratch_views(self, index: int = 0) -> list[Tensor]:
        """The parameter-shaped windows on `scratch`."""
        if index not in self._scratch_views:
            self._scratch_views[index] = self.views(self.scratch(index))
        return self._scratch_views[index]

    def norms(self, views: list[Tensor]) -> Tensor:
        """The Euclidean norm of each window.   Shapes: ``[P]`` for ``P`` parameters."""
        return torch.stack(torch._foreach_norm(views))

    def counts(self) -> Tensor:
        """How many numbers each parameter has, in the group's dtype.   Shapes: ``[P]``."""
        if self._counts is None:
            with torch.inference_mode(False):
                counts = [float(place.shape.numel()) for place in self.places]
                self._counts = torch.tensor(counts, dtype=self.dtype, device=self.device)
        return self._counts


def _placements(parameters: Sequence[Tensor]) -> tuple[Placement, ...]:
    places, offset = [], 0
    for parameter in parameters:
        # empty_like keeps dense strides as they are and gives dense ones to what is not (expanded, sliced).
        stride = torch.empty_like(parameter, device="meta").stride()
        places.append(Placement(offset, parameter.shape, stride))
        offset += _padded(parameter.numel(), parameter.dtype)
    return tuple(places)


def _padded(count: int, dtype: torch.dtype) -> int:
    unit = max(1, _ALIGNMENT // dtype.itemsize)
    return -(-count // unit) * unit
