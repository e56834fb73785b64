"""The tensors a metric counts in."""

from __future__ import annotations

from typing import Any, Self

import torch
from torch import Tensor

__all__ = ["State"]


class State(Tensor):
    """A tensor with the words of a Keras variable: `assign`, `assign_add`, `assign_sub`, all in place.

    In everything else it is a plain tensor: results of operations on it are plain tensors, at no cost.

    >>> State(torch.tensor(1.0)).assign_add(2.0)
    State(3.)
    """

    __torch_function__ = torch._C._disabled_torch_function_impl  # pyright: ignore[reportAssignmentType]  as nn.Parameter

    def __new__(cls, data: Tensor) -> Self:
        return data.detach().as_subclass(cls)

    def assign(self, value: Any) -> Self:
        with torch.no_grad():
            self.copy_(torch.as_tensor(value))
        return self

    def assign_add(self, value: Any) -> Self:
        with torch.no_grad():
            self.add_(torch.as_tensor(value, device=self.device))
        return self

    def assign_sub(self, value: Any) -> Self:
        with torch.no_grad():
            self.sub_(torch.as_tensor(value, device=self.device))
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> State:
        copied = State(self.detach().clone())
        memo[id(self)] = copied
        return copied

    def __repr__(self) -> str:  # pyright: ignore[reportIncompatibleMethodOverride]
        return "State" + torch.Tensor.__repr__(self.detach()).removeprefix("tensor").removeprefix("State")

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        return State, (self.detach().clone().as_subclass(Tensor),)
